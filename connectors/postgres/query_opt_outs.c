#include "connectors/postgres/queries_internal.h"

static const struct pg_statement list = {
    "SELECT contact, phone, source, changed_at FROM views.opt_outs"
    " WHERE tenant = $1::text AND contact > $2::int8 AND is_opted_out"
    " ORDER BY contact LIMIT $3::int8"};

static enum th_code take(const PGresult *result, int n, struct th_arena *arena,
                         struct view_opt_out *out, struct th_err *err)
{
    struct query_row row = query_row(result, n, arena);

    out->contact = query_next_int8(&row);
    out->phone = query_next_text(&row);
    out->source = query_next_text(&row);
    out->since_us = query_next_time_us(&row);
    return query_row_end(&row, err);
}

enum th_code query_opt_outs(struct views *views, struct th_str tenant, int64_t after, size_t limit,
                            struct th_arena *arena, struct view_opt_out **out, size_t *out_n,
                            struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(query_check_tenant(tenant, err));
    pg_add_bytes(&params, tenant);
    pg_add_int8(&params, after);
    pg_add_int8(&params, (int64_t)query_limit(limit));
    TH_TRY(pg_pool_execute(pg_views_of(views)->pool, &list, &params, &result, err));
    size_t n = (size_t)PQntuples(result);
    struct view_opt_out *opt_outs = th_arena_array(arena, n + 1, sizeof *opt_outs);
    if (!opt_outs)
        return th_fail(err, TH_NOMEM, "opt-outs");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take(result, (int)i, arena, &opt_outs[i], err));
    *out = opt_outs;
    *out_n = n;
    return TH_OK;
}
