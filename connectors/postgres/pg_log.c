#include "connectors/postgres/pg_log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "connectors/postgres/migrate.h"
#include "connectors/postgres/pg_log_internal.h"

#define RING_BYTES_DEFAULT    ((size_t)4 << 20)
#define SEGMENT_BYTES_DEFAULT ((int64_t)8 * 1024 * 1024 * 1024)

/* --- making a log ----------------------------------------------------------------------- */

static const struct pg_statement sql_make_meta = {
    "INSERT INTO eventlog.meta (cluster_id, log_version, partitions)"
    " SELECT gen_random_uuid(), $1::int4, $2::int4 WHERE NOT EXISTS (SELECT FROM eventlog.meta)"
    " RETURNING true",
};

/* Topics that are missing, their partitions and first segments; reference topics have one. */
static const struct pg_statement sql_make_topics = {
    "WITH t AS (INSERT INTO eventlog.topic (topic_id, name, partitions)"
    "   SELECT u.id, u.name, CASE WHEN u.single THEN 1 ELSE m.partitions END"
    "   FROM unnest($1::int2[], $2::text[], $3::bool[]) u(id, name, single), eventlog.meta m"
    "   WHERE NOT EXISTS (SELECT FROM eventlog.topic x WHERE x.topic_id = u.id)"
    "   RETURNING topic_id, partitions),"
    " s AS (SELECT coalesce(max(seg), 1) AS seg FROM eventlog.partition_head),"
    " h AS (INSERT INTO eventlog.partition_head (topic_id, part, seg)"
    "   SELECT t.topic_id, p, s.seg FROM t, s, generate_series(0, t.partitions - 1) p"
    "   RETURNING topic_id, part, seg)"
    " INSERT INTO eventlog.segment (topic_id, part, floor_offset, seg)"
    "   SELECT topic_id, part, 0, seg FROM h",
};

static enum th_code make_topics(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_array_begin(&params, PG_INT2);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        pg_item_int2(&params, (int16_t)topic);
    pg_array_begin(&params, PG_TEXT);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        pg_item_bytes(&params, th_str(topic_name((enum topic)topic)));
    pg_array_begin(&params, PG_BOOL);
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        pg_item_bool(&params, topic_kind((enum topic)topic) == TOPIC_REFERENCE);
    return pg_execute(pg, &sql_make_topics, &params, NULL, err);
}

static enum th_code make_meta(struct pg *pg, int partitions, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int4(&params, PG_BATCH_VERSION);
    pg_add_int4(&params, partitions);
    TH_TRY(pg_execute(pg, &sql_make_meta, &params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_CONFLICT, "the database holds a log already");
    return TH_OK;
}

/* Run inside one transaction. */
static enum th_code end_transaction(struct pg *pg, enum th_code code, struct th_err *err)
{
    if (code == TH_OK)
        return pg_run(pg, "COMMIT", err);
    enum th_code undone = pg_run(pg, "ROLLBACK", NULL);
    (void)undone; /* failing here means a lost connection, which rolls back as well */
    return code;
}

enum th_code pg_log_create(const char *conninfo, int partitions, struct th_err *err)
{
    TH_AUTO(pg) struct pg *pg = NULL;

    if (partitions < 1 || partitions > LOG_PARTITIONS_MAX)
        return th_fail(err, TH_INVALID, "%d partitions: 1 to %d", partitions, LOG_PARTITIONS_MAX);
    TH_TRY(pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, err));
    TH_TRY(pg_migrate_check(pg, sql_migrations, err));
    TH_TRY(pg_run(pg, "BEGIN", err));
    enum th_code code = make_meta(pg, partitions, err);
    if (code == TH_OK)
        code = make_topics(pg, err);
    return end_transaction(pg, code, err);
}

enum th_code pg_log_upgrade(const char *conninfo, int *out_applied, struct th_err *err)
{
    TH_AUTO(pg) struct pg *pg = NULL;

    TH_TRY(pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, err));
    TH_TRY(pg_migrate(pg, sql_migrations, out_applied, err));
    return make_topics(pg, err); /* of no meta row come no topics */
}

/* --- opening ---------------------------------------------------------------------------- */

