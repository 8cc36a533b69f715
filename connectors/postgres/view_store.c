#include "connectors/postgres/view_store.h"

#include <string.h>

#include "connectors/postgres/view_sql.h"

#define COPY_ROWS_MIN ((size_t)64) /* fewer are sent as arrays: a COPY is planned each time */

#define MONTHS_MAX   128
#define ROWS_OF_COPY 500
#define MONTH_FIRST_MS                                                                             \
    INT64_C(1577836800000)                   /* 2020; ids from elsewhere go to the default tables */
#define MONTH_LAST_MS INT64_C(4102444800000) /* 2100 */

/* A month whose tables are there. */
struct month {
    int64_t from_ms;
    int64_t to_ms;
};

struct pg_view_store {
    struct view_store store; /* first */
    struct pg *pg;
    int gen;
    struct pg_params params;
    struct view_sql sql[VIEW_TABLE_COUNT];
    bool has_stage[VIEW_TABLE_COUNT];
    struct month months[MONTHS_MAX];
    size_t months_n;
    union view_any_row few[COPY_ROWS_MIN];
};

static struct pg_view_store *self_of(struct view_store *store)
{
    return (struct pg_view_store *)store;
}

/* --- progress ----------------------------------------------------------------------------------
 */

static const struct pg_statement sql_progress = {
    "SELECT k.i, x.next_offset FROM unnest($1::int4[], $2::int4[]) WITH ORDINALITY AS k(t, p, i)"
    " JOIN progress x ON x.topic = k.t AND x.log_part = k.p",
};

static enum th_code progress(struct view_store *store, struct view_step *steps, size_t n,
                             struct th_err *err)
{
    struct pg_view_store *self = self_of(store);
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_params_clear(&self->params);
    pg_array_begin(&self->params, PG_INT4);
    for (size_t i = 0; i < n; i++)
        pg_item_int4(&self->params, (int32_t)steps[i].topic);
    pg_array_begin(&self->params, PG_INT4);
    for (size_t i = 0; i < n; i++)
        pg_item_int4(&self->params, steps[i].part);
    TH_TRY(pg_execute(self->pg, &sql_progress, &self->params, &result, err));
    for (size_t i = 0; i < n; i++)
        steps[i].from = steps[i].to = 0;
    for (int i = 0; i < PQntuples(result); i++) {
        struct pg_row row = pg_row(result, i);
        int64_t which = pg_next_int8(&row);
        int64_t next = pg_next_int8(&row);
        TH_TRY(pg_row_end(&row, err));
        if (which < 1 || (size_t)which > n)
            return th_fail(err, TH_MALFORMED, "views: progress of a partition not asked for");
        steps[which - 1].from = steps[which - 1].to = next;
    }
    return TH_OK;
}

/* --- loading -----------------------------------------------------------------------------------
 */

static void add_columns(struct pg_params *params, const struct view_table *table, size_t columns_n,
                        struct view_entry *const *entries, size_t n)
{
    pg_params_clear(params);
    for (size_t c = 0; c < columns_n; c++) {
        view_sql_begin(params, &table->columns[c]);
        for (size_t i = 0; i < n; i++)
            view_sql_item(params, &table->columns[c], entries[i]->row);
    }
}

static enum th_code load(struct view_store *store, enum view_table_id id,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err)
{
    struct pg_view_store *self = self_of(store);
    const struct view_table *table = view_table(id);
    TH_AUTO(pg_result) PGresult *result = NULL;

    for (size_t i = 0; i < n; i++)
        entries[i]->is_found = false;
    add_columns(&self->params, table, table->keys_n, entries, n);
    TH_TRY(pg_execute(self->pg, &self->sql[id].load, &self->params, &result, err));
    for (int i = 0; i < PQntuples(result); i++) {
        struct pg_row row = pg_row(result, i);
        int64_t which = pg_next_int8(&row);
        if (which < 1 || (size_t)which > n)
            return th_fail(err, TH_MALFORMED, "views: a row of %s not asked for", table->name);
        TH_TRY(view_sql_read(&row, table, arena, entries[which - 1]->row, err));
        TH_TRY(pg_row_end(&row, err));
        entries[which - 1]->is_found = true;
    }
    return TH_OK;
}

