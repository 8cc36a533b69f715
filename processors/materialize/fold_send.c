#include <string.h>

#include "common/content.h"
#include "common/encode.h"
#include "processors/materialize/fold_private.h"

/* --- which set of the certificate ------------------------------------------------------------ */

static void say(struct th_str *out_outcome, struct th_str *out_reason, struct th_str outcome,
                struct th_str reason)
{
    *out_outcome = outcome;
    *out_reason = reason;
}

static bool ended_in_doubt(const struct sends_row *row)
{
    return th_str_eq(row->ended_reason, TH_STR("in_doubt"));
}

/* The best that is known of why: the certificate counts by it. */
static struct th_str why_unreached(const struct sends_row *row, struct th_str decided)
{
    if (decided.n)
        return decided;
    if (row->status_reason.n)
        return row->status_reason;
    return row->status.n ? row->status : TH_STR("unspecified");
}

/* The provider has the last attempt. Only its final, bad report says more; then retry's word on the
 * send counts, and before retry had its say the report's. */
static void outcome_of_accepted(const struct sends_row *row, struct th_str *out,
                                struct th_str *out_reason)
{
    const struct th_str none = {NULL, 0};

    if (!row->status_is_final)
        say(out, out_reason, TH_STR("accepted_no_report"), none);
    else if (row->ended_at && !ended_in_doubt(row))
        say(out, out_reason, TH_STR("unreached"), why_unreached(row, row->ended_reason));
    else if (row->suppressed_at)
        say(out, out_reason, TH_STR("suppressed"), row->suppressed_reason);
    else if (row->moved_on >= row->attempts)
        say(out, out_reason, TH_STR("unsent"), none);
    else
        say(out, out_reason, TH_STR("unreached"), why_unreached(row, row->status_reason));
}

/* Nobody says that the provider has it: what retry decided, or else what the last attempt left. */
static struct th_str outcome_of_open(const struct sends_row *row)
{
    bool is_doubtful = th_str_eq(row->attempt_outcome, TH_STR("unknown")) ||
                       th_str_eq(row->attempt_outcome, TH_STR("in_doubt"));

    if (row->ended_at)
        return TH_STR("in_doubt");
    if (row->attempts == 0 || row->moved_on >= row->attempts)
        return TH_STR("unsent");
    if (row->attempt_outcome.n == 0)
        return TH_STR("planned");
    return is_doubtful ? TH_STR("in_doubt") : TH_STR("unsent");
}

void fold_send_outcome(const struct sends_row *row, struct th_str *out, struct th_str *out_reason)
{
    const struct th_str none = {NULL, 0};

    if (row->reached_at)
        say(out, out_reason, TH_STR("reached"), none);
    else if (th_str_eq(row->attempt_outcome, TH_STR("accepted")))
        outcome_of_accepted(row, out, out_reason);
    else if (row->ended_at && !ended_in_doubt(row))
        say(out, out_reason, TH_STR("unreached"), why_unreached(row, row->ended_reason));
    else if (row->suppressed_at && !row->ended_at)
        say(out, out_reason, TH_STR("suppressed"), row->suppressed_reason);
    else
        say(out, out_reason, outcome_of_open(row), none);
}

enum th_code conclude_send(struct view_batch *batch, struct sends_row *row)
{
    struct th_str outcome;
    struct th_str reason;

    fold_send_outcome(row, &outcome, &reason);
    TH_TRY(view_batch_text(batch, &row->outcome, outcome));
    return view_batch_text(batch, &row->reason, reason);
}

/* --- where its events lie --------------------------------------------------------------------- */

static int64_t place_at(struct th_str places, size_t i)
{
    uint64_t place;

    memcpy(&place, places.p + i * sizeof place, sizeof place);
    return (int64_t)be64toh(place);
}

/* Sorted, each once, the first FOLD_PLACES_MAX. */
static enum th_code add_place(const struct folding *f, struct th_str *places)
{
    int64_t place = fold_place(f->place);
    uint64_t wire = htobe64((uint64_t)place);
    size_t n = places->n / sizeof wire;
    size_t i = n;

    while (i > 0 && place_at(*places, i - 1) > place)
        i--;
    if ((i > 0 && place_at(*places, i - 1) == place) || i == FOLD_PLACES_MAX)
        return TH_OK;
    size_t kept_n = n < FOLD_PLACES_MAX ? n : FOLD_PLACES_MAX - 1;
    char *longer = th_arena_alloc(&f->batch->arena, (kept_n + 1) * sizeof wire);
    if (!longer)
        return TH_NOMEM;
    if (i)
        memcpy(longer, places->p, i * sizeof wire);
    memcpy(longer + i * sizeof wire, &wire, sizeof wire);
    if (kept_n > i)
        memcpy(longer + (i + 1) * sizeof wire, places->p + i * sizeof wire,
               (kept_n - i) * sizeof wire);
    *places = (struct th_str){longer, (kept_n + 1) * sizeof wire};
    return TH_OK;
}

/* --- its request ------------------------------------------------------------------------------ */

