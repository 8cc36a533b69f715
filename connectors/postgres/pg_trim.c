/* Giving up what lies before an offset: first nobody reads it any more, then its rows go, then the
 * room that they took in segments to which nothing is added. Each step may be the last: the next
 * call goes on. */
#include <inttypes.h>
#include <stdio.h>

#include "connectors/postgres/pg_log_internal.h"

#define SWEEP_TIMEOUT_MS 3600000 /* of one statement: a segment has some GB */

static const struct pg_statement sql_start = {
    "SELECT h.log_start FROM eventlog.partition_head h"
    " WHERE h.topic_id = $1::int2 AND h.part = $2::int2",
};
static const struct pg_statement sql_set_start = {
    "SELECT eventlog.set_start($1::int2, $2::int2, $3::int8)",
};
static const struct pg_statement sql_sweepable = {
    "SELECT seg, closed FROM eventlog.sweepable() ORDER BY seg",
};
static const struct pg_statement sql_sweep = {"SELECT eventlog.sweep($1::int4)"};
static const struct pg_statement sql_is_empty = {
    "SELECT NOT EXISTS (SELECT FROM eventlog.batch b WHERE b.seg = $1::int4)",
};

static enum th_code start_of_row(PGresult *result, int64_t *out_start, struct th_err *err)
{
    if (PQntuples(result) != 1)
        return th_fail(err, TH_NOT_FOUND, "no such partition");
    struct pg_row row = pg_row(result, 0);
    int64_t start = pg_next_int8(&row);
    TH_TRY(pg_row_end(&row, err));
    *out_start = start;
    return TH_OK;
}

enum th_code pg_start(struct th_log *base, enum topic topic, int part, int64_t *out_start,
                      struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int2(&params, (int16_t)topic);
    pg_add_int2(&params, (int16_t)part);
    TH_TRY(pg_pool_execute(pg_log_of(base)->pool, &sql_start, &params, &result, err));
    return start_of_row(result, out_start, err);
}

static enum th_code set_start(struct pg *pg, struct log_place place, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int2(&params, (int16_t)place.topic);
    pg_add_int2(&params, (int16_t)place.part);
    pg_add_int8(&params, place.offset);
    return pg_execute(pg, &sql_set_start, &params, NULL, err);
}

static enum th_code run_on_segment(struct pg *pg, const char *verb, int seg, const char *rest,
                                   struct th_err *err)
{
    char sql[160];

    snprintf(sql, sizeof sql, "%s eventlog.batch_%d%s", verb, seg, rest);
    return pg_run(pg, sql, err);
}

/* A segment that is left by all heads: give its room back to the disk, all of it when it is empty.
 * What stands in the way (a reader, a lock) leaves that to the next time: the rows are gone. */
static enum th_code give_room_back(struct pg *pg, int seg, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int4(&params, seg);
    TH_TRY(pg_execute(pg, &sql_is_empty, &params, &result, err));
    struct pg_row row = pg_row(result, 0);
    bool is_empty = pg_next_bool(&row);
    TH_TRY(pg_row_end(&row, err));
    if (!is_empty)
        return run_on_segment(pg, "VACUUM (FULL)", seg, "", err);
    TH_TRY(run_on_segment(pg, "ALTER TABLE eventlog.batch DETACH PARTITION", seg, " CONCURRENTLY",
                          err));
    return run_on_segment(pg, "DROP TABLE", seg, "", err);
}

static enum th_code sweep(struct pg *pg, int seg, bool is_closed, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, seg);
    TH_TRY(pg_execute(pg, &sql_sweep, &params, NULL, err));
    return is_closed ? give_room_back(pg, seg, err) : TH_OK;
}

static enum th_code sweep_all(struct pg *pg, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_sweepable, NULL, &result, err));
    for (int i = 0; i < PQntuples(result); i++) {
        struct pg_row row = pg_row(result, i);
        int seg = pg_next_int4(&row);
        bool is_closed = pg_next_bool(&row);
        TH_TRY(pg_row_end(&row, err));
        TH_TRY(sweep(pg, seg, is_closed, err));
    }
    return TH_OK;
}

enum th_code pg_trim(struct th_log *base, const struct log_place *places, size_t n,
                     struct th_err *err)
{
    TH_AUTO(pg) struct pg *pg = NULL;
    struct pg_config config = pg_log_of(base)->log_config;

    config.statement_timeout_ms = SWEEP_TIMEOUT_MS;
    TH_TRY(pg_open(&config, &pg, err));
    for (size_t i = 0; i < n; i++)
        TH_TRY(set_start(pg, places[i], err));
    pg_ring_empty(pg_log_of(base)->ring);
    return sweep_all(pg, err);
}
