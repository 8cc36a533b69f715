/* Who owns dispatch's slot: sessions, commits whose answer is lost, take-overs, kills. */
#include "tests/model/commit.h"

unsigned owner_of(const struct world *w)
{
    for (unsigned h = 0; h < HOSTS; h++) {
        if (w->hosts[h].life == OWNER)
            return h;
    }
    return NOBODY;
}

static unsigned other_than(unsigned host)
{
    return 1 - host;
}

static void each_hand(struct world *w, unsigned host, void (*change)(uint8_t *hand))
{
    for (unsigned s = 0; s < SENDS_MAX; s++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++) {
            uint8_t *hand = &w->sends[s].tries_kept[k].hand[host];

            if (*hand != NOTHING)
                change(hand);
        }
    }
}

static void drop_hand(uint8_t *hand)
{
    *hand = NOTHING;
}

static void give_permit_up(uint8_t *hand)
{
    if (*hand == PERMIT)
        *hand = NEVER_SENT;
}

/* The process is gone, or has dropped all it knew. Requests on the wire stay there. */
static void forget_all(struct world *w, unsigned host)
{
    each_hand(w, host, drop_hand);
    w->hosts[host] = (struct host){.life = DOWN};
}

static void count_rival(struct world *w, unsigned host)
{
    struct host *rival = &w->hosts[other_than(host)];

    if (rival->life == LIMBO && rival->rivals < 2)
        rival->rivals++;
}

void remember(struct world *w, unsigned host, enum pending pending, unsigned s, unsigned n,
              bool is_answered)
{
    struct attempt *attempt = attempt_of(w, s, n);

    switch (pending) {
    case PENDING_NOTHING:
        break;
    case PENDING_START:
        attempt->hand[host] = is_answered ? PERMIT : NEVER_SENT;
        break;
    case PENDING_RESULT:
        attempt->hand[host] = NOTHING;
        break;
    }
}

/* The connection is lost in a commit. Permits die first: before anything else is found out. */
static void enter_limbo(const struct expansion *x, struct world *w, struct deed deed,
                        bool is_committed)
{
    struct host *host = &w->hosts[deed.host];

    *host = (struct host){
        .life = LIMBO,
        .session = host->session,
        .is_committed = is_committed,
    };
    if (deed.pending != PENDING_NOTHING) {
        host->pending = (uint8_t)deed.pending;
        host->pending_send = (uint8_t)deed.send;
        host->pending_n = (uint8_t)deed.n;
    }
    if (!mutated(x, PERMIT_SURVIVES))
        each_hand(w, deed.host, give_permit_up);
}

static bool is_last_of_session(struct world *w, unsigned s, unsigned n)
{
    unsigned session = attempt_of(w, s, n)->session;

    for (unsigned t = 0; t < SENDS_MAX; t++) {
        for (unsigned k = 0; k < TRIES_KEPT; k++) {
            const struct attempt *attempt = &w->sends[t].tries_kept[k];

            if (attempt != attempt_of(w, s, n) && attempt->session == session &&
                attempt->state == STARTED)
                return false;
        }
    }
    return true;
}

/* The two mutations that do not wait for the answer before they clear the journal away. */
static void clear_journal_early(const struct expansion *x, struct world *w, struct deed deed)
{
    struct attempt *attempt = attempt_of(w, deed.send, deed.n);

    if (!deed.settles || attempt->session == w->hosts[deed.host].session ||
        !is_last_of_session(w, deed.send, deed.n))
        return;
    if (mutated(x, DELETE_JOURNAL_EARLY))
        w->journals_lost |= (uint8_t)(1U << attempt->session);
    if (mutated(x, EMPTY_JOURNAL_EARLY))
        attempt->is_journalled = 0;
}

static void commit_without_answer(const struct expansion *x, struct deed deed,
                                  const struct world *outcome, enum fate fate)
{
    struct world w = *outcome;

    if (!use_up(&w, LOSE_ANSWER))
        return;
    clear_journal_early(x, &w, deed);
    enter_limbo(x, &w, deed, fate == LOST_BUT_DONE);
    if (fate == LOST_BUT_DONE)
        count_rival(&w, deed.host);
    emit(x, step_on(deed.action, FAULT, deed.send, deed.n, deed.host | (unsigned)fate << 1), &w);
}

void commit(const struct expansion *x, struct deed deed, const struct world *after)
{
    struct world w = *after;

    count_rival(&w, deed.host);
    remember(&w, deed.host, deed.pending, deed.send, deed.n, true);
    emit(x, step_on(deed.action, deed.kind, deed.send, deed.n, deed.host), &w);

    commit_without_answer(x, deed, after, LOST_BUT_DONE);
    commit_without_answer(x, deed, x->before, LOST_AND_UNDONE);
}

