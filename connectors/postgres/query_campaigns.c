#include "connectors/postgres/queries_internal.h"

/* A row without a creation is only a refusal of a command about no campaign. */
#define COLUMNS                                                                                    \
    "campaign, name, phase, channel, audience, pace_per_min, policy, category, run, recipients,"   \
    " in_flight, created_at, started_at, ended_at, refused_code, refused_detail"

static const struct pg_statement list = {"SELECT " COLUMNS " FROM views.campaigns"
                                         " WHERE tenant = $1::text AND created_at IS NOT NULL"
                                         " ORDER BY created_at DESC, campaign DESC LIMIT $2::int8"};

static const struct pg_statement list_after = {
    "SELECT " COLUMNS " FROM views.campaigns"
    " WHERE tenant = $1::text AND created_at IS NOT NULL"
    " AND (created_at, campaign) < (SELECT a.created_at, a.campaign FROM views.campaigns a"
    " WHERE a.campaign = $3::uuid AND a.tenant = $1::text)"
    " ORDER BY created_at DESC, campaign DESC LIMIT $2::int8"};

static const struct pg_statement one = {
    "SELECT " COLUMNS " FROM views.campaigns"
    " WHERE tenant = $1::text AND campaign = $2::uuid AND created_at IS NOT NULL"};

static enum th_code take(const PGresult *result, int n, struct th_arena *arena,
                         struct view_campaign *out, struct th_err *err)
{
    struct query_row row = query_row(result, n, arena);

    out->id = query_next_id(&row);
    out->name = query_next_text(&row);
    out->phase = query_next_text(&row);
    out->channel = query_next_text(&row);
    out->audience = query_next_id(&row);
    out->pace_per_min = query_next_int4(&row);
    out->policy = query_next_text(&row);
    out->category = query_next_text(&row);
    out->run = query_next_int4(&row);
    out->recipients = query_next_int8(&row);
    out->in_flight = query_next_int8(&row);
    out->created_us = query_next_time_us(&row);
    out->started_us = query_next_time_us(&row);
    out->ended_us = query_next_time_us(&row);
    out->refused_code = query_next_text(&row);
    out->refused_detail = query_next_text(&row);
    return query_row_end(&row, err);
}

enum th_code query_campaigns(struct views *views, struct th_str tenant, const struct th_id *after,
                             size_t limit, struct th_arena *arena, struct view_campaign **out,
                             size_t *out_n, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(query_check_tenant(tenant, err));
    pg_add_bytes(&params, tenant);
    pg_add_int8(&params, (int64_t)query_limit(limit));
    if (after)
        pg_add_uuid(&params, after->b);
    TH_TRY(pg_pool_execute(pg_views_of(views)->pool, after ? &list_after : &list, &params, &result,
                           err));
    size_t n = (size_t)PQntuples(result);
    struct view_campaign *campaigns = th_arena_array(arena, n + 1, sizeof *campaigns);
    if (!campaigns)
        return th_fail(err, TH_NOMEM, "campaigns");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take(result, (int)i, arena, &campaigns[i], err));
    *out = campaigns;
    *out_n = n;
    return TH_OK;
}

enum th_code query_campaign(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_campaign *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct view_campaign campaign;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(query_by_id(pg_views_of(views), &one, tenant, id, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no such campaign");
    TH_TRY(take(result, 0, arena, &campaign, err));
    *out = campaign;
    return TH_OK;
}