static enum th_code take_origin(const struct folding *f, struct sends_row *row,
                                enum channel channel,
                                const struct campaign_origin_or_send_content *origin)
{
    TH_TRY(view_batch_text(f->batch, &row->channel, th_str(channel_name(channel))));
    keep_first(&row->requested_at, f->meta->time_us);
    if (origin->is == CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT)
        return view_batch_text(f->batch, &row->phone, content_plain(&origin->as.send_content.to));

    const struct campaign_origin *campaign = &origin->as.campaign_origin;
    row->campaign = campaign->campaign;
    row->run = campaign->run;
    row->audience = campaign->recipient.audience;
    row->part = campaign->recipient.part;
    row->row = campaign->recipient.row;
    return TH_OK;
}

/* --- its attempts: of all that is known of them, that of the last one counts ------------------ */

/* False: this is about an earlier attempt. A later one makes a fresh start. */
static bool is_last_attempt(struct sends_row *row, int32_t n)
{
    if (n > row->attempts) {
        row->attempts = n;
        row->lane = 0;
        row->planned_at = 0;
        row->attempt_outcome = row->attempt_reason = (struct th_str){NULL, 0};
        row->attempt_at = 0;
        row->status = row->status_reason = (struct th_str){NULL, 0};
        row->status_rank = 0;
        row->status_is_final = false;
        row->status_provider_at = row->status_at = 0;
    }
    return n == row->attempts;
}

static enum th_code take_outcome(const struct folding *f, struct sends_row *row, int32_t n,
                                 int32_t lane, const char *outcome, struct th_str reason)
{
    if (!is_last_attempt(row, n))
        return TH_OK;
    row->lane = lane;
    return merge_outcome(
        f->batch,
        &(struct outcome_columns){&row->attempt_outcome, &row->attempt_reason, &row->attempt_at},
        th_str(outcome), reason, f->meta->time_us, NULL);
}

static enum th_code take_planned(const struct folding *f, struct sends_row *row)
{
    const struct send_planned *ev = &f->event->as.send_planned;

    if (!is_last_attempt(row, ev->n))
        return TH_OK;
    row->lane = ev->lane;
    keep_first(&row->planned_at, f->meta->time_us);
    return TH_OK;
}

/* Whatever a report says, it proves that the provider has the attempt. */
static enum th_code take_report(const struct folding *f, struct sends_row *row)
{
    struct attempt_reported clean;
    const struct attempt_reported *ev = &clean;
    struct report_columns held = {row->status, row->status_reason, row->status_rank,
                                  row->status_provider_at, row->status_at};

    TH_TRY(clean_report(f, &clean));
    if (ev->is_final && ev->is_positive)
        keep_first(&row->reached_at, f->meta->time_us);
    TH_TRY(take_outcome(f, row, ev->n, ev->lane, "accepted", (struct th_str){NULL, 0}));
    if (ev->n != row->attempts || (row->status.n && !report_wins(ev, &held)))
        return TH_OK;
    TH_TRY(view_batch_text(f->batch, &row->status, ev->status));
    TH_TRY(view_batch_text(f->batch, &row->status_reason, ev->reason));
    row->status_rank = ev->rank;
    row->status_is_final = ev->is_final;
    row->status_provider_at = ev->provider_us;
    row->status_at = f->meta->time_us;
    return TH_OK;
}

/* --- retry's words -----------------------------------------------------------------------------
 */

/* Retry has left attempt n behind: another may follow. */
static void move_on(struct sends_row *row, int32_t n)
{
    if (n > row->moved_on)
        row->moved_on = n;
}

static void take_note(struct sends_row *row, const struct send_noted *ev)
{
    switch (ev->standing) {
    case SEND_STANDING_ASKED:
    case SEND_STANDING_RELEASED:
    case SEND_STANDING_PARKED:
    case SEND_STANDING_WAITING:
        move_on(row, ev->n);
        return;
    case SEND_STANDING_ACCEPTED:
    case SEND_STANDING_UNKNOWN:
        return;
    }
}

/* What is said once. Should it ever be said twice, the earlier counts, then the smaller text. */
static bool is_told_before(int64_t at_us, struct th_str reason, const struct folding *f,
                           struct th_str other)
{
    if (at_us == 0 || at_us != f->meta->time_us)
        return at_us != 0 && at_us < f->meta->time_us;
    return th_str_cmp(reason, other) <= 0;
}

static enum th_code take_end(const struct folding *f, struct sends_row *row)
{
    const struct send_ended *ev = &f->event->as.send_ended;
    struct th_str reason = ev->reason;

    TH_TRY(view_batch_clean(f->batch, &reason));
    if (ev->is_reached)
        keep_first(&row->reached_at, f->meta->time_us);
    if (row->ended_at && ev->n < row->ended_attempt)
        return TH_OK;
    if (ev->n == row->ended_attempt && is_told_before(row->ended_at, row->ended_reason, f, reason))
        return TH_OK;
    row->ended_attempt = ev->n;
    row->ended_at = f->meta->time_us;
    return view_batch_text(f->batch, &row->ended_reason, reason);
}

