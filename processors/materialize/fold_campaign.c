#include <string.h>

#include "processors/materialize/fold_private.h"

/* --- commands: what became of them --------------------------------------------------------------
 */

static int status_rank(struct th_str status)
{
    static const char *const ranks[] = {"", "starting", "applied", "refused"};

    for (size_t i = 0; i < TH_LEN(ranks); i++)
        if (th_str_eq(status, th_str(ranks[i])))
            return (int)i;
    return 0;
}

/* A command and its effects lie in different topics; the row is made by whichever comes first. */
static enum th_code settle_command(const struct folding *f, struct th_id command,
                                   const char *status, struct th_str code, struct th_str detail)
{
    const struct commands_row key = {.command = command};
    struct commands_row *row;
    void *found;

    if (th_id_is_zero(command))
        return TH_OK;
    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_COMMANDS, &key, f->place.part, &found));
    if (f->batch->is_touching)
        return TH_OK;
    row = found;
    if (status_rank(row->status) >= status_rank(th_str(status)))
        return TH_OK;
    row->decided_at = f->meta->time_us;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    TH_TRY(view_batch_text(f->batch, &row->status, th_str(status)));
    TH_TRY(view_batch_text(f->batch, &row->code, code));
    return view_batch_text(f->batch, &row->detail, detail);
}

static struct th_id cause_of(const struct folding *f)
{
    return f->meta->cause.is_set ? f->meta->cause.value : (struct th_id){{0}};
}

static enum th_code apply_command(const struct folding *f)
{
    const struct th_str none = {NULL, 0};

    return settle_command(f, cause_of(f), "applied", none, none);
}

static enum th_code take_command(const struct folding *f, struct th_id campaign)
{
    const struct commands_row key = {.command = f->meta->event_id};
    struct commands_row *row;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_COMMANDS, &key, f->place.part, &found));
    if (f->batch->is_touching)
        return TH_OK;
    row = found;
    row->campaign = campaign;
    row->asked_at = f->meta->time_us;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    return view_batch_text(f->batch, &row->kind, th_str(event_type_name(f->event->type)));
}

/* --- campaign.events, in order ------------------------------------------------------------------
 */

static enum th_code enter(const struct folding *f, struct campaigns_row *row, const char *phase)
{
    return view_batch_text(f->batch, &row->phase, th_str(phase));
}

static enum th_code take_created(const struct folding *f, struct campaigns_row *row)
{
    const struct campaign_spec *spec = &f->event->as.campaign_created.spec;
    struct view_batch *batch = f->batch;

    row->created_at = f->meta->time_us;
    row->audience = spec->audience;
    row->pace_per_min = spec->pace_per_min;
    TH_TRY(view_batch_text(batch, &row->name, spec->name));
    TH_TRY(view_batch_text(batch, &row->channel, th_str(channel_name(spec->channel))));
    TH_TRY(view_batch_text(batch, &row->policy, th_str(send_policy_name(spec->policy))));
    TH_TRY(view_batch_text(batch, &row->category, th_str(category_name(spec->category))));
    TH_TRY(apply_command(f));
    return enter(f, row, "draft");
}

/* The start is under way; what comes of it has no cause, since it followed from an answer. */
static enum th_code take_starting(const struct folding *f, struct campaigns_row *row)
{
    const struct th_str none = {NULL, 0};

    row->start_command = cause_of(f);
    row->refused_code = row->refused_detail = none;
    TH_TRY(settle_command(f, row->start_command, "starting", none, none));
    return enter(f, row, "starting");
}

static enum th_code take_started(const struct folding *f, struct campaigns_row *row)
{
    const struct campaign_started *ev = &f->event->as.campaign_started;
    const struct th_str none = {NULL, 0};

    row->started_at = f->meta->time_us;
    row->run = ev->run;
    row->run_started_ms = ev->run_started_ms;
    row->parts = ev->parts;
    row->recipients = ev->recipients;
    TH_TRY(settle_command(f, row->start_command, "applied", none, none));
    return enter(f, row, "running");
}

/* What became of a pending start follows from an answer, so it has no cause; a start that is
 * refused while another is pending has one. */
static bool ends_start(const struct folding *f, const struct campaigns_row *row)
{
    const struct command_refused *ev = &f->event->as.command_refused;
    struct th_id cause = cause_of(f);

    return th_str_eq(ev->command, TH_STR("start")) && th_str_eq(row->phase, TH_STR("starting")) &&
           (th_id_is_zero(cause) || th_id_eq(cause, row->start_command));
}

static enum th_code take_refused(const struct folding *f, struct campaigns_row *row)
{
    const struct command_refused *ev = &f->event->as.command_refused;

    if (!ends_start(f, row))
        return settle_command(f, cause_of(f), "refused", ev->code, ev->detail);
    TH_TRY(view_batch_text(f->batch, &row->refused_code, ev->code));
    TH_TRY(view_batch_text(f->batch, &row->refused_detail, ev->detail));
    TH_TRY(enter(f, row, "draft"));
    return settle_command(f, row->start_command, "refused", ev->code, ev->detail);
}

