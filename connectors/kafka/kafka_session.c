#include "connectors/kafka/kafka_session.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

static struct kafka_log *log_of(const struct kafka_session *session)
{
    return kafka_of(session->base.log);
}

/* --- the transaction that is held ---------------------------------------------------------------
 */

static void drop_txn(struct kafka_session *session)
{
    free(TH_TAKE(session->held));
    free(TH_TAKE(session->records));
    kafka_cursors_fini(&session->next_cursors);
    th_buf_clear(&session->journal);
    session->outputs = NULL;
    session->outputs_n = 0;
}

static struct th_str put_bytes(char **at, struct th_str s)
{
    struct th_str copy = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static enum th_code hold_outputs(struct kafka_session *session, const struct log_txn *txn)
{
    size_t size = txn->outputs_n * sizeof *txn->outputs + 1;

    for (size_t i = 0; i < txn->outputs_n; i++)
        size += log_output_size(&txn->outputs[i]);
    session->held = malloc(size);
    session->records = calloc(txn->outputs_n + 1, sizeof *session->records);
    if (!session->held || !session->records)
        return TH_NOMEM;
    session->outputs = (struct log_output *)(void *)session->held;
    session->outputs_n = txn->outputs_n;
    char *at = (char *)(session->outputs + txn->outputs_n);
    for (size_t i = 0; i < txn->outputs_n; i++) {
        session->outputs[i] = txn->outputs[i];
        session->outputs[i].key = put_bytes(&at, txn->outputs[i].key);
        session->outputs[i].value = put_bytes(&at, txn->outputs[i].value);
        session->outputs[i].headers = put_bytes(&at, txn->outputs[i].headers);
    }
    return TH_OK;
}

/* The journal's record comes last: its offset is the anchor's. */
static enum th_code hold(struct kafka_session *session, const struct log_txn *txn,
                         struct th_err *err)
{
    const struct kafka_log *log = log_of(session);

