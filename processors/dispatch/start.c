#include "common/sms.h"
#include "processors/dispatch/turn.h"

#define START_PER_TURN 200   /* plans that one input may start or hand back */
#define HELD_WAIT_US   20000 /* while starts are held: look again then */

/* --- may it go
 * ------------------------------------------------------------------------------------ */

const char *dispatch_forbids(const struct reference *ref, struct th_str tenant,
                             const struct th_id *campaign, int64_t contact, int64_t send_by_us,
                             int64_t now_us)
{
    const struct ref_tenant *t = reference_tenant(ref, tenant);

    if (t && t->is_stopped)
        return "stopped";
    if (campaign) {
        const struct ref_campaign *rc = reference_campaign(ref, *campaign);
        if (rc && rc->state == CONTROL_STATE_PAUSED)
            return "paused";
        if (rc && (rc->state == CONTROL_STATE_CANCELLED || rc->state == CONTROL_STATE_ENDED))
            return "cancelled";
    }
    if (reference_is_opted_out(ref, contact))
        return "opted_out";
    return send_by_us && now_us >= send_by_us ? "late" : NULL;
}

/* The plan was decided on records that this process has not read yet. */
static bool is_behind(const struct turn *turn, const struct attempt_plan *plan)
{
    struct reference_versions ours = reference_versions(turn->d->env.reference);

    return ours.config < plan->decided_on.config || ours.consent < plan->decided_on.consent ||
           ours.control < plan->decided_on.control;
}

/* NULL: it may go. The applied control and the table must both allow it. */
static const char *objection(const struct turn *turn, const struct attempt_plan *plan,
                             const struct ref_lane *lane)
{
    const char *reason = dispatch_control_forbids(turn, plan);

    if (!reason)
        reason = dispatch_forbids(turn->d->env.reference, plan->meta.tenant,
                                  plan->campaign.is_set ? &plan->campaign.value : NULL,
                                  plan->contact, plan->send_by_us, turn->in->now_us);
    if (!reason && plan->expires_at_us && turn->in->now_us >= plan->expires_at_us)
        reason = "expired";
    if (!reason && (!lane || !lane->is_enabled))
        reason = "lane_disabled";
    return reason;
}

/* --- handing back
 * ------------------------------------------------------------------------------------ */

/* The plan may still be in its lane's queue. */
static enum th_code hand_back(struct turn *turn, struct plan *plan, const char *reason)
{
    const struct attempt_plan *ev = plan->event;
    struct event event = {
        .type = EVENT_ATTEMPT_RETURNED,
        .as.attempt_returned = {.meta = core_meta(turn->out, ev->meta.tenant),
                                .send = ev->send,
                                .n = ev->n,
                                .campaign = ev->campaign,
                                .lane = ev->lane,
                                .reason = th_str(reason),
                                .decided_on = reference_versions(turn->d->env.reference)},
    };

    TH_TRY(dispatch_say_outcome(turn, ev->meta.tenant, ev->lane, ev->send, &event));
    turn->d->has_gaps = turn->d->has_gaps || plan->is_queued;
    return plans_settle(turn->d->plans, plan);
}

/* --- starting
 * ------------------------------------------------------------------------------------------ */

static struct money estimate(const struct attempt_plan *plan, const struct ref_lane *lane,
                             int32_t segments)
{
    struct money money =
        plan->channel == CHANNEL_CALL ? lane->account.call_estimate : lane->account.sms_estimate;

    if (plan->channel != CHANNEL_CALL)
        money.micros *= segments;
    return money;
}

static enum th_code say_started(struct turn *turn, const struct attempt_plan *plan,
                                const struct ref_lane *lane)
{
    const struct dispatch *d = turn->d;
    int32_t segments =
        plan->channel == CHANNEL_CALL ? 0 : (int32_t)th_sms_measure(plan->text.as.string).segments;
    const struct provider_ops *wire = settle_wire_of(d, lane->account.wire);
    struct event event = {
        .type = EVENT_ATTEMPT_STARTED,
        .as.attempt_started = {.meta = core_meta(turn->out, plan->meta.tenant),
                               .send = plan->send,
                               .n = plan->n,
                               .campaign = plan->campaign,
                               .lane = plan->lane,
                               .channel = plan->channel,
                               .to = plan->to,
                               .sender = plan->sender,
                               .segments = segments,
                               .estimate = estimate(plan, lane, segments),
                               .policy = plan->policy,
                               .slot = d->env.slot,
                               .session = (int64_t)d->env.session,
                               .txn_seq = (int64_t)turn->in->txn_seq,
                               .send_window_ms = d->config.send_window_ms,
                               .call_timeout_ms = d->config.call_timeout_ms,
                               .send_by_us = plan->send_by_us},
    };
    if (wire && wire->caps.reconciliation == PROVIDER_IDEMPOTENT && wire->caps.key_life_s > 0)
        event.as.attempt_started.repeatable = (struct optional_repeatable){
            true, {.text = plan->text, .lang = plan->lang, .contact = plan->contact}};
    return dispatch_say(turn, plan->meta.tenant, plan->lane, &event);
}

