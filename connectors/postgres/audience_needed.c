#include "connectors/postgres/audience_needed.h"

#include "connectors/postgres/pg.h"

/* A seal lies behind its parts; an audience without any has nothing but that. */
static const struct pg_statement needed = {
    "SELECT n.log_part::int4, min(n.log_offset)::int8 FROM views.campaigns c JOIN"
    " (SELECT audience, tenant, log_part, log_offset FROM views.audience_parts"
    " UNION ALL SELECT audience, tenant, log_part, seal_next - 1 FROM views.audiences"
    " WHERE seal_next > 0) n USING (audience, tenant)"
    " WHERE c.ended_at IS NULL GROUP BY n.log_part"};

enum th_code pg_audience_needed(const char *conninfo, struct th_arena *arena,
                                struct log_place **out_places, size_t *out_n, struct th_err *err)
{
    const struct pg_config config = {
        .conninfo = conninfo, .application_name = "telehub audience", .is_read_only = true};
    TH_AUTO(pg) struct pg *pg = NULL;
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_open(&config, &pg, err));
    TH_TRY(pg_execute(pg, &needed, NULL, &result, err));
    int n = PQntuples(result);
    struct log_place *places = th_arena_array(arena, (size_t)n + 1, sizeof *places);
    if (!places)
        return th_fail(err, TH_NOMEM, "%d partitions", n);
    for (int i = 0; i < n; i++) {
        struct pg_row row = pg_row(result, i);
        places[i].topic = TOPIC_CAMPAIGN_AUDIENCE;
        places[i].part = pg_next_int4(&row);
        places[i].offset = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
    }
    *out_places = places;
    *out_n = (size_t)n;
    return TH_OK;
}
