/* problem.h - what is wrong, as RFC 9457 has it: application/problem+json.
 *
 * A table says all problems there are; their slugs are an interface that programs rely on.
 */
#ifndef TELEHUB_GATEWAY_PROBLEM_H
#define TELEHUB_GATEWAY_PROBLEM_H

#include "connectors/gateway/request.h"

/* status, slug, title */
#define PROBLEMS(X)                                                                                \
    X(PROBLEM_BAD_REQUEST, 400, "bad_request", "The request cannot be understood")                 \
    X(PROBLEM_MALFORMED_BODY, 400, "malformed_body", "The body cannot be read")                    \
    X(PROBLEM_KEY_REQUIRED, 400, "idempotency_key_required", "An Idempotency-Key is required")     \
    X(PROBLEM_BAD_KEY, 400, "idempotency_key_malformed", "The Idempotency-Key is malformed")       \
    X(PROBLEM_BAD_TOKEN, 400, "token_malformed", "The TeleHub-Token is not one of this log")       \
    X(PROBLEM_UNAUTHORIZED, 401, "unauthorized", "A key is needed that is known here")             \
    X(PROBLEM_FORBIDDEN, 403, "forbidden", "This key may not do that")                             \
    X(PROBLEM_NOT_FOUND, 404, "not_found", "There is no such thing")                               \
    X(PROBLEM_METHOD, 405, "method_not_allowed", "Not with this method")                           \
    X(PROBLEM_CONFLICT, 409, "conflict", "Not in this state")                                      \
    X(PROBLEM_IN_FLIGHT, 409, "idempotency_in_flight", "The same request is being worked on")      \
    X(PROBLEM_TOO_LARGE, 413, "too_large", "The body is too large")                                \
    X(PROBLEM_TARGET_TOO_LONG, 414, "target_too_long", "The URL is too long")                      \
    X(PROBLEM_MEDIA_TYPE, 415, "unsupported_media_type", "Not with this Content-Type")             \
    X(PROBLEM_INVALID, 422, "invalid_body", "The body says something that is not allowed")         \
    X(PROBLEM_BAD_QUERY, 422, "invalid_query", "A parameter is not allowed")                       \
    X(PROBLEM_MISMATCH, 422, "idempotency_mismatch", "The key was used with another request")      \
    X(PROBLEM_REJECTED_ROWS, 422, "rejected_rows", "There are rows that cannot be accepted")       \
    X(PROBLEM_HEADERS_TOO_LARGE, 431, "headers_too_large", "The headers are too large")            \
    X(PROBLEM_INTERNAL, 500, "internal", "Something is broken here")                               \
    X(PROBLEM_UNKNOWN_OUTCOME, 503, "outcome_unknown", "It may have been stored, or not")          \
    X(PROBLEM_OVERLOADED, 503, "overloaded", "Too much at once")                                   \
    X(PROBLEM_UNAVAILABLE, 503, "unavailable", "A part that is needed does not answer")            \
    X(PROBLEM_BEHIND, 503, "behind", "What was written is not shown yet")

enum problem {
#define PROBLEM_ENUM(id, status, slug, title) id,
    PROBLEMS(PROBLEM_ENUM)
#undef PROBLEM_ENUM
};

#define PROBLEM_COUNT (PROBLEM_BEHIND + 1)

/* Answer with it and the errors noted so far. detail says what to do. 409, 429 and 503 say when to
 * come again. */
enum handled problem(struct request *request, enum problem what, const char *detail, ...)
    TH_PRINTF(3, 4);

/* Note one thing that is wrong; texts are borrowed until the answer is written. Past the 50th they
 * are dropped. */
void problem_note(struct request *request, struct problem_error error);

/* 400 or 422 from a failure of common/json.h, "/name: must be …". */
enum handled problem_json(struct request *request, const struct th_err *err);

/* What an operating failure is to the caller; logged once, here. */
enum handled problem_failure(struct request *request, enum th_code code, const struct th_err *err);

unsigned problem_status(enum problem what);
const char *problem_slug(enum problem what);

#endif
