/* What retry does: one transaction a step, decided on its own state and its own table. */
#include "tests/model/steps.h"

#define TRIES_MAX    2 /* that may have reached a provider; then the send is exhausted */
#define ATTEMPTS_MAX 9 /* more than any scenario's faults explain */

/* Every account of a send to campaign follows from where it stood and where it stands. */
static void move(const struct expansion *x, struct world *w, unsigned s, enum standing to)
{
    const struct scenario *scenario = x->scenario;
    unsigned from = w->sends[s].standing;
    bool is_hidden = (to == ENDED || to == SUPPRESSED) && w->sends[s].doubts > 0;

    if (is_hidden && !mutated(x, HIDE_DOUBT)) /* an earlier attempt may have called */
        to = IN_DOUBT;
    struct progress record = {
        .kind = SENDS_MOVED,
        .released = (int8_t)(holds_release(scenario, to) - holds_release(scenario, from)),
        .unknown = (int8_t)((to == UNKNOWN) - (from == UNKNOWN)),
        .settled = (int8_t)(is_settled(to) - is_settled(from)),
    };

    w->sends[s].standing = (uint8_t)to;
    if (record.released || record.unknown || record.settled)
        push_progress(w, record);
    if (to == ASKED)
        push_progress(w, (struct progress){.kind = RELEASE_WANTED, .who = (uint8_t)s});
}

static bool is_held(const struct world *w)
{
    return sees_pause(w, &w->retry) || sees_stop(&w->retry);
}

static bool has_opted_out(const struct world *w, unsigned s)
{
    return s == 0 && w->retry.opt_out_seen;
}

/* The send goes on to `otherwise`, unless something forbids. */
static void go_on(const struct expansion *x, struct world *w, unsigned s, enum standing otherwise)
{
    if (sees_cancel(w, &w->retry))
        move(x, w, s, ENDED);
    else if (has_opted_out(w, s))
        move(x, w, s, SUPPRESSED);
    else if (otherwise != WAITING && is_held(w))
        move(x, w, s, PARKED);
    else
        move(x, w, s, otherwise);
}

static void take_release(const struct expansion *x, struct world *w, unsigned s)
{
    uint8_t *standing = &w->sends[s].standing;

    *standing = RELEASED; /* the release came with the record */
    if (mutated(x, FORGET_RELEASE))
        w->retry_in_memory |= (uint8_t)(1U << s);
    if (sees_cancel(w, &w->retry))
        move(x, w, s, ENDED);
    else if (has_opted_out(w, s))
        move(x, w, s, SUPPRESSED);
}

/* A grant for a repeat: used up by being passed on. */
static void pass_on(const struct expansion *x, struct world *w, unsigned s)
{
    if (!mutated(x, FORGET_REPEATS_RELEASE))
        push_progress(w, (struct progress){.kind = SENDS_MOVED, .released = -1});
    if (!sees_cancel(w, &w->retry) && !w->sends[s].is_reached)
        push_repeat(w, s);
}

static bool is_dropped(const struct expansion *x, struct request request)
{
    return mutated(x, DROP_AFTER_CANCEL) && request.kind == SEND_REQUESTED &&
           sees_cancel(x->before, &x->before->retry);
}

static void read_request(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.request_count == 0)
        return;
    struct request request = pop_request(&w);
    unsigned standing = w.sends[request.send].standing;

    if (!is_dropped(x, request) && standing == (request.kind == SEND_REQUESTED ? UNSEEN : ASKED))
        take_release(x, &w, request.send);
    else if (request.kind == SEND_RELEASED && standing == UNKNOWN)
        pass_on(x, &w, request.send);
    else if (!mutated(x, IGNORE_LATE_RELEASE) && !is_dropped(x, request))
        push_progress(&w, (struct progress){.kind = SENDS_MOVED, .released = -1});
    emit(x, step_on(DO_READ_REQUEST, PROGRESS, request.send, 0, 0), &w);
}

