#include "connectors/postgres/query_tally.h"

static bool has_ended(struct th_str phase)
{
    return th_str_eq(phase, TH_STR("completed")) || th_str_eq(phase, TH_STR("cancelled"));
}

enum th_code query_certificate(struct views *views, struct th_str tenant, struct th_id id,
                               struct th_arena *arena, struct view_certificate *out,
                               struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    struct query_tally *tally;
    bool is_final = false;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(tally_campaign(self, tenant, id, arena, &tally, err));
    if (has_ended(tally->phase))
        TH_TRY(
            settled_ask(&self->settled, self->log, id, tally->next, tally->next_n, &is_final, err));
    tally_certificate(&tally->tally, id, is_final, out);
    return TH_OK;
}
