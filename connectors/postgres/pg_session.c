/* Becoming the owner of a slot, and giving it up.
 *
 * The connection that holds the slot's advisory lock is the one that commits for it: losing one is
 * losing both. The lock says that an owner lives; what protects the log is the epoch, which is
 * checked inside every commit. So a new owner first raises the epoch, which waits for a commit that
 * is in flight (it holds the slot's row) and fences whatever comes after, and ends the old one's
 * process or backend only to get the lock. */
#include "connectors/postgres/pg_session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CURSORS_VERSION 1
#define RETRY_MS        20 /* between two tries to get the lock */

/* --- cursors in the journal ------------------------------------------------------------- */

void pg_cursors_fini(struct pg_cursors *cursors)
{
    free(cursors->at);
    free(cursors->bytes);
    *cursors = (struct pg_cursors){0};
}

static void add_number(struct th_buf *out, uint64_t value, size_t size)
{
    char bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(value >> (8 * (size - 1 - i)));
    th_buf_add(out, (struct th_str){bytes, size});
}

/* Version (1 byte), count (2); of each: topic (2), partition (2), offset (8), note size (2), note.
 * Big endian. */
void pg_cursors_encode(const struct log_cursor *cursors, size_t n, struct th_buf *out)
{
    add_number(out, CURSORS_VERSION, 1);
    add_number(out, n, 2);
    for (size_t i = 0; i < n; i++) {
        add_number(out, (uint64_t)cursors[i].next.topic, 2);
        add_number(out, (uint64_t)cursors[i].next.part, 2);
        add_number(out, (uint64_t)cursors[i].next.offset, 8);
        add_number(out, cursors[i].note.n, 2);
        th_buf_add(out, cursors[i].note);
    }
}

static bool take_number(struct th_str *bytes, size_t size, uint64_t *out)
{
    if (bytes->n < size)
        return false;
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | (unsigned char)bytes->p[i];
    bytes->p += size;
    bytes->n -= size;
    return true;
}

static bool take_cursor(struct th_str *bytes, struct log_cursor *out)
{
    uint64_t topic;
    uint64_t part;
    uint64_t offset;
    uint64_t note_size;

    if (!take_number(bytes, 2, &topic) || !take_number(bytes, 2, &part) ||
        !take_number(bytes, 8, &offset) || !take_number(bytes, 2, &note_size))
        return false;
    if (topic >= TOPIC_COUNT || part >= LOG_PARTITIONS_MAX || offset > INT64_MAX ||
        note_size > LOG_NOTE_SIZE_MAX || note_size > bytes->n)
        return false;
    *out = (struct log_cursor){.next = {(enum topic)topic, (int)part, (int64_t)offset},
                               .note = {bytes->p, (size_t)note_size}};
    bytes->p += note_size;
    bytes->n -= note_size;
    return true;
}

static enum th_code decode(struct pg_cursors *out, size_t size, struct th_err *err)
{
    struct th_str left = {out->bytes, size};
    uint64_t version;
    uint64_t n;

    if (!take_number(&left, 1, &version) || version != CURSORS_VERSION ||
        !take_number(&left, 2, &n))
        return th_fail(err, TH_CORRUPT, "the journal's cursor is damaged");
    out->at = calloc(n + 1, sizeof *out->at);
    if (!out->at)
        return th_fail(err, TH_NOMEM, "%" PRIu64 " cursors", n);
    for (; out->n < n; out->n++)
        if (!take_cursor(&left, &out->at[out->n]))
            return th_fail(err, TH_CORRUPT, "the journal's cursor is damaged");
    if (left.n != 0)
        return th_fail(err, TH_CORRUPT, "the journal's cursor is damaged");
    return TH_OK;
}

enum th_code pg_cursors_decode(struct th_str bytes, struct pg_cursors *out, struct th_err *err)
{
    struct pg_cursors cursors = {.bytes = malloc(bytes.n + 1)};

    if (!cursors.bytes)
        return th_fail(err, TH_NOMEM, "a cursor of %zu bytes", bytes.n);
    if (bytes.n)
        memcpy(cursors.bytes, bytes.p, bytes.n);
    enum th_code code = decode(&cursors, bytes.n, err);
    if (code != TH_OK) {
        pg_cursors_fini(&cursors);
        return code;
    }
    *out = cursors;
    return TH_OK;
}

