#include "processors/dispatch/dispatch.h"

#include "processors/dispatch/turn.h"

#define DUE_PER_TURN 200

struct dispatch_config dispatch_config_default(void)
{
    return (struct dispatch_config){
        .send_window_ms = 5000,
        .call_timeout_ms = HTTP_TIMEOUT_MS,
        .window_min = 16,
        .window_max = 512,
        .unread_max = 4000,
        .open_max = 20000,
        .callback_window_sms_us = INT64_C(86400000000),
        .callback_window_call_us = INT64_C(900000000),
        .search_wait_us = INT64_C(60000000),
        .price_wait_us = INT64_C(2000000),
        .price_tries = 9,
        .report_wait_us = INT64_C(600000000),
        .behind_wait_us = 100000,
        .probe_wait_us = INT64_C(5000000),
        .circuit_calls = 20,
    };
}

/* --- saying
 * --------------------------------------------------------------------------------------------- */

enum th_code dispatch_say(struct turn *turn, struct th_str tenant, int32_t lane,
                          const struct event *event)
{
    const struct ref_lane *known = reference_lane(turn->d->env.reference, lane);
    struct th_str key =
        known ? th_arena_printf(core_arena(turn->out), "%.*s/%.*s", TH_ARG(tenant),
                                TH_ARG(known->account.name))
              : th_arena_printf(core_arena(turn->out), "%.*s/%d", TH_ARG(tenant), lane);

    return key.p ? core_say(turn->out, lane % turn->d->env.partitions, key, event) : TH_NOMEM;
}

enum th_code dispatch_say_outcome(struct turn *turn, struct th_str tenant, int32_t lane,
                                  struct th_id send, const struct event *event)
{
    struct th_str key = core_key(turn->out, tenant, send);

    if (!key.p)
        return TH_NOMEM;
    TH_TRY(core_emit(turn->out, TOPIC_SEND_OUTCOMES, -1, key, event));
    return dispatch_say(turn, tenant, lane, event); /* last: it may free what tenant points to */
}

/* --- time
 * ---------------------------------------------------------------------------------------------------
 */

static enum th_code collect_timers(struct dispatch *d)
{
    const struct attempt *a;

    timers_clear(&d->timers);
    for (size_t at = 0; (a = table_next(d->attempts, &at));)
        if (a->due_at_us != INT64_MAX)
            TH_TRY(timers_add(&d->timers, a->due_at_us, a->id));
    return TH_OK;
}

static enum th_code find_timers(struct dispatch *d)
{
    TH_TRY(collect_timers(d));
    TH_TRY(start_requeue(d));
    d->has_lost_timers = false;
    return TH_OK;
}

static enum th_code lanes_due(struct turn *turn)
{
    struct dispatch *d = turn->d;
    int64_t due = d->lane_due_us;

    d->lane_due_us = INT64_MAX;
    d->lane_turn++;
    for (size_t i = 0; i < d->lanes_n; i++) {
        struct lane *lane = d->lanes[(d->lane_turn + i) % d->lanes_n];
        if (!lane)
            continue;
        TH_TRY(circuit_due(turn, lane));
        if (due <= turn->in->now_us && lane->wake_us <= turn->in->now_us) {
            lane->wake_us = INT64_MAX;
            TH_TRY(start_lane(turn, lane));
        }
        int64_t next = lane->wake_us;
        if (lane->circuit == CIRCUIT_OPEN && lane->probe_at_us < next)
            next = lane->probe_at_us;
        d->lane_due_us = next < d->lane_due_us ? next : d->lane_due_us;
    }
    return TH_OK;
}

/* A look-up that is under way must not be asked again; its answer, or a restart, sets the next. */
static enum th_code attempt_due(struct turn *turn, struct th_id id)
{
    const struct attempt *a = table_get(turn->d->attempts, id);
    void *entry;

    if (!a || a->due_at_us > turn->in->now_us)
        return TH_OK;
    TH_TRY(settle_due(turn, a));
    a = table_get(turn->d->attempts, id);
    if (!a || a->due_at_us > turn->in->now_us)
        return TH_OK;
    TH_TRY(table_edit(turn->d->attempts, id, &entry));
    ((struct attempt *)entry)->due_at_us = INT64_MAX;
    return TH_OK;
}

