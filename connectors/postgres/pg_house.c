/* Housekeeping: heartbeats, pruning, and the next segment in time. One thread of each process that
 * is not a guest; of all processes one works at a time, the others pass. */
#include <inttypes.h>
#include <time.h>

#include "connectors/postgres/pg_log_internal.h"

#define JOURNAL_KEPT   8     /* newest rows of each slot */
#define IDEM_PRUNE_MAX 10000 /* rows in one statement: so long nobody waits for it */

/* --- heartbeat -------------------------------------------------------------------------- */

static const struct pg_statement sql_heartbeat = {
    "INSERT INTO eventlog.heartbeat AS h (instance, at) VALUES ($1::text, clock_timestamp())"
    " ON CONFLICT (instance) DO UPDATE SET at = excluded.at",
};

static const struct pg_statement sql_bury = {
    "DELETE FROM eventlog.heartbeat WHERE at < clock_timestamp() - interval '1 day'",
};

static enum th_code beat(struct pg_log *log, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_bytes(&params, th_str(log->instance));
    return pg_pool_execute(log->pool, &sql_heartbeat, &params, NULL, err);
}

/* --- pruning ---------------------------------------------------------------------------- */

/* Of each slot its newest rows stay, found from the top of the index. What was pruned before is
 * passed over ($4): as long as somebody holds a snapshot its dead rows stay in the index, and there
 * may be millions. */
static const struct pg_statement sql_prune_journal = {
    "WITH n AS MATERIALIZED ("
    "   SELECT s.app, s.slot, coalesce(l.low, 0) AS low, (SELECT m.txn_seq"
    "     FROM eventlog.journal m WHERE m.app = s.app AND m.slot = s.slot"
    "     ORDER BY m.txn_seq DESC LIMIT 1) - $1::int8 AS upto"
    "   FROM eventlog.slot s LEFT JOIN unnest($2::int2[], $3::int2[], $4::int8[]) l(app, slot, low)"
    "     ON l.app = s.app AND l.slot = s.slot),"
    " d AS (DELETE FROM eventlog.journal j USING n"
    "   WHERE j.app = n.app AND j.slot = n.slot AND j.txn_seq > n.low AND j.txn_seq <= n.upto)"
    " SELECT app, slot, upto FROM n WHERE upto > 0",
};

static const struct pg_statement sql_prune_idem = {
    "DELETE FROM eventlog.idem WHERE ctid = ANY (ARRAY("
    "   SELECT ctid FROM eventlog.idem"
    "   WHERE first_seen < clock_timestamp() - make_interval(secs => $1::int4)"
    "   LIMIT $2::int4))",
};

static void add_lows(const struct pg_log *log, struct pg_params *params)
{
    pg_array_begin(params, PG_INT2);
    for (int i = 0; i < PG_JOURNALS; i++)
        if (log->journal_low[i])
            pg_item_int2(params, (int16_t)(i / LOG_SLOTS_MAX));
    pg_array_begin(params, PG_INT2);
    for (int i = 0; i < PG_JOURNALS; i++)
        if (log->journal_low[i])
            pg_item_int2(params, (int16_t)(i % LOG_SLOTS_MAX));
    pg_array_begin(params, PG_INT8);
    for (int i = 0; i < PG_JOURNALS; i++)
        if (log->journal_low[i])
            pg_item_int8(params, log->journal_low[i]);
}

static enum th_code prune_journal(struct pg_log *log, struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int8(&params, JOURNAL_KEPT);
    add_lows(log, &params);
    TH_TRY(pg_execute(pg, &sql_prune_journal, &params, &result, err));
    for (int i = 0; i < PQntuples(result); i++) {
        struct pg_row row = pg_row(result, i);
        int app = pg_next_int2(&row);
        int slot = pg_next_int2(&row);
        int64_t upto = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
        int at = app * LOG_SLOTS_MAX + slot;
        if (slot >= 0 && slot < LOG_SLOTS_MAX && at >= 0 && at < PG_JOURNALS)
            log->journal_low[at] = upto;
    }
    return TH_OK;
}

