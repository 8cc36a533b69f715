/* process.h - the parts of a running telehub: threads with a name, a way to stop, a way to tell how
 * they are.
 */
#ifndef TELEHUB_PROCESSORS_MAIN_PROCESS_H
#define TELEHUB_PROCESSORS_MAIN_PROCESS_H

#include "common/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define PROCESS_PARTS_MAX 256
#define PART_NAME_MAX     24

/* One thread. run returns soon after stop_fd became readable. */
struct part_ops {
    void (*run)(void *self, int stop_fd);
    void (*free)(void *self);    /* after run has returned, or instead of it */
    bool (*is_well)(void *self); /* any thread; NULL: always */
    void (*measure)(void *self); /* set its figures; any thread; NULL: it has none */
};

struct part {
    char name[PART_NAME_MAX];
    const struct part_ops *ops;
    void *self;
    pthread_t thread;
    int stop_fd;
};

struct process {
    struct part parts[PROCESS_PARTS_MAX];
    atomic_size_t n; /* only grows while threads ask */
    int stop_fd;     /* readable: stop */
};

/* process is zeroed. Errors: TH_IO */
TH_MUST_USE
enum th_code process_init(struct process *process, struct th_err *err);

/* The process owns self from now on, also when this fails.
 * Errors: TH_FULL, TH_UNAVAILABLE (no thread) */
TH_MUST_USE
enum th_code process_start(struct process *process, const char *name, const struct part_ops *ops,
                           void *self, struct th_err *err);

/* Are there want parts whose names begin so, and are all of them well? Any thread. */
bool process_is_well(struct process *process, const char *prefix, size_t want);

/* Have every part set its figures. Any thread. */
void process_measure(struct process *process);

/* Every part is asked to stop; waits until until_us (CLOCK_MONOTONIC) at most, then frees those
 * that did. False: some did not, and what they use must not be freed. */
TH_MUST_USE
bool process_stop(struct process *process, int64_t until_us);

#endif
