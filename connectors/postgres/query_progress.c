#include "common/clock.h"
#include "connectors/postgres/query_tally.h"

#define VIEWS_BEHIND_US (2 * TH_US_PER_SEC)

/* While it runs, a rate sinks when nothing starts; but the views may be a little behind. A few
 * starts in the first moment are no rate of their own: at least a second counts. */
static int64_t rate_milli_s(const struct pulse *pulse, bool is_going, int64_t now_us)
{
    int64_t until_us = is_going && now_us - VIEWS_BEHIND_US > pulse->last_us
                           ? now_us - VIEWS_BEHIND_US
                           : pulse->last_us;
    int64_t span_us = until_us - pulse->first_us;

    if (span_us < TH_US_PER_SEC)
        span_us = TH_US_PER_SEC;
    return pulse->starts * 1000 * TH_US_PER_SEC / span_us;
}

static int64_t eta_s(const struct view_progress *progress, bool is_going)
{
    if (progress->counts.unsent == 0)
        return 0;
    if (!is_going || progress->rate_milli_s <= 0)
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
    struct query_tally *tally;

    TH_TRY(query_campaign(views, tenant, id, arena, &progress.campaign, err));
    TH_TRY(tally_campaign(self, tenant, id, arena, &tally, err));
    TH_TRY(pulse_feel(&self->pulses, self->pool, tenant, id, now_us, &pulse, err));
    bool is_going = th_str_eq(progress.campaign.phase, TH_STR("running")) &&
                    now_us - pulse.last_us < TH_US_PER_MIN;
    progress.counts = tally->tally.counts;
    progress.done = tally->tally.counts.audience - tally->tally.counts.unsent;
    progress.last_start_us = pulse.last_us;
    progress.rate_milli_s = rate_milli_s(&pulse, is_going, now_us);
    progress.eta_s = eta_s(&progress, is_going);
    *out = progress;
    return TH_OK;
}
