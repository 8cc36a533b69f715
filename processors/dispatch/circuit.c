/* A lane's circuit: open after enough failures, probed by a real attempt, closed when that works.
 */
#include "processors/dispatch/turn.h"

#define HEALTH_WELL      1000
#define HEALTH_HALF_OPEN 50 /* a trickle, so that there is something to probe with */

static enum th_code publish(struct turn *turn, struct lane *lane, enum circuit circuit,
                            const char *reason)
{
    const struct ref_lane *known = reference_lane(turn->d->env.reference, lane->number);
    struct th_str key;

    lane->circuit = circuit;
    if (!known)
        return TH_OK;
    struct event event = {
        .type = EVENT_LANE_HEALTH_CHANGED,
        .as.lane_health_changed = {.meta = core_meta(turn->out, known->tenant),
                                   .lane = lane->number,
                                   .circuit = circuit,
                                   .health_permille =
                                       circuit == CIRCUIT_CLOSED ? HEALTH_WELL : HEALTH_HALF_OPEN,
                                   .reason = th_str(reason)},
    };
    lane_recent(lane, turn->in->now_us, &event.as.lane_health_changed.calls,
                &event.as.lane_health_changed.failures);
    key = th_arena_printf(core_arena(turn->out), "%.*s/%.*s", TH_ARG(known->tenant),
                          TH_ARG(known->account.name));
    turn->d->must_sweep = true;
    return key.p ? core_emit(turn->out, TOPIC_LANE_HEALTH, -1, key, &event) : TH_NOMEM;
}

static enum th_code open_circuit(struct turn *turn, struct lane *lane, const char *reason)
{
    lane->probe_at_us = turn->in->now_us + turn->d->config.probe_wait_us;
    return lane->circuit == CIRCUIT_OPEN ? TH_OK : publish(turn, lane, CIRCUIT_OPEN, reason);
}

enum th_code circuit_count(struct turn *turn, struct lane *lane, bool is_failure,
                           bool is_account_refused)
{
    int32_t calls;
    int32_t failures;

    lane_count(lane, turn->in->now_us, is_failure);
    if (is_account_refused)
        return open_circuit(turn, lane, "account_refused");
    if (lane->circuit == CIRCUIT_OPEN)
        return TH_OK; /* a call that was in flight when it opened proves nothing */
    if (lane->circuit == CIRCUIT_HALF_OPEN)
        return is_failure ? open_circuit(turn, lane, "probe_failed")
                          : publish(turn, lane, CIRCUIT_CLOSED, "probe_answered");
    lane_recent(lane, turn->in->now_us, &calls, &failures);
    if (is_failure && calls >= turn->d->config.circuit_calls && 2 * failures > calls)
        return open_circuit(turn, lane, "failures");
    return TH_OK;
}

/* What was published by a batch that was undone, nobody has heard. */
static enum th_code tell_again(struct turn *turn, struct lane *lane)
{
    const struct ref_lane *known = reference_lane(turn->d->env.reference, lane->number);

    lane->must_tell = false;
    if (!known || known->circuit == lane->circuit)
        return TH_OK;
    return publish(turn, lane, lane->circuit, "told_again");
}

enum th_code circuit_due(struct turn *turn, struct lane *lane)
{
    if (lane->must_tell)
        TH_TRY(tell_again(turn, lane));
    if (lane->circuit != CIRCUIT_OPEN || turn->in->now_us < lane->probe_at_us)
        return TH_OK;
    return publish(turn, lane, CIRCUIT_HALF_OPEN, "probing");
}
