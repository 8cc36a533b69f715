#include "connectors/postgres/pg.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SERVER_VERSION_MIN 150000
#define LOOK_AGAIN_MS      100

struct pg {
    PGconn *conn;
    int backend_pid;
    const char *prepared[PG_STATEMENTS_MAX]; /* their SQL, whose address names them */
    size_t prepared_n;
    PGresult *result; /* of the statement that is under way */
    bool is_unclear;  /* libpq could not take what the server said; nobody knows what it did */
};

/* --- errors -------------------------------------------------------------------------------------
 */

enum th_code pg_code_of_sqlstate(const char *sqlstate)
{
    /* Longer prefixes first: the first that fits counts. */
    static const struct {
        const char *prefix;
        enum th_code code;
    } codes[] = {
        {"THF01", TH_FENCED},      {"TH404", TH_NOT_FOUND},   {"TH409", TH_CONFLICT},
        {"TH500", TH_CORRUPT},     {"THI01", TH_UNSUPPORTED}, {"40", TH_ABORTED},
        {"55P03", TH_ABORTED},     {"57014", TH_TIMEOUT},     {"53100", TH_FULL},
        {"53200", TH_NOMEM},       {"53", TH_UNAVAILABLE},    {"57P", TH_UNAVAILABLE},
        {"25006", TH_UNAVAILABLE}, {"08", TH_UNAVAILABLE},    {"3D000", TH_NOT_FOUND},
        {"42P01", TH_NOT_FOUND},   {"42883", TH_NOT_FOUND},   {"42501", TH_DENIED},
        {"28", TH_DENIED},         {"23", TH_CONFLICT},       {"22", TH_INVALID},
        {"XX001", TH_CORRUPT},     {"XX002", TH_CORRUPT},
    };

    if (!sqlstate || !*sqlstate)
        return TH_UNAVAILABLE;
    for (size_t i = 0; i < TH_LEN(codes); i++)
        if (strncmp(sqlstate, codes[i].prefix, strlen(codes[i].prefix)) == 0)
            return codes[i].code;
    return TH_IO;
}

/* libpq's texts end with a line feed and may have several lines. */
static enum th_code fail_text(struct th_err *err, enum th_code code, const char *text)
{
    struct th_str s = th_str_trim(th_str(text));
    struct th_str line;
    struct th_str rest;

    th_str_cut(s, '\n', &line, &rest);
    return th_fail(err, code, "postgres: %.*s", TH_ARG(line));
}

static enum th_code fail_result(struct th_err *err, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum th_code code = pg_code_of_sqlstate(sqlstate);

    if (!primary)
        return fail_text(err, code, PQresultErrorMessage(result));
    return th_fail(err, code, "postgres: %s (%s)", primary, sqlstate ? sqlstate : "no SQLSTATE");
}

