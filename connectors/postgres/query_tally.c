#include "connectors/postgres/query_tally.h"

#include <string.h>

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

/* What was counted, before it is concluded. */
struct counting {
    struct tally *tally;
    struct th_arena *arena;
    int64_t recipients;
    int64_t released;
    int64_t duplicates;
    int64_t planned; /* sends handed to a lane */
    int64_t open;    /* attempts that were started and have no outcome */
};

/* The last place is for whatever finds none of its own. */
static void add_reason(struct tally_reasons *reasons, struct th_str reason, int64_t n)
{
    size_t i = 0;

    if (n <= 0)
        return;
    reasons->sum += n;
    if (!reason.n)
        reason = TH_STR("unspecified");
    while (i < reasons->n && !th_str_eq(reasons->at[i].reason, reason))
        i++;
    if (i == VIEWS_REASONS_MAX - 1)
        reason = TH_STR("other");
    if (i == reasons->n)
        reasons->at[reasons->n++] = (struct view_reason){reason, 0};
    reasons->at[i].n += n;
}

static void take_sends(struct counting *c, struct th_str outcome, struct th_str reason, int64_t n)
{
    struct view_counts *counts = &c->tally->counts;

    if (th_str_eq(outcome, TH_STR("reached")))
        counts->reached += n;
    else if (th_str_eq(outcome, TH_STR("accepted_no_report")))
        counts->accepted_no_report += n;
    else if (th_str_eq(outcome, TH_STR("unreached")))
        add_reason(&c->tally->unreached, reason, n);
    else if (th_str_eq(outcome, TH_STR("suppressed")))
        add_reason(&c->tally->suppressed, reason, n);
    else if (th_str_eq(outcome, TH_STR("in_doubt")))
        counts->in_doubt += n;
    else if (th_str_eq(outcome, TH_STR("planned")))
        c->planned += n;
}

static void take_cost(struct tally *tally, struct th_str currency, int64_t micros,
                      bool is_estimated)
{
    struct view_cost *cost = &tally->cost[tally->cost_n++];

    *cost = (struct view_cost){.amount.micros = micros, .is_estimated = is_estimated};
    memcpy(cost->amount.currency, currency.p, currency.n);
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
        c->tally->phase = a;
        c->recipients = x;
        c->released = y;
        c->duplicates = z;
        return TH_OK;
    case FACT_SENDS:
        take_sends(c, a, b, x);
        return TH_OK;
    case FACT_OPEN:
        c->open = x;
        return TH_OK;
    case FACT_COST:
        if (a.n >= sizeof c->tally->cost->amount.currency)
            return th_fail(err, TH_CORRUPT, "a currency of %zu letters", a.n);
        take_cost(c->tally, a, x, y != 0);
        return TH_OK;
    case FACT_PROGRESS:
        c->tally->next[c->tally->next_n++] =
            (struct log_place){.topic = (enum topic)y, .part = (int)z, .offset = x};
        return TH_OK;
    }
    return th_fail(err, TH_CORRUPT, "an answer that nobody asked for");
}

static int cmp_reasons(const void *a, const void *b)
{
    const struct view_reason *x = a;
    const struct view_reason *y = b;

    return th_str_cmp(x->reason, y->reason);
}

static int cmp_costs(const void *a, const void *b)
{
    const struct view_cost *x = a;
    const struct view_cost *y = b;
    int cmp = strcmp(x->amount.currency, y->amount.currency);

    return cmp ? cmp : x->is_estimated - y->is_estimated;
}

static int64_t at_least(int64_t least, int64_t n)
{
    return n > least ? n : least;
}

/* Sends may be counted a moment before the start of their campaign is seen: then the audience is
 * at least those. */
static void conclude(struct counting *c)
{
    struct tally *tally = c->tally;
    struct view_counts *counts = &tally->counts;

    add_reason(&tally->suppressed, TH_STR("duplicate"), c->duplicates);
    if (th_str_eq(tally->phase, TH_STR("cancelled")))
        add_reason(&tally->unreached, TH_STR("cancelled"), c->recipients - c->released);
    counts->in_doubt += c->planned < c->open ? c->planned : c->open;
    counts->unreached = tally->unreached.sum;
    counts->suppressed = tally->suppressed.sum;
    int64_t known = counts->reached + counts->accepted_no_report + counts->unreached +
                    counts->suppressed + counts->in_doubt;
    counts->audience = at_least(known, c->recipients);
    counts->unsent = counts->audience - known;
    qsort(tally->unreached.at, tally->unreached.n, sizeof *tally->unreached.at, cmp_reasons);
    qsort(tally->suppressed.at, tally->suppressed.n, sizeof *tally->suppressed.at, cmp_reasons);
    qsort(tally->cost, tally->cost_n, sizeof *tally->cost, cmp_costs);
}

enum th_code tally_campaign(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                            struct th_arena *arena, struct tally **out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct counting counting = {.arena = arena};

    TH_TRY(query_by_id(self, &facts, tenant, campaign, &result, err));
    size_t n = (size_t)PQntuples(result);
    if (n == 0)
        return th_fail(err, TH_NOT_FOUND, "no such campaign");
    counting.tally = th_arena_alloc(arena, sizeof *counting.tally);
    if (!counting.tally)
        return th_fail(err, TH_NOMEM, "counts of a campaign");
    counting.tally->cost = th_arena_array(arena, n, sizeof *counting.tally->cost);
    counting.tally->next = th_arena_array(arena, n, sizeof *counting.tally->next);
    if (!counting.tally->cost || !counting.tally->next)
        return th_fail(err, TH_NOMEM, "counts of a campaign");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take(result, (int)i, &counting, err));
    conclude(&counting);
    *out = counting.tally;
    return TH_OK;
}
