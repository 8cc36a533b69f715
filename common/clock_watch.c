#include "common/clock_watch.h"

#include <stdlib.h>

void clock_watch_init(struct clock_watch *watch, int64_t realtime_us, int64_t elapsed_us)
{
    int64_t offset_us = realtime_us - elapsed_us;

    *watch = (struct clock_watch){.believed_us = offset_us, .claimed_us = offset_us};
}

static bool is_jump(int64_t from_us, int64_t to_us)
{
    return llabs(to_us - from_us) > CLOCK_WATCH_JUMP_US;
}

int64_t clock_watch_now_us(struct clock_watch *watch, int64_t realtime_us, int64_t elapsed_us)
{
    int64_t offset_us = realtime_us - elapsed_us;

    if (is_jump(watch->claimed_us, offset_us)) {
        watch->is_suspect = true;
        watch->steady_since_us = elapsed_us;
    }
    watch->claimed_us = offset_us;
    if (!watch->is_suspect || !is_jump(watch->believed_us, offset_us) ||
        elapsed_us - watch->steady_since_us >= CLOCK_WATCH_STEADY_US)
        clock_watch_adopt(watch);
    return watch->believed_us + elapsed_us;
}

void clock_watch_adopt(struct clock_watch *watch)
{
    watch->believed_us = watch->claimed_us;
    watch->is_suspect = false;
}
