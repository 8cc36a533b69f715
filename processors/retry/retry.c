#include "processors/retry/retry.h"

#include "processors/retry/turn.h"

#define TIME_SENDS 200 /* due sends that one INPUT_TIME looks at */

struct retry_config retry_config_default(void)
{
    return (struct retry_config){
        .backoff_base_us = 2000000,
        .backoff_cap_us = INT64_C(900000000),
        .slow_wait_us = INT64_C(900000000),
        .tries_per_lane = 3,
        .report_wait_us = INT64_C(900000000),
        .room_wait_us = 1000000,
        .behind_wait_us = 100000,
        .lane_plans_min = 256,
        .lane_plans_free = 4096,
        .part_plans_max = 16000,
    };
}

/* --- requests
 * --------------------------------------------------------------------------------------- */

/* A campaign has one audience for ever, and so its sends need not remember it. */
static bool is_of_one_audience(const struct turn *turn,
                               const struct campaign_origin_or_send_content *origin)
{
    const struct campaign_origin *of = &origin->as.campaign_origin;

    if (origin->is != CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN)
        return true;
    const struct group *group = table_get(turn->retry->groups, of->campaign);
    return !group || th_id_is_zero(group->audience) ||
           th_id_eq(group->audience, of->recipient.audience);
}

static enum th_code requested(struct turn *turn, const struct send_requested *ev)
{
    if (send_of(turn, ev->send))
        return TH_OK; /* the same request again has the same id */
    if (!is_of_one_audience(turn, &ev->origin))
        return TH_INVALID;
    struct event event = {
        .type = EVENT_SEND_ADMITTED,
        .as.send_admitted = {.meta = core_meta(turn->out, ev->meta.tenant),
                             .send = ev->send,
                             .channel = ev->channel,
                             .origin = ev->origin,
                             .release = ev->release,
                             .send_at_us = ev->send_at_us,
                             .send_by_us = ev->send_by_us,
                             .expires_at_us = ev->expires_at_us},
    };
    TH_TRY(turn_say(turn, ev->send, ev->meta.tenant, &event));
    return plan_send(turn, ev->send);
}

/* A release for a send that no longer asks (it ended, or was suppressed) is used up at once. */
static enum th_code released(struct turn *turn, const struct send_released *ev)
{
    const struct send *s = send_of(turn, ev->send);

    if (s && s->stand == SEND_UNKNOWN)
        return repeat_released(turn, ev);
    if (!s || s->stand != SEND_ASKED)
        return turn_settle(turn, ev->campaign, ev->meta.tenant);
    struct event event = {
        .type = EVENT_SEND_NOTED,
        .as.send_noted = {.meta = core_meta(turn->out, ev->meta.tenant),
                          .send = ev->send,
                          .n = s->n,
                          .standing = SEND_STANDING_RELEASED,
                          .release = ev->release,
                          .send_at_us = ev->send_at_us,
                          .send_by_us = ev->send_by_us},
    };
    TH_TRY(turn_say(turn, ev->send, ev->meta.tenant, &event));
    return plan_send(turn, ev->send);
}

static enum th_code take_event(struct turn *turn, const struct event *event)
{
    switch ((int)event->type) { /* the rest is outcomes */
    case EVENT_SEND_REQUESTED:
        return requested(turn, &event->as.send_requested);
    case EVENT_SEND_RELEASED:
        return released(turn, &event->as.send_released);
    default:
        TH_TRY(outcome_take(turn, event));
        return plan_queued(turn);
    }
}

/* --- time
 * ---------------------------------------------------------------------------------------------- */

