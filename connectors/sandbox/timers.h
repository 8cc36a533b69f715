/* timers.h - what is due when: a binary heap of moments.
 *
 * Pure; one thread.
 */
#ifndef TELEHUB_SANDBOX_TIMERS_H
#define TELEHUB_SANDBOX_TIMERS_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t due_us;
    uint64_t what; /* the owner's */
};

/* Zero-initialise; free with timers_fini. */
struct timers {
    struct timer *heap; /* owned; a parent is never later than its children */
    size_t n;
    size_t cap;
};

void timers_fini(struct timers *timers);

/* Errors: TH_NOMEM (nothing was added) */
TH_MUST_USE
enum th_code timers_add(struct timers *timers, int64_t due_us, uint64_t what);

/* Take the earliest one if it is due by now_us. */
bool timers_pop(struct timers *timers, int64_t now_us, uint64_t *out_what);

/* When the earliest is due; INT64_MAX if there is none. */
int64_t timers_next_us(const struct timers *timers);

#endif
