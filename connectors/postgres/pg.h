/* pg.h - one connection to Postgres: libpq, wrapped once.
 *
 * SQL is always a constant with $1 parameters, prepared at its first use on a connection; values
 * travel in binary (pg_value.h). A connection belongs to one thread at a time.
 *
 * SQLSTATEs become codes:
 *   08, 57P, 53 (other), 25006, no answer  TH_UNAVAILABLE
 *   40001, 40P01, 55P03                    TH_ABORTED      (rolled back; the same may be tried
 * again) 57014                                  TH_TIMEOUT 53100 TH_FULL 53200 TH_NOMEM THF01
 * TH_FENCED       (raised by our own functions) TH404, 3D000, 42P01, 42883             TH_NOT_FOUND
 *   TH409, 23                              TH_CONFLICT
 *   28, 42501                              TH_DENIED
 *   22                                     TH_INVALID
 *   XX001, XX002, TH500                    TH_CORRUPT
 *   else                                   TH_IO
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_H

#include <libpq-fe.h>

#include "common/err.h"
#include "connectors/postgres/pg_value.h"

/* At most so many different statements on one connection. */
#define PG_STATEMENTS_MAX 64

/* Zeros mean what stands beside them. */
struct pg_config {
    const char *conninfo;         /* libpq's; borrowed for the call */
    const char *application_name; /* "telehub" */
    int connect_timeout_ms;       /* 5 000; libpq counts whole seconds, at least 2 */
    int statement_timeout_ms;     /* 30 000 */
    int lock_timeout_ms;          /* 5 000 */
    int idle_transaction_ms;      /* 30 000: a transaction left open is ended by the server */
    bool is_generic_plan;         /* plan each statement once, never anew for its values */
    bool is_unsynced;             /* synchronous_commit=off: for hints that may be lost */
    bool is_read_only;            /* transactions refuse to write */
};

struct pg; /* opaque */

/* A statement: a string literal, whose address names it on a connection. Parameters say their type
 * where they stand ($1::int8[]), names their schema (search_path holds pg_catalog alone). */
struct pg_statement {
    const char *sql;
};

/* Connect, and make sure of what the log rests on: READ COMMITTED, no pooler in between (the
 * backend that answers is the one that the connection began with).
 *
 * Errors: TH_UNAVAILABLE  nobody there, or the server is starting
 *         TH_DENIED       refused
 *         TH_NOT_FOUND    no such database
 *         TH_UNSUPPORTED  a pooler, another isolation level, or a server older than 15 */
TH_MUST_USE
enum th_code pg_open(const struct pg_config *config, struct pg **out_pg, struct th_err *err);

void pg_close(struct pg *pg);

TH_AUTO_DEFINE(pg, struct pg *, pg_close)
TH_AUTO_DEFINE(pg_result, PGresult *, PQclear)

static inline void pg_params_auto(struct pg_params *params)
{
    pg_params_fini(params);
}

/* False once the connection is lost: close it. */
bool pg_is_alive(const struct pg *pg);

/* The backend that serves this connection. */
int pg_backend_pid(const struct pg *pg);

/* The connection itself, for what only one caller needs (COPY, notifications). */
PGconn *pg_conn(struct pg *pg);

/* Run a statement and wait. params may be NULL. *out_result (may be NULL) is owned by the caller
 * and holds binary columns. */
TH_MUST_USE
enum th_code pg_execute(struct pg *pg, const struct pg_statement *statement,
                        struct pg_params *params, PGresult **out_result, struct th_err *err);

/* Run a constant text without parameters: BEGIN, a migration of many statements. */
TH_MUST_USE
enum th_code pg_run(struct pg *pg, const char *sql, struct th_err *err);

/* COPY … FROM STDIN, all of it at once: bytes as the statement's format wants them. */
TH_MUST_USE
enum th_code pg_copy(struct pg *pg, const char *sql, struct th_str bytes, struct th_err *err);

/* --- without waiting -------------------------------------------------------------------- */

/* Prepare on this connection (this does wait) what pg_send will need. */
TH_MUST_USE
enum th_code pg_prepare(struct pg *pg, const struct pg_statement *statement, struct th_err *err);

/* Send off a prepared statement. Then pg_poll until it says is_done. */
TH_MUST_USE
enum th_code pg_send(struct pg *pg, const struct pg_statement *statement, struct pg_params *params,
                     struct th_err *err);

struct pg_progress {
    bool is_done;     /* the server is ready for the next statement, or the connection is lost */
    bool wants_write; /* watch the socket for writing too: not everything is sent yet */
};

/* Send and receive what is possible now. When done: TH_OK with *out_result owned by the caller,
 * or the error; if the connection is lost (pg_is_alive says so) an error says nothing about
 * whether the statement took effect. */
TH_MUST_USE
enum th_code pg_poll(struct pg *pg, struct pg_progress *out_progress, PGresult **out_result,
                     struct th_err *err);

int pg_socket(const struct pg *pg);

/* --- answers ------------------------------------------------------------------------------------
 */

/* Reads the columns of one row from left to right. A column of the wrong size, a null where none
 * is expected, and a column too many give zero and make pg_row_end fail. */
struct pg_row {
    const PGresult *result;
    int row;
    int column;
    bool is_bad;
};

struct pg_row pg_row(const PGresult *result, int row);
bool pg_next_bool(struct pg_row *row);
int16_t pg_next_int2(struct pg_row *row);
int32_t pg_next_int4(struct pg_row *row);
int64_t pg_next_int8(struct pg_row *row);
int64_t pg_next_time_us(struct pg_row *row);
struct th_str pg_next_bytes(struct pg_row *row); /* as long as the result lives */
struct pg_column pg_next(struct pg_row *row);    /* may be null */

/* TH_OK if every column was read and was what it was read as; else TH_MALFORMED. */
TH_MUST_USE
enum th_code pg_row_end(const struct pg_row *row, struct th_err *err);

/* The code that a SQLSTATE means; NULL or "" (no answer) is TH_UNAVAILABLE. */
enum th_code pg_code_of_sqlstate(const char *sqlstate);

#endif
