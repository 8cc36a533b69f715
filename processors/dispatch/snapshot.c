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

    if (a->lane % saving->d->env.partitions != saving->part)
        return TH_OK;
    saved_add_kind(saving->out, KIND_ATTEMPT);
    saved_add_struct(saving->out, a, sizeof *a);
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

    (void)piece; /* there is one */
    for (int i = 0; i < TABLE_PIECES; i++) {
        TH_TRY(table_each_durable(d->attempts, i, save_attempt, &saving));
        if (part == d->env.slot)
            TH_TRY(table_each_durable(d->controls, i, save_control, &saving));
    }
    return th_buf_status(out);
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
