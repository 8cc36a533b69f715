#include "processors/campaign/pace.h"

#include <assert.h>

int64_t pace_spacing_us(int32_t per_min)
{
    assert(per_min > 0);
    return (PACE_WINDOW_US + per_min - 1) / per_min;
}

int32_t pace_group(int32_t per_min)
{
    int64_t n = PACE_GROUP_US / pace_spacing_us(per_min);

    return n < 1 ? 1 : (int32_t)n;
}

int64_t pace_send_at(int32_t per_min, int64_t last_us, int32_t n, int64_t now_us)
{
    int64_t spacing = pace_spacing_us(per_min);
    int64_t first = last_us ? last_us + spacing : now_us;

    if (first < now_us)
        first = now_us;
    return first + (n - 1) * spacing;
}
