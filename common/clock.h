/* clock.h - what time it is, as something that can be handed in.
 *
 * All times are microseconds. Realtime is UTC since 1970 and may jump; monotonic never goes back
 * but stands still while the machine sleeps; boottime never goes back and counts sleep.
 */
#ifndef TELEHUB_COMMON_CLOCK_H
#define TELEHUB_COMMON_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TH_US_PER_MS  INT64_C(1000)
#define TH_US_PER_SEC INT64_C(1000000)
#define TH_US_PER_MIN (60 * TH_US_PER_SEC)
#define TH_US_PER_DAY (86400 * TH_US_PER_SEC)

struct th_clock;

struct th_clock_ops {
    int64_t (*realtime_us)(const struct th_clock *clock);
    int64_t (*monotonic_us)(const struct th_clock *clock);
    int64_t (*boottime_us)(const struct th_clock *clock);
};

/* Any thread may read. */
struct th_clock {
    const struct th_clock_ops *ops;
};

static inline int64_t th_clock_realtime_us(const struct th_clock *clock)
{
    return clock->ops->realtime_us(clock);
}

static inline int64_t th_clock_monotonic_us(const struct th_clock *clock)
{
    return clock->ops->monotonic_us(clock);
}

static inline int64_t th_clock_boottime_us(const struct th_clock *clock)
{
    return clock->ops->boottime_us(clock);
}

/* The kernel's clocks. */
extern const struct th_clock th_clock_real;

/* A clock that stands still until it is told to go on. */
struct th_virtual_clock {
    struct th_clock clock; /* hand in its address; first member */
    atomic_int_fast64_t realtime_us;
    atomic_int_fast64_t elapsed_us; /* monotonic and boottime alike, from 0 */
};

void th_virtual_clock_init(struct th_virtual_clock *clock, int64_t realtime_us);

/* Time passes on all of them; us >= 0. */
void th_virtual_clock_advance(struct th_virtual_clock *clock, int64_t us);

/* Somebody sets the wall clock; nothing else moves. */
void th_virtual_clock_set_realtime(struct th_virtual_clock *clock, int64_t realtime_us);

#endif