static enum th_code due(struct turn *turn, const struct send *s)
{
    switch ((enum send_stand)s->stand) {
    case SEND_RELEASED:
        return plan_send(turn, s->id);
    case SEND_WAITING:
        if (!control_is_running(turn, group_of(turn, s)))
            return turn_park(turn, s->id, "paused");
        return s->is_api ? plan_send(turn, s->id) : turn_ask(turn, s->id, "due");
    case SEND_ACCEPTED: {
        struct th_str tenant = blob_str(group_of(turn, s)->tenant);
        struct event event = {
            .type = EVENT_SEND_NOTED,
            .as.send_noted = {.meta = core_meta(turn->out, tenant),
                              .send = s->id,
                              .n = s->n,
                              .standing = SEND_STANDING_ACCEPTED,
                              .reason = TH_STR("no_report")},
        };
        return turn_say(turn, s->id, tenant, &event);
    }
    case SEND_LANELESS:
        return turn_end(turn, s->id, "expired");
    case SEND_PLANNED:
    case SEND_UNKNOWN:
    case SEND_ASKED:
    case SEND_PARKED:
        return TH_OK;
    }
    return TH_OK;
}

/* After an undo: timers, and walks that are not done, follow from where sends and groups stand. */
static enum th_code find_timers(struct retry *retry)
{
    const struct send *s;
    const struct group *group;

    timers_clear(&retry->timers);
    timers_clear(&retry->walks);
    for (size_t at = 0; (s = table_next(retry->sends, &at));)
        if (s->due_at_us != INT64_MAX)
            TH_TRY(timers_add(&retry->timers, s->due_at_us, s->id));
    for (size_t at = 0; (group = table_next(retry->groups, &at));)
        TH_TRY(timers_add(&retry->walks, 0, group->id));
    retry->has_lost_timers = false;
    return TH_OK;
}

static enum th_code walk_groups(struct turn *turn)
{
    struct timer timer;
    size_t waiting = turn->retry->walks.n; /* a walk that is not done sets its timer again */

    for (; waiting > 0 && timers_pop(&turn->retry->walks, turn->in->now_us, &timer); waiting--)
        TH_TRY(control_walk(turn, timer.id));
    return TH_OK;
}

static enum th_code take_time(struct turn *turn)
{
    struct timer timer;

    if (turn->retry->has_lost_timers ||
        timers_are_stale(&turn->retry->timers, table_count(turn->retry->sends)))
        TH_TRY(find_timers(turn->retry));
    TH_TRY(walk_groups(turn));
    for (int i = 0; i < TIME_SENDS && timers_pop(&turn->retry->timers, turn->in->now_us, &timer);
         i++) {
        const struct send *s = send_of(turn, timer.id);
        if (s && s->due_at_us <= turn->in->now_us)
            TH_TRY(due(turn, s));
    }
    return TH_OK;
}

static enum th_code retry_decide(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    switch (in->type) {
    case INPUT_EVENT:
        return take_event(&turn, in->event);
    case INPUT_TIME:
        return take_time(&turn);
    case INPUT_REFERENCE:
        return control_changed(&turn, in->change);
    case INPUT_ANSWER:
        return in->answer->type == ANSWER_RECIPIENT_READ ? plan_recipient(&turn, in->answer)
                                                         : TH_OK;
    }
    return TH_OK;
}

static enum th_code retry_flush(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    return turn_flush(&turn);
}

/* The last send of an ended campaign may have been gone already from the snapshot's newer pieces,
 * while the campaign still stood in an older one. */
static enum th_code forget_groups(struct retry *retry)
{
    const struct group *group;
    size_t at = 0;

    while ((group = table_next(retry->groups, &at)))
        if (retry_is_forgotten(group)) {
            TH_TRY(retry_forget_group(retry, group->id));
            at = 0; /* a removal moves others */
        }
    return TH_OK;
}

static enum th_code retry_opened(void *core, const struct input *in, struct core_output *out)
{
    (void)in;
    (void)out;
    TH_TRY(forget_groups(core));
    return find_timers(core);
}

/* --- the rest of the core's table
 * ------------------------------------------------------------------------ */