static enum th_code fail_conn(struct th_err *err, const PGconn *conn)
{
    return fail_text(err, TH_UNAVAILABLE, PQerrorMessage(conn));
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* The server's errors have a SQLSTATE. What has none is libpq's own, and mostly want of memory: the
 * statement may have taken effect all the same, and one that was to be prepared may be there. */
static bool is_from_server(const PGresult *result)
{
    return is_good(result) || PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static enum th_code check(struct pg *pg, const PGresult *result, struct th_err *err)
{
    if (!result || !is_from_server(result))
        pg->is_unclear = true;
    if (!result)
        return fail_conn(err, pg->conn);
    return is_good(result) ? TH_OK : fail_result(err, result);
}

/* What could not be sent may be there in part. */
static enum th_code fail_send(struct pg *pg, struct th_err *err)
{
    pg->is_unclear = true;
    return fail_conn(err, pg->conn);
}

/* --- connecting ------------------------------------------------------------------------- */

static int or_default(int value, int fallback)
{
    return value ? value : fallback;
}

/* What the role or the database may set otherwise is set here, in the packet that connects. */
static void format_options(const struct pg_config *config, char *out, size_t size)
{
    snprintf(out, size,
             "-c default_transaction_isolation=read\\ committed"
             " -c default_transaction_read_only=%s"
             " -c statement_timeout=%d -c lock_timeout=%d"
             " -c idle_in_transaction_session_timeout=%d"
             " -c synchronous_commit=%s -c client_min_messages=warning"
             " -c DateStyle=ISO -c TimeZone=UTC -c search_path=pg_catalog"
             " -c plan_cache_mode=%s",
             config->is_read_only ? "on" : "off", or_default(config->statement_timeout_ms, 30000),
             or_default(config->lock_timeout_ms, 5000),
             or_default(config->idle_transaction_ms, 30000), config->is_unsynced ? "off" : "on",
             config->is_generic_plan ? "force_generic_plan" : "auto");
}

static PGconn *connect_with(const struct pg_config *config)
{
    char options[640];
    char timeout_s[16];

    format_options(config, options, sizeof options);
    snprintf(timeout_s, sizeof timeout_s, "%d",
             (or_default(config->connect_timeout_ms, 5000) + 999) / 1000);

    /* A later keyword wins over the conninfo, which stands first and is expanded. */
    const char *const keywords[] = {"dbname",
                                    "application_name",
                                    "options",
                                    "connect_timeout",
                                    "client_encoding",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    NULL};
    const char *const values[] = {config->conninfo,
                                  config->application_name ? config->application_name : "telehub",
                                  options,
                                  timeout_s,
                                  "UTF8",
                                  "10",
                                  "5",
                                  "3",
                                  NULL};
    return PQconnectdbParams(keywords, values, 1);
}

/* libpq gives no SQLSTATE for a refused connection; its text begins with the server's severity,
 * whose messages are English with lc_messages = C. What is not clearly final may be temporary. */
static enum th_code fail_connect(struct th_err *err, const PGconn *conn)
{
    const char *text = PQerrorMessage(conn);
    enum th_code code = TH_UNAVAILABLE;

    if (strstr(text, "authentication failed") || strstr(text, "no pg_hba.conf entry") ||
        strstr(text, "permission denied for database") || strstr(text, "password supplied"))
        code = TH_DENIED;
    else if (strstr(text, "FATAL:") && strstr(text, "does not exist"))
        code = TH_NOT_FOUND;
    return fail_text(err, code, text);
}

static const struct pg_statement sql_assert = {
    .sql = "SELECT pg_backend_pid(), current_setting('transaction_isolation')",
};

/* A pooler hands each transaction to whichever backend is free, and makes up the backend's pid at
 * connecting: with one in between neither advisory locks nor prepared statements hold. */
static enum th_code check_backend(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_assert, NULL, &result, err));
    struct pg_row row = pg_row(result, 0);
    int pid = pg_next_int4(&row);
    struct th_str isolation = pg_next_bytes(&row);
    TH_TRY(pg_row_end(&row, err));

    if (pid != pg->backend_pid)
        return th_fail(err, TH_UNSUPPORTED,
                       "connected to backend %d but served by backend %d: connect to Postgres "
                       "itself, not through a pooler",
                       pg->backend_pid, pid);
    if (!th_str_eq(isolation, TH_STR("read committed")))
        return th_fail(err, TH_UNSUPPORTED, "the isolation level is %.*s, not read committed",
                       TH_ARG(isolation));
    return TH_OK;
}

/* libpq reports notices on stderr by itself; ours are read from errors only. */
static void ignore_notice(void *unused, const PGresult *result)
{
    (void)unused;
    (void)result;
}

enum th_code pg_open(const struct pg_config *config, struct pg **out_pg, struct th_err *err)
{
    TH_AUTO(pg) struct pg *pg = calloc(1, sizeof *pg);
    if (!pg)
        return th_fail(err, TH_NOMEM, "a connection");

    pg->conn = connect_with(config);
    if (!pg->conn)
        return th_fail(err, TH_NOMEM, "a connection");
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return fail_connect(err, pg->conn);
    if (PQserverVersion(pg->conn) == 0) /* libpq had no memory to keep what the server said */
        return th_fail(err, TH_NOMEM, "a connection");
    if (PQserverVersion(pg->conn) < SERVER_VERSION_MIN)
        return th_fail(err, TH_UNSUPPORTED, "Postgres %d is too old: 15 is needed",
                       PQserverVersion(pg->conn) / 10000);
    PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
    pg->backend_pid = PQbackendPID(pg->conn);
    /* Twice: a pooler that guessed right once will not do so again. */
    TH_TRY(check_backend(pg, err));
    TH_TRY(check_backend(pg, err));

    *out_pg = TH_TAKE(pg);
    return TH_OK;
}

void pg_close(struct pg *pg)
{
    if (!pg)
        return;
    PQclear(pg->result);
    PQfinish(pg->conn);
    free(pg);
}

bool pg_is_alive(const struct pg *pg)
{
    return !pg->is_unclear && PQstatus(pg->conn) == CONNECTION_OK;
}

int pg_backend_pid(const struct pg *pg)
{
    return pg->backend_pid;
}

PGconn *pg_conn(struct pg *pg)
{
    return pg->conn;
}

int pg_socket(const struct pg *pg)
{
    return PQsocket(pg->conn);
}

/* --- statements ------------------------------------------------------------------------- */

