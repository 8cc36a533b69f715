#include "processors/campaign/state.h"

static enum th_code keep_spec(struct campaigns *cs, struct campaign *c,
                              const struct campaign_spec *spec)
{
    TH_AUTO(th_buf) struct th_buf body = {0};

    TH_TRY(campaign_spec_encode_body(spec, &body));
    return table_blob(cs->campaigns, th_buf_str(&body), &c->spec);
}

static enum th_code created(struct campaigns *cs, const struct campaign_created *ev)
{
    void *entry;

    if (table_get(cs->campaigns, ev->campaign))
        return TH_OK;
    TH_TRY(table_insert(cs->campaigns, ev->campaign, &entry));
    struct campaign *c = entry;
    c->phase = CAMPAIGN_DRAFT;
    c->pace_per_min = ev->spec.pace_per_min;
    c->audience = ev->spec.audience;
    c->allow_duplicates = ev->spec.allow_duplicates;
    TH_TRY(table_blob(cs->campaigns, ev->meta.tenant, &c->tenant));
    return keep_spec(cs, c, &ev->spec);
}

static void started(struct campaign *c, const struct campaign_started *ev)
{
    c->phase = CAMPAIGN_RUNNING;
    c->run = ev->run;
    c->run_started_ms = ev->run_started_ms;
    c->parts = ev->parts;
    c->recipients = ev->recipients;
    c->version = 1;
}

static void released(struct campaign *c, const struct campaign_released *ev)
{
    int64_t n = ev->rows - (int64_t)ev->suppressed_rows.n;

    c->released += n;
    c->requested += n;
    c->duplicates += (int64_t)ev->suppressed_rows.n;
    if (n > 0)
        c->last_send_at_us = ev->send_at_us;
    c->row = ev->first_row + ev->rows;
    if (c->row >= ev->part_rows) {
        c->part = ev->part + 1;
        c->row = 0;
    }
}

static enum th_code pop_ask(struct campaigns *cs, struct campaign *c)
{
    struct th_id first = c->first_ask;
    const struct ask *ask = table_get(cs->asks, first);

    if (!ask)
        return TH_OK;
    c->first_ask = ask->next;
    if (th_id_is_zero(c->first_ask))
        c->last_ask = (struct th_id){0};
    c->asking--;
    return table_remove(cs->asks, first);
}

/* Grants go in the order of the asks, so the event's sends are the head of the list. */
static enum th_code re_released(struct campaigns *cs, struct campaign *c,
                                const struct campaign_re_released *ev)
{
    for (size_t i = 0; i < ev->sends.n; i++)
        TH_TRY(pop_ask(cs, c));
    c->released += (int64_t)ev->sends.n;
    c->last_send_at_us = ev->send_at_us;
    return TH_OK;
}

/* A repeated ask keeps its place. */
static enum th_code push_ask(struct campaigns *cs, struct campaign *c, struct th_id send)
{
    void *entry;

    if (table_get(cs->asks, send))
        return TH_OK;
    TH_TRY(table_insert(cs->asks, send, &entry));
    struct ask *ask = entry;
    ask->campaign = c->id;
    c->asking++;
    if (th_id_is_zero(c->last_ask)) {
        c->first_ask = send;
    } else {
        TH_TRY(table_edit(cs->asks, c->last_ask, &entry));
        ask = entry;
        ask->next = send;
    }
    c->last_ask = send;
    return TH_OK;
}

static void note_answer(struct campaign *c, const struct progress_noted *ev)
{
    if (!ev->applied_version.is_set || ev->applied_version.value != c->version)
        return;
    size_t app = ev->applied_app.value == LOG_APP_RETRY ? 0 : 1;
    uint64_t bit = UINT64_C(1) << ((unsigned)ev->applied_slot.value % LOG_SLOTS_MAX);
    if (!(c->answered[app] & bit))
        c->in_flight += ev->in_flight;
    c->answered[app] |= bit;
}

static enum th_code noted(struct campaigns *cs, struct campaign *c, const struct progress_noted *ev)
{
    c->closed += ev->settled;
    c->accepted += ev->accepted;
    c->awaiting_report += ev->awaiting_report;
    c->unknown += ev->unknown;
    c->suppressed += ev->suppressed;
    c->ended += ev->ended;
    if (campaign_open(c) == 0)
        c->is_draining = false;
    note_answer(c, ev);
    for (size_t i = 0; i < ev->wanted.n; i++)
        TH_TRY(push_ask(cs, c, ev->wanted.at[i]));
    return TH_OK;
}

static void control(struct campaign *c, enum campaign_phase phase, int64_t version)
{
    c->phase = (uint8_t)phase;
    c->version = version;
    c->answered[0] = c->answered[1] = 0;
    c->in_flight = 0;
}

static void pace_changed(struct campaign *c, const struct campaign_pace_changed *ev)
{
    if (c->pace_per_min == 0 && ev->pace_per_min != 0 && campaign_open(c) > 0)
        c->is_draining = true;
    c->pace_per_min = ev->pace_per_min;
}

