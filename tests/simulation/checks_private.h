/* checks_private.h - what the log and the ledger have told so far; for checks*.c only. */
#ifndef TELEHUB_TESTS_SIMULATION_CHECKS_PRIVATE_H
#define TELEHUB_TESTS_SIMULATION_CHECKS_PRIVATE_H

#include "tests/simulation/checks.h"

#define NO_LINE (-1)

enum end {
    END_NONE,
    END_ACCEPTED,
    END_SUPPRESSED,
    END_ENDED,
};

struct attempt_fact {
    bool is_planned, is_started, is_returned, is_not_executed, is_reported, is_in_doubt, is_taken,
        has_failed_repeat, is_reached, is_unreached;
    enum provider_reconciliation reconciliation; /* of its lane, once it is started */
    int64_t line;                                /* in the ledger; NO_LINE */
    int64_t release;                             /* that it was planned by */
    int64_t repeat_at_us; /* when its repeat may leave; far off while that was not answered */
};

struct send_fact {
    struct th_id id;
    int campaign; /* -1: from the API */
    int ordinal;
    bool is_admitted;
    enum end end;
    bool is_reached;
    int32_t reached_n; /* that its end names */
    char reason[32];
    struct log_place proof; /* of the first final report, for retry, that somebody was reached */
    bool has_proof;
    int64_t release; /* the last one it got */
    int32_t n;
    struct attempt_fact *attempts; /* n - 1 */
    int32_t attempts_cap;
};

struct row_fact {
    int64_t send; /* index; -1: none */
    bool is_duplicate;
};

/* A release of a campaign. */
struct release_fact {
    int pace;           /* that held when it was made; 0: none */
    int64_t send_at_us; /* UTC */
    int64_t send_by_us; /* 0: no limit */
};

/* A call, and the pace its release was made at; 0: none. */
struct paced_call {
    int64_t at_us;
    int pace;
};

struct campaign_fact {
    struct row_fact *rows;
    struct paced_call *executed;
    size_t executed_n, executed_cap;
    int pace;                      /* of what is released now; 0: none */
    struct release_fact *releases; /* by their numbers */
    size_t releases_n, releases_cap;
    int64_t limited_us;      /* when the last release after one without a limit was seen, */
    int64_t limited_release; /* and which it is; 0: there was none */
    bool may_start[SIM_SLOTS];
    bool was_started[SIM_SLOTS], was_let[SIM_SLOTS], is_forbidden[SIM_SLOTS]; /* in this step */
};

struct checks {
    struct th_log_reader *reader;
    struct th_arena arena;
    int64_t offsets[TOPIC_COUNT][SIM_PARTITIONS];
    int64_t outcomes_read[SIM_PARTITIONS]; /* by retry, as it had committed before this step */
    struct send_fact *sends;
    size_t sends_n, sends_cap;
    size_t *index; /* of sends by id; SIZE_MAX: free */
    size_t index_cap;
    struct campaign_fact campaigns[SIM_CAMPAIGNS_MAX];
    struct execution *ledger;
    size_t ledger_n, ledger_cap;
    int64_t counts[SIM_COUNTS];
};

/* NULL: nobody requested it. */
struct send_fact *checks_find(const struct checks *checks, struct th_id id);

/* Its number; ends the run when there is no such campaign. */
int checks_campaign(struct world *world, struct th_id id);

/* checks_pace.c: an event of campaign.events; a call of campaign i that is about to be in the
 * ledger.
 */
void checks_pace_told(struct world *world, const struct event *event);
void checks_pace_called(struct world *world, int i, const struct attempt_fact *attempt);
void checks_pace_free(struct campaign_fact *campaign);

#endif
