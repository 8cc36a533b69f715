#include "processors/retry/turn.h"

#include "common/hash.h"

/* --- trying again
 * -------------------------------------------------------------------------------------- */

/* Doubles with each try, spread by a quarter either way so that many sends do not come back at
 * once; what the provider asked for wins if it is longer. */
static int64_t doubled_us(const struct send *s, int64_t base_us, int64_t cap_us,
                          int64_t retry_after_us)
{
    int64_t wait = base_us;

    for (int i = 1; i < s->lane_tries && wait < cap_us; i++)
        wait *= 2;
    if (wait > cap_us)
        wait = cap_us;
    uint64_t spread = th_hash64(th_id_bytes(&s->id), (uint64_t)s->n) % 1000;
    wait = wait * 3 / 4 + wait / 2 * (int64_t)spread / 1000;
    return retry_after_us > wait ? retry_after_us : wait;
}

static int64_t backoff_us(const struct turn *turn, const struct send *s, int64_t retry_after_us)
{
    const struct retry_config *config = &turn->retry->config;

    return doubled_us(s, config->backoff_base_us, config->backoff_cap_us, retry_after_us);
}

/* No attempt will follow. What the last one came to stands, if that is a doubt. */
static enum th_code give_up(struct turn *turn, const struct send *s, const char *why,
                            struct th_str reason)
{
    return turn_end_str(turn, s->id, th_str_eq(reason, DOUBT_REASON) ? reason : th_str(why));
}

static enum th_code schedule(struct turn *turn, const struct send *s, int64_t wait_us, int32_t lane,
                             struct th_str reason)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    struct event event = {
        .type = EVENT_RETRY_SCHEDULED,
        .as.retry_scheduled = {.meta = core_meta(turn->out, tenant),
                               .send = s->id,
                               .n = s->n,
                               .due_at_us = turn->in->now_us + wait_us,
                               .reason = reason,
                               .next_lane = lane},
    };

    if (control_is_over(group_of(turn, s)))
        return give_up(turn, s, "cancelled", reason);
    return turn_say(turn, s->id, tenant, &event);
}

/* To the next provider, at once; where there is none, back to this one if it may be tried again. */
static enum th_code fail_over(struct turn *turn, const struct send *s, int64_t retry_after_us,
                              struct th_str reason, bool may_come_back)
{
    int32_t lane;

    TH_TRY(plan_other_lane(turn, s, &lane));
    if (lane)
        return schedule(turn, s, 0, lane, reason);
    if (may_come_back && s->lane_tries < turn->retry->config.tries_per_lane)
        return schedule(turn, s, backoff_us(turn, s, retry_after_us), s->lane, reason);
    return give_up(turn, s, "exhausted", reason);
}

static enum th_code try_again(struct turn *turn, const struct send *s, int64_t retry_after_us,
                              struct th_str reason)
{
    if (s->lane_tries < turn->retry->config.tries_per_lane)
        return schedule(turn, s, backoff_us(turn, s, retry_after_us), s->lane, reason);
    return fail_over(turn, s, retry_after_us, reason, false);
}

#define SLOW_DOUBLINGS 4 /* 15 min, half an hour, an hour */

/* A test account rings nobody, so nobody needs to be left in peace. */
static int64_t slow_wait_us(const struct turn *turn, int32_t lane)
{
    const struct ref_lane *known = reference_lane(turn->retry->env.reference, lane);
    bool is_test = known && known->account.mode == ACCOUNT_MODE_TEST;

    return is_test ? turn->retry->config.backoff_base_us : turn->retry->config.slow_wait_us;
}

/* Busy, or nobody answered: the same provider asks once more, much later, and twice at most. To
 * fail over would only be to ring again at once. In the end the reason says what it was. */
static enum th_code try_later(struct turn *turn, const struct send *s, int32_t max,
                              int64_t retry_after_us, struct th_str reason)
{
    int64_t base_us = slow_wait_us(turn, s->lane);
    int64_t wait_us = doubled_us(s, base_us, SLOW_DOUBLINGS * base_us, retry_after_us);
    bool is_too_late = s->expires_at_s && turn->in->now_us + wait_us >= expires_at_us(s);

    if (s->tries >= max || s->lane_tries >= turn->retry->config.tries_per_lane || is_too_late)
        return turn_end_str(turn, s->id, reason);
    return schedule(turn, s, wait_us, s->lane, reason);
}

