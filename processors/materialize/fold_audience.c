#include <string.h>

#include "common/digest.h"
#include "processors/materialize/fold_private.h"

static enum th_code audience_of(const struct folding *f, struct th_id id,
                                struct audiences_row **out_row)
{
    const struct audiences_row key = {.audience = id};
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_AUDIENCES, &key, f->place.part, &found));
    *out_row = found;
    if (!found)
        return TH_OK;
    (*out_row)->log_part = f->place.part;
    return view_batch_text(f->batch, &(*out_row)->tenant, f->meta->tenant);
}

static enum th_code keep_sha256(const struct folding *f, struct th_str *at,
                                const uint8_t sha256[TH_SHA256_SIZE])
{
    return view_batch_bytes(f->batch, at, (struct th_str){(const char *)sha256, TH_SHA256_SIZE});
}

static enum th_code take_created(const struct folding *f)
{
    struct audiences_row *row;

    TH_TRY(audience_of(f, f->event->as.audience_created.audience, &row));
    if (!row)
        return TH_OK;
    row->created_at = f->meta->time_us;
    return view_batch_text(f->batch, &row->name, f->event->as.audience_created.name);
}

/* Of a part only the last record before the seal counts; what comes after it never will. */
static enum th_code take_part(const struct folding *f)
{
    const struct audience_part *ev = &f->event->as.audience_part;
    const struct audience_parts_row key = {.audience = ev->audience, .part = ev->part};
    struct audiences_row *audience;
    struct audience_parts_row *row;
    void *found;

    TH_TRY(audience_of(f, ev->audience, &audience));
    if (audience && audience->seal_next)
        return TH_OK;
    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_AUDIENCE_PARTS, &key, f->place.part, &found));
    row = found;
    if (!row)
        return TH_OK;
    bool is_new = row->sha256.n == 0;
    if (!is_new && f->place.offset <= row->log_offset)
        return TH_OK;
    audience->parts += is_new ? 1 : 0;
    audience->recipients += (int64_t)ev->rows.n - row->recipients;
    audience->rejected += ev->rejected - row->rejected;
    row->log_part = f->place.part;
    row->log_offset = f->place.offset;
    row->recipients = (int32_t)ev->rows.n;
    row->rejected = ev->rejected;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    return keep_sha256(f, &row->sha256, ev->sha256.b);
}

/* One hash over all parts' hashes, in their order. */
static enum th_code hash_parts(const struct folding *f, const struct audience_sealed *ev,
                               uint8_t out[TH_SHA256_SIZE])
{
    uint8_t *all = th_arena_array(&f->batch->arena, ev->parts.n + 1, TH_SHA256_SIZE);

    if (!all)
        return TH_NOMEM;
    for (size_t i = 0; i < ev->parts.n; i++)
        memcpy(all + i * TH_SHA256_SIZE, ev->parts.at[i].sha256.b, TH_SHA256_SIZE);
    th_sha256((struct th_str){(const char *)all, ev->parts.n * TH_SHA256_SIZE}, out);
    return TH_OK;
}

static enum th_code take_sealed(const struct folding *f)
{
    const struct audience_sealed *ev = &f->event->as.audience_sealed;
    uint8_t sha256[TH_SHA256_SIZE];
    struct audiences_row *row;

    TH_TRY(audience_of(f, ev->audience, &row));
    if (!row || row->seal_next)
        return TH_OK;
    row->seal_next = f->place.offset + 1;
    row->sealed_at = f->meta->time_us;
    row->parts = (int32_t)ev->parts.n;
    row->recipients = ev->recipients;
    row->rejected = ev->rejected;
    TH_TRY(hash_parts(f, ev, sha256));
    return keep_sha256(f, &row->sha256, sha256);
}

enum th_code fold_audience(const struct folding *f)
{
    switch ((int)f->event->type) {
    case EVENT_AUDIENCE_CREATED:
        return take_created(f);
    case EVENT_AUDIENCE_PART:
        return take_part(f);
    case EVENT_AUDIENCE_SEALED:
        return take_sealed(f);
    default:
        return TH_OK;
    }
}
