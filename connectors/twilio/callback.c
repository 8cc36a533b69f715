#include "connectors/twilio/callback.h"

#include "common/date.h"
#include "common/form.h"
#include "connectors/twilio/status.h"

#define SEQUENCE_MAX   1000000
#define DURATION_MAX_S (INT64_C(7) * 86400)

/* A number that may be missing; absent, also when it is none. */
static int64_t number_of(const struct form *form, const char *name, int64_t max, int64_t absent)
{
    struct th_str text;
    int64_t number = absent;

    if (form_get(form, name, &text))
        (void)th_str_int(text, 0, max, &number);
    return number;
}

static void read_call(const struct form *form, struct provider_report *report)
{
    struct th_str text;

    (void)form_get(form, "Timestamp", &text);
    if (!th_date_parse_rfc2822(text, &report->provider_ts_us))
        report->provider_ts_us = 0;
    report->sequence = number_of(form, "SequenceNumber", SEQUENCE_MAX, -1);
    /* "Duration" is another field: minutes, as they are billed. */
    report->duration_s = number_of(form, "CallDuration", DURATION_MAX_S, -1);
}

/* Which channel the form is about, and the word for its status. */
static bool find_subject(const struct form *form, struct provider_report *report,
                         struct th_str *word)
{
    if (form_get(form, "CallSid", &report->provider_id) && form_get(form, "CallStatus", word)) {
        report->channel = PROVIDER_CALL;
        return true;
    }
    report->channel = PROVIDER_SMS;
    return (form_get(form, "MessageSid", &report->provider_id) ||
            form_get(form, "SmsSid", &report->provider_id)) &&
           (form_get(form, "MessageStatus", word) || form_get(form, "SmsStatus", word));
}

enum th_code twilio_callback_parse(struct th_str body, struct th_arena *arena,
                                   struct provider_report *out_report, struct th_err *err)
{
    struct provider_report report = {.sequence = -1, .duration_s = -1};
    struct form form;
    struct th_str word;
    struct th_str to;

    enum th_code code = form_parse(body, arena, &form);
    if (code == TH_NOMEM)
        return th_fail(err, TH_NOMEM, "callback");
    if (code != TH_OK)
        return th_fail(err, TH_MALFORMED, "the callback is no form that can be read");
    if (!find_subject(&form, &report, &word) || !twilio_is_id(report.provider_id))
        return th_fail(err, TH_MALFORMED, "the callback names no message or call");
    if (form_get(&form, "To", &to))
        report.to = twilio_number_of(to);
    if (report.channel == PROVIDER_CALL)
        read_call(&form, &report);
    int64_t error_code = number_of(&form, "ErrorCode", INT32_MAX, 0);
    int64_t sip_code = number_of(&form, "SipResponseCode", 999, 0);
    if (error_code)
        (void)form_get(&form, "ErrorCode", &report.provider_code);
    if (twilio_status_read(&report, word, error_code, sip_code) != TH_OK)
        return th_fail(err, TH_UNSUPPORTED, "the callback says a status that is not known");
    *out_report = report;
    return TH_OK;
}