/* A slot opens only after the reference topics were read to their ends. */
static void begin_session(const struct expansion *x, struct world *w, unsigned h)
{
    unsigned session = w->session_count + 1U;

    if (session > SESSIONS_MAX) {
        w->flaw = BOUND_EXCEEDED;
        return;
    }
    w->session_count = (uint8_t)session;
    w->session_host = (uint8_t)(w->session_host | h << session);
    w->hosts[h] = (struct host){.life = OWNER, .session = (uint8_t)session};
    if (mutated(x, FORGET_PAUSE)) {
        w->dispatch = (struct reference){0};
        return;
    }
    w->dispatch.control_seen = w->control_version;
    w->dispatch.stop_seen = w->stop;
    w->dispatch.opt_out_seen = w->is_opted_out;
}

/* Waiting plans are unread input: read again from the cursor on, but for those in the bitmap. */
static void read_plans_again(const struct expansion *x, struct world *w)
{
    unsigned last_settled = 0;

    for (unsigned i = 0; i < w->plan_count; i++) {
        if (w->plans[i].is_settled)
            last_settled = i;
        if (mutated(x, REREAD_SETTLED))
            w->plans[i].is_settled = 0;
    }
    for (unsigned i = 0; mutated(x, FORGET_WAITING) && i < last_settled; i++)
        w->plans[i].is_settled = 1;
}

static void open_slot(const struct expansion *x, unsigned h)
{
    struct world w = *x->before;
    unsigned other = other_than(h);

    if (w.hosts[h].life != DOWN || owner_of(&w) != NOBODY)
        return;
    if (!x->scenario->is_multi_host) {
        if (h == 1 && w.hosts[other].life == DOWN)
            return;            /* the same as process 0 */
        forget_all(&w, other); /* on one host the rival is killed first */
    }
    begin_session(x, &w, h);
    read_plans_again(x, &w);
    emit(x, step_on(DO_OPEN, PROGRESS, 0, 0, h), &w);
}

enum verdict { IS_COMMITTED, IS_ABORTED, IS_FENCED };

/* The newest row of the slot's journal against what this process sent. */
static enum verdict resolve_commit(const struct expansion *x, const struct host *host)
{
    unsigned rows = host->is_committed + host->rivals; /* beyond our txn_seq - 1 */

    if (rows == 0)
        return IS_ABORTED;
    if (rows == 1 && (host->rivals == 0 || mutated(x, RESOLVE_BY_NUMBER)))
        return IS_COMMITTED;
    return IS_FENCED;
}

static void reopen(const struct expansion *x, unsigned h)
{
    struct world w = *x->before;
    struct host was = w.hosts[h];
    enum verdict verdict = resolve_commit(x, &was);

    if (was.life != LIMBO || owner_of(&w) != NOBODY)
        return;
    if (verdict == IS_FENCED) {
        forget_all(&w, h);
    } else {
        begin_session(x, &w, h);
        if (verdict == IS_COMMITTED)
            remember(&w, h, was.pending, was.pending_send, was.pending_n, false);
    }
    emit(x, step_on(DO_REOPEN, PROGRESS, 0, 0, h), &w);
}

static void be_fenced(const struct expansion *x, unsigned h)
{
    struct world w = *x->before;
    bool is_loser = w.hosts[h].life == LIMBO && owner_of(&w) == other_than(h);

    if (w.hosts[h].life != ZOMBIE && !is_loser)
        return;
    forget_all(&w, h);
    emit(x, step_on(DO_FENCED, PROGRESS, 0, 0, h), &w);
}

static void freeze(const struct expansion *x, unsigned h)
{
    struct world w = *x->before;
    unsigned other = other_than(h);

    if (!x->scenario->is_multi_host || w.hosts[h].life != OWNER || w.hosts[other].life != DOWN ||
        !use_up(&w, FREEZE))
        return;
    w.hosts[h].life = ZOMBIE;
    begin_session(x, &w, other);
    read_plans_again(x, &w);
    emit(x, step_on(DO_FROZEN, FAULT, 0, 0, h), &w);
}

static void crash(const struct expansion *x, unsigned h)
{
    struct world w = *x->before;

    if (w.hosts[h].life == DOWN || !use_up(&w, CRASH))
        return;
    forget_all(&w, h);
    emit(x, step_on(DO_KILLED, FAULT, 0, 0, h), &w);
}

static void lose_power(const struct expansion *x)
{
    struct world w = *x->before;

    if (!use_up(&w, LOSE_JOURNALS))
        return;
    for (unsigned h = 0; h < HOSTS; h++)
        forget_all(&w, h);
    w.journals_lost = (uint8_t)((2U << w.session_count) - 1);
    emit(x, step_of(DO_POWER_LOST, FAULT), &w);
}

void session_steps(const struct expansion *x)
{
    for (unsigned h = 0; h < HOSTS; h++) {
        open_slot(x, h);
        reopen(x, h);
        be_fenced(x, h);
        freeze(x, h);
        crash(x, h);
    }
    lose_power(x);
}
