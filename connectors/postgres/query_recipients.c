#include <string.h>

#include "common/content.h"
#include "connectors/postgres/queries_internal.h"

/* So many parts of the audience are looked through by one statement, and for one page: 16,000
 * recipients. */
#define PARTS_AT_ONCE  4
#define PARTS_OF_PAGE  16
#define REASON_LEN_MAX 64
#define STATES_MAX     "1000" /* of one send */
#define PART_ARENA_MAX ((size_t)16 * 1024 * 1024)

/* --- which -------------------------------------------------------------------------------------
 */

/* Empty: any. A reason alone is looked for under both sets that have reasons. */
struct wanted {
    struct th_str set;
    struct th_str reason;
};

static bool has_reasons(struct th_str set)
{
    return th_str_eq(set, TH_STR("unreached")) || th_str_eq(set, TH_STR("suppressed"));
}

static bool is_set(struct th_str name)
{
    static const char *const sets[] = {"reached",    "accepted_no_report", "unreached",
                                       "suppressed", "in_doubt",           "unsent"};

    for (size_t i = 0; i < TH_LEN(sets); i++)
        if (th_str_eq(name, th_str(sets[i])))
            return true;
    return false;
}

static bool is_slug(struct th_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return name.n > 0 && name.n <= REASON_LEN_MAX;
}

static enum th_code parse_outcome(struct th_str outcome, struct wanted *out, struct th_err *err)
{
    struct th_str set;
    struct th_str reason;

    bool has_both = th_str_cut(outcome, ':', &set, &reason);
    bool is_known = has_both ? has_reasons(set) && is_slug(reason) : !outcome.n || is_slug(outcome);
    if (has_both)
        *out = (struct wanted){set, reason};
    else if (is_set(outcome))
        *out = (struct wanted){.set = outcome};
    else
        *out = (struct wanted){.reason = outcome};
    if (is_known)
        return TH_OK;
    return th_fail(err, TH_INVALID, "outcome is no key of a certificate");
}

/* --- where -------------------------------------------------------------------------------------
 */

static const struct pg_statement find_extent = {
    "SELECT c.audience, c.parts, (SELECT u.seal_next > 0 FROM views.audiences u"
    " WHERE u.audience = c.audience AND u.tenant = c.tenant) FROM views.campaigns c"
    " WHERE c.tenant = $1::text AND c.campaign = $2::uuid AND c.created_at IS NOT NULL"};

struct extent {
    struct th_id audience;
    int32_t parts; /* 0: not started */
    bool is_known; /* the views hold the audience's parts */
};

