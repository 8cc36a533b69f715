#include "connectors/postgres/queries_internal.h"

/* So many sends are looked through for one page: those that were given up are few among many, and
 * an index of them would make each write of a send dearer. */
#define LOOKED_AT_MAX 50000

/* The last row says where the looking ended, if that was not at the end of the table. */
static const struct pg_statement list = {
    "WITH s AS MATERIALIZED (SELECT send, tenant, campaign, channel, attempts, lane, outcome,"
    " reason, coalesce(attempt_reason, status_reason, '') AS why, ended_at"
    " FROM views.sends WHERE send < $1::uuid ORDER BY send DESC LIMIT $2::int8),"
    " found AS (SELECT * FROM s WHERE outcome = 'unreached' AND reason = 'exhausted'"
    " ORDER BY send DESC LIMIT $3::int8)"
    " SELECT true, f.send, coalesce(f.tenant, ''), f.campaign, coalesce(f.channel, ''), f.attempts,"
    " coalesce(l.account, ''), f.why, f.ended_at"
    " FROM found f LEFT JOIN views.lanes l ON l.lane = f.lane"
    " UNION ALL SELECT false, (SELECT send FROM s ORDER BY send LIMIT 1), '', NULL, '', 0, '', '',"
    " NULL WHERE (SELECT count(*) FROM s) = $2::int8"
    " ORDER BY 1 DESC, 2 DESC"};

static bool take(struct query_row *row, struct view_exhausted *out)
{
    bool is_found = query_next_bool(row);

    out->send = query_next_id(row);
    out->tenant = query_next_text(row);
    out->campaign = query_next_id(row);
    out->channel = query_next_text(row);
    out->attempts = query_next_int4(row);
    out->account = query_next_text(row);
    out->reason = query_next_text(row);
    out->at_us = query_next_time_us(row);
    return is_found;
}

static enum th_code take_all(const PGresult *result, struct th_arena *arena,
                             struct view_exhausted *out, size_t *out_n, struct th_id *out_next,
                             struct th_err *err)
{
    *out_n = 0;
    *out_next = (struct th_id){{0}};
    for (int i = 0; i < PQntuples(result); i++) {
        struct query_row row = query_row(result, i, arena);
        struct view_exhausted one;
        bool is_found = take(&row, &one);

        TH_TRY(query_row_end(&row, err));
        if (is_found)
            out[(*out_n)++] = one;
        else
            *out_next = one.send;
    }
    return TH_OK;
}

enum th_code query_exhausted(struct views *views, const struct th_id *after, size_t limit,
                             struct th_arena *arena, struct view_exhausted **out, size_t *out_n,
                             struct th_id *out_next, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct th_id last;

    for (size_t i = 0; i < sizeof last.b; i++)
        last.b[i] = 0xff;
    pg_add_uuid(&params, after ? after->b : last.b);
    pg_add_int8(&params, LOOKED_AT_MAX);
    pg_add_int8(&params, (int64_t)query_limit(limit));
    TH_TRY(pg_pool_execute(pg_views_of(views)->pool, &list, &params, &result, err));
    struct view_exhausted *found =
        th_arena_array(arena, (size_t)PQntuples(result) + 1, sizeof *found);
    if (!found)
        return th_fail(err, TH_NOMEM, "sends that were given up");
    TH_TRY(take_all(result, arena, found, out_n, out_next, err));
    if (*out_n == query_limit(limit))
        *out_next = found[*out_n - 1].send;
    *out = found;
    return TH_OK;
}
