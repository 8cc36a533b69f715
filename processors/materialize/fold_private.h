/* fold_private.h - the parts of the fold; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_FOLD_PRIVATE_H
#define TELEHUB_PROCESSORS_MATERIALIZE_FOLD_PRIVATE_H

#include "processors/materialize/fold.h"

/* One event on its way into the rows. */
struct folding {
    struct view_batch *batch;
    const struct event *event;
    const struct meta *meta;
    struct log_place place;
};

/* Each takes the events of its topics. */
enum th_code fold_send(const struct folding *f);
enum th_code fold_attempt(const struct folding *f);
enum th_code fold_campaign(const struct folding *f);
enum th_code fold_audience(const struct folding *f);
enum th_code fold_other(const struct folding *f);

/* Derived columns, from all others. */
enum th_code conclude_send(struct view_batch *batch, struct sends_row *row);
enum th_code conclude_attempt(struct view_batch *batch, struct attempts_row *row);

/* The send that an event of send.* is about; false: none. */
bool fold_send_of(const struct event *event, struct th_id *out_send);

/* The attempt that an event of dispatch.attempts is about, its lane, and its campaign as far as the
 * event names it; false: none. */
bool fold_attempt_key(const struct event *event, struct attempts_row *out_key);

/* --- what is counted ------------------------------------------------------------------------- */

/* Started, and nothing is known since. */
static inline bool attempt_is_open(const struct attempts_row *row)
{
    return row->started_at && row->outcome.n == 0;
}

/* What an attempt costs as far as is known: its price, else our estimate if the provider may have
 * carried it out. False: nothing. */
bool attempt_cost(const struct attempts_row *row, struct campaign_costs_row *out);

/* --- rules of merging ------------------------------------------------------------------------ */

static inline void keep_first(int64_t *at, int64_t us)
{
    if (us && (!*at || us < *at))
        *at = us;
}

static inline void keep_last(int64_t *at, int64_t us)
{
    if (us > *at)
        *at = us;
}

/* How much an outcome of a call says; more replaces less. An answer that was lost may be found
 * again, and a callback proves what a look-up denied. */
int outcome_rank(struct th_str outcome);

/* The outcome of a call, in the columns that sends and attempts share. Of equal ranks the earlier
 * counts, then the smaller text, so that the order of arrival does not matter. */
struct outcome_columns {
    struct th_str *outcome;
    struct th_str *reason;
    int64_t *at;
};

/* *out_is_taken (may be NULL): the columns are now those given. */
enum th_code merge_outcome(struct view_batch *batch, const struct outcome_columns *to,
                           struct th_str outcome, struct th_str reason, int64_t at_us,
                           bool *out_is_taken);

/* Does a report replace the one that the columns hold? By rank; of equal ones by the provider's
 * time, then ours, then the text. */
struct report_columns {
    struct th_str status;
    struct th_str reason;
    int32_t rank;
    int64_t provider_us;
    int64_t at_us;
};

/* The event's report with texts that can be compared with those of rows. Errors: TH_NOMEM */
enum th_code clean_report(const struct folding *f, struct attempt_reported *out);

bool report_wins(const struct attempt_reported *ev, const struct report_columns *held);

#endif
