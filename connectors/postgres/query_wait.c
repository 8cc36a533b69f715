#include <errno.h>
#include <time.h>

#include "common/clock.h"
#include "connectors/postgres/queries_internal.h"

#define STEP_FIRST_US (10 * TH_US_PER_MS)
#define STEP_MAX_US   (50 * TH_US_PER_MS)

uint32_t query_folded_topics(void)
{
    static const enum topic folded[] = {
        TOPIC_CAMPAIGN_COMMANDS, TOPIC_CAMPAIGN_AUDIENCE,
        TOPIC_CAMPAIGN_EVENTS,   TOPIC_SEND_REQUESTS,
        TOPIC_SEND_EVENTS,       TOPIC_SEND_OUTCOMES,
        TOPIC_DISPATCH_ATTEMPTS, TOPIC_CONFIG,
        TOPIC_CONSENT_EVENTS,    TOPIC_DEAD_LETTERS,
    };
    uint32_t topics = 0;

    for (size_t i = 0; i < TH_LEN(folded); i++)
        topics |= UINT32_C(1) << folded[i];
    return topics;
}

static bool is_folded(enum topic topic)
{
    return query_folded_topics() >> topic & 1;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static const struct pg_statement count_passed = {
    "SELECT count(*) FROM unnest($1::int4[], $2::int4[], $3::int8[]) w(topic, log_part, log_offset)"
    " JOIN views.progress p USING (topic, log_part) WHERE p.next_offset > w.log_offset"};

static enum th_code check_places(struct pg_views *self, const struct log_place *places, size_t n,
                                 struct th_err *err)
{
    if (n > VIEWS_WAIT_PLACES_MAX)
        return th_fail(err, TH_INVALID, "%zu places at once; at most %d", n, VIEWS_WAIT_PLACES_MAX);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)places[i].topic >= TOPIC_COUNT)
            return th_fail(err, TH_INVALID, "no topic has the number %u",
                           (unsigned)places[i].topic);
        if (places[i].part < 0 || places[i].part >= th_log_partitions(self->log, places[i].topic) ||
            places[i].offset < 0)
            return th_fail(err, TH_INVALID, "%s has no such place", topic_name(places[i].topic));
    }
    return TH_OK;
}

static void add_places(struct pg_params *params, const struct log_place *places, size_t n)
{
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < n; i++)
        pg_item_int4(params, (int32_t)places[i].topic);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < n; i++)
        pg_item_int4(params, places[i].part);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < n; i++)
        pg_item_int8(params, places[i].offset);
}

static enum th_code count_places(struct pg_views *self, const struct log_place *places, size_t n,
                                 size_t *out_passed, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    add_places(&params, places, n);
    TH_TRY(pg_pool_execute(self->pool, &count_passed, &params, &result, err));
    struct query_row row = query_row(result, 0, NULL);
    *out_passed = (size_t)query_next_int8(&row);
    return query_row_end(&row, err);
}

static void sleep_until(int64_t monotonic_us)
{
    const struct timespec at = {.tv_sec = (time_t)(monotonic_us / TH_US_PER_SEC),
                                .tv_nsec = (long)(monotonic_us % TH_US_PER_SEC * 1000)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

enum th_code query_wait_for(struct views *views, const struct log_place *places, size_t n,
                            int64_t until_us, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    struct log_place awaited[VIEWS_WAIT_PLACES_MAX];
    int64_t step_us = STEP_FIRST_US;
    size_t awaited_n = 0;
    size_t passed = 0;

    TH_TRY(check_places(self, places, n, err));
    for (size_t i = 0; i < n; i++)
        if (is_folded(places[i].topic))
            awaited[awaited_n++] = places[i];
    while (awaited_n) {
        TH_TRY(count_places(self, awaited, awaited_n, &passed, err));
        if (passed == awaited_n)
            break;
        int64_t now_us = th_clock_monotonic_us(&th_clock_real);
        if (now_us >= until_us)
            return th_fail(err, TH_TIMEOUT, "the views are behind in %zu of %zu places",
                           awaited_n - passed, awaited_n);
        sleep_until(now_us + step_us < until_us ? now_us + step_us : until_us);
        step_us = 2 * step_us < STEP_MAX_US ? 2 * step_us : STEP_MAX_US;
    }
    return TH_OK;
}

/* --- how far behind --------------------------------------------------------------------------- */

static const struct pg_statement list_progress = {
    "SELECT topic, log_part, next_offset FROM views.progress"};

/* Folded of one partition. */
static enum th_code folded_to(const PGresult *progress, enum topic topic, int part,
                              int64_t *out_next, struct th_err *err)
{
    *out_next = 0;
    for (int i = 0; i < PQntuples(progress); i++) {
        struct query_row row = query_row(progress, i, NULL);
        bool is_it = query_next_int4(&row) == (int32_t)topic;
        is_it = query_next_int4(&row) == part && is_it;
        int64_t next = query_next_int8(&row);
        TH_TRY(query_row_end(&row, err));
        if (is_it)
            *out_next = next;
    }
    return TH_OK;
}

enum th_code query_lag(struct views *views, int64_t *out_events, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    TH_AUTO(pg_result) PGresult *progress = NULL;
    int64_t next;
    int64_t end;

    TH_TRY(pg_pool_execute(self->pool, &list_progress, NULL, &progress, err));
    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        out_events[topic] = is_folded(topic) ? 0 : -1;
        int partitions = is_folded(topic) ? th_log_partitions(self->log, topic) : 0;
        for (int part = 0; part < partitions; part++) {
            TH_TRY(folded_to(progress, topic, part, &next, err));
            TH_TRY(th_log_end(self->log, topic, part, &end, err));
            out_events[topic] += end > next ? end - next : 0;
        }
    }
    return TH_OK;
}

/* --- troubles --------------------------------------------------------------------------------- */

/* A send whose attempt was started and has no outcome is in doubt as well. */
static const struct pg_statement list_troubles = {
    "SELECT (SELECT coalesce(sum(d + least(p, o)), 0)::int8 FROM ("
    "SELECT coalesce(sum(n) FILTER (WHERE source = 1 AND outcome = 'in_doubt'), 0) AS d,"
    " coalesce(sum(n) FILTER (WHERE source = 1 AND outcome = 'planned'), 0) AS p,"
    " coalesce(sum(n) FILTER (WHERE source = 2), 0) AS o"
    " FROM views.campaign_counters GROUP BY campaign) c),"
    " (SELECT count(*) FROM views.dead_letters d WHERE d.letter IS NOT NULL AND NOT EXISTS"
    " (SELECT FROM views.dead_letter_ends e WHERE e.letter = d.letter))"};

enum th_code query_troubles(struct views *views, struct view_troubles *out, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    TH_AUTO(pg_result) PGresult *troubles = NULL;

    TH_TRY(pg_pool_execute(self->pool, &list_troubles, NULL, &troubles, err));
    struct query_row row = query_row(troubles, 0, NULL);
    out->in_doubt = query_next_int8(&row);
    out->dead_letters = query_next_int8(&row);
    return query_row_end(&row, err);
}
