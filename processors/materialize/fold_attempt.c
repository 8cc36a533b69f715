#include "common/content.h"
#include "processors/materialize/fold_private.h"

/* What only one event of an attempt says; should two ever differ, the greater text stands. */
static enum th_code keep_greater(const struct folding *f, struct th_str *at, struct th_str text)
{
    TH_TRY(view_batch_clean(f->batch, &text));
    return th_str_cmp(text, *at) > 0 ? view_batch_text(f->batch, at, text) : TH_OK;
}

static enum th_code take_started(const struct folding *f, struct attempts_row *row)
{
    const struct attempt_started *ev = &f->event->as.attempt_started;

    keep_first(&row->started_at, f->meta->time_us);
    row->segments = ev->segments;
    row->estimate_micros = ev->estimate.micros;
    TH_TRY(view_batch_text(f->batch, &row->estimate_currency, ev->estimate.currency));
    TH_TRY(view_batch_text(f->batch, &row->channel, th_str(channel_name(ev->channel))));
    TH_TRY(view_batch_text(f->batch, &row->sender, ev->sender));
    return view_batch_text(f->batch, &row->phone, content_plain(&ev->to));
}

static enum th_code take_outcome(const struct folding *f, struct attempts_row *row,
                                 const char *outcome, struct th_str reason)
{
    return merge_outcome(
        f->batch, &(struct outcome_columns){&row->outcome, &row->outcome_reason, &row->outcome_at},
        th_str(outcome), reason, f->meta->time_us, NULL);
}

static enum th_code take_result(const struct folding *f, struct attempts_row *row)
{
    const struct attempt_result *ev = &f->event->as.attempt_result;

    if (ev->http_status > row->http_status)
        row->http_status = ev->http_status;
    keep_last(&row->call_us, ev->call_us);
    TH_TRY(keep_greater(f, &row->provider_id, ev->provider_id));
    TH_TRY(keep_greater(f, &row->provider_code, ev->provider_code));
    TH_TRY(keep_greater(f, &row->error_class, th_str(error_class_name(ev->error_class))));
    return take_outcome(f, row, attempt_outcome_name(ev->outcome), ev->reason);
}

static enum th_code take_resolved(const struct folding *f, struct attempts_row *row)
{
    const struct attempt_resolved *ev = &f->event->as.attempt_resolved;

    TH_TRY(keep_greater(f, &row->provider_id, ev->provider_id));
    TH_TRY(keep_greater(f, &row->resolved_how, th_str(resolved_how_name(ev->how))));
    return take_outcome(f, row, attempt_outcome_name(ev->outcome), (struct th_str){NULL, 0});
}

static enum th_code take_returned(const struct folding *f, struct attempts_row *row)
{
    keep_first(&row->returned_at, f->meta->time_us);
    return keep_greater(f, &row->returned_reason, f->event->as.attempt_returned.reason);
}

/* Moments of a call: each the earliest that was told. */
static void take_moments(const struct attempt_reported *ev, struct attempts_row *row)
{
    int64_t at_us = ev->provider_us ? ev->provider_us : ev->meta.time_us;

    if (th_str_eq(ev->status, TH_STR("ringing")))
        keep_first(&row->ringing_at, at_us);
    if (th_str_eq(ev->status, TH_STR("answered")))
        keep_first(&row->answered_at, at_us);
    if (ev->is_final)
        keep_first(&row->ended_at, at_us);
    if (ev->duration_s > row->duration_s)
        row->duration_s = ev->duration_s;
}

static enum th_code take_report(const struct folding *f, struct attempts_row *row)
{
    struct attempt_reported clean;
    const struct attempt_reported *ev = &clean;
    const struct report_columns held = {row->status, row->status_reason, row->status_rank,
                                        row->status_provider_at, row->status_at};

