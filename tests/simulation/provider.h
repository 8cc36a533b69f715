/* provider.h - the telephone company: executes, keeps a ledger, answers, calls back; or fails to.
 */
#ifndef TELEHUB_TESTS_SIMULATION_PROVIDER_H
#define TELEHUB_TESTS_SIMULATION_PROVIDER_H

#include "tests/simulation/world.h"

struct provider *provider_new(void);
void provider_free(struct provider *provider);

/* A request leaves a process. transfer: whom to answer. */
struct sim_request {
    struct attempt_ref attempt;
    int64_t transfer;
    int lane;
    int campaign;
    bool is_call;
    char tenant[8];
    char phone[16];
};
void provider_take(struct world *world, const struct sim_request *request);

/* The sender died: what is still on its way may not arrive. */
void provider_sender_died(struct world *world, int64_t transfer);

/* What it says about a message now. */
bool provider_look(struct world *world, int64_t number, struct th_arena *arena,
                   struct provider_report *out);

/* The same by our name of the attempt. */
bool provider_look_attempt(struct world *world, struct attempt_ref attempt, struct th_arena *arena,
                           struct provider_report *out);

/* What it has of a number, on a lane's account, around a time (UTC); at most max. */
size_t provider_search(struct world *world, int lane, const char *phone, int64_t from_us,
                       int64_t to_us, struct th_arena *arena, struct provider_report *out,
                       size_t max);

#endif