/* --- months ------------------------------------------------------------------------------------
 */

static const struct pg_statement sql_add_month = {
    "SELECT (extract(epoch FROM date_trunc('month', $2::timestamptz, 'UTC')) * 1000)::int8,"
    " (extract(epoch FROM date_trunc('month', date_trunc('month', $2::timestamptz, 'UTC')"
    " + interval '32 days', 'UTC')) * 1000)::int8"
    " FROM views.add_month($1::int4, $2::timestamptz)",
};

static bool has_month(const struct pg_view_store *self, int64_t ms)
{
    if (ms < MONTH_FIRST_MS || ms >= MONTH_LAST_MS)
        return true;
    for (size_t i = 0; i < self->months_n; i++)
        if (ms >= self->months[i].from_ms && ms < self->months[i].to_ms)
            return true;
    return false;
}

static enum th_code add_month(struct pg_view_store *self, int64_t ms, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct month month;

    pg_params_clear(&self->params);
    pg_add_int4(&self->params, self->gen);
    pg_add_time_us(&self->params, ms * 1000);
    TH_TRY(pg_execute(self->pg, &sql_add_month, &self->params, &result, err));
    struct pg_row row = pg_row(result, 0);
    month.from_ms = pg_next_int8(&row);
    month.to_ms = pg_next_int8(&row);
    TH_TRY(pg_row_end(&row, err));
    if (self->months_n == MONTHS_MAX) /* forgetting costs a question later on, no more */
        self->months_n = 0;
    self->months[self->months_n++] = month;
    return TH_OK;
}

/* The month of an id, and the next one, so that it is there before anybody needs it. */
static enum th_code make_months(struct pg_view_store *self, const struct view_entries *entries,
                                struct th_err *err)
{
    for (size_t i = 0; i < entries->n; i++) {
        struct th_id id;
        memcpy(&id, entries->at[i]->packed.p, sizeof id); /* the key begins with it */
        if (has_month(self, th_id_ms(id)))
            continue;
        TH_TRY(add_month(self, th_id_ms(id), err));
        int64_t next_ms = self->months[self->months_n - 1].to_ms;
        if (!has_month(self, next_ms))
            TH_TRY(add_month(self, next_ms, err));
    }
    return TH_OK;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static const struct pg_statement sql_move_on = {
    "SELECT views.move_on($1::int4, $2::int4[], $3::int4[], $4::int8[], $5::int8[])",
};

static enum th_code move_on(struct pg_view_store *self, const struct view_change *change,
                            struct th_err *err)
{
    struct pg_params *params = &self->params;

    pg_params_clear(params);
    pg_add_int4(params, self->gen);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < change->steps_n; i++)
        pg_item_int4(params, (int32_t)change->steps[i].topic);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < change->steps_n; i++)
        pg_item_int4(params, change->steps[i].part);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < change->steps_n; i++)
        pg_item_int8(params, change->steps[i].from);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < change->steps_n; i++)
        pg_item_int8(params, change->steps[i].to);
    return pg_execute(self->pg, &sql_move_on, params, NULL, err);
}

/* What becomes of a row. */
enum fate {
    FATE_NONE,
    FATE_NEW,
    FATE_CHANGED,
    FATE_DELETED,
};

static enum fate fate_of(const struct view_entry *entry)
{
    if (!entry->is_changed)
        return FATE_NONE;
    if (entry->is_deleted)
        return FATE_DELETED;
    return entry->is_found ? FATE_CHANGED : FATE_NEW;
}

/* The entries of that fate, behind those that were picked before. */
static size_t pick(const struct view_entries *entries, enum fate fate, struct view_entry **out,
                   size_t n)
{
    for (size_t i = 0; i < entries->n; i++)
        if (fate_of(entries->at[i]) == fate)
            out[n++] = entries->at[i];
    return n;
}

/* --- many rows: by COPY, which costs a third of arrays of as many columns -----------------------
 */

