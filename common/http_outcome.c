#include "common/http_outcome.h"

#include <assert.h>

static enum http_outcome client_error(long status)
{
    switch (status) {
    case 400:
    case 401:
    case 403:
    case 404:
    case 405:
    case 410:
    case 413:
    case 415:
    case 422:
    case 451:
        return HTTP_OUTCOME_REJECTED;
    case 429:
        return HTTP_OUTCOME_THROTTLED;
    default:
        return HTTP_OUTCOME_UNKNOWN;
    }
}

enum http_outcome http_outcome(const struct http_reply *reply, bool is_503_not_executed)
{
    if (reply->is_refused)
        return HTTP_OUTCOME_NOT_SENT;
    if (reply->phase != HTTP_COMPLETE)
        return reply->may_have_left ? HTTP_OUTCOME_UNKNOWN : HTTP_OUTCOME_NOT_SENT;
    if (reply->status >= 200 && reply->status < 300)
        return HTTP_OUTCOME_SUCCESS;
    if (reply->status >= 300 && reply->status < 400)
        return HTTP_OUTCOME_REJECTED;
    if (reply->status >= 400 && reply->status < 500)
        return client_error(reply->status);
    if (reply->status == 503 && is_503_not_executed)
        return HTTP_OUTCOME_THROTTLED;
    return HTTP_OUTCOME_UNKNOWN;
}

const char *http_outcome_text(enum http_outcome outcome)
{
    static const char *const texts[] = {
        [HTTP_OUTCOME_NOT_SENT] = "not_sent", [HTTP_OUTCOME_UNKNOWN] = "unknown",
        [HTTP_OUTCOME_SUCCESS] = "success",   [HTTP_OUTCOME_THROTTLED] = "throttled",
        [HTTP_OUTCOME_REJECTED] = "rejected",
    };

    assert((size_t)outcome < TH_LEN(texts));
    return texts[outcome];
}
