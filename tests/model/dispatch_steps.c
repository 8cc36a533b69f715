/* What the owner of dispatch's slot does, and what any process does with the permits it has. */
#include "tests/model/commit.h"

static bool is_forbidden(const struct world *w, unsigned s)
{
    return sees_cancel(w, &w->dispatch) || sees_pause(w, &w->dispatch) || sees_stop(&w->dispatch) ||
           (s == 0 && w->dispatch.opt_out_seen);
}

static bool is_paused_here(const struct world *w)
{
    return w->control[w->dispatch.control_applied] == IS_PAUSED;
}

/* A plan that was decided on more than this process has read waits for the next poll. */
static bool is_behind(const struct expansion *x, const struct plan *plan)
{
    const struct reference *seen = &x->before->dispatch;

    return !mutated(x, JUDGE_BEHIND) &&
           (seen->control_seen < plan->control || seen->stop_seen < plan->stop);
}

/* The bitmap, and the cursor as far as it gets. */
static void settle_plan(struct world *w, unsigned index)
{
    unsigned done = 0;

    w->plans[index].is_settled = 1;
    while (done < w->plan_count && w->plans[done].is_settled)
        done++;
    for (unsigned i = 0; i < w->plan_count; i++)
        w->plans[i] = i + done < w->plan_count ? w->plans[i + done] : (struct plan){0};
    w->plan_count = (uint8_t)(w->plan_count - done);
}

/* dispatch forgets an attempt once it is accepted or closed: a settled plan that is read again is
 * new to it. */
static bool is_startable(const struct expansion *x, struct plan plan)
{
    struct world w = *x->before;
    const struct attempt *attempt = attempt_of(&w, plan.send, plan.n);

    if (plan.n + TRIES_KEPT <= w.sends[plan.send].n)
        return false;
    if (mutated(x, REREAD_SETTLED))
        return attempt->state != STARTED && attempt->state != RESULT_UNKNOWN;
    return attempt->state == NOT_STARTED;
}

static void start(const struct expansion *x, unsigned host, unsigned index)
{
    struct world w = *x->before;
    struct plan plan = w.plans[index];
    struct attempt *attempt = attempt_of(&w, plan.send, plan.n);

    if (is_forbidden(&w, plan.send) || !is_startable(x, plan))
        return;
    if (is_paused_here(&w) || w.campaign.status == PAUSED)
        w.flaw = STARTED_AFTER_PAUSE;
    *attempt = (struct attempt){.state = STARTED, .session = w.hosts[host].session};
    settle_plan(&w, index);
    commit(x,
           (struct deed){.action = DO_START,
                         .kind = PROGRESS,
                         .host = host,
                         .send = plan.send,
                         .n = plan.n,
                         .pending = PENDING_START},
           &w);
}

static void hand_back(const struct expansion *x, unsigned host, unsigned index, struct deed deed,
                      enum outcome_kind reason)
{
    struct world w = *x->before;
    struct plan plan = w.plans[index];

    if (deed.action == DO_HAND_BACK_LATE && !use_up(&w, LATE))
        return;
    if (deed.action == DO_HAND_BACK_CIRCUIT && !use_up(&w, CIRCUIT))
        return;
    attempt_of(&w, plan.send, plan.n)->state = CLOSED;
    push_outcome(&w, plan.send, plan.n, reason);
    settle_plan(&w, index);
    deed.host = host;
    deed.send = plan.send;
    deed.n = plan.n;
    commit(x, deed, &w);
}

static void hand_back_forbidden(const struct expansion *x, unsigned host, unsigned index)
{
    const struct world *w = x->before;
    struct deed deed = {.action = DO_HAND_BACK, .kind = PROGRESS};

    if (sees_cancel(w, &w->dispatch))
        hand_back(x, host, index, deed, RETURNED_CANCELLED);
    else if (w->plans[index].send == 0 && w->dispatch.opt_out_seen)
        hand_back(x, host, index, deed, RETURNED_OPTED_OUT);
    else if (w->control[w->dispatch.control_seen] == IS_PAUSED)
        hand_back(x, host, index, deed, RETURNED_PAUSED);
    else if (sees_stop(&w->dispatch))
        hand_back(x, host, index, deed, RETURNED_STOPPED);
}

