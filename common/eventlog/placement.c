#include "common/eventlog/placement.h"

#include <stddef.h>

#include "schemas/events.h"

#define LANE(TYPE, name) [TYPE] = offsetof(struct event, as.name.lane)

/* Where an event that lies by lane says its number; 0: it is not one. */
static const size_t lane_at[EVENT_TYPES] = {
    LANE(EVENT_ATTEMPT_PLAN, attempt_plan),
    LANE(EVENT_ATTEMPT_STARTED, attempt_started),
    LANE(EVENT_ATTEMPT_RESULT, attempt_result),
    LANE(EVENT_ATTEMPT_RETURNED, attempt_returned),
    LANE(EVENT_ATTEMPT_RESOLVED, attempt_resolved),
    LANE(EVENT_ATTEMPT_REPORTED, attempt_reported),
    LANE(EVENT_ATTEMPT_PRICED, attempt_priced),
    LANE(EVENT_REPEAT_WANTED, repeat_wanted),
    LANE(EVENT_REPEAT_RELEASED, repeat_released),
    LANE(EVENT_CALLBACK_RECEIVED, callback_received),
};

static int by_key(const struct placement *placement, const struct log_record *record)
{
    return topic_partition_of_key(record->key, placement->to);
}

static enum th_code by_lane(const struct placement *placement, const struct log_record *record,
                            enum event_type type, struct th_arena *arena, int *out_part)
{
    struct event event;
    struct th_err ignored = {0};
    int32_t lane = -1;

    th_arena_reset(arena);
    enum th_code code =
        lane_at[type] ? event_decode(record->value, arena, &event, &ignored) : TH_UNSUPPORTED;
    if (code == TH_NOMEM)
        return code;
    if (code == TH_OK)
        lane = *(const int32_t *)(const void *)((const char *)&event + lane_at[type]);
    *out_part = lane >= 0 ? lane % placement->to : by_key(placement, record);
    return TH_OK;
}

/* Written by the slot of that number into its first partition, which bears its number. */
static int of_slot(const struct placement *placement, const struct log_record *record)
{
    return record->place.part % placement->slots % placement->to;
}

enum th_code placement_of(const struct placement *placement, const struct log_record *record,
                          struct th_arena *arena, int *out_part)
{
    enum event_type type;

    *out_part = record->place.part;
    if (placement->from == placement->to)
        return TH_OK;
    bool is_known = event_type_of(record->value, &type) == TH_OK;
    if (is_known && type == EVENT_CONTROL_APPLIED)
        *out_part = of_slot(placement, record);
    else if (is_known && topic_kind(record->place.topic) == TOPIC_BY_LANE)
        return by_lane(placement, record, type, arena, out_part);
    else
        *out_part = by_key(placement, record);
    return TH_OK;
}