static enum th_code ask_call(struct turn *turn, const struct attempt_plan *plan)
{
    struct effect effect = {
        .type = EFFECT_CALL,
        .as.call = {.attempt = {plan->send, plan->n},
                    .tenant = plan->meta.tenant,
                    .lane = plan->lane,
                    .channel = plan->channel,
                    .to = plan->to.as.string,
                    .sender = plan->sender,
                    .text = plan->text.as.string,
                    .lang = plan->lang,
                    .has_campaign = plan->campaign.is_set,
                    .campaign = plan->campaign.value,
                    .contact = plan->contact,
                    .send_by_us = plan->send_by_us},
    };
    return core_effect(turn->out, &effect);
}

static enum th_code take_off(struct turn *turn, const struct attempt_plan *plan)
{
    void *entry;

    TH_TRY(table_insert(turn->d->flights, attempt_id((struct attempt_ref){plan->send, plan->n}),
                        &entry));
    struct flight *flight = entry;
    flight->lane = plan->lane;
    flight->has_campaign = plan->campaign.is_set;
    flight->campaign = plan->campaign.value;
    return TH_OK;
}

static enum th_code start(struct turn *turn, struct lane *lane, struct plan *plan,
                          const struct ref_lane *known)
{
    const struct attempt_plan *ev = plan->event;

    TH_TRY(say_started(turn, ev, known));
    TH_TRY(ask_call(turn, ev));
    TH_TRY(take_off(turn, ev));
    lane->in_flight++;
    lane_take_token(lane, known->account.rate_per_s, turn->in->now_us);
    window_note_start(&turn->d->window, (int64_t)table_count(turn->d->flights), turn->in->now_us);
    if (lane->circuit == CIRCUIT_HALF_OPEN)
        lane->probe_at_us = turn->in->now_us + turn->d->config.probe_wait_us;
    return plans_settle(turn->d->plans, plan);
}

int64_t dispatch_window(const struct dispatch *d)
{
    return window_size(&d->window, d->config.window_min, d->config.window_max);
}

static void wake_lane(struct dispatch *d, struct lane *lane, int64_t at_us)
{
    if (at_us < lane->wake_us)
        lane->wake_us = at_us;
    if (lane->wake_us < d->lane_due_us)
        d->lane_due_us = lane->wake_us;
}

/* A lane's share of the window, while others have plans that wait for a place in it: else a slow
 * lane would fill it, and nobody but its own answers would ever free a place for them. */
static int64_t share(const struct dispatch *d, const struct lane *lane, int64_t window_n)
{
    int64_t waiting = 1;

    if (2 * lane->in_flight < window_n)
        return window_n;
    for (size_t i = 0; i < d->lanes_n; i++)
        waiting += d->lanes[i] && d->lanes[i] != lane && d->lanes[i]->first;
    return window_n / waiting > 0 ? window_n / waiting : 1;
}

static bool has_place(struct dispatch *d, const struct lane *lane)
{
    int64_t window_n = dispatch_window(d);

    return (int64_t)table_count(d->flights) < window_n &&
           lane->in_flight < share(d, lane, window_n);
}

/* When the lane can take one more; now: at once; INT64_MAX: when something comes back. While starts
 * are held it is by the clock, so that nobody need say that they are no longer. */
static int64_t opening_us(struct turn *turn, const struct lane *lane, const struct ref_lane *known)
{
    struct dispatch *d = turn->d;
    int64_t token_us = lane_token_us(lane, known->account.rate_per_s);

    if (d->is_held)
        return turn->in->now_us + HELD_WAIT_US;
    if (!has_place(d, lane)) {
        d->is_window_full = true;
        window_note_full(&d->window);
        return INT64_MAX;
    }
    if (known->account.concurrency > 0 && lane->in_flight >= known->account.concurrency)
        return INT64_MAX;
    if (lane->circuit == CIRCUIT_HALF_OPEN && lane->in_flight > 0)
        return INT64_MAX;
    if (lane->circuit == CIRCUIT_HALF_OPEN && lane->probe_at_us > token_us)
        token_us = lane->probe_at_us;
    return token_us > turn->in->now_us ? token_us : turn->in->now_us;
}

/* The first plan of the queue: started, handed back, or left there; *out_more says whether the
 * next one may be looked at. */
static enum th_code take_first(struct turn *turn, struct lane *lane, bool *out_more)
{
    struct plan *plan = lane->first;
    const struct ref_lane *known = reference_lane(turn->d->env.reference, lane->number);
    int64_t now = turn->in->now_us;

