#include "processors/campaign/turn.h"

#include <assert.h>

static const char *const phase_names[] = {
    [CAMPAIGN_DRAFT] = "draft",           [CAMPAIGN_STARTING] = "starting",
    [CAMPAIGN_RUNNING] = "running",       [CAMPAIGN_PAUSING] = "pausing",
    [CAMPAIGN_PAUSED] = "paused",         [CAMPAIGN_COMPLETED] = "completed",
    [CAMPAIGN_CANCELLING] = "cancelling", [CAMPAIGN_CANCELLED] = "cancelled",
};
static_assert(TH_LEN(phase_names) == CAMPAIGN_PHASES, "a name for every phase");

const char *campaign_phase_name(enum campaign_phase phase)
{
    assert((size_t)phase < CAMPAIGN_PHASES);
    return phase_names[phase];
}

static bool is_stopped(const struct turn *turn, const struct campaign *c)
{
    const struct ref_tenant *tenant =
        reference_tenant(turn->cs->env.reference, blob_str(c->tenant));

    return tenant && tenant->is_stopped;
}

static enum th_code run(struct turn *turn, const struct campaign *c)
{
    struct th_id id = c->id;
    int64_t released = c->released;

    if (campaign_is_done(c))
        return campaign_complete(turn, c);
    if (!campaign_has_work(c) || is_stopped(turn, c))
        return TH_OK;
    int64_t duplicates = c->duplicates;
    TH_TRY(campaign_release(turn, c));
    c = campaign_of(turn, id);
    if (campaign_is_done(c)) /* the last rows were duplicates: no send will report and wake us */
        return campaign_complete(turn, c);
    return campaign_plan_next(turn, c, c->released != released || c->duplicates != duplicates);
}

enum th_code campaign_advance(struct turn *turn, struct th_id id)
{
    const struct campaign *c = campaign_of(turn, id);

    if (!c)
        return TH_OK;
    switch ((enum campaign_phase)c->phase) {
    case CAMPAIGN_STARTING:
        return campaign_ask_audience(turn, c);
    case CAMPAIGN_RUNNING:
        return run(turn, c);
    case CAMPAIGN_PAUSING:
        return campaign_all_answered(turn, c) ? campaign_conclude_pause(turn, c) : TH_OK;
    case CAMPAIGN_CANCELLING:
        return campaign_is_settled(c) ? campaign_conclude_cancel(turn, c) : TH_OK;
    case CAMPAIGN_DRAFT:
    case CAMPAIGN_PAUSED:
    case CAMPAIGN_COMPLETED:
    case CAMPAIGN_CANCELLED:
        return TH_OK;
    }
    return TH_OK;
}

static enum th_code take_event(struct turn *turn, const struct event *event)
{
    switch ((int)event->type) { /* most events are none of ours */
    case EVENT_CREATE_CAMPAIGN:
        return campaign_create_command(turn, &event->as.create_campaign);
    case EVENT_START_CAMPAIGN:
        return campaign_command(turn, event_meta(event), event->as.start_campaign.campaign,
                                COMMAND_START);
    case EVENT_PAUSE_CAMPAIGN:
        return campaign_command(turn, event_meta(event), event->as.pause_campaign.campaign,
                                COMMAND_PAUSE);
    case EVENT_RESUME_CAMPAIGN:
        return campaign_command(turn, event_meta(event), event->as.resume_campaign.campaign,
                                COMMAND_RESUME);
    case EVENT_CANCEL_CAMPAIGN:
        return campaign_command(turn, event_meta(event), event->as.cancel_campaign.campaign,
                                COMMAND_CANCEL);
    case EVENT_SET_CAMPAIGN_PACE:
        return campaign_command(turn, event_meta(event), event->as.set_campaign_pace.campaign,
                                COMMAND_PACE);
    case EVENT_SENDS_MOVED:
        return campaign_sends_moved(turn, &event->as.sends_moved);
    case EVENT_RELEASE_WANTED:
        return campaign_release_wanted(turn, &event->as.release_wanted);
    case EVENT_CONTROL_ANSWERED:
        return campaign_control_answered(turn, &event->as.control_answered);
    default:
        return TH_OK;
    }
}

static enum th_code wake_all(struct turn *turn, struct th_str tenant)
{
    const struct campaign *c;

    for (size_t at = 0; (c = table_next(turn->cs->campaigns, &at));)
        if (!tenant.p || th_str_eq(blob_str(c->tenant), tenant))
            TH_TRY(campaign_wake(turn, c->id, turn->in->now_us));
    return TH_OK;
}

static enum th_code take_time(struct turn *turn)
{
    struct timer timer;

    if (turn->cs->has_lost_timers) {
        TH_TRY(wake_all(turn, (struct th_str){NULL, 0}));
        turn->cs->has_lost_timers = false;
    }
    while (timers_pop(&turn->cs->timers, turn->in->now_us, &timer)) {
        struct reading *reading;
        TH_TRY(campaign_reading(turn, timer.id, &reading));
        if (reading->timer_us != timer.due_us)
            continue; /* another timer came before it */
        reading->timer_us = INT64_MAX;
        return campaign_advance(turn, timer.id);
    }
    return TH_OK;
}

