#include "processors/dispatch/lane.h"

#define SECOND_US INT64_C(1000000)

static enum th_code widen(struct dispatch *d, size_t n)
{
    struct lane **lanes = realloc(d->lanes, n * sizeof(struct lane *));

    if (!lanes)
        return TH_NOMEM;
    for (size_t i = d->lanes_n; i < n; i++)
        lanes[i] = NULL;
    d->lanes = lanes;
    d->lanes_n = n;
    return TH_OK;
}

enum th_code lane_of(struct dispatch *d, int32_t number, struct lane **out)
{
    if (number < 1 || number > DISPATCH_LANES_MAX)
        return TH_INVALID;
    if ((size_t)number >= d->lanes_n)
        TH_TRY(widen(d, (size_t)number + 1));
    if (!d->lanes[number]) {
        struct lane *lane = calloc(1, sizeof *lane);
        if (!lane)
            return TH_NOMEM;
        const struct ref_lane *known = reference_lane(d->env.reference, number);
        lane->number = number;
        lane->wake_us = INT64_MAX;
        lane->circuit = known ? known->circuit : CIRCUIT_CLOSED;
        d->lanes[number] = lane;
    }
    *out = d->lanes[number];
    return TH_OK;
}

void lane_queue(struct lane *lane, struct plan *plan)
{
    plan->next = NULL;
    plan->is_queued = true;
    if (lane->last)
        lane->last->next = plan;
    else
        lane->first = plan;
    lane->last = plan;
}

void lane_queue_drop_first(struct lane *lane)
{
    struct plan *plan = lane->first;

    lane->first = plan->next;
    if (!lane->first)
        lane->last = NULL;
    plan->next = NULL;
    plan->is_queued = false;
}

static int64_t spacing_us(int32_t rate_per_s)
{
    return SECOND_US * 100 / ((int64_t)rate_per_s * 95) + 1;
}

static int64_t saved_up(int32_t rate_per_s)
{
    return rate_per_s >= 20 ? rate_per_s / 20 : 1;
}

int64_t lane_token_us(const struct lane *lane, int32_t rate_per_s)
{
    if (rate_per_s <= 0)
        return 0;
    return lane->tat_us - (saved_up(rate_per_s) - 1) * spacing_us(rate_per_s);
}

void lane_take_token(struct lane *lane, int32_t rate_per_s, int64_t now_us)
{
    if (rate_per_s <= 0)
        return;
    lane->tat_us = (lane->tat_us > now_us ? lane->tat_us : now_us) + spacing_us(rate_per_s);
}

void lane_begin(struct lane *lane, int64_t now_us)
{
    lane->tat_us = now_us + SECOND_US;
}

void lane_count(struct lane *lane, int64_t now_us, bool is_failure)
{
    int64_t second = now_us / SECOND_US;
    size_t i = (size_t)(second % CIRCUIT_BUCKETS);

    if (lane->buckets[i].second != second) {
        lane->buckets[i].second = second;
        lane->buckets[i].calls = 0;
        lane->buckets[i].failures = 0;
    }
    lane->buckets[i].calls++;
    lane->buckets[i].failures += is_failure;
}

void lane_recent(const struct lane *lane, int64_t now_us, int32_t *out_calls, int32_t *out_failures)
{
    int64_t second = now_us / SECOND_US;

    *out_calls = *out_failures = 0;
    for (size_t i = 0; i < CIRCUIT_BUCKETS; i++) {
        if (second - lane->buckets[i].second >= CIRCUIT_BUCKETS)
            continue;
        *out_calls += lane->buckets[i].calls;
        *out_failures += lane->buckets[i].failures;
    }
}
