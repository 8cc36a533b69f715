/* checks.h - what must hold, held against the log and the provider's own ledger.
 *
 * Folds every record of the log by itself, in the order of their becoming durable, and knows of
 * the cores only what their events say. After every step: an attempt is started once and executed
 * once; a send is executed again only after the provider said that the one before failed; nothing
 * starts in a slot between the pause that it applied and the resume that it applies; keys are in
 * order, offsets have no gaps; the pace holds in the ledger, also while it is changed. At the end:
 * everybody stands in exactly one place, and the ledger agrees.
 */
#ifndef TELEHUB_TESTS_SIMULATION_CHECKS_H
#define TELEHUB_TESTS_SIMULATION_CHECKS_H

#include "tests/simulation/world.h"

struct checks *checks_new(struct world *world);
void checks_free(struct checks *checks);

/* Take in what is new on the log. */
void checks_step(struct world *world);

struct execution {
    struct attempt_ref attempt;
    int campaign; /* -1: from the API */
    int lane;
    bool is_call;
    char phone[16];
    int64_t at_us;     /* boottime */
    bool is_negative;  /* the provider's final word will be, or was, that nobody was reached */
    bool is_transient; /* and that it may be tried again */
    bool is_told;      /* that word has left the provider */
};

/* The provider executes: its ledger's next line. Returns its number. */
int64_t checks_executed(struct world *world, const struct execution *execution);

/* The final word on line number has left the provider. */
void checks_told(struct world *world, int64_t number);

const struct execution *checks_ledger(const struct world *world, size_t *out_n);

/* Everything is at rest. */
void checks_end(struct world *world);

/* Sends of a campaign that stand in an end, by the log; for scenarios. */
struct sim_certificate {
    int64_t reached;
    int64_t accepted;
    int64_t unreached;
    int64_t suppressed;
    int64_t in_doubt;
    int64_t never_released;
};
void checks_certificate(struct world *world, int campaign, struct sim_certificate *out);

/* Sends there are, and the set of the certificate that one belongs to. */
size_t checks_sends(const struct world *world);
const char *checks_set(struct world *world, struct th_id id);

/* How often the log says so, over everything. */
enum sim_count {
    SIM_STARTED,
    SIM_RETURNED,
    SIM_RETURNED_LATE,
    SIM_NOT_SENT, /* by permit, window or journal */
    SIM_BY_JOURNAL,
    SIM_UNKNOWN,
    SIM_PLANNED,
    SIM_RELEASES,
    SIM_GRANTS, /* releases after the first */
    SIM_PACE_CHANGES,
};
#define SIM_COUNTS (SIM_PACE_CHANGES + 1)
int64_t checks_count(const struct world *world, enum sim_count what);

/* Which recipient of its campaign a send is for; -1: it came from the API, or nobody knows it. */
int checks_ordinal(const struct world *world, struct th_id send);

/* The ledger's line of an attempt; -1: it was not executed. */
int64_t checks_line(const struct world *world, struct attempt_ref attempt);

/* A repeat of the attempt under its key was not accepted: what became of the first one stays open.
 */
void checks_repeat_failed(struct world *world, struct attempt_ref attempt);

/* Of an attempt: has the log an AttemptStarted for it? */
bool checks_is_started(const struct world *world, struct attempt_ref attempt);

#endif
