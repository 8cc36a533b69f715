/* Slots, sessions and commits of the memory log, and the fates that a test orders for them. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/eventlog/memory_internal.h"

/* A copy of a transaction that is held in flight, in one allocation. */
struct held_txn {
    struct log_txn is;
    char bytes[];
};

enum session_state {
    SESSION_IDLE,
    SESSION_HELD,    /* a commit is in flight until the test settles it */
    SESSION_SETTLED, /* its outcome waits to be polled */
};

struct memory_session {
    struct th_log_session base;     /* the owner's thread reads it, without the mutex */
    struct memory_cursors *cursors; /* what base.cursors points into; the owner's reference */
    struct memory_cursors *settled; /* the cursors of a commit that waits to be polled */

    /* Guarded by the log's mutex. */
    struct memory_session *next;
    uint64_t epoch;
    bool is_dead;   /* its process is gone */
    bool is_closed; /* only its held commit is left of it */
    enum session_state state;
    struct held_txn *held;
    enum memory_fate fate;
    enum th_code code; /* why not, when the settled commit did not happen */
    struct log_place *places;
    size_t places_n;
    size_t places_cap;
};

static struct memory_slot *slot_of(struct memory_log *log, const struct memory_session *session)
{
    return &log->slots[session->base.app][session->base.slot];
}

/* --- cursors --------------------------------------------------------------------------------- */

static struct memory_cursors *cursors_new(const struct log_cursor *from, size_t n)
{
    size_t notes_size = 0;

    for (size_t i = 0; i < n; i++)
        notes_size += from[i].note.n;
    struct memory_cursors *cursors = malloc(sizeof *cursors + n * sizeof *from + notes_size);
    if (!cursors)
        return NULL;
    *cursors = (struct memory_cursors){.refs = 1, .n = n};
    char *note = (char *)&cursors->at[n];
    for (size_t i = 0; i < n; i++) {
        cursors->at[i] = from[i];
        cursors->at[i].note.p = note;
        if (from[i].note.n)
            memcpy(note, from[i].note.p, from[i].note.n);
        note += from[i].note.n;
    }
    return cursors;
}

static struct memory_cursors *cursors_ref(struct memory_cursors *cursors)
{
    if (cursors)
        cursors->refs++;
    return cursors;
}

static void cursors_unref(struct memory_cursors *cursors)
{
    if (cursors && --cursors->refs == 0)
        free(cursors);
}

/* The session's owner sees these from now on. Takes the reference. */
static void show_cursors(struct memory_session *session, struct memory_cursors *cursors)
{
    cursors_unref(session->cursors);
    session->cursors = cursors;
    session->base.cursors = cursors ? cursors->at : NULL;
    session->base.cursors_n = cursors ? cursors->n : 0;
}

/* --- the held copy ---------------------------------------------------------------------- */

static struct th_str put_bytes(char **at, struct th_str s)
{
    struct th_str copy = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static size_t txn_bytes(const struct log_txn *txn)
{
    size_t size = txn->outputs_n * sizeof *txn->outputs + txn->cursors_n * sizeof *txn->cursors;

    if (txn->at_us)
        size += txn->outputs_n * sizeof *txn->at_us;

    for (size_t i = 0; i < txn->outputs_n; i++)
        size += log_output_size(&txn->outputs[i]);
    for (size_t i = 0; i < txn->cursors_n; i++)
        size += txn->cursors[i].note.n;
    return size;
}

static struct held_txn *held_new(const struct log_txn *txn)
{
    struct held_txn *held = malloc(sizeof *held + txn_bytes(txn));

    if (!held)
        return NULL;
    struct log_output *outputs = (struct log_output *)held->bytes;
    struct log_cursor *cursors = (struct log_cursor *)(outputs + txn->outputs_n);
    int64_t *times = (int64_t *)(cursors + txn->cursors_n);
    char *at = (char *)(times + (txn->at_us ? txn->outputs_n : 0));

