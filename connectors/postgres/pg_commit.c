/* Committing as the owner of a slot: one statement, one round trip, without waiting for it.
 *
 * The statement takes effect when the server says that it is ready for the next one, not when it
 * answers. If the connection is lost in between the outcome is asked for: the slot is taken again
 * with the next epoch, which waits for what may still run and fences it if it has not begun; then
 * the newest row of the journal tells. Ours is the one with our number AND our epoch: a rival that
 * owned the slot meanwhile may have committed one of the same number. */
#include <assert.h>
#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/fault.h"
#include "connectors/postgres/pg_session.h"

static const struct pg_statement sql_commit = {
    "SELECT eventlog.commit_slot($1::int2, $2::int2, $3::int8, $4::int8, $5::bytea, $6::bytea[],"
    " $7::int2[], $8::int2[], $9::int4[], $10::int4[], $11::int2[], $12::int4[], $13::int4[])",
};

/* --- what the session's descriptor waits for -------------------------------------------- */

/* 0: never. */
static void set_timer(struct pg_session *session, int64_t in_us)
{
    struct itimerspec at = {
        .it_value = {.tv_sec = in_us / TH_US_PER_SEC, .tv_nsec = in_us % TH_US_PER_SEC * 1000},
    };
    timerfd_settime(session->timer_fd, 0, &at, NULL);
}

/* Watch the connection's socket; only while a commit is sent, so that the descriptor says nothing
 * when there is nothing to poll for. */
static void watch_socket(struct pg_session *session, bool wants_write)
{
    int socket = pg_socket(session->pg);
    struct epoll_event event = {.events = EPOLLIN | (wants_write ? EPOLLOUT : 0)};

    if (session->polled_socket == socket && session->polled_write == wants_write)
        return;
    int how = session->polled_socket == socket ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(session->poll_fd, how, socket, &event) != 0)
        set_timer(session, 1); /* then by trying */
    session->polled_socket = socket;
    session->polled_write = wants_write;
}

static void unwatch_socket(struct pg_session *session)
{
    if (session->polled_socket >= 0)
        epoll_ctl(session->poll_fd, EPOLL_CTL_DEL, session->polled_socket, NULL);
    session->polled_socket = -1;
}

/* --- starting --------------------------------------------------------------------------- */

static enum th_code reserve_bases(struct pg_session *session, struct th_err *err)
{
    if (session->pack.n <= session->bases_cap)
        return TH_OK;
    int64_t *bases = reallocarray(session->bases, session->pack.n, sizeof *bases);
    if (!bases)
        return th_fail(err, TH_NOMEM, "%zu batches", session->pack.n);
    session->bases = bases;
    session->bases_cap = session->pack.n;
    return TH_OK;
}

/* All that can fail for want of memory; nothing is sent yet. */
static enum th_code prepare(struct pg_session *session, const struct log_txn *txn,
                            struct th_err *err)
{
    struct pg_params *params = &session->params;
    int64_t at_us = th_clock_realtime_us(&th_clock_real);

    TH_TRY(pg_pack_make(&session->pack, session->base.log, txn->outputs, txn->outputs_n, txn->at_us,
                        at_us, err));
    TH_TRY(reserve_bases(session, err));
    th_buf_clear(&session->encoded);
    pg_cursors_encode(txn->cursors, txn->cursors_n, &session->encoded);
    if (th_buf_status(&session->encoded) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu cursors", txn->cursors_n);
    pg_cursors_fini(&session->next_cursors);
    TH_TRY(pg_cursors_decode(th_buf_str(&session->encoded), &session->next_cursors, err));

    pg_params_clear(params);
    pg_add_int2(params, (int16_t)session->base.app);
    pg_add_int2(params, (int16_t)session->base.slot);
    pg_add_int8(params, session->epoch);
    pg_add_int8(params, (int64_t)session->base.next_seq);
    pg_add_bytes(params, th_buf_str(&session->encoded));
    pg_pack_add(&session->pack, params, &session->scratch);
    return pg_params_finish(params, err);
}

/* As a network does it; for the fault points. */
static inline void lose_connection(const struct pg_session *session)
{
    shutdown(pg_socket(session->pg), SHUT_RDWR);
}

enum th_code pg_commit_start(struct th_log_session *base, const struct log_txn *txn,
                             struct th_err *err)
{
    struct pg_session *session = pg_session_of(base);
    const struct pg_log *log = pg_log_of(base->log);

