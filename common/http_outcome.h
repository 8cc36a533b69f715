/* http_outcome.h - what a reply proves, before any provider reads its body.
 *
 * Pure. The table is about certainty: NOT_SENT and the answers are facts, UNKNOWN is everything
 * that may have been executed and must not be sent again.
 */
#ifndef TELEHUB_COMMON_HTTP_OUTCOME_H
#define TELEHUB_COMMON_HTTP_OUTCOME_H

#include "common/http.h"

enum http_outcome {
    HTTP_OUTCOME_NOT_SENT,  /* no complete request left: it cannot have been executed */
    HTTP_OUTCOME_UNKNOWN,   /* it may have been executed: cut off after it left, 5xx, 1xx, and the
                               4xx that do not say "no" (408, 409, 425 and those nobody knows) */
    HTTP_OUTCOME_SUCCESS,   /* 2xx, whole: executed; what it means stands in the body */
    HTTP_OUTCOME_THROTTLED, /* 429, and 503 where the provider documents it as "not executed" */
    HTTP_OUTCOME_REJECTED,  /* 3xx (no redirect is followed) and the 4xx that are a definite no */
};

enum http_outcome http_outcome(const struct http_reply *reply, bool is_503_not_executed);

/* "not_sent"; static storage. */
const char *http_outcome_text(enum http_outcome outcome);

#endif
