/* queries_internal.h - the parts of queries.h; inside this folder only. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERIES_INTERNAL_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERIES_INTERNAL_H

#include "common/audience.h"
#include "common/views.h"
#include "connectors/postgres/pg_pool.h"
#include "connectors/postgres/query_pulse.h"
#include "connectors/postgres/query_settled.h"

#define AUDIENCE_PART_ROWS 1000 /* an ordinal is part * 1000 + row */

struct pg_views {
    struct views views; /* first member */
    char *conninfo;
    struct pg_config config;
    struct pg_pool *pool;
    struct th_log *log;
    struct audience *audience;
    struct settled settled;
    struct pulses pulses;
};

static inline struct pg_views *pg_views_of(struct views *views)
{
    return (struct pg_views *)views;
}

/* Bit t: topic t is folded into the views. */
uint32_t query_folded_topics(void);

/* The questions of struct views_ops. */
enum th_code query_wait_for(struct views *views, const struct log_place *places, size_t n,
                            int64_t until_us, struct th_err *err);
enum th_code query_lag(struct views *views, int64_t *out_events, struct th_err *err);
enum th_code query_troubles(struct views *views, struct view_troubles *out, struct th_err *err);
enum th_code query_dead_letters(struct views *views, bool is_unsettled, const struct th_id *after,
                                size_t limit, struct th_arena *arena, struct view_dead_letter **out,
                                size_t *out_n, struct th_err *err);
enum th_code query_dead_letter(struct views *views, struct th_id id, struct th_arena *arena,
                               struct view_dead_record *out, struct th_err *err);
enum th_code query_exhausted(struct views *views, const struct th_id *after, size_t limit,
                             struct th_arena *arena, struct view_exhausted **out, size_t *out_n,
                             struct th_id *out_next, struct th_err *err);
enum th_code query_campaigns(struct views *views, struct th_str tenant, const struct th_id *after,
                             size_t limit, struct th_arena *arena, struct view_campaign **out,
                             size_t *out_n, struct th_err *err);
enum th_code query_campaign(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_campaign *out, struct th_err *err);
enum th_code query_progress(struct views *views, struct th_str tenant, struct th_id id,
                            int64_t now_us, struct th_arena *arena, struct view_progress *out,
                            struct th_err *err);
enum th_code query_certificate(struct views *views, struct th_str tenant, struct th_id id,
                               struct th_arena *arena, struct view_certificate *out,
                               struct th_err *err);
enum th_code query_recipients(struct views *views, struct th_str tenant, struct th_id campaign,
                              struct th_str outcome, int64_t after, size_t limit,
                              struct th_arena *arena, struct view_recipient **out, size_t *out_n,
                              int64_t *out_next, struct th_err *err);
enum th_code query_send(struct views *views, struct th_str tenant, struct th_id id,
                        struct th_arena *arena, struct view_send *out, struct th_err *err);
enum th_code query_audience(struct views *views, struct th_str tenant, struct th_id id,
                            struct th_arena *arena, struct view_audience *out, struct th_err *err);
enum th_code query_command(struct views *views, struct th_str tenant, struct th_id id,
                           struct th_arena *arena, struct view_command *out, struct th_err *err);
enum th_code query_opt_outs(struct views *views, struct th_str tenant, int64_t after, size_t limit,
                            struct th_arena *arena, struct view_opt_out **out, size_t *out_n,
                            struct th_err *err);

/* Rows of a page. */
static inline size_t query_limit(size_t limit)
{
    return limit < 1 ? 1 : limit > VIEWS_PAGE_MAX ? VIEWS_PAGE_MAX : limit;
}

/* Nobody in particular sees nothing. */
static inline enum th_code query_check_tenant(struct th_str tenant, struct th_err *err)
{
    return tenant.n ? TH_OK : th_fail(err, TH_DENIED, "no tenant is named");
}

/* Ask for rows by (tenant, id): $1 and $2 of the statement. */
enum th_code query_by_id(struct pg_views *self, const struct pg_statement *statement,
                         struct th_str tenant, struct th_id id, PGresult **out_result,
                         struct th_err *err);

/* --- reading rows: what is null is zero or empty ------------------------------------------------
 */

/* Columns from left to right; texts are copied into the arena. */
struct query_row {
    struct pg_row row;
    struct th_arena *arena;
    bool is_nomem;
};

static inline struct query_row query_row(const PGresult *result, int row, struct th_arena *arena)
{
    return (struct query_row){.row = pg_row(result, row), .arena = arena};
}

struct th_str query_next_text(struct query_row *row);
struct th_id query_next_id(struct query_row *row);
int32_t query_next_int4(struct query_row *row);
int64_t query_next_int8(struct query_row *row);
int64_t query_next_time_us(struct query_row *row);
bool query_next_bool(struct query_row *row);
struct th_money query_next_money(struct query_row *row); /* two columns: micros, currency */

/* Errors: TH_NOMEM, TH_CORRUPT (a column is not what it was read as) */
TH_MUST_USE
enum th_code query_row_end(const struct query_row *row, struct th_err *err);

#endif
