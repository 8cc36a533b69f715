/* caller.h - carries a dispatch slot's effects out, as the shell does: permits, the last check,
 * the send journal, one request, one answer. The provider itself is provider.h. */
#ifndef TELEHUB_TESTS_SIMULATION_CALLER_H
#define TELEHUB_TESTS_SIMULATION_CALLER_H

#include "tests/simulation/world.h"

#define CALL_TIMEOUT_US (3 * TH_US_PER_SEC)
#define SEND_WINDOW_US  (2 * TH_US_PER_SEC)

/* What all callers of a world have under way. */
struct transfers *transfers_new(void);
void transfers_free(struct transfers *transfers);

struct effects *caller_new(struct world *world, struct runner *runner);

/* The process is gone, and with it whatever had not left. */
void caller_free(struct effects *effects);

/* Requests that left and have no answer. */
int caller_in_flight(const struct effects *effects);

/* For the provider: the answer to a request, which may have nobody left to hear it. */
struct call_answer {
    enum provider_result result;
    enum provider_class error_class;
    const char *reason;
    int http_status;
    int64_t number; /* of ACCEPTED */
    int64_t retry_after_us;
    bool is_account_refused;
    bool is_accepted_without_id;
};
void caller_answer(struct world *world, int64_t transfer, const struct call_answer *answer);

/* For scenarios: hold every request that has not left back for us. */
void caller_hold(struct effects *effects, int64_t us);

#endif
