#include "processors/retry/turn.h"

/* Nothing of a campaign that is over is called any more, nor is who was reached by an attempt
 * before: then the attempt stays as it is until dispatch hears of it, or gives it up. */
static bool may_repeat(const struct turn *turn, const struct send *s)
{
    return !s->is_api && !control_is_over(group_of(turn, s)) && !known_reached(s);
}

/* The send stays unknown. grant: what the reason speaks of; NULL: nothing was granted. */
static enum th_code note(struct turn *turn, const struct send *s, struct th_str reason,
                         const struct send_released *grant)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    struct event event = {
        .type = EVENT_SEND_NOTED,
        .as.send_noted = {.meta = core_meta(turn->out, tenant),
                          .send = s->id,
                          .n = s->n,
                          .standing = SEND_STANDING_UNKNOWN,
                          .reason = reason,
                          .release = grant ? grant->release : 0,
                          .send_at_us = grant ? grant->send_at_us : 0,
                          .send_by_us = grant ? grant->send_by_us : 0},
    };
    return turn_say(turn, s->id, tenant, &event);
}

enum th_code repeat_wanted(struct turn *turn, const struct repeat_wanted *ev)
{
    const struct send *s = send_of(turn, ev->send);

    if (!s || s->n != ev->n || s->stand != SEND_UNKNOWN || !may_repeat(turn, s))
        return TH_OK;
    return note(turn, s, REPEAT_WANTED_REASON, NULL);
}

static enum th_code pass_on(struct turn *turn, const struct send *s, const struct send_released *ev)
{
    struct th_str tenant = blob_str(group_of(turn, s)->tenant);
    struct event event = {
        .type = EVENT_REPEAT_RELEASED,
        .as.repeat_released = {.meta = core_meta(turn->out, tenant),
                               .send = s->id,
                               .n = s->n,
                               .campaign = {true, group_of(turn, s)->id},
                               .lane = s->lane,
                               .release = ev->release,
                               .send_at_us = ev->send_at_us,
                               .send_by_us = ev->send_by_us},
    };
    struct th_str key = core_key(turn->out, tenant, s->id);

    return key.p ? core_emit(turn->out, TOPIC_DISPATCH_REQUESTS,
                             s->lane % turn->retry->env.partitions, key, &event)
                 : TH_NOMEM;
}

/* It is used up here, whether the repeat is made in its time or not: that one wants another. */
enum th_code repeat_released(struct turn *turn, const struct send_released *ev)
{
    const struct send *s = send_of(turn, ev->send);

    TH_TRY(turn_settle(turn, ev->campaign, ev->meta.tenant));
    if (!may_repeat(turn, s))
        return TH_OK;
    TH_TRY(note(turn, s, REPEAT_RELEASED_REASON, ev));
    return pass_on(turn, send_of(turn, ev->send), ev);
}
