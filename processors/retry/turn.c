#include "processors/retry/turn.h"

/* --- what moved
 * -------------------------------------------------------------------------------------- */

static enum th_code grow(void **at, size_t *cap, size_t n, size_t size)
{
    if (n < *cap)
        return TH_OK;
    size_t wider = *cap ? 2 * *cap : 64;
    void *p = realloc(*at, wider * size);
    if (!p)
        return TH_NOMEM;
    *at = p;
    *cap = wider;
    return TH_OK;
}

/* A batch touches few campaigns, so the newest is looked at first. */
static enum th_code moves_of(struct turn *turn, struct th_id group, struct th_str tenant,
                             struct moves **out)
{
    struct retry *retry = turn->retry;

    for (size_t i = retry->moves_n; i-- > 0;) {
        if (th_id_eq(retry->moves[i].group, group)) {
            *out = &retry->moves[i];
            return TH_OK;
        }
    }
    struct th_str copy;
    TH_TRY(th_arena_copy(core_arena(turn->out), tenant, &copy));
    TH_TRY(grow((void **)&retry->moves, &retry->moves_cap, retry->moves_n, sizeof *retry->moves));
    *out = &retry->moves[retry->moves_n++];
    **out = (struct moves){.group = group, .tenant = copy};
    return TH_OK;
}

struct before {
    bool is_live;
    bool is_campaign;
    enum send_stand stand;
    struct th_id group;
};

static struct before look_at(const struct turn *turn, struct th_id id)
{
    const struct send *s = send_of(turn, id);

    if (!s)
        return (struct before){0};
    return (struct before){true, !s->is_api, (enum send_stand)s->stand, group_of(turn, s)->id};
}

static void leave(struct moves *moves, enum send_stand stand)
{
    if (stand == SEND_ACCEPTED) {
        moves->accepted--;
        moves->awaiting_report--;
    }
    if (stand == SEND_UNKNOWN)
        moves->unknown--;
}

static void arrive(struct moves *moves, enum send_stand stand)
{
    if (stand == SEND_ACCEPTED) {
        moves->accepted++;
        moves->awaiting_report++;
    }
    if (stand == SEND_UNKNOWN)
        moves->unknown++;
}

static void finish(struct moves *moves, const struct event *event)
{
    if (event->type == EVENT_SEND_SUPPRESSED)
        moves->suppressed++;
    else if (event->type == EVENT_SEND_ENDED)
        moves->ended++;
    else
        moves->accepted++;
}

static enum th_code want(struct turn *turn, struct moves *moves, struct th_id send)
{
    struct retry *retry = turn->retry;

    TH_TRY(
        grow((void **)&retry->wanted, &retry->wanted_cap, retry->wanted_n, sizeof *retry->wanted));
    retry->wanted[retry->wanted_n++] = (struct wanted){moves->group, send};
    moves->wanted_n++;
    return TH_OK;
}

static bool is_repeat_wanted(const struct event *event)
{
    return event->type == EVENT_SEND_NOTED &&
           event->as.send_noted.standing == SEND_STANDING_UNKNOWN &&
           th_str_eq(event->as.send_noted.reason, REPEAT_WANTED_REASON);
}

static enum th_code note_move(struct turn *turn, struct th_id send, struct th_str tenant,
                              struct before before, const struct event *event)
{
    struct before after = look_at(turn, send);
    struct moves *moves;

    if (!(before.is_live ? before.is_campaign : after.is_campaign))
        return TH_OK;
    TH_TRY(moves_of(turn, before.is_live ? before.group : after.group, tenant, &moves));
    if (before.is_live) {
        leave(moves, before.stand);
        if (holds_release(before.stand) && !(after.is_live && holds_release(after.stand)))
            moves->settled++;
    }
    if (after.is_live)
        arrive(moves, after.stand);
    else
        finish(moves, event);
    bool is_asked = after.is_live && after.stand == SEND_ASKED && before.stand != SEND_ASKED;
    if (is_asked || is_repeat_wanted(event))
        return want(turn, moves, send);
    return TH_OK;
}

enum th_code turn_say(struct turn *turn, struct th_id send, struct th_str tenant,
                      const struct event *event)
{
    struct before before = look_at(turn, send);
    struct th_str copy;
    struct th_str key = core_key(turn->out, tenant, send);

    if (!key.p)
        return TH_NOMEM;
    TH_TRY(th_arena_copy(core_arena(turn->out), tenant, &copy)); /* its group may go away */
    TH_TRY(core_say(turn->out, -1, key, event));
    return note_move(turn, send, copy, before, event);
}

enum th_code turn_settle(struct turn *turn, struct th_id campaign, struct th_str tenant)
{
    struct moves *moves;

    TH_TRY(moves_of(turn, campaign, tenant, &moves));
    moves->settled++;
    return TH_OK;
}

/* --- telling campaign
 * ------------------------------------------------------------------------------------ */

static enum th_code tell(struct turn *turn, const struct moves *moves, struct event *event)
{
    struct th_str key = core_key(turn->out, moves->tenant, moves->group);

    if (!key.p)
        return TH_NOMEM;
    *event_meta_mut(event) = core_meta(turn->out, moves->tenant);
    return core_emit(turn->out, TOPIC_CAMPAIGN_PROGRESS, -1, key, event);
}

static bool has_moved(const struct moves *m)
{
    return m->settled || m->accepted || m->awaiting_report || m->unknown || m->suppressed ||
           m->ended;
}

