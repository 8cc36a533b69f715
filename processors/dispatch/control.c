#include "common/eventlog/applied.h"
#include "processors/dispatch/turn.h"

const char *dispatch_control_forbids(const struct turn *turn, const struct attempt_plan *plan)
{
    const struct control *control;

    if (!plan->campaign.is_set)
        return NULL;
    control = table_get(turn->d->controls, plan->campaign.value);
    if (!control || control->state == CONTROL_STATE_ENDED)
        return "cancelled"; /* it was running when this was planned, so it has ended since */
    if (control->state == CONTROL_STATE_CANCELLED)
        return "cancelled";
    return control->state == CONTROL_STATE_PAUSED ? "paused" : NULL;
}

static int64_t in_flight_of(const struct turn *turn, struct th_id campaign)
{
    const struct flight *flight;
    int64_t n = 0;

    for (size_t at = 0; (flight = table_next(turn->d->flights, &at));)
        n += flight->has_campaign && th_id_eq(flight->campaign, campaign);
    return n;
}

static enum th_code answer(struct turn *turn, const struct ref_campaign *rc, int64_t in_flight)
{
    struct event event = applied_answer(turn->out, &turn->d->env, LOG_APP_DISPATCH, rc, in_flight);
    struct th_str key = core_key(turn->out, rc->tenant, rc->campaign);

    return key.p ? core_emit(turn->out, TOPIC_CAMPAIGN_PROGRESS, -1, key, &event) : TH_NOMEM;
}

static enum th_code campaign_changed(struct turn *turn, struct th_id id)
{
    const struct ref_campaign *rc = reference_campaign(turn->d->env.reference, id);
    const struct control *control = table_get(turn->d->controls, id);

    if (!rc || rc->version == 0 || (control && control->version >= rc->version))
        return TH_OK;
    if (!control && rc->state == CONTROL_STATE_ENDED)
        return TH_OK;
    int64_t in_flight = in_flight_of(turn, id);
    TH_TRY(applied_say(turn->out, &turn->d->env, rc, in_flight));
    turn->d->must_sweep = true;
    return rc->state == CONTROL_STATE_PAUSED ? answer(turn, rc, in_flight) : TH_OK;
}

/* A lane whose circuit an earlier session opened must be known here, plans or none: they come only
 * after a probe, and who else would ask for one. */
static enum th_code lane_changed(struct turn *turn, int32_t number)
{
    const struct ref_lane *known = reference_lane(turn->d->env.reference, number);
    struct lane *lane;

    if (!known || known->circuit == CIRCUIT_CLOSED ||
        number % turn->d->env.partitions % turn->d->env.slots != turn->d->env.slot)
        return TH_OK;
    return lane_of(turn->d, number, &lane);
}

enum th_code dispatch_control_changed(struct turn *turn, const struct reference_change *change)
{
    if (change->kind == REFERENCE_CAMPAIGN)
        return campaign_changed(turn, change->campaign);
    if (change->kind == REFERENCE_LANE)
        TH_TRY(lane_changed(turn, change->lane));
    turn->d->must_sweep = true; /* a stop, or a lane that was opened or closed */
    return change->kind == REFERENCE_LANE ? start_watch_lanes(turn) : TH_OK;
}