static enum th_code take_released(const struct folding *f, struct campaigns_row *row)
{
    const struct campaign_released *ev = &f->event->as.campaign_released;
    const struct releases_row key = {
        .campaign = ev->campaign, .part = ev->part, .first_row = ev->first_row};
    struct releases_row *release;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_RELEASES, &key, f->place.part, &found));
    release = found;
    release->recipients = ev->rows;
    release->released_at = f->meta->time_us;
    TH_TRY(view_batch_text(f->batch, &release->tenant, f->meta->tenant));
    char *rows = th_arena_alloc(&f->batch->arena, 2 * ev->suppressed_rows.n + 1);
    if (!rows)
        return TH_NOMEM;
    for (size_t i = 0; i < ev->suppressed_rows.n; i++) {
        rows[2 * i] = (char)(ev->suppressed_rows.at[i] >> 8);
        rows[2 * i + 1] = (char)ev->suppressed_rows.at[i];
    }
    release->duplicates = (struct th_str){rows, 2 * ev->suppressed_rows.n};
    row->released += ev->rows;
    row->duplicates += (int64_t)ev->suppressed_rows.n;
    return TH_OK;
}

static enum th_code take_end(const struct folding *f, struct campaigns_row *row, const char *phase)
{
    row->ended_at = f->meta->time_us;
    return enter(f, row, phase);
}

static enum th_code take(const struct folding *f, struct campaigns_row *row)
{
    switch ((int)f->event->type) {
    case EVENT_CAMPAIGN_CREATED:
        return take_created(f, row);
    case EVENT_CAMPAIGN_STARTING:
        return take_starting(f, row);
    case EVENT_CAMPAIGN_STARTED:
        return take_started(f, row);
    case EVENT_CAMPAIGN_RELEASED:
        return take_released(f, row);
    case EVENT_CAMPAIGN_PAUSING:
        TH_TRY(apply_command(f));
        return enter(f, row, "pausing");
    case EVENT_CAMPAIGN_PAUSED:
        row->in_flight = f->event->as.campaign_paused.in_flight;
        return enter(f, row, "paused");
    case EVENT_CAMPAIGN_RESUMED:
        row->in_flight = 0;
        TH_TRY(apply_command(f));
        return enter(f, row, "running");
    case EVENT_CAMPAIGN_PACE_CHANGED:
        row->pace_per_min = f->event->as.campaign_pace_changed.pace_per_min;
        return apply_command(f);
    case EVENT_CAMPAIGN_COMPLETED:
        return take_end(f, row, "completed");
    case EVENT_CAMPAIGN_CANCELLING:
        TH_TRY(apply_command(f));
        return enter(f, row, "cancelling");
    case EVENT_CAMPAIGN_CANCELLED:
        return take_end(f, row, "cancelled");
    case EVENT_COMMAND_REFUSED:
        return take_refused(f, row);
    default:
        return TH_OK;
    }
}

/* Rows that an event will want besides its campaign's, as far as the event itself tells. */
static enum th_code touch_others(const struct folding *f)
{
    const struct th_str none = {NULL, 0};
    void *unused;

    if (f->event->type == EVENT_CAMPAIGN_RELEASED) {
        const struct campaign_released *ev = &f->event->as.campaign_released;
        const struct releases_row key = {
            .campaign = ev->campaign, .part = ev->part, .first_row = ev->first_row};
        return view_batch_row(f->batch, VIEW_TABLE_RELEASES, &key, f->place.part, &unused);
    }
    switch ((int)f->event->type) {
    case EVENT_CAMPAIGN_CREATED:
    case EVENT_CAMPAIGN_STARTING:
    case EVENT_CAMPAIGN_PAUSING:
    case EVENT_CAMPAIGN_RESUMED:
    case EVENT_CAMPAIGN_CANCELLING:
    case EVENT_CAMPAIGN_PACE_CHANGED:
    case EVENT_COMMAND_REFUSED:
        return settle_command(f, cause_of(f), "applied", none, none);
    default:
        return TH_OK;
    }
}

static enum th_code fold_campaign_event(const struct folding *f, struct th_id campaign)
{
    const struct campaigns_row key = {.campaign = campaign};
    struct campaigns_row *row;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_CAMPAIGNS, &key, f->place.part, &found));
    if (f->batch->is_touching)
        return touch_others(f);
    row = found;
    if (f->place.offset < row->events_next)
        return TH_OK;
    row->events_next = f->place.offset + 1;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    return take(f, row);
}

enum th_code fold_campaign(const struct folding *f)
{
    const struct event *ev = f->event;

    switch ((int)ev->type) {
    case EVENT_CREATE_CAMPAIGN:
        return take_command(f, ev->as.create_campaign.campaign);
    case EVENT_START_CAMPAIGN:
        return take_command(f, ev->as.start_campaign.campaign);
    case EVENT_PAUSE_CAMPAIGN:
        return take_command(f, ev->as.pause_campaign.campaign);
    case EVENT_RESUME_CAMPAIGN:
        return take_command(f, ev->as.resume_campaign.campaign);
    case EVENT_CANCEL_CAMPAIGN:
        return take_command(f, ev->as.cancel_campaign.campaign);
    case EVENT_SET_CAMPAIGN_PACE:
        return take_command(f, ev->as.set_campaign_pace.campaign);
#define CAMPAIGN_EVENT(type, name)                                                                 \
    case type:                                                                                     \
        return fold_campaign_event(f, ev->as.name.campaign);
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_CREATED, campaign_created)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_STARTING, campaign_starting)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_STARTED, campaign_started)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_RELEASED, campaign_released)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_PAUSING, campaign_pausing)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_PAUSED, campaign_paused)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_RESUMED, campaign_resumed)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_COMPLETED, campaign_completed)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_CANCELLING, campaign_cancelling)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_CANCELLED, campaign_cancelled)
        CAMPAIGN_EVENT(EVENT_CAMPAIGN_PACE_CHANGED, campaign_pace_changed)
        CAMPAIGN_EVENT(EVENT_COMMAND_REFUSED, command_refused)
#undef CAMPAIGN_EVENT
    default:
        return TH_OK;
    }
}
