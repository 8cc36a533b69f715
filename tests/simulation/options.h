/* options.h - what a run is made of: all of it follows from the seed, or is set by a scenario. */
#ifndef TELEHUB_TESTS_SIMULATION_OPTIONS_H
#define TELEHUB_TESTS_SIMULATION_OPTIONS_H

#include "common/provider.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_CAMPAIGNS_MAX 4
#define SIM_LANES_MAX     4
#define SIM_TENANTS_MAX   2

struct sim_lane {
    int number; /* lanes 1 and 5 share a partition */
    int tenant;
    int weight;
    int rate_per_s;
    int concurrency;
    enum provider_reconciliation reconciliation;
};

struct sim_campaign {
    int tenant;
    int audience; /* recipients */
    int part_rows;
    int pace_per_min; /* 0: max */
    bool is_call;
    bool allow_duplicates;
    bool is_at_least_once;
    int opens_min; /* minute of the day before which nobody is called */
    int attempts_max;
};

/* Of 1,000, unless it says otherwise. */
struct sim_odds {
    /* of a commit */
    int abort, lost_committed, lost_aborted, hold;
    /* of a fault tick */
    int kill, freeze, fence, down, jump, reboot;
    /* of a request to the provider */
    int connect_fails, throttled, error_before, error_after, dropped_before, dropped_after,
        account_refused, no_id;
    /* of a message that was executed: its report is negative, and then so often transient */
    int report_fails, report_transient;
    int report_turns; /* of a negative one, where callbacks come: the opposite is said as well */
    /* of a callback */
    int callback_lost, callback_twice, callback_late;
    /* of an immediate question */
    int unavailable;
    int put_off; /* of a look-up: there is no room for it */
    int behind;  /* of a fault tick: dispatch is told that it has many callbacks to read */
    int journal_fails;
    int executed_twice; /* of a request: what no provider may do; to see that it is noticed */
    int invalid_number; /* of a recipient */
};

struct sim_options {
    uint64_t seed;
    int salt; /* another run of the same options */
    int tenants;
    int lanes_n;
    struct sim_lane lanes[SIM_LANES_MAX];
    int campaigns_n;
    struct sim_campaign campaigns[SIM_CAMPAIGNS_MAX];
    int shared_numbers; /* of 1,000 recipients: have the number of another */
    int api_sends;
    int commands;      /* pause, resume, cancel, stop, opt-out */
    int pace_changes;  /* of a campaign while it runs, before and after */
    int processes;     /* 1: all roles in one; 3: a process each; 6: a process for each slot */
    int64_t faults_us; /* for so long things go wrong; 0: never */
    int64_t fault_every_us;
    int64_t way_max_us;     /* a request's way to the provider */
    int64_t latency_max_us; /* and its answer */
    int64_t callback_max_us;
    int64_t callback_window_us;
    int64_t report_wait_us;
    bool has_no_views; /* where they would take longer than all the rest */
    int64_t poll_us;
    int64_t follow_max_us; /* between two looks at the reference topics */
    int64_t look_ahead;
    int lane_plans; /* most unsettled plans of a lane without a rate */
    int snapshot_bytes_min;
    struct sim_odds odds;
};

/* What the seed says. */
void sim_options_of_seed(uint64_t seed, struct sim_options *out);

/* Nothing goes wrong, one tenant, one lane, one campaign of n. */
void sim_options_quiet(uint64_t seed, int n, struct sim_options *out);

/* A slow lane and one that is a hundred times faster share a partition; n plans. */
void sim_options_lanes(int n, struct sim_options *out);

/* n recipients at so many a minute; now and then the process dies or freezes. */
void sim_options_paced(int n, int pace_per_min, struct sim_options *out);

/* Change one by its name, as "kill=0" or "audience=3". False: there is none of that name, or the
 * value makes no sense. */
bool sim_options_set(struct sim_options *options, const char *text);

#define SIM_SETS_MAX 1024

/* Several, with commas between them: less than SIM_SETS_MAX bytes. False: likewise, or too long. */
bool sim_options_set_all(struct sim_options *options, const char *sets);

/* What a smaller story may do without: the names that can be set, in the order in which it is
 * tried, and the least value of each; NULL: there are no more. */
const char *sim_options_knob(size_t i, int64_t *out_least);
int64_t sim_options_value(const struct sim_options *options, size_t knob);

void sim_options_print(const struct sim_options *options, FILE *to);

#endif
