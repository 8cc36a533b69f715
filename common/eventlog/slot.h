/* slot.h - the one shell around every core: it reads, decides, commits, and only then acts.
 *
 *   open:  take the slot, load snapshots, replay own events, offer the reference, resume reading
 *   loop:  gather inputs behind the running commit; commit outputs + cursor; run effects
 *
 * A slot is one thread and one log session. slot_step does what is due and never waits, so that a
 * simulation can drive it; slot_run waits between steps.
 *
 * A slot opens when its process's reference is as new as the log was at that moment; somebody
 * must step the follower meanwhile.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_SLOT_H
#define TELEHUB_COMMON_EVENTLOG_SLOT_H

#include "common/clock.h"
#include "common/eventlog/core.h"

#define SLOT_BATCH_INPUTS_MAX 2000
#define SLOT_BATCH_BYTES_MAX  ((size_t)1024 * 1024)

struct slot;

/* The first cursor of each slot, at the beginning of each partition that it reads. Once, when an
 * installation is created, before anything is appended: from then on a slot that finds no cursor
 * but records knows that something was lost, and refuses to open. Slots that have cursors keep
 * them, so that a creation which was interrupted may be repeated. (A slot does the same by itself
 * if it is opened while its topics are empty.)
 * Errors: TH_CORRUPT (no cursors, but records), TH_CONFLICT, TH_UNAVAILABLE, TH_TIMEOUT, TH_NOMEM
 */
TH_MUST_USE
enum th_code slot_init_cursors(struct th_log *log, const struct core_ops *core, int slots,
                               struct th_err *err);

/* Histograms of what a slot does; a NULL one counts nothing. */
struct slot_meters {
    struct th_series *commit_us;    /* from the start of a commit to its outcome */
    struct th_series *batch_inputs; /* inputs of a committed batch */
    struct th_series *batch_events; /* events that it says */
};

/* Has every slot of this core read all that there is of its inputs? Looks only.
 * Errors: TH_CONFLICT  not all: err says where, and how far behind; TH_UNAVAILABLE, TH_NOMEM */
TH_MUST_USE
enum th_code slot_check_settled(struct th_log *log, const struct core_ops *core,
                                struct th_err *err);

/* Of a log that was filled from another: each slot's cursor, the end of all its inputs, whatever
 * the cursor was. Nobody may be at work. Errors: as slot_init_cursors, but for TH_CORRUPT */
TH_MUST_USE
enum th_code slot_end_cursors(struct th_log *log, const struct core_ops *core, int slots,
                              struct th_err *err);

struct slot_config {
    struct th_log *log;
    const struct th_clock *clock;
    struct reference *reference;
    const struct core_ops *core;
    const void *core_config;
    struct effects *effects; /* NULL: the core has none */
    int slot;
    int slots;
    int64_t poll_us; /* how often inputs are looked at without a hint; grows to 8 × when idle */
    int64_t reopen_wait_us; /* after a fence or an error, before competing again */
    struct slot_meters meters;
    size_t snapshot_bytes_min; /* own log bytes since the last snapshot before a new one is made */
};

/* Allocates; touches nothing outside. */
TH_MUST_USE
enum th_code slot_new(const struct slot_config *config, struct slot **out_slot, struct th_err *err);

/* Releases the slot if it is owned. Accepts NULL. */
void slot_free(struct slot *slot);

/* As if the process had died here: no release, nothing finished. For simulations. */
void slot_crash(struct slot *slot);

/* Do what is due now. *out_next_us: UTC time at which to step again at the latest, when no fd
 * speaks up before; now: at once. INT64_MAX: never.
 * Errors: those that slot_run would log and survive: the slot goes on by itself, after a wait, and
 * by reopening if it had to close its session. With *out_next_us == INT64_MAX (TH_CORRUPT) it will
 * not; a human must look. */
TH_MUST_USE
enum th_code slot_step(struct slot *slot, int64_t *out_next_us, struct th_err *err);

/* Step and wait until *stop becomes readable. Logs what fails. */
void slot_run(struct slot *slot, int stop_fd);

/* Is it open, caught up, and what has it done; for health and metrics. */
struct slot_status {
    bool is_open;
    int64_t lag_records[TOPIC_COUNT]; /* behind the log's end when last looked; -1: no input */
    uint64_t inputs;
    uint64_t outputs; /* records committed */
    uint64_t commits;
    uint64_t aborts;
    uint64_t reopens;
    uint64_t dead_letters;
    int64_t commit_us; /* latency of the last commit */
};

/* Any thread. */
struct slot_status slot_status(const struct slot *slot);

static inline int64_t slot_lag(const struct slot_status *status)
{
    int64_t lag = 0;

    for (size_t i = 0; i < TOPIC_COUNT; i++)
        lag += status->lag_records[i] > 0 ? status->lag_records[i] : 0;
    return lag;
}

/* What the core counted when last looked, within a second; nothing while it is closed. Any thread.
 * out: room for CORE_FIGURES_MAX. */
size_t slot_figures(const struct slot *slot, struct core_figure *out);

/* For tests: the core, between two steps of the same thread; NULL when not open. */
const void *slot_core(const struct slot *slot);

/* --- the reference follower --------------------------------------------------------------------
 */

/* Reads the reference topics whole into the table, and then follows them: one per process. */
struct reference_follower;

TH_MUST_USE
enum th_code reference_follower_open(struct th_log *log, struct reference *ref,
                                     struct reference_follower **out_follower, struct th_err *err);

/* Fold what is new. *out_is_caught_up: the ends of all four topics, as of opening, were reached. */
TH_MUST_USE
enum th_code reference_follower_step(struct reference_follower *follower, bool *out_is_caught_up,
                                     struct th_err *err);

/* Step at each hint and every 250 ms at the latest, until stop_fd becomes readable. */
void reference_follower_run(struct reference_follower *follower, int stop_fd);

void reference_follower_close(struct reference_follower *follower);

#endif
