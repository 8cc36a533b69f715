/* What the provider and the network do. */
#include "tests/model/steps.h"

/* One copy of the request has ended its way, by a step of its own or for lack of luck. Whoever
 * waits for an answer to that copy hears `what`; only in class I can there be several. */
static void end_way(const struct expansion *x, const struct world *after, struct explore_step step,
                    enum hand what)
{
    const struct attempt *before = &after->sends[step.a].tries_kept[step.b % TRIES_KEPT];
    unsigned waiting = 0;

    for (unsigned h = 0; h < HOSTS; h++) {
        struct world w = *after;

        if (before->hand[h] != IN_FLIGHT)
            continue;
        waiting++;
        attempt_of(&w, step.a, step.b)->hand[h] = (uint8_t)what;
        step.c = (uint8_t)h;
        emit(x, step, &w);
    }
    if (waiting <= before->on_wire) { /* a copy was left over from somebody who is gone */
        struct world w = *after;

        emit(x, step, &w);
    }
}

/* A provider of class I executes a key once. */
static bool knows_key(const struct expansion *x, const struct attempt *attempt)
{
    return x->scenario->reconciliation == BY_KEY && attempt->is_executed && !attempt->is_key_dead;
}

static void execute(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool is_known = knows_key(x, attempt);

    attempt->on_wire--;
    if (!is_known) {
        attempt->is_executed = 1;
        if (attempt->place == STOLEN)
            w.flaw = CALLED_OUT_OF_PLACE;
        if (x->scenario->reconciliation == BY_CALLBACK)
            attempt->callback = CALLBACK_DUE;
        if (w.sends[s].calls < CALLS_COUNTED)
            w.sends[s].calls++;
    }
    emit(x, step_on(is_known ? DO_DROP_REPEAT : DO_EXECUTE, PROGRESS, s, n, 0), &w);
}

static void refuse(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (knows_key(x, attempt_of(&w, s, n)) || !use_up(&w, REFUSE))
        return;
    attempt_of(&w, s, n)->on_wire--;
    end_way(x, &w, step_on(DO_REFUSED, FAULT, s, n, 0), GOT_NO);
}

static void vanish(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (!use_up(&w, LOSE_REQUEST))
        return;
    attempt_of(&w, s, n)->on_wire--;
    end_way(x, &w, step_on(DO_VANISH, FAULT, s, n, 0), GOT_TIMEOUT);
}

static void reply(const struct expansion *x, unsigned s, unsigned n, unsigned host)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->hand[host] != IN_FLIGHT)
        return;
    if (attempt->is_executed) {
        attempt->hand[host] = GOT_YES;
        emit(x, step_on(DO_ANSWER, PROGRESS, s, n, host), &w);
    }
    w = *x->before; /* also while the provider is still at it */
    if (use_up(&w, LOSE_REPLY)) {
        attempt->hand[host] = GOT_TIMEOUT;
        emit(x, step_on(DO_NO_ANSWER, FAULT, s, n, host), &w);
    }
}

/* Not while a repeat is under way: its life is known, and a margin is kept. */
static void forget_key(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (x->scenario->reconciliation != BY_KEY || attempt->state != RESULT_UNKNOWN ||
        attempt->is_key_dead || attempt->on_wire || may_leave(attempt) || !use_up(&w, KEY_DIES))
        return;
    attempt->is_key_dead = 1;
    emit(x, step_on(DO_KEY_FORGOTTEN, FAULT, s, n, 0), &w);
}

static void call_back(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->callback != CALLBACK_DUE)
        return;
    attempt->callback = CALLBACK_QUEUED;
    emit(x, step_on(DO_CALL_BACK, PROGRESS, s, n, 0), &w);
    w = *x->before;
    if (use_up(&w, REPORT_FAILURE)) {
        attempt->callback = FAILURE_QUEUED;
        emit(x, step_on(DO_CALL_BACK_FAILED, FAULT, s, n, 0), &w);
    }
    w = *x->before;
    if (use_up(&w, LOSE_CALLBACK)) {
        attempt->callback = CALLBACK_LOST;
        emit(x, step_on(DO_NO_CALL_BACK, FAULT, s, n, 0), &w);
    }
}

/* A final report is taken back, however long ago it was read. */
static void prove(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->callback != FAILURE_TOLD || !use_up(&w, LATE_PROOF))
        return;
    attempt->callback = PROOF_QUEUED;
    emit(x, step_on(DO_CALL_BACK_PROOF, FAULT, s, n, 0), &w);
}

static void attempt_steps(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (attempt_of(&w, s, n)->on_wire) {
        execute(x, s, n);
        refuse(x, s, n);
        vanish(x, s, n);
    }
    for (unsigned h = 0; h < HOSTS; h++)
        reply(x, s, n, h);
    forget_key(x, s, n);
    call_back(x, s, n);
    prove(x, s, n);
}

void provider_steps(const struct expansion *x)
{
    each_attempt(x, attempt_steps);
}