/* --- the journal ------------------------------------------------------------------------ */

static const struct pg_statement sql_journal = {
    "SELECT txn_seq, epoch, cursor, bases FROM eventlog.journal"
    " WHERE app = $1::int2 AND slot = $2::int2 ORDER BY txn_seq DESC LIMIT 1",
};

static void add_slot(struct pg_params *params, enum log_app app, int slot)
{
    pg_params_clear(params);
    pg_add_int2(params, (int16_t)app);
    pg_add_int2(params, (int16_t)slot);
}

enum th_code pg_journal_read(struct pg *pg, enum log_app app, int slot, struct pg_journal *out,
                             struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    *out = (struct pg_journal){0};
    add_slot(&params, app, slot);
    TH_TRY(pg_execute(pg, &sql_journal, &params, &out->result, err));
    if (PQntuples(out->result) == 0)
        return TH_OK;
    struct pg_row row = pg_row(out->result, 0);
    out->exists = true;
    out->seq = pg_next_int8(&row);
    out->epoch = pg_next_int8(&row);
    out->cursor = pg_next_bytes(&row);
    out->bases = pg_next(&row);
    enum th_code code = pg_row_end(&row, err);
    if (code != TH_OK)
        PQclear(TH_TAKE(out->result));
    return code;
}

/* --- who owns it now? ------------------------------------------------------------------- */

static const struct pg_statement sql_make_row = {
    "INSERT INTO eventlog.slot (app, slot) VALUES ($1::int2, $2::int2) ON CONFLICT DO NOTHING",
};

static const struct pg_statement sql_owner = {
    "SELECT s.epoch, s.is_released, coalesce(s.host, ''), coalesce(s.boot_id, ''),"
    " coalesce(s.os_pid, 0), coalesce(s.os_start, 0), coalesce(s.backend_pid, 0),"
    " coalesce(s.backend_start, 'epoch'),"
    " coalesce((extract(epoch FROM clock_timestamp() - h.at) * 1000)::int8, 9223372036854775807)"
    " FROM eventlog.slot s LEFT JOIN eventlog.heartbeat h ON h.instance = s.instance"
    " WHERE s.app = $1::int2 AND s.slot = $2::int2",
};

struct owner {
    int64_t epoch;
    bool is_released;
    char host[96];
    char boot_id[40];
    pid_t pid;
    int64_t start;
    int backend_pid;
    int64_t backend_start_us;
    int64_t silent_ms; /* since its last heartbeat */
};

static void copy_text(struct th_str s, char *out, size_t size)
{
    snprintf(out, size, "%.*s", TH_ARG(s));
}

static enum th_code read_owner(struct pg *pg, enum log_app app, int slot, struct owner *out,
                               struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    add_slot(&params, app, slot);
    TH_TRY(pg_execute(pg, &sql_owner, &params, &result, err));
    struct pg_row row = pg_row(result, 0);
    out->epoch = pg_next_int8(&row);
    out->is_released = pg_next_bool(&row);
    copy_text(pg_next_bytes(&row), out->host, sizeof out->host);
    copy_text(pg_next_bytes(&row), out->boot_id, sizeof out->boot_id);
    out->pid = pg_next_int4(&row);
    out->start = pg_next_int8(&row);
    out->backend_pid = pg_next_int4(&row);
    out->backend_start_us = pg_next_time_us(&row);
    out->silent_ms = pg_next_int8(&row);
    return pg_row_end(&row, err);
}

static bool is_here(const struct pg_log *log, const struct owner *owner)
{
    return *owner->boot_id && strcmp(owner->host, log->host.name) == 0 &&
           strcmp(owner->boot_id, log->host.boot_id) == 0;
}

/* --- the three means: lock, epoch, end -------------------------------------------------- */

static const struct pg_statement sql_lock = {"SELECT pg_try_advisory_lock($1::int4, $2::int4)"};

static enum th_code try_lock(struct pg *pg, enum log_app app, int slot, bool *out_is_mine,
                             struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int4(&params, PG_LOCK_SLOT);
    pg_add_int4(&params, (int)app << 16 | slot);
    TH_TRY(pg_execute(pg, &sql_lock, &params, &result, err));
    struct pg_row row = pg_row(result, 0);
    *out_is_mine = pg_next_bool(&row);
    return pg_row_end(&row, err);
}