static enum th_code drop_asks(struct campaigns *cs, struct campaign *c)
{
    while (!th_id_is_zero(c->first_ask))
        TH_TRY(pop_ask(cs, c));
    return TH_OK;
}

/* A start that cannot be carried out leaves a draft; a second one changes nothing. */
static void refused(struct campaign *c, const struct command_refused *ev)
{
    if (c->phase == CAMPAIGN_STARTING && th_str_eq(ev->command, TH_STR("start")) &&
        !th_str_eq(ev->code, TH_STR("conflict")))
        c->phase = CAMPAIGN_DRAFT;
}

static enum th_code evolve_one(struct campaigns *cs, struct campaign *c, const struct event *event)
{
    switch ((int)event->type) { /* most events are none of ours */
    case EVENT_CAMPAIGN_STARTING:
        c->phase = CAMPAIGN_STARTING;
        c->has_stated = event->as.campaign_starting.recipients.is_set;
        c->stated = event->as.campaign_starting.recipients.value;
        return TH_OK;
    case EVENT_CAMPAIGN_STARTED:
        started(c, &event->as.campaign_started);
        return TH_OK;
    case EVENT_CAMPAIGN_RELEASED:
        released(c, &event->as.campaign_released);
        return TH_OK;
    case EVENT_CAMPAIGN_RE_RELEASED:
        return re_released(cs, c, &event->as.campaign_re_released);
    case EVENT_PROGRESS_NOTED:
        return noted(cs, c, &event->as.progress_noted);
    case EVENT_CAMPAIGN_PAUSING:
        control(c, CAMPAIGN_PAUSING, event->as.campaign_pausing.version);
        return TH_OK;
    case EVENT_CAMPAIGN_PAUSED:
        c->phase = CAMPAIGN_PAUSED;
        return TH_OK;
    case EVENT_CAMPAIGN_RESUMED:
        control(c, CAMPAIGN_RUNNING, event->as.campaign_resumed.version);
        return TH_OK;
    case EVENT_CAMPAIGN_CANCELLING:
        control(c, CAMPAIGN_CANCELLING, event->as.campaign_cancelling.version);
        return drop_asks(cs, c);
    case EVENT_CAMPAIGN_COMPLETED:
        control(c, CAMPAIGN_COMPLETED, event->as.campaign_completed.version);
        return drop_asks(cs, c);
    case EVENT_CAMPAIGN_CANCELLED:
        control(c, CAMPAIGN_CANCELLED, event->as.campaign_cancelled.version);
        return TH_OK;
    case EVENT_CAMPAIGN_PACE_CHANGED:
        pace_changed(c, &event->as.campaign_pace_changed);
        return TH_OK;
    case EVENT_COMMAND_REFUSED:
        refused(c, &event->as.command_refused);
        return TH_OK;
    default:
        return TH_OK;
    }
}

/* The campaign that an own event is about. */
static bool subject(const struct event *event, struct th_id *out)
{
#define SUBJECT(type, member)                                                                      \
    case type:                                                                                     \
        *out = event->as.member.campaign;                                                          \
        return true;
    switch ((int)event->type) { /* most events are none of ours */
        SUBJECT(EVENT_CAMPAIGN_STARTING, campaign_starting)
        SUBJECT(EVENT_CAMPAIGN_STARTED, campaign_started)
        SUBJECT(EVENT_CAMPAIGN_RELEASED, campaign_released)
        SUBJECT(EVENT_CAMPAIGN_RE_RELEASED, campaign_re_released)
        SUBJECT(EVENT_PROGRESS_NOTED, progress_noted)
        SUBJECT(EVENT_CAMPAIGN_PAUSING, campaign_pausing)
        SUBJECT(EVENT_CAMPAIGN_PAUSED, campaign_paused)
        SUBJECT(EVENT_CAMPAIGN_RESUMED, campaign_resumed)
        SUBJECT(EVENT_CAMPAIGN_CANCELLING, campaign_cancelling)
        SUBJECT(EVENT_CAMPAIGN_COMPLETED, campaign_completed)
        SUBJECT(EVENT_CAMPAIGN_CANCELLED, campaign_cancelled)
        SUBJECT(EVENT_CAMPAIGN_PACE_CHANGED, campaign_pace_changed)
        SUBJECT(EVENT_COMMAND_REFUSED, command_refused)
    default:
        return false;
    }
#undef SUBJECT
}

enum th_code campaign_evolve(void *core, const struct event *event)
{
    struct campaigns *cs = core;
    struct th_id id;
    void *entry;

    if (event->type == EVENT_CAMPAIGN_CREATED)
        return created(cs, &event->as.campaign_created);
    if (!subject(event, &id) || !table_get(cs->campaigns, id))
        return TH_OK;
    TH_TRY(table_edit(cs->campaigns, id, &entry));
    return evolve_one(cs, entry, event);
}
