#include "tests/model/steps.h"

#include <string.h>

void each_attempt(const struct expansion *x,
                  void (*visit)(const struct expansion *x, unsigned s, unsigned n))
{
    for (unsigned s = 0; s < x->scenario->sends; s++) {
        unsigned last = x->before->sends[s].n;
        unsigned first = last > TRIES_KEPT ? last - TRIES_KEPT + 1 : 1;

        for (unsigned n = first; n <= last; n++)
            visit(x, s, n);
    }
}

bool use_up(struct world *w, enum event event)
{
    if (w->left[event] == 0)
        return false;
    w->left[event]--;
    return true;
}

bool holds_release(const struct scenario *scenario, unsigned standing)
{
    bool is_idle = standing == WAITING || standing == ASKED || standing == PARKED;

    return standing == RELEASED || standing == PLANNED ||
           (is_idle && scenario->mutation == KEEP_RELEASE_IN_BACKOFF);
}

static bool sees(const struct world *w, const struct reference *reference, enum control_state state)
{
    return w->control[reference->control_seen] == state ||
           w->control[reference->control_applied] == state;
}

bool sees_cancel(const struct world *w, const struct reference *reference)
{
    return sees(w, reference, IS_CANCELLED);
}

bool sees_pause(const struct world *w, const struct reference *reference)
{
    return sees(w, reference, IS_PAUSED);
}

static void see(const struct expansion *x, size_t offset, enum action action, bool control,
                bool stop, bool opt_out)
{
    struct world w = *x->before;
    struct reference *reference = (struct reference *)((char *)&w + offset);

    if (control)
        reference->control_seen = w.control_version;
    if (stop)
        reference->stop_seen = w.stop;
    if (opt_out)
        reference->opt_out_seen = w.is_opted_out;
    if (memcmp(&w, x->before, sizeof w) != 0)
        emit(x, step_of(action, PROGRESS), &w);
}

void reference_steps(const struct expansion *x, size_t offset_of_reference, enum action control)
{
    see(x, offset_of_reference, control, true, false, false);
    see(x, offset_of_reference, (enum action)(control + 1), false, true, false);
    see(x, offset_of_reference, (enum action)(control + 2), false, false, true);
}

/* --- queues ---------------------------------------------------------------------------------- */

void push_request(struct world *w, enum request_kind kind, unsigned s)
{
    if (w->request_count == REQUESTS_MAX)
        w->flaw = BOUND_EXCEEDED;
    else
        w->requests[w->request_count++] =
            (struct request){.kind = (uint8_t)kind, .send = (uint8_t)s};
}

/* A hand-back names the versions that it was decided on. */
void push_outcome(struct world *w, unsigned s, unsigned n, enum outcome_kind kind)
{
    struct outcome record = {.send = (uint8_t)s, .n = (uint8_t)n, .kind = (uint8_t)kind};

    if (w->outcome_count == OUTCOMES_MAX) {
        w->flaw = BOUND_EXCEEDED;
        return;
    }
    if (kind == RETURNED_PAUSED)
        record.control = w->dispatch.control_seen;
    if (kind == RETURNED_STOPPED)
        record.stop = w->dispatch.stop_seen;
    w->outcomes[w->outcome_count++] = record;
}

void push_progress(struct world *w, struct progress record)
{
    if (w->progress_count == PROGRESS_MAX)
        w->flaw = BOUND_EXCEEDED;
    else
        w->progress[w->progress_count++] = record;
}

static bool is_over(const struct attempt *attempt)
{
    return attempt->state != STARTED && attempt->state != RESULT_UNKNOWN &&
           attempt->hand[0] == NOTHING && attempt->hand[1] == NOTHING && !attempt->on_wire &&
           (attempt->callback == NO_CALLBACK || attempt->callback == FAILURE_TOLD ||
            attempt->callback == CALLBACK_LOST);
}

/* Retry plans attempt n, whose place an older attempt had. */
void push_plan(struct world *w, unsigned s)
{
    struct send *send = &w->sends[s];
    struct attempt *attempt = attempt_of(w, s, send->n);

    if (w->plan_count == PLANS_MAX || !is_over(attempt)) {
        w->flaw = BOUND_EXCEEDED;
        return;
    }
    *attempt = (struct attempt){.state = NOT_STARTED};
    w->plans[w->plan_count++] = (struct plan){.send = (uint8_t)s,
                                              .n = send->n,
                                              .lane = send->lane,
                                              .control = w->retry.control_seen,
                                              .stop = w->retry.stop_seen};
}

