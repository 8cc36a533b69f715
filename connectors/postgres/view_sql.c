#include "connectors/postgres/view_sql.h"

#include <stdio.h>
#include <string.h>

static const char *type_name(enum view_type type)
{
    switch (type) {
    case VIEW_UUID:
        return "uuid";
    case VIEW_TEXT:
        return "text";
    case VIEW_BYTES:
        return "bytea";
    case VIEW_INT4:
        return "int4";
    case VIEW_INT8:
        return "int8";
    case VIEW_BOOL:
        return "bool";
    case VIEW_TIME:
        return "timestamptz";
    }
    return "?";
}

static enum pg_type element_type(enum view_type type)
{
    switch (type) {
    case VIEW_UUID:
        return PG_UUID;
    case VIEW_TEXT:
        return PG_TEXT;
    case VIEW_BYTES:
        return PG_BYTEA;
    case VIEW_INT4:
        return PG_INT4;
    case VIEW_INT8:
        return PG_INT8;
    case VIEW_BOOL:
        return PG_BOOL;
    case VIEW_TIME:
        return PG_TIMESTAMPTZ;
    }
    return PG_BYTEA;
}

/* --- texts -------------------------------------------------------------------------------------
 */

void view_sql_names(struct th_buf *out, const struct view_table *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        th_buf_printf(out, "%s\"%s\"", i ? ", " : "", table->columns[i].name);
}

/* "unnest($1::uuid[], $2::int4[])" */
static void add_unnest(struct th_buf *out, const struct view_table *table, size_t n)
{
    for (size_t i = 0; i < n; i++)
        th_buf_printf(out, "%s$%zu::%s[]", i ? ", " : "unnest(", i + 1,
                      type_name(table->columns[i].type));
    th_buf_add_char(out, ')');
}

/* "k(k0, k1" without the end. */
static void add_keys(struct th_buf *out, const struct view_table *table)
{
    for (size_t i = 0; i < table->keys_n; i++)
        th_buf_printf(out, "%sk%zu", i ? ", " : "k(", i);
}

static void add_join(struct th_buf *out, const struct view_table *table)
{
    for (size_t i = 0; i < table->keys_n; i++)
        th_buf_printf(out, "%st.\"%s\" = k.k%zu", i ? " AND " : "", table->columns[i].name, i);
}

static void write_load(struct th_buf *out, const struct view_table *table)
{
    th_buf_printf(out, "SELECT k.i");
    for (size_t i = 0; i < table->columns_n; i++)
        th_buf_printf(out, ", t.\"%s\"", table->columns[i].name);
    th_buf_printf(out, " FROM ");
    add_unnest(out, table, table->keys_n);
    th_buf_printf(out, " WITH ORDINALITY AS ");
    add_keys(out, table);
    th_buf_printf(out, ", i) JOIN \"%s\" t ON ", table->name);
    add_join(out, table);
    th_buf_add_char(out, '\0');
}

static void write_upsert(struct th_buf *out, const struct view_table *table)
{
    th_buf_printf(out, "INSERT INTO \"%s\" AS t (", table->name);
    view_sql_names(out, table, table->columns_n);
    th_buf_printf(out, ") SELECT * FROM ");
    add_unnest(out, table, table->columns_n);
    th_buf_printf(out, " ON CONFLICT (");
    view_sql_names(out, table, table->keys_n);
    th_buf_printf(out, ") DO UPDATE SET ");
    for (size_t i = table->keys_n; i < table->columns_n; i++)
        th_buf_printf(out, "%s\"%s\" = excluded.\"%s\"", i > table->keys_n ? ", " : "",
                      table->columns[i].name, table->columns[i].name);
    th_buf_add_char(out, '\0');
}

static void write_remove(struct th_buf *out, const struct view_table *table)
{
    th_buf_printf(out, "DELETE FROM \"%s\" t USING ", table->name);
    add_unnest(out, table, table->keys_n);
    th_buf_printf(out, " AS ");
    add_keys(out, table);
    th_buf_printf(out, ") WHERE ");
    add_join(out, table);
    th_buf_add_char(out, '\0');
}

static void write_stage(struct th_buf *out, const struct view_table *table)
{
    th_buf_printf(
        out, "CREATE TEMP TABLE IF NOT EXISTS \"changed_%s\" (LIKE \"%s\") ON COMMIT DELETE ROWS",
        table->name, table->name);
    th_buf_add_char(out, '\0');
}

static void write_copy(struct th_buf *out, const struct view_table *table, const char *prefix)
{
    th_buf_printf(out, "COPY \"%s%s\" (", prefix, table->name);
    view_sql_names(out, table, table->columns_n);
    th_buf_printf(out, ") FROM STDIN (FORMAT binary)");
    th_buf_add_char(out, '\0');
}

static void write_update(struct th_buf *out, const struct view_table *table)
{
    th_buf_printf(out, "UPDATE \"%s\" t SET ", table->name);
    for (size_t i = table->keys_n; i < table->columns_n; i++)
        th_buf_printf(out, "%s\"%s\" = c.\"%s\"", i > table->keys_n ? ", " : "",
                      table->columns[i].name, table->columns[i].name);
    th_buf_printf(out, " FROM \"changed_%s\" c WHERE ", table->name);
    for (size_t i = 0; i < table->keys_n; i++)
        th_buf_printf(out, "%st.\"%s\" = c.\"%s\"", i ? " AND " : "", table->columns[i].name,
                      table->columns[i].name);
    th_buf_add_char(out, '\0');
}

