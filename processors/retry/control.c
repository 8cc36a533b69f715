#include "common/eventlog/applied.h"
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

/* link: 1 + place. */
static const struct send *linked(const struct turn *turn, uint32_t link)
{
    return table_at(turn->retry->sends, link - 1);
}

/* The first that some lane would take. Those of a campaign go by one table; those from the API may
 * name accounts of their own. */
static enum th_code next_laneless(struct turn *turn, const struct group *group, uint32_t *out)
{
    bool has_lane = false;

    *out = 0;
    for (uint32_t at = group->laneless_first; at && !has_lane; at = linked(turn, at)->next) {
        TH_TRY(plan_has_lane(turn, linked(turn, at), &has_lane));
        if (has_lane)
            *out = at;
        if (group->is_campaign)
            break;
    }
    return TH_OK;
}

/* The next send that the control moves, or a lane that opened; 0: the lists are as they should be.
 */
static enum th_code next_of_walk(struct turn *turn, const struct group *group, uint32_t *out)
{
    *out = 0;
    if (control_is_over(group)) {
        *out = group->idle_first ? group->idle_first : group->parked_first;
        *out = *out ? *out : group->laneless_first;
        return TH_OK;
    }
    if (!control_is_running(turn, group))
        return TH_OK;
    *out = group->parked_first;
    return *out ? TH_OK : next_laneless(turn, group, out);
}

static enum th_code move_on(struct turn *turn, const struct group *group, const struct send *s)
{
    if (control_is_over(group))
        return turn_end(turn, s->id, "cancelled");
    return turn_ask(turn, s->id, s->stand == SEND_LANELESS ? "lane_open" : "resumed");
}

enum th_code control_walk(struct turn *turn, struct th_id id)
{
    const struct group *group;
    uint32_t next;

    for (int i = 0; i < WALK_SENDS; i++) {
        group = table_get(turn->retry->groups, id);
        if (!group)
            return TH_OK;
        TH_TRY(next_of_walk(turn, group, &next));
        if (!next)
            return TH_OK;
        TH_TRY(move_on(turn, group, linked(turn, next)));
    }
    return timers_add(&turn->retry->walks, turn->in->now_us, id);
}

/* --- applying
 * --------------------------------------------------------------------------------------------- */

static enum th_code answer(struct turn *turn, const struct ref_campaign *rc)
{
    struct event event = applied_answer(turn->out, &turn->retry->env, LOG_APP_RETRY, rc, 0);
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
    TH_TRY(applied_say(turn->out, &turn->retry->env, rc, 0));
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

/* Whoever waits for a lane may have one now. */
static enum th_code lane_changed(struct turn *turn)
{
    const struct group *group;

    for (size_t at = 0; (group = table_next(turn->retry->groups, &at));)
        if (group->laneless_first)
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
        TH_TRY(lane_changed(turn));
        return plan_queued(turn);
    }
    return TH_OK;
}
