/* memory_log.h - the log that lives in this process, and the faults that a test can order.
 *
 * Keeps every promise of log.h for as long as the struct th_log is open; nothing reaches another
 * process. Deterministic: time comes from the clock that it was given, identity and nonces from a
 * seed, and everything is settled at once unless a test ordered otherwise.
 *
 * Threads: as log.h; the test controls may be called from any thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_MEMORY_LOG_H
#define TELEHUB_COMMON_EVENTLOG_MEMORY_LOG_H

#include "common/eventlog/log.h"

struct th_clock;

/* What becomes of a commit. */
enum memory_fate {
    MEMORY_COMMIT,         /* durable at once, and answered */
    MEMORY_ABORT,          /* rolled back, and answered */
    MEMORY_LOST_COMMITTED, /* the answer was lost; asking finds that it happened */
    MEMORY_LOST_ABORTED,   /* the answer was lost; asking finds that it did not */
    MEMORY_HOLD,           /* in flight until memory_log_settle; PENDING till then */
};

struct memory_log_options {
    int partitions;   /* of keyed and lane topics, 1 .. LOG_PARTITIONS_MAX */
    size_t bytes_max; /* keys and values (and 32 bytes for each record), answers kept for
                         idempotency, snapshots; more is TH_FULL, a commit is then ABORTED */
    const struct th_clock *clock; /* at_us of records, age of answers; outlives the log */
    uint64_t seed;

    /* No eventfds: the descriptors of sessions and listeners are -1. For simulations, which need
     * no wake-up and open thousands of logs. */
    bool is_quiet;

    /* Asked at each commit that no memory_log_plan speaks of; NULL: MEMORY_COMMIT. Must not call
     * the log. */
    enum memory_fate (*fate)(void *fate_arg, enum log_app app, int slot, uint64_t seq);
    void *fate_arg;
};

/* Errors: TH_INVALID (partitions), TH_NOMEM, TH_IO (no descriptors left). */
TH_MUST_USE
enum th_code memory_log_new(const struct memory_log_options *options, struct th_log **out_log,
                            struct th_err *err);

/* --- test controls ------------------------------------------------------------------------- */

#define MEMORY_PLANS_MAX 64 /* plans not yet used up, in all; more is a bug of the test */

/* The nth commit that a session of this slot starts from now on (0: the next one) gets this fate.
 */
void memory_log_plan(struct th_log *log, enum log_app app, int slot, uint64_t nth,
                     enum memory_fate fate);

/* Let the held commit of a slot come to its end, which is not MEMORY_HOLD. It comes too late
 * (FENCED, nothing happens) if the slot was opened or fenced since it began. False if none was
 * held. A session that was closed while it held a commit still has it in flight. */
bool memory_log_settle(struct th_log *log, enum log_app app, int slot, enum memory_fate fate);

/* As if another process had become the owner of the slot. */
void memory_log_fence(struct th_log *log, enum log_app app, int slot);

/* How far the slot has committed to have read a partition: the next offset. -1: it has not. */
int64_t memory_log_cursor(struct th_log *log, enum log_app app, int slot, enum topic topic,
                          int part);

/* The processes of all sessions are gone: whatever their objects still ask for is FENCED, and
 * they may only be closed. Held commits stay in flight, records and cursors stay. */
void memory_log_crash(struct th_log *log);

enum memory_down {
    MEMORY_DOWN_READ = 1,        /* readers, th_log_end, snapshot_get: TH_UNAVAILABLE */
    MEMORY_DOWN_APPEND = 2,      /* append, ingest, snapshot_put: nothing stored */
    MEMORY_DOWN_APPEND_LOST = 4, /* append, ingest: stored, and yet TH_UNAVAILABLE */
    MEMORY_DOWN_OPEN = 8,        /* session_open */
};

/* A set of memory_down, from now on; 0: all is well again. */
void memory_log_set_down(struct th_log *log, unsigned down);

/* Flip a bit in the newest snapshot of a piece; false if there is none with a body. */
bool memory_log_damage_snapshot(struct th_log *log, enum log_app app, int part, int piece);

/* What bytes_max is held against. */
size_t memory_log_bytes(struct th_log *log);

#endif
