#include "common/content.h"
#include "connectors/postgres/queries_internal.h"
#include "connectors/postgres/query_timeline.h"

#define PART_ARENA_MAX ((size_t)16 * 1024 * 1024)

static const struct pg_statement find_send = {
    "SELECT s.send, s.channel, s.campaign, s.audience, s.part, s.row, s.phone,"
    " CASE WHEN s.outcome <> 'planned' THEN s.outcome"
    " WHEN (SELECT a.state FROM views.attempts a WHERE a.send = s.send AND a.n = s.attempts)"
    " = 'started' THEN 'in_doubt' ELSE 'unsent' END,"
    " CASE WHEN s.outcome IN ('unreached', 'suppressed')"
    " THEN coalesce(s.reason, 'unspecified') END,"
    " s.requested_at, s.places"
    " FROM views.sends s WHERE s.tenant = $1::text AND s.send = $2::uuid"};

/* An estimate counts only while the provider may have carried the attempt out. */
static const struct pg_statement list_attempts = {
    "SELECT a.n, a.lane, l.account, a.sender, a.state,"
    " coalesce(a.outcome_reason, a.returned_reason, a.status_reason), a.status, a.provider_id,"
    " a.started_at, a.ended_at,"
    " CASE WHEN a.priced_at IS NOT NULL THEN a.price_micros"
    " WHEN a.state IN ('started', 'unknown', 'in_doubt', 'accepted') THEN a.estimate_micros"
    " ELSE 0 END,"
    " CASE WHEN a.priced_at IS NOT NULL THEN a.price_currency ELSE a.estimate_currency END,"
    " a.priced_at IS NULL"
    " FROM views.attempts a LEFT JOIN views.lanes l ON l.lane = a.lane"
    " WHERE a.tenant = $1::text AND a.send = $2::uuid ORDER BY a.n LIMIT 1000"};

/* A send as its row says it. */
struct found {
    struct view_send send;
    struct th_id audience;
    int32_t part;
    int32_t row;
    struct th_str places;
};

static enum th_code take_send(const PGresult *result, struct th_arena *arena, struct found *out,
                              struct th_err *err)
{
    struct query_row row = query_row(result, 0, arena);
    struct view_send *send = &out->send;

    *out = (struct found){0};
    send->id = query_next_id(&row);
    send->channel = query_next_text(&row);
    send->campaign = query_next_id(&row);
    out->audience = query_next_id(&row);
    out->part = query_next_int4(&row);
    out->row = query_next_int4(&row);
    send->phone = query_next_text(&row);
    send->set = query_next_text(&row);
    send->reason = query_next_text(&row);
    send->requested_us = query_next_time_us(&row);
    out->places = query_next_text(&row);
    send->has_campaign = !th_id_is_zero(send->campaign);
    send->ordinal = send->has_campaign ? (int64_t)out->part * AUDIENCE_PART_ROWS + out->row : 0;
    return query_row_end(&row, err);
}

static enum th_code take_attempt(const PGresult *result, int i, struct th_arena *arena,
                                 struct view_attempt *out, struct th_err *err)
{
    struct query_row row = query_row(result, i, arena);

    out->n = query_next_int4(&row);
    out->lane = query_next_int4(&row);
    out->account = query_next_text(&row);
    out->sender = query_next_text(&row);
    out->state = query_next_text(&row);
    out->reason = query_next_text(&row);
    out->status = query_next_text(&row);
    out->provider_id = query_next_text(&row);
    out->started_us = query_next_time_us(&row);
    out->ended_us = query_next_time_us(&row);
    out->cost = query_next_money(&row);
    out->is_cost_estimated = query_next_bool(&row);
    return query_row_end(&row, err);
}

static enum th_code read_attempts(struct pg_views *self, struct th_str tenant, struct th_id id,
                                  struct th_arena *arena, struct view_send *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(query_by_id(self, &list_attempts, tenant, id, &result, err));
    size_t n = (size_t)PQntuples(result);
    out->attempts = th_arena_array(arena, n + 1, sizeof *out->attempts);
    if (!out->attempts)
        return th_fail(err, TH_NOMEM, "attempts");
    for (size_t i = 0; i < n; i++)
        TH_TRY(take_attempt(result, (int)i, arena, &out->attempts[i], err));
    out->attempts_n = n;
    return TH_OK;
}

/* Of a campaign's send the number stands in its audience. A send is worth seeing without it. */
static void find_phone(struct pg_views *self, struct th_str tenant, struct found *found,
                       struct th_arena *arena)
{
    struct audience_part part;
    struct th_arena scratch;
    struct th_str copy;

    th_arena_init(&scratch, PART_ARENA_MAX);
    if (self->audience->ops->part(self->audience, tenant, found->audience, found->part, &scratch,
                                  &part, NULL) == TH_OK &&
        found->row >= 0 && (size_t)found->row < part.rows.n &&
        th_arena_copy(arena, content_plain(&part.rows.at[found->row].phone), &copy) == TH_OK)
        found->send.phone = copy;
    th_arena_fini(&scratch);
}

enum th_code query_send(struct views *views, struct th_str tenant, struct th_id id,
                        struct th_arena *arena, struct view_send *out, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct found found;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(query_by_id(self, &find_send, tenant, id, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no such send");
    TH_TRY(take_send(result, arena, &found, err));
    TH_TRY(read_attempts(self, tenant, id, arena, &found.send, err));
    if (found.send.has_campaign)
        find_phone(self, tenant, &found, arena);
    TH_TRY(timeline_read(self->log, tenant, id, found.places, arena, &found.send.timeline,
                         &found.send.timeline_n, err));
    *out = found.send;
    return TH_OK;
}