void push_repeat(struct world *w, unsigned s)
{
    if (w->plan_count == PLANS_MAX)
        w->flaw = BOUND_EXCEEDED;
    else
        w->plans[w->plan_count++] =
            (struct plan){.send = (uint8_t)s, .n = w->sends[s].n, .is_release = 1};
}

struct request pop_request(struct world *w)
{
    struct request first = w->requests[0];

    memmove(w->requests, w->requests + 1, sizeof w->requests - sizeof first);
    w->requests[--w->request_count] = (struct request){0};
    return first;
}

struct outcome pop_outcome(struct world *w)
{
    struct outcome first = w->outcomes[0];

    memmove(w->outcomes, w->outcomes + 1, sizeof w->outcomes - sizeof first);
    w->outcomes[--w->outcome_count] = (struct outcome){0};
    return first;
}

struct progress pop_progress(struct world *w)
{
    struct progress first = w->progress[0];

    memmove(w->progress, w->progress + 1, sizeof w->progress - sizeof first);
    w->progress[--w->progress_count] = (struct progress){0};
    return first;
}

/* --- normal form ----------------------------------------------------------------------------- */

/* What nobody will look at again is zero, so that worlds with one future are one state. */
static void normalise_attempt(struct attempt *attempt, bool is_latest, bool may_turn)
{
    if (attempt->callback == FAILURE_TOLD && !may_turn)
        attempt->callback = NO_CALLBACK;
    if (attempt->hand[0] != NOTHING || attempt->hand[1] != NOTHING)
        return;
    if (!attempt->on_wire && (attempt->state != RESULT_UNKNOWN || attempt->place >= TAKEN))
        attempt->place = NO_PLACE;
    if (attempt->state != RESULT_UNKNOWN)
        attempt->is_key_dead = 0;
    if (attempt->state != STARTED)
        attempt->session = attempt->is_journalled = 0;
    if (!is_latest && attempt->state == CLOSED && !attempt->is_executed && is_over(attempt))
        *attempt = (struct attempt){.state = NOT_STARTED};
}

/* It has lost the slot, whether it knows by now or not: it can commit nothing any more. */
static bool has_lost_slot(const struct expansion *x, const struct host *host)
{
    return host->life == ZOMBIE ||
           (host->life == LIMBO && host->rivals && !mutated(x, RESOLVE_BY_NUMBER));
}

/* Of what such a process has in hand only what may still leave matters. */
static void normalise_hand(const struct expansion *x, const struct world *w,
                           struct attempt *attempt)
{
    for (unsigned h = 0; h < HOSTS; h++) {
        if (has_lost_slot(x, &w->hosts[h]) && attempt->hand[h] != PERMIT &&
            attempt->hand[h] != AT_THE_DOOR)
            attempt->hand[h] = NOTHING;
    }
}

static uint8_t moved_bit(unsigned mask, unsigned from, unsigned to)
{
    return (uint8_t)((mask >> from & 1U) << to);
}

/* Sessions keep their order, and are numbered without holes. */
static void renumber_sessions(struct world *w)
{
    uint8_t number[SESSIONS_MAX + 1] = {0};
    uint8_t hosts = 0, lost = 0, silent = 0, count = 0;

    for (unsigned h = 0; h < HOSTS; h++)
        number[w->hosts[h].session] = 1;
    for (unsigned s = 0; s < SENDS_MAX; s++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++)
            number[w->sends[s].tries_kept[k].session] = 1;
    }
    number[0] = 0;
    for (unsigned i = 1; i <= SESSIONS_MAX; i++) {
        if (!number[i])
            continue;
        number[i] = ++count;
        hosts |= moved_bit(w->session_host, i, count);
        lost |= moved_bit(w->journals_lost, i, count);
        silent |= moved_bit(w->journals_silent, i, count);
    }
    for (unsigned h = 0; h < HOSTS; h++)
        w->hosts[h].session = number[w->hosts[h].session];
    for (unsigned s = 0; s < SENDS_MAX; s++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++)
            w->sends[s].tries_kept[k].session = number[w->sends[s].tries_kept[k].session];
    }
    w->session_count = count;
    w->session_host = hosts;
    w->journals_lost = lost;
    w->journals_silent = silent;
}

static void normalise(const struct expansion *x, struct world *w)
{
    bool is_owned = w->hosts[0].life == OWNER || w->hosts[1].life == OWNER;

    for (unsigned s = 0; s < SENDS_MAX; s++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++) {
            normalise_hand(x, w, &w->sends[s].tries_kept[k]);
            normalise_attempt(&w->sends[s].tries_kept[k], w->sends[s].n % TRIES_KEPT == k,
                              w->left[LATE_PROOF] > 0);
        }
    }
    if (!is_owned) { /* whoever opens next reads the reference topics to their ends */
        w->dispatch.control_seen = w->dispatch.control_applied;
        w->dispatch.stop_seen = w->dispatch.opt_out_seen = 0;
    }
}