/* A definite failure of the attempt: what its class asks for. */
static enum th_code reconsider(struct turn *turn, const struct send *s, enum error_class class,
                               int64_t retry_after_us, struct th_str reason)
{
    int32_t max;

    TH_TRY(plan_attempts_max(turn, s, &max));
    switch (class) {
    case ERROR_CLASS_TRANSIENT_SLOW:
        return try_later(turn, s, max, retry_after_us, reason);
    case ERROR_CLASS_PERMANENT:
    case ERROR_CLASS_PERMANENT_SUPPRESS:
    case ERROR_CLASS_CONTENT:
    case ERROR_CLASS_BUG:
        return turn_end_str(turn, s->id, reason);
    case ERROR_CLASS_NONE:
    case ERROR_CLASS_TRANSIENT:
    case ERROR_CLASS_ACCOUNT:
        break;
    }
    if (s->tries >= max)
        return give_up(turn, s, "exhausted", reason);
    if (class == ERROR_CLASS_ACCOUNT)
        return fail_over(turn, s, retry_after_us, reason, true);
    return try_again(turn, s, retry_after_us, reason);
}

/* --- handed back: it never left
 * ------------------------------------------------------------------------- */

static bool is_behind(const struct turn *turn, const struct reference_versions *theirs)
{
    struct reference_versions ours = reference_versions(turn->retry->env.reference);

    return ours.config < theirs->config || ours.control < theirs->control;
}

/* Paused or stopped, says dispatch. If we know better because a resume overtook the hand-back,
 * nobody will walk the parked list again: ask at once. If they know more than we do, what they know
 * may be about others: look again soon, and if nothing has come, they were the ones behind. */
static enum th_code held_back(struct turn *turn, const struct send *s, const char *reason,
                              const struct reference_versions *theirs)
{
    struct th_id group = group_of(turn, s)->id;

    if (!control_is_running(turn, group_of(turn, s)))
        return turn_park(turn, s->id, reason);
    if (!theirs || !is_behind(turn, theirs))
        return turn_ask(turn, s->id, reason);
    TH_TRY(turn_park(turn, s->id, reason));
    return timers_add(&turn->retry->walks, turn->in->now_us + turn->retry->config.behind_wait_us,
                      group);
}

static enum th_code come_back(struct turn *turn, const struct send *s, struct th_str reason,
                              const struct reference_versions *theirs)
{
    if (th_str_eq(reason, TH_STR("paused")))
        return held_back(turn, s, "paused", theirs);
    if (th_str_eq(reason, TH_STR("stopped")))
        return held_back(turn, s, "stopped", theirs);
    if (th_str_eq(reason, TH_STR("cancelled")))
        return turn_end(turn, s->id, "cancelled");
    if (th_str_eq(reason, TH_STR("opted_out")))
        return turn_suppress(turn, s->id, "opted_out");
    if (th_str_eq(reason, TH_STR("expired")))
        return turn_end(turn, s->id, "expired");
    if (th_str_eq(reason, TH_STR("circuit_open")) || th_str_eq(reason, TH_STR("lane_disabled")))
        return turn_wait(turn, s->id, turn->in->now_us + backoff_us(turn, s, -1), "lane_closed");
    if (th_str_eq(reason, TH_STR("journal")))
        return turn_wait(turn, s->id, turn->in->now_us + backoff_us(turn, s, -1), "journal");
    return turn_ask(turn, s->id, "late");
}

/* --- accepted
 * --------------------------------------------------------------------------------------------- */

/* Of an SMS nothing follows from a report; of a call one may start another attempt for a while. */
static enum th_code accepted(struct turn *turn, const struct send *s)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    bool awaits = s->channel == CHANNEL_CALL;
    struct event event = {
        .type = EVENT_SEND_NOTED,
        .as.send_noted = {.meta = core_meta(turn->out, tenant),
                          .send = s->id,
                          .n = s->n,
                          .standing = SEND_STANDING_ACCEPTED,
                          .due_at_us =
                              awaits ? turn->in->now_us + turn->retry->config.report_wait_us : 0},
    };
    return turn_say(turn, s->id, tenant, &event);
}

static enum th_code unknown(struct turn *turn, const struct send *s, struct th_str reason)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    struct event event = {
        .type = EVENT_SEND_NOTED,
        .as.send_noted = {.meta = core_meta(turn->out, tenant),
                          .send = s->id,
                          .n = s->n,
                          .standing = SEND_STANDING_UNKNOWN,
                          .reason = reason},
    };
    return s->stand == SEND_UNKNOWN ? TH_OK : turn_say(turn, s->id, tenant, &event);
}

