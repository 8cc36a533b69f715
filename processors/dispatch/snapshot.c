#include "common/eventlog/saved.h"
#include "processors/dispatch/state.h"

enum { KIND_ATTEMPT = 1, KIND_CONTROL = 2, KIND_RECENT = 3 };

struct saving {
    const struct dispatch *d;
    int part;
    struct th_buf *out;
};

static enum th_code save_attempt(void *arg, const void *entry)
{
    const struct saving *saving = arg;
    const struct attempt *a = entry;
    struct attempt alone = *a;

    if (a->lane % saving->d->env.partitions != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_ATTEMPT);
    alone.tenant = alone.provider_id = alone.party = alone.words = NULL;
    saved_add_struct(saving->out, &alone, sizeof alone);
    saved_add(saving->out, blob_str(a->tenant));
    saved_add(saving->out, blob_str(a->provider_id));
    saved_add(saving->out, blob_str(a->party));
    saved_add(saving->out, blob_str(a->words));
    return th_buf_status(saving->out);
}

static enum th_code save_control(void *arg, const void *entry)
{
    const struct saving *saving = arg;

    saved_add_kind(saving->out, KIND_CONTROL);
    saved_add_struct(saving->out, entry, sizeof(struct control));
    return th_buf_status(saving->out);
}

static enum th_code save_recent(const struct recent *recent, int piece, struct th_buf *out)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};

    TH_TRY(recent_save(recent, piece, &bytes));
    if (th_buf_str(&bytes).n == 0)
        return th_buf_status(out);
    saved_add_kind(out, KIND_RECENT);
    saved_add(out, th_buf_str(&bytes));
    return th_buf_status(out);
}

/* What was applied of a control lies in the slot's first partition, as its events do. */
enum th_code dispatch_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct dispatch *d = core;
    struct saving saving = {d, part, out};

    TH_TRY(table_each_durable(d->attempts, piece, save_attempt, &saving));
    if (part == d->env.slot)
        TH_TRY(table_each_durable(d->controls, piece, save_control, &saving));
    return d->recents[part] ? save_recent(d->recents[part], piece, out) : th_buf_status(out);
}

static int piece_of(struct th_id send, int32_t n)
{
    return table_piece(attempt_id((struct attempt_ref){send, n}));
}

int dispatch_piece(const struct event *event)
{
    switch ((int)event->type) { /* the rest changes nothing */
    case EVENT_ATTEMPT_STARTED:
        return piece_of(event->as.attempt_started.send, event->as.attempt_started.n);
    case EVENT_ATTEMPT_RESULT:
        return piece_of(event->as.attempt_result.send, event->as.attempt_result.n);
    case EVENT_ATTEMPT_RESOLVED:
        return piece_of(event->as.attempt_resolved.send, event->as.attempt_resolved.n);
    case EVENT_ATTEMPT_REPORTED:
        return piece_of(event->as.attempt_reported.send, event->as.attempt_reported.n);
    case EVENT_ATTEMPT_PRICED:
        return piece_of(event->as.attempt_priced.send, event->as.attempt_priced.n);
    case EVENT_REPEAT_WANTED:
        return piece_of(event->as.repeat_wanted.send, event->as.repeat_wanted.n);
    case EVENT_REPEAT_RELEASED:
        return piece_of(event->as.repeat_released.send, event->as.repeat_released.n);
    case EVENT_CONTROL_APPLIED:
        return table_piece(event->as.control_applied.campaign);
    default:
        return -1;
    }
}

static enum th_code load_attempt(struct dispatch *d, struct th_str *bytes)
{
    struct attempt a;
    struct attempt_texts texts;

    if (!saved_take_struct(bytes, &a, sizeof a) || !saved_take(bytes, &texts.tenant) ||
        !saved_take(bytes, &texts.provider_id) || !saved_take(bytes, &texts.party) ||
        !saved_take(bytes, &texts.words) || a.stand > ATTEMPT_ACCEPTED ||
        !saved_is_bool(&a.has_campaign) || !saved_is_bool(&a.is_final) ||
        !saved_is_bool(&a.wants_release) || !saved_is_bool(&a.is_taken))
        return TH_CORRUPT;
    return dispatch_restore(d, &a, &texts);
}

static enum th_code load_control(struct dispatch *d, struct th_str *bytes)
{
    struct control control;
    void *entry;

    if (!saved_take_struct(bytes, &control, sizeof control) || control.state >= CONTROL_STATE_COUNT)
        return TH_CORRUPT;
    TH_TRY(table_insert(d->controls, control.campaign, &entry));
    *(struct control *)entry = control;
    return TH_OK;
}

static enum th_code load_recent(struct dispatch *d, int part, struct th_str *bytes)
{
    struct th_str recent;

    if (!saved_take(bytes, &recent))
        return TH_CORRUPT;
    if (!d->recents[part])
        d->recents[part] = recent_new();
    return d->recents[part] ? recent_load(d->recents[part], recent) : TH_NOMEM;
}

static enum th_code load_one(struct dispatch *d, int part, char kind, struct th_str *bytes)
{
    switch (kind) {
    case KIND_ATTEMPT:
        return load_attempt(d, bytes);
    case KIND_CONTROL:
        return load_control(d, bytes);
    case KIND_RECENT:
        return load_recent(d, part, bytes);
    default:
        return TH_CORRUPT;
    }
}

enum th_code dispatch_load(void *core, int part, int piece, struct th_str bytes)
{
    struct dispatch *d = core;
    size_t about = bytes.n / sizeof(struct attempt); /* rather too many */
    char kind;

    TH_TRY(table_expect(d->attempts, about * (size_t)(TABLE_PIECES - piece)));
    while (saved_take_kind(&bytes, &kind))
        TH_TRY(load_one(core, part, kind, &bytes));
    return TH_OK;
}
