/* behaviour.h - what the simulated provider and recipient will do with one request.
 *
 * Pure. Three independent questions: how is the request answered, what becomes of the message or
 * call, and how do its callbacks come. Each is answered by the recipient's number if that is a
 * magic one, else by chance: a hash of (seed, number, how often that number was tried), so that a
 * run repeats itself whatever the order in which its requests arrive.
 */
#ifndef TELEHUB_SANDBOX_BEHAVIOUR_H
#define TELEHUB_SANDBOX_BEHAVIOUR_H

#include "common/buf.h"

#define PPM 1000000U

/* name in --rates and in the ledger, is the request executed, HTTP status (0: no answer) */
#define ANSWERS(X)                                                                                 \
    X(ANSWER_NORMAL, "normal", true, 201)                                                          \
    X(ANSWER_429, "http_429", false, 429)                                                          \
    X(ANSWER_429_RETRY_AFTER, "http_429_retry_after", false, 429)                                  \
    X(ANSWER_500_BEFORE, "http_500_before", false, 500)                                            \
    X(ANSWER_500_AFTER, "http_500_after", true, 500)                                               \
    X(ANSWER_SLOW, "slow", true, 201)                                                              \
    X(ANSWER_DROP_BEFORE, "drop_before", false, 0)                                                 \
    X(ANSWER_DROP_AFTER, "drop_after", true, 0)

/* name, then for messages: final status, its error code, refused at once with;
 *       then for calls: final status, its SIP code, refused at once with.
 * Where the channel knows no such outcome it is the ordinary one. */
#define OUTCOMES(X)                                                                                \
    X(OUTCOME_DELIVERED, "delivered", "delivered", 0, 0, "completed", 200, 0)                      \
    X(OUTCOME_30003, "undelivered_30003", "undelivered", 30003, 0, "completed", 200, 0)            \
    X(OUTCOME_30004, "undelivered_30004", "undelivered", 30004, 0, "completed", 200, 0)            \
    X(OUTCOME_30005, "undelivered_30005", "undelivered", 30005, 0, "completed", 200, 0)            \
    X(OUTCOME_30006, "undelivered_30006", "undelivered", 30006, 0, "completed", 200, 0)            \
    X(OUTCOME_30007, "undelivered_30007", "undelivered", 30007, 0, "completed", 200, 0)            \
    X(OUTCOME_30008, "undelivered_30008", "undelivered", 30008, 0, "completed", 200, 0)            \
    X(OUTCOME_FAILED, "failed", "failed", 30008, 0, "completed", 200, 0)                           \
    X(OUTCOME_UNSUBSCRIBED, "unsubscribed", "", 0, 21610, "", 0, 21216)                            \
    X(OUTCOME_INVALID, "invalid", "", 0, 21211, "", 0, 21211)                                      \
    X(OUTCOME_UNREACHABLE, "unreachable", "", 0, 21612, "", 0, 21214)                              \
    X(OUTCOME_GEO, "geo_blocked", "", 0, 21408, "", 0, 21215)                                      \
    X(OUTCOME_NOT_MOBILE, "not_mobile", "", 0, 21614, "completed", 200, 0)                         \
    X(OUTCOME_BUSY, "busy", "delivered", 0, 0, "busy", 486, 0)                                     \
    X(OUTCOME_NO_ANSWER, "no_answer", "delivered", 0, 0, "no-answer", 487, 0)                      \
    X(OUTCOME_CALL_FAILED, "call_failed", "delivered", 0, 0, "failed", 404, 0)

#define REPORTS(X)                                                                                 \
    X(REPORT_NORMAL, "normal")                                                                     \
    X(REPORT_DUPLICATED, "dup_callback")                                                           \
    X(REPORT_LATE, "late_callback")                                                                \
    X(REPORT_REORDERED, "reorder_callback")                                                        \
    X(REPORT_NONE, "no_callback")

#define BEHAVIOUR_ENUM(id, ...) id,
enum answer { ANSWERS(BEHAVIOUR_ENUM) };
enum outcome { OUTCOMES(BEHAVIOUR_ENUM) };
enum report { REPORTS(BEHAVIOUR_ENUM) };
#undef BEHAVIOUR_ENUM

#define ANSWERS_N  (ANSWER_DROP_AFTER + 1)
#define OUTCOMES_N (OUTCOME_CALL_FAILED + 1)
#define REPORTS_N  (REPORT_NONE + 1)

enum channel { CHANNEL_SMS, CHANNEL_CALL };

struct answer_facts {
    const char *name;
    bool is_executed;
    unsigned http_status; /* 0: the connection is dropped */
};

/* What an outcome is on one channel. */
struct outcome_facts {
    const char *status; /* final status on the wire; empty if refused */
    int error_code;     /* of a message that did not arrive; for calls the SIP code */
    int refused_code;   /* not 0: answered 400 with this code, nothing is executed */
};

const struct answer_facts *answer_facts(enum answer answer);
struct outcome_facts outcome_facts(enum outcome outcome, enum channel channel);
const char *outcome_name(enum outcome outcome);
const char *report_name(enum report report);

/* False if there is none of that name. */
bool outcome_parse(struct th_str name, enum outcome *out_outcome);
bool report_parse(struct th_str name, enum report *out_report);

/* Parts per million, by what may happen; index 0 of each is ignored, being the rest. */
struct rates {
    uint32_t answer[ANSWERS_N];
    uint32_t outcome[OUTCOMES_N];
    uint32_t report[REPORTS_N];
};

/* "undelivered=3,invalid=0.5,http_429=2": percent, up to four decimals. "undelivered" is spread
 * evenly over the codes 30003, 30005, 30006, 30007. "delivered" may be given; the outcomes must
 * then add up to 100. Empty: everything goes well.
 * Errors: TH_INVALID (an unknown or repeated name, no number, a sum above 100) */
TH_MUST_USE
enum th_code rates_parse(struct th_str text, struct rates *out_rates, struct th_err *err);

/* The text that rates_parse reads, without what is zero. */
void rates_print(const struct rates *rates, struct th_buf *out);

/* Who is tried, and for which time. */
struct trial {
    uint64_t seed;
    uint64_t number; /* E.164 digits as an integer */
    uint32_t tries;  /* 1 for the first */
};

struct behaviour {
    enum answer answer;
    enum outcome outcome;
    enum report report;
};

struct behaviour behaviour_choose(const struct trial *trial, const struct rates *rates);

/* True, and *out filled, if the number's behaviour is fixed by its digits. */
bool behaviour_magic(uint64_t number, uint32_t tries, struct behaviour *out);

/* The table of magic numbers, for --help and the README. */
void behaviour_print_magic(struct th_buf *out);

/* What a draw is for; different purposes are independent. */
enum purpose {
    FOR_ANSWER,
    FOR_OUTCOME,
    FOR_REPORT,
    FOR_LATENCY,
    FOR_SLOWNESS,
    FOR_DELAY,
    FOR_LATENESS
};

/* An integer within [min, max], always the same for the same trial and purpose. */
uint32_t behaviour_draw(const struct trial *trial, enum purpose purpose, uint32_t min,
                        uint32_t max);

#endif
