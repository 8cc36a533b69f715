/* What the provider and the network do. */
#include "tests/model/steps.h"

/* The answer finds its caller only if that process still lives and waits. */
static void answer(struct attempt *attempt, enum hand what)
{
    if (attempt->hand == IN_FLIGHT)
        attempt->hand = (uint8_t)what;
}

static void execute(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    attempt->is_on_wire = 0;
    attempt->is_executed = 1;
    if (x->scenario->reconciliation == BY_CALLBACK)
        attempt->callback = CALLBACK_DUE;
    if (w.sends[s].calls < 2)
        w.sends[s].calls++;
    emit(x, step_on(DO_EXECUTE, PROGRESS, s, n, 0), &w);
}

static void refuse(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (!use_up(&w, REFUSE))
        return;
    attempt_of(&w, s, n)->is_on_wire = 0;
    answer(attempt_of(&w, s, n), GOT_NO);
    emit(x, step_on(DO_REFUSED, FAULT, s, n, 0), &w);
}

static void vanish(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (!use_up(&w, LOSE_REQUEST))
        return;
    attempt_of(&w, s, n)->is_on_wire = 0;
    answer(attempt_of(&w, s, n), GOT_TIMEOUT);
    emit(x, step_on(DO_VANISH, FAULT, s, n, 0), &w);
}

static void reply(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->hand != IN_FLIGHT)
        return;
    if (attempt->is_executed) {
        answer(attempt, GOT_YES);
        emit(x, step_on(DO_ANSWER, PROGRESS, s, n, 0), &w);
    }
    w = *x->before; /* also while the provider is still at it */
    if (use_up(&w, LOSE_REPLY)) {
        answer(attempt, GOT_TIMEOUT);
        emit(x, step_on(DO_NO_ANSWER, FAULT, s, n, 0), &w);
    }
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

static void attempt_steps(const struct expansion *x, unsigned s, unsigned n)
{
    struct world w = *x->before;

    if (attempt_of(&w, s, n)->is_on_wire) {
        execute(x, s, n);
        refuse(x, s, n);
        vanish(x, s, n);
    }
    reply(x, s, n);
    call_back(x, s, n);
}

void provider_steps(const struct expansion *x)
{
    each_attempt(x, attempt_steps);
}