    if (txn->at_us && txn->outputs_n)
        memcpy(times, txn->at_us, txn->outputs_n * sizeof *times);
    for (size_t i = 0; i < txn->outputs_n; i++) {
        outputs[i] = txn->outputs[i];
        outputs[i].key = put_bytes(&at, txn->outputs[i].key);
        outputs[i].value = put_bytes(&at, txn->outputs[i].value);
        outputs[i].headers = put_bytes(&at, txn->outputs[i].headers);
    }
    for (size_t i = 0; i < txn->cursors_n; i++) {
        cursors[i] = txn->cursors[i];
        cursors[i].note = put_bytes(&at, txn->cursors[i].note);
    }
    held->is = (struct log_txn){.outputs = outputs,
                                .outputs_n = txn->outputs_n,
                                .cursors = cursors,
                                .cursors_n = txn->cursors_n,
                                .at_us = txn->at_us ? times : NULL};
    return held;
}

/* --- settling --------------------------------------------------------------------------- */

static bool happens(enum memory_fate fate)
{
    return fate == MEMORY_COMMIT || fate == MEMORY_LOST_COMMITTED;
}

static bool is_lost(enum memory_fate fate)
{
    return fate == MEMORY_LOST_COMMITTED || fate == MEMORY_LOST_ABORTED;
}

/* Outputs and cursor, both or neither. */
static enum th_code apply(struct memory_log *log, struct memory_session *session,
                          const struct log_txn *txn)
{
    struct memory_slot *slot = slot_of(log, session);
    struct memory_cursors *cursors = cursors_new(txn->cursors, txn->cursors_n);
    if (!cursors)
        return TH_NOMEM;
    memory_store_begin(&log->store);
    enum th_code code = memory_store_stage(&log->store, txn->outputs, txn->outputs_n, txn->at_us,
                                           memory_now_us(log), session->places);
    if (code != TH_OK) {
        memory_store_drop(&log->store);
        cursors_unref(cursors);
        return code;
    }
    memory_wake(log, memory_store_publish(&log->store));
    cursors_unref(slot->cursors);
    slot->cursors = cursors;
    slot->next_seq++;
    session->settled = cursors_ref(cursors);
    return TH_OK;
}

static enum th_code attempt(struct memory_log *log, struct memory_session *session,
                            const struct log_txn *txn, enum memory_fate fate)
{
    if (slot_of(log, session)->epoch != session->epoch)
        return TH_FENCED;
    return happens(fate) ? apply(log, session, txn) : TH_ABORTED;
}

static void settle(struct memory_log *log, struct memory_session *session,
                   const struct log_txn *txn, enum memory_fate fate)
{
    session->fate = fate;
    session->code = attempt(log, session, txn, fate);
    session->state = SESSION_SETTLED;
    if (session->base.fd >= 0)
        eventfd_write(session->base.fd, 1);
}

static void session_free(struct memory_session *session)
{
    cursors_unref(session->cursors);
    cursors_unref(session->settled);
    if (session->base.fd >= 0)
        close(session->base.fd);
    free(session->held);
    free(session->places);
    free(session);
}

static void unlink_session(struct memory_log *log, struct memory_session *session)
{
    struct memory_session **at = &log->sessions;

    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
}

/* The end of a commit that was in flight. */
static void settle_held(struct memory_log *log, struct memory_session *session,
                        enum memory_fate fate)
{
    settle(log, session, &session->held->is, fate);
    free(session->held);
    session->held = NULL;
    if (session->is_closed) {
        unlink_session(log, session);
        session_free(session);
    }
}

static bool settle_all_held(struct memory_log *log, enum log_app app, int slot,
                            enum memory_fate fate)
{
    struct memory_session *next;
    bool is_any = false;

    for (struct memory_session *at = log->sessions; at; at = next) {
        next = at->next;
        if (at->base.app == app && at->base.slot == slot && at->state == SESSION_HELD) {
            settle_held(log, at, fate);
            is_any = true;
        }
    }
    return is_any;
}

/* --- opening ---------------------------------------------------------------------------- */

static enum th_code session_new(struct th_log *base, enum log_app app, int slot,
                                struct memory_session **out_session, struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    struct memory_session *session = calloc(1, sizeof *session);

    if (!session)
        return th_fail(err, TH_NOMEM, "session");
    session->base = (struct th_log_session){.log = base, .app = app, .slot = slot, .fd = -1};
    if (!log->options.is_quiet) {
        session->base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (session->base.fd < 0) {
            int failed = errno;
            free(session);
            return th_fail(err, TH_IO, "eventfd: %s", strerror(failed));
        }
    }
    *out_session = session;
    return TH_OK;
}

/* A new owner. What its predecessors have in flight must not land any more: there is nothing here
 * that could be waited for, so it comes too late. */
static void own(struct memory_log *log, struct memory_session *session)
{
    struct memory_slot *slot = slot_of(log, session);

    session->epoch = ++slot->epoch;
    settle_all_held(log, session->base.app, session->base.slot, MEMORY_COMMIT);
    session->base.nonce = memory_random(log);
    session->base.next_seq = slot->next_seq;
    show_cursors(session, cursors_ref(slot->cursors));
    session->next = log->sessions;
    log->sessions = session;
}

enum th_code memory_session_open(struct th_log *base, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    struct memory_session *session = NULL;

    TH_TRY(session_new(base, app, slot, &session, err));
    assert(session);
    memory_lock(log);
    bool is_down = log->down & MEMORY_DOWN_OPEN;
    if (!is_down)
        own(log, session);
    memory_unlock(log);
    if (is_down) {
        session_free(session);
        return th_fail(err, TH_UNAVAILABLE, "memory log: opening slots is down");
    }
    *out_session = &session->base;
    return TH_OK;
}

static enum th_code copy_cursors(const struct memory_cursors *from, struct th_arena *arena,
                                 struct log_cursor **out_cursors, size_t *out_n)
{
    size_t n = from ? from->n : 0;
    struct log_cursor *cursors = th_arena_array(arena, n + 1, sizeof *cursors);

