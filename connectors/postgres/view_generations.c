#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "connectors/postgres/view_sql.h"
#include "connectors/postgres/view_store.h"

#define STREAM_ROWS      2000
#define STREAM_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct pg_generations {
    struct view_generations gens; /* first */
    const char *conninfo;
    struct pg *pg;     /* for what is done at once */
    struct pg *frozen; /* a transaction that sees one generation as it was; NULL: none */
    int frozen_gen;
};

static struct pg_generations *self_of(struct view_generations *gens)
{
    return (struct pg_generations *)gens;
}

/* A rebuild may hold a snapshot for as long as it takes to fold the whole log. */
static enum th_code connect(const char *conninfo, struct pg **out_pg, struct th_err *err)
{
    struct pg_config config = {.conninfo = conninfo,
                               .application_name = "telehub view",
                               .statement_timeout_ms = 600000,
                               .lock_timeout_ms = 60000,
                               .idle_transaction_ms = 24 * 3600 * 1000};

    return pg_open(&config, out_pg, err);
}

/* --- one at a time ------------------------------------------------------------------------------
 */

static const struct pg_statement sql_current = {
    "SELECT gen FROM views.generation WHERE state = 'current'",
};
/* Kept for a day, should the new one turn out to be worse. */
static const struct pg_statement sql_expire = {
    "SELECT views.drop(gen) FROM views.generation"
    " WHERE state = 'retired' AND retired_at < now() - interval '24 hours'",
};
static const struct pg_statement sql_make = {"SELECT views.make($1::int4)"};
static const struct pg_statement sql_version = {
    "SELECT fold_version FROM views.generation WHERE gen = $1::int4"};
static const struct pg_statement sql_adopt = {"SELECT views.adopt($1::int4)"};
static const struct pg_statement sql_set_log = {"SELECT views.set_log($1::int4, $2::text::uuid)"};
static const struct pg_statement sql_log = {
    "SELECT coalesce(log_id::text, '') FROM views.generation WHERE gen = $1::int4"};
static const struct pg_statement sql_publish = {"SELECT views.publish($1::int4)"};
static const struct pg_statement sql_drop = {"SELECT views.drop($1::int4)"};

static enum th_code ask(struct pg *pg, const struct pg_statement *statement,
                        struct pg_params *params, int *out, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, statement, params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "the views have no such generation: telehub upgrade");
    struct pg_row row = pg_row(result, 0);
    *out = pg_next_int4(&row);
    return pg_row_end(&row, err);
}

static enum th_code ask_with(struct pg *pg, const struct pg_statement *statement, int with,
                             int *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, with);
    return ask(pg, statement, &params, out, err);
}

static enum th_code tell(struct pg *pg, const struct pg_statement *statement, int with,
                         struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, with);
    return pg_execute(pg, statement, &params, NULL, err);
}

static enum th_code current(struct view_generations *gens, int *out_gen, struct th_err *err)
{
    return ask(self_of(gens)->pg, &sql_current, NULL, out_gen, err);
}

static enum th_code make(struct view_generations *gens, int fold_version, int *out_gen,
                         struct th_err *err)
{
    struct pg *pg = self_of(gens)->pg;

    TH_TRY(pg_execute(pg, &sql_expire, NULL, NULL, err));
    return ask_with(pg, &sql_make, fold_version, out_gen, err);
}

static enum th_code fold_version_of(struct view_generations *gens, int gen, int *out_fold_version,
                                    struct th_err *err)
{
    return ask_with(self_of(gens)->pg, &sql_version, gen, out_fold_version, err);
}

static enum th_code adopt(struct view_generations *gens, int fold_version, struct th_err *err)
{
    return tell(self_of(gens)->pg, &sql_adopt, fold_version, err);
}

static enum th_code set_log(struct view_generations *gens, int gen, const char *log_id,
                            struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};

    pg_add_int4(&params, gen);
    pg_add_bytes(&params, th_str(log_id));
    return pg_execute(self_of(gens)->pg, &sql_set_log, &params, NULL, err);
}