static enum th_code take_answer(struct turn *turn, const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_AUDIENCE_OPENED:
        return campaign_audience_opened(turn, answer);
    case ANSWER_PART_READ:
        return campaign_part_read(turn, answer);
    case ANSWER_RECIPIENT_READ:
    case ANSWER_JOURNAL_TOLD:
    case ANSWER_CALL_ENDED:
    case ANSWER_LOOKUP_ENDED:
    case ANSWER_REPEAT_ENDED:
        return TH_OK;
    }
    return TH_OK;
}

static enum th_code campaign_decide(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    switch (in->type) {
    case INPUT_EVENT:
        return take_event(&turn, in->event);
    case INPUT_TIME:
        return take_time(&turn);
    case INPUT_ANSWER:
        return take_answer(&turn, in->answer);
    case INPUT_REFERENCE: /* of it only a tenant's stop matters here */
        return in->change->kind == REFERENCE_TENANT ? wake_all(&turn, in->change->tenant) : TH_OK;
    }
    return TH_OK;
}

static void campaigns_free(void *core)
{
    struct campaigns *cs = core;

    if (!cs)
        return;
    table_free(cs->campaigns);
    table_free(cs->asks);
    table_free(cs->readings);
    timers_fini(&cs->timers);
    free(cs);
}

static enum th_code campaigns_new(const void *config, const struct core_env *env, void **out_core)
{
    struct campaigns *cs = calloc(1, sizeof *cs);

    if (!cs)
        return TH_NOMEM;
    cs->config = *(const struct campaign_config *)config;
    cs->env = *env;
    cs->campaigns = table_new(sizeof(struct campaign), CAMPAIGNS_MAX);
    cs->asks = table_new(sizeof(struct ask), CAMPAIGN_ASKS_MAX);
    cs->readings = table_new(sizeof(struct reading), CAMPAIGNS_MAX);
    if (!cs->campaigns || !cs->asks || !cs->readings) {
        campaigns_free(cs);
        return TH_NOMEM;
    }
    *out_core = cs;
    return TH_OK;
}

static enum th_code campaign_opened(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    return wake_all(&turn, (struct th_str){NULL, 0});
}

static int64_t campaign_next_due_us(const void *core)
{
    const struct campaigns *cs = core;

    return cs->has_lost_timers ? 0 : timers_next_us(&cs->timers);
}

static void batch_close(void *core)
{
    struct campaigns *cs = core;

    table_close(cs->campaigns);
    table_close(cs->asks);
    table_close(cs->readings);
}

static void batch_forget(void *core)
{
    struct campaigns *cs = core;

    table_forget(cs->campaigns);
    table_forget(cs->asks);
    table_forget(cs->readings);
}

/* The undone batches may have popped timers that are still wanted. */
static void batch_undo(void *core)
{
    struct campaigns *cs = core;
    const struct reading *reading;

    table_undo(cs->campaigns);
    table_undo(cs->asks);
    table_undo(cs->readings);
    for (size_t at = 0; (reading = table_next(cs->readings, &at));)
        if (reading->timer_us != INT64_MAX &&
            timers_add(&cs->timers, reading->timer_us, reading->campaign) != TH_OK)
            cs->has_lost_timers = true;
}

static const struct th_metric_def asks_def = {
    .name = "telehub_campaign_asks",
    .help = "Sends that wait for another release",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static size_t campaign_figures(const void *core, struct core_figure *out)
{
    const struct campaigns *cs = core;

    out[0] = (struct core_figure){&asks_def, 0, (int64_t)table_count(cs->asks)};
    return 1;
}

bool campaign_look(const void *core, struct th_id id, struct campaign_counts *out)
{
    const struct campaign *c = table_get(((const struct campaigns *)core)->campaigns, id);

    if (!c)
        return false;
    *out = (struct campaign_counts){
        .phase = (enum campaign_phase)c->phase,
        .recipients = c->recipients,
        .requested = c->requested,
        .duplicates = c->duplicates,
        .open = campaign_open(c),
        .accepted = c->accepted,
        .awaiting_report = c->awaiting_report,
        .unknown = c->unknown,
        .suppressed = c->suppressed,
        .ended = c->ended,
        .asking = c->asking,
    };
    return true;
}

const struct core_ops campaign_core = {
    .name = "campaign",
    .app = LOG_APP_CAMPAIGN,
    .own = TOPIC_CAMPAIGN_EVENTS,
    .inputs = 1U << TOPIC_CAMPAIGN_COMMANDS | 1U << TOPIC_CAMPAIGN_PROGRESS,
    .fold_version = 2,
    .new = campaigns_new,
    .free = campaigns_free,
    .decide = campaign_decide,
    .evolve = campaign_evolve,
    .opened = campaign_opened,
    .next_due_us = campaign_next_due_us,
    .batch_close = batch_close,
    .batch_forget = batch_forget,
    .batch_undo = batch_undo,
    .pieces = 1,
    .save = campaign_save,
    .load = campaign_load,
    .figures = campaign_figures,
};