static const struct pg_statement sql_meta = {
    "SELECT cluster_id::text, log_version, mark, coalesce(origin::text, '') FROM eventlog.meta",
};

static const struct pg_statement sql_topics = {
    "SELECT topic_id, name, partitions FROM eventlog.topic",
};

static enum th_code load_meta(struct pg_log *log, struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_meta, NULL, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "the database holds no log yet");
    struct pg_row row = pg_row(result, 0);
    struct th_str id = pg_next_bytes(&row);
    int version = pg_next_int4(&row);
    int mark = pg_next_int2(&row);
    struct th_str origin = pg_next_bytes(&row);
    TH_TRY(pg_row_end(&row, err));
    if (version != PG_BATCH_VERSION)
        return th_fail(err, TH_UNSUPPORTED, "the log's version is %d, this binary knows %d",
                       version, PG_BATCH_VERSION);
    if (id.n != LOG_ID_LEN)
        return th_fail(err, TH_MALFORMED, "the log's id is not one");
    if (log->config.log_id && !th_str_eq(id, th_str(log->config.log_id)))
        return th_fail(err, TH_CONFLICT, "the database holds the log %.*s, not %s", TH_ARG(id),
                       log->config.log_id);
    if (mark < LOG_MARK_NONE || mark > LOG_MARK_MOVED || origin.n > LOG_ID_LEN)
        return th_fail(err, TH_UNSUPPORTED, "the log bears the mark %d, which is not known", mark);
    memcpy(log->base.id, id.p, id.n);
    snprintf(log->base.origin, sizeof log->base.origin, "%.*s", TH_ARG(origin));
    log->base.mark = (enum log_mark)mark;
    return TH_OK;
}

static enum th_code load_topic(struct pg_log *log, struct pg_row *row, struct th_err *err)
{
    int number = pg_next_int2(row);
    struct th_str name = pg_next_bytes(row);
    int partitions = pg_next_int4(row);

    TH_TRY(pg_row_end(row, err));
    if (number < 0 || number >= TOPIC_COUNT)
        return TH_OK; /* of a newer binary, which the schema's version allows */
    enum topic topic = (enum topic)number;
    if (!th_str_eq(name, th_str(topic_name(topic))))
        return th_fail(err, TH_UNSUPPORTED, "topic %d is %.*s on the log and %s here", number,
                       TH_ARG(name), topic_name(topic));
    if (partitions < 1 || partitions > LOG_PARTITIONS_MAX ||
        (topic_kind(topic) == TOPIC_REFERENCE && partitions != 1))
        return th_fail(err, TH_UNSUPPORTED, "topic %s has %d partitions", topic_name(topic),
                       partitions);
    log->base.partitions[topic] = partitions;
    return TH_OK;
}

static enum th_code load_topics(struct pg_log *log, struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_topics, NULL, &result, err));
    for (int i = 0; i < PQntuples(result); i++) {
        struct pg_row row = pg_row(result, i);
        TH_TRY(load_topic(log, &row, err));
    }
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        if (log->base.partitions[topic] == 0)
            return th_fail(err, TH_UNSUPPORTED, "the log has no topic %s: run telehub upgrade",
                           topic_name((enum topic)topic));
    return TH_OK;
}

static enum th_code load(struct pg_log *log, struct th_err *err)
{
    struct pg *pg;

    TH_TRY(pg_pool_take(log->pool, &pg, err));
    enum th_code code = pg_migrate_check(pg, sql_migrations, err);
    if (code == TH_OK)
        code = load_meta(log, pg, err);
    if (code == TH_OK)
        code = load_topics(log, pg, err);
    pg_pool_give(log->pool, pg);
    return code;
}