static enum th_code log_id(struct view_generations *gens, int gen, char *out, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_add_int4(&params, gen);
    TH_TRY(pg_execute(self_of(gens)->pg, &sql_log, &params, &result, err));
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "the views have no generation %d", gen);
    struct pg_row row = pg_row(result, 0);
    struct th_str id = pg_next_bytes(&row);
    TH_TRY(pg_row_end(&row, err));
    snprintf(out, VIEW_LOG_ID_SIZE, "%.*s", TH_ARG(id));
    return TH_OK;
}

static enum th_code open_store(struct view_generations *gens, int gen,
                               struct view_store **out_store, struct th_err *err)
{
    return pg_view_store_open(self_of(gens)->conninfo, gen, out_store, err);
}

static enum th_code publish(struct view_generations *gens, int gen, struct th_err *err)
{
    return tell(self_of(gens)->pg, &sql_publish, gen, err);
}

static enum th_code drop(struct view_generations *gens, int gen, struct th_err *err)
{
    return tell(self_of(gens)->pg, &sql_drop, gen, err);
}

/* --- as it was at one moment ---------------------------------------------------------------------
 */

static void thaw(struct view_generations *gens)
{
    struct pg_generations *self = self_of(gens);

    pg_close(self->frozen);
    self->frozen = NULL;
}

static enum th_code freeze_into(struct pg_generations *self, int gen, struct th_err *err)
{
    TH_TRY(connect(self->conninfo, &self->frozen, err));
    self->frozen_gen = gen;
    TH_TRY(pg_run(self->frozen, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err));
    return view_sql_enter(self->frozen, gen, err); /* the first statement takes the snapshot */
}

static enum th_code freeze(struct view_generations *gens, int gen, struct th_err *err)
{
    struct pg_generations *self = self_of(gens);

    thaw(gens);
    enum th_code code = freeze_into(self, gen, err);
    if (code != TH_OK)
        thaw(gens);
    return code;
}

static const struct pg_statement sql_ends = {
    "SELECT topic, log_part, next_offset FROM progress ORDER BY topic, log_part",
};

static enum th_code read_ends(struct pg *pg, struct th_arena *arena, struct view_step **out_steps,
                              size_t *out_n, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    TH_TRY(pg_execute(pg, &sql_ends, NULL, &result, err));
    size_t n = (size_t)PQntuples(result);
    struct view_step *steps = th_arena_array(arena, n + 1, sizeof *steps);
    if (!steps)
        return th_fail(err, TH_NOMEM, "the views' progress");
    for (size_t i = 0; i < n; i++) {
        struct pg_row row = pg_row(result, (int)i);
        steps[i].topic = (enum topic)pg_next_int4(&row);
        steps[i].part = pg_next_int4(&row);
        steps[i].to = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
    }
    *out_steps = steps;
    *out_n = n;
    return TH_OK;
}

static enum th_code ends(struct view_generations *gens, int gen, struct th_arena *arena,
                         struct view_step **out_steps, size_t *out_n, struct th_err *err)
{
    struct pg_generations *self = self_of(gens);

    if (self->frozen && self->frozen_gen == gen)
        return read_ends(self->frozen, arena, out_steps, out_n, err);
    TH_TRY(view_sql_enter(self->pg, gen, err));
    return read_ends(self->pg, arena, out_steps, out_n, err);
}

/* --- comparing: two streams of rows in the order of their keys
 * ------------------------------------ */

struct stream {
    struct pg *pg;
    const struct view_table *table;
    struct th_arena arena; /* of the row at hand */
    PGresult *chunk;
    int at;
    bool is_over;
    void *row;
    int64_t rows;
    uint8_t sha256[TH_SHA256_SIZE]; /* chained: of the hash so far and the next row */
    struct th_buf text;
};

static enum th_code stream_fetch(struct stream *stream, struct th_err *err)
{
    char sql[64];

    PQclear(stream->chunk);
    stream->at = 0;
    (void)snprintf(sql, sizeof sql, "FETCH FORWARD %d FROM rows", STREAM_ROWS);
    stream->chunk = PQexecParams(pg_conn(stream->pg), sql, 0, NULL, NULL, NULL, NULL, 1);
    if (PQresultStatus(stream->chunk) != PGRES_TUPLES_OK)
        return th_fail(err, TH_UNAVAILABLE, "reading %s: %s", stream->table->name,
                       PQerrorMessage(pg_conn(stream->pg)));
    return TH_OK;
}

