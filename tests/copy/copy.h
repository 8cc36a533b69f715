/* copy.h - events copied from one topic to another, exactly once, while whoever copies them and
 * the log's own servers are ended at random: one program for every driver of the log.
 *
 * Each event is read, transformed and written, and the cursor moved, in transactions of
 * COPY_BATCH events by the owners of COPY_SLOTS slots, each a process. A witness, a process too,
 * reads the output while it comes into being. When it has seen as many as there are, another one
 * reads both topics from their beginnings. All that they see is compared with what the seed says.
 */
#ifndef TELEHUB_TESTS_COPY_COPY_H
#define TELEHUB_TESTS_COPY_COPY_H

#include "common/eventlog/log.h"

#define COPY_BATCH      750
#define COPY_SLOTS      2
#define COPY_PARTITIONS 4

/* A driver, and the servers behind its log. */
struct copy_world {
    const char *name;
    void *arg; /* handed to each function below */

    /* An empty log with COPY_PARTITIONS. Called once. */
    enum th_code (*create)(void *arg, struct th_err *err);

    /* In any process. */
    enum th_code (*open)(void *arg, struct th_log **out_log, struct th_err *err);

    /* End a server, without a word (is_hard) or in order, and begin it again. Of several servers
     * chance chooses one. They end the program when that cannot be done. what it was: static. */
    const char *(*fell)(void *arg, bool is_hard, uint64_t chance);
    void (*raise)(void *arg);

    /* Between two transactions of a slot from when a server is to fall until it has: so that some
     * are left then. */
    int rest_ms;
};

struct copy_plan {
    uint64_t seed;
    int64_t events;
    int kills;     /* processes that copy: killed, asked to end, or given a rival */
    int falls;     /* servers: felled and raised again */
    int takeovers; /* > 0: measure so many of these instead */
};

/* The plan that the arguments ask for; ends the program, with a text that says how to call it, when
 * they are not understood. Leaves out arguments that the caller knows: those of `own`. */
struct copy_plan copy_plan_of(int argc, char **argv, const char *const *own, const char *own_help);

/* Copy, and print what was done and seen. 0 when everything was as it must be. */
int copy_run(const struct copy_world *world, const struct copy_plan *plan);

/* From kill -9 of a slot's owner to the first commit of the process that waits for it: plan's
 * number of times. 0 unless one of them never came. */
int copy_takeovers(const struct copy_world *world, const struct copy_plan *plan);

#endif