/* Raises the epoch if it is still the one that is expected (-1: whichever). Waits for a commit in
 * flight, at most lock_timeout. No row: somebody else has raised it. */
static const struct pg_statement sql_raise = {
    "UPDATE eventlog.slot SET epoch = epoch + 1, is_released = false, instance = $4::text,"
    " host = $5::text, boot_id = $6::text, os_pid = $7::int4, os_start = $8::int8,"
    " backend_pid = pg_backend_pid(), backend_start = (SELECT backend_start"
    "   FROM pg_stat_activity WHERE pid = pg_backend_pid()), acquired_at = clock_timestamp()"
    " WHERE app = $1::int2 AND slot = $2::int2 AND $3::int8 IN (-1, epoch)"
    " RETURNING epoch, backend_start",
};

static enum th_code raise_epoch(struct pg_session *session, struct pg *pg, int64_t expected,
                                struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    add_slot(&params, session->base.app, session->base.slot);
    pg_add_int8(&params, expected);
    pg_add_bytes(&params, th_str(log->instance));
    pg_add_bytes(&params, th_str(log->host.name));
    pg_add_bytes(&params, th_str(log->host.boot_id));
    pg_add_int4(&params, log->host.pid);
    pg_add_int8(&params, log->host.start);
    TH_TRY(pg_execute(pg, &sql_raise, &params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_FENCED, "slot %d of app %d has another owner", session->base.slot,
                       (int)session->base.app);
    struct pg_row row = pg_row(result, 0);
    int64_t epoch = pg_next_int8(&row);
    int64_t backend_start_us = pg_next_time_us(&row);
    TH_TRY(pg_row_end(&row, err));
    session->epoch = epoch;
    session->backend_start_us = backend_start_us;
    return TH_OK;
}

static const struct pg_statement sql_terminate = {
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid = $1::int4 AND backend_start = $2::timestamptz AND pid <> pg_backend_pid()",
};

static enum th_code end_backend(struct pg *pg, int backend_pid, int64_t backend_start_us,
                                struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, backend_pid);
    pg_add_time_us(&params, backend_start_us);
    return pg_execute(pg, &sql_terminate, &params, NULL, err);
}

static const struct pg_statement sql_lock_timeout = {
    "SELECT set_config('lock_timeout', $1::text, false)",
};

/* While it takes the slot a connection waits as long as a running commit is given; later, for other
 * transactions on its partitions, as long as everybody does. */
static enum th_code set_lock_timeout(struct pg *pg, int ms, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    char text[16];

    snprintf(text, sizeof text, "%d", ms);
    pg_add_bytes(&params, th_str(text));
    return pg_execute(pg, &sql_lock_timeout, &params, NULL, err);
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

/* --- opening ---------------------------------------------------------------------------- */

static enum th_code connect_slot(const struct pg_session *session, struct pg **out_pg,
                                 struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    struct pg_config config = log->log_config;
    char name[64];

    snprintf(name, sizeof name, "telehub slot %d/%d", (int)session->base.app, session->base.slot);
    config.application_name = name;
    config.lock_timeout_ms = log->config.grace_ms;
    return pg_open(&config, out_pg, err);
}

/* End the process that owned the slot before, if it lives on this host and did not give it up; it
 * may be frozen anywhere, also just before a call to a provider. */
static enum th_code end_process(const struct pg_log *log, const struct owner *owner,
                                struct th_err *err)
{
    if (owner->is_released || !is_here(log, owner) || owner->pid == log->host.pid)
        return TH_OK;
    struct th_err why = {0};
    if (pg_host_kill(owner->pid, owner->start, log->config.takeover_ms, &why) != TH_OK)
        return th_fail(err, TH_CONFLICT, "the slot's owner: %s", why.text);
    return TH_OK;
}

static bool may_end(const struct pg_log *log, const struct owner *owner)
{
    return is_here(log, owner) || owner->silent_ms > log->config.stale_ms;
}

/* The lock is held by somebody: fence and end it, if that is allowed. */
static enum th_code oust(struct pg_session *session, struct pg *pg, const struct owner *owner,
                         struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);

    if (owner->is_released) /* it is about to let go, or somebody has taken the lock just now */
        return TH_OK;
    if (!may_end(log, owner))
        return th_fail(err, TH_CONFLICT, "slot %d of app %d is owned by a live process on %s",
                       session->base.slot, (int)session->base.app, owner->host);
    enum th_code code = raise_epoch(session, pg, owner->epoch, err);
    if (code == TH_FENCED) /* a rival was faster: look again */
        return TH_OK;
    if (code != TH_OK && code != TH_ABORTED) /* aborted: its commit takes too long */
        return code;
    return end_backend(pg, owner->backend_pid, owner->backend_start_us, err);
}

