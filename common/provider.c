#include "common/provider.h"

#include <assert.h>

static const struct {
    const char *text;
    int rank;
    bool is_final;
    bool is_positive;
} statuses[] = {
    [PROVIDER_STATUS_NONE] = {"none", 0, false, false},
    [PROVIDER_SMS_QUEUED] = {"queued", 10, false, false},
    [PROVIDER_SMS_SENT] = {"sent", 20, false, false},
    [PROVIDER_SMS_ACCEPTED_BY_CARRIER] = {"accepted_by_carrier", 30, false, false},
    [PROVIDER_SMS_EXPIRED] = {"expired", 40, true, false},
    [PROVIDER_SMS_UNDELIVERED] = {"undelivered", 41, true, false},
    [PROVIDER_SMS_FAILED] = {"failed", 42, true, false},
    [PROVIDER_SMS_DELIVERED] = {"delivered", 50, true, true},
    [PROVIDER_SMS_READ] = {"read", 60, true, true},
    [PROVIDER_CALL_INITIATED] = {"initiated", 10, false, false},
    [PROVIDER_CALL_QUEUED] = {"queued", 15, false, false},
    [PROVIDER_CALL_RINGING] = {"ringing", 20, false, false},
    [PROVIDER_CALL_ANSWERED] = {"answered", 30, false, false},
    [PROVIDER_CALL_BUSY] = {"busy", 40, true, false},
    [PROVIDER_CALL_NO_ANSWER] = {"no_answer", 40, true, false},
    [PROVIDER_CALL_FAILED] = {"failed", 40, true, false},
    [PROVIDER_CALL_COMPLETED] = {"completed", 50, true, true},
    [PROVIDER_CALL_CANCELLED] = {"cancelled", 40, true, false},
};

int provider_status_rank(enum provider_status status)
{
    assert((size_t)status < TH_LEN(statuses));
    return statuses[status].rank;
}

bool provider_status_is_final(enum provider_status status)
{
    assert((size_t)status < TH_LEN(statuses));
    return statuses[status].is_final;
}

bool provider_status_is_positive(enum provider_status status)
{
    assert((size_t)status < TH_LEN(statuses));
    return statuses[status].is_positive;
}

const char *provider_status_text(enum provider_status status)
{
    assert((size_t)status < TH_LEN(statuses));
    return statuses[status].text;
}

const char *provider_class_text(enum provider_class error_class)
{
    static const char *const texts[] = {
        [PROVIDER_CLASS_NONE] = "none",
        [PROVIDER_TRANSIENT] = "transient",
        [PROVIDER_TRANSIENT_SLOW] = "transient_slow",
        [PROVIDER_PERMANENT] = "permanent",
        [PROVIDER_PERMANENT_SUPPRESS] = "permanent_suppress",
        [PROVIDER_CONTENT] = "content",
        [PROVIDER_ACCOUNT] = "account",
        [PROVIDER_BUG] = "bug",
    };

    assert((size_t)error_class < TH_LEN(texts));
    return texts[error_class];
}

const char *provider_result_text(enum provider_result result)
{
    static const char *const texts[] = {
        [PROVIDER_ACCEPTED] = "accepted",   [PROVIDER_REJECTED] = "rejected",
        [PROVIDER_THROTTLED] = "throttled", [PROVIDER_UNKNOWN] = "unknown",
        [PROVIDER_NOT_SENT] = "not_sent",
    };

    assert((size_t)result < TH_LEN(texts));
    return texts[result];
}

const char *provider_channel_text(enum provider_channel channel)
{
    switch (channel) {
    case PROVIDER_SMS:
        return "sms";
    case PROVIDER_CALL:
        return "call";
    }
    assert(false && "a mask is not a channel");
    return "";
}