static void default_int(int *value, int fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_defaults(struct pg_log_config *config)
{
    default_int(&config->readers_max, 4);
    default_int(&config->connect_timeout_ms, 5000);
    default_int(&config->statement_timeout_ms, 30000);
    default_int(&config->lock_timeout_ms, 5000);
    default_int(&config->commit_timeout_ms, 40000);
    default_int(&config->resolve_retry_ms, 200);
    default_int(&config->takeover_ms, 10000);
    default_int(&config->grace_ms, 2000);
    default_int(&config->heartbeat_ms, 5000);
    default_int(&config->stale_ms, 20000);
    default_int(&config->notify_ms, 10);
    default_int(&config->relisten_ms, 250);
    default_int(&config->probe_ms, 250);
    default_int(&config->house_ms, 5000);
    default_int(&config->idem_kept_s, 48 * 3600);
    if (config->ring_bytes == 0)
        config->ring_bytes = RING_BYTES_DEFAULT;
    if (config->has_no_ring)
        config->ring_bytes = 0;
    if (config->segment_bytes_max == 0)
        config->segment_bytes_max = SEGMENT_BYTES_DEFAULT;
    if (config->readers_max > PG_POOL_MAX)
        config->readers_max = PG_POOL_MAX;
}

static void set_connections(struct pg_log *log)
{
    const struct pg_log_config *config = &log->config;

    log->log_config = (struct pg_config){
        .conninfo = config->conninfo,
        .application_name = "telehub log",
        .connect_timeout_ms = config->connect_timeout_ms,
        .statement_timeout_ms = config->statement_timeout_ms,
        .lock_timeout_ms = config->lock_timeout_ms,
        .is_generic_plan = true,
    };
    log->read_config = log->log_config;
    log->read_config.application_name = "telehub log reader";
}

static enum th_code name_instance(struct pg_log *log, struct th_err *err)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return th_fail(err, TH_UNAVAILABLE, "the kernel has no randomness to give");
    pg_host_here(&log->host);
    snprintf(log->instance, sizeof log->instance, "%.64s:%d:%016" PRIx64, log->host.name,
             (int)log->host.pid, random);
    return TH_OK;
}

static enum th_code open_parts(struct pg_log *log, struct th_err *err)
{
    struct pg_bell_config bell = {
        .connection = log->log_config,
        .instance = log->instance,
        .notify_ms = log->config.notify_ms,
        .relisten_ms = log->config.relisten_ms,
    };
    bell.connection.application_name = "telehub log bell";
    bell.connection.is_unsynced = true; /* a NOTIFY that a crash forgets is no loss */

    TH_TRY(name_instance(log, err));
    bell.instance = log->instance;
    TH_TRY(pg_pool_new(&log->read_config, log->config.readers_max, &log->pool, err));
    TH_TRY(pg_ring_new(log->config.ring_bytes, &log->ring, err));
    TH_TRY(pg_bell_new(&bell, &log->bell, err));
    TH_TRY(load(log, err));
    log->config.log_id = NULL; /* was borrowed */
    return log->config.is_guest ? TH_OK : pg_house_start(log, err);
}

static void close_log(struct th_log *base)
{
    struct pg_log *log = pg_log_of(base);

    pg_house_stop(log);
    pg_bell_free(log->bell);
    pg_appender_fini(&log->appender);
    pg_appender_fini(&log->ingester);
    pg_ring_free(log->ring);
    pg_pool_free(log->pool);
    pthread_cond_destroy(&log->house_wakes);
    pthread_mutex_destroy(&log->house_lock);
    pthread_mutex_destroy(&log->round_lock);
    free((char *)log->config.conninfo);
    free(log);
}

static enum th_code log_end(struct th_log *base, enum topic topic, int part, int64_t *out_end,
                            struct th_err *err)
{
    static const struct pg_statement sql_end = {
        "SELECT coalesce((SELECT x.base_offset + x.n FROM eventlog.batch x"
        "   WHERE x.seg = h.seg AND x.topic_id = h.topic_id AND x.part = h.part"
        "   ORDER BY x.base_offset DESC LIMIT 1), h.floor_offset)"
        " FROM eventlog.partition_head h WHERE h.topic_id = $1::int2 AND h.part = $2::int2",
    };
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int2(&params, (int16_t)topic);
    pg_add_int2(&params, (int16_t)part);
    TH_TRY(pg_pool_execute(pg_log_of(base)->pool, &sql_end, &params, &result, err));
    struct pg_row row = pg_row(result, 0);
    int64_t end = pg_next_int8(&row);
    TH_TRY(pg_row_end(&row, err));
    *out_end = end;
    return TH_OK;
}

/* --- listeners -------------------------------------------------------------------------- */