/* The name under which the i-th statement of a connection is prepared there. */
static void statement_name(size_t i, char out_name[16])
{
    snprintf(out_name, 16, "s%zu", i);
}

/* Its place among the prepared ones, prepared_n if it is not there. */
static size_t find_prepared(const struct pg *pg, const struct pg_statement *statement)
{
    size_t i = 0;
    while (i < pg->prepared_n && pg->prepared[i] != statement->sql)
        i++;
    return i;
}

enum th_code pg_prepare(struct pg *pg, const struct pg_statement *statement, struct th_err *err)
{
    char name[16];

    if (find_prepared(pg, statement) < pg->prepared_n)
        return TH_OK;
    assert(pg->prepared_n < PG_STATEMENTS_MAX);
    statement_name(pg->prepared_n, name);
    TH_AUTO(pg_result)
    PGresult *result = PQprepare(pg->conn, name, statement->sql, 0, NULL);
    TH_TRY(check(pg, result, err));
    pg->prepared[pg->prepared_n++] = statement->sql;
    return TH_OK;
}

/* Parameters as libpq wants them. */
struct wire {
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    int n;
};

static enum th_code make_wire(struct pg_params *params, struct wire *wire, struct th_err *err)
{
    wire->n = 0;
    if (params) {
        TH_TRY(pg_params_finish(params, err));
        wire->n = params->n;
    }
    for (int i = 0; i < wire->n; i++) {
        /* An empty value is not a null: libpq must be given some address. */
        const char *value = params->bytes.p ? params->bytes.p + params->param[i].at : "";
        wire->values[i] = params->param[i].is_null ? NULL : value;
        wire->lengths[i] = (int)params->param[i].size;
        wire->formats[i] = 1;
    }
    return TH_OK;
}

static enum th_code send_prepared(struct pg *pg, const struct pg_statement *statement,
                                  struct pg_params *params, struct th_err *err)
{
    struct wire wire;
    char name[16];
    size_t i = find_prepared(pg, statement);

    assert(i < pg->prepared_n); /* pg_prepare comes before pg_send */
    TH_TRY(make_wire(params, &wire, err));
    statement_name(i, name);
    if (!PQsendQueryPrepared(pg->conn, name, wire.n, wire.values, wire.lengths, wire.formats, 1))
        return fail_send(pg, err);
    return TH_OK;
}

enum th_code pg_execute(struct pg *pg, const struct pg_statement *statement,
                        struct pg_params *params, PGresult **out_result, struct th_err *err)
{
    struct wire wire;
    char name[16];

    TH_TRY(pg_prepare(pg, statement, err));
    TH_TRY(make_wire(params, &wire, err));
    statement_name(find_prepared(pg, statement), name);
    TH_AUTO(pg_result)
    PGresult *result =
        PQexecPrepared(pg->conn, name, wire.n, wire.values, wire.lengths, wire.formats, 1);
    TH_TRY(check(pg, result, err));
    if (out_result)
        *out_result = TH_TAKE(result);
    return TH_OK;
}

enum th_code pg_run(struct pg *pg, const char *sql, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = PQexec(pg->conn, sql);
    return check(pg, result, err);
}

#define COPY_PIECE ((size_t)64 * 1024) /* libpq keeps a buffer as large as the largest */

/* False: the connection is lost. */
static bool put_all(PGconn *conn, struct th_str bytes)
{
    while (bytes.n > 0) {
        size_t n = bytes.n < COPY_PIECE ? bytes.n : COPY_PIECE;
        if (PQputCopyData(conn, bytes.p, (int)n) != 1)
            return false;
        bytes.p += n;
        bytes.n -= n;
    }
    return PQputCopyEnd(conn, NULL) == 1;
}

/* Not PQexec: libpq 15 without memory for "send the rows" takes that for a message of which more is
 * to come, and waits; the server waits for rows. When it is asked again it looks again. */
static PGresult *begin_copy(struct pg *pg, const char *sql)
{
    struct pollfd ready = {.fd = PQsocket(pg->conn), .events = POLLIN};

    if (!PQsendQuery(pg->conn, sql))
        return NULL;
    while (PQisBusy(pg->conn)) {
        (void)poll(&ready, 1, LOOK_AGAIN_MS);
        if (!PQconsumeInput(pg->conn))
            break;
    }
    return PQgetResult(pg->conn);
}

static void drop_results(struct pg *pg)
{
    PGresult *more;

    while ((more = PQgetResult(pg->conn)))
        PQclear(more);
}

