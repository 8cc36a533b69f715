#include "connectors/gateway/provider_spec.h"

#include <string.h>

#include "common/http.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/write.h"

#define SENDERS_MAX     100
#define SENDER_SIZE_MAX 20
#define URL_SIZE_MAX    500

static bool is_visible(struct th_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~')
            return false;
    return s.n > 0;
}

static enum th_code read_slug(struct th_json value, struct th_str *out, struct th_err *err)
{
    TH_TRY(th_json_str(value, 1, 63, out, err));
    return slug_is_valid(*out)
               ? TH_OK
               : th_json_fail(value, err,
                              "must be of a to z, 0 to 9, - and _, and begin with neither");
}

static enum th_code read_tenant(struct request *request, struct th_json value, struct th_str *out,
                                struct money *out_free, struct th_err *err)
{
    struct reference *ref = request->gateway->config.reference;

    TH_TRY(read_slug(value, out, err));
    reference_read_lock(ref);
    const struct ref_tenant *tenant = reference_tenant(ref, *out);
    enum th_code code = tenant
                            ? th_arena_copy(&request->arena, tenant->currency, &out_free->currency)
                            : TH_NOT_FOUND;
    reference_unlock(ref);
    if (code == TH_NOT_FOUND)
        return th_json_fail(value, err, "there is no tenant of that name");
    return code == TH_OK ? TH_OK : th_fail(err, code, "tenant");
}

static enum th_code read_wire(struct request *request, struct th_json value, struct th_str *out,
                              struct th_err *err)
{
    const struct provider_ops *const *wire = request->gateway->config.providers;

    TH_TRY(th_json_str(value, 1, 32, out, err));
    for (; *wire; wire++)
        if (th_str_eq(*out, th_str((*wire)->name)))
            return TH_OK;
    return th_json_fail(value, err, "no such wire is spoken here");
}

static enum th_code read_mode(struct th_json value, enum account_mode *out, struct th_err *err)
{
    static const char *const names[] = {
        [ACCOUNT_MODE_TEST] = "test",
        [ACCOUNT_MODE_TEST_CREDENTIALS] = "test_credentials",
        [ACCOUNT_MODE_LIVE] = "live",
    };
    struct th_str text;

    *out = ACCOUNT_MODE_TEST;
    if (!th_json_is_given(value))
        return TH_OK;
    TH_TRY(th_json_str(value, 1, 32, &text, err));
    for (size_t i = 0; i < TH_LEN(names); i++)
        if (th_str_eq(text, th_str(names[i]))) {
            *out = (enum account_mode)i;
            return TH_OK;
        }
    return th_json_fail(value, err, "must be test, test_credentials or live");
}

/* A test account cannot reach anybody: its base URL is on this machine. */
static enum th_code read_url(struct th_json value, enum account_mode mode, struct th_str *out,
                             struct th_err *err)
{
    struct th_str url;

    TH_TRY(th_json_str(value, 8, URL_SIZE_MAX, &url, err));
    bool is_loopback = http_url_is_loopback(url);
    if (!is_visible(url) || memchr(url.p, '?', url.n) || memchr(url.p, '#', url.n) ||
        memchr(url.p, '@', url.n) || url.p[url.n - 1] == '/')
        return th_json_fail(value, err, "must be a URL without user, query and slash at the end");
    if (!is_loopback && !th_str_starts(url, TH_STR("https://")))
        return th_json_fail(value, err, "must begin with https://");
    if (mode == ACCOUNT_MODE_TEST && !is_loopback)
        return th_json_fail(value, err,
                            "must be on loopback for a test account; say test_credentials if the "
                            "vendor's own are meant, or live");
    *out = url;
    return TH_OK;
}

static enum th_code read_senders(struct request *request, struct th_json value,
                                 struct string_array *out, struct th_err *err)
{
    size_t n = 0;

    TH_TRY(th_json_array(value, 1, SENDERS_MAX, &n, err));
    struct th_str *at = th_arena_array(&request->arena, n, sizeof *at);
    if (!at)
        return th_fail(err, TH_NOMEM, "senders");
    for (size_t i = 0; i < n; i++) {
        struct th_json item = th_json_item(value, i);
        TH_TRY(th_json_str(item, 1, SENDER_SIZE_MAX, &at[i], err));
        if (!is_visible(at[i]))
            return th_json_fail(item, err, "must be a number as +912071531234, or a sender id");
    }
    *out = (struct string_array){at, n};
    return TH_OK;
}

static enum th_code read_number(struct th_json value, int32_t preset, int32_t max, int32_t *out,
                                struct th_err *err)
{
    int64_t number = preset;

    if (th_json_is_given(value))
        TH_TRY(th_json_int(value, 0, max, &number, err));
    *out = (int32_t)number;
    return TH_OK;
}

static enum th_code read_money(struct request *request, struct th_json value,
                               const struct money *preset, struct money *out, struct th_err *err)
{
    static const char *const members[] = {"amount", "currency", NULL};
    struct th_str amount;
    struct th_str currency;
    struct th_money money;
    struct th_err why = {0};

    *out = *preset;
    if (!th_json_is_given(value))
        return TH_OK;
    TH_TRY(th_json_object(value, members, err));
    TH_TRY(th_json_str(th_json_at(value, "amount"), 1, 24, &amount, err));
    TH_TRY(th_json_str(th_json_at(value, "currency"), 3, 3, &currency, err));
    if (th_money_parse(amount, currency, &money, &why) != TH_OK)
        return th_json_fail(value, err, "%s", why.text);
    if (money.micros < 0)
        return th_json_fail(value, err, "must not be negative");
    out->micros = money.micros;
    return th_arena_copy(&request->arena, currency, &out->currency);
}

enum th_code provider_spec_read(struct request *request, struct th_json root,
                                struct provider_spec *out_spec, struct th_err *err)
{
    struct provider_spec spec = {0};
    struct account_configured *account = &spec.account;
    struct money nothing = {0};

    TH_TRY(read_tenant(request, th_json_at(root, "tenant"), &spec.tenant, &nothing, err));
    TH_TRY(read_slug(th_json_at(root, "name"), &account->name, err));
    TH_TRY(read_wire(request, th_json_at(root, "wire"), &account->wire, err));
    TH_TRY(read_mode(th_json_at(root, "mode"), &account->mode, err));
    TH_TRY(read_url(th_json_at(root, "base_url"), account->mode, &account->base_url, err));
    TH_TRY(th_json_str(th_json_at(root, "account"), 1, 200, &account->account, err));
    TH_TRY(th_json_str(th_json_at(root, "secret"), 1, 1000, &spec.secret, err));
    TH_TRY(read_senders(request, th_json_at(root, "senders"), &account->senders, err));
    TH_TRY(read_number(th_json_at(root, "weight"), 1, 10000, &account->weight, err));
    TH_TRY(read_number(th_json_at(root, "rate_per_s"), 0, 100000, &account->rate_per_s, err));
    TH_TRY(read_number(th_json_at(root, "concurrency"), 0, 10000, &account->concurrency, err));
    TH_TRY(read_money(request, th_json_at(root, "sms_estimate"), &nothing, &account->sms_estimate,
                      err));
    TH_TRY(read_money(request, th_json_at(root, "call_estimate"), &nothing, &account->call_estimate,
                      err));
    *out_spec = spec;
    return TH_OK;
}