static enum th_code take_suppression(const struct folding *f, struct sends_row *row)
{
    struct th_str reason = f->event->as.send_suppressed.reason;

    TH_TRY(view_batch_clean(f->batch, &reason));
    if (is_told_before(row->suppressed_at, row->suppressed_reason, f, reason))
        return TH_OK;
    row->suppressed_at = f->meta->time_us;
    return view_batch_text(f->batch, &row->suppressed_reason, reason);
}

/* --- one event ---------------------------------------------------------------------------------
 */

static enum th_code take(const struct folding *f, struct sends_row *row)
{
    const struct event *ev = f->event;

    switch ((int)ev->type) { /* what is not here has a place in the timeline, and no more */
    case EVENT_SEND_REQUESTED:
        return take_origin(f, row, ev->as.send_requested.channel, &ev->as.send_requested.origin);
    case EVENT_SEND_ADMITTED:
        return take_origin(f, row, ev->as.send_admitted.channel, &ev->as.send_admitted.origin);
    case EVENT_SEND_PLANNED:
        return take_planned(f, row);
    case EVENT_RETRY_SCHEDULED:
        move_on(row, ev->as.retry_scheduled.n);
        return TH_OK;
    case EVENT_SEND_NOTED:
        take_note(row, &ev->as.send_noted);
        return TH_OK;
    case EVENT_SEND_SUPPRESSED:
        return take_suppression(f, row);
    case EVENT_SEND_REACHED:
        keep_first(&row->reached_at, f->meta->time_us);
        return TH_OK;
    case EVENT_SEND_ENDED:
        return take_end(f, row);
    case EVENT_ATTEMPT_RESULT:
        return take_outcome(f, row, ev->as.attempt_result.n, ev->as.attempt_result.lane,
                            attempt_outcome_name(ev->as.attempt_result.outcome),
                            ev->as.attempt_result.reason);
    case EVENT_ATTEMPT_RESOLVED:
        return take_outcome(f, row, ev->as.attempt_resolved.n, ev->as.attempt_resolved.lane,
                            attempt_outcome_name(ev->as.attempt_resolved.outcome),
                            (struct th_str){NULL, 0});
    case EVENT_ATTEMPT_RETURNED:
        return take_outcome(f, row, ev->as.attempt_returned.n, ev->as.attempt_returned.lane,
                            "returned", ev->as.attempt_returned.reason);
    case EVENT_ATTEMPT_REPORTED:
        return take_report(f, row);
    default:
        return TH_OK;
    }
}

bool fold_send_of(const struct event *ev, struct th_id *out)
{
    switch ((int)ev->type) {
    case EVENT_SEND_REQUESTED:
        *out = ev->as.send_requested.send;
        return true;
    case EVENT_SEND_RELEASED:
        *out = ev->as.send_released.send;
        return true;
    case EVENT_SEND_ADMITTED:
        *out = ev->as.send_admitted.send;
        return true;
    case EVENT_SEND_PLANNED:
        *out = ev->as.send_planned.send;
        return true;
    case EVENT_RETRY_SCHEDULED:
        *out = ev->as.retry_scheduled.send;
        return true;
    case EVENT_SEND_NOTED:
        *out = ev->as.send_noted.send;
        return true;
    case EVENT_SEND_SUPPRESSED:
        *out = ev->as.send_suppressed.send;
        return true;
    case EVENT_SEND_ENDED:
        *out = ev->as.send_ended.send;
        return true;
    case EVENT_SEND_REACHED:
        *out = ev->as.send_reached.send;
        return true;
    case EVENT_SEND_STUCK:
        *out = ev->as.send_stuck.send;
        return true;
    case EVENT_ATTEMPT_RESULT:
        *out = ev->as.attempt_result.send;
        return true;
    case EVENT_ATTEMPT_RETURNED:
        *out = ev->as.attempt_returned.send;
        return true;
    case EVENT_ATTEMPT_RESOLVED:
        *out = ev->as.attempt_resolved.send;
        return true;
    case EVENT_ATTEMPT_REPORTED:
        *out = ev->as.attempt_reported.send;
        return true;
    case EVENT_REPEAT_WANTED:
        *out = ev->as.repeat_wanted.send;
        return true;
    case EVENT_REPEAT_RELEASED:
        *out = ev->as.repeat_released.send;
        return true;
    case EVENT_ATTEMPT_PRICED:
        *out = ev->as.attempt_priced.send;
        return true;
    default:
        return false;
    }
}

enum th_code fold_send(const struct folding *f)
{
    struct sends_row key = {0};
    struct sends_row *row;
    void *found;

    if (!fold_send_of(f->event, &key.send))
        return TH_OK;
    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_SENDS, &key, f->place.part, &found));
    if (f->batch->is_touching)
        return TH_OK;
    row = found;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    keep_last(&row->changed_at, f->meta->time_us);
    TH_TRY(add_place(f, &row->places));
    return take(f, row);
}