enum th_code pg_copy(struct pg *pg, const char *sql, struct th_str bytes, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *ready = begin_copy(pg, sql);
    if (!ready || PQresultStatus(ready) != PGRES_COPY_IN) {
        enum th_code code = check(pg, ready, err);
        if (code == TH_OK)
            return fail_send(pg, err);
        if (pg_is_alive(pg))
            drop_results(pg);
        return code;
    }
    if (!put_all(pg->conn, bytes))
        return fail_send(pg, err);

    TH_AUTO(pg_result) PGresult *result = PQgetResult(pg->conn);
    enum th_code code = check(pg, result, err);
    if (pg_is_alive(pg))
        drop_results(pg);
    return code;
}

/* --- without waiting -------------------------------------------------------------------- */

enum th_code pg_send(struct pg *pg, const struct pg_statement *statement, struct pg_params *params,
                     struct th_err *err)
{
    assert(!pg->result);
    if (PQsetnonblocking(pg->conn, 1) != 0)
        return fail_send(pg, err);
    return send_prepared(pg, statement, params, err);
}

/* The server answers a statement before it commits it: only "ready for query", which ends the
 * results, says that it took effect. An error that follows a good result replaces it. */
static bool take_results(struct pg *pg)
{
    while (!PQisBusy(pg->conn)) {
        PGresult *next = PQgetResult(pg->conn);
        if (!next)
            return true;
        if (pg->result && !is_good(pg->result)) {
            PQclear(next);
            continue;
        }
        PQclear(pg->result);
        pg->result = next;
    }
    return false;
}

static enum th_code finish(struct pg *pg, PGresult **out_result, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = TH_TAKE(pg->result);

    PQsetnonblocking(pg->conn, 0);
    enum th_code code = check(pg, result, err);
    if (!pg_is_alive(pg)) { /* whatever was said, it is not known whether it was the last word */
        if (code == TH_OK)
            (void)fail_conn(err, pg->conn);
        if (err)
            err->code = TH_UNAVAILABLE;
        return TH_UNAVAILABLE;
    }
    TH_TRY(code);
    *out_result = TH_TAKE(result);
    return TH_OK;
}

enum th_code pg_poll(struct pg *pg, struct pg_progress *out_progress, PGresult **out_result,
                     struct th_err *err)
{
    int flushed = PQflush(pg->conn);
    bool is_readable = PQconsumeInput(pg->conn);

    *out_progress = (struct pg_progress){.wants_write = flushed == 1};
    /* After a failure libpq still hands out what had arrived; take it, so that the connection is
     * in order for whoever asks about it. */
    if (take_results(pg) || !is_readable || flushed < 0) {
        out_progress->is_done = true;
        return finish(pg, out_result, err);
    }
    return TH_OK;
}

/* --- answers ---------------------------------------------------------------------------- */

struct pg_row pg_row(const PGresult *result, int row)
{
    return (struct pg_row){.result = result, .row = row, .is_bad = row >= PQntuples(result)};
}

struct pg_column pg_next(struct pg_row *row)
{
    int column = row->column++;

    if (row->is_bad || column >= PQnfields(row->result)) {
        row->is_bad = true;
        return (struct pg_column){.is_null = true};
    }
    if (PQgetisnull(row->result, row->row, column))
        return (struct pg_column){.is_null = true};
    return (struct pg_column){
        .bytes = {PQgetvalue(row->result, row->row, column),
                  (size_t)PQgetlength(row->result, row->row, column)},
    };
}

bool pg_next_bool(struct pg_row *row)
{
    bool value = false;
    row->is_bad |= !pg_column_bool(pg_next(row), &value);
    return value;
}

int16_t pg_next_int2(struct pg_row *row)
{
    int16_t value = 0;
    row->is_bad |= !pg_column_int2(pg_next(row), &value);
    return value;
}

int32_t pg_next_int4(struct pg_row *row)
{
    int32_t value = 0;
    row->is_bad |= !pg_column_int4(pg_next(row), &value);
    return value;
}

int64_t pg_next_int8(struct pg_row *row)
{
    int64_t value = 0;
    row->is_bad |= !pg_column_int8(pg_next(row), &value);
    return value;
}

int64_t pg_next_time_us(struct pg_row *row)
{
    int64_t value = 0;
    row->is_bad |= !pg_column_time_us(pg_next(row), &value);
    return value;
}

struct th_str pg_next_bytes(struct pg_row *row)
{
    struct pg_column column = pg_next(row);
    row->is_bad |= column.is_null;
    return column.bytes;
}

enum th_code pg_row_end(const struct pg_row *row, struct th_err *err)
{
    if (row->is_bad || row->column != PQnfields(row->result))
        return th_fail(err, TH_MALFORMED, "postgres: row %d is not what was asked for", row->row);
    return TH_OK;
}