void emit(const struct expansion *x, struct explore_step step, struct world *after)
{
    normalise(x, after);
    if (!mutated(x, BELIEVE_STALE_JOURNAL)) /* which asks for the number before its own */
        renumber_sessions(after);
    explore_emit(x->sink, step, after);
}

/* --- the model ------------------------------------------------------------------------------- */

static void first(const void *context, void *out_state)
{
    const struct scenario *scenario = context;
    struct world w = {0};

    memcpy(w.left, scenario->times, sizeof w.left);
    memcpy(out_state, &w, sizeof w);
}

static void next(const void *context, const void *state, struct explore_sink *sink)
{
    struct expansion x = {.scenario = context, .before = state, .sink = sink};

    campaign_steps(&x);
    retry_steps(&x);
    dispatch_steps(&x);
    session_steps(&x);
    provider_steps(&x);
}

/* --- what must hold in every state ----------------------------------------------------------- */

static const char *broken_attempt(const struct attempt *attempt)
{
    bool may_be_executed = attempt->is_executed || attempt->on_wire || may_leave(attempt);

    if (attempt->state == CLOSED && may_be_executed)
        return "an attempt counts as not executed that was, or still can be";
    return NULL;
}

static const char *broken_send(const struct send *send)
{
    if ((send->standing == ENDED || send->standing == SUPPRESSED) && send->calls)
        return "a recipient who was called is reported as not reached";
    if ((send->standing == ENDED || send->standing == SUPPRESSED || send->standing == IN_DOUBT) &&
        send->is_proven)
        return "a recipient who is known to have been reached is reported as something else";
    if (send->standing == ACCEPTED && !send->calls && !send->is_proven)
        return "a recipient who was not called is reported as accepted";
    for (unsigned k = 0; k < TRIES_KEPT; k++) {
        const char *broken = broken_attempt(&send->tries_kept[k]);

        if (broken)
            return broken;
    }
    return NULL;
}

/* Each release is accounted for once: what campaign counts, less what is still on its way to it, is
 * what stands in retry. */
static const char *broken_account(const struct scenario *scenario, const struct world *w)
{
    int open = w->campaign.open - w->request_count;
    int unknown = 0;
    int settled = 0;

    for (unsigned i = 0; i < w->progress_count; i++) {
        open += w->progress[i].released;
        unknown += w->progress[i].unknown;
        settled += w->progress[i].settled;
    }
    for (unsigned s = 0; s < scenario->sends; s++) {
        open -= holds_release(scenario, w->sends[s].standing);
        unknown -= w->sends[s].standing == UNKNOWN;
        settled -= is_settled(w->sends[s].standing);
    }
    unknown += w->campaign.unknown;
    settled += w->campaign.settled;
    if (open != 0)
        return "the look-ahead has leaked: a release is never accounted for, or twice";
    return unknown || settled ? "campaign's counts are not those of retry" : NULL;
}

static bool is_all_settled(const struct scenario *scenario, const struct world *w)
{
    unsigned awaited = w->campaign.status == CANCELLED ? w->campaign.next : scenario->sends;

    for (unsigned s = 0; s < awaited; s++) {
        if (!is_settled(w->sends[s].standing))
            return false;
    }
    return true;
}

static bool is_anything_afoot(const struct world *w)
{
    for (unsigned i = 0; i < w->plan_count; i++) {
        if (!w->plans[i].is_settled && !w->plans[i].is_release)
            return true;
    }
    for (unsigned s = 0; s < SENDS_MAX; s++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++) {
            unsigned state = w->sends[s].tries_kept[k].state;

            if (state == STARTED || state == RESULT_UNKNOWN)
                return true;
        }
    }
    return w->request_count > 0;
}

static bool is_final(const struct world *w)
{
    return w->campaign.status == COMPLETED || w->campaign.status == CANCELLED;
}

static const char *broken_flaw(const struct world *w)
{
    switch ((enum flaw)w->flaw) {
    case NO_FLAW:
        return NULL;
    case STARTED_AFTER_PAUSE:
        return "an attempt is started after the slot has answered the pause";
    case SENT_AFTER_PAUSE:
        return "a request leaves after the slot has answered the pause";
    case LISTED_IN_VAIN:
        return "an attempt that never left is listed as unknown, though the journal could tell";
    case PLANNED_AFTER_PROOF:
        return "an attempt is planned for somebody who is known to have been reached";
    case CALLED_OUT_OF_PLACE:
        return "a call takes the place of no release";
    case BOUND_EXCEEDED:
        return "more attempts, versions, sessions or unread records than the faults explain";
    }
    return "an unknown flaw";
}

