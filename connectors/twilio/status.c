#include "connectors/twilio/status.h"

#include "connectors/twilio/errors.h"

struct word {
    const char *text;
    enum provider_status status;
};

static const struct word sms_words[] = {
    {"accepted", PROVIDER_SMS_QUEUED},
    {"scheduled", PROVIDER_SMS_QUEUED},
    {"queued", PROVIDER_SMS_QUEUED},
    {"sending", PROVIDER_SMS_SENT},
    {"sent", PROVIDER_SMS_SENT},
    {"partially_delivered", PROVIDER_SMS_ACCEPTED_BY_CARRIER},
    {"delivered", PROVIDER_SMS_DELIVERED},
    {"read", PROVIDER_SMS_READ},
    {"undelivered", PROVIDER_SMS_UNDELIVERED},
    {"failed", PROVIDER_SMS_FAILED},
    {"canceled", PROVIDER_SMS_FAILED},
};

static const struct word call_words[] = {
    {"initiated", PROVIDER_CALL_INITIATED}, {"queued", PROVIDER_CALL_QUEUED},
    {"ringing", PROVIDER_CALL_RINGING},     {"in-progress", PROVIDER_CALL_ANSWERED},
    {"answered", PROVIDER_CALL_ANSWERED},   {"completed", PROVIDER_CALL_COMPLETED},
    {"busy", PROVIDER_CALL_BUSY},           {"no-answer", PROVIDER_CALL_NO_ANSWER},
    {"failed", PROVIDER_CALL_FAILED},       {"canceled", PROVIDER_CALL_CANCELLED},
};

enum th_code twilio_status_find(enum provider_channel channel, struct th_str word,
                                enum provider_status *out_status)
{
    const struct word *words = channel == PROVIDER_CALL ? call_words : sms_words;
    size_t n = channel == PROVIDER_CALL ? TH_LEN(call_words) : TH_LEN(sms_words);

    for (size_t i = 0; i < n; i++) {
        if (th_str_eq(word, th_str(words[i].text))) {
            *out_status = words[i].status;
            return TH_OK;
        }
    }
    return TH_UNSUPPORTED;
}

static struct twilio_error error_of_status(enum provider_status status, int64_t sip_code)
{
    struct twilio_error error = {0, 0, PROVIDER_TRANSIENT_SLOW, provider_status_text(status)};

    switch (status) {
    case PROVIDER_CALL_FAILED:
        return twilio_error_of_sip(sip_code);
    case PROVIDER_CALL_BUSY:
        return sip_code == 603 ? twilio_error_of_sip(sip_code) : error;
    case PROVIDER_CALL_CANCELLED: /* by somebody at the provider: not ours to undo */
        error.error_class = PROVIDER_PERMANENT;
        return error;
    case PROVIDER_CALL_NO_ANSWER:
    case PROVIDER_SMS_EXPIRED:
    case PROVIDER_SMS_UNDELIVERED:
    case PROVIDER_SMS_FAILED:
        return error;
    case PROVIDER_STATUS_NONE:
    case PROVIDER_SMS_QUEUED:
    case PROVIDER_SMS_SENT:
    case PROVIDER_SMS_ACCEPTED_BY_CARRIER:
    case PROVIDER_SMS_DELIVERED:
    case PROVIDER_SMS_READ:
    case PROVIDER_CALL_INITIATED:
    case PROVIDER_CALL_QUEUED:
    case PROVIDER_CALL_RINGING:
    case PROVIDER_CALL_ANSWERED:
    case PROVIDER_CALL_COMPLETED:
        break;
    }
    return (struct twilio_error){0, 0, PROVIDER_CLASS_NONE, ""};
}

void twilio_status_explain(struct provider_report *report, int64_t error_code, int64_t sip_code)
{
    struct twilio_error error = error_of_status(report->status, sip_code);
    const struct twilio_error *known = twilio_error_find(error_code);

    report->is_final = provider_status_is_final(report->status);
    report->is_positive = provider_status_is_positive(report->status);
    if (report->is_final && !report->is_positive && error_code) {
        error.error_class = known ? known->error_class : PROVIDER_PERMANENT;
        error.reason = known ? known->reason : "unknown_code";
    }
    report->error_class = error.error_class;
    report->reason = th_str(error.reason);
}

bool twilio_is_id(struct th_str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return false;
    }
    return id.n > 0 && id.n <= 64;
}