static void plan(struct world *w, unsigned s)
{
    struct send *send = &w->sends[s];

    send->n++;
    if (send->n > ATTEMPTS_MAX)
        w->flaw = BOUND_EXCEEDED;
    if (send->is_proven)
        w->flaw = PLANNED_AFTER_PROOF;
    push_plan(w, s);
}

static void come_due(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;

    if (w.sends[s].standing != RELEASED)
        return;
    w.retry_in_memory &= (uint8_t) ~(1U << s);
    go_on(x, &w, s, PLANNED);
    if (w.sends[s].standing == PLANNED)
        plan(&w, s);
    emit(x, step_on(DO_COMES_DUE, PROGRESS, s, w.sends[s].n, 0), &w);
}

static void end_back_off(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;

    if (w.sends[s].standing != WAITING)
        return;
    go_on(x, &w, s, ASKED);
    emit(x, step_on(DO_BACK_OFF_OVER, PROGRESS, s, 0, 0), &w);
}

static void stop_waiting_for_report(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;

    if (w.sends[s].standing != AWAITING)
        return;
    move(x, &w, s, ACCEPTED);
    emit(x, step_on(DO_REPORT_WAIT_OVER, PROGRESS, s, 0, 0), &w);
}

/* What the walk after a resume, a released stop or a cancel does with a send. It follows from
 * state alone, so that a restart takes it up again. */
static void walk(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;
    unsigned standing = w.sends[s].standing;
    bool is_cancelled = w.control[w.retry.control_applied] == IS_CANCELLED;
    bool is_mine =
        standing == PARKED || standing == ASKED || standing == RELEASED || standing == WAITING;

    if ((mutated(x, WALK_ONCE) || mutated(x, PARK_AFTER_RESUME)) && !(w.walks & 1U << s))
        return;
    if (is_cancelled && is_mine)
        move(x, &w, s, ENDED);
    else if (is_cancelled && standing == AWAITING)
        move(x, &w, s, ACCEPTED);
    else if (standing == PARKED && !is_held(&w))
        move(x, &w, s, ASKED);
    else
        return;
    emit(x, step_on(DO_WALK, PROGRESS, s, 0, 0), &w);
}

static void count_try(const struct expansion *x, struct world *w, unsigned s)
{
    struct send *send = &w->sends[s];

    if (send->standing == PLANNED) /* else UNKNOWN has counted it */
        send->tries++;
    send->lane ^= 1;
    if (send->tries >= TRIES_MAX)
        move(x, w, s, ENDED);
    else
        go_on(x, w, s, WAITING);
}

/* A send in doubt has settled: a later report changes its class, never starts an attempt. */
static void accept(const struct expansion *x, struct world *w, unsigned s)
{
    struct send *send = &w->sends[s];
    bool may_follow = x->scenario->retries_on_report && send->standing != IN_DOUBT;

    if (send->standing == PLANNED)
        send->tries++;
    move(x, w, s, may_follow && !sees_cancel(w, &w->retry) ? AWAITING : ACCEPTED);
}

static void take_failure(const struct expansion *x, struct world *w, unsigned s)
{
    struct send *send = &w->sends[s];

    if (!x->scenario->retries_on_report || send->standing == IN_DOUBT) {
        move(x, w, s, ACCEPTED);
        return;
    }
    if (send->calls > 0) /* reported as not answered: another may follow */
        send->calls--;
    if (send->standing == PLANNED)
        send->tries++;
    if (send->tries >= TRIES_MAX)
        move(x, w, s, ENDED);
    else
        go_on(x, w, s, WAITING);
}

/* At least once: another attempt, knowingly a possible duplicate. Where none may follow, the send
 * stays in doubt. */
static void doubt(const struct expansion *x, struct world *w, unsigned s)
{
    w->sends[s].doubts += x->scenario->is_at_least_once;
    count_try(x, w, s);
}

static bool is_in_the_air(const struct send *send)
{
    return send->standing == PLANNED || send->standing == UNKNOWN;
}

