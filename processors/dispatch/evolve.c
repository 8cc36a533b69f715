#include "processors/dispatch/state.h"

#include <string.h>

struct th_id attempt_id(struct attempt_ref ref)
{
    struct th_id id = ref.send;

    /* A send id ends in a hash; the number of the attempt is small. */
    for (int i = 0; i < 4; i++)
        id.b[12 + i] ^= (uint8_t)((uint32_t)ref.n >> (24 - 8 * i));
    return id;
}

int64_t dispatch_price_wait_us(const struct dispatch_config *config, int lookups)
{
    int64_t wait = config->price_wait_us;

    if (lookups >= config->price_tries)
        return 0;
    for (int i = 0; i < lookups; i++)
        wait *= 4;
    return wait;
}

static enum th_code set_due(struct dispatch *d, struct attempt *a, int64_t due_us)
{
    a->due_at_us = due_us;
    return due_us == INT64_MAX ? TH_OK : timers_add(&d->timers, due_us, a->id);
}

static int64_t callback_window(const struct dispatch *d, const struct attempt *a)
{
    return a->channel == CHANNEL_CALL ? d->config.callback_window_call_us
                                      : d->config.callback_window_sms_us;
}

static enum th_code started(struct dispatch *d, const struct attempt_started *ev)
{
    struct attempt_ref ref = {ev->send, ev->n};
    void *entry;

    if (table_get(d->attempts, attempt_id(ref)))
        return TH_OK;
    TH_TRY(table_insert(d->attempts, attempt_id(ref), &entry));
    struct attempt *a = entry;
    a->ref = ref;
    a->stand = ATTEMPT_STARTED;
    a->lane = ev->lane;
    a->channel = (uint8_t)ev->channel;
    a->has_campaign = ev->campaign.is_set;
    a->campaign = ev->campaign.value;
    a->started_us = ev->meta.time_us;
    a->session = (uint64_t)ev->session;
    a->due_at_us = INT64_MAX;
    return table_blob(d->attempts, ev->meta.tenant, &a->tenant);
}

static enum th_code gone(struct dispatch *d, struct attempt *a)
{
    TH_TRY(table_drop(d->attempts, a->tenant));
    TH_TRY(table_drop(d->attempts, a->provider_id));
    return table_remove(d->attempts, a->id);
}

static enum th_code learn_id(struct dispatch *d, struct attempt *a, struct th_str provider_id)
{
    if (provider_id.n == 0 || a->provider_id)
        return TH_OK;
    return table_blob(d->attempts, provider_id, &a->provider_id);
}

static enum th_code accepted(struct dispatch *d, struct attempt *a, struct th_str provider_id,
                             int64_t now_us)
{
    TH_TRY(learn_id(d, a, provider_id));
    if (a->stand == ATTEMPT_ACCEPTED)
        return TH_OK;
    a->stand = ATTEMPT_ACCEPTED;
    return set_due(d, a, now_us + d->config.report_wait_us);
}

static enum th_code settle(struct dispatch *d, struct attempt *a, enum attempt_outcome outcome,
                           struct th_str provider_id, int64_t now_us)
{
    switch (outcome) {
    case ATTEMPT_OUTCOME_ACCEPTED:
        return accepted(d, a, provider_id, now_us);
    case ATTEMPT_OUTCOME_UNKNOWN:
        if (a->stand == ATTEMPT_ACCEPTED)
            return TH_OK; /* a callback knew better */
        a->stand = ATTEMPT_UNKNOWN;
        return set_due(d, a, a->started_us + callback_window(d, a));
    case ATTEMPT_OUTCOME_REJECTED:
    case ATTEMPT_OUTCOME_THROTTLED:
    case ATTEMPT_OUTCOME_NOT_SENT:
    case ATTEMPT_OUTCOME_NOT_EXECUTED:
    case ATTEMPT_OUTCOME_IN_DOUBT:
        return gone(d, a);
    }
    return TH_OK;
}

static enum th_code reported(struct dispatch *d, struct attempt *a,
                             const struct attempt_reported *ev)
{
    TH_TRY(learn_id(d, a, ev->provider_id));
    if (ev->rank > a->rank)
        a->rank = ev->rank;
    if (!ev->is_final || a->is_final)
        return TH_OK;
    a->is_final = true;
    a->lookups = 0;
    return set_due(d, a, ev->meta.time_us + dispatch_price_wait_us(&d->config, 0));
}

static enum th_code control_applied(struct dispatch *d, const struct control_applied *ev)
{
    void *entry;

    if (ev->state == CONTROL_STATE_ENDED)
        return table_get(d->controls, ev->campaign) ? table_remove(d->controls, ev->campaign)
                                                    : TH_OK;
    if (!table_get(d->controls, ev->campaign))
        TH_TRY(table_insert(d->controls, ev->campaign, &entry));
    TH_TRY(table_edit(d->controls, ev->campaign, &entry));
    ((struct control *)entry)->version = ev->version;
    ((struct control *)entry)->state = (uint8_t)ev->state;
    return TH_OK;
}

/* The attempt that an own event is about, if it is open. */
static enum th_code edit(struct dispatch *d, struct th_id send, int32_t n, struct attempt **out)
{
    struct th_id id = attempt_id((struct attempt_ref){send, n});
    void *entry;

    *out = NULL;
    if (!table_get(d->attempts, id))
        return TH_OK;
    TH_TRY(table_edit(d->attempts, id, &entry));
    *out = entry;
    return TH_OK;
}

enum th_code dispatch_evolve(void *core, const struct event *event)
{
    struct dispatch *d = core;
    struct attempt *a;

    switch ((int)event->type) { /* most events are none of ours; a returned plan was no attempt */
    case EVENT_ATTEMPT_STARTED:
        return started(d, &event->as.attempt_started);
    case EVENT_CONTROL_APPLIED:
        return control_applied(d, &event->as.control_applied);
    case EVENT_ATTEMPT_RESULT: {
        const struct attempt_result *ev = &event->as.attempt_result;
        TH_TRY(edit(d, ev->send, ev->n, &a));
        return a ? settle(d, a, ev->outcome, ev->provider_id, ev->meta.time_us) : TH_OK;
    }
    case EVENT_ATTEMPT_RESOLVED: {
        const struct attempt_resolved *ev = &event->as.attempt_resolved;
        TH_TRY(edit(d, ev->send, ev->n, &a));
        return a ? settle(d, a, ev->outcome, ev->provider_id, ev->meta.time_us) : TH_OK;
    }
    case EVENT_ATTEMPT_REPORTED:
        TH_TRY(edit(d, event->as.attempt_reported.send, event->as.attempt_reported.n, &a));
        return a ? reported(d, a, &event->as.attempt_reported) : TH_OK;
    case EVENT_ATTEMPT_PRICED:
        TH_TRY(edit(d, event->as.attempt_priced.send, event->as.attempt_priced.n, &a));
        return a ? gone(d, a) : TH_OK;
    default:
        return TH_OK;
    }
}

enum th_code dispatch_restore(struct dispatch *d, const struct attempt *saved, struct th_str tenant,
                              struct th_str provider_id)
{
    void *entry;

    TH_TRY(table_insert(d->attempts, saved->id, &entry));
    struct attempt *a = entry;
    *a = *saved;
    a->tenant = a->provider_id = NULL;
    TH_TRY(table_blob(d->attempts, tenant, &a->tenant));
    if (provider_id.n > 0)
        TH_TRY(table_blob(d->attempts, provider_id, &a->provider_id));
    return set_due(d, a, a->due_at_us);
}
