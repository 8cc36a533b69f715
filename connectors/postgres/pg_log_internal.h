/* pg_log_internal.h - what the files of the Postgres log share. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_LOG_INTERNAL_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_LOG_INTERNAL_H

#include <pthread.h>

#include "common/clock.h"
#include "common/eventlog/log_driver.h"
#include "connectors/postgres/pg_batch.h"
#include "connectors/postgres/pg_bell.h"
#include "connectors/postgres/pg_host.h"
#include "connectors/postgres/pg_log.h"
#include "connectors/postgres/pg_pool.h"
#include "connectors/postgres/pg_ring.h"

/* First key of our advisory locks; the second is app << 16 | slot. */
#define PG_LOCK_SLOT 7001
/* Second keys beside it: 0 a segment is added, 1 a migration runs, 2 somebody keeps house. */
#define PG_LOCK_ADMIN 7002

/* Slots of all apps; a slot's place is app * LOG_SLOTS_MAX + slot. */
#define PG_JOURNALS ((LOG_APP_COPY + 1) * LOG_SLOTS_MAX)

/* A connection that appends, one transaction after the other. */
struct pg_appender {
    pthread_mutex_t lock; /* guards what follows, and gives each caller its turn */
    struct pg *pg;        /* NULL until the first, and after a failure */
    struct pg_pack pack;
    struct pg_params params;
    struct th_buf scratch;
    int64_t *bases;
    size_t bases_cap;
};

struct pg_log {
    struct th_log base;           /* first member */
    struct pg_log_config config;  /* conninfo owned, log_id not kept */
    char instance[128];           /* host, pid and random bits of this opening; no spaces */
    struct pg_host host;          /* where this process runs */
    struct pg_config log_config;  /* of connections that write the log */
    struct pg_config read_config; /* of those that only read */
    struct pg_pool *pool;
    struct pg_ring *ring;
    struct pg_bell *bell;

    struct pg_appender appender; /* th_log_append; apart, so that callbacks need not wait … */
    struct pg_appender ingester; /* … behind requests */

    bool has_housekeeper;
    pthread_t housekeeper;
    pthread_mutex_t house_lock; /* guards house_stops */
    pthread_cond_t house_wakes;
    bool house_stops;
    pthread_mutex_t round_lock; /* guards journal_low */
    int64_t journal_low[PG_JOURNALS];

    atomic_uint_fast64_t appends;
    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t resolved;
    atomic_uint_fast64_t ring_batches;
    atomic_uint_fast64_t table_batches;
    atomic_uint_fast64_t probes;
};

static inline struct pg_log *pg_log_of(struct th_log *log)
{
    return (struct pg_log *)log;
}

/* --- pg_append.c ------------------------------------------------------------------------ */

void pg_appender_init(struct pg_appender *appender);
void pg_appender_fini(struct pg_appender *appender);

/* The eight arrays that eventlog.append takes. */
void pg_pack_add(const struct pg_pack *pack, struct pg_params *params, struct th_buf *scratch);

/* First offsets of a pack's batches, as the server answered them, and checked.
 * Errors: TH_MALFORMED */
TH_MUST_USE
enum th_code pg_bases_of(const struct pg_pack *pack, struct pg_column column, int64_t *out_bases,
                         struct th_err *err);

/* These batches are committed and lie there: tell readers of this process, and all listeners. */
void pg_publish(struct pg_log *log, const struct pg_pack *pack, const int64_t *bases);

enum th_code pg_append(struct th_log *base, const struct log_output *outputs, size_t n,
                       struct log_place *out_places, struct th_err *err);

/* One transaction through an appender whose lock is held: a statement with these parameters, to
 * which the pack's arrays are added, that answers with the bases.
 * Errors: TH_UNAVAILABLE (it may have happened), TH_CONFLICT, TH_FULL, … (nothing happened) */
TH_MUST_USE
enum th_code pg_appender_run(struct pg_log *log, struct pg_appender *appender,
                             const struct pg_statement *statement, struct th_err *err);

/* Appends batches; its parameters are those of pg_pack_add. */
extern const struct pg_statement pg_sql_append;

/* --- pg_ingest.c ------------------------------------------------------------------------ */

enum th_code pg_ingest(struct th_log *base, struct log_claim *claims, size_t n,
                       struct th_arena *arena, struct th_err *err);

/* --- pg_reader.c ------------------------------------------------------------------------ */

/* The statement that reads batches; its parameters: index, topic, partition, segment and offset
 * (arrays), bytes and batches at most (numbers). */
extern const struct pg_statement pg_sql_fetch;

enum th_code pg_reader_open(struct th_log *log, const struct log_place *from, size_t n,
                            struct th_log_reader **out_reader, struct th_err *err);
enum th_code pg_reader_read(struct th_log_reader *base, size_t bytes_max, struct th_arena *arena,
                            struct log_records *out, struct th_err *err);
void pg_reader_seek(struct th_log_reader *base, struct log_place place);
void pg_reader_close(struct th_log_reader *base);

/* --- pg_trim.c -------------------------------------------------------------------------- */

enum th_code pg_start(struct th_log *base, enum topic topic, int part, int64_t *out_start,
                      struct th_err *err);
enum th_code pg_trim(struct th_log *base, const struct log_place *places, size_t n,
                     struct th_err *err);

/* --- pg_session.c, pg_commit.c ------------------------------------------------------------------
 */

enum th_code pg_session_open(struct th_log *log, enum log_app app, int slot,
                             struct th_log_session **out_session, struct th_err *err);
enum th_code pg_commit_start(struct th_log_session *base, const struct log_txn *txn,
                             struct th_err *err);
enum log_commit pg_commit_poll(struct th_log_session *base, struct log_place *out_places,
                               bool *out_is_answered, struct th_err *err);
void pg_session_close(struct th_log_session *base, bool release);

/* --- pg_snapshot.c ------------------------------------------------------------------------------
 */

enum th_code pg_snapshot_put(struct th_log *base, enum log_app app,
                             const struct log_snapshot *snapshot, struct th_err *err);
enum th_code pg_snapshot_get(struct th_log *base, enum log_app app, int part,
                             struct log_pieces pieces, int fold_version, struct th_arena *arena,
                             struct log_snapshot **out_snapshots, size_t *out_n,
                             struct th_err *err);

/* --- pg_move.c -------------------------------------------------------------------------- */

enum th_code pg_set_mark(struct th_log *base, enum log_mark mark, const char *origin,
                         struct th_err *err);
enum th_code pg_slot_cursors(struct th_log *base, enum log_app app, int slot,
                             struct th_arena *arena, struct log_cursor **out_cursors, size_t *out_n,
                             struct th_err *err);
enum th_code pg_answers(struct th_log *base, log_answer_visit *visit, void *arg,
                        struct th_err *err);

/* --- pg_house.c ------------------------------------------------------------------------- */

/* Begin and end the thread that keeps house. */
TH_MUST_USE
enum th_code pg_house_start(struct pg_log *log, struct th_err *err);
void pg_house_stop(struct pg_log *log);

#endif