/* An attempt reached the person after all. What is with dispatch cannot be stopped for certain, so
 * the send ends when that has come to an end; else it ends now. */
static void take_proof(const struct expansion *x, struct world *w, unsigned s, unsigned n)
{
    struct send *send = &w->sends[s];

    send->is_proven = 1;
    if (mutated(x, IGNORE_LATE_PROOF))
        return;
    if (is_in_the_air(send) && n < send->n)
        send->is_reached = 1;
    else
        move(x, w, s, ACCEPTED);
}

/* The attempt in the air has come to an end, and nothing need follow it. */
static bool is_over_by_proof(const struct send *send, struct outcome outcome)
{
    return send->is_reached && outcome.kind != OUTCOME_UNKNOWN && outcome.kind != OUTCOME_REACHED &&
           outcome.kind != OUTCOME_WANTS_RELEASE;
}

static void take_outcome(const struct expansion *x, struct world *w, struct outcome outcome)
{
    unsigned s = outcome.send;
    struct send *send = &w->sends[s];

    if (is_over_by_proof(send, outcome)) {
        move(x, w, s, ACCEPTED);
        return;
    }
    switch ((enum outcome_kind)outcome.kind) {
    case OUTCOME_ACCEPTED:
        accept(x, w, s);
        break;
    case OUTCOME_FAILED:
        take_failure(x, w, s);
        break;
    case OUTCOME_REACHED:
        take_proof(x, w, s, outcome.n);
        break;
    case OUTCOME_REFUSED:
    case OUTCOME_NOT_EXECUTED:
        count_try(x, w, s);
        break;
    case OUTCOME_UNKNOWN:
        send->tries++;
        move(x, w, s, UNKNOWN);
        break;
    case OUTCOME_IN_DOUBT:
        if (x->scenario->is_at_least_once || mutated(x, REPEAT_UNDER_ANY_POLICY))
            doubt(x, w, s);
        else
            move(x, w, s, IN_DOUBT);
        break;
    case OUTCOME_WANTS_RELEASE: /* the send stays as it is */
        if (!sees_cancel(w, &w->retry) && !send->is_reached)
            push_progress(w, (struct progress){.kind = RELEASE_WANTED, .who = (uint8_t)s});
        break;
    case RETURNED_CIRCUIT:
        send->lane ^= 1;
        go_on(x, w, s, ASKED);
        break;
    case RETURNED_PAUSED:
    case RETURNED_STOPPED:
        if (mutated(x, PARK_AFTER_RESUME))
            move(x, w, s, PARKED);
        else
            go_on(x, w, s, ASKED);
        break;
    case OUTCOME_NOT_SENT:
    case RETURNED_LATE:
        go_on(x, w, s, ASKED);
        break;
    case RETURNED_CANCELLED:
        move(x, w, s, ENDED);
        break;
    case RETURNED_OPTED_OUT:
        move(x, w, s, SUPPRESSED);
        break;
    }
}

/* Proof may come of any attempt. Who has ended is reached in the views alone. */
static bool can_be_proven(const struct send *send)
{
    return send->standing != ACCEPTED && send->standing != ENDED && send->standing != SUPPRESSED;
}

/* Which outcomes can follow where a send stands; others are late, and change nothing. */
static bool can_follow(const struct expansion *x, const struct send *send, struct outcome outcome)
{
    if (outcome.kind == OUTCOME_FAILED && mutated(x, TAKE_ANY_REPORT))
        return true;
    if (outcome.kind == OUTCOME_REACHED)
        return can_be_proven(send);
    if (outcome.n != send->n)
        return false;
    if (outcome.kind == OUTCOME_WANTS_RELEASE)
        return send->standing == UNKNOWN;
    switch ((enum standing)send->standing) {
    case PLANNED:
        return true;
    case UNKNOWN:
        return outcome.kind != OUTCOME_UNKNOWN;
    case IN_DOUBT:
        return outcome.kind == OUTCOME_ACCEPTED || outcome.kind == OUTCOME_FAILED;
    case AWAITING:
        return outcome.kind == OUTCOME_FAILED;
    case UNSEEN:
    case RELEASED:
    case ASKED:
    case PARKED:
    case WAITING:
    case ACCEPTED:
    case ENDED:
    case SUPPRESSED:
        return false;
    }
    return false;
}