    assert(session->state == PG_COMMIT_NONE);
    enum th_code code = prepare(session, txn, err);
    if (code != TH_OK) {
        pg_pack_clear(&session->pack);
        return code;
    }
    session->commit_epoch = session->epoch;
    if (TH_FAULT(commit_begun))
        lose_connection(session);
    if (pg_prepare(session->pg, &sql_commit, NULL) == TH_OK &&
        pg_send(session->pg, &sql_commit, &session->params, NULL) == TH_OK) {
        session->state = PG_COMMIT_SENT;
        set_timer(session, log->config.commit_timeout_ms * TH_US_PER_MS);
        watch_socket(session, PQflush(pg_conn(session->pg)) == 1);
        if (TH_FAULT(commit_sent))
            lose_connection(session);
    } else {
        session->state = PG_COMMIT_UNKNOWN;
        set_timer(session, 1);
    }
    return TH_OK;
}

/* --- outcomes --------------------------------------------------------------------------- */

static enum log_commit end_commit(struct pg_session *session, enum log_commit outcome)
{
    session->state = PG_COMMIT_NONE;
    unwatch_socket(session);
    set_timer(session, 0);
    pg_pack_clear(&session->pack);
    return outcome;
}

static enum log_commit fenced(struct pg_session *session, struct th_err *err)
{
    if (err->code != TH_FENCED)
        th_fail(err, TH_FENCED, "slot %d of app %d has another owner", session->base.slot,
                (int)session->base.app);
    return end_commit(session, LOG_FENCED);
}

static enum log_commit aborted(struct pg_session *session, struct th_err *err)
{
    if (err->code == TH_OK)
        th_fail(err, TH_ABORTED, "the connection was lost before the commit");
    return end_commit(session, LOG_ABORTED);
}

static enum log_commit committed(struct pg_session *session, struct log_place *out_places)
{
    size_t n = session->pack.spots_n;

    for (size_t i = 0; out_places && i < n; i++)
        out_places[i] = pg_pack_place(&session->pack, session->bases, i);
    pg_publish(pg_log_of(session->base.log), &session->pack, session->bases);
    pg_cursors_fini(&session->cursors);
    session->cursors = session->next_cursors;
    session->next_cursors = (struct pg_cursors){0};
    session->base.cursors = session->cursors.at;
    session->base.cursors_n = session->cursors.n;
    session->base.next_seq++;
    return end_commit(session, LOG_COMMITTED);
}

/* --- asking the log --------------------------------------------------------------------- */

/* The slot is ours again; what does its journal say? */
static enum log_commit judge(struct pg_session *session, const struct pg_journal *journal,
                             struct log_place *out_places, struct th_err *err)
{
    int64_t seq = (int64_t)session->base.next_seq;

    if (journal->exists && journal->seq == seq && journal->epoch == session->commit_epoch) {
        if (pg_bases_of(&session->pack, journal->bases, session->bases, err) != TH_OK)
            return fenced(session, err);
        atomic_fetch_add(&pg_log_of(session->base.log)->resolved, 1);
        return committed(session, out_places);
    }
    if (journal->exists ? journal->seq == seq - 1 : seq == 1)
        return aborted(session, err);
    return fenced(session, err);
}

static enum log_commit resolve(struct pg_session *session, struct log_place *out_places,
                               struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    struct pg_journal journal;
    struct th_err why = {0};

    unwatch_socket(session);
    enum th_code code = pg_session_regain(session, &journal, &why);
    if (code == TH_FENCED) {
        *err = why;
        return fenced(session, err);
    }
    if (code != TH_OK) { /* nobody knows yet: ask again */
        session->state = PG_COMMIT_UNKNOWN;
        set_timer(session, log->config.resolve_retry_ms * TH_US_PER_MS);
        return LOG_COMMIT_PENDING;
    }
    TH_AUTO(pg_result) PGresult *result = journal.result;
    (void)result;
    err->code = TH_OK;
    return judge(session, &journal, out_places, err);
}

/* --- polling ---------------------------------------------------------------------------- */

/* The server's own word, through a connection that is still there. */
static enum log_commit conclude(struct pg_session *session, enum th_code code,
                                const PGresult *result, struct log_place *out_places,
                                bool *out_is_answered, struct th_err *err)
{
    if (code == TH_OK) {
        struct pg_row row = pg_row(result, 0);
        if (pg_bases_of(&session->pack, pg_next(&row), session->bases, err) != TH_OK)
            return fenced(session, err);
        atomic_fetch_add(&pg_log_of(session->base.log)->commits, 1);
        *out_is_answered = true;
        return committed(session, out_places);
    }
    /* A number that is taken although the epoch is ours: the log is not what we believe it to be.
     */
    if (code == TH_FENCED || code == TH_CONFLICT)
        return fenced(session, err);
    return aborted(session, err);
}

static bool is_overdue(const struct pg_session *session)
{
    uint64_t times;
    return read(session->timer_fd, &times, sizeof times) == sizeof times;
}

enum log_commit pg_commit_poll(struct th_log_session *base, struct log_place *out_places,
                               bool *out_is_answered, struct th_err *err)
{
    struct pg_session *session = pg_session_of(base);
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct pg_progress progress;

    if (session->state == PG_COMMIT_UNKNOWN)
        return is_overdue(session) ? resolve(session, out_places, err) : LOG_COMMIT_PENDING;
    enum th_code code = pg_poll(session->pg, &progress, &result, err);
    if (progress.is_done) {
        if (!pg_is_alive(session->pg) || TH_FAULT(commit_answer))
            return resolve(session, out_places, err);
        return conclude(session, code, result, out_places, out_is_answered, err);
    }
    if (is_overdue(session))
        return resolve(session, out_places, err);
    watch_socket(session, progress.wants_write);
    return LOG_COMMIT_PENDING;
}
