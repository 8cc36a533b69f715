#include "processors/campaign/turn.h"

enum th_code campaign_say(struct turn *turn, const struct campaign *c, const struct event *event)
{
    struct th_str key = core_key(turn->out, blob_str(c->tenant), c->id);

    return key.p ? core_say(turn->out, -1, key, event) : TH_NOMEM;
}

enum th_code campaign_emit(struct turn *turn, enum topic topic, struct th_str tenant,
                           struct th_id id, const struct event *event)
{
    struct th_str key = core_key(turn->out, tenant, id);

    return key.p ? core_emit(turn->out, topic, -1, key, event) : TH_NOMEM;
}

enum th_code campaign_reading(struct turn *turn, struct th_id id, struct reading **out)
{
    void *entry;

    if (!table_get(turn->cs->readings, id)) {
        TH_TRY(table_insert(turn->cs->readings, id, &entry));
        *out = entry;
        (*out)->timer_us = INT64_MAX;
        return TH_OK;
    }
    TH_TRY(table_edit(turn->cs->readings, id, &entry));
    *out = entry;
    return TH_OK;
}

enum th_code campaign_wake(struct turn *turn, struct th_id id, int64_t due_us)
{
    struct reading *reading;

    TH_TRY(campaign_reading(turn, id, &reading));
    if (due_us >= reading->timer_us)
        return TH_OK;
    TH_TRY(timers_add(&turn->cs->timers, due_us, id));
    reading->timer_us = due_us;
    return TH_OK;
}

enum th_code campaign_refuse(struct turn *turn, struct th_str tenant, struct th_id campaign,
                             const char *command, const char *code, struct th_str detail)
{
    struct event event = {
        .type = EVENT_COMMAND_REFUSED,
        .as.command_refused = {.meta = core_meta(turn->out, tenant),
                               .campaign = campaign,
                               .command = th_str(command),
                               .code = th_str(code),
                               .detail = detail},
    };
    struct th_str key = core_key(turn->out, tenant, campaign);

    if (!key.p || !detail.p)
        return TH_NOMEM;
    return core_say(turn->out, -1, key, &event);
}

enum th_code campaign_tell(struct turn *turn, const struct campaign *c, enum control_state state,
                           int64_t version)
{
    struct th_str tenant = blob_str(c->tenant);
    struct event event = {
        .type = EVENT_CAMPAIGN_CONTROLLED,
        .as.campaign_controlled = {.meta = core_meta(turn->out, tenant),
                                   .campaign = c->id,
                                   .version = version,
                                   .state = state},
    };
    return campaign_emit(turn, TOPIC_CAMPAIGN_CONTROL, tenant, c->id, &event);
}