static void read_outcome(const struct expansion *x)
{
    struct world w = *x->before;

    if (w.outcome_count == 0)
        return;
    struct outcome outcome = pop_outcome(&w);
    bool is_behind = w.retry.control_seen < outcome.control || w.retry.stop_seen < outcome.stop;

    if (is_behind && !mutated(x, JUDGE_BEHIND))
        return;
    if (can_follow(x, &w.sends[outcome.send], outcome))
        take_outcome(x, &w, outcome);
    emit(x, step_on(DO_READ_OUTCOME, PROGRESS, outcome.send, outcome.n, 0), &w);
}

/* The two mutations in which an input starts the walk, and state alone does not: who is on it. */
static uint8_t begin_walk(const struct expansion *x, const struct world *w)
{
    uint8_t parked = 0;

    for (unsigned s = 0; s < x->scenario->sends; s++)
        parked = (uint8_t)(parked | (w->sends[s].standing == PARKED) << s);
    if (mutated(x, WALK_ONCE))
        return UINT8_MAX;
    return mutated(x, PARK_AFTER_RESUME) ? parked : 0;
}

static void apply_control(const struct expansion *x)
{
    struct world w = *x->before;
    bool was_paused = w.control[w.retry.control_applied] == IS_PAUSED;

    if (w.retry.control_applied == w.retry.control_seen)
        return;
    w.retry.control_applied = w.retry.control_seen;
    w.walks = begin_walk(x, &w);
    if (w.control[w.retry.control_applied] == IS_PAUSED &&
        !(was_paused && mutated(x, ANSWER_CHANGES_ONLY)))
        push_progress(&w, (struct progress){.kind = PAUSE_APPLIED,
                                            .who = BY_RETRY,
                                            .version = w.retry.control_applied});
    emit(x, step_of(DO_RETRY_APPLIES, PROGRESS), &w);
}

/* Nothing of a right retry is in memory only, so that a kill changes nothing. */
static void crash(const struct expansion *x)
{
    struct world w = *x->before;

    if (!use_up(&w, CRASH_RETRY))
        return;
    for (unsigned s = 0; s < x->scenario->sends; s++) {
        if (w.retry_in_memory & 1U << s)
            w.sends[s].standing = w.sends[s].n == 0 ? UNSEEN : ASKED;
        if (mutated(x, FORGET_LATE_PROOF))
            w.sends[s].is_reached = 0;
    }
    w.retry_in_memory = 0;
    w.walks = 0;
    emit(x, step_of(DO_RETRY_CRASHES, FAULT), &w);
}

/* REPLAN_UNRETURNED: the lane's circuit opens, and retry does not wait for dispatch. */
static void replan(const struct expansion *x, unsigned s)
{
    struct world w = *x->before;

    if (!mutated(x, REPLAN_UNRETURNED) || w.sends[s].standing != PLANNED || !use_up(&w, CIRCUIT))
        return;
    w.sends[s].lane ^= 1;
    plan(&w, s);
    emit(x, step_on(DO_REPLAN, FAULT, s, w.sends[s].n, 0), &w);
}

void retry_steps(const struct expansion *x)
{
    read_request(x);
    read_outcome(x);
    for (unsigned s = 0; s < x->scenario->sends; s++) {
        come_due(x, s);
        end_back_off(x, s);
        stop_waiting_for_report(x, s);
        walk(x, s);
        replan(x, s);
    }
    reference_steps(x, offsetof(struct world, retry), DO_RETRY_SEES_CONTROL);
    apply_control(x);
    crash(x);
}