    if (!cursors)
        return TH_NOMEM;
    for (size_t i = 0; i < n; i++) {
        cursors[i].next = from->at[i].next;
        TH_TRY(th_arena_copy(arena, from->at[i].note, &cursors[i].note));
    }
    *out_cursors = cursors;
    *out_n = n;
    return TH_OK;
}

enum th_code memory_slot_cursors(struct th_log *base, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    enum th_code code = log->down & MEMORY_DOWN_READ ? TH_UNAVAILABLE
                                                     : copy_cursors(log->slots[app][slot].cursors,
                                                                    arena, out_cursors, out_n);
    memory_unlock(log);
    return code == TH_OK ? TH_OK : th_fail(err, code, "memory log: a slot's cursors");
}

void memory_session_close(struct th_log_session *base, bool release)
{
    struct memory_session *session = (struct memory_session *)base;
    struct memory_log *log = memory_of(base->log);

    (void)release; /* nobody has to be killed for a slot in the same process */
    memory_lock(log);
    session->is_closed = session->state == SESSION_HELD;
    if (!session->is_closed) {
        unlink_session(log, session);
        session_free(session);
    }
    memory_unlock(log);
}

/* --- committing ------------------------------------------------------------------------- */

static enum memory_fate choose_fate(struct memory_log *log, const struct memory_session *session)
{
    enum log_app app = session->base.app;
    int slot = session->base.slot;
    uint64_t nth = slot_of(log, session)->started++;

    for (size_t i = 0; i < log->plans_n; i++) {
        struct memory_plan plan = log->plans[i];
        if (plan.app == app && plan.slot == slot && plan.at == nth) {
            log->plans[i] = log->plans[--log->plans_n];
            return plan.fate;
        }
    }
    return log->options.fate
               ? log->options.fate(log->options.fate_arg, app, slot, session->base.next_seq)
               : MEMORY_COMMIT;
}

static enum th_code reserve_places(struct memory_session *session, size_t n)
{
    if (n <= session->places_cap)
        return TH_OK;
    struct log_place *places = reallocarray(session->places, n, sizeof *places);
    if (!places)
        return TH_NOMEM;
    session->places = places;
    session->places_cap = n;
    return TH_OK;
}

static enum th_code start_locked(struct memory_log *log, struct memory_session *session,
                                 const struct log_txn *txn)
{
    if (session->is_dead) { /* poll will say so */
        session->state = SESSION_SETTLED;
        return TH_OK;
    }
    TH_TRY(reserve_places(session, txn->outputs_n));
    session->places_n = txn->outputs_n;
    enum memory_fate fate = choose_fate(log, session);
    if (fate != MEMORY_HOLD) {
        settle(log, session, txn, fate);
        return TH_OK;
    }
    session->held = held_new(txn);
    if (!session->held)
        return TH_NOMEM;
    session->state = SESSION_HELD;
    return TH_OK;
}

enum th_code memory_commit_start(struct th_log_session *base, const struct log_txn *txn,
                                 struct th_err *err)
{
    struct memory_session *session = (struct memory_session *)base;
    struct memory_log *log = memory_of(base->log);

