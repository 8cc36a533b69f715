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

    if (a->lane % saving->d->env.partitions != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_ATTEMPT);
    saved_add_struct(saving->out, a, sizeof *a);
    saved_add(saving->out, blob_str(a->tenant));
    saved_add(saving->out, blob_str(a->provider_id));
    saved_add(saving->out, blob_str(a->party));
    return th_buf_status(saving->out);
}

static enum th_code save_control(void *arg, const void *entry)
{
    const struct saving *saving = arg;

    saved_add_kind(saving->out, KIND_CONTROL);
    saved_add_struct(saving->out, entry, sizeof(struct control));
    return th_buf_status(saving->out);
}

static enum th_code save_recent(const struct recent *recent, struct th_buf *out)
{
    TH_AUTO(th_buf) struct th_buf bytes = {0};

    TH_TRY(recent_save(recent, &bytes));
    saved_add_kind(out, KIND_RECENT);
    saved_add(out, th_buf_str(&bytes));
    return th_buf_status(out);
}

/* What was applied of a control lies in the slot's first partition, as its events do. */
enum th_code dispatch_save(const void *core, int part, int piece, struct th_buf *out)
{
    const struct dispatch *d = core;
    struct saving saving = {d, part, out};

    (void)piece; /* there is one */
    for (int i = 0; i < TABLE_PIECES; i++) {
        TH_TRY(table_each_durable(d->attempts, i, save_attempt, &saving));
        if (part == d->env.slot)
            TH_TRY(table_each_durable(d->controls, i, save_control, &saving));
    }
    return d->recents[part] ? save_recent(d->recents[part], out) : th_buf_status(out);
}

static enum th_code load_attempt(struct dispatch *d, struct th_str *bytes)
{
    struct attempt a;
    struct th_str tenant;
    struct th_str provider_id;
    struct th_str party;

    if (!saved_take_struct(bytes, &a, sizeof a) || !saved_take(bytes, &tenant) ||
        !saved_take(bytes, &provider_id) || !saved_take(bytes, &party) ||
        a.stand > ATTEMPT_ACCEPTED || !saved_is_bool(&a.has_campaign) ||
        !saved_is_bool(&a.is_final))
        return TH_CORRUPT;
    return dispatch_restore(d, &a, tenant, provider_id, party);
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
    char kind;

    (void)piece;
    while (saved_take_kind(&bytes, &kind))
        TH_TRY(load_one(core, part, kind, &bytes));
    return TH_OK;
}