static void retry_free(void *core)
{
    struct retry *retry = core;

    if (!retry)
        return;
    table_free(retry->sends);
    table_free(retry->groups);
    table_free(retry->mutes);
    table_free(retry->loads);
    timers_fini(&retry->timers);
    timers_fini(&retry->walks);
    routes_free(retry->routes);
    free(retry->moves);
    free(retry->wanted);
    free(retry->queued);
    free(retry);
}

static enum th_code retry_new(const void *config, const struct core_env *env, void **out_core)
{
    struct retry *retry = calloc(1, sizeof *retry);

    if (!retry)
        return TH_NOMEM;
    retry->config = *(const struct retry_config *)config;
    retry->env = *env;
    retry->sends = table_new(sizeof(struct send), RETRY_SENDS_MAX);
    retry->groups = table_new(sizeof(struct group), RETRY_SENDS_MAX);
    retry->loads = table_new(sizeof(struct lane_load), RETRY_SENDS_MAX);
    retry->mutes = table_new(sizeof(struct mute), RETRY_SENDS_MAX);
    retry->routes = routes_new();
    if (!retry->mutes || !retry->sends || !retry->groups || !retry->loads || !retry->routes) {
        retry_free(retry);
        return TH_NOMEM;
    }
    *out_core = retry;
    return TH_OK;
}

static int64_t retry_next_due_us(const void *core)
{
    const struct retry *retry = core;
    int64_t sends = timers_next_us(&retry->timers);
    int64_t walks = timers_next_us(&retry->walks);

    if (retry->has_lost_timers)
        return 0;
    return sends < walks ? sends : walks;
}

static void batch_close(void *core)
{
    struct retry *retry = core;

    table_close(retry->sends);
    table_close(retry->groups);
    table_close(retry->loads);
    table_close(retry->mutes);
}

static void batch_forget(void *core)
{
    struct retry *retry = core;

    table_forget(retry->sends);
    table_forget(retry->groups);
    table_forget(retry->loads);
    table_forget(retry->mutes);
}

static void batch_undo(void *core)
{
    struct retry *retry = core;

    table_undo(retry->sends);
    table_undo(retry->groups);
    table_undo(retry->loads);
    table_undo(retry->mutes);
    retry->moves_n = 0;
    retry->wanted_n = 0;
    retry->has_lost_timers = true;
}

static const struct th_metric_def live_def = {
    .name = "telehub_retry_live",
    .help = "Sends that have not ended",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static const struct th_metric_def queued_def = {
    .name = "telehub_retry_queued",
    .help = "Sends that found their lane full",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static size_t retry_figures(const void *core, struct core_figure *out)
{
    const struct retry *retry = core;

    out[0] = (struct core_figure){&live_def, 0, (int64_t)table_count(retry->sends)};
    out[1] = (struct core_figure){&queued_def, 0, (int64_t)retry->queued_n};
    return 2;
}

bool retry_look(const void *core, struct th_id id, enum send_stand *out_stand, int32_t *out_n)
{
    const struct send *s = table_get(((const struct retry *)core)->sends, id);

    if (!s)
        return false;
    *out_stand = (enum send_stand)s->stand;
    *out_n = s->n;
    return true;
}

size_t retry_live(const void *core)
{
    return table_count(((const struct retry *)core)->sends);
}

const struct core_ops retry_core = {
    .name = "retry",
    .app = LOG_APP_RETRY,
    .own = TOPIC_SEND_EVENTS,
    .inputs = 1U << TOPIC_SEND_REQUESTS | 1U << TOPIC_SEND_OUTCOMES,
    .fold_version = 6,
    .new = retry_new,
    .free = retry_free,
    .decide = retry_decide,
    .evolve = retry_evolve,
    .opened = retry_opened,
    .flush = retry_flush,
    .next_due_us = retry_next_due_us,
    .batch_close = batch_close,
    .batch_forget = batch_forget,
    .batch_undo = batch_undo,
    .pieces = TABLE_PIECES,
    .save = retry_save,
    .load = retry_load,
    .piece = retry_piece,
    .figures = retry_figures,
};