    memory_lock(log);
    enum th_code code = start_locked(log, session, txn);
    memory_unlock(log);
    return code == TH_OK ? TH_OK : th_fail(err, code, "memory log: commit");
}

/* The log was asked, by opening the slot once more: whoever became its owner meanwhile leaves no
 * way to tell, nor any need to. */
static enum log_commit resolve(struct memory_session *session, struct memory_slot *slot)
{
    if (slot->epoch != session->epoch)
        return LOG_FENCED;
    session->epoch = ++slot->epoch;
    return session->code == TH_OK ? LOG_COMMITTED : LOG_ABORTED;
}

static enum log_commit outcome_of(struct memory_session *session, struct memory_slot *slot)
{
    if (session->is_dead || session->code == TH_FENCED)
        return LOG_FENCED;
    if (is_lost(session->fate))
        return resolve(session, slot);
    return session->code == TH_OK ? LOG_COMMITTED : LOG_ABORTED;
}

static void report(struct memory_session *session, enum log_commit outcome,
                   struct log_place *out_places, bool *out_is_answered, struct th_err *err)
{
    if (outcome == LOG_COMMITTED) {
        *out_is_answered = !is_lost(session->fate);
        if (out_places && session->places_n)
            memcpy(out_places, session->places, session->places_n * sizeof *out_places);
    } else if (outcome == LOG_FENCED) {
        th_fail(err, TH_FENCED, "memory log: app %d slot %d has another owner", session->base.app,
                session->base.slot);
    } else {
        th_fail(err, session->code, "memory log: transaction %" PRIu64 " rolled back",
                session->base.next_seq);
    }
}

static enum log_commit poll_locked(struct memory_log *log, struct memory_session *session,
                                   struct log_place *out_places, bool *out_is_answered,
                                   struct th_err *err)
{
    struct memory_slot *slot = slot_of(log, session);
    eventfd_t count;

    if (session->state == SESSION_HELD && !session->is_dead)
        return LOG_COMMIT_PENDING;
    enum log_commit outcome = outcome_of(session, slot);
    report(session, outcome, out_places, out_is_answered, err);
    if (outcome == LOG_COMMITTED) {
        session->base.next_seq++;
        show_cursors(session, TH_TAKE(session->settled));
    }
    if (session->state == SESSION_SETTLED)
        session->state = SESSION_IDLE;
    if (session->base.fd >= 0)
        (void)eventfd_read(session->base.fd, &count);
    return outcome;
}

enum log_commit memory_commit_poll(struct th_log_session *base, struct log_place *out_places,
                                   bool *out_is_answered, struct th_err *err)
{
    struct memory_session *session = (struct memory_session *)base;
    struct memory_log *log = memory_of(base->log);

    memory_lock(log);
    enum log_commit outcome = poll_locked(log, session, out_places, out_is_answered, err);
    memory_unlock(log);
    return outcome;
}

void memory_slots_fini(struct memory_log *log)
{
    while (log->sessions) {
        struct memory_session *session = log->sessions;
        assert(session->is_closed);
        unlink_session(log, session);
        session_free(session);
    }
    for (size_t app = 0; app < MEMORY_APPS; app++)
        for (size_t slot = 0; slot < LOG_SLOTS_MAX; slot++)
            cursors_unref(log->slots[app][slot].cursors);
}

/* --- test controls ---------------------------------------------------------------------- */

void memory_log_plan(struct th_log *log, enum log_app app, int slot, uint64_t nth,
                     enum memory_fate fate)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    assert(memory->plans_n < MEMORY_PLANS_MAX);
    memory->plans[memory->plans_n++] =
        (struct memory_plan){app, slot, memory->slots[app][slot].started + nth, fate};
    memory_unlock(memory);
}

bool memory_log_settle(struct th_log *log, enum log_app app, int slot, enum memory_fate fate)
{
    struct memory_log *memory = memory_of(log);

    assert(fate != MEMORY_HOLD);
    memory_lock(memory);
    bool is_any = settle_all_held(memory, app, slot, fate);
    memory_unlock(memory);
    return is_any;
}

void memory_log_fence(struct th_log *log, enum log_app app, int slot)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    memory->slots[app][slot].epoch++;
    memory_unlock(memory);
}

int64_t memory_log_cursor(struct th_log *log, enum log_app app, int slot, enum topic topic,
                          int part)
{
    struct memory_log *memory = memory_of(log);
    int64_t next = -1;

    memory_lock(memory);
    const struct memory_cursors *cursors = memory->slots[app][slot].cursors;
    for (size_t i = 0; cursors && i < cursors->n; i++)
        if (cursors->at[i].next.topic == topic && cursors->at[i].next.part == part)
            next = cursors->at[i].next.offset;
    memory_unlock(memory);
    return next;
}

void memory_log_crash(struct th_log *log)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    for (struct memory_session *at = memory->sessions; at; at = at->next)
        at->is_dead = true;
    memory_unlock(memory);
}
