#include "processors/campaign/turn.h"

static const struct {
    const char *name;
    const char *says;
} commands[] = {
    [COMMAND_START] = {"start", "start"},         [COMMAND_PAUSE] = {"pause", "pause"},
    [COMMAND_RESUME] = {"resume", "resume"},      [COMMAND_CANCEL] = {"cancel", "cancel"},
    [COMMAND_PACE] = {"pace", "change its pace"},
};

#define BIT(n) (1U << (n))

/* What may be commanded when. */
static const unsigned accepts[CAMPAIGN_PHASES] = {
    [CAMPAIGN_DRAFT] = BIT(COMMAND_START) | BIT(COMMAND_CANCEL) | BIT(COMMAND_PACE),
    [CAMPAIGN_STARTING] = BIT(COMMAND_CANCEL) | BIT(COMMAND_PACE),
    [CAMPAIGN_RUNNING] = BIT(COMMAND_PAUSE) | BIT(COMMAND_CANCEL) | BIT(COMMAND_PACE),
    [CAMPAIGN_PAUSING] = BIT(COMMAND_RESUME) | BIT(COMMAND_CANCEL) | BIT(COMMAND_PACE),
    [CAMPAIGN_PAUSED] = BIT(COMMAND_RESUME) | BIT(COMMAND_CANCEL) | BIT(COMMAND_PACE),
    [CAMPAIGN_COMPLETED] = 0,
    [CAMPAIGN_CANCELLING] = 0,
    [CAMPAIGN_CANCELLED] = 0,
};

enum th_code campaign_create_command(struct turn *turn, const struct create_campaign *command)
{
    if (campaign_of(turn, command->campaign))
        return TH_OK; /* the same request again: it has the same id */
    struct event event = {
        .type = EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {.meta = core_meta(turn->out, command->meta.tenant),
                                .campaign = command->campaign,
                                .spec = command->spec},
    };
    struct th_str key = core_key(turn->out, command->meta.tenant, command->campaign);

    return key.p ? core_say(turn->out, -1, key, &event) : TH_NOMEM;
}

static enum th_code pause_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_PAUSING,
        .as.campaign_pausing = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = c->id,
                                .version = version},
    };

    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_PAUSED, version));
    return campaign_say(turn, c, &event);
}

static enum th_code resume_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_RESUMED,
        .as.campaign_resumed = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                .campaign = c->id,
                                .version = version},
    };

    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_RUNNING, version));
    return campaign_say(turn, c, &event);
}

static enum th_code cancel_campaign(struct turn *turn, const struct campaign *c)
{
    int64_t version = c->version + 1;
    struct event event = {
        .type = EVENT_CAMPAIGN_CANCELLING,
        .as.campaign_cancelling = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                   .campaign = c->id,
                                   .version = version},
    };

    TH_TRY(campaign_tell(turn, c, CONTROL_STATE_CANCELLED, version));
    return campaign_say(turn, c, &event);
}

/* Only what is released later knows of it: no slot of retry or dispatch has to be told. */
static enum th_code change_pace(struct turn *turn, const struct campaign *c,
                                const struct set_campaign_pace *command)
{
    struct th_id id = c->id;
    struct event event = {
        .type = EVENT_CAMPAIGN_PACE_CHANGED,
        .as.campaign_pace_changed = {.meta = core_meta(turn->out, blob_str(c->tenant)),
                                     .campaign = id,
                                     .pace_per_min = command->pace_per_min,
                                     .was_per_min = c->pace_per_min},
    };

    if (command->pace_per_min < 0)
        return campaign_refuse(turn, blob_str(c->tenant), id, commands[COMMAND_PACE].name,
                               "invalid_pace",
                               TH_STR("a pace is a number of sends per minute, or max"));
    TH_TRY(campaign_say(turn, c, &event));
    return c->phase == CAMPAIGN_RUNNING ? campaign_advance(turn, id) : TH_OK;
}

enum th_code campaign_command(struct turn *turn, const struct meta *meta, struct th_id id,
                              enum command what)
{
    const struct campaign *c = campaign_of(turn, id);
    const char *name = commands[what].name;

    if (!c || !th_str_eq(blob_str(c->tenant), meta->tenant))
        return campaign_refuse(turn, meta->tenant, id, name, "not_found",
                               TH_STR("no such campaign"));
    if (!(accepts[c->phase] & BIT(what)))
        return campaign_refuse(turn, meta->tenant, id, name, "conflict",
                               th_arena_printf(core_arena(turn->out),
                                               "a campaign that is %s cannot %s",
                                               campaign_phase_name((enum campaign_phase)c->phase),
                                               commands[what].says));
    switch (what) {
    case COMMAND_START:
        return campaign_start_command(turn, c, &turn->in->event->as.start_campaign);
    case COMMAND_PAUSE:
        TH_TRY(pause_campaign(turn, c));
        break;
    case COMMAND_RESUME:
        TH_TRY(resume_campaign(turn, c));
        break;
    case COMMAND_CANCEL:
        TH_TRY(cancel_campaign(turn, c));
        break;
    case COMMAND_PACE:
        return change_pace(turn, c, &turn->in->event->as.set_campaign_pace);
    }
    return campaign_advance(turn, id);
}