    if (hold_outputs(session, txn) != TH_OK)
        return th_fail(err, TH_NOMEM, "a transaction of %zu records", txn->outputs_n);
    TH_TRY(kafka_cursors_copy(txn->cursors, txn->cursors_n, &session->next_cursors, err));
    kafka_cursors_encode(session->base.next_seq, txn->cursors, txn->cursors_n, &session->journal);
    if (th_buf_status(&session->journal) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu cursors", txn->cursors_n);
    kafka_records_of(log, session->outputs, session->outputs_n, session->records);
    for (size_t i = 0; txn->at_us && i < txn->outputs_n; i++)
        session->records[i].at_us = txn->at_us[i];
    session->records[session->outputs_n] = (struct kafka_record){
        .topic = log->inner[KAFKA_JOURNAL],
        .part = session->seat.part,
        .key = th_str(session->seat.key),
        .value = th_buf_str(&session->journal),
    };
    return TH_OK;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

enum errand {
    ERRAND_COMMIT,
    ERRAND_REFRESH, /* the slot rests */
    ERRAND_NONE,    /* the session closes */
};

static struct timespec in_ms(int64_t ms)
{
    int64_t at_us = th_clock_monotonic_us(&th_clock_real) + ms * TH_US_PER_MS;

    return (struct timespec){.tv_sec = at_us / TH_US_PER_SEC,
                             .tv_nsec = at_us % TH_US_PER_SEC * 1000};
}

static enum errand await_errand(struct kafka_session *session)
{
    struct timespec until = in_ms(log_of(session)->config.rest_ms);
    enum errand errand = ERRAND_COMMIT;

    pthread_mutex_lock(&session->lock);
    while (session->work != KAFKA_STARTED && !session->is_closing) {
        int failed = pthread_cond_timedwait(&session->wakes, &session->lock, &until);
        if (failed == ETIMEDOUT && session->work == KAFKA_IDLE) {
            errand = ERRAND_REFRESH;
            break;
        }
        if (failed == ETIMEDOUT) /* the owner has not heard yet of the last commit */
            until = in_ms(log_of(session)->config.rest_ms);
    }
    if (errand == ERRAND_COMMIT && session->work != KAFKA_STARTED)
        errand = ERRAND_NONE;
    pthread_mutex_unlock(&session->lock);
    return errand;
}

static void set_work(struct kafka_session *session, enum kafka_work work)
{
    pthread_mutex_lock(&session->lock);
    session->work = work;
    pthread_cond_broadcast(&session->wakes);
    pthread_mutex_unlock(&session->lock);
}

static void *run(void *arg)
{
    struct kafka_session *session = arg;
    enum errand errand;

    while ((errand = await_errand(session)) != ERRAND_NONE) {
        if (errand == ERRAND_REFRESH) {
            kafka_commit_refresh(session);
            continue;
        }
        kafka_commit_run(session);
        set_work(session, KAFKA_ENDED);
        (void)eventfd_write(session->base.fd, 1);
    }
    return NULL;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static void stop_thread(struct kafka_session *session)
{
    pthread_mutex_lock(&session->lock);
    session->is_closing = true;
    pthread_cond_broadcast(&session->wakes);
    pthread_mutex_unlock(&session->lock);
    pthread_join(session->thread, NULL);
}

static void session_free(struct kafka_session *session)
{
    if (!session)
        return;
    if (session->has_thread)
        stop_thread(session);
    drop_txn(session);
    kafka_producer_close(session->producer);
    kafka_cursors_fini(&session->cursors);
    th_buf_fini(&session->journal);
    if (session->base.fd >= 0)
        close(session->base.fd);
    pthread_mutex_destroy(&session->lock);
    pthread_cond_destroy(&session->wakes);
    free(session);
}

TH_AUTO_DEFINE(session_free, struct kafka_session *, session_free)

static void init_wakes(pthread_cond_t *wakes)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(wakes, &attr);
    pthread_condattr_destroy(&attr);
}

static enum th_code session_new(struct th_log *log, enum log_app app, int slot,
                                struct kafka_session **out_session, struct th_err *err)
{
    TH_AUTO(session_free) struct kafka_session *session = calloc(1, sizeof *session);

    if (!session)
        return th_fail(err, TH_NOMEM, "a session");
    session->base = (struct th_log_session){.log = log, .app = app, .slot = slot};
    pthread_mutex_init(&session->lock, NULL);
    init_wakes(&session->wakes);
    session->base.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (session->base.fd < 0)
        return th_fail(err, TH_IO, "eventfd: %s", strerror(errno));
    if (getrandom(&session->base.nonce, sizeof session->base.nonce, 0) !=
        (ssize_t)sizeof session->base.nonce)
        return th_fail(err, TH_UNAVAILABLE, "no randomness: %s", strerror(errno));
    kafka_seat_of(kafka_of(log), app, slot, &session->seat);
    *out_session = TH_TAKE(session);
    return TH_OK;
}

enum kafka_step kafka_session_announce(struct kafka_session *session,
                                       const struct kafka_anchor *anchor, struct th_err *err)
{
    struct kafka_log *log = log_of(session);
    struct kafka_producer *producer = session->producer;

    enum kafka_step step =
        kafka_producer_write(producer, NULL, 0, log->config.commit_timeout_ms, err);
    if (step == KAFKA_GOES_ON)
        step = kafka_anchor_send(log, &session->seat, producer, anchor, &session->cursors, err);
    return step == KAFKA_GOES_ON ? kafka_producer_commit(producer, err) : step;
}

/* When the producer is open its predecessors can commit nothing more. */
static enum th_code own(struct kafka_session *session, int timeout_ms, struct th_err *err)
{
    struct kafka_log *log = log_of(session);
    struct kafka_anchor anchor = {0};

    kafka_producer_close(TH_TAKE(session->producer));
    kafka_cursors_fini(&session->cursors);
    TH_TRY(kafka_producer_open(&log->config, session->seat.group, timeout_ms, &session->producer,
                               err));
    TH_TRY(kafka_anchor_read(log, &session->seat, true, &anchor, err));
    if (!anchor.exists)
        TH_TRY(kafka_anchor_recover(log, &session->seat, timeout_ms, &anchor, err));
    TH_TRY(kafka_anchor_cursors(log, &session->seat, &anchor, &session->cursors, err));
    anchor.nonce = session->base.nonce;
    enum kafka_step step = kafka_session_announce(session, &anchor, err);
    if (step != KAFKA_GOES_ON)
        return step == KAFKA_LOST ? TH_FENCED : TH_UNAVAILABLE;
    session->next = anchor.next;
    session->base.next_seq = anchor.seq + 1;
    session->base.cursors = session->cursors.at;
    session->base.cursors_n = session->cursors.n;
    return TH_OK;
}

/* Whoever opens the slot at the same time fences us; one of the two will be the last. */
static enum th_code own_patiently(struct kafka_session *session, struct th_err *err)
{
    int timeout_ms = log_of(session)->config.open_timeout_ms;
    int64_t begun_us = th_clock_monotonic_us(&th_clock_real);

    for (;;) {
        int64_t spent_ms = (th_clock_monotonic_us(&th_clock_real) - begun_us) / TH_US_PER_MS;
        if (spent_ms >= timeout_ms)
            return th_wrap(err, "opening slot %d of app %d", session->base.slot,
                           (int)session->base.app);
        enum th_code code = own(session, (int)(timeout_ms - spent_ms), err);
        if (code == TH_FENCED && spent_ms * 4 > timeout_ms)
            return th_fail(err, TH_CONFLICT, "slot %d of app %d: others open it again and again",
                           session->base.slot, (int)session->base.app);
        if (code != TH_FENCED && code != TH_UNAVAILABLE)
            return code;
        poll(NULL, 0, log_of(session)->config.resolve_retry_ms);
    }
}

enum th_code kafka_session_open(struct th_log *base, enum log_app app, int slot,
                                struct th_log_session **out_session, struct th_err *err)
{
    TH_AUTO(session_free) struct kafka_session *session = NULL;

    TH_TRY(session_new(base, app, slot, &session, err));
    TH_TRY(own_patiently(session, err));
    int failed = pthread_create(&session->thread, NULL, run, session);
    if (failed)
        return th_fail(err, TH_NOMEM, "a thread: %s", strerror(failed));
    session->has_thread = true;
    *out_session = &TH_TAKE(session)->base;
    return TH_OK;
}

/* Nothing is marked: whoever opens the slot next fences this owner, alive or not. */
void kafka_session_close(struct th_log_session *base, bool release)
{
    (void)release;
    session_free(kafka_session_of(base));
}

/* --- committing ---------------------------------------------------------------------------------
 */

enum th_code kafka_commit_start(struct th_log_session *base, const struct log_txn *txn,
                                struct th_err *err)
{
    struct kafka_session *session = kafka_session_of(base);

    enum th_code code = hold(session, txn, err);
    if (code != TH_OK) {
        drop_txn(session);
        return code;
    }
    set_work(session, KAFKA_STARTED);
    return TH_OK;
}

static void show_committed(struct kafka_session *session, struct log_place *out_places,
                           bool *out_is_answered)
{
    for (size_t i = 0; out_places && i < session->outputs_n; i++)
        out_places[i] = (struct log_place){session->outputs[i].topic, session->records[i].part,
                                           session->records[i].offset};
    kafka_cursors_fini(&session->cursors);
    session->cursors = session->next_cursors;
    session->next_cursors = (struct kafka_cursors){0};
    session->base.cursors = session->cursors.at;
    session->base.cursors_n = session->cursors.n;
    session->base.next_seq++;
    *out_is_answered = session->is_answered;
}

enum log_commit kafka_commit_poll(struct th_log_session *base, struct log_place *out_places,
                                  bool *out_is_answered, struct th_err *err)
{
    struct kafka_session *session = kafka_session_of(base);
    eventfd_t count;

    pthread_mutex_lock(&session->lock);
    bool has_ended = session->work == KAFKA_ENDED;
    pthread_mutex_unlock(&session->lock);
    if (!has_ended)
        return LOG_COMMIT_PENDING;
    (void)eventfd_read(base->fd, &count);
    if (session->outcome == LOG_COMMITTED)
        show_committed(session, out_places, out_is_answered);
    else
        *err = session->why;
    drop_txn(session);
    enum log_commit outcome = session->outcome;
    set_work(session, KAFKA_IDLE); /* from here on the thread may refresh what now holds */
    return outcome;
}
