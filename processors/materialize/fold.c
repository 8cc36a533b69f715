#include "processors/materialize/fold.h"

#include "processors/materialize/fold_private.h"

static const struct {
    enum topic topic;
    enum th_code (*fold)(const struct folding *f);
} folds[] = {
    {TOPIC_CAMPAIGN_COMMANDS, fold_campaign}, {TOPIC_CAMPAIGN_EVENTS, fold_campaign},
    {TOPIC_CAMPAIGN_AUDIENCE, fold_audience}, {TOPIC_SEND_REQUESTS, fold_send},
    {TOPIC_SEND_EVENTS, fold_send},           {TOPIC_SEND_OUTCOMES, fold_send},
    {TOPIC_DISPATCH_ATTEMPTS, fold_attempt},  {TOPIC_CONFIG, fold_other},
    {TOPIC_CONSENT_EVENTS, fold_other},       {TOPIC_DEAD_LETTERS, fold_other},
};

uint32_t fold_topics(void)
{
    uint32_t topics = 0;

    for (size_t i = 0; i < TH_LEN(folds); i++)
        topics |= UINT32_C(1) << folds[i].topic;
    return topics;
}

enum th_code fold_event(struct view_batch *batch, const struct event *event, struct log_place place)
{
    const struct folding f = {batch, event, event_meta(event), place};

    for (size_t i = 0; i < TH_LEN(folds); i++)
        if (folds[i].topic == place.topic)
            return folds[i].fold(&f);
    return TH_OK;
}

/* --- counters -----------------------------------------------------------------------------------
 */

/* One thing counted somewhere: n is +1 or -1. */
struct counted {
    struct th_id campaign;
    struct th_str tenant;
    int log_part;
    int64_t n;
};

static enum th_code count(struct view_batch *batch, const struct counted *c,
                          enum view_counter_source source, struct th_str outcome,
                          struct th_str reason)
{
    const struct campaign_counters_row key = {.campaign = c->campaign,
                                              .source = (int32_t)source,
                                              .log_part = c->log_part,
                                              .outcome = outcome,
                                              .reason = reason};
    struct campaign_counters_row *row;
    void *found;

    TH_TRY(view_batch_row(batch, VIEW_TABLE_CAMPAIGN_COUNTERS, &key, c->log_part, &found));
    if (!found)
        return TH_OK;
    row = found;
    row->n += c->n;
    return view_batch_text(batch, &row->tenant, c->tenant);
}

static enum th_code count_send(struct view_batch *batch, const struct sends_row *row, int log_part,
                               int64_t n)
{
    const struct counted c = {row->campaign, row->tenant, log_part, n};

    if (th_id_is_zero(row->campaign))
        return TH_OK;
    return count(batch, &c, VIEW_COUNTED_SENDS, row->outcome, row->reason);
}

bool attempt_cost(const struct attempts_row *row, struct campaign_costs_row *out)
{
    int rank = outcome_rank(row->outcome);

    if (row->priced_at) {
        out->currency = row->price_currency;
        out->micros = row->price_micros;
        return true;
    }
    out->is_estimated = true;
    out->currency = row->estimate_currency;
    out->micros = row->estimate_micros;
    return row->started_at && row->estimate_currency.n && rank != outcome_rank(TH_STR("rejected"));
}

static enum th_code count_cost(struct view_batch *batch, const struct attempts_row *attempt,
                               int log_part, int64_t n)
{
    struct campaign_costs_row key = {.campaign = attempt->campaign, .log_part = log_part};
    struct campaign_costs_row *row;
    void *found;

    if (!attempt_cost(attempt, &key))
        return TH_OK;
    int64_t micros = key.micros;
    key.micros = 0;
    TH_TRY(view_batch_row(batch, VIEW_TABLE_CAMPAIGN_COSTS, &key, log_part, &found));
    if (!found)
        return TH_OK;
    row = found;
    row->n += n;
    row->micros += n * micros;
    return view_batch_text(batch, &row->tenant, attempt->tenant);
}

static enum th_code count_attempt(struct view_batch *batch, const struct attempts_row *row,
                                  int log_part, int64_t n)
{
    const struct counted c = {row->campaign, row->tenant, log_part, n};
    const struct th_str none = {"", 0};

    if (th_id_is_zero(row->campaign))
        return TH_OK;
    if (attempt_is_open(row))
        TH_TRY(count(batch, &c, VIEW_COUNTED_ATTEMPTS, TH_STR("open"), none));
    return count_cost(batch, row, log_part, n);
}

/* What is stored of a row that has changed no longer counts, what it became does. */
static bool has_changed(const struct view_batch_entry *entry)
{
    return entry->is_wanted && (!entry->entry.is_found || entry->before.p);
}

static enum th_code recount_sends(struct view_batch *batch)
{
    const struct view_batch_list *touched = &batch->tables[VIEW_TABLE_SENDS].touched;
    struct sends_row row;

    for (size_t i = 0; i < touched->n; i++) {
        const struct view_batch_entry *entry = touched->at[i];
        if (!has_changed(entry))
            continue;
        if (entry->before.p) {
            view_unpack(view_table(VIEW_TABLE_SENDS), entry->before, &row);
            TH_TRY(count_send(batch, &row, entry->log_part, -1));
        }
        view_unpack(view_table(VIEW_TABLE_SENDS), entry->entry.packed, &row);
        TH_TRY(count_send(batch, &row, entry->log_part, 1));
    }
    return TH_OK;
}

static enum th_code recount_attempts(struct view_batch *batch)
{
    const struct view_batch_list *touched = &batch->tables[VIEW_TABLE_ATTEMPTS].touched;
    struct attempts_row row;

    for (size_t i = 0; i < touched->n; i++) {
        const struct view_batch_entry *entry = touched->at[i];
        if (!has_changed(entry))
            continue;
        if (entry->before.p) {
            view_unpack(view_table(VIEW_TABLE_ATTEMPTS), entry->before, &row);
            TH_TRY(count_attempt(batch, &row, entry->log_part, -1));
        }
        view_unpack(view_table(VIEW_TABLE_ATTEMPTS), entry->entry.packed, &row);
        TH_TRY(count_attempt(batch, &row, entry->log_part, 1));
    }
    return TH_OK;
}

enum th_code fold_conclude(struct view_batch *batch)
{
    const struct view_batch_list *sends = &batch->tables[VIEW_TABLE_SENDS].live;
    const struct view_batch_list *attempts = &batch->tables[VIEW_TABLE_ATTEMPTS].live;

    for (size_t i = 0; i < sends->n; i++)
        TH_TRY(conclude_send(batch, sends->at[i]->entry.row));
    for (size_t i = 0; i < attempts->n; i++)
        TH_TRY(conclude_attempt(batch, attempts->at[i]->entry.row));
    return view_batch_pack(batch);
}

enum th_code fold_settle(struct view_batch *batch)
{
    TH_TRY(fold_conclude(batch));
    batch->is_touching = true;
    TH_TRY(recount_sends(batch));
    TH_TRY(recount_attempts(batch));
    TH_TRY(view_batch_load(batch));
    batch->is_touching = false;
    TH_TRY(recount_sends(batch));
    return recount_attempts(batch);
}