static enum th_code take_time(struct turn *turn)
{
    struct timer timer;

    if (turn->d->has_lost_timers)
        TH_TRY(find_timers(turn->d));
    else if (timers_are_stale(&turn->d->timers, table_count(turn->d->attempts)))
        TH_TRY(collect_timers(turn->d));
    if (turn->d->must_sweep)
        TH_TRY(start_sweep(turn));
    TH_TRY(lanes_due(turn));
    for (int i = 0; i < DUE_PER_TURN && timers_pop(&turn->d->timers, turn->in->now_us, &timer); i++)
        TH_TRY(attempt_due(turn, timer.id));
    return TH_OK;
}

/* --- inputs
 * ---------------------------------------------------------------------------------------------------
 */

static enum th_code take_request(struct turn *turn, const struct event *event)
{
    if (event->type == EVENT_ATTEMPT_PLAN)
        return start_plan(turn, event);
    TH_TRY(plans_skip(turn->d->plans, turn->in->place.part, turn->in->place.offset));
    return event->type == EVENT_REPEAT_RELEASED ? resolve_released(turn, &event->as.repeat_released)
                                                : TH_OK;
}

static enum th_code take_event(struct turn *turn, const struct event *event)
{
    if (turn->in->place.topic == TOPIC_DISPATCH_REQUESTS)
        return take_request(turn, event);
    return event->type == EVENT_CALLBACK_RECEIVED
               ? settle_callback(turn, &event->as.callback_received)
               : TH_OK;
}

static enum th_code take_answer(struct turn *turn, const struct answer *answer)
{
    switch (answer->type) {
    case ANSWER_CALL_ENDED:
        return settle_call(turn, answer);
    case ANSWER_LOOKUP_ENDED:
        return settle_lookup(turn, answer);
    case ANSWER_REPEAT_ENDED:
        return resolve_repeat(turn, answer);
    case ANSWER_JOURNAL_TOLD:
        return settle_journal(turn, answer);
    case ANSWER_AUDIENCE_OPENED:
    case ANSWER_PART_READ:
    case ANSWER_RECIPIENT_READ:
        return TH_OK;
    }
    return TH_OK;
}

/* Between the two bounds what held before goes on. */
static void note_unread(struct dispatch *d, const struct input *in)
{
    int64_t unread = in->unread ? in->unread[TOPIC_PROVIDER_CALLBACKS] : 0;

    if (unread > d->config.unread_max)
        d->is_behind = true;
    else if (unread <= d->config.unread_max / 4)
        d->is_behind = false;
}

static void note_load(struct dispatch *d, const struct input *in)
{
    bool is_crowded =
        in->now_us < d->crowded_us && table_count(d->attempts) > (size_t)d->config.open_max;

    note_unread(d, in);
    d->is_held = d->is_behind || is_crowded;
}

static enum th_code dispatch_decide(void *core, const struct input *in, struct core_output *out)
{
    struct turn turn = {core, in, out};

    note_load(turn.d, in);
    switch (in->type) {
    case INPUT_EVENT:
        return take_event(&turn, in->event);
    case INPUT_TIME:
        return take_time(&turn);
    case INPUT_REFERENCE:
        return dispatch_control_changed(&turn, in->change);
    case INPUT_ANSWER:
        return take_answer(&turn, in->answer);
    }
    return TH_OK;
}

/* A look-up that was under way when a snapshot was written has no answer to come. */
static enum th_code ask_again(struct turn *turn)
{
    const struct attempt *a;
    void *entry;

    for (size_t at = 0; (a = table_next(turn->d->attempts, &at));)
        if (a->stand != ATTEMPT_STARTED && a->due_at_us == INT64_MAX) {
            TH_TRY(table_edit(turn->d->attempts, a->id, &entry));
            ((struct attempt *)entry)->due_at_us = turn->in->now_us;
        }
    return TH_OK;
}

/* Whoever started it is gone: its journal tells what had not left, the rest is unknown. After this
 * first transaction no journal but our own is needed. */
static enum th_code dispatch_opened(void *core, const struct input *in, struct core_output *out)
{
    struct dispatch *d = core;
    struct turn turn = {d, in, out};
    const struct attempt *a;
    struct effect drop = {.type = EFFECT_DROP_JOURNAL, .as.drop_journal.keep = d->env.session};

