#include "connectors/postgres/queries_internal.h"

static const struct pg_statement one = {
    "SELECT audience, name, seal_next > 0, parts::int8, recipients, rejected, created_at"
    " FROM views.audiences WHERE tenant = $1::text AND audience = $2::uuid"};

enum th_code query_audience(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_audience *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct view_audience audience;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(query_by_id(pg_views_of(views), &one, tenant, id, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no such audience");
    struct query_row row = query_row(result, 0, arena);
    audience.id = query_next_id(&row);
    audience.name = query_next_text(&row);
    audience.is_sealed = query_next_bool(&row);
    audience.parts = query_next_int8(&row);
    audience.recipients = query_next_int8(&row);
    audience.rejected = query_next_int8(&row);
    audience.created_us = query_next_time_us(&row);
    TH_TRY(query_row_end(&row, err));
    *out = audience;
    return TH_OK;
}