    TH_TRY(clean_report(f, &clean));
    take_moments(ev, row);
    TH_TRY(keep_greater(f, &row->provider_id, ev->provider_id));
    TH_TRY(view_batch_text(f->batch, &row->channel, th_str(channel_name(ev->channel))));
    TH_TRY(take_outcome(f, row, "accepted", (struct th_str){NULL, 0}));
    if (!report_wins(ev, &held))
        return TH_OK;
    TH_TRY(view_batch_text(f->batch, &row->status, ev->status));
    TH_TRY(view_batch_text(f->batch, &row->status_reason, ev->reason));
    TH_TRY(view_batch_text(f->batch, &row->status_code, ev->provider_code));
    row->status_rank = ev->rank;
    row->status_is_final = ev->is_final;
    row->status_is_positive = ev->is_final && ev->is_positive;
    row->status_provider_at = ev->provider_us;
    row->status_at = f->meta->time_us;
    return TH_OK;
}

/* The latest price; a null says only that nobody asks any more. */
static enum th_code take_price(const struct folding *f, struct attempts_row *row)
{
    const struct attempt_priced *ev = &f->event->as.attempt_priced;

    if (!ev->price.is_set || f->meta->time_us < row->priced_at ||
        (f->meta->time_us == row->priced_at && ev->price.value.micros <= row->price_micros))
        return TH_OK;
    row->priced_at = f->meta->time_us;
    row->price_micros = ev->price.value.micros;
    return view_batch_text(f->batch, &row->price_currency, ev->price.value.currency);
}

enum th_code conclude_attempt(struct view_batch *batch, struct attempts_row *row)
{
    struct th_str state = row->outcome;

    if (!state.n)
        state = row->returned_at && !row->started_at ? TH_STR("returned") : TH_STR("started");
    return view_batch_text(batch, &row->state, state);
}

bool fold_attempt_key(const struct event *ev, struct attempts_row *key)
{
    switch ((int)ev->type) {
#define ATTEMPT_KEY(type, name)                                                                    \
    case type:                                                                                     \
        key->send = ev->as.name.send;                                                              \
        key->n = ev->as.name.n;                                                                    \
        key->campaign =                                                                            \
            ev->as.name.campaign.is_set ? ev->as.name.campaign.value : (struct th_id){{0}};        \
        key->lane = ev->as.name.lane;                                                              \
        return true;
        ATTEMPT_KEY(EVENT_ATTEMPT_STARTED, attempt_started)
        ATTEMPT_KEY(EVENT_ATTEMPT_RESULT, attempt_result)
        ATTEMPT_KEY(EVENT_ATTEMPT_RETURNED, attempt_returned)
        ATTEMPT_KEY(EVENT_ATTEMPT_RESOLVED, attempt_resolved)
        ATTEMPT_KEY(EVENT_ATTEMPT_REPORTED, attempt_reported)
        ATTEMPT_KEY(EVENT_ATTEMPT_PRICED, attempt_priced)
#undef ATTEMPT_KEY
    default:
        return false;
    }
}

static enum th_code take(const struct folding *f, struct attempts_row *row)
{
    switch ((int)f->event->type) {
    case EVENT_ATTEMPT_STARTED:
        return take_started(f, row);
    case EVENT_ATTEMPT_RESULT:
        return take_result(f, row);
    case EVENT_ATTEMPT_RETURNED:
        return take_returned(f, row);
    case EVENT_ATTEMPT_RESOLVED:
        return take_resolved(f, row);
    case EVENT_ATTEMPT_REPORTED:
        return take_report(f, row);
    case EVENT_ATTEMPT_PRICED:
        return take_price(f, row);
    default:
        return TH_OK;
    }
}

enum th_code fold_attempt(const struct folding *f)
{
    struct attempts_row key = {0};
    struct attempts_row *row;
    void *found;

    if (!fold_attempt_key(f->event, &key))
        return TH_OK;
    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_ATTEMPTS, &key, f->place.part, &found));
    if (f->batch->is_touching)
        return TH_OK;
    row = found;
    if (!th_id_is_zero(key.campaign))
        row->campaign = key.campaign;
    row->lane = key.lane;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    return take(f, row);
}
