/* pg_session.h - a slot's session: what pg_session.c (becoming the owner) and pg_commit.c
 * (committing as the owner) share. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_SESSION_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_SESSION_H

#include "connectors/postgres/pg_log_internal.h"

/* The cursors of a transaction: decoded, and the bytes of their notes. */
struct pg_cursors {
    struct log_cursor *at;
    size_t n;
    char *bytes; /* owned: what was decoded; notes point into it */
};

void pg_cursors_fini(struct pg_cursors *cursors);

/* Append them to out as the journal keeps them. */
void pg_cursors_encode(const struct log_cursor *cursors, size_t n, struct th_buf *out);

/* Errors: TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code pg_cursors_decode(struct th_str bytes, struct pg_cursors *out, struct th_err *err);

enum pg_commit_state {
    PG_COMMIT_NONE,    /* no commit is started */
    PG_COMMIT_SENT,    /* the server has it, or is getting it */
    PG_COMMIT_UNKNOWN, /* the connection was lost: it must be asked */
};

struct pg_session {
    struct th_log_session base;
    int64_t epoch;
    struct pg *pg; /* holds the slot's advisory lock; NULL while it is being replaced */
    int64_t backend_start_us;

    int poll_fd;  /* epoll: base.fd; holds timer_fd always, the socket while a commit is sent */
    int timer_fd; /* the commit's time is over; ask again; news that came without the socket */
    int polled_socket; /* in poll_fd; -1 none */
    bool polled_write;

    struct pg_cursors cursors; /* what base.cursors shows */

    /* The commit that runs. */
    enum pg_commit_state state;
    int64_t commit_epoch;
    struct pg_pack pack;
    struct pg_params params;
    struct th_buf scratch;
    struct th_buf encoded; /* its cursors */
    struct pg_cursors next_cursors;
    int64_t *bases;
    size_t bases_cap;
};

static inline struct pg_session *pg_session_of(struct th_log_session *session)
{
    return (struct pg_session *)session;
}

/* The newest row of a slot's journal. */
struct pg_journal {
    bool exists;
    int64_t seq;
    int64_t epoch;
    struct th_str cursor;   /* as long as result */
    struct pg_column bases; /* likewise */
    PGresult *result;       /* owned */
};

TH_MUST_USE
enum th_code pg_journal_read(struct pg *pg, enum log_app app, int slot, struct pg_journal *out,
                             struct th_err *err);

/* After a lost connection: own the slot again through a new one, if nobody else has owned it since.
 * *out_journal is as it stands from then on.
 * Errors: TH_FENCED; whatever says that it should be tried again later */
TH_MUST_USE
enum th_code pg_session_regain(struct pg_session *session, struct pg_journal *out_journal,
                               struct th_err *err);

#endif
