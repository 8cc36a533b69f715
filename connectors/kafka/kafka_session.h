/* kafka_session.h - the owner of a slot: a thread that runs its transactions, one at a time.
 *
 * librdkafka's calls block, so the owner hands a transaction over and is woken when its outcome is
 * known. Whatever the outcome of a call leaves in doubt is asked of the log before it is told.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_SESSION_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_SESSION_H

#include "connectors/kafka/kafka_anchor.h"

enum kafka_work {
    KAFKA_IDLE,
    KAFKA_STARTED, /* the thread's turn */
    KAFKA_ENDED,   /* the owner's turn */
};

struct kafka_session {
    struct th_log_session base; /* first member; cursors are those of `cursors` */
    struct kafka_seat seat;
    struct kafka_cursors cursors; /* what was committed last */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards work and is_closing */
    pthread_cond_t wakes;
    enum kafka_work work;
    bool is_closing;

    /* The thread's while work is KAFKA_STARTED, the owner's otherwise. */
    struct kafka_producer *producer; /* NULL: to be replaced before the next transaction */
    bool is_in_doubt;                /* a transaction's answer was lost */
    struct kafka_breaks breaks;      /* of its producers */
    int64_t next;                    /* of its anchor: behind the last record of the journal */
    char *held; /* bytes of the transaction: outputs, then what they point to */
    struct log_output *outputs;
    struct kafka_record *records; /* of the outputs, then the journal's */
    size_t outputs_n;
    int64_t begun_us; /* monotonic */
    struct kafka_cursors next_cursors;
    struct th_buf journal;
    enum log_commit outcome;
    bool is_answered;
    struct th_err why;
};

static inline struct kafka_session *kafka_session_of(struct th_log_session *base)
{
    return (struct kafka_session *)base;
}

/* kafka_session.c: a transaction that says nothing but who the owner is, and where the slot stands.
 */
enum kafka_step kafka_session_announce(struct kafka_session *session,
                                       const struct kafka_anchor *anchor, struct th_err *err);

/* kafka_commit.c, of the thread; both block. */

/* Run the transaction that is held to its outcome. */
void kafka_commit_run(struct kafka_session *session);

/* Nothing is held for long: commit once more where the slot stands, so that brokers do not forget
 * it. What goes wrong is found out by the next transaction. */
void kafka_commit_refresh(struct kafka_session *session);

#endif
