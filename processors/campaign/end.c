#include "processors/campaign/turn.h"

/* Whoever still asks then has settled meanwhile: the ask was for a repeat, and a callback came
 * first. */
bool campaign_is_settled(const struct campaign *c)
{
    return c->accepted + c->suppressed + c->ended == c->requested && c->unknown == 0 &&
           campaign_open(c) == 0;
}

bool campaign_is_done(const struct campaign *c)
{
    return c->part >= c->parts && c->awaiting_report == 0 && campaign_is_settled(c);
}

enum th_code campaign_complete(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_COMPLETED,
        .as.campaign_completed = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                  .campaign = c->id,
                                  .version = version},
    };

    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_ENDED, version));
    return campaign_say(turn, c, &event);
}

enum th_code campaign_conclude_cancel(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_CANCELLED,
        .as.campaign_cancelled = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                  .campaign = c->id,
                                  .version = version,
                                  .never_released = c->recipients - c->requested - c->duplicates},
    };

    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_ENDED, version));
    return campaign_say(turn, c, &event);
}

bool campaign_all_answered(const struct turn *turn, const struct campaign *c)
{
    uint64_t all =
        turn->cs->env.slots >= 64 ? UINT64_MAX : (UINT64_C(1) << turn->cs->env.slots) - 1;

    return c->answered[0] == all && c->answered[1] == all;
}

enum th_code campaign_conclude_pause(struct turn *turn, const struct campaign *c)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_PAUSED,
        .as.campaign_paused = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                               .campaign = c->id,
                               .version = c->version,
                               .in_flight = c->in_flight},
    };
    return campaign_say(turn, c, &event);
}