static enum th_code prune(struct pg_log *log, struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    TH_TRY(prune_journal(log, pg, err));
    pg_add_int4(&params, log->config.idem_kept_s);
    pg_add_int4(&params, IDEM_PRUNE_MAX);
    TH_TRY(pg_execute(pg, &sql_prune_idem, &params, NULL, err));
    return pg_execute(pg, &sql_bury, NULL, NULL, err);
}

/* --- segments --------------------------------------------------------------------------- */

/* The newest segment, its size with everything that belongs to it, its age, and how many heads
 * are still in an older one. */
static const struct pg_statement sql_newest = {
    "SELECT h.seg, coalesce(pg_total_relation_size(to_regclass('eventlog.batch_' || h.seg)), 0),"
    " coalesce(extract(epoch FROM clock_timestamp()"
    "   - (SELECT min(g.at) FROM eventlog.segment g WHERE g.seg = h.seg))::int8, 0),"
    " (SELECT count(*) FROM eventlog.partition_head l WHERE l.seg < h.seg),"
    " EXISTS (SELECT FROM eventlog.batch b WHERE b.seg = h.seg)"
    " FROM (SELECT max(seg) AS seg FROM eventlog.partition_head) h",
};

static const struct pg_statement sql_add_segment = {"SELECT eventlog.add_segment($1::int4)"};

static const struct pg_statement sql_heads = {
    "SELECT topic_id, part FROM eventlog.partition_head WHERE seg < $1::int4"
    " ORDER BY topic_id, part",
};

static const struct pg_statement sql_rotate = {
    "SELECT eventlog.rotate($1::int2, $2::int2, $3::int4)",
};

static enum th_code add_segment(struct pg *pg, int seg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, seg);
    return pg_execute(pg, &sql_add_segment, &params, NULL, err);
}

/* Each partition in a transaction of its own, so that appends wait for one of them at most. */
static enum th_code rotate_all(struct pg *pg, int seg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *heads = NULL;

    TH_TRY(add_segment(pg, seg, err));
    pg_add_int4(&params, seg);
    TH_TRY(pg_execute(pg, &sql_heads, &params, &heads, err));
    for (int i = 0; i < PQntuples(heads); i++) {
        struct pg_row row = pg_row(heads, i);
        int16_t topic = pg_next_int2(&row);
        int16_t part = pg_next_int2(&row);
        TH_TRY(pg_row_end(&row, err));
        pg_params_clear(&params);
        pg_add_int2(&params, topic);
        pg_add_int2(&params, part);
        pg_add_int4(&params, seg);
        TH_TRY(pg_execute(pg, &sql_rotate, &params, NULL, err));
    }
    return add_segment(pg, seg + 1, err); /* made now, so that it is there when it is needed */
}

struct newest {
    int seg;
    int64_t bytes;
    int64_t age_s;
    int64_t behind; /* heads */
    bool has_data;
};

static enum th_code read_newest(struct pg *pg, struct newest *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_newest, NULL, &result, err));
    struct pg_row row = pg_row(result, 0);
    out->seg = pg_next_int4(&row);
    out->bytes = pg_next_int8(&row);
    out->age_s = pg_next_int8(&row);
    out->behind = pg_next_int8(&row);
    out->has_data = pg_next_bool(&row);
    return pg_row_end(&row, err);
}

/* Whoever rotated last may have died on the way: then go on where it stopped. */
static enum th_code rotate_if_due(const struct pg_log *log, struct pg *pg, struct th_err *err)
{
    struct newest newest;

    TH_TRY(read_newest(pg, &newest, err));
    if (newest.behind > 0)
        return rotate_all(pg, newest.seg, err);
    int age_max_s = log->config.segment_age_s;
    bool is_old = age_max_s > 0 && newest.has_data && newest.age_s >= age_max_s;
    if (is_old || newest.bytes >= log->config.segment_bytes_max)
        return rotate_all(pg, newest.seg + 1, err);
    return TH_OK;
}

enum th_code pg_log_rotate(struct th_log *log, struct th_err *err)
{
    struct pg_log *own = pg_log_of(log);
    struct newest newest;
    struct pg *pg;