static enum th_code tell_moved(struct turn *turn, const struct moves *moves)
{
    struct event event = {
        .type = EVENT_SENDS_MOVED,
        .as.sends_moved = {.campaign = moves->group,
                           .settled = moves->settled,
                           .accepted = moves->accepted,
                           .awaiting_report = moves->awaiting_report,
                           .unknown = moves->unknown,
                           .suppressed = moves->suppressed,
                           .ended = moves->ended},
    };
    return has_moved(moves) ? tell(turn, moves, &event) : TH_OK;
}

static enum th_code tell_wanted(struct turn *turn, const struct moves *moves)
{
    const struct retry *retry = turn->retry;
    struct th_id *sends = th_arena_array(core_arena(turn->out), moves->wanted_n, sizeof *sends);
    size_t n = 0;

    if (moves->wanted_n == 0)
        return TH_OK;
    if (!sends)
        return TH_NOMEM;
    for (size_t i = 0; i < retry->wanted_n; i++)
        if (th_id_eq(retry->wanted[i].group, moves->group))
            sends[n++] = retry->wanted[i].send;
    struct event event = {
        .type = EVENT_RELEASE_WANTED,
        .as.release_wanted = {.campaign = moves->group, .sends = {sends, n}},
    };
    return tell(turn, moves, &event);
}

/* Who asked and ended within one batch must not have ended first: the campaign may be over then,
 * and nobody answers. */
enum th_code turn_flush(struct turn *turn)
{
    struct retry *retry = turn->retry;

    for (size_t i = 0; i < retry->moves_n; i++) {
        TH_TRY(tell_wanted(turn, &retry->moves[i]));
        TH_TRY(tell_moved(turn, &retry->moves[i]));
    }
    retry->moves_n = 0;
    retry->wanted_n = 0;
    return TH_OK;
}

/* --- the short ways
 * ---------------------------------------------------------------------------------------- */

static struct th_str tenant_of(const struct turn *turn, const struct send *s)
{
    return blob_str(group_of(turn, s)->tenant);
}

static enum th_code end(struct turn *turn, const struct send *s, int32_t n, struct th_str reason,
                        bool is_reached)
{
    struct event event = {
        .type = EVENT_SEND_ENDED,
        .as.send_ended = {.meta = core_meta(turn->out, tenant_of(turn, s)),
                          .send = s->id,
                          .n = n,
                          .reason = reason,
                          .is_reached = is_reached},
    };
    return turn_say(turn, s->id, tenant_of(turn, s), &event);
}

/* Whoever may have been called by an earlier attempt is listed as that, whatever ends the send. */
enum th_code turn_end_str(struct turn *turn, struct th_id id, struct th_str reason)
{
    const struct send *s = send_of(turn, id);

    return end(turn, s, s->n, s->is_possible_duplicate ? DOUBT_REASON : reason, false);
}

enum th_code turn_end(struct turn *turn, struct th_id id, const char *reason)
{
    return turn_end_str(turn, id, th_str(reason));
}

enum th_code turn_end_reached(struct turn *turn, struct th_id id, int32_t n, struct th_str reason)
{
    return end(turn, send_of(turn, id), n, reason, true);
}

enum th_code turn_suppress(struct turn *turn, struct th_id id, const char *reason)
{
    const struct send *s = send_of(turn, id);
    struct th_str tenant = tenant_of(turn, s);
    struct event event = {
        .type = EVENT_SEND_SUPPRESSED,
        .as.send_suppressed = {.meta = core_meta(turn->out, tenant),
                               .send = id,
                               .reason = th_str(reason),
                               .decided_on = reference_versions(turn->retry->env.reference)},
    };

    if (s->is_possible_duplicate)
        return turn_end_str(turn, id, DOUBT_REASON);
    return turn_say(turn, id, tenant, &event);
}

static enum th_code note(struct turn *turn, struct th_id id, enum send_standing standing,
                         int64_t due_us, const char *reason)
{
    const struct send *s = send_of(turn, id);
    struct event event = {
        .type = EVENT_SEND_NOTED,
        .as.send_noted = {.meta = core_meta(turn->out, tenant_of(turn, s)),
                          .send = id,
                          .n = s->n,
                          .standing = standing,
                          .reason = th_str(reason),
                          .due_at_us = due_us},
    };
    if (standing == SEND_STANDING_RELEASED)
        event.as.send_noted.send_at_us = turn->in->now_us;
    return turn_say(turn, id, tenant_of(turn, s), &event);
}

static bool is_over(const struct turn *turn, struct th_id id)
{
    return control_is_over(group_of(turn, send_of(turn, id)));
}

enum th_code turn_park(struct turn *turn, struct th_id id, const char *reason)
{
    if (is_over(turn, id))
        return turn_end(turn, id, "cancelled");
    return note(turn, id, SEND_STANDING_PARKED, 0, reason);
}

enum th_code turn_park_laneless(struct turn *turn, struct th_id id)
{
    if (is_over(turn, id))
        return turn_end(turn, id, "cancelled");
    return note(turn, id, SEND_STANDING_PARKED, expires_at_us(send_of(turn, id)),
                LANELESS_REASON.p);
}

enum th_code turn_ask(struct turn *turn, struct th_id id, const char *reason)
{
    bool is_campaign = !send_of(turn, id)->is_api;

    if (is_over(turn, id))
        return turn_end(turn, id, "cancelled");
    return note(turn, id, is_campaign ? SEND_STANDING_ASKED : SEND_STANDING_RELEASED, 0, reason);
}

enum th_code turn_wait(struct turn *turn, struct th_id id, int64_t due_us, const char *reason)
{
    if (is_over(turn, id))
        return turn_end(turn, id, "cancelled");
    return note(turn, id, SEND_STANDING_WAITING, due_us, reason);
}
