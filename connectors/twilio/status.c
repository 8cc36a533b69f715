#include "connectors/twilio/status.h"

#include "common/phone.h"
#include "connectors/twilio/errors.h"

struct word {
    const char *text;
    enum provider_status status;
    bool is_cancelled;
};

static const struct word sms_words[] = {
    {"accepted", PROVIDER_SMS_QUEUED, false},
    {"scheduled", PROVIDER_SMS_QUEUED, false},
    {"queued", PROVIDER_SMS_QUEUED, false},
    {"sending", PROVIDER_SMS_SENT, false},
    {"sent", PROVIDER_SMS_SENT, false},
    {"partially_delivered", PROVIDER_SMS_ACCEPTED_BY_CARRIER, false},
    {"delivered", PROVIDER_SMS_DELIVERED, false},
    {"read", PROVIDER_SMS_READ, false},
    {"undelivered", PROVIDER_SMS_UNDELIVERED, false},
    {"failed", PROVIDER_SMS_FAILED, false},
    {"canceled", PROVIDER_SMS_FAILED, true},
};

static const struct word call_words[] = {
    {"initiated", PROVIDER_CALL_INITIATED, false}, {"queued", PROVIDER_CALL_QUEUED, false},
    {"ringing", PROVIDER_CALL_RINGING, false},     {"in-progress", PROVIDER_CALL_ANSWERED, false},
    {"answered", PROVIDER_CALL_ANSWERED, false},   {"completed", PROVIDER_CALL_COMPLETED, false},
    {"busy", PROVIDER_CALL_BUSY, false},           {"no-answer", PROVIDER_CALL_NO_ANSWER, false},
    {"failed", PROVIDER_CALL_FAILED, false},       {"canceled", PROVIDER_CALL_CANCELLED, true},
};

static const struct word *find_word(enum provider_channel channel, struct th_str text)
{
    const struct word *words = channel == PROVIDER_CALL ? call_words : sms_words;
    size_t n = channel == PROVIDER_CALL ? TH_LEN(call_words) : TH_LEN(sms_words);

    for (size_t i = 0; i < n; i++) {
        if (th_str_eq(text, th_str(words[i].text)))
            return &words[i];
    }
    return NULL;
}

static struct twilio_error error_of_status(enum provider_status status, int64_t sip_code)
{
    struct twilio_error error = {0, 0, PROVIDER_TRANSIENT_SLOW, provider_status_text(status)};

    switch (status) {
    case PROVIDER_CALL_FAILED:
        return twilio_error_of_sip(sip_code);
    case PROVIDER_CALL_BUSY:
        return sip_code == 603 ? twilio_error_of_sip(sip_code) : error;
    case PROVIDER_CALL_CANCELLED:
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

enum th_code twilio_status_read(struct provider_report *report, struct th_str word,
                                int64_t error_code, int64_t sip_code)
{
    const struct word *known_word = find_word(report->channel, word);
    const struct twilio_error *known = twilio_error_find(error_code);

    if (!known_word)
        return TH_UNSUPPORTED;
    report->status = known_word->status;
    report->is_final = provider_status_is_final(report->status);
    report->is_positive = provider_status_is_positive(report->status);

    struct twilio_error error = error_of_status(report->status, sip_code);
    if (known_word->is_cancelled) { /* by somebody at the provider: not ours to undo */
        error.error_class = PROVIDER_PERMANENT;
        error.reason = "cancelled";
    } else if (report->is_final && !report->is_positive && error_code) {
        error.error_class = known ? known->error_class : PROVIDER_PERMANENT;
        error.reason = known ? known->reason : "unknown_code";
    }
    report->error_class = error.error_class;
    report->reason = th_str(error.reason);
    return TH_OK;
}

struct th_str twilio_number_of(struct th_str to)
{
    static const struct th_str whatsapp = {"whatsapp:", 9};
    struct th_str number = to;

    if (th_str_starts(number, whatsapp))
        number = (struct th_str){number.p + whatsapp.n, number.n - whatsapp.n};
    return th_phone_is_e164(number) ? number : TH_STR("");
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
