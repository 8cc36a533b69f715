#include "processors/dispatch/state.h"

#include "common/hash.h"

#include <string.h>

#define PARTY_LEN_MAX 128

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

/* --- whom it went to --------------------------------------------------------------------------
 */

struct party party_parse(struct th_str text)
{
    struct party party;

    (void)th_str_cut(text, ' ', &party.to, &party.sender);
    return party;
}

static uint64_t party_hash(const struct attempt *a)
{
    return th_hash64(blob_str(a->party), (uint64_t)a->lane);
}

static uint64_t attempt_hash(const struct attempt *a)
{
    return th_hash64(th_id_bytes(&a->id), 0);
}

static struct recent **recent_of(const struct dispatch *d, const struct attempt *a)
{
    return &d->recents[a->lane % d->env.partitions];
}

bool dispatch_is_alone(const struct dispatch *d, const struct attempt *a)
{
    const struct recent *recent = *recent_of(d, a);

    return a->party && recent &&
           recent_is_alone(recent, party_hash(a), attempt_hash(a), table_piece(a->id));
}

static enum th_code keep_party(struct dispatch *d, struct attempt *a, struct party party)
{
    char text[PARTY_LEN_MAX];

    if (party.to.n + 1 + party.sender.n > sizeof text)
        return TH_OK; /* then a callback must tell */
    memcpy(text, party.to.p, party.to.n);
    text[party.to.n] = ' ';
    if (party.sender.n)
        memcpy(text + party.to.n + 1, party.sender.p, party.sender.n);
    return table_blob(d->attempts, (struct th_str){text, party.to.n + 1 + party.sender.n},
                      &a->party);
}

static enum th_code note_party(struct dispatch *d, struct attempt *a,
                               const struct attempt_started *ev)
{
    struct recent **recent = recent_of(d, a);

    if (ev->to.is != STRING_OR_SEALED_STRING || !ev->to.as.string.n)
        return TH_OK;
    TH_TRY(keep_party(d, a, (struct party){ev->to.as.string, ev->sender}));
    if (!a->party)
        return TH_OK;
    if (!*recent)
        *recent = recent_new();
    if (!*recent)
        return TH_NOMEM;
    recent_note(*recent, party_hash(a), attempt_hash(a), table_piece(a->id), a->started_us);
    return TH_OK;
}

/* What the request said, where the same may be said again. */
static enum th_code keep_words(struct dispatch *d, struct attempt *a,
                               const struct attempt_started *ev)
{
    const struct repeatable *repeatable = &ev->repeatable.value;
    TH_AUTO(th_buf) struct th_buf words = {0};

    if (!ev->repeatable.is_set || repeatable->text.is != STRING_OR_SEALED_STRING)
        return TH_OK;
    th_buf_add(&words, repeatable->lang);
    th_buf_add_char(&words, ' ');
    th_buf_add(&words, repeatable->text.as.string);
    TH_TRY(th_buf_status(&words));
    a->contact = repeatable->contact;
    return table_blob(d->attempts, th_buf_str(&words), &a->words);
}

/* --- attempts ---------------------------------------------------------------------------------
 */

static enum th_code set_due(struct dispatch *d, struct attempt *a, int64_t due_us)
{
    a->due_at_us = due_us;
    return due_us == INT64_MAX ? TH_OK : timers_add(&d->timers, due_us, a->id);
}

int64_t dispatch_gives_up_us(const struct dispatch *d, const struct attempt *a)
{
    return a->started_us + (a->channel == CHANNEL_CALL ? d->config.callback_window_call_us
                                                       : d->config.callback_window_sms_us);
}

static int64_t sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* A release at pace "max" names no end: it is one for a call that leaves at once, not for one that
 * is repeated when the campaign may have a pace again. */
static void released(struct attempt *a, int64_t from_us, int64_t send_by_us)
{
    a->wants_release = false;
    a->send_by_us = send_by_us || !a->has_campaign ? send_by_us : from_us + DISPATCH_AT_ONCE_US;
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
    released(a, ev->meta.time_us, ev->send_by_us);
    a->session = (uint64_t)ev->session;
    a->due_at_us = INT64_MAX;
    TH_TRY(table_blob(d->attempts, ev->meta.tenant, &a->tenant));
    TH_TRY(keep_words(d, a, ev));
    return note_party(d, a, ev);
}

static enum th_code drop_request(struct dispatch *d, struct attempt *a)
{
    TH_TRY(table_drop(d->attempts, a->party));
    a->party = NULL;
    TH_TRY(table_drop(d->attempts, a->words));
    a->words = NULL;
    return TH_OK;
}

static enum th_code gone(struct dispatch *d, struct attempt *a)
{
    TH_TRY(table_drop(d->attempts, a->tenant));
    TH_TRY(table_drop(d->attempts, a->provider_id));
    TH_TRY(drop_request(d, a));
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
    a->lookups = 0;
    TH_TRY(drop_request(d, a));
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
        return set_due(d, a, sooner(now_us + d->config.search_wait_us, dispatch_gives_up_us(d, a)));
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

static enum th_code repeat_released(struct dispatch *d, struct attempt *a,
                                    const struct repeat_released *ev)
{
    if (a->stand != ATTEMPT_UNKNOWN)
        return TH_OK;
    released(a, ev->send_at_us, ev->send_by_us);
    return set_due(d, a, ev->send_at_us);
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
        if (a && ev->accepted_without_id)
            a->is_taken = true;
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
    case EVENT_REPEAT_WANTED:
        TH_TRY(edit(d, event->as.repeat_wanted.send, event->as.repeat_wanted.n, &a));
        if (a)
            a->wants_release = true;
        return TH_OK;
    case EVENT_REPEAT_RELEASED:
        TH_TRY(edit(d, event->as.repeat_released.send, event->as.repeat_released.n, &a));
        return a ? repeat_released(d, a, &event->as.repeat_released) : TH_OK;
    case EVENT_ATTEMPT_PRICED:
        TH_TRY(edit(d, event->as.attempt_priced.send, event->as.attempt_priced.n, &a));
        return a ? gone(d, a) : TH_OK;
    default:
        return TH_OK;
    }
}

static enum th_code restore_blob(struct dispatch *d, struct th_str text, struct blob **out)
{
    *out = NULL;
    return text.n ? table_blob(d->attempts, text, out) : TH_OK;
}

enum th_code dispatch_restore(struct dispatch *d, const struct attempt *saved,
                              const struct attempt_texts *texts)
{
    void *entry;

    TH_TRY(table_insert(d->attempts, saved->id, &entry));
    struct attempt *a = entry;
    *a = *saved;
    a->tenant = a->provider_id = a->party = a->words = NULL;
    TH_TRY(table_blob(d->attempts, texts->tenant, &a->tenant));
    TH_TRY(restore_blob(d, texts->provider_id, &a->provider_id));
    TH_TRY(restore_blob(d, texts->party, &a->party));
    TH_TRY(restore_blob(d, texts->words, &a->words));
    /* A question that was under way died with the process that asked it: it is due at once. */
    return set_due(d, a,
                   a->due_at_us == INT64_MAX && a->stand != ATTEMPT_STARTED ? a->started_us
                                                                            : a->due_at_us);
}
