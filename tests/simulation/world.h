/* world.h - everything that a run consists of: log, clock, processes, provider, people.
 *
 * One thread; one seed decides all of it. The slots are those that telehub runs, over the cores
 * that telehub links; what is simulated is the log's media, the clock, the provider and chance.
 */
#ifndef TELEHUB_TESTS_SIMULATION_WORLD_H
#define TELEHUB_TESTS_SIMULATION_WORLD_H

#include "common/clock_watch.h"
#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "processors/campaign/campaign.h"
#include "processors/dispatch/dispatch.h"
#include "processors/retry/retry.h"
#include "tests/simulation/agenda.h"
#include "tests/simulation/options.h"

#include <stdio.h>

#define SIM_PARTITIONS    4
#define SIM_SLOTS         2
#define SIM_APPS          3
#define SIM_SEATS         6 /* SIM_APPS * SIM_SLOTS */
#define SIM_PROCESSES_MAX 512

struct journals;
struct provider;
struct people;
struct checks;
struct transfers;
struct analyst;

enum sim_app {
    SIM_CAMPAIGN,
    SIM_RETRY,
    SIM_DISPATCH,
};

/* A process: it knows the reference, and runs some of the slots. */
struct process {
    int number;
    bool is_alive;
    bool is_frozen;
    unsigned seats; /* bit app * SIM_SLOTS + slot */
    struct reference *reference;
    struct reference_follower *follower;
    struct runner *runners[SIM_SEATS]; /* NULL: not its */
};

/* A slot in a process. */
struct runner {
    struct world *world;
    struct process *process;
    int index; /* in world.runners */
    enum sim_app app;
    int slot_number;
    struct slot *slot;
    void *config; /* of its core */
    struct effects *effects;
    struct clock_watch watch; /* what the slot makes of the clock */
    bool is_watching;
    int64_t due_us; /* of the step that is on the agenda; INT64_MAX: none */
};

struct campaign_plan {
    struct th_id id;
    struct th_id audience;
};

struct world {
    struct sim_options options;
    struct rng rng;
    struct th_virtual_clock clock;
    struct agenda agenda;
    struct th_log *log;
    struct th_arena scratch; /* of what is appended */
    struct unsent *unsent;   /* what the log does not have yet */
    uint64_t ids;

    struct process *processes[SIM_PROCESSES_MAX];
    int processes_n;
    struct runner **runners; /* all there ever were; NULL: gone */
    size_t runners_n;
    struct process *owners[SIM_SEATS]; /* who ought to own each slot; NULL: nobody just now */

    struct provider *provider;
    struct transfers *transfers;
    struct journals *journals;
    struct people *people;
    struct checks *checks;
    struct analyst *analyst;
    struct campaign_plan campaigns[SIM_CAMPAIGNS_MAX];

    bool has_faults; /* things may go wrong now */
    unsigned down;   /* of the log */
    int64_t pending; /* things on the agenda that are neither polling nor chance */
    int64_t in_flight_at_kills;
    int64_t kills;
    uint64_t steps;
    bool is_stopped[SIM_TENANTS_MAX]; /* as commanded */

    bool is_tracing; /* print as it happens */
    FILE *prose;     /* the story in words goes there; NULL: nowhere */
    char **trace;    /* the last lines */
    size_t trace_n;
};

/* Everything is set up, the recipients are there, nothing runs yet. */
struct world *world_new(const struct sim_options *options, bool is_tracing);
void world_free(struct world *world);

/* Boottime of the simulation; UTC as a machine with a right clock has it. */
int64_t world_now(const struct world *world);
int64_t world_utc(const struct world *world);

/* fn(world, arg) in us. counted: the world is not at rest before it happened. */
void world_after(struct world *world, int64_t us, agenda_fn *fn, int64_t arg);
void world_after_counted(struct world *world, int64_t us, agenda_fn *fn, int64_t arg);

/* A counted thing has happened; its function says so. */
void world_done(struct world *world);

/* How the attempts of a lane are settled whose outcome is unknown. */
enum provider_reconciliation world_reconciliation(const struct world *world, int lane);

/* A new id. */
struct th_id world_id(struct world *world);
const char *world_tenant(int tenant);

/* --- running ---------------------------------------------------------------------------------- */

/* One thing happens; false when nothing is left. */
bool world_turn(struct world *world);

void world_run_for(struct world *world, int64_t us);

/* Until done(world) holds; fails when that takes longer than us. what: for the report. */
void world_run_until(struct world *world, bool (*done)(struct world *world), int64_t us,
                     const char *what);

/* No more faults, no stop, nobody paused: until everything has ended; then the last checks. */
void world_settle(struct world *world);

/* Start the processes that the options say, and plan the trouble that they will have. */
void world_begin(struct world *world);

/* A whole run as its options say: start, trouble, settle. */
void world_run(struct world *world);

/* --- processes -------------------------------------------------------------------------------- */

/* Start a process for these seats; it becomes their owner. */
struct process *world_start_process(struct world *world, unsigned seats);

/* kill -9. A new one takes its place after us; negative: none does. */
void world_kill(struct world *world, struct process *process, int64_t after_us);

/* SIGSTOP now, SIGCONT after us; if has_rival, another takes over meanwhile. The thawed one is
 * killed a while later. */
void world_freeze(struct world *world, struct process *process, int64_t us, bool has_rival);

/* The process that ought to own a slot; NULL: nobody just now. */
struct process *world_owner(struct world *world, enum sim_app app, int slot);

/* The core of a slot as its owner has it; NULL while it is not open. */
const void *world_core(struct world *world, enum sim_app app, int slot);

/* Step a runner soon: it has something to do. */
void world_wake(struct world *world, struct runner *runner);

/* --- the gateway's side ------------------------------------------------------------------------
 */

/* Append until it is durable: where the log does not answer, the same again. Requests carry an
 * idempotency key; callbacks may then be there twice. */
void world_append(struct world *world, enum topic topic, int part, struct th_str key,
                  const struct event *event);

/* What still waits for the log is let go. */
void world_forget_unsent(struct world *world);

enum sim_command { SIM_CREATE, SIM_START, SIM_PAUSE, SIM_RESUME, SIM_CANCEL };
void world_command(struct world *world, int campaign, enum sim_command command);
void world_set_pace(struct world *world, int campaign, int per_min); /* 0: none */
void world_enable_lane(struct world *world, int lane, bool is_enabled);
void world_stop_tenant(struct world *world, int tenant, bool is_stopped);
void world_opt_out(struct world *world, int tenant, struct th_str phone);
void world_send_api(struct world *world, int tenant, bool is_call);

/* Of the campaign's owner; false while it is not open or does not know it. */
bool world_look(struct world *world, int campaign, struct campaign_counts *out);

/* --- telling ------------------------------------------------------------------------------------
 */

void world_say(struct world *world, const char *fmt, ...) TH_PRINTF(2, 3);

/* A promise was broken: say which, how to see it again, what happened last; the program ends. */
_Noreturn void world_fail(struct world *world, const char *fmt, ...) TH_PRINTF(2, 3);

#endif
