#include "connectors/twilio/record.h"

#include "common/date.h"
#include "connectors/twilio/request.h"
#include "connectors/twilio/status.h"

#include <inttypes.h>

#define TEXT_MAX       5000 /* characters of any field */
#define DURATION_MAX_S (INT64_C(7) * 86400)

struct th_str twilio_text(struct th_json object, const char *name)
{
    struct th_str text;

    if (th_json_str(th_json_at(object, name), 0, TEXT_MAX, &text, NULL) != TH_OK)
        return TH_STR("");
    return text;
}

int64_t twilio_number(struct th_json object, const char *name)
{
    int64_t number;

    if (th_json_int(th_json_at(object, name), 1, INT32_MAX, &number, NULL) != TH_OK)
        return 0;
    return number;
}

/* UTC; 0 when there is none. */
static int64_t time_of(struct th_json record, const char *name)
{
    int64_t us;

    return th_date_parse_rfc2822(twilio_text(record, name), &us) ? us : 0;
}

/* "-0.00750" is a charge; of messages the sign is not documented, so it does not count. A price
 * with more than six decimals is left alone, as one that is not yet there. */
static void read_price(struct th_json record, struct provider_report *report)
{
    struct th_str unit = twilio_text(record, "price_unit");
    struct th_str amount = twilio_text(record, "price");
    struct th_money price;
    char currency[3];

    if (unit.n != sizeof currency || !amount.n)
        return;
    for (size_t i = 0; i < sizeof currency; i++)
        currency[i] = (char)(unit.p[i] >= 'a' && unit.p[i] <= 'z' ? unit.p[i] - 32 : unit.p[i]);
    if (th_money_parse(amount, (struct th_str){currency, sizeof currency}, &price, NULL) != TH_OK ||
        price.micros == INT64_MIN)
        return;
    if (price.micros < 0)
        price.micros = -price.micros;
    report->price = price;
    report->has_price = true;
}

enum th_code twilio_record_read(enum provider_channel channel, struct th_json record,
                                struct th_arena *arena, struct provider_report *out_report)
{
    struct provider_report report = {.channel = channel, .sequence = -1, .duration_s = -1};
    struct th_str sid = twilio_text(record, "sid");
    int64_t error_code = twilio_number(record, "error_code");

    if (!twilio_is_id(sid))
        return TH_MALFORMED;
    TH_TRY(twilio_status_read(&report, twilio_text(record, "status"), error_code, 0));
    TH_TRY(th_arena_copy(arena, sid, &report.provider_id));
    if (error_code) {
        report.provider_code = th_arena_printf(arena, "%" PRId64, error_code);
        if (!report.provider_code.p)
            return TH_NOMEM;
    }
    report.provider_ts_us = time_of(record, "date_updated");
    if (channel == PROVIDER_CALL) {
        if (time_of(record, "end_time"))
            report.provider_ts_us = time_of(record, "end_time");
        (void)th_str_int(twilio_text(record, "duration"), 0, DURATION_MAX_S, &report.duration_s);
    }
    read_price(record, &report);
    *out_report = report;
    return TH_OK;
}

static bool is_sender(const struct provider_search *search, struct th_json record)
{
    const char *name = twilio_is_service(search->from) ? "messaging_service_sid" : "from";

    return !search->from.n || th_str_eq(twilio_text(record, name), search->from);
}

/* A trial account puts words of its own in front. */
static bool has_text(const struct provider_search *search, struct th_json record)
{
    struct th_str body = twilio_text(record, "body");

    if (search->channel == PROVIDER_CALL || !search->text.n)
        return true;
    if (body.n < search->text.n)
        return false;
    body = (struct th_str){body.p + body.n - search->text.n, search->text.n};
    return th_str_eq(body, search->text);
}

bool twilio_record_matches(const struct provider_search *search, struct th_json record)
{
    int64_t created_us = time_of(record, "date_created");

    return created_us >= search->not_before_us && created_us <= search->not_after_us &&
           th_str_starts(twilio_text(record, "direction"), TH_STR("outbound-api")) &&
           th_str_eq(twilio_text(record, "to"), search->to) && is_sender(search, record) &&
           has_text(search, record);
}