static enum th_code allows_duplicate(struct turn *turn, const struct send *s, bool *out)
{
    struct th_err err = {0};

    *out = false;
    if (s->is_api) {
        struct send_content content;
        TH_TRY(send_content_decode_body(blob_str(s->from.content), 1, core_arena(turn->out),
                                        &content, &err));
        *out = content.policy == SEND_POLICY_AT_LEAST_ONCE;
        return TH_OK;
    }
    const struct ref_campaign *rc =
        reference_campaign(turn->retry->env.reference, group_of(turn, s)->id);
    *out = rc && rc->is_defined && rc->spec.policy == SEND_POLICY_AT_LEAST_ONCE;
    return TH_OK;
}

static enum th_code in_doubt(struct turn *turn, const struct send *s)
{
    bool may_repeat;

    TH_TRY(allows_duplicate(turn, s, &may_repeat));
    if (may_repeat && !s->is_taken)
        return reconsider(turn, s, ERROR_CLASS_TRANSIENT, -1, DOUBT_REASON);
    return turn_end_str(turn, s->id, DOUBT_REASON);
}

/* --- reached by an attempt before
 * --------------------------------------------------------------------------- */

/* The reason of SendEnded where that attempt's report lies further back; it stays for ever. */
#define REACHED_REASON TH_STR("reached_before")

static enum th_code end_reached_before(struct turn *turn, const struct send *s)
{
    return turn_end_reached(turn, s->id, known_reached(s), REACHED_REASON);
}

/* What is with dispatch cannot be stopped for certain, and it is not nothing: it costs, and its
 * campaign has not ended before it has. So this is remembered until it comes back, however. */
static enum th_code remember_reached(struct turn *turn, const struct send *s, int32_t n)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    struct event event = {
        .type = EVENT_SEND_REACHED,
        .as.send_reached = {.meta = core_meta(turn->out, tenant), .send = s->id, .n = n},
    };
    return known_reached(s) ? TH_OK : turn_say(turn, s->id, tenant, &event);
}

/* Proof that the person was reached by an attempt that was left behind as failed, or as in doubt.
 */
static enum th_code reached_after_all(struct turn *turn, const struct send *s,
                                      const struct attempt_reported *ev)
{
    if (is_in_the_air(s))
        return remember_reached(turn, s, ev->n);
    return turn_end_reached(turn, s->id, ev->n, ev->status);
}

/* --- events of send.outcomes
 * --------------------------------------------------------------------------------- */

/* The send if the event is about its current attempt, which has not been settled here. */
static const struct send *current(const struct turn *turn, struct th_id id, int32_t n)
{
    const struct send *s = send_of(turn, id);

    return s && s->n == n && is_in_the_air(s) ? s : NULL;
}

/* The attempt in the air has come to an end of some kind, and need not be followed by another. */
static bool is_settled_before(const struct send *s, enum attempt_outcome outcome)
{
    return known_reached(s) && outcome != ATTEMPT_OUTCOME_UNKNOWN;
}

static enum th_code take_result(struct turn *turn, const struct attempt_result *ev)
{
    TH_TRY(suppress_number(turn, ev->meta.tenant, &ev->phone));
    const struct send *s = current(turn, ev->send, ev->n);
    if (!s)
        return TH_OK;
    if (is_settled_before(s, ev->outcome))
        return end_reached_before(turn, s);
    switch (ev->outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return accepted(turn, s);
    case ATTEMPT_OUTCOME_REJECTED:
        return reconsider(turn, s, ev->error_class, ev->retry_after_us, ev->reason);
    case ATTEMPT_OUTCOME_THROTTLED:
        return reconsider(turn, s, ERROR_CLASS_TRANSIENT, ev->retry_after_us, ev->reason);
    case ATTEMPT_OUTCOME_NOT_SENT:
        if (ev->error_class == ERROR_CLASS_NONE) /* our own check refused it */
            return come_back(turn, s, ev->reason, NULL);
        return reconsider(turn, s, ERROR_CLASS_TRANSIENT, -1, ev->reason);
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
        return reconsider(turn, s, ERROR_CLASS_TRANSIENT, -1, ev->reason);
    case ATTEMPT_OUTCOME_UNKNOWN:
        return unknown(turn, s, ev->accepted_without_id ? TAKEN_REASON : ev->reason);
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return in_doubt(turn, s);
    }
    return TH_OK;
}