/* Nobody waits for one that comes twice, or after a callback. */
static void read_release(const struct expansion *x, unsigned host, unsigned index)
{
    struct world w = *x->before;
    struct plan plan = w.plans[index];
    struct attempt *attempt = attempt_of(&w, plan.send, plan.n);

    if (attempt->state == RESULT_UNKNOWN && attempt->place == WANTED)
        attempt->place = GIVEN;
    settle_plan(&w, index);
    commit(x,
           (struct deed){.action = DO_READ_RELEASE,
                         .kind = PROGRESS,
                         .host = host,
                         .send = plan.send,
                         .n = plan.n},
           &w);
}

static void plan_steps(const struct expansion *x, unsigned host)
{
    for (unsigned i = 0; i < x->before->plan_count; i++) {
        if (x->before->plans[i].is_settled || is_behind(x, &x->before->plans[i]))
            continue;
        if (x->before->plans[i].is_release) {
            read_release(x, host, i);
            continue;
        }
        start(x, host, i);
        hand_back_forbidden(x, host, i);
        hand_back(x, host, i, (struct deed){.action = DO_HAND_BACK_LATE, .kind = FAULT},
                  RETURNED_LATE);
        if (!mutated(x, REPLAN_UNRETURNED))
            hand_back(x, host, i, (struct deed){.action = DO_HAND_BACK_CIRCUIT, .kind = FAULT},
                      RETURNED_CIRCUIT);
    }
}

/* A repeat under the key that the provider knows; its permit is not that of the start. */
static bool is_repeat(const struct expansion *x, const struct attempt *attempt)
{
    return x->scenario->reconciliation == BY_KEY && attempt->state == RESULT_UNKNOWN;
}

/* The last look before the request leaves. A frozen process looks at what it last knew, which said
 * yes; only its own clock stops it. A repeat needs no entry: its attempt is listed as unknown. */
static void look(const struct expansion *x, unsigned s, unsigned n, unsigned h)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool is_again = is_repeat(x, attempt);
    bool is_owner = w.hosts[h].life == OWNER;
    bool is_blind = mutated(x, is_again ? REPEAT_WITHOUT_LOOK : SKIP_LAST_LOOK);
    unsigned unwritten = (unsigned)(w.journals_silent | w.journals_lost);

    if (is_owner && is_forbidden(&w, s) && !is_blind) {
        attempt->hand[h] = NEVER_SENT;
    } else {
        if (is_owner && is_paused_here(&w))
            w.flaw = SENT_AFTER_PAUSE;
        attempt->hand[h] = AT_THE_DOOR;
        if (mutated(x, SEND_BEFORE_JOURNAL))
            attempt->on_wire++;
        else if (!is_again)
            attempt->is_journalled = !(unwritten >> attempt->session & 1U);
    }
    emit(x, step_on(DO_LOOK, PROGRESS, s, n, h), &w);
}

static void pass_window(const struct expansion *x, unsigned s, unsigned n, unsigned h)
{
    struct world w = *x->before;

    if (!use_up(&w, WINDOW))
        return;
    attempt_of(&w, s, n)->hand[h] = NEVER_SENT;
    emit(x, step_on(DO_WINDOW_PASSES, FAULT, s, n, h), &w);
}

/* The entry was not written: this request is refused, and the file removed before another leaves,
 * for silence about that one would be believed. */
static void fail_journal(const struct expansion *x, unsigned s, unsigned n, unsigned h)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    uint8_t bit = (uint8_t)(1U << attempt->session);

    if (is_repeat(x, attempt) || !use_up(&w, JOURNAL_FULL))
        return;
    attempt->hand[h] = NEVER_SENT;
    if (mutated(x, JOURNAL_GOES_SILENT))
        w.journals_silent |= bit;
    else
        w.journals_lost |= bit;
    emit(x, step_on(DO_JOURNAL_FAILS, FAULT, s, n, h), &w);
}

