/* conformance.h - what every driver of the log must do, as one suite over a factory.
 *
 * A driver's test program fills in struct log_conformance and returns log_conformance_run(&it).
 * Nothing here knows a driver; where a fault is needed the factory makes it.
 */
#ifndef TELEHUB_TESTS_CONFORMANCE_CONFORMANCE_H
#define TELEHUB_TESTS_CONFORMANCE_CONFORMANCE_H

#include "common/eventlog/log.h"

/* Partitions of the keyed and lane topics of every log that the factory makes. */
#define CONFORMANCE_PARTITIONS 4

struct log_conformance {
    const char *name; /* of the driver, for the reader of the output */
    void *arg;        /* handed to each function below */

    /* A new, empty log comes into being; each test begins so and ends with destroy. */
    enum th_code (*create)(void *arg, struct th_err *err);
    void (*destroy)(void *arg);

    /* Open the log that create made. Called again after close: what was acknowledged is there. */
    enum th_code (*open)(void *arg, struct th_log **out_log, struct th_err *err);
    void (*close)(void *arg, struct th_log *log);

    /* Open it once more beside the first, as another process would (own connections, no shared
     * memory). NULL if the driver's log cannot be seen by another process. */
    enum th_code (*open_other)(void *arg, struct th_log **out_log, struct th_err *err);

    /* The next commit that a session of this slot starts loses its answer, having happened or
     * not. What is asked for afterwards is answered. */
    void (*lose_answer)(void *arg, struct th_log *log, enum log_app app, int slot, bool happens);

    /* The next commit that a session of this slot starts stays in flight until let_go. The commit
     * is then free to end as it would have ended. */
    void (*hold)(void *arg, struct th_log *log, enum log_app app, int slot);
    void (*let_go)(void *arg, struct th_log *log, enum log_app app, int slot);

    /* The slot's connection breaks now, between two commits. */
    void (*kill_connection)(void *arg, struct th_log *log, enum log_app app, int slot);

    /* Offsets grow, but some numbers no record has (log.h). */
    bool leaves_numbers_out;

    /* One bit of the newest stored snapshot of this piece is flipped. */
    void (*damage_snapshot)(void *arg, struct th_log *log, enum log_app app, int part, int piece);
};

/* Runs all tests, prints them, and returns how many failed. */
int log_conformance_run(const struct log_conformance *with);

#endif
