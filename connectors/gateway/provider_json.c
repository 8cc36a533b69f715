#include "connectors/gateway/provider_json.h"

static void put_money(struct th_json_out *out, const char *key, const struct money *money)
{
    char amount[TH_MONEY_TEXT_MAX];

    th_money_text(money->micros, amount);
    th_json_begin(out, key);
    th_json_put_text(out, "amount", amount);
    th_json_put_str(out, "currency", money->currency);
    th_json_end(out);
}

static const char *mode_text(enum account_mode mode)
{
    switch (mode) {
    case ACCOUNT_MODE_TEST:
        return "test";
    case ACCOUNT_MODE_TEST_CREDENTIALS:
        return "test_credentials";
    case ACCOUNT_MODE_LIVE:
        return "live";
    }
    return "live";
}

static const char *circuit_text(enum circuit circuit)
{
    switch (circuit) {
    case CIRCUIT_CLOSED:
        return "closed";
    case CIRCUIT_OPEN:
        return "open";
    case CIRCUIT_HALF_OPEN:
        return "half_open";
    }
    return "open";
}

void provider_put(struct th_json_out *out, const struct ref_lane *lane)
{
    const struct account_configured *account = &lane->account;

    th_json_begin(out, NULL);
    th_json_put_str(out, "tenant", lane->tenant);
    th_json_put_str(out, "name", account->name);
    th_json_put_int(out, "lane", lane->lane);
    th_json_put_str(out, "wire", account->wire);
    th_json_put_str(out, "base_url", account->base_url);
    th_json_put_str(out, "account", account->account);
    th_json_put_int(out, "secret_version", account->secret_version);
    th_json_begin_array(out, "senders");
    for (size_t i = 0; i < account->senders.n; i++)
        th_json_put_str(out, NULL, account->senders.at[i]);
    th_json_end_array(out);
    th_json_put_int(out, "weight", account->weight);
    th_json_put_int(out, "rate_per_s", account->rate_per_s);
    th_json_put_int(out, "concurrency", account->concurrency);
    th_json_put_text(out, "mode", mode_text(account->mode));
    put_money(out, "sms_estimate", &account->sms_estimate);
    put_money(out, "call_estimate", &account->call_estimate);
    th_json_put_bool(out, "enabled", lane->is_enabled);
    th_json_put_text(out, "circuit", circuit_text(lane->circuit));
    th_json_put_int(out, "health_permille", lane->health_permille);
    th_json_end(out);
}
