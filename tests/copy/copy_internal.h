/* copy_internal.h - what the processes of a copy share. */
#ifndef TELEHUB_TESTS_COPY_COPY_INTERNAL_H
#define TELEHUB_TESTS_COPY_COPY_INTERNAL_H

#include <stdatomic.h>
#include <sys/types.h>

#include "common/clock.h"
#include "tests/copy/copy.h"
#include "tests/copy/copy_events.h"

#define COPY_APP    LOG_APP_RETRY
#define COPY_INPUT  TOPIC_SEND_REQUESTS
#define COPY_OUTPUT TOPIC_SEND_OUTCOMES

/* Exit statuses of a process that copies. */
enum {
    COPY_ENDED = 0,  /* it was asked to */
    COPY_FAILED = 1, /* it has said why */
    COPY_OUSTED = 3, /* somebody else owns its slot */
};

/* In memory that all processes of a run see. */
struct copy_shared {
    atomic_int_fast64_t witnessed; /* events of the output that were right, in order */
    atomic_int_fast64_t copied; /* events, about: who is killed after a commit does not count it */
    atomic_int_fast64_t limit;  /* nobody begins a transaction when so many are copied: what strikes
                                   should find somebody at work */
    atomic_int rest_ms; /* between two transactions, while a server falls: which takes some time */
    /* When the slot's owner next runs a transaction, a signal ends it at a random moment. 0: none;
     * otherwise the signal, and above its 8 bits the chance. */
    atomic_uint_fast64_t doom[COPY_SLOTS];
    atomic_bool is_over;
    atomic_int openings;
    atomic_int found;                 /* commits whose answer was lost, found to have happened */
    atomic_int aborted;               /* commits that did not happen */
    atomic_int ousted;                /* sessions that lost their slot */
    atomic_int_fast64_t transactions; /* of all slots, as the log numbers them; set at the end */
    atomic_int_fast64_t numbers;      /* takeovers: committed, one per transaction */
    atomic_int_fast64_t first_us;     /* takeovers: monotonic; the new owner's first commit */
};

struct copy_job {
    const struct copy_world *world;
    const struct copy_plan *plan;
    struct copy_shared *shared;
};

/* Zeroed. Ends the program when there is no memory. */
struct copy_shared *copy_share(void);

/* A process that runs work and exits with what it returns; it ends when this one does. */
pid_t copy_spawn(const struct copy_job *job, int (*work)(const struct copy_job *job, int slot),
                 int slot);

/* Its exit status; 128 + the signal that ended it. */
int copy_wait(pid_t pid);

/* Was this process asked to end? After copy_mind_signals. */
bool copy_is_asked_to_end(void);
void copy_mind_signals(void);

void copy_sleep_ms(int ms);

/* Open the log, however long that takes; NULL when it fails for good, after saying why. */
struct th_log *copy_open(const struct copy_job *job);

/* --- what processes do: slot, exit status ------------------------------------------------------
 */

/* Each slot's first cursors, then all events into the input. */
int copy_feed(const struct copy_job *job, int unused);

/* Own a slot and copy until asked to end. */
int copy_work(const struct copy_job *job, int slot);

/* Follow the output until the run is over: each event once, in its order. */
int copy_witness(const struct copy_job *job, int unused);

/* Both topics from their beginnings, and how many transactions it took. */
int copy_check(const struct copy_job *job, int unused);

#endif
