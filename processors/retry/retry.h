/* retry.h - each send's life: consent, window, route, attempt n, back-off, failover, the end.
 *
 * Pure. Reads send.requests and send.outcomes; owns send.events; plans attempts on
 * dispatch.requests; tells campaign what moved on campaign.progress; opts out on consent.events
 * whom a provider says must not be contacted again.
 *
 *   released --plan--> planned --> accepted --report--> ended
 *      ^                 |  |----> unknown --resolved--> accepted, ended, or as below
 *      |                 '-> waiting (back-off, window) --due--> asked --release--> released
 *      |                 '-> parked (pause, stop) --resume--> asked
 *      |                 '-> laneless (no lane is open) --lane opens--> asked
 *      '------------------------------------------------------'
 *
 * A send of a campaign needs a release for every attempt; one from the API plans when it is due. A
 * release is used up exactly once: when the send leaves released or planned. Nothing is planned
 * again before the attempt before has come back, was proven not executed, or ended.
 *
 * A repeat of an unknown attempt under its key, for which dispatch wants a release (RepeatWanted),
 * is no other attempt: the send stays unknown, asks campaign as any other, and passes what it is
 * granted on (RepeatReleased, on dispatch.requests); by that the release is used up. Nothing is
 * asked or passed on for who was cancelled, or reached by an attempt before. A grant that finds the
 * send settled is used up likewise; one that finds it asking for its next attempt is that one's.
 *
 * A provider may take a final no back, however late: proof that an attempt reached the person ends
 * the send, wherever it stands. Only where a later attempt is with dispatch (planned, unknown),
 * which cannot be stopped for certain, it is kept (SendReached) until that one has come to an end
 * of whatever kind, and no other follows.
 */
#ifndef TELEHUB_PROCESSORS_RETRY_RETRY_H
#define TELEHUB_PROCESSORS_RETRY_RETRY_H

#include "common/eventlog/core.h"

#define RETRY_SENDS_MAX 2000000 /* live sends of one slot */

struct retry_config {
    int64_t backoff_base_us;
    int64_t backoff_cap_us;
    int64_t slow_wait_us;    /* before a busy or unanswered number is called again, at first; on a
                                test account backoff_base_us */
    int32_t tries_per_lane;  /* 1 try and the retries after it */
    int64_t report_wait_us;  /* how long an accepted call's report may start another attempt */
    int64_t room_wait_us;    /* a lane is full: look again then, if nothing came back before */
    int64_t behind_wait_us;  /* a reference record is not there yet: look again then */
    int32_t lane_plans_min;  /* unsettled plans of a lane: max(this, 2 s of its rate), */
    int32_t lane_plans_free; /* or this where the lane has no rate; over all slots */
    int32_t part_plans_max;  /* and of a partition of dispatch.requests; over all slots */

    /* Seconds that local time is ahead of UTC in an IANA zone at that time; zones is its table.
     * Must be pure. */
    int32_t (*zone_offset_s)(const void *zones, struct th_str zone, int64_t utc_us);
    const void *zones;
};

/* As documented; zone_offset_s is NULL and means UTC. */
struct retry_config retry_config_default(void);

extern const struct core_ops retry_core;

enum send_stand {
    SEND_RELEASED, /* holds a release, or is due: will be planned */
    SEND_PLANNED,
    SEND_ACCEPTED, /* its report is awaited */
    SEND_UNKNOWN,
    SEND_WAITING,
    SEND_ASKED,
    SEND_PARKED,
    SEND_LANELESS, /* until a lane can take it */
};

#define SEND_STANDS (SEND_LANELESS + 1)

/* Where a send stands, for tests and simulation. False: not a live send of this slot. */
bool retry_look(const void *core, struct th_id send, enum send_stand *out_stand, int32_t *out_n);

size_t retry_live(const void *core);

#endif