static enum th_code take_lock(struct pg_session *session, struct pg *pg, struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    int64_t deadline_us = now_us() + log->config.takeover_ms * TH_US_PER_MS;

    for (;;) {
        struct owner owner;
        bool is_mine;

        TH_TRY(read_owner(pg, session->base.app, session->base.slot, &owner, err));
        TH_TRY(end_process(log, &owner, err));
        TH_TRY(try_lock(pg, session->base.app, session->base.slot, &is_mine, err));
        if (is_mine)
            return TH_OK;
        TH_TRY(oust(session, pg, &owner, err));
        if (now_us() > deadline_us)
            return th_fail(err, TH_CONFLICT, "slot %d of app %d: its owner could not be ended",
                           session->base.slot, (int)session->base.app);
        sleep_ms(RETRY_MS);
    }
}

/* The lock is ours: raise the epoch for good and see what the last commit left. */
static enum th_code take_over(struct pg_session *session, struct pg *pg, struct th_err *err)
{
    struct pg_journal journal;

    enum th_code code = raise_epoch(session, pg, -1, err);
    if (code == TH_ABORTED)
        return th_fail(err, TH_CONFLICT, "a commit of the previous owner does not end");
    TH_TRY(code);
    TH_TRY(pg_journal_read(pg, session->base.app, session->base.slot, &journal, err));
    TH_AUTO(pg_result) PGresult *result = journal.result;
    (void)result;
    session->base.next_seq = journal.exists ? (uint64_t)journal.seq + 1 : 1;
    if (!journal.exists)
        return TH_OK;
    TH_TRY(pg_cursors_decode(journal.cursor, &session->cursors, err));
    session->base.cursors = session->cursors.at;
    session->base.cursors_n = session->cursors.n;
    return TH_OK;
}

static enum th_code open_fds(struct pg_session *session, struct th_err *err)
{
    session->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    session->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (session->poll_fd < 0 || session->timer_fd < 0 ||
        epoll_ctl(session->poll_fd, EPOLL_CTL_ADD, session->timer_fd, &event) != 0)
        return th_fail(err, TH_IO, "epoll: %s", strerror(errno));
    session->base.fd = session->poll_fd;
    return TH_OK;
}

static void free_session(struct pg_session *session)
{
    if (!session)
        return;
    pg_close(session->pg);
    if (session->poll_fd >= 0)
        close(session->poll_fd);
    if (session->timer_fd >= 0)
        close(session->timer_fd);
    pg_cursors_fini(&session->cursors);
    pg_cursors_fini(&session->next_cursors);
    pg_pack_fini(&session->pack);
    pg_params_fini(&session->params);
    th_buf_fini(&session->scratch);
    th_buf_fini(&session->encoded);
    free(session->bases);
    free(session);
}

TH_AUTO_DEFINE(pg_session, struct pg_session *, free_session)

static enum th_code draw_nonce(uint64_t *out_nonce, struct th_err *err)
{
    if (getrandom(out_nonce, sizeof *out_nonce, 0) != sizeof *out_nonce)
        return th_fail(err, TH_UNAVAILABLE, "the kernel has no randomness to give");
    return TH_OK;
}

static enum th_code open_slot(struct pg_session *session, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg) struct pg *pg = NULL;

    TH_TRY(draw_nonce(&session->base.nonce, err));
    TH_TRY(open_fds(session, err));
    TH_TRY(connect_slot(session, &pg, err));
    add_slot(&params, session->base.app, session->base.slot);
    TH_TRY(pg_execute(pg, &sql_make_row, &params, NULL, err));
    TH_TRY(take_lock(session, pg, err));
    TH_TRY(take_over(session, pg, err));
    TH_TRY(set_lock_timeout(pg, pg_log_of(session->base.log)->config.lock_timeout_ms, err));
    session->pg = TH_TAKE(pg);
    return TH_OK;
}

