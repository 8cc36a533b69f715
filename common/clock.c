#include "common/clock.h"

#include <assert.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec now;

    int rc = clock_gettime(id, &now);
    assert(rc == 0); /* these clocks exist since Linux 2.6.39 */
    return now.tv_sec * TH_US_PER_SEC + now.tv_nsec / 1000;
}

static int64_t real_realtime_us(const struct th_clock *clock)
{
    (void)clock;
    return read_us(CLOCK_REALTIME);
}

static int64_t real_monotonic_us(const struct th_clock *clock)
{
    (void)clock;
    return read_us(CLOCK_MONOTONIC);
}

static int64_t real_boottime_us(const struct th_clock *clock)
{
    (void)clock;
    return read_us(CLOCK_BOOTTIME);
}

static const struct th_clock_ops real_ops = {
    .realtime_us = real_realtime_us,
    .monotonic_us = real_monotonic_us,
    .boottime_us = real_boottime_us,
};

const struct th_clock th_clock_real = {&real_ops};

static int64_t virtual_realtime_us(const struct th_clock *clock)
{
    return atomic_load(&((const struct th_virtual_clock *)clock)->realtime_us);
}

static int64_t virtual_elapsed_us(const struct th_clock *clock)
{
    return atomic_load(&((const struct th_virtual_clock *)clock)->elapsed_us);
}

static const struct th_clock_ops virtual_ops = {
    .realtime_us = virtual_realtime_us,
    .monotonic_us = virtual_elapsed_us,
    .boottime_us = virtual_elapsed_us,
};

void th_virtual_clock_init(struct th_virtual_clock *clock, int64_t realtime_us)
{
    clock->clock.ops = &virtual_ops;
    atomic_init(&clock->realtime_us, realtime_us);
    atomic_init(&clock->elapsed_us, 0);
}

void th_virtual_clock_advance(struct th_virtual_clock *clock, int64_t us)
{
    assert(us >= 0);
    atomic_fetch_add(&clock->realtime_us, us);
    atomic_fetch_add(&clock->elapsed_us, us);
}

void th_virtual_clock_set_realtime(struct th_virtual_clock *clock, int64_t realtime_us)
{
    atomic_store(&clock->realtime_us, realtime_us);
}
