/* slot_echo.h - effects that answer every call at once: accepted. For slots that run as threads. */
#ifndef TELEHUB_TESTS_UNIT_SLOT_ECHO_H
#define TELEHUB_TESTS_UNIT_SLOT_ECHO_H

#include "common/eventlog/effect.h"

/* One thread at a time: the slot's, and who joined it. */
struct echo {
    struct effects effects; /* first; hand in its address */
    int fd;
    struct attempt_ref *calls; /* made so far, in order */
    size_t n;
    size_t max;
    size_t answered;
    uint64_t session; /* 0: none */
};

void echo_init(struct echo *echo, size_t calls_max);
void echo_fini(struct echo *echo);

#endif