static void write_first_byte(const struct expansion *x, unsigned s, unsigned n, unsigned h)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    attempt->hand[h] = IN_FLIGHT;
    if (mutated(x, SEND_BEFORE_JOURNAL))
        attempt->is_journalled = 1;
    else
        attempt->on_wire++;
    emit(x, step_on(DO_FIRST_BYTE, PROGRESS, s, n, h), &w);
}

/* Whoever holds a permit in memory uses it, owner or not. */
static void send_steps(const struct expansion *x, unsigned s, unsigned n, unsigned h)
{
    struct world w = *x->before;
    const struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->hand[h] == PERMIT && w.hosts[h].life != LIMBO) {
        look(x, s, n, h);
        pass_window(x, s, n, h);
        fail_journal(x, s, n, h);
    } else if (attempt->hand[h] == AT_THE_DOOR) {
        write_first_byte(x, s, n, h);
    }
}

static bool is_open(const struct attempt *attempt)
{
    return attempt->state == STARTED || attempt->state == RESULT_UNKNOWN;
}

static void close_as(struct world *w, unsigned s, unsigned n, enum attempt_state state,
                     enum outcome_kind outcome)
{
    attempt_of(w, s, n)->state = (uint8_t)state;
    push_outcome(w, s, n, outcome);
}

/* A repeat that did not leave, or was not answered, tells nothing about the request before it. */
static bool tells_nothing(const struct expansion *x, const struct attempt *attempt, enum hand hand)
{
    return is_repeat(x, attempt) && (hand == NEVER_SENT || hand == GOT_TIMEOUT) &&
           !mutated(x, CLOSE_UNSENT_REPEAT);
}

static void commit_result(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    enum hand hand = (enum hand)attempt->hand[host];
    struct deed deed = {.action = DO_RESULT,
                        .kind = PROGRESS,
                        .host = host,
                        .send = s,
                        .n = n,
                        .pending = PENDING_RESULT,
                        .settles = true};

    if (tells_nothing(x, attempt, hand)) {
        attempt->hand[host] = NOTHING;
        emit(x, step_on(DO_PUT_AWAY, PROGRESS, s, n, host), &w);
        return;
    }
    switch (hand) {
    case NEVER_SENT:
        if (is_open(attempt))
            close_as(&w, s, n, CLOSED, OUTCOME_NOT_SENT);
        break;
    case GOT_YES:
        if (is_open(attempt) || attempt->state == NOT_RESOLVED)
            close_as(&w, s, n, RESULT_ACCEPTED, OUTCOME_ACCEPTED);
        break;
    case GOT_NO:
        if (is_open(attempt))
            close_as(&w, s, n, CLOSED, OUTCOME_REFUSED);
        break;
    case GOT_TIMEOUT: /* never takes back what a callback has settled */
        if (attempt->state == STARTED ||
            (attempt->state == RESULT_ACCEPTED && mutated(x, TIMEOUT_TAKES_BACK)))
            close_as(&w, s, n, RESULT_UNKNOWN, OUTCOME_UNKNOWN);
        break;
    case NOTHING:
    case PERMIT:
    case AT_THE_DOOR:
    case IN_FLIGHT:
        return;
    }
    commit(x, deed, &w);
}

/* "Started in that session, not in its journal" is the proof that nothing was sent. */
static bool is_proven_unsent(const struct expansion *x, unsigned host, struct attempt *attempt)
{
    const struct world *w = x->before;
    unsigned session = attempt->session;
    bool is_mine = !x->scenario->is_multi_host || (w->session_host >> session & 1U) == host;

    if (mutated(x, BELIEVE_STALE_JOURNAL) && session + 1U != w->hosts[host].session)
        return true;
    return is_mine && !(w->journals_lost >> session & 1U) && !attempt->is_journalled;
}

static bool is_listed_in_vain(const struct expansion *x, const struct attempt *attempt)
{
    const uint8_t *times = x->scenario->times;

    return !x->scenario->is_multi_host && !times[LOSE_JOURNALS] && !times[JOURNAL_FULL] &&
           !attempt->is_journalled;
}

