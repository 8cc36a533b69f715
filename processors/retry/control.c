#include "processors/retry/turn.h"

#define WALK_SENDS 200 /* of one slice */

static bool is_stopped(const struct turn *turn, struct th_str tenant)
{
    const struct ref_tenant *t = reference_tenant(turn->retry->env.reference, tenant);

    return t && t->is_stopped;
}

bool control_is_running(const struct turn *turn, const struct group *group)
{
    return (!group->is_campaign || group->state == CONTROL_STATE_RUNNING) &&
           !is_stopped(turn, blob_str(group->tenant));
}

bool control_is_over(const struct group *group)
{
    return group->is_campaign &&
           (group->state == CONTROL_STATE_CANCELLED || group->state == CONTROL_STATE_ENDED);
}

/* The next send that the control moves; false: the lists are as they should be. */
static bool next_of_walk(const struct turn *turn, const struct group *group, struct th_id *out)
{
    uint32_t first = 0;

    if (control_is_over(group))
        first = group->idle_first ? group->idle_first : group->parked_first;
    else if (control_is_running(turn, group))
        first = group->parked_first;
    if (first)
        *out = ((const struct send *)table_at(turn->retry->sends, first - 1))->id;
    return first != 0;
}

enum th_code control_walk(struct turn *turn, struct th_id id)
{
    const struct group *group;
    struct th_id send;

    for (int i = 0; i < WALK_SENDS; i++) {
        group = table_get(turn->retry->groups, id);
        if (!group || !next_of_walk(turn, group, &send))
            return TH_OK;
        TH_TRY(control_is_over(group) ? turn_end(turn, send, "cancelled", false)
                                      : turn_ask(turn, send, "resumed"));
    }
    return timers_add(&turn->retry->walks, turn->in->now_us, id);
}

/* --- applying
 * --------------------------------------------------------------------------------------------- */

/* Control events lie in the slot's first partition, whatever the campaign's key would say: each
 * slot has its own to remember. */
static enum th_code say_applied(struct turn *turn, const struct ref_campaign *rc)
{
    struct event event = {
        .type = EVENT_CONTROL_APPLIED,
        .as.control_applied = {.meta = core_meta(turn->out, rc->tenant),
                               .campaign = rc->campaign,
                               .version = rc->version,
                               .state = rc->state,
                               .slot = turn->retry->env.slot},
    };
    struct th_str key = core_key(turn->out, rc->tenant, rc->campaign);

    return key.p ? core_say(turn->out, turn->retry->env.slot, key, &event) : TH_NOMEM;
}

static enum th_code answer(struct turn *turn, const struct ref_campaign *rc)
{
    struct event event = {
        .type = EVENT_CONTROL_ANSWERED,
        .as.control_answered = {.meta = core_meta(turn->out, rc->tenant),
                                .campaign = rc->campaign,
                                .app = LOG_APP_RETRY,
                                .slot = turn->retry->env.slot,
                                .version = rc->version},
    };
    struct th_str key = core_key(turn->out, rc->tenant, rc->campaign);

    return key.p ? core_emit(turn->out, TOPIC_CAMPAIGN_PROGRESS, -1, key, &event) : TH_NOMEM;
}

static enum th_code campaign_changed(struct turn *turn, struct th_id id)
{
    const struct ref_campaign *rc = reference_campaign(turn->retry->env.reference, id);
    const struct group *group = table_get(turn->retry->groups, id);

    if (!rc || rc->version == 0 || (group && group->version >= rc->version))
        return TH_OK;
    if (!group && rc->state == CONTROL_STATE_ENDED)
        return TH_OK; /* nothing of it is left here */
    TH_TRY(say_applied(turn, rc));
    if (rc->state == CONTROL_STATE_PAUSED)
        TH_TRY(answer(turn, rc));
    return control_walk(turn, id);
}

static enum th_code tenant_changed(struct turn *turn, struct th_str tenant)
{
    const struct group *group;

    for (size_t at = 0; (group = table_next(turn->retry->groups, &at));)
        if (th_str_eq(blob_str(group->tenant), tenant))
            TH_TRY(timers_add(&turn->retry->walks, turn->in->now_us, group->id));
    return TH_OK;
}

enum th_code control_changed(struct turn *turn, const struct reference_change *change)
{
    switch (change->kind) {
    case REFERENCE_CAMPAIGN:
        return campaign_changed(turn, change->campaign);
    case REFERENCE_TENANT:
        return tenant_changed(turn, change->tenant);
    case REFERENCE_LANE:
        return plan_queued(turn);
    }
    return TH_OK;
}