/* At most ROWS_OF_COPY: their text stands in memory. */
static enum th_code copy_slice(struct pg_view_store *self, const struct view_table *table,
                               const char *sql, struct view_entry *const *entries, size_t n,
                               struct th_err *err)
{
    struct th_str bytes;

    pg_copy_begin(&self->params);
    for (size_t i = 0; i < n; i++) {
        union view_any_row row;
        view_unpack(table, entries[i]->packed, &row);
        pg_copy_row(&self->params, (int)table->columns_n);
        for (size_t c = 0; c < table->columns_n; c++)
            view_sql_item(&self->params, &table->columns[c], &row);
    }
    TH_TRY(pg_copy_end(&self->params, &bytes, err));
    return pg_copy(self->pg, sql, bytes, err);
}

static enum th_code copy_rows(struct pg_view_store *self, const struct view_table *table,
                              const char *sql, struct view_entry *const *entries, size_t n,
                              struct th_err *err)
{
    for (size_t at = 0; at < n; at += ROWS_OF_COPY)
        TH_TRY(copy_slice(self, table, sql, entries + at,
                          n - at < ROWS_OF_COPY ? n - at : ROWS_OF_COPY, err));
    return TH_OK;
}

static enum th_code update_many(struct pg_view_store *self, enum view_table_id id,
                                struct view_entry *const *entries, size_t n, struct th_err *err)
{
    const struct view_sql *sql = &self->sql[id];

    TH_TRY(copy_rows(self, view_table(id), sql->copy_stage, entries, n, err));
    return pg_execute(self->pg, &sql->update, NULL, NULL, err);
}

/* --- few rows: as arrays ------------------------------------------------------------------------
 */

/* n: at most COPY_ROWS_MIN. */
static void add_few(struct pg_view_store *self, const struct view_table *table, size_t columns_n,
                    struct view_entry *const *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        entries[i]->row = &self->few[i];
        view_unpack(table, entries[i]->packed, entries[i]->row);
    }
    add_columns(&self->params, table, columns_n, entries, n);
    for (size_t i = 0; i < n; i++)
        entries[i]->row = NULL;
}

static enum th_code upsert_few(struct pg_view_store *self, enum view_table_id id,
                               struct view_entry *const *entries, size_t n, struct th_err *err)
{
    add_few(self, view_table(id), view_table(id)->columns_n, entries, n);
    return pg_execute(self->pg, &self->sql[id].upsert, &self->params, NULL, err);
}

static enum th_code remove_rows(struct pg_view_store *self, enum view_table_id id,
                                struct view_entry *const *entries, size_t n, struct th_err *err)
{
    for (size_t at = 0; at < n; at += COPY_ROWS_MIN) {
        add_few(self, view_table(id), view_table(id)->keys_n, entries + at,
                n - at < COPY_ROWS_MIN ? n - at : COPY_ROWS_MIN);
        TH_TRY(pg_execute(self->pg, &self->sql[id].remove, &self->params, NULL, err));
    }
    return TH_OK;
}

static enum th_code write_table(struct pg_view_store *self, enum view_table_id id,
                                const struct view_entries *entries, struct th_err *err)
{
    const struct view_table *table = view_table(id);
    TH_AUTO(free) void *memory = calloc(entries->n + 1, sizeof(void *));
    struct view_entry **picked = memory;

    if (!picked)
        return th_fail(err, TH_NOMEM, "rows of %s", table->name);
    size_t new_n = pick(entries, FATE_NEW, picked, 0);
    size_t n = pick(entries, FATE_CHANGED, picked, new_n);
    if (n >= COPY_ROWS_MIN) {
        if (new_n)
            TH_TRY(copy_rows(self, table, self->sql[id].copy, picked, new_n, err));
        if (n > new_n)
            TH_TRY(update_many(self, id, picked + new_n, n - new_n, err));
    } else if (n) {
        TH_TRY(upsert_few(self, id, picked, n, err));
    }
    n = pick(entries, FATE_DELETED, picked, 0);
    return remove_rows(self, id, picked, n, err);
}

