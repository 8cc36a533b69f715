#include "processors/campaign/turn.h"

static enum th_code note(struct turn *turn, struct th_id id, const struct progress_noted *noted)
{
    const struct campaign *c = campaign_of(turn, id);

    if (!c)
        return TH_OK;
    struct event event = {.type = EVENT_PROGRESS_NOTED, .as.progress_noted = *noted};
    event.as.progress_noted.meta = core_meta(turn->out, blob_str(c->tenant));
    event.as.progress_noted.campaign = id;
    TH_TRY(campaign_say(turn, c, &event));
    return campaign_advance(turn, id);
}

enum th_code campaign_sends_moved(struct turn *turn, const struct sends_moved *moved)
{
    return note(turn, moved->campaign,
                &(struct progress_noted){.settled = moved->settled,
                                         .accepted = moved->accepted,
                                         .awaiting_report = moved->awaiting_report,
                                         .unknown = moved->unknown,
                                         .suppressed = moved->suppressed,
                                         .ended = moved->ended});
}

/* An ask that comes after the cancel is moot: retry ends that send by itself. */
enum th_code campaign_release_wanted(struct turn *turn, const struct release_wanted *wanted)
{
    const struct campaign *c = campaign_of(turn, wanted->campaign);

    if (!c || c->phase == CAMPAIGN_CANCELLING || c->phase == CAMPAIGN_CANCELLED)
        return TH_OK;
    return note(turn, wanted->campaign, &(struct progress_noted){.wanted = wanted->sends});
}

enum th_code campaign_control_answered(struct turn *turn, const struct control_answered *answered)
{
    const struct campaign *c = campaign_of(turn, answered->campaign);

    if (!c || c->phase != CAMPAIGN_PAUSING || c->version != answered->version)
        return TH_OK;
    return note(turn, answered->campaign,
                &(struct progress_noted){.applied_app = {true, answered->app},
                                         .applied_slot = {true, answered->slot},
                                         .applied_version = {true, answered->version},
                                         .in_flight = answered->in_flight});
}