static enum th_code measure(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                            struct extent *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(query_by_id(self, &find_extent, tenant, campaign, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no such campaign");
    struct query_row row = query_row(result, 0, NULL);
    out->audience = query_next_id(&row);
    out->parts = query_next_int4(&row);
    out->is_known = query_next_bool(&row);
    TH_TRY(query_row_end(&row, err));
    if (out->parts > 0 && !out->is_known)
        return th_fail(err, TH_UNAVAILABLE, "the views have not read the audience yet");
    return TH_OK;
}

/* Every row of some parts of the audience, each with the set that it belongs to: the sets of the
 * certificate, row by row. Of what is known of a row the first in rank counts: that it is left out,
 * what became of its send, that it was released; of a row that was not, how the campaign stands.
 * Sorted rather than joined, since the planner cannot know how many rows any of them has. */
static const struct pg_statement list = {
    "WITH c AS MATERIALIZED (SELECT audience, run, ended_at, phase = 'cancelled' AS is_cancelled"
    " FROM views.campaigns WHERE tenant = $1::text AND campaign = $2::uuid),"
    " l AS MATERIALIZED (SELECT part, first_row, recipients, duplicates, released_at"
    " FROM views.releases WHERE campaign = $2::uuid AND tenant = $1::text"
    " AND part >= $3::int4 AND part < $4::int4),"
    " f AS ("
    " SELECT 1 AS rank, l.part, get_byte(l.duplicates, 2 * g.i) * 256"
    " + get_byte(l.duplicates, 2 * g.i + 1) AS row, 'suppressed' AS outcome,"
    " 'duplicate' AS reason, NULL::uuid AS send, 0 AS attempts, l.released_at AS at"
    " FROM l CROSS JOIN LATERAL generate_series(0, length(l.duplicates) / 2 - 1) g(i)"
    " UNION ALL"
    " SELECT 2, s.part, s.row, CASE WHEN s.outcome <> 'planned' THEN s.outcome"
    " WHEN (SELECT a.state FROM views.attempts a WHERE a.send = s.send AND a.n = s.attempts)"
    " = 'started' THEN 'in_doubt' ELSE 'unsent' END,"
    " CASE WHEN s.outcome IN ('unreached', 'suppressed') THEN coalesce(s.reason, 'unspecified') "
    "END,"
    " s.send, s.attempts, s.changed_at FROM c JOIN views.sends s ON s.run = c.run"
    " WHERE s.campaign = $2::uuid AND s.tenant = $1::text"
    " AND s.part >= $3::int4 AND s.part < $4::int4"
    " UNION ALL"
    " SELECT 3, l.part, l.first_row + g.i, 'unsent', NULL, NULL, 0, NULL"
    " FROM l CROSS JOIN LATERAL generate_series(0, l.recipients - 1) g(i)"
    " UNION ALL"
    " SELECT 4, p.part, g.i, CASE WHEN c.is_cancelled THEN 'unreached' ELSE 'unsent' END,"
    " CASE WHEN c.is_cancelled THEN 'cancelled' END, NULL, 0,"
    " CASE WHEN c.is_cancelled THEN c.ended_at END"
    " FROM c JOIN views.audience_parts p USING (audience)"
    " CROSS JOIN LATERAL generate_series(0, p.recipients - 1) g(i)"
    " WHERE p.tenant = $1::text AND p.part >= $3::int4 AND p.part < $4::int4),"
    " k AS (SELECT DISTINCT ON (f.part, f.row) f.part::int8 * 1000 + f.row AS ordinal,"
    " f.outcome, f.reason, f.send, f.attempts, f.at FROM f"
    " WHERE f.part::int8 * 1000 + f.row > $5::int8 ORDER BY f.part, f.row, f.rank),"
    " p AS MATERIALIZED (SELECT ordinal, outcome, reason, send, attempts, at FROM k"
    " WHERE ($6::text = '' OR outcome = $6::text) AND ($7::text = '' OR reason = $7::text)"
    " ORDER BY ordinal LIMIT $8::int8)"
    " SELECT p.ordinal, p.outcome, p.reason, p.send, p.attempts,"
    " (SELECT string_agg(coalesce(a.state, 'planned'), ',' ORDER BY g.n)"
    " FROM generate_series(1, least(p.attempts, " STATES_MAX ")) g(n)"
    " LEFT JOIN views.attempts a ON a.send = p.send AND a.n = g.n AND a.tenant = $1::text),"
    " p.at FROM p ORDER BY p.ordinal"};

struct page {
    struct th_id campaign;
    struct th_str tenant;
    struct wanted wanted;
    int64_t after;
    int32_t from_part; /* that the statement looks through */
    int32_t to_part;   /* not included */
    size_t limit;
};

static enum th_code ask(struct pg_views *self, const struct page *page, size_t limit,
                        PGresult **out_result, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_bytes(&params, page->tenant);
    pg_add_uuid(&params, page->campaign.b);
    pg_add_int4(&params, page->from_part);
    pg_add_int4(&params, page->to_part);
    pg_add_int8(&params, page->after);
    pg_add_bytes(&params, page->wanted.set);
    pg_add_bytes(&params, page->wanted.reason);
    pg_add_int8(&params, (int64_t)limit);
    return pg_pool_execute(self->pool, &list, &params, out_result, err);
}

static enum th_code take(const PGresult *result, int i, struct th_arena *arena,
                         struct view_recipient *out, struct th_err *err)
{
    struct query_row row = query_row(result, i, arena);

    out->ordinal = query_next_int8(&row);
    out->set = query_next_text(&row);
    out->reason = query_next_text(&row);
    out->send = query_next_id(&row);
    out->attempts = query_next_int4(&row);
    out->states = query_next_text(&row);
    out->at_us = query_next_time_us(&row);
    out->has_send = !th_id_is_zero(out->send);
    return query_row_end(&row, err);
}

/* --- who ---------------------------------------------------------------------------------------
 */

/* Number and language of those recipients that lie in the part of the first; *out_n: how many. */
static enum th_code name_some(struct pg_views *self, struct th_str tenant, struct th_id audience,
                              struct view_recipient *at, size_t n, struct th_arena *scratch,
                              struct th_arena *arena, size_t *out_n, struct th_err *err)
{
    int64_t number = at[0].ordinal / AUDIENCE_PART_ROWS;
    struct audience_part part;
    size_t i = 0;

    TH_TRY(self->audience->ops->part(self->audience, tenant, audience, (int32_t)number, scratch,
                                     &part, err));
    for (; i < n && at[i].ordinal / AUDIENCE_PART_ROWS == number; i++) {
        size_t index = (size_t)(at[i].ordinal % AUDIENCE_PART_ROWS);
        if (index >= part.rows.n)
            return th_fail(err, TH_CORRUPT, "part %d has no row %zu", (int)number, index);
        const struct audience_row *row = &part.rows.at[index];
        at[i].source_row = row->source_row;
        if (th_arena_copy(arena, content_plain(&row->phone), &at[i].phone) != TH_OK ||
            th_arena_copy(arena, row->lang, &at[i].lang) != TH_OK)
            return th_fail(err, TH_NOMEM, "recipients");
    }
    *out_n = i;
    return TH_OK;
}

static enum th_code name_all(struct pg_views *self, struct th_str tenant, struct th_id audience,
                             struct view_recipient *at, size_t n, struct th_arena *arena,
                             struct th_err *err)
{
    struct th_arena scratch;
    enum th_code code = TH_OK;
    size_t named = 0;

    th_arena_init(&scratch, PART_ARENA_MAX);
    for (size_t i = 0; code == TH_OK && i < n; i += named) {
        th_arena_reset(&scratch);
        code = name_some(self, tenant, audience, at + i, n - i, &scratch, arena, &named, err);
    }
    th_arena_fini(&scratch);
    /* The campaign is there, so its audience is: that it is not found is a matter of time. */
    return code == TH_NOT_FOUND ? th_fail(err, TH_UNAVAILABLE, "the audience cannot be read now")
                                : code;
}

/* --- a page ------------------------------------------------------------------------------------
 */

/* What the parts from page->from_part to page->to_part have, behind what is in out already. */
static enum th_code read_some(struct pg_views *self, const struct page *page,
                              struct th_arena *arena, struct view_recipient *out, size_t *n,
                              struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(ask(self, page, page->limit - *n, &result, err));
    for (int i = 0; i < PQntuples(result) && *n < page->limit; i++)
        TH_TRY(take(result, i, arena, &out[(*n)++], err));
    return TH_OK;
}

static enum th_code read_page(struct pg_views *self, struct page *page, const struct extent *extent,
                              struct th_arena *arena, struct view_recipient *out, size_t *out_n,
                              struct th_err *err)
{
    int32_t first = page->to_part;

    *out_n = 0;
    while (*out_n < page->limit && page->to_part < extent->parts &&
           page->to_part - first < PARTS_OF_PAGE) {
        page->from_part = page->to_part;
        page->to_part = extent->parts - page->from_part > PARTS_AT_ONCE
                            ? page->from_part + PARTS_AT_ONCE
                            : extent->parts;
        TH_TRY(read_some(self, page, arena, out, out_n, err));
    }
    return name_all(self, page->tenant, extent->audience, out, *out_n, arena, err);
}

static int64_t next_of(const struct page *page, const struct extent *extent,
                       const struct view_recipient *at, size_t n)
{
    if (n == page->limit)
        return at[n - 1].ordinal;
    if (page->to_part < extent->parts)
        return (int64_t)page->to_part * AUDIENCE_PART_ROWS - 1;
    return -1;
}

enum th_code query_recipients(struct views *views, struct th_str tenant, struct th_id campaign,
                              struct th_str outcome, int64_t after, size_t limit,
                              struct th_arena *arena, struct view_recipient **out, size_t *out_n,
                              int64_t *out_next, struct th_err *err)
{
    struct pg_views *self = pg_views_of(views);
    struct page page = {.campaign = campaign, .tenant = tenant, .limit = query_limit(limit)};
    struct extent extent = {0};
    size_t n = 0;

    TH_TRY(query_check_tenant(tenant, err));
    TH_TRY(parse_outcome(outcome, &page.wanted, err));
    TH_TRY(measure(self, tenant, campaign, &extent, err));
    struct view_recipient *at = th_arena_array(arena, page.limit, sizeof *at);
    if (!at)
        return th_fail(err, TH_NOMEM, "recipients");
    page.after = after < -1 ? -1 : after;
    if (page.after < (int64_t)extent.parts * AUDIENCE_PART_ROWS - 1) {
        page.to_part = (int32_t)((page.after + 1) / AUDIENCE_PART_ROWS);
        TH_TRY(read_page(self, &page, &extent, arena, at, &n, err));
        *out_next = next_of(&page, &extent, at, n);
    } else {
        *out_next = -1;
    }
    *out = at;
    *out_n = n;
    return TH_OK;
}
