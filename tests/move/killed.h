/* killed.h - a copy by a process of its own, which is killed again and again.
 */
#ifndef TELEHUB_TESTS_MOVE_KILLED_H
#define TELEHUB_TESTS_MOVE_KILLED_H

#include "common/err.h"

struct th_log;

/* Opens one of the two logs. */
typedef enum th_code open_log(void *arg, struct th_log **out_log, struct th_err *err);

struct killed_copy {
    open_log *source;
    void *source_arg;
    open_log *target;
    void *target_arg;
    int slots;
    int kills;   /* at most: fewer if it comes to its end before */
    int life_ms; /* of the first; each of the next lives longer, by up to its half and chance, so
                    that on any machine some die in the middle */
    unsigned seed;
};

/* Killed so often, at least once, then let to its end. Ends the test on failure. */
void killed_copy_run(const struct killed_copy *copy);

#endif