    TH_TRY(ask_again(&turn));
    TH_TRY(find_timers(d));
    TH_TRY(start_watch_lanes(&turn));
    for (size_t i = 0; i < d->lanes_n; i++)
        if (d->lanes[i])
            lane_begin(d->lanes[i], in->now_us);
    for (size_t at = 0; (a = table_next(d->attempts, &at));) {
        struct effect ask = {.type = EFFECT_ASK_JOURNAL,
                             .as.ask_journal = {.attempt = a->ref, .session = a->session}};
        if (a->stand == ATTEMPT_STARTED && a->session != d->env.session)
            TH_TRY(core_effect(out, &ask));
        else if (a->stand == ATTEMPT_UNKNOWN)
            TH_TRY(resolve_soon(&turn, a->ref));
    }
    return core_effect(out, &drop);
}

/* --- the rest of the core's table
 * ------------------------------------------------------------------------- */

static void dispatch_free(void *core)
{
    struct dispatch *d = core;

    if (!d)
        return;
    table_free(d->attempts);
    table_free(d->controls);
    table_free(d->flights);
    timers_fini(&d->timers);
    plans_free(d->plans);
    for (int i = 0; d->recents && i < d->env.partitions; i++)
        recent_free(d->recents[i]);
    free(d->recents);
    for (size_t i = 0; i < d->lanes_n; i++)
        free(d->lanes[i]);
    free(d->lanes);
    free(d);
}

static enum th_code dispatch_new(const void *config, const struct core_env *env, void **out_core)
{
    struct dispatch *d = calloc(1, sizeof *d);

    if (!d)
        return TH_NOMEM;
    d->config = *(const struct dispatch_config *)config;
    d->env = *env;
    d->lane_due_us = INT64_MAX;
    d->attempts = table_new(sizeof(struct attempt), DISPATCH_ATTEMPTS_MAX);
    d->controls = table_new(sizeof(struct control), DISPATCH_ATTEMPTS_MAX);
    d->flights = table_new(sizeof(struct flight), DISPATCH_ATTEMPTS_MAX);
    d->plans = plans_new(env->partitions);
    d->recents = calloc((size_t)env->partitions, sizeof(struct recent *));
    if (!d->recents || !d->attempts || !d->controls || !d->flights || !d->plans) {
        dispatch_free(d);
        return TH_NOMEM;
    }
    *out_core = d;
    return TH_OK;
}

static int64_t dispatch_next_due_us(const void *core)
{
    const struct dispatch *d = core;
    int64_t timers = timers_next_us(&d->timers);

    if (d->has_lost_timers || d->must_sweep)
        return 0;
    return timers < d->lane_due_us ? timers : d->lane_due_us;
}

static enum th_code dispatch_cursor(void *core, enum topic topic, int part, int64_t read_to,
                                    struct th_arena *arena, struct log_cursor *out)
{
    struct dispatch *d = core;

    if (topic == TOPIC_DISPATCH_REQUESTS)
        return plans_cursor(d->plans, part, read_to, arena, out);
    *out = (struct log_cursor){.next = {topic, part, read_to}};
    return TH_OK;
}

static enum th_code dispatch_resume(void *core, const struct log_cursor *cursor)
{
    struct dispatch *d = core;

    return cursor->next.topic == TOPIC_DISPATCH_REQUESTS ? plans_resume(d->plans, cursor) : TH_OK;
}

static void batch_close(void *core)
{
    struct dispatch *d = core;

    table_close(d->attempts);
    table_close(d->controls);
    table_close(d->flights);
    plans_close(d->plans);
}

/* Plans that were handed back out of turn are still queued; they go before their memory does. */
static void close_gaps(struct dispatch *d)
{
    struct plan *plan;

    if (!d->has_gaps)
        return;
    for (size_t i = 0; i < d->lanes_n; i++) {
        struct lane *lane = d->lanes[i];
        struct plan *next = lane ? lane->first : NULL;
        if (lane)
            lane->first = lane->last = NULL;
        while ((plan = next)) {
            next = plan->next;
            if (!plan->is_settled)
                lane_queue(lane, plan);
        }
    }
    d->has_gaps = false;
}