    TH_TRY(pg_pool_take(own->pool, &pg, err));
    enum th_code code = read_newest(pg, &newest, err);
    if (code == TH_OK)
        code = rotate_all(pg, newest.seg + 1, err);
    pg_pool_give(own->pool, pg);
    return code;
}

/* --- rounds ----------------------------------------------------------------------------- */

static const struct pg_statement sql_try_house = {
    "SELECT pg_try_advisory_lock($1::int4, 2)",
};

static const struct pg_statement sql_leave_house = {
    "SELECT pg_advisory_unlock($1::int4, 2)",
};

static enum th_code lock_house(struct pg *pg, const struct pg_statement *statement,
                               bool *out_is_done, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int4(&params, PG_LOCK_ADMIN);
    TH_TRY(pg_execute(pg, statement, &params, &result, err));
    struct pg_row row = pg_row(result, 0);
    *out_is_done = pg_next_bool(&row);
    return pg_row_end(&row, err);
}

static enum th_code work(struct pg_log *log, struct pg *pg, struct th_err *err)
{
    bool is_mine;

    TH_TRY(lock_house(pg, &sql_try_house, &is_mine, err));
    if (!is_mine)
        return TH_OK;
    enum th_code code = prune(log, pg, err);
    if (code == TH_OK)
        code = rotate_if_due(log, pg, err);
    if (pg_is_alive(pg)) /* else the lock went with the connection */
        TH_TRY(lock_house(pg, &sql_leave_house, &is_mine, code == TH_OK ? err : NULL));
    return code;
}

/* One round at a time: the thread and whoever asks share what was pruned so far. */
enum th_code pg_log_keep_house(struct th_log *log, struct th_err *err)
{
    struct pg_log *own = pg_log_of(log);
    struct pg *pg;

    TH_TRY(beat(own, err));
    TH_TRY(pg_pool_take(own->pool, &pg, err));
    pthread_mutex_lock(&own->round_lock);
    enum th_code code = work(own, pg, err);
    pthread_mutex_unlock(&own->round_lock);
    pg_pool_give(own->pool, pg);
    return code;
}

/* --- the thread ------------------------------------------------------------------------- */

static struct timespec from_now(int ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* False when it is time to stop. */
static bool rest(struct pg_log *log, int ms)
{
    struct timespec until = from_now(ms);

    pthread_mutex_lock(&log->house_lock);
    while (!log->house_stops &&
           pthread_cond_timedwait(&log->house_wakes, &log->house_lock, &until) == 0)
        continue;
    bool goes_on = !log->house_stops;
    pthread_mutex_unlock(&log->house_lock);
    return goes_on;
}

/* What fails now is tried again in the next round: nothing rests on any single one. */
static void *run(void *argument)
{
    struct pg_log *log = argument;
    const struct pg_log_config *config = &log->config;
    int beat_ms = config->heartbeat_ms < config->house_ms ? config->heartbeat_ms : config->house_ms;
    int since_house_ms = 0;
    enum th_code ignored;

    do {
        ignored = beat(log, NULL);
        if (since_house_ms >= config->house_ms) {
            ignored = pg_log_keep_house(&log->base, NULL);
            since_house_ms = 0;
        }
        since_house_ms += beat_ms;
    } while (rest(log, beat_ms));
    (void)ignored;
    return NULL;
}

enum th_code pg_house_start(struct pg_log *log, struct th_err *err)
{
    TH_TRY(beat(log, err)); /* before any slot is taken: the others must see that we live */
    if (pthread_create(&log->housekeeper, NULL, run, log) != 0)
        return th_fail(err, TH_NOMEM, "no thread to keep house");
    log->has_housekeeper = true;
    return TH_OK;
}

void pg_house_stop(struct pg_log *log)
{
    if (!log->has_housekeeper)
        return;
    pthread_mutex_lock(&log->house_lock);
    log->house_stops = true;
    pthread_cond_signal(&log->house_wakes);
    pthread_mutex_unlock(&log->house_lock);
    pthread_join(log->housekeeper, NULL);
}