static enum th_code take_resolved(struct turn *turn, const struct attempt_resolved *ev)
{
    const struct send *s = current(turn, ev->send, ev->n);

    if (!s)
        return TH_OK;
    if (is_settled_before(s, ev->outcome))
        return end_reached_before(turn, s);
    switch (ev->outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return accepted(turn, s);
    case ATTEMPT_OUTCOME_NOT_SENT:
        return come_back(turn, s, TH_STR("late"), NULL);
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
    case ATTEMPT_OUTCOME_REJECTED:
    case ATTEMPT_OUTCOME_THROTTLED:
        return reconsider(turn, s, ERROR_CLASS_TRANSIENT, -1, TH_STR("not_executed"));
    case ATTEMPT_OUTCOME_UNKNOWN:
        return unknown(turn, s, TH_STR("unknown"));
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return in_doubt(turn, s);
    }
    return TH_OK;
}

static enum th_code take_returned(struct turn *turn, const struct attempt_returned *ev)
{
    const struct send *s = send_of(turn, ev->send);

    if (!s || s->n != ev->n || s->stand != SEND_PLANNED)
        return TH_OK;
    if (known_reached(s))
        return end_reached_before(turn, s);
    return come_back(turn, s, ev->reason, &ev->decided_on);
}

/* A call that did not reach anybody, though the provider took it. */
static enum th_code unreached(struct turn *turn, const struct send *s,
                              const struct attempt_reported *ev)
{
    const struct group *group = group_of(turn, s);

    bool may_follow =
        ev->error_class == ERROR_CLASS_TRANSIENT || ev->error_class == ERROR_CLASS_TRANSIENT_SLOW;

    if (!may_follow || control_is_over(group))
        return turn_end_str(turn, s->id, ev->reason);
    return reconsider(turn, s, ev->error_class, -1, ev->reason);
}

/* Does anything of that attempt's report still decide what follows? */
static bool is_left_behind(const struct send *s, int32_t n)
{
    return n < s->n || !(is_in_the_air(s) || s->stand == SEND_ACCEPTED);
}

/* Whatever a report says, it proves that the provider has the attempt. Of one that was left behind
 * only the proof that it reached the person counts. */
static enum th_code take_reported(struct turn *turn, const struct attempt_reported *ev)
{
    bool is_reached = ev->is_final && ev->is_positive;

    TH_TRY(suppress_number(turn, ev->meta.tenant, &ev->phone));
    const struct send *s = send_of(turn, ev->send);
    if (!s || ev->n < 1 || ev->n > s->n)
        return TH_OK;
    if (is_left_behind(s, ev->n))
        return is_reached ? reached_after_all(turn, s, ev) : TH_OK;
    if (is_settled_before(s, ATTEMPT_OUTCOME_ACCEPTED))
        return end_reached_before(turn, s);
    if (is_in_the_air(s))
        TH_TRY(accepted(turn, s));
    s = send_of(turn, ev->send);
    if (!s || s->stand != SEND_ACCEPTED || !ev->is_final)
        return TH_OK;
    if (is_reached)
        return turn_end_reached(turn, s->id, ev->n, ev->status);
    return unreached(turn, s, ev);
}

static enum th_code take_stuck(struct turn *turn, const struct send_stuck *ev)
{
    const struct send *s = send_of(turn, ev->send);

    if (!s || s->n != ev->n)
        return TH_OK;
    return known_reached(s) ? end_reached_before(turn, s) : turn_end(turn, ev->send, "stuck");
}

enum th_code outcome_take(struct turn *turn, const struct event *event)
{
    switch ((int)event->type) { /* a price changes nothing here */
    case EVENT_ATTEMPT_RESULT:
        return take_result(turn, &event->as.attempt_result);
    case EVENT_ATTEMPT_RESOLVED:
        return take_resolved(turn, &event->as.attempt_resolved);
    case EVENT_ATTEMPT_RETURNED:
        return take_returned(turn, &event->as.attempt_returned);
    case EVENT_ATTEMPT_REPORTED:
        return take_reported(turn, &event->as.attempt_reported);
    case EVENT_REPEAT_WANTED:
        return repeat_wanted(turn, &event->as.repeat_wanted);
    case EVENT_SEND_STUCK:
        return take_stuck(turn, &event->as.send_stuck);
    default:
        return TH_OK;
    }
}
