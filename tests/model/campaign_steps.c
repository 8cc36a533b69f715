/* What campaign does, and the commands that reach it. */
#include "tests/model/steps.h"

static bool is_open(const struct world *w)
{
    return w->campaign.status == RUNNING || w->campaign.status == PAUSING ||
           w->campaign.status == PAUSED;
}

/* The last record that settles something ends the campaign in the same transaction. */
static void conclude(const struct scenario *scenario, struct world *w)
{
    struct campaign *c = &w->campaign;
    bool is_cancelling = c->status == CANCELLING;
    int awaited = is_cancelling ? c->next : scenario->sends;

    if (!is_cancelling && !is_open(w))
        return;
    if (c->open == 0 && c->unknown == 0 && c->settled == awaited)
        c->status = is_cancelling ? CANCELLED : COMPLETED;
}

static bool may_release(const struct expansion *x)
{
    const struct campaign *c = &x->before->campaign;
    bool is_stopped = c->stop_seen % 2 == 1;

    return c->status == RUNNING && c->open < x->scenario->look_ahead && !is_stopped;
}

static void release_next(const struct expansion *x)
{
    struct world w = *x->before;
    unsigned s = w.campaign.next;

    if (!may_release(x) || s == x->scenario->sends)
        return;
    w.campaign.next++;
    w.campaign.open++;
    push_request(&w, SEND_REQUESTED, s);
    emit(x, step_on(DO_RELEASE, PROGRESS, s, 0, 0), &w);
}

static void grant(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;
    uint8_t bit = (uint8_t)(1U << s);

    if (!may_release(x) || !(w.campaign.asks & bit))
        return;
    w.campaign.asks ^= bit;
    w.asks_in_memory &= (uint8_t)~bit;
    w.campaign.open++;
    push_request(&w, SEND_RELEASED, s);
    emit(x, step_on(DO_GRANT, PROGRESS, s, 0, 0), &w);
}

static void take_ask(const struct expansion *x, struct world *w, unsigned s)
{
    if (!is_open(w))
        return;
    w->campaign.asks |= (uint8_t)(1U << s);
    if (mutated(x, FORGET_ASK))
        w->asks_in_memory |= (uint8_t)(1U << s);
}

static void take_answer(struct campaign *c, struct progress record, unsigned version)
{
    if (c->status != PAUSING || record.version != version)
        return;
    c->answered |= record.who;
    if (c->answered == (BY_RETRY | BY_DISPATCH))
        c->status = PAUSED;
}

static void read_progress(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.progress_count == 0)
        return;
    struct progress record = pop_progress(&w);
    switch ((enum progress_kind)record.kind) {
    case SENDS_MOVED:
        w.campaign.open = (int8_t)(w.campaign.open + record.released);
        w.campaign.unknown = (int8_t)(w.campaign.unknown + record.unknown);
        w.campaign.settled = (int8_t)(w.campaign.settled + record.settled);
        break;
    case RELEASE_WANTED:
        take_ask(x, &w, record.who);
        break;
    case PAUSE_APPLIED:
        take_answer(&w.campaign, record, w.control_version);
        break;
    }
    conclude(x->scenario, &w);
    emit(x, step_of(DO_READ_PROGRESS, PROGRESS), &w);
}

static void see_stop(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.campaign.stop_seen == w.stop)
        return;
    w.campaign.stop_seen = w.stop;
    emit(x, step_of(DO_CAMPAIGN_SEES_STOP, PROGRESS), &w);
}

static void control(struct world *w, enum campaign_status status, enum control_state state)
{
    if (w->control_version == VERSIONS_MAX) {
        w->flaw = BOUND_EXCEEDED;
        return;
    }
    w->control[++w->control_version] = (uint8_t)state;
    w->campaign.status = (uint8_t)status;
    w->campaign.answered = 0;
}

static void pause_or_resume(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.campaign.status == RUNNING && use_up(&w, PAUSE)) {
        control(&w, PAUSING, IS_PAUSED);
        emit(x, step_of(DO_PAUSE_COMMAND, COMMAND), &w);
    } else if (w.campaign.status == PAUSING || w.campaign.status == PAUSED) {
        control(&w, RUNNING, RUNS);
        emit(x, step_of(DO_RESUME_COMMAND, RELIEF), &w);
    }
}

static void cancel(const struct expansion *x)
{
    struct world w = *x->before;

    if (!is_open(&w) || !use_up(&w, CANCEL))
        return;
    control(&w, CANCELLING, IS_CANCELLED);
    w.campaign.asks = w.asks_in_memory = 0;
    conclude(x->scenario, &w);
    emit(x, step_of(DO_CANCEL_COMMAND, COMMAND), &w);
}

static void stop_or_release(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.stop % 2 == 0 && use_up(&w, STOP)) {
        w.stop++;
        emit(x, step_of(DO_STOP_COMMAND, COMMAND), &w);
    } else if (w.stop % 2 == 1) {
        w.stop++;
        emit(x, step_of(DO_RELEASE_STOP_COMMAND, RELIEF), &w);
    }
}

static void opt_out(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.is_opted_out || !use_up(&w, OPT_OUT))
        return;
    w.is_opted_out = 1;
    emit(x, step_of(DO_OPTS_OUT, COMMAND), &w);
}

static void crash(const struct expansion *x)
{
    struct world w = *x->before;

    if (!use_up(&w, CRASH_CAMPAIGN))
        return;
    w.campaign.asks &= (uint8_t)~w.asks_in_memory;
    w.asks_in_memory = 0;
    emit(x, step_of(DO_CAMPAIGN_CRASHES, FAULT), &w);
}

void campaign_steps(const struct expansion *x)
{
    release_next(x);
    for (unsigned s = 0; s < x->scenario->sends; s++)
        grant(x, s);
    read_progress(x);
    see_stop(x);
    pause_or_resume(x);
    cancel(x);
    stop_or_release(x);
    opt_out(x);
    crash(x);
}
