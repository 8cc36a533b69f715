/* What filling a log from another asks of it besides reading and committing: its mark, where its
 * slots stand, and the idempotency keys that it remembers. */
#include <string.h>

#include "connectors/postgres/pg_session.h"

#define ANSWERS_PAGE 500

/* --- the mark --------------------------------------------------------------------------- */

enum th_code pg_set_mark(struct th_log *base, enum log_mark mark, const char *origin,
                         struct th_err *err)
{
    static const struct pg_statement sql_mark = {
        "UPDATE eventlog.meta SET mark = $1::int2, origin = $2::text::uuid",
    };
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int2(&params, (int16_t)mark);
    pg_add_bytes(&params, th_str(origin));
    return pg_pool_execute(pg_log_of(base)->pool, &sql_mark, &params, NULL, err);
}

/* --- where a slot stands ---------------------------------------------------------------- */

static enum th_code copy_cursors(const struct pg_cursors *from, struct th_arena *arena,
                                 struct log_cursor **out_cursors)
{
    struct log_cursor *cursors = th_arena_array(arena, from->n + 1, sizeof *cursors);

    if (!cursors)
        return TH_NOMEM;
    for (size_t i = 0; i < from->n; i++) {
        cursors[i].next = from->at[i].next;
        TH_TRY(th_arena_copy(arena, from->at[i].note, &cursors[i].note));
    }
    *out_cursors = cursors;
    return TH_OK;
}

static enum th_code cursors_of(const struct pg_journal *journal, struct th_arena *arena,
                               struct log_cursor **out_cursors, size_t *out_n, struct th_err *err)
{
    struct pg_cursors cursors = {0};
    struct log_cursor *copied = NULL;

    if (journal->exists)
        TH_TRY(pg_cursors_decode(journal->cursor, &cursors, err));
    enum th_code code = copy_cursors(&cursors, arena, &copied);
    size_t n = cursors.n;
    pg_cursors_fini(&cursors);
    if (code != TH_OK)
        return th_fail(err, code, "%zu cursors", n);
    *out_cursors = copied;
    *out_n = n;
    return TH_OK;
}

enum th_code pg_slot_cursors(struct th_log *base, enum log_app app, int slot,
                             struct th_arena *arena, struct log_cursor **out_cursors, size_t *out_n,
                             struct th_err *err)
{
    struct pg_pool *pool = pg_log_of(base)->pool;
    struct pg_journal journal;
    struct pg *pg;

    TH_TRY(pg_pool_take(pool, &pg, err));
    enum th_code code = pg_journal_read(pg, app, slot, &journal, err);
    pg_pool_give(pool, pg);
    TH_TRY(code);
    code = cursors_of(&journal, arena, out_cursors, out_n, err);
    PQclear(journal.result);
    return code;
}

/* --- what is remembered ----------------------------------------------------------------- */

/* A page, in the order of the table's key, behind the one before. */
static const struct pg_statement sql_answers = {
    "SELECT tenant, route, key, fingerprint, status, body FROM eventlog.idem"
    " WHERE (tenant, route, key) > ($1::text, $2::text, $3::text)"
    "   AND first_seen > clock_timestamp() - $4::int4 * interval '1 second'"
    " ORDER BY tenant, route, key LIMIT $5::int4",
};

static enum th_code take_answer(struct pg_row *row, struct log_claim *out, struct th_err *err)
{
    *out = (struct log_claim){0};
    out->tenant = pg_next_bytes(row);
    out->route = pg_next_bytes(row);
    out->key = pg_next_bytes(row);
    struct th_str fingerprint = pg_next_bytes(row);
    out->status = pg_next_int4(row);
    out->body = pg_next_bytes(row);
    TH_TRY(pg_row_end(row, err));
    if (fingerprint.n != sizeof out->fingerprint)
        return th_fail(err, TH_MALFORMED, "a remembered fingerprint of %zu bytes", fingerprint.n);
    memcpy(out->fingerprint, fingerprint.p, fingerprint.n);
    return TH_OK;
}

static enum th_code ask_page(struct pg_log *log, const struct log_claim *behind,
                             PGresult **out_result, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_bytes(&params, behind->tenant);
    pg_add_bytes(&params, behind->route);
    pg_add_bytes(&params, behind->key);
    pg_add_int4(&params, log->config.idem_kept_s);
    pg_add_int4(&params, ANSWERS_PAGE);
    return pg_pool_execute(log->pool, &sql_answers, &params, out_result, err);
}

enum th_code pg_answers(struct th_log *base, log_answer_visit *visit, void *arg, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *page = NULL; /* whose last answer the next one follows */
    struct log_claim answer = {.tenant = TH_STR(""), .route = TH_STR(""), .key = TH_STR("")};
    int rows;

    do {
        PGresult *next = NULL;
        TH_TRY(ask_page(pg_log_of(base), &answer, &next, err));
        PQclear(page);
        page = next;
        rows = PQntuples(page);
        for (int i = 0; i < rows; i++) {
            struct pg_row row = pg_row(page, i);
            TH_TRY(take_answer(&row, &answer, err));
            TH_TRY(visit(arg, &answer, err));
        }
    } while (rows == ANSWERS_PAGE);
    return TH_OK;
}