struct pg_listener {
    struct th_log_listener base;
    struct pg_bell_listener bell;
};

static enum th_code listener_open(struct th_log *base, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err)
{
    struct pg_listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return th_fail(err, TH_NOMEM, "a listener");
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        int failed = errno;
        free(listener);
        return th_fail(err, TH_IO, "eventfd: %s", strerror(failed));
    }
    listener->base = (struct th_log_listener){.log = base, .fd = fd};
    listener->bell = (struct pg_bell_listener){.topics = topics, .parts = UINT64_MAX, .fd = fd};
    pg_bell_add(pg_log_of(base)->bell, &listener->bell);
    *out_listener = &listener->base;
    return TH_OK;
}

static void listener_narrow(struct th_log_listener *base, int slot, int slots)
{
    struct pg_listener *listener = (struct pg_listener *)base;
    uint64_t parts = 0;

    for (int part = slot; part < LOG_PARTITIONS_MAX; part += slots)
        parts |= UINT64_C(1) << part % 64;
    pg_bell_narrow(pg_log_of(base->log)->bell, &listener->bell, parts);
}

static void listener_clear(struct th_log_listener *base)
{
    struct pg_listener *listener = (struct pg_listener *)base;

    pg_bell_clear(pg_log_of(base->log)->bell, &listener->bell);
}

static void listener_close(struct th_log_listener *base)
{
    struct pg_listener *listener = (struct pg_listener *)base;

    pg_bell_remove(pg_log_of(base->log)->bell, &listener->bell);
    close(base->fd);
    free(listener);
}

/* --- the driver ------------------------------------------------------------------------- */

static const struct th_log_ops ops = {
    .name = "postgres",
    .append = pg_append,
    .end = log_end,
    .set_mark = pg_set_mark,
    .start = pg_start,
    .trim = pg_trim,
    .ingest = pg_ingest,
    .answers = pg_answers,
    .close = close_log,
    .reader_open = pg_reader_open,
    .reader_read = pg_reader_read,
    .reader_seek = pg_reader_seek,
    .reader_close = pg_reader_close,
    .listener_open = listener_open,
    .listener_narrow = listener_narrow,
    .listener_clear = listener_clear,
    .listener_close = listener_close,
    .session_open = pg_session_open,
    .slot_cursors = pg_slot_cursors,
    .commit_start = pg_commit_start,
    .commit_poll = pg_commit_poll,
    .session_close = pg_session_close,
    .snapshot_put = pg_snapshot_put,
    .snapshot_get = pg_snapshot_get,
};

static struct pg_log *new_log(const struct pg_log_config *config)
{
    pthread_condattr_t monotonic;
    struct pg_log *log = calloc(1, sizeof *log);

    if (!log)
        return NULL;
    log->base.ops = &ops;
    log->config = *config;
    set_defaults(&log->config);
    log->config.conninfo = strdup(config->conninfo);
    set_connections(log);
    pg_appender_init(&log->appender);
    pg_appender_init(&log->ingester);
    pthread_mutex_init(&log->house_lock, NULL);
    pthread_mutex_init(&log->round_lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->house_wakes, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return log;
}

enum th_code pg_log_open(const struct pg_log_config *config, struct th_log **out_log,
                         struct th_err *err)
{
    struct pg_log *log = new_log(config);

    if (!log)
        return th_fail(err, TH_NOMEM, "a log");
    enum th_code code =
        log->config.conninfo ? open_parts(log, err) : th_fail(err, TH_NOMEM, "a log");
    if (code != TH_OK) {
        close_log(&log->base);
        return code;
    }
    *out_log = &log->base;
    return TH_OK;
}

struct pg_log_status pg_log_status(struct th_log *log)
{
    struct pg_log *own = pg_log_of(log);

    return (struct pg_log_status){
        .appends = atomic_load(&own->appends),
        .commits = atomic_load(&own->commits),
        .resolved = atomic_load(&own->resolved),
        .ring_batches = atomic_load(&own->ring_batches),
        .table_batches = atomic_load(&own->table_batches),
        .probes = atomic_load(&own->probes),
        .notifies = pg_bell_notifies(own->bell),
    };
}