/* On to the next row, which goes into the sum. */
static enum th_code stream_next(struct stream *stream, struct th_err *err)
{
    if (!stream->chunk || stream->at == PQntuples(stream->chunk))
        TH_TRY(stream_fetch(stream, err));
    if (stream->at == PQntuples(stream->chunk)) {
        stream->is_over = true;
        return TH_OK;
    }
    th_arena_reset(&stream->arena);
    struct pg_row row = pg_row(stream->chunk, stream->at++);
    TH_TRY(view_sql_read(&row, stream->table, &stream->arena, stream->row, err));
    TH_TRY(pg_row_end(&row, err));
    stream->rows++;

    th_buf_clear(&stream->text);
    th_buf_add(&stream->text, (struct th_str){(const char *)stream->sha256, TH_SHA256_SIZE});
    view_row_print(stream->table, stream->row, &stream->text);
    if (th_buf_status(&stream->text) != TH_OK)
        return th_fail(err, TH_NOMEM, "comparing %s", stream->table->name);
    th_sha256(th_buf_str(&stream->text), stream->sha256);
    return TH_OK;
}

static enum th_code stream_open(struct stream *stream, struct pg *pg,
                                const struct view_table *table, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf sql = {0};

    *stream = (struct stream){.pg = pg, .table = table};
    th_arena_init(&stream->arena, STREAM_BYTES_MAX);
    stream->row = calloc(1, table->row_size);
    th_buf_printf(&sql, "DECLARE rows NO SCROLL CURSOR FOR SELECT ");
    view_sql_names(&sql, table, table->columns_n);
    th_buf_printf(&sql, " FROM \"%s\" ORDER BY ", table->name);
    view_sql_names(&sql, table, table->keys_n);
    th_buf_add_char(&sql, '\0');
    if (!stream->row || th_buf_status(&sql) != TH_OK)
        return th_fail(err, TH_NOMEM, "comparing %s", table->name);
    TH_TRY(pg_run(pg, sql.p, err));
    return stream_next(stream, err);
}

static void stream_close(struct stream *stream)
{
    PQclear(stream->chunk);
    free(stream->row);
    th_arena_fini(&stream->arena);
    th_buf_fini(&stream->text);
    if (stream->pg && pg_is_alive(stream->pg)) {
        enum th_code closed = pg_run(stream->pg, "CLOSE rows", NULL);
        (void)closed; /* there is none when opening it failed; the transaction ends anyway */
    }
}

struct differences {
    struct view_difference *at;
    size_t n;
    struct th_arena *arena;
};

static void name_columns(const struct view_table *table, const void *a, const void *b,
                         struct th_buf *out)
{
    for (size_t i = 0; i < table->columns_n; i++) {
        const struct view_table one = {table->name, table->row_size, &table->columns[i], 1, 1};
        if (!view_row_same_key(&one, a, b))
            th_buf_printf(out, "%s%s", out->n ? " " : "", table->columns[i].name);
    }
}

/* b NULL: it is nowhere else. */
static enum th_code note(struct differences *to, const struct view_table *table, const void *a,
                         const void *b, const char *how)
{
    TH_AUTO(th_buf) struct th_buf key = {0};
    TH_AUTO(th_buf) struct th_buf columns = {0};

    if (to->n == VIEW_DIFFERENCES_MAX)
        return TH_OK;
    struct view_difference *difference = &to->at[to->n];
    *difference = (struct view_difference){.table = table->name, .how = how};
    view_row_print_key(table, a, &key);
    if (b)
        name_columns(table, a, b, &columns);
    TH_TRY(th_buf_status(&key));
    TH_TRY(th_buf_status(&columns));
    TH_TRY(th_arena_copy(to->arena, th_buf_str(&key), &difference->key));
    TH_TRY(th_arena_copy(to->arena, th_buf_str(&columns), &difference->columns));
    to->n++;
    return TH_OK;
}

