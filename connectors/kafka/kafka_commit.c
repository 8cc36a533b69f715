/* A slot's transaction, and what the log says of it when its answer was lost. */
#include <inttypes.h>
#include <poll.h>

#include "connectors/kafka/kafka_session.h"

static struct kafka_log *log_of(const struct kafka_session *session)
{
    return kafka_of(session->base.log);
}

static void end(struct kafka_session *session, enum log_commit outcome, bool is_answered)
{
    session->outcome = outcome;
    session->is_answered = is_answered;
}

static void drop_producer(struct kafka_session *session)
{
    struct kafka_log *log = log_of(session);

    if (session->producer && session->producer->is_broken)
        kafka_note_break(log, &session->breaks, session->seat.group, &session->why);
    kafka_producer_close(TH_TAKE(session->producer));
    atomic_fetch_add(&log->reinits, 1);
}

/* --- the transaction -------------------------------------------------------------------------- */

static struct kafka_anchor next_anchor(const struct kafka_session *session)
{
    return (struct kafka_anchor){
        .exists = true,
        .nonce = session->base.nonce,
        .seq = session->base.next_seq,
        .next = session->records[session->outputs_n].offset + 1,
    };
}

static enum kafka_step run(struct kafka_session *session)
{
    struct kafka_log *log = log_of(session);
    struct kafka_producer *producer = session->producer;

    enum kafka_step step = kafka_producer_write(producer, session->records, session->outputs_n + 1,
                                                log->config.commit_timeout_ms, &session->why);
    if (step != KAFKA_GOES_ON)
        return step;
    struct kafka_anchor anchor = next_anchor(session);
    step = kafka_anchor_send(log, &session->seat, producer, &anchor, &session->next_cursors,
                             &session->why);
    if (step != KAFKA_GOES_ON)
        return step;
    return kafka_producer_commit(producer, &session->why);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool is_closing(struct kafka_session *session)
{
    pthread_mutex_lock(&session->lock);
    bool is = session->is_closing;
    pthread_mutex_unlock(&session->lock);
    return is;
}

/* A rival writes its nonce before anything else. */
static bool is_rivals(const struct kafka_session *session, const struct kafka_anchor *anchor)
{
    return !anchor->exists || anchor->nonce != session->base.nonce;
}

static void fenced(struct kafka_session *session)
{
    th_fail(&session->why, TH_FENCED, "slot %d of app %d has another owner", session->base.slot,
            (int)session->base.app);
    end(session, LOG_FENCED, false);
}

/* Nothing of ours is in flight any more: what does the anchor say? */
static void judge(struct kafka_session *session, const struct kafka_anchor *anchor)
{
    struct kafka_log *log = log_of(session);

    if (is_rivals(session, anchor)) {
        fenced(session);
    } else if (anchor->seq == session->base.next_seq) {
        atomic_fetch_add(&log->resolved, session->is_in_doubt);
        end(session, LOG_COMMITTED, false);
    } else if (anchor->seq + 1 == session->base.next_seq) {
        atomic_fetch_add(&log->undone, session->is_in_doubt);
        if (session->why.code == TH_OK)
            th_fail(&session->why, TH_ABORTED, "the transaction was rolled back");
        end(session, LOG_ABORTED, false);
    } else {
        fenced(session);
    }
}

/* Looking first: becoming the owner again would fence a rival, which has done nothing wrong. False
 * when the log could not be asked. */
static bool ask(struct kafka_session *session)
{
    struct kafka_log *log = log_of(session);
    struct kafka_anchor anchor;

    if (kafka_anchor_read(log, &session->seat, false, &anchor, NULL) != TH_OK)
        return false;
    if (is_rivals(session, &anchor)) {
        fenced(session);
        return true;
    }
    if (kafka_producer_open(&log->config, session->seat.group, log->config.open_timeout_ms,
                            &session->producer, NULL) != TH_OK)
        return false;
    if (kafka_anchor_read(log, &session->seat, true, &anchor, NULL) != TH_OK) {
        drop_producer(session);
        return false;
    }
    judge(session, &anchor);
    return true;
}

static void resolve(struct kafka_session *session)
{
    drop_producer(session);
    while (!ask(session)) {
        if (is_closing(session)) {
            th_fail(&session->why, TH_UNAVAILABLE, "closed before the log could be asked");
            end(session, LOG_ABORTED, false);
            return;
        }
        poll(NULL, 0, log_of(session)->config.resolve_retry_ms);
    }
}

/* --- outcomes --------------------------------------------------------------------------------- */

/* The broker moves an epoch on for a new owner, or to end a transaction that outlived its timeout.
 * This one cannot have: so there is a rival, even if it has not written its nonce yet. */
static bool is_young(const struct kafka_session *session)
{
    int64_t age_us = th_clock_monotonic_us(&th_clock_real) - session->begun_us;

    return age_us < log_of(session)->config.transaction_timeout_ms * TH_US_PER_MS;
}

static void conclude(struct kafka_session *session, enum kafka_step step)
{
    switch (step) {
    case KAFKA_GOES_ON:
        atomic_fetch_add(&log_of(session)->commits, 1);
        end(session, LOG_COMMITTED, true);
        break;
    case KAFKA_ROLLED_BACK:
        end(session, LOG_ABORTED, false);
        break;
    case KAFKA_LOST:
        if (is_young(session)) {
            fenced(session);
            break;
        }
        __attribute__((fallthrough));
    case KAFKA_UNKNOWN:
        session->is_in_doubt = true;
        resolve(session);
        session->is_in_doubt = false;
        break;
    }
}

/* What was lost between two transactions is no doubt about any of them: the anchor must be ours
 * and say what the last one said. */
static bool ensure_producer(struct kafka_session *session)
{
    if (session->producer)
        return true;
    resolve(session);
    return session->outcome == LOG_ABORTED && session->producer;
}

void kafka_commit_run(struct kafka_session *session)
{
    struct kafka_log *log = log_of(session);

    session->why = (struct th_err){0};
    if (!ensure_producer(session))
        return;
    session->why = (struct th_err){0};
    session->begun_us = th_clock_monotonic_us(&th_clock_real);
    conclude(session, run(session));
    if (session->outcome == LOG_COMMITTED) {
        session->next = session->records[session->outputs_n].offset + 1;
        kafka_publish(log, session->outputs, session->records, session->outputs_n);
    }
    if (session->producer && kafka_producer_is_tainted(session->producer))
        drop_producer(session);
}

/* --- resting ---------------------------------------------------------------------------------- */

void kafka_commit_refresh(struct kafka_session *session)
{
    struct kafka_anchor anchor = {true, session->base.nonce, session->base.next_seq - 1,
                                  session->next};

    session->why = (struct th_err){0};
    if (session->outcome == LOG_FENCED || !ensure_producer(session))
        return;
    if (kafka_session_announce(session, &anchor, &session->why) != KAFKA_GOES_ON ||
        kafka_producer_is_tainted(session->producer))
        drop_producer(session);
}