static void batch_forget(void *core)
{
    struct dispatch *d = core;

    table_forget(d->attempts);
    table_forget(d->controls);
    table_forget(d->flights);
    close_gaps(d);
    plans_forget(d->plans);
}

/* What is counted per lane follows from the flights that are left. */
static void recount(struct dispatch *d)
{
    const struct flight *flight;

    for (size_t i = 0; i < d->lanes_n; i++)
        if (d->lanes[i])
            d->lanes[i]->in_flight = 0;
    for (size_t at = 0; (flight = table_next(d->flights, &at));)
        d->lanes[flight->lane]->in_flight++;
}

static void batch_undo(void *core)
{
    struct dispatch *d = core;

    table_undo(d->attempts);
    table_undo(d->controls);
    table_undo(d->flights);
    plans_undo(d->plans);
    recount(d);
    for (size_t i = 0; i < d->lanes_n; i++)
        if (d->lanes[i]) {
            d->lanes[i]->first = d->lanes[i]->last = NULL;
            d->lanes[i]->must_tell = true;
        }
    d->must_sweep = true;
    d->has_lost_timers = true; /* and queues */
}

static const struct th_metric_def open_def = {
    .name = "telehub_dispatch_open",
    .help = "Attempts that were started and need a result, a report or a price",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static const struct th_metric_def waiting_def = {
    .name = "telehub_dispatch_waiting",
    .help = "Plans that wait for their start",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static const struct th_metric_def window_def = {
    .name = "telehub_dispatch_window",
    .help = "Requests that may be in flight at one time",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static const struct th_metric_def in_flight_def = {
    .name = "telehub_dispatch_in_flight",
    .help = "Attempts whose request is on its way or not answered yet",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static const struct th_metric_def held_def = {
    .name = "telehub_dispatch_held",
    .help = "1 while nothing is started because callbacks are unread or prices not asked for",
    .kind = TH_METRIC_GAUGE,
    .labels = {"slot", "lane"},
};

static size_t dispatch_figures(const void *core, struct core_figure *out)
{
    const struct dispatch *d = core;
    size_t n = 0;

    out[n++] = (struct core_figure){&open_def, 0, (int64_t)table_count(d->attempts)};
    out[n++] = (struct core_figure){&waiting_def, 0, (int64_t)plans_waiting(d->plans)};
    out[n++] = (struct core_figure){&window_def, 0, dispatch_window(d)};
    out[n++] = (struct core_figure){&held_def, 0, d->is_held};
    for (size_t i = 0; i < d->lanes_n && n < CORE_FIGURES_MAX; i++)
        if (d->lanes[i])
            out[n++] =
                (struct core_figure){&in_flight_def, d->lanes[i]->number, d->lanes[i]->in_flight};
    return n;
}

bool dispatch_look(const void *core, struct attempt_ref ref, enum attempt_stand *out_stand)
{
    const struct attempt *a = table_get(((const struct dispatch *)core)->attempts, attempt_id(ref));

    if (a)
        *out_stand = (enum attempt_stand)a->stand;
    return a != NULL;
}

size_t dispatch_in_flight(const void *core)
{
    return table_count(((const struct dispatch *)core)->flights);
}

size_t dispatch_waiting(const void *core)
{
    return plans_waiting(((const struct dispatch *)core)->plans);
}

bool dispatch_is_held(const void *core)
{
    return ((const struct dispatch *)core)->is_held;
}

const struct core_ops dispatch_core = {
    .name = "dispatch",
    .app = LOG_APP_DISPATCH,
    .own = TOPIC_DISPATCH_ATTEMPTS,
    .inputs = 1U << TOPIC_DISPATCH_REQUESTS | 1U << TOPIC_PROVIDER_CALLBACKS,
    .fold_version = 6,
    .new = dispatch_new,
    .free = dispatch_free,
    .decide = dispatch_decide,
    .evolve = dispatch_evolve,
    .opened = dispatch_opened,
    .next_due_us = dispatch_next_due_us,
    .batch_close = batch_close,
    .batch_forget = batch_forget,
    .batch_undo = batch_undo,
    .cursor = dispatch_cursor,
    .resume = dispatch_resume,
    .pieces = TABLE_PIECES,
    .save = dispatch_save,
    .load = dispatch_load,
    .piece = dispatch_piece,
    .figures = dispatch_figures,
};
