#include "connectors/twilio/record.h"

#include "common/date.h"
#include "connectors/twilio/request.h"
#include "connectors/twilio/status.h"

#include <inttypes.h>

#define TEXT_MAX       20000 /* bytes of any field */
#define DURATION_MAX_S (INT64_C(7) * 86400)

enum th_code twilio_text(struct th_json_member member, struct th_arena *arena,
                         struct th_str *out_text)
{
    enum th_code code = th_json_scan_str(member.raw, arena, out_text);

    if (code == TH_NOMEM)
        return code;
    if (code != TH_OK || out_text->n > TEXT_MAX)
        *out_text = TH_STR("");
    return TH_OK;
}

int64_t twilio_number(struct th_json_member member)
{
    int64_t number;

    return th_json_scan_int(member.raw, 1, INT32_MAX, &number) ? number : 0;
}

/* UTC; 0 when there is none. */
static int64_t time_of(struct th_str text)
{
    int64_t us;

    return th_date_parse_rfc2822(text, &us) ? us : 0;
}

/* The texts of the n members of an object, in their order.
 * Errors: TH_MALFORMED, TH_NOMEM */
static enum th_code read_texts(struct th_str object, struct th_json_member *members, size_t n,
                               struct th_arena *arena, struct th_str *out_texts)
{
    if (th_json_scan(object, members, n) != TH_OK)
        return TH_MALFORMED;
    for (size_t i = 0; i < n; i++)
        TH_TRY(twilio_text(members[i], arena, &out_texts[i]));
    return TH_OK;
}

/* "-0.00750" is a charge; of messages the sign is not documented, so it does not count. A price
 * with more than six decimals is left alone, as one that is not yet there. */
static void read_price(struct th_str amount, struct th_str unit, struct provider_report *report)
{
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

enum th_code twilio_record_read(enum provider_channel channel, struct th_str record,
                                struct th_arena *arena, struct provider_report *out_report)
{
    enum { SID, TO, STATUS, UPDATED, END, DURATION, PRICE, UNIT, ERROR, MEMBERS };
    struct th_json_member members[MEMBERS] = {
        [SID] = {.name = "sid"},          [TO] = {.name = "to"},
        [STATUS] = {.name = "status"},    [UPDATED] = {.name = "date_updated"},
        [END] = {.name = "end_time"},     [DURATION] = {.name = "duration"},
        [PRICE] = {.name = "price"},      [UNIT] = {.name = "price_unit"},
        [ERROR] = {.name = "error_code"},
    };
    struct provider_report report = {.channel = channel, .sequence = -1, .duration_s = -1};
    struct th_str texts[MEMBERS];

    TH_TRY(read_texts(record, members, MEMBERS, arena, texts));
    int64_t error_code = twilio_number(members[ERROR]);
    if (!twilio_is_id(texts[SID]))
        return TH_MALFORMED;
    TH_TRY(twilio_status_read(&report, texts[STATUS], error_code, 0));
    TH_TRY(th_arena_copy(arena, texts[SID], &report.provider_id));
    TH_TRY(th_arena_copy(arena, twilio_number_of(texts[TO]), &report.to));
    if (error_code) {
        report.provider_code = th_arena_printf(arena, "%" PRId64, error_code);
        if (!report.provider_code.p)
            return TH_NOMEM;
    }
    report.provider_ts_us = time_of(texts[UPDATED]);
    if (channel == PROVIDER_CALL) {
        if (time_of(texts[END]))
            report.provider_ts_us = time_of(texts[END]);
        (void)th_str_int(texts[DURATION], 0, DURATION_MAX_S, &report.duration_s);
    }
    read_price(texts[PRICE], texts[UNIT], &report);
    *out_report = report;
    return TH_OK;
}

static bool is_sender(const struct provider_search *search, struct th_str from,
                      struct th_str service)
{
    return !search->from.n ||
           th_str_eq(twilio_is_service(search->from) ? service : from, search->from);
}

/* A trial account puts words of its own in front. */
static bool has_text(const struct provider_search *search, struct th_str body)
{
    if (search->channel == PROVIDER_CALL || !search->text.n)
        return true;
    if (body.n < search->text.n)
        return false;
    body = (struct th_str){body.p + body.n - search->text.n, search->text.n};
    return th_str_eq(body, search->text);
}

enum th_code twilio_record_matches(const struct provider_search *search, struct th_str record,
                                   struct th_arena *arena, bool *out_does_match)
{
    enum { CREATED, DIRECTION, TO, FROM, SERVICE, BODY, MEMBERS };
    struct th_json_member members[MEMBERS] = {
        [CREATED] = {.name = "date_created"},
        [DIRECTION] = {.name = "direction"},
        [TO] = {.name = "to"},
        [FROM] = {.name = "from"},
        [SERVICE] = {.name = "messaging_service_sid"},
        [BODY] = {.name = "body"},
    };
    struct th_str texts[MEMBERS];

    *out_does_match = false;
    enum th_code code = read_texts(record, members, MEMBERS, arena, texts);
    if (code != TH_OK)
        return code == TH_NOMEM ? code : TH_OK;
    int64_t created_us = time_of(texts[CREATED]);
    *out_does_match = created_us >= search->not_before_us && created_us <= search->not_after_us &&
                      th_str_starts(texts[DIRECTION], TH_STR("outbound-api")) &&
                      th_str_eq(texts[TO], search->to) &&
                      is_sender(search, texts[FROM], texts[SERVICE]) &&
                      has_text(search, texts[BODY]);
    return TH_OK;
}