/* What an earlier session started and this process knows nothing of. */
static void resolve(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool is_in_hand = attempt->hand[host] != NOTHING &&
                      !(attempt->hand[host] == PERMIT && mutated(x, PERMIT_SURVIVES));

    if (attempt->state != STARTED || attempt->session == w.hosts[host].session || is_in_hand)
        return;
    if (is_proven_unsent(x, host, attempt)) {
        close_as(&w, s, n, CLOSED, OUTCOME_NOT_SENT);
    } else {
        if (is_listed_in_vain(x, attempt))
            w.flaw = LISTED_IN_VAIN;
        close_as(&w, s, n, RESULT_UNKNOWN, OUTCOME_UNKNOWN);
    }
    commit(x,
           (struct deed){.action = DO_RESOLVE,
                         .kind = PROGRESS,
                         .host = host,
                         .send = s,
                         .n = n,
                         .settles = true},
           &w);
}

static void resend(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (!mutated(x, RESEND_STARTED) || attempt->state != STARTED || attempt->hand[host] != NOTHING)
        return;
    attempt->hand[host] = PERMIT;
    emit(x, step_on(DO_RESEND, PROGRESS, s, n, host), &w);
}

static void read_callback(const struct expansion *x, unsigned host, unsigned s, unsigned n,
                          bool is_repeated)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    bool is_failure = attempt->callback == FAILURE_QUEUED;
    bool is_proof = attempt->callback == PROOF_QUEUED;

    if ((attempt->callback != CALLBACK_QUEUED && !is_failure && !is_proof) ||
        (is_repeated && !use_up(&w, REPEAT_CALLBACK)))
        return;
    if (!is_repeated)
        attempt->callback = is_failure ? FAILURE_TOLD : NO_CALLBACK;
    if (is_failure || is_proof)
        close_as(&w, s, n, RESULT_ACCEPTED, is_proof ? OUTCOME_REACHED : OUTCOME_FAILED);
    else if (is_open(attempt) || attempt->state == NOT_RESOLVED)
        close_as(&w, s, n, RESULT_ACCEPTED, OUTCOME_ACCEPTED);
    commit(x,
           (struct deed){.action = is_repeated ? DO_READ_CALLBACK_AGAIN : DO_READ_CALLBACK,
                         .kind = is_repeated ? FAULT : PROGRESS,
                         .host = host,
                         .send = s,
                         .n = n},
           &w);
}

/* Quarantine and call time-out are long over: no process may still send, our own call has ended. */
static bool may_still_send(const struct attempt *attempt, unsigned host)
{
    return may_leave(attempt) || attempt->hand[host] != NOTHING;
}

/* Class I: it may be repeated, or must one day be given up. */
static bool must_not_repeat(const struct world *w, unsigned s, const struct attempt *attempt)
{
    return attempt->is_key_dead || sees_cancel(w, &w->dispatch) ||
           (s == 0 && w->dispatch.opt_out_seen);
}

static void end_window(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (x->scenario->reconciliation == BY_LOOKUP || attempt->state != RESULT_UNKNOWN ||
        (may_still_send(attempt, host) && !mutated(x, SHORT_QUARANTINE)) ||
        (is_repeat(x, attempt) && !must_not_repeat(&w, s, attempt)))
        return;
    close_as(&w, s, n, NOT_RESOLVED, OUTCOME_IN_DOUBT);
    commit(
        x,
        (struct deed){.action = DO_WINDOW_OVER, .kind = PROGRESS, .host = host, .send = s, .n = n},
        &w);
}

/* Class L. The provider's "not found" is worth something only once the request cannot arrive. */
static void look_up(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool may_arrive = may_still_send(attempt, host) || attempt->on_wire;

    if (x->scenario->reconciliation != BY_LOOKUP || attempt->state != RESULT_UNKNOWN ||
        (may_arrive && !mutated(x, SHORT_QUARANTINE)))
        return;
    if (attempt->is_executed)
        close_as(&w, s, n, RESULT_ACCEPTED, OUTCOME_ACCEPTED);
    else
        close_as(&w, s, n, CLOSED, OUTCOME_NOT_EXECUTED);
    commit(x,
           (struct deed){.action = DO_LOOK_UP, .kind = PROGRESS, .host = host, .send = s, .n = n},
           &w);
}