    *out_more = true;
    if (plan->is_settled) {
        lane_queue_drop_first(lane);
        return TH_OK;
    }
    if (is_behind(turn, plan->event) || plan->event->send_at_us > now) {
        *out_more = false;
        int64_t wait = now + turn->d->config.behind_wait_us;
        wake_lane(turn->d, lane, plan->event->send_at_us > now ? plan->event->send_at_us : wait);
        return TH_OK;
    }
    const char *reason = objection(turn, plan->event, known);
    if (!reason && lane->circuit == CIRCUIT_OPEN)
        reason = "circuit_open";
    if (!reason) {
        int64_t opens = opening_us(turn, lane, known);
        if (opens > now) {
            *out_more = false;
            wake_lane(turn->d, lane, opens);
            return TH_OK;
        }
    }
    lane_queue_drop_first(lane);
    return reason ? hand_back(turn, plan, reason) : start(turn, lane, plan, known);
}

enum th_code start_lane(struct turn *turn, struct lane *lane)
{
    bool has_more = true;

    for (int i = 0; i < START_PER_TURN && has_more && lane->first; i++)
        TH_TRY(take_first(turn, lane, &has_more));
    if (has_more && lane->first)
        wake_lane(turn->d, lane, turn->in->now_us);
    return TH_OK;
}

/* Whoever waited for a place, of whatever lane, may have it, each first in its turn. */
enum th_code start_freed(struct turn *turn, struct lane *lane)
{
    struct dispatch *d = turn->d;

    if (!d->is_window_full)
        return start_lane(turn, lane);
    d->is_window_full = false;
    for (size_t i = 0; i < d->lanes_n; i++)
        if (d->lanes[i] && d->lanes[i]->first)
            wake_lane(d, d->lanes[i], turn->in->now_us);
    return TH_OK;
}

enum th_code start_watch_lanes(struct turn *turn)
{
    struct dispatch *d = turn->d;
    const struct ref_lane *known;
    struct lane *lane;

    for (size_t i = 0; (known = reference_lane_at(d->env.reference, i)); i++) {
        if (known->lane % d->env.partitions % d->env.slots != d->env.slot)
            continue;
        TH_TRY(lane_of(d, known->lane, &lane));
        wake_lane(d, lane, turn->in->now_us);
    }
    return TH_OK;
}

/* --- reading
 * -----------------------------------------------------------------------------------------------
 */

enum th_code start_plan(struct turn *turn, const struct event *event)
{
    const struct attempt_plan *ev = &event->as.attempt_plan;
    struct lane *lane;
    struct plan *plan;
    struct plan *overdue;

    TH_TRY(lane_of(turn->d, ev->lane, &lane));
    TH_TRY(plans_add(turn->d->plans, turn->in->place.part, turn->in->place.offset, ev, &plan));
    if (plan) {
        lane_queue(lane, plan);
        while ((overdue = plans_overdue(turn->d->plans, turn->in->place.part)))
            TH_TRY(hand_back(turn, overdue, "late"));
    }
    return start_lane(turn, lane);
}

/* Waiting plans whose campaign, tenant, recipient or lane may no longer be called: back at once,
 * not only when their turn comes. */
enum th_code start_sweep(struct turn *turn)
{
    struct plan *plan;
    int n = 0;

    turn->d->must_sweep = false;
    for (size_t at = 0; (plan = plans_next(turn->d->plans, &at));) {
        const struct ref_lane *known = reference_lane(turn->d->env.reference, plan->event->lane);
        struct lane *lane;
        TH_TRY(lane_of(turn->d, plan->event->lane, &lane));
        const char *reason =
            is_behind(turn, plan->event) ? NULL : objection(turn, plan->event, known);
        if (!reason && lane->circuit == CIRCUIT_OPEN)
            reason = "circuit_open";
        if (!reason)
            continue;
        TH_TRY(hand_back(turn, plan, reason));
        if (++n == START_PER_TURN) {
            turn->d->must_sweep = true;
            return TH_OK;
        }
    }
    for (size_t i = 0; i < turn->d->lanes_n; i++)
        if (turn->d->lanes[i] && turn->d->lanes[i]->first)
            wake_lane(turn->d, turn->d->lanes[i], turn->in->now_us);
    return TH_OK;
}

enum th_code start_requeue(struct dispatch *d)
{
    struct plan *plan;
    struct lane *lane;

    for (size_t i = 0; i < d->lanes_n; i++)
        if (d->lanes[i])
            d->lanes[i]->first = d->lanes[i]->last = NULL;
    for (size_t at = 0; (plan = plans_next(d->plans, &at));) {
        TH_TRY(lane_of(d, plan->event->lane, &lane));
        lane_queue(lane, plan);
        wake_lane(d, lane, 0);
    }
    return TH_OK;
}