enum th_code view_sql_init(struct view_sql *sql, const struct view_table *table)
{
    memset(sql, 0, sizeof *sql);
    write_load(&sql->texts[0], table);
    write_upsert(&sql->texts[1], table);
    write_remove(&sql->texts[2], table);
    write_stage(&sql->texts[3], table);
    write_copy(&sql->texts[4], table, "changed_");
    write_update(&sql->texts[5], table);
    write_copy(&sql->texts[6], table, "");
    for (size_t i = 0; i < TH_LEN(sql->texts); i++)
        if (th_buf_status(&sql->texts[i]) != TH_OK) {
            view_sql_fini(sql);
            return TH_NOMEM;
        }
    sql->load.sql = sql->texts[0].p;
    sql->upsert.sql = sql->texts[1].p;
    sql->remove.sql = sql->texts[2].p;
    sql->stage = sql->texts[3].p;
    sql->copy_stage = sql->texts[4].p;
    sql->update.sql = sql->texts[5].p;
    sql->copy = sql->texts[6].p;
    return TH_OK;
}

void view_sql_fini(struct view_sql *sql)
{
    for (size_t i = 0; i < TH_LEN(sql->texts); i++)
        th_buf_fini(&sql->texts[i]);
}

/* --- values ------------------------------------------------------------------------------------
 */

void view_sql_begin(struct pg_params *params, const struct view_column *column)
{
    pg_array_begin(params, element_type(column->type));
}

static void item_text(struct pg_params *params, struct th_str text, bool may_be_null)
{
    if (text.n == 0 && may_be_null)
        pg_item_null(params);
    else
        pg_item_bytes(params, text);
}

/* Within the years 1 to 9999; the server's own bounds are near. */
static void item_time(struct pg_params *params, int64_t us)
{
    const int64_t min_us = -INT64_C(62135596800000000);
    const int64_t max_us = INT64_C(253402300799000000);

    if (us == 0)
        pg_item_null(params);
    else if (us > max_us)
        pg_item_time_us(params, max_us);
    else
        pg_item_time_us(params, us < min_us ? min_us : us);
}

void view_sql_item(struct pg_params *params, const struct view_column *column, const void *row)
{
    const void *at = (const char *)row + column->at;
    struct th_str text;
    struct th_id id;
    int64_t wide;
    int32_t narrow;
    bool flag;

    switch (column->type) {
    case VIEW_UUID:
        memcpy(&id, at, sizeof id);
        if (th_id_is_zero(id) && !column->is_key)
            pg_item_null(params);
        else
            pg_item_uuid(params, id.b);
        return;
    case VIEW_TEXT:
    case VIEW_BYTES:
        memcpy(&text, at, sizeof text);
        item_text(params, text, !column->is_key);
        return;
    case VIEW_INT4:
        memcpy(&narrow, at, sizeof narrow);
        pg_item_int4(params, narrow);
        return;
    case VIEW_INT8:
        memcpy(&wide, at, sizeof wide);
        pg_item_int8(params, wide);
        return;
    case VIEW_BOOL:
        memcpy(&flag, at, sizeof flag);
        pg_item_bool(params, flag);
        return;
    case VIEW_TIME:
        memcpy(&wide, at, sizeof wide);
        item_time(params, wide);
        return;
    }
}

/* The value of a column that is not null; false if it has another size than its type. */
static bool read_value(struct pg_column from, const struct view_column *column,
                       struct th_arena *arena, void *at, enum th_code *out_code)
{
    struct th_str copy;

    switch (column->type) {
    case VIEW_UUID:
        if (from.bytes.n != sizeof(struct th_id))
            return false;
        memcpy(at, from.bytes.p, sizeof(struct th_id));
        return true;
    case VIEW_TEXT:
    case VIEW_BYTES:
        *out_code = th_arena_copy(arena, from.bytes, &copy);
        if (*out_code == TH_OK)
            memcpy(at, &copy, sizeof copy);
        return true;
    case VIEW_INT4:
        return pg_column_int4(from, at);
    case VIEW_INT8:
        return pg_column_int8(from, at);
    case VIEW_BOOL:
        return pg_column_bool(from, at);
    case VIEW_TIME:
        return pg_column_time_us(from, at);
    }
    return false;
}

enum th_code view_sql_read(struct pg_row *from, const struct view_table *table,
                           struct th_arena *arena, void *out_row, struct th_err *err)
{
    memset(out_row, 0, table->row_size);
    for (size_t i = 0; i < table->columns_n; i++) {
        const struct view_column *column = &table->columns[i];
        struct pg_column value = pg_next(from);
        enum th_code code = TH_OK;

        if (value.is_null)
            continue;
        if (!read_value(value, column, arena, (char *)out_row + column->at, &code))
            return th_fail(err, TH_MALFORMED, "views: %s.%s is not a %s", table->name, column->name,
                           type_name(column->type));
        if (code != TH_OK)
            return th_fail(err, code, "rows of %s", table->name);
    }
    return TH_OK;
}

/* --- the connection ----------------------------------------------------------------------------
 */

/* A price instead of enable_seqscan=off: that one adds so much to whatever must read a stage from
 * end to end that all plans with it look alike. */
static const struct pg_statement sql_enter = {
    "SELECT set_config('search_path', $1::text, false),"
    " set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),"
    " set_config('enable_material', 'off', false), set_config('seq_page_cost', '1000', false),"
    " set_config('jit', 'off', false)",
};

enum th_code view_sql_enter(struct pg *pg, int gen, struct th_err *err)
{
    TH_AUTO(pg_params) struct pg_params params = {0};
    char path[64];

    (void)snprintf(path, sizeof path, "view_g%d, pg_catalog", gen);
    pg_add_bytes(&params, th_str(path));
    return pg_execute(pg, &sql_enter, &params, NULL, err);
}