static const char *broken(const void *context, const void *state)
{
    const struct scenario *scenario = context;
    const struct world *w = state;
    const char *says = NULL;

    for (unsigned s = 0; s < scenario->sends; s++) {
        if (w->sends[s].calls > 1 + w->sends[s].doubts)
            return scenario->is_at_least_once ? "a recipient is called again without a doubt"
                                              : "a recipient is called twice";
    }
    if (scenario->watches_calls_only)
        return NULL;
    says = broken_flaw(w);
    for (unsigned s = 0; !says && s < scenario->sends; s++)
        says = broken_send(&w->sends[s]);
    if (!says)
        says = broken_account(scenario, w);
    if (!says && is_final(w) && (!is_all_settled(scenario, w) || is_anything_afoot(w)))
        says = "a campaign has ended, and something of it is still open";
    return says;
}

/* --- what must stay within reach ------------------------------------------------------------- */

/* In doubt is the word only for what cannot be found out: in class C for what no callback told of;
 * in class I for what must not be repeated any more; in class L for nobody. */
static bool is_doubt_justified(const struct scenario *scenario, const struct world *w,
                               const struct send *send)
{
    const struct attempt *attempt = &send->tries_kept[send->n % TRIES_KEPT];

    switch (scenario->reconciliation) {
    case BY_CALLBACK:
        return send->doubts || attempt->callback == CALLBACK_LOST || !attempt->is_executed;
    case BY_LOOKUP:
        return false;
    case BY_NOTHING:
        return true;
    case BY_KEY:
        return w->left[KEY_DIES] < scenario->times[KEY_DIES] || w->is_opted_out ||
               w->control[w->control_version] == IS_CANCELLED;
    }
    return false;
}

static bool is_settled_world(const void *context, const void *state)
{
    const struct scenario *scenario = context;
    const struct world *w = state;

    for (unsigned s = 0; s < scenario->sends; s++) {
        const struct send *send = &w->sends[s];

        for (unsigned k = 0; k < TRIES_KEPT; k++) {
            if (!is_over(&send->tries_kept[k]))
                return false;
        }
        if (send->standing == IN_DOUBT && !is_doubt_justified(scenario, w, send))
            return false;
    }
    return is_final(w) && is_all_settled(scenario, w) && !is_anything_afoot(w) &&
           w->outcome_count == 0 && w->progress_count == 0;
}

static bool is_answered_world(const void *context, const void *state)
{
    const struct world *w = state;

    (void)context;
    return w->campaign.status != PAUSING && w->campaign.status != CANCELLING;
}

static const struct explore_goal goals[] = {
    {"somebody is skipped or something waits for ever: this can never end as it should",
     PROGRESS | RELIEF, is_settled_world},
    {"a pause or cancel is never answered", PROGRESS, is_answered_world},
};

/* --- the story ------------------------------------------------------------------------------- */

const char *const protocol_actions[] = {
#define ACTION_SAYS(name, says) says,
    ACTIONS(ACTION_SAYS)
#undef ACTION_SAYS
};
const size_t protocol_action_count = TH_LEN(protocol_actions);

static const char *const names[SENDS_MAX] = {"Asha", "Bina", "Chitra"};

static const char *const fates[] = {
    [ANSWERED] = "",
    [LOST_BUT_DONE] = "; the answer of the commit is lost, it took place",
    [LOST_AND_UNDONE] = "; the answer of the commit is lost, it was rolled back",
};

static void put_word(FILE *out, char word, struct explore_step step)
{
    if (word == 's')
        fputs(names[step.a], out);
    else if (word == 'n')
        fprintf(out, "%u", step.b);
    else
        fputc("XY"[step.c & 1U], out);
}

static void tell(const void *context, struct explore_step step, const void *after, char *out_text,
                 size_t size)
{
    FILE *out = fmemopen(out_text, size, "w");

    (void)context;
    (void)after;
    if (!out)
        return;
    for (const char *p = protocol_actions[step.action]; *p; p++) {
        if (*p == '{') {
            put_word(out, p[1], step);
            p += 2;
        } else {
            fputc(*p, out);
        }
    }
    fputs(fates[step.c >> 1], out);
    fclose(out);
}

struct explore_model protocol_model(const struct scenario *scenario)
{
    return (struct explore_model){
        .context = scenario,
        .state_size = sizeof(struct world),
        .first = first,
        .next = next,
        .broken = broken,
        .tell = tell,
        .goals = goals,
        .goal_count = TH_LEN(goals),
    };
}
