/* later.so - preloaded (LD_PRELOAD), it makes the day LATER_DAYS days later: what a command does to
 * what is old can be seen without waiting. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

/* Ours stands before the C library's.
 * NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    const char *days = getenv("LATER_DAYS");
    long failed = syscall(SYS_clock_gettime, clock, now);

    if (!failed && clock == CLOCK_REALTIME && days)
        now->tv_sec += strtol(days, NULL, 10) * DAY_S;
    return (int)failed;
}
