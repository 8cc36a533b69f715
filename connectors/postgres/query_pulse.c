#include "connectors/postgres/query_pulse.h"

#include "common/clock.h"
#include "connectors/postgres/queries_internal.h"

void pulses_init(struct pulses *pulses)
{
    *pulses = (struct pulses){0};
    (void)pthread_mutex_init(&pulses->mutex, NULL);
}

void pulses_fini(struct pulses *pulses)
{
    (void)pthread_mutex_destroy(&pulses->mutex);
}

/* --- what is remembered -------------------------------------------------------------------------
 */

static bool recall(struct pulses *pulses, struct th_id campaign, int64_t now_us, struct pulse *out)
{
    bool is_fresh = false;

    (void)pthread_mutex_lock(&pulses->mutex);
    for (size_t i = 0; i < PULSES_MAX && !is_fresh; i++) {
        int64_t felt_us = pulses->at[i].felt_us;
        is_fresh = felt_us && felt_us <= now_us && now_us - felt_us < TH_US_PER_SEC &&
                   th_id_eq(pulses->at[i].campaign, campaign);
        if (is_fresh)
            *out = pulses->at[i].pulse;
    }
    (void)pthread_mutex_unlock(&pulses->mutex);
    return is_fresh;
}

static void remember(struct pulses *pulses, struct th_id campaign, int64_t now_us,
                     const struct pulse *pulse)
{
    size_t place = 0;

    (void)pthread_mutex_lock(&pulses->mutex);
    for (size_t i = 0; i < PULSES_MAX; i++) {
        if (pulses->at[i].felt_us && th_id_eq(pulses->at[i].campaign, campaign)) {
            place = i;
            break;
        }
        if (pulses->at[i].felt_us < pulses->at[place].felt_us)
            place = i;
    }
    pulses->at[place].campaign = campaign;
    pulses->at[place].felt_us = now_us;
    pulses->at[place].pulse = *pulse;
    (void)pthread_mutex_unlock(&pulses->mutex);
}

/* --- feeling it ----------------------------------------------------------------------------------
 */

/* The newest starts, at most so many: enough for a rate, and bounded however fast it goes. The
 * tenant is asked for once, of the campaign: asked for of each attempt it would have every row
 * looked up, where the index alone has what is counted. */
static const struct pg_statement newest_starts = {
    "WITH s AS MATERIALIZED (SELECT started_at FROM views.attempts"
    " WHERE campaign = (SELECT campaign FROM views.campaigns"
    " WHERE tenant = $1::text AND campaign = $2::uuid) AND started_at <= $3::timestamptz"
    " ORDER BY started_at DESC LIMIT 5000)"
    " SELECT count(*), min(started_at), max(started_at) FROM s"
    " WHERE started_at > (SELECT max(started_at) FROM s) - interval '1 minute'"};

static enum th_code ask(struct pg_pool *pool, struct th_str tenant, struct th_id campaign,
                        int64_t now_us, struct pulse *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_bytes(&params, tenant);
    pg_add_uuid(&params, campaign.b);
    pg_add_time_us(&params, now_us);
    TH_TRY(pg_pool_execute(pool, &newest_starts, &params, &result, err));
    struct query_row row = query_row(result, 0, NULL);
    out->starts = query_next_int8(&row);
    out->first_us = query_next_time_us(&row);
    out->last_us = query_next_time_us(&row);
    return query_row_end(&row, err);
}

enum th_code pulse_feel(struct pulses *pulses, struct pg_pool *pool, struct th_str tenant,
                        struct th_id campaign, int64_t now_us, struct pulse *out,
                        struct th_err *err)
{
    if (recall(pulses, campaign, now_us, out))
        return TH_OK;
    TH_TRY(ask(pool, tenant, campaign, now_us, out, err));
    remember(pulses, campaign, now_us, out);
    return TH_OK;
}
