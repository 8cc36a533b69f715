#include "common/tally.h"

#include <stdlib.h>
#include <string.h>

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

void tally_sends(struct tally *tally, struct th_str outcome, struct th_str reason, int64_t n)
{
    struct view_counts *counts = &tally->counts;

    if (th_str_eq(outcome, TH_STR("reached")))
        counts->reached += n;
    else if (th_str_eq(outcome, TH_STR("accepted_no_report")))
        counts->accepted_no_report += n;
    else if (th_str_eq(outcome, TH_STR("unreached")))
        add_reason(&tally->unreached, reason, n);
    else if (th_str_eq(outcome, TH_STR("suppressed")))
        add_reason(&tally->suppressed, reason, n);
    else if (th_str_eq(outcome, TH_STR("in_doubt")))
        counts->in_doubt += n;
    else if (th_str_eq(outcome, TH_STR("planned")))
        tally->planned += n;
}

void tally_open(struct tally *tally, int64_t n)
{
    tally->open += n;
}

static struct view_cost *cost_of(struct tally *tally, struct th_str currency, bool is_estimated)
{
    for (size_t i = 0; i < tally->cost_n; i++) {
        struct view_cost *cost = &tally->cost[i];
        if (cost->is_estimated == is_estimated &&
            th_str_eq(th_str(cost->amount.currency), currency))
            return cost;
    }
    return NULL;
}

enum th_code tally_cost(struct tally *tally, struct th_str currency, int64_t micros,
                        bool is_estimated, struct th_err *err)
{
    struct view_cost *cost = cost_of(tally, currency, is_estimated);

    if (!cost) {
        if (currency.n >= sizeof cost->amount.currency)
            return th_fail(err, TH_CORRUPT, "a currency of %zu letters", currency.n);
        if (tally->cost_n == TALLY_COSTS_MAX)
            return th_fail(err, TH_CORRUPT, "more than %d currencies", TALLY_COSTS_MAX);
        cost = &tally->cost[tally->cost_n++];
        cost->is_estimated = is_estimated;
        if (currency.n)
            memcpy(cost->amount.currency, currency.p, currency.n);
    }
    cost->amount.micros += micros;
    return TH_OK;
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
void tally_conclude(struct tally *tally, const struct tally_campaign *campaign)
{
    struct view_counts *counts = &tally->counts;

    add_reason(&tally->suppressed, TH_STR("duplicate"), campaign->duplicates);
    if (campaign->is_cancelled)
        add_reason(&tally->unreached, TH_STR("cancelled"),
                   campaign->recipients - campaign->released);
    counts->in_doubt += tally->planned < tally->open ? tally->planned : tally->open;
    counts->unreached = tally->unreached.sum;
    counts->suppressed = tally->suppressed.sum;
    int64_t known = counts->reached + counts->accepted_no_report + counts->unreached +
                    counts->suppressed + counts->in_doubt;
    counts->audience = at_least(known, campaign->recipients);
    counts->unsent = counts->audience - known;
    qsort(tally->unreached.at, tally->unreached.n, sizeof *tally->unreached.at, cmp_reasons);
    qsort(tally->suppressed.at, tally->suppressed.n, sizeof *tally->suppressed.at, cmp_reasons);
    qsort(tally->cost, tally->cost_n, sizeof *tally->cost, cmp_costs);
}

void tally_certificate(struct tally *tally, struct th_id campaign, bool is_final,
                       struct view_certificate *out)
{
    *out = (struct view_certificate){
        .campaign = campaign,
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
}
