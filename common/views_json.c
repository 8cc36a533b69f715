#include "common/views_json.h"

void views_put_cost(struct th_json_out *out, const char *key, const struct th_money *money,
                    bool is_estimated)
{
    char amount[TH_MONEY_TEXT_MAX];

    th_money_text(money->micros, amount);
    th_json_begin(out, key);
    th_json_put_text(out, "amount", amount);
    th_json_put_text(out, "currency", money->currency);
    th_json_put_bool(out, "estimated", is_estimated);
    th_json_end(out);
}

static void put_reasons(struct th_json_out *out, const char *key, const struct view_reason *reasons,
                        size_t n)
{
    th_json_begin(out, key);
    for (size_t i = 0; i < n; i++) {
        th_json_put_key(out, reasons[i].reason);
        th_json_put_int(out, NULL, reasons[i].n);
    }
    th_json_end(out);
}

void views_put_certificate(struct th_json_out *out, const struct view_certificate *certificate)
{
    th_json_begin(out, NULL);
    th_json_put_id(out, "campaign", certificate->campaign);
    th_json_put_bool(out, "final", certificate->is_final);
    th_json_put_int(out, "audience", certificate->audience);
    th_json_put_int(out, "reached", certificate->reached);
    th_json_put_int(out, "accepted_no_report", certificate->accepted_no_report);
    put_reasons(out, "unreached", certificate->unreached, certificate->unreached_n);
    put_reasons(out, "suppressed", certificate->suppressed, certificate->suppressed_n);
    th_json_put_int(out, "in_doubt", certificate->in_doubt);
    th_json_put_int(out, "unsent", certificate->unsent);
    th_json_begin_array(out, "cost");
    for (size_t i = 0; i < certificate->cost_n; i++)
        views_put_cost(out, NULL, &certificate->cost[i].amount, certificate->cost[i].is_estimated);
    th_json_end_array(out);
    th_json_end(out);
}
