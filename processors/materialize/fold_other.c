#include "common/content.h"
#include "common/eventlog/dead_letter.h"
#include "processors/materialize/fold_private.h"

/* --- consent.events -----------------------------------------------------------------------------
 */

static enum th_code take_consent(const struct folding *f, int64_t contact, bool is_opted_out,
                                 const struct string_or_sealed *phone, struct th_str source)
{
    struct opt_outs_row key = {.tenant = f->meta->tenant, .contact = contact};
    struct opt_outs_row *row;
    void *found;

    TH_TRY(view_batch_clean(f->batch, &key.tenant));
    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_OPT_OUTS, &key, f->place.part, &found));
    row = found;
    if (!row || f->place.offset < row->events_next)
        return TH_OK;
    if (row->events_next == 0 || row->is_opted_out != is_opted_out)
        row->changed_at = f->meta->time_us;
    row->events_next = f->place.offset + 1;
    row->is_opted_out = is_opted_out;
    TH_TRY(view_batch_text(f->batch, &row->phone, content_plain(phone)));
    return view_batch_text(f->batch, &row->source, source);
}

/* --- config
 * --------------------------------------------------------------------------------------- */

static enum th_code take_account(const struct folding *f)
{
    const struct account_configured *ev = &f->event->as.account_configured;
    const struct lanes_row key = {.lane = ev->lane};
    struct lanes_row *row;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_LANES, &key, f->place.part, &found));
    row = found;
    if (!row || f->place.offset < row->events_next)
        return TH_OK;
    row->events_next = f->place.offset + 1;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    TH_TRY(view_batch_text(f->batch, &row->account, ev->name));
    TH_TRY(view_batch_text(f->batch, &row->wire, ev->wire));
    return view_batch_text(f->batch, &row->mode, th_str(account_mode_name(ev->mode)));
}

/* --- dead.letters
 * ----------------------------------------------------------------------------------- */

static enum th_code take_dead_letter(const struct folding *f)
{
    const struct dead_letter *ev = &f->event->as.dead_letter;
    const struct dead_letters_row key = {
        .topic = (int32_t)f->place.topic, .log_part = f->place.part, .log_offset = f->place.offset};
    struct dead_letters_row *row;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_DEAD_LETTERS, &key, f->place.part, &found));
    row = found;
    if (!row)
        return TH_OK;
    row->at = f->meta->time_us;
    row->letter = f->meta->event_id;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    TH_TRY(view_batch_text(f->batch, &row->about_topic, ev->topic));
    TH_TRY(view_batch_text(f->batch, &row->consumer, ev->consumer));
    TH_TRY(view_batch_text(f->batch, &row->code, ev->code));
    return view_batch_text(f->batch, &row->detail, ev->detail);
}

/* The first end counts. */
static enum th_code take_dead_letter_end(const struct folding *f)
{
    const struct dead_letter_settled *ev = &f->event->as.dead_letter_settled;
    const struct dead_letter_ends_row key = {.letter = ev->letter};
    struct dead_letter_ends_row *row;
    void *found;

    TH_TRY(view_batch_row(f->batch, VIEW_TABLE_DEAD_LETTER_ENDS, &key, f->place.part, &found));
    row = found;
    if (!row || row->at)
        return TH_OK;
    row->at = f->meta->time_us;
    TH_TRY(view_batch_text(f->batch, &row->tenant, f->meta->tenant));
    return view_batch_text(f->batch, &row->how, th_str(dead_letter_end_name(ev->end)));
}

enum th_code fold_undecodable(struct view_batch *batch, struct log_place place, enum th_code code,
                              struct th_str detail)
{
    const struct dead_letters_row key = {
        .topic = (int32_t)place.topic, .log_part = place.part, .log_offset = place.offset};
    struct dead_letters_row *row;
    void *found;

    TH_TRY(view_batch_row(batch, VIEW_TABLE_DEAD_LETTERS, &key, place.part, &found));
    row = found;
    if (!row)
        return TH_OK;
    row->letter = dead_letter_id("materialize", &(struct log_record){.place = place});
    TH_TRY(view_batch_text(batch, &row->about_topic, th_str(topic_name(place.topic))));
    TH_TRY(view_batch_text(batch, &row->consumer, TH_STR("materialize")));
    TH_TRY(view_batch_text(batch, &row->code, th_str(th_code_name(code))));
    return view_batch_text(batch, &row->detail, detail);
}

enum th_code fold_other(const struct folding *f)
{
    const struct event *ev = f->event;

    switch ((int)ev->type) {
    case EVENT_OPTED_OUT:
        return take_consent(f, ev->as.opted_out.contact, true, &ev->as.opted_out.phone,
                            ev->as.opted_out.source);
    case EVENT_OPTED_IN:
        return take_consent(f, ev->as.opted_in.contact, false, &ev->as.opted_in.phone,
                            ev->as.opted_in.source);
    case EVENT_ACCOUNT_CONFIGURED:
        return take_account(f);
    case EVENT_DEAD_LETTER:
        return take_dead_letter(f);
    case EVENT_DEAD_LETTER_SETTLED:
        return take_dead_letter_end(f);
    default:
        return TH_OK;
    }
}
