/* pace.h - when the next releases may go out so that no 60 s see more than the pace allows.
 *
 * A release may start up to PACE_START_US after its send_at and takes up to PACE_WAY_US to reach
 * the provider, so one that is spaced PACE_WINDOW_US / pace from the next keeps any window of 60 s
 * at the provider within the pace, whatever a crash or a pause does: the state is one time.
 * Releases are made in groups that span at most PACE_GROUP_US, whose members share the last one's
 * time; the window is longer by that much. The pace may be another at each release: the distance to
 * the one before it is that of its own pace, so a window holds no more than the greatest pace of
 * those in it. Pure.
 */
#ifndef TELEHUB_PROCESSORS_CAMPAIGN_PACE_H
#define TELEHUB_PROCESSORS_CAMPAIGN_PACE_H

#include <stdint.h>

#define PACE_START_US  INT64_C(2000000)
#define PACE_WAY_US    INT64_C(1000000)
#define PACE_GROUP_US  INT64_C(100000)
#define PACE_WINDOW_US (INT64_C(60000000) + PACE_START_US + PACE_WAY_US + PACE_GROUP_US)

/* Distance between two releases, µs; per_min > 0. */
int64_t pace_spacing_us(int32_t per_min);

/* Most releases of one group, at least 1. */
int32_t pace_group(int32_t per_min);

/* send_at of a group of n when the release before it was due at last_us (0: none). */
int64_t pace_send_at(int32_t per_min, int64_t last_us, int32_t n, int64_t now_us);

#endif