enum th_code pg_session_open(struct th_log *log, enum log_app app, int slot,
                             struct th_log_session **out_session, struct th_err *err)
{
    TH_AUTO(pg_session) struct pg_session *session = calloc(1, sizeof *session);

    if (!session)
        return th_fail(err, TH_NOMEM, "a session");
    session->poll_fd = session->timer_fd = session->polled_socket = -1;
    session->base.log = log;
    session->base.app = app;
    session->base.slot = slot;
    enum th_code code = open_slot(session, err);
    if (code == TH_ABORTED || code == TH_TIMEOUT)
        return th_fail(err, TH_UNAVAILABLE, "the slot's row is locked");
    TH_TRY(code);
    *out_session = &TH_TAKE(session)->base;
    return TH_OK;
}

/* --- after a lost connection ------------------------------------------------------------ */

enum th_code pg_session_regain(struct pg_session *session, struct pg_journal *out_journal,
                               struct th_err *err)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    TH_AUTO(pg) struct pg *pg = NULL;
    int old_pid = session->pg ? pg_backend_pid(session->pg) : 0;
    int64_t old_start_us = session->backend_start_us;
    int64_t deadline_us = now_us() + log->config.grace_ms * TH_US_PER_MS;
    int64_t old_epoch = session->epoch;
    bool is_mine = false;

    TH_TRY(connect_slot(session, &pg, err));
    enum th_code code = raise_epoch(session, pg, old_epoch, err);
    if (code == TH_ABORTED) { /* what we sent is stuck there; then it shall not happen */
        TH_TRY(end_backend(pg, old_pid, old_start_us, err));
        return th_fail(err, TH_UNAVAILABLE, "a commit does not end; its backend was ended");
    }
    TH_TRY(code);
    /* The old backend may not have noticed yet that nobody is there any more. */
    while (!is_mine) {
        TH_TRY(try_lock(pg, session->base.app, session->base.slot, &is_mine, err));
        if (is_mine)
            break;
        TH_TRY(end_backend(pg, old_pid, old_start_us, err));
        if (now_us() > deadline_us)
            return th_fail(err, TH_FENCED, "slot %d of app %d was taken by another owner",
                           session->base.slot, (int)session->base.app);
        sleep_ms(RETRY_MS);
    }
    TH_TRY(set_lock_timeout(pg, log->config.lock_timeout_ms, err));
    TH_TRY(pg_journal_read(pg, session->base.app, session->base.slot, out_journal, err));
    pg_close(session->pg);
    session->pg = TH_TAKE(pg);
    return TH_OK;
}

/* --- giving it up ----------------------------------------------------------------------- */

static const struct pg_statement sql_release = {
    "UPDATE eventlog.slot SET is_released = true"
    " WHERE app = $1::int2 AND slot = $2::int2 AND epoch = $3::int8",
};

/* A commit that runs is given its time, else nothing could be said through this connection. */
static bool is_quiet(struct pg_session *session)
{
    const struct pg_log *log = pg_log_of(session->base.log);
    int64_t deadline_us = now_us() + log->config.grace_ms * TH_US_PER_MS;
    struct th_err ignored = {0};
    bool is_answered;

    while (session->state != PG_COMMIT_NONE && now_us() < deadline_us) {
        struct epoll_event event;
        if (pg_commit_poll(&session->base, NULL, &is_answered, &ignored) == LOG_FENCED)
            return false;
        if (session->state != PG_COMMIT_NONE)
            epoll_wait(session->poll_fd, &event, 1, RETRY_MS);
    }
    return session->state == PG_COMMIT_NONE && session->pg && pg_is_alive(session->pg);
}

void pg_session_close(struct th_log_session *base, bool release)
{
    struct pg_session *session = pg_session_of(base);

    if (release && !base->is_fenced && is_quiet(session)) {
        struct pg_params params = {0};
        struct th_err ignored;
        add_slot(&params, base->app, base->slot);
        pg_add_int8(&params, session->epoch);
        /* If it fails the next owner ends this process, as it would after a crash. */
        enum th_code code = pg_execute(session->pg, &sql_release, &params, NULL, &ignored);
        (void)code;
        pg_params_fini(&params);
    }
    free_session(session);
}
