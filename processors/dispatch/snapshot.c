#include "common/eventlog/saved.h"
#include "processors/dispatch/state.h"

enum { KIND_ATTEMPT = 1, KIND_CONTROL = 2 };

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
    alone.tenant = alone.provider_id = NULL;
    saved_add_struct(saving->out, &alone, sizeof alone);
    saved_add(saving->out, blob_str(a->tenant));
    saved_add(saving->out, blob_str(a->provider_id));
    return th_buf_status(saving->out);
}

static enum th_code save_control(void *arg, const void *entry)
{
    const struct saving *saving = arg;

    saved_add_kind(saving->out, KIND_CONTROL);
    saved_add_struct(saving->out, entry, sizeof(struct control));
    return th_buf_status(saving->out);
}

/* What was applied of a control lies in the slot's first partition, as its events do. */
enum th_code dispatch_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct dispatch *d = core;
    struct saving saving = {d, part, out};

    TH_TRY(table_each_durable(d->attempts, piece, save_attempt, &saving));
    if (part == d->env.slot)
        TH_TRY(table_each_durable(d->controls, piece, save_control, &saving));
    return th_buf_status(out);
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
    case EVENT_CONTROL_APPLIED:
        return table_piece(event->as.control_applied.campaign);
    default:
        return -1;
    }
}

static enum th_code load_attempt(struct dispatch *d, struct th_str *bytes)
{
    struct attempt a;
    struct th_str tenant;
    struct th_str provider_id;

    if (!saved_take_struct(bytes, &a, sizeof a) || !saved_take(bytes, &tenant) ||
        !saved_take(bytes, &provider_id) || a.stand > ATTEMPT_ACCEPTED ||
        !saved_is_bool(&a.has_campaign) || !saved_is_bool(&a.is_final))
        return TH_CORRUPT;
    return dispatch_restore(d, &a, tenant, provider_id);
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

enum th_code dispatch_load(void *core, int part, int piece, struct th_str bytes)
{
    char kind;

    (void)part;
    (void)piece;
    while (saved_take_kind(&bytes, &kind)) {
        if (kind != KIND_ATTEMPT && kind != KIND_CONTROL)
            return TH_CORRUPT;
        TH_TRY(kind == KIND_ATTEMPT ? load_attempt(core, &bytes) : load_control(core, &bytes));
    }
    return TH_OK;
}