/* Compare the two rows at hand and move on past the smaller, or both. */
static enum th_code merge_step(struct stream *a, struct stream *b, struct differences *to,
                               bool *is_equal, struct th_err *err)
{
    int cmp = a->is_over ? 1 : b->is_over ? -1 : view_row_cmp(a->table, a->row, b->row);
    bool is_same = cmp == 0 && view_row_equal(a->table, a->row, b->row);
    enum th_code code = TH_OK;

    if (cmp < 0)
        code = note(to, a->table, a->row, NULL, "is too many");
    else if (cmp > 0)
        code = note(to, b->table, b->row, NULL, "is missing");
    else if (!is_same)
        code = note(to, a->table, a->row, b->row, "differs");
    if (code != TH_OK)
        return th_fail(err, code, "comparing %s", a->table->name);
    *is_equal = *is_equal && is_same;
    if (cmp <= 0)
        TH_TRY(stream_next(a, err));
    return cmp >= 0 ? stream_next(b, err) : TH_OK;
}

static enum th_code compare_streams(struct stream *a, struct stream *b, struct differences *to,
                                    struct view_comparison *out, struct th_err *err)
{
    out->is_equal = true;
    while (!a->is_over || !b->is_over)
        TH_TRY(merge_step(a, b, to, &out->is_equal, err));
    out->rows_a = a->rows;
    out->rows_b = b->rows;
    memcpy(out->sha256_a, a->sha256, sizeof out->sha256_a);
    memcpy(out->sha256_b, b->sha256, sizeof out->sha256_b);
    return TH_OK;
}

static enum th_code compare_table(struct pg *a, struct pg *b, enum view_table_id id,
                                  struct differences *to, struct view_comparison *out,
                                  struct th_err *err)
{
    struct stream first;
    struct stream second = {0};

    out->table = view_table(id)->name;
    enum th_code code = stream_open(&first, a, view_table(id), err);
    if (code == TH_OK)
        code = stream_open(&second, b, view_table(id), err);
    if (code == TH_OK)
        code = compare_streams(&first, &second, to, out, err);
    stream_close(&first);
    stream_close(&second);
    return code;
}

static enum th_code compare_all(struct pg *a, struct pg *b, struct differences *to,
                                struct view_comparison *out, struct th_err *err)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        TH_TRY(compare_table(a, b, id, to, &out[id], err));
    return TH_OK;
}

static enum th_code compare(struct view_generations *gens, int a, int b, struct th_arena *arena,
                            struct view_comparison *out_tables, struct view_difference *differences,
                            size_t *out_differences_n, struct th_err *err)
{
    struct pg_generations *self = self_of(gens);
    struct differences to = {differences, 0, arena};

    if (!self->frozen || self->frozen_gen != a)
        return th_fail(err, TH_CONFLICT, "generation %d is not frozen", a);
    TH_TRY(view_sql_enter(self->pg, b, err));
    TH_TRY(pg_run(self->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err));
    enum th_code code = compare_all(self->frozen, self->pg, &to, out_tables, err);
    enum th_code undone = pg_run(self->pg, "ROLLBACK", NULL);
    (void)undone; /* it was for reading only */
    *out_differences_n = to.n;
    return code;
}

/* --- opening -------------------------------------------------------------------------------------
 */

static const struct view_generations_ops pg_ops = {
    .current = current,
    .make = make,
    .fold_version = fold_version_of,
    .adopt = adopt,
    .set_log = set_log,
    .log_id = log_id,
    .open = open_store,
    .freeze = freeze,
    .thaw = thaw,
    .ends = ends,
    .compare = compare,
    .publish = publish,
    .drop = drop,
};

enum th_code pg_view_generations_open(const char *conninfo, struct view_generations **out_gens,
                                      struct th_err *err)
{
    struct pg_generations *self = calloc(1, sizeof *self);

    if (!self)
        return th_fail(err, TH_NOMEM, "the views' generations");
    self->gens.ops = &pg_ops;
    self->conninfo = conninfo;
    enum th_code code = connect(conninfo, &self->pg, err);
    if (code != TH_OK) {
        free(self);
        return code;
    }
    *out_gens = &self->gens;
    return TH_OK;
}

void pg_view_generations_close(struct view_generations *gens)
{
    struct pg_generations *self = self_of(gens);

    if (!self)
        return;
    thaw(gens);
    pg_close(self->pg);
    free(self);
}
