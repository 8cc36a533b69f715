#include "connectors/postgres/query_tally.h"

/* Everything in one statement, so that all of it is from one moment. */
enum fact {
    FACT_CAMPAIGN, /* a: phase; x: recipients, y: released, z: duplicates */
    FACT_SENDS,    /* a: outcome, b: reason; x: how many */
    FACT_OPEN,     /* x: attempts that were started and have no outcome */
    FACT_COST,     /* a: currency; x: micros, y: 1 if estimated */
    FACT_PROGRESS, /* x: next offset, y: topic, z: partition */
};

static const struct pg_statement facts = {
    "WITH c AS MATERIALIZED (SELECT campaign, phase, recipients, released, duplicates"
    " FROM views.campaigns"
    " WHERE tenant = $1::text AND campaign = $2::uuid AND created_at IS NOT NULL)"
    " SELECT 0::int4, phase, ''::text, recipients, released, duplicates FROM c"
    " UNION ALL"
    " SELECT 1, x.outcome, x.reason, sum(x.n)::int8, 0, 0 FROM views.campaign_counters x, c"
    " WHERE x.campaign = c.campaign AND x.tenant = $1::text AND x.source = 1"
    " GROUP BY x.outcome, x.reason"
    " UNION ALL"
    " SELECT 2, '', '', sum(x.n)::int8, 0, 0 FROM views.campaign_counters x, c"
    " WHERE x.campaign = c.campaign AND x.tenant = $1::text AND x.source = 2 HAVING count(*) > 0"
    " UNION ALL"
    " SELECT 3, x.currency, '', sum(x.micros)::int8, x.is_estimated::int4::int8, 0"
    " FROM views.campaign_costs x, c WHERE x.campaign = c.campaign AND x.tenant = $1::text"
    " GROUP BY x.currency, x.is_estimated"
    " UNION ALL"
    " SELECT 4, '', '', p.next_offset, p.topic::int8, p.log_part::int8 FROM views.progress p, c"};

/* On the way into the tally. */
struct counting {
    struct query_tally *out;
    struct tally_campaign campaign;
    struct th_arena *arena;
};

static void take_campaign(struct counting *c, struct th_str phase, int64_t recipients,
                          int64_t released, int64_t duplicates)
{
    c->out->phase = phase;
    c->campaign = (struct tally_campaign){.recipients = recipients,
                                          .released = released,
                                          .duplicates = duplicates,
                                          .is_cancelled = th_str_eq(phase, TH_STR("cancelled"))};
}

static enum th_code take(const PGresult *result, int i, struct counting *c, struct th_err *err)
{
    struct query_row row = query_row(result, i, c->arena);
    int32_t fact = query_next_int4(&row);
    struct th_str a = query_next_text(&row);
    struct th_str b = query_next_text(&row);
    int64_t x = query_next_int8(&row);
    int64_t y = query_next_int8(&row);
    int64_t z = query_next_int8(&row);

    TH_TRY(query_row_end(&row, err));
    switch ((enum fact)fact) {
    case FACT_CAMPAIGN:
        take_campaign(c, a, x, y, z);
        return TH_OK;
    case FACT_SENDS:
        tally_sends(&c->out->tally, a, b, x);
        return TH_OK;
    case FACT_OPEN:
        tally_open(&c->out->tally, x);
        return TH_OK;
    case FACT_COST:
        return tally_cost(&c->out->tally, a, x, y != 0, err);
    case FACT_PROGRESS:
        c->out->next[c->out->next_n++] =
            (struct log_place){.topic = (enum topic)y, .part = (int)z, .offset = x};
        return TH_OK;
    }
    return th_fail(err, TH_CORRUPT, "an answer that nobody asked for");
}

enum th_code tally_campaign(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                            struct th_arena *arena, struct query_tally **out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct counting counting = {.arena = arena};

    TH_TRY(query_by_id(self, &facts, tenant, campaign, &result, err));
    size_t n = (size_t)PQntuples(result);
    if (n == 0)
        return th_fail(err, TH_NOT_FOUND, "no such campaign");
    counting.out = th_arena_alloc(arena, sizeof *counting.out);
    if (!counting.out)
        return th_fail(err, TH_NOMEM, "counts of a campaign");
    counting.out->next = th_arena_array(arena, n, sizeof *counting.out->next);
    if (!counting.out->next)
        return th_fail(err, TH_NOMEM, "counts of a campaign");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take(result, (int)i, &counting, err));
    tally_conclude(&counting.out->tally, &counting.campaign);
    *out = counting.out;
    return TH_OK;
}
