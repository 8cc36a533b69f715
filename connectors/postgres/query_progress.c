#include "common/clock.h"
#include "connectors/postgres/query_tally.h"

/* Starts within a minute: found by time, which is how attempts are indexed. */
static const struct pg_statement starts = {
    "SELECT count(*), min(started_at), max(started_at) FROM views.attempts"
    " WHERE tenant = $1::text AND campaign = $2::uuid"
    " AND started_at > $3::timestamptz AND started_at <= $4::timestamptz"};

static const struct pg_statement last_start = {
    "SELECT max(started_at) FROM views.attempts WHERE tenant = $1::text AND campaign = $2::uuid"
    " AND started_at >= $3::timestamptz AND started_at <= $4::timestamptz"};

struct pulse {
    int64_t starts;
    int64_t first_us; /* 0: none */
    int64_t last_us;
};

/* The minute that ends at until_us. */
static enum th_code count_starts(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                                 int64_t until_us, struct pulse *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_bytes(&params, tenant);
    pg_add_uuid(&params, campaign.b);
    pg_add_time_us(&params, until_us - TH_US_PER_MIN);
    pg_add_time_us(&params, until_us);
    TH_TRY(pg_pool_execute(self->pool, &starts, &params, &result, err));
    struct query_row row = query_row(result, 0, NULL);
    out->starts = query_next_int8(&row);
    out->first_us = query_next_time_us(&row);
    out->last_us = query_next_time_us(&row);
    return query_row_end(&row, err);
}

static enum th_code find_last_start(struct pg_views *self, struct th_str tenant,
                                    const struct view_campaign *campaign, int64_t now_us,
                                    int64_t *out_us, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_bytes(&params, tenant);
    pg_add_uuid(&params, campaign->id.b);
    pg_add_time_us(&params, campaign->started_us);
    pg_add_time_us(&params, campaign->ended_us ? campaign->ended_us : now_us);
    TH_TRY(pg_pool_execute(self->pool, &last_start, &params, &result, err));
    struct query_row row = query_row(result, 0, NULL);
    *out_us = query_next_time_us(&row);
    return query_row_end(&row, err);
}

/* While it runs: the minute until now. Else the minute until its last start. */
static enum th_code feel_pulse(struct pg_views *self, struct th_str tenant,
                               const struct view_campaign *campaign, int64_t now_us,
                               struct pulse *out, struct th_err *err)
{
    int64_t last_us = 0;

    *out = (struct pulse){0};
    if (!campaign->started_us)
        return TH_OK;
    TH_TRY(count_starts(self, tenant, campaign->id, now_us, out, err));
    if (out->starts)
        return TH_OK;
    TH_TRY(find_last_start(self, tenant, campaign, now_us, &last_us, err));
    return last_us ? count_starts(self, tenant, campaign->id, last_us, out, err) : TH_OK;
}

/* A few starts in the first moment are no rate of their own: at least a second counts. */
static int64_t rate_milli_s(const struct view_campaign *campaign, const struct pulse *pulse,
                            int64_t now_us)
{
    bool is_running = th_str_eq(campaign->phase, TH_STR("running"));
    bool is_recent = now_us - pulse->last_us < TH_US_PER_MIN;
    int64_t until_us = is_running && is_recent ? now_us : pulse->last_us;
    int64_t span_us = until_us - pulse->first_us;

    if (span_us < TH_US_PER_SEC)
        span_us = TH_US_PER_SEC;
    return pulse->starts * 1000 * TH_US_PER_SEC / span_us;
}

static int64_t eta_s(const struct view_progress *progress, bool is_still)
{
    if (progress->counts.unsent == 0)
        return 0;
    if (is_still || progress->rate_milli_s <= 0)
        return -1;
    return (progress->counts.unsent * 1000 + progress->rate_milli_s - 1) / progress->rate_milli_s;
}

enum th_code query_progress(struct views *views, struct th_str tenant, struct th_id id,
                            int64_t now_us, struct th_arena *arena, struct view_progress *out,
                            struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    struct view_progress progress = {0};
    struct pulse pulse;
    struct tally *tally;

    TH_TRY(query_campaign(views, tenant, id, arena, &progress.campaign, err));
    TH_TRY(tally_campaign(self, tenant, id, arena, &tally, err));
    TH_TRY(feel_pulse(self, tenant, &progress.campaign, now_us, &pulse, err));
    progress.counts = tally->counts;
    progress.done = tally->counts.audience - tally->counts.unsent;
    progress.last_start_us = pulse.last_us;
    progress.rate_milli_s = rate_milli_s(&progress.campaign, &pulse, now_us);
    progress.eta_s = eta_s(&progress, !th_str_eq(progress.campaign.phase, TH_STR("running")) ||
                                          now_us - pulse.last_us >= TH_US_PER_MIN);
    *out = progress;
    return TH_OK;
}