/* The stages of tables with many changes; outside of the transaction, so that they stay. */
static enum th_code make_stages(struct pg_view_store *self, const struct view_change *change,
                                struct th_err *err)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        if (self->has_stage[id] || change->tables[id].n < COPY_ROWS_MIN)
            continue;
        TH_TRY(pg_run(self->pg, self->sql[id].stage, err));
        self->has_stage[id] = true;
    }
    return TH_OK;
}

static enum th_code write_all(struct pg_view_store *self, const struct view_change *change,
                              struct th_err *err)
{
    TH_TRY(pg_run(self->pg, "BEGIN", err));
    TH_TRY(move_on(self, change, err));
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        if (change->tables[id].n)
            TH_TRY(write_table(self, id, &change->tables[id], err));
    return pg_run(self->pg, "COMMIT", err);
}

static enum th_code commit(struct view_store *store, const struct view_change *change,
                           struct th_err *err)
{
    struct pg_view_store *self = self_of(store);

    TH_TRY(make_months(self, &change->tables[VIEW_TABLE_SENDS], err));
    TH_TRY(make_months(self, &change->tables[VIEW_TABLE_ATTEMPTS], err));
    TH_TRY(make_stages(self, change, err));
    enum th_code code = write_all(self, change, err);
    if (code != TH_OK && pg_is_alive(self->pg)) {
        enum th_code undone = pg_run(self->pg, "ROLLBACK", NULL);
        (void)undone; /* a connection on which that fails is not used again */
    }
    return code;
}

static void close_store(struct view_store *store)
{
    struct pg_view_store *self = self_of(store);

    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        view_sql_fini(&self->sql[i]);
    pg_params_fini(&self->params);
    pg_close(self->pg);
    free(self);
}

/* --- opening -----------------------------------------------------------------------------------
 */

static const struct view_store_ops pg_ops = {
    .progress = progress, .load = load, .commit = commit, .close = close_store};

static const struct pg_statement sql_generation = {
    "SELECT gen FROM views.generation WHERE gen = $1::int4 OR ($1::int4 = 0 AND state = 'current')",
};

static enum th_code find_generation(struct pg_view_store *self, int gen, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;

    pg_params_clear(&self->params);
    pg_add_int4(&self->params, gen);
    if (pg_execute(self->pg, &sql_generation, &self->params, &result, err) != TH_OK)
        return th_wrap(err, "the views are not there: telehub upgrade");
    if (PQntuples(result) == 0)
        return th_fail(err, TH_NOT_FOUND, "no generation %d of the views", gen);
    struct pg_row row = pg_row(result, 0);
    self->gen = pg_next_int4(&row);
    return pg_row_end(&row, err);
}

static enum th_code open_into(struct pg_view_store *self, const char *conninfo, int gen,
                              struct th_err *err)
{
    struct pg_config config = {.conninfo = conninfo,
                               .application_name = "telehub materialize",
                               .is_generic_plan = true,
                               .is_unsynced = true};

    self->store.ops = &pg_ops;
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        if (view_sql_init(&self->sql[id], view_table(id)) != TH_OK)
            return th_fail(err, TH_NOMEM, "the views' store");
    TH_TRY(pg_open(&config, &self->pg, err));
    TH_TRY(find_generation(self, gen, err));
    return view_sql_enter(self->pg, self->gen, err);
}

enum th_code pg_view_store_open(const char *conninfo, int gen, struct view_store **out_store,
                                struct th_err *err)
{
    struct pg_view_store *self = calloc(1, sizeof *self);

    if (!self)
        return th_fail(err, TH_NOMEM, "the views' store");
    enum th_code code = open_into(self, conninfo, gen, err);
    if (code != TH_OK) {
        close_store(&self->store);
        return code;
    }
    *out_store = &self->store;
    return TH_OK;
}

enum th_code pg_view_store_open_current(void *conninfo, struct view_store **out_store,
                                        struct th_err *err)
{
    return pg_view_store_open(conninfo, 0, out_store, err);
}
