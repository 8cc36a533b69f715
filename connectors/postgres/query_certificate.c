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
    struct tally *tally;
    bool is_final = false;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(tally_campaign(self, tenant, id, arena, &tally, err));
    if (has_ended(tally->phase))
        TH_TRY(
            settled_ask(&self->settled, self->log, id, tally->next, tally->next_n, &is_final, err));
    *out = (struct view_certificate){
        .campaign = id,
        .is_final = is_final,
        .audience = tally->counts.audience,
        .reached = tally->counts.reached,
        .accepted_no_report = tally->counts.accepted_no_report,
        .unreached = tally->unreached.at,
        .unreached_n = tally->unreached.n,
        .suppressed = tally->suppressed.at,
        .suppressed_n = tally->suppressed.n,
        .in_doubt = tally->counts.in_doubt,
        .unsent = tally->counts.unsent,
        .cost = tally->cost,
        .cost_n = tally->cost_n,
    };
    return TH_OK;
}