/* Class I. The time of what it had is over when the outcome is unknown. */
static void want_release(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool may_arrive = may_still_send(attempt, host) || attempt->on_wire;

    if (!x->scenario->is_paced || !is_repeat(x, attempt) || attempt->place != NO_PLACE ||
        may_arrive || attempt->is_key_dead || is_forbidden(&w, s))
        return;
    attempt->place = WANTED;
    push_outcome(&w, s, n, OUTCOME_WANTS_RELEASE);
    commit(
        x,
        (struct deed){.action = DO_WANT_RELEASE, .kind = PROGRESS, .host = host, .send = s, .n = n},
        &w);
}

static void miss_release(const struct expansion *x, unsigned s, unsigned n, unsigned host)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);

    if (attempt->place != GIVEN || !use_up(&w, LATE))
        return;
    attempt->place = mutated(x, WANT_RELEASE_ONCE) ? WANTED : NO_PLACE;
    emit(x, step_on(DO_RELEASE_PASSES, FAULT, s, n, host), &w);
}

/* Class I. The same request under the same key, when the one before can no longer arrive: what it
 * told would else be about one of two. It is a request like others, and the last look holds. */
static void repeat(const struct expansion *x, unsigned host, unsigned s, unsigned n)
{
    struct world w = *x->before;
    struct attempt *attempt = attempt_of(&w, s, n);
    bool may_arrive = may_still_send(attempt, host) || attempt->on_wire;

    if (!is_repeat(x, attempt) || attempt->hand[host] != NOTHING ||
        attempt->on_wire == COPIES_MAX || (may_arrive && !mutated(x, SHORT_QUARANTINE)) ||
        (attempt->is_key_dead && !mutated(x, FORGET_KEYS_AGE)) ||
        (is_forbidden(&w, s) && !mutated(x, REPEAT_WITHOUT_LOOK)))
        return;
    if (x->scenario->is_paced && attempt->place != GIVEN && !mutated(x, REPEAT_WITHOUT_RELEASE))
        return;
    if (x->scenario->is_paced)
        attempt->place = attempt->place == GIVEN ? TAKEN : STOLEN;
    attempt->hand[host] = PERMIT;
    emit(x, step_on(DO_REPEAT, PROGRESS, s, n, host), &w);
}

static void attempt_steps(const struct expansion *x, unsigned s, unsigned n)
{
    unsigned host = owner_of(x->before);

    for (unsigned h = 0; h < HOSTS; h++)
        send_steps(x, s, n, h);
    if (host == NOBODY)
        return;
    commit_result(x, host, s, n);
    resolve(x, host, s, n);
    resend(x, host, s, n);
    read_callback(x, host, s, n, false);
    read_callback(x, host, s, n, true);
    end_window(x, host, s, n);
    look_up(x, host, s, n);
    want_release(x, host, s, n);
    miss_release(x, s, n, host);
    repeat(x, host, s, n);
}

static void apply_control(const struct expansion *x, unsigned host)
{
    struct world w = *x->before;
    struct reference *known = &w.dispatch;
    bool was_paused = is_paused_here(&w);

    if (known->control_seen <= known->control_applied)
        return;
    known->control_applied = known->control_seen;
    if (is_paused_here(&w) && !(was_paused && mutated(x, ANSWER_CHANGES_ONLY)))
        push_progress(&w, (struct progress){.kind = PAUSE_APPLIED,
                                            .who = BY_DISPATCH,
                                            .version = known->control_applied});
    commit(x, (struct deed){.action = DO_DISPATCH_APPLIES, .kind = PROGRESS, .host = host}, &w);
}

void dispatch_steps(const struct expansion *x)
{
    unsigned host = owner_of(x->before);

    each_attempt(x, attempt_steps);
    if (host == NOBODY)
        return;
    plan_steps(x, host);
    reference_steps(x, offsetof(struct world, dispatch), DO_DISPATCH_SEES_CONTROL);
    apply_control(x, host);
}
