/* clock_watch.h - which UTC to believe when the wall clock jumps.
 *
 * Pure. Scheduling uses UTC; a jump of the wall clock must neither fire an hour of timers at once
 * nor stall them. So the wall clock is compared with one that cannot jump: when it moves by more
 * than CLOCK_WATCH_JUMP_US against that one, the old time is extrapolated and is_suspect is set,
 * until the new time has been steady for CLOCK_WATCH_STEADY_US, an operator adopts it, or the wall
 * clock comes back. Smaller differences (slewing) are followed at once.
 */
#ifndef TELEHUB_COMMON_CLOCK_WATCH_H
#define TELEHUB_COMMON_CLOCK_WATCH_H

#include "common/clock.h"

#define CLOCK_WATCH_JUMP_US   (2 * TH_US_PER_SEC)
#define CLOCK_WATCH_STEADY_US (60 * TH_US_PER_SEC)

struct clock_watch {
    int64_t believed_us;     /* realtime minus elapsed, as believed */
    int64_t claimed_us;      /* the same as the wall clock has it; equal unless is_suspect */
    int64_t steady_since_us; /* elapsed time at which claimed_us began; meaningful if suspect */
    bool is_suspect;
};

/* elapsed_us, here and below, is boottime, so that a machine's sleep is no jump. */
void clock_watch_init(struct clock_watch *watch, int64_t realtime_us, int64_t elapsed_us);

/* The UTC to go by. Call it at every turn of a loop, at least every few seconds: what the clock
 * does between two calls is seen as one step. */
int64_t clock_watch_now_us(struct clock_watch *watch, int64_t realtime_us, int64_t elapsed_us);

/* An operator says that the wall clock is right. */
void clock_watch_adopt(struct clock_watch *watch);

#endif
