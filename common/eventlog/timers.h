/* timers.h - when which entry wants attention: a heap that is rebuilt rather than repaired.
 *
 * A timer that no longer applies is not taken out: whoever pops it compares its due time with the
 * entry's own and ignores what differs. Timers are derived from entries, so after a batch was
 * undone they are cleared and added anew. Pure; one thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_TIMERS_H
#define TELEHUB_COMMON_EVENTLOG_TIMERS_H

#include "common/ids.h"

#define TIMERS_MAX ((size_t)1 << 24) /* 384 MiB of them */

struct timer {
    int64_t due_us;
    struct th_id id;
};

/* Zero-initialise. A 4-ary heap. */
struct timers {
    struct timer *heap;
    size_t n;
    size_t cap;
};

void timers_fini(struct timers *timers);
void timers_clear(struct timers *timers);

/* Errors: TH_NOMEM (also beyond TIMERS_MAX) */
TH_MUST_USE
enum th_code timers_add(struct timers *timers, int64_t due_us, struct th_id id);

/* Most of them no longer apply, there being so few entries: time to clear them and to add what
 * does. */
bool timers_are_stale(const struct timers *timers, size_t entries);

/* INT64_MAX: none. */
int64_t timers_next_us(const struct timers *timers);

/* The earliest one with due_us <= now_us, ties by id; false if none is due. */
bool timers_pop(struct timers *timers, int64_t now_us, struct timer *out_timer);

#endif
