#include "common/view_rows.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/hash.h"

#define VIEW_COLUMNS(id, name, columns)                                                            \
    static const struct view_column name##_columns[] = {columns(VIEW_COLUMN_OF_##name)};

#define VIEW_COLUMN_ROW(table, type, column, is_key)                                               \
    {#column, VIEW_##type, is_key, offsetof(struct table##_row, column)},
#define VIEW_COLUMN_OF_sends(t, c, k)             VIEW_COLUMN_ROW(sends, t, c, k)
#define VIEW_COLUMN_OF_attempts(t, c, k)          VIEW_COLUMN_ROW(attempts, t, c, k)
#define VIEW_COLUMN_OF_campaigns(t, c, k)         VIEW_COLUMN_ROW(campaigns, t, c, k)
#define VIEW_COLUMN_OF_commands(t, c, k)          VIEW_COLUMN_ROW(commands, t, c, k)
#define VIEW_COLUMN_OF_audiences(t, c, k)         VIEW_COLUMN_ROW(audiences, t, c, k)
#define VIEW_COLUMN_OF_audience_parts(t, c, k)    VIEW_COLUMN_ROW(audience_parts, t, c, k)
#define VIEW_COLUMN_OF_releases(t, c, k)          VIEW_COLUMN_ROW(releases, t, c, k)
#define VIEW_COLUMN_OF_opt_outs(t, c, k)          VIEW_COLUMN_ROW(opt_outs, t, c, k)
#define VIEW_COLUMN_OF_lanes(t, c, k)             VIEW_COLUMN_ROW(lanes, t, c, k)
#define VIEW_COLUMN_OF_dead_letters(t, c, k)      VIEW_COLUMN_ROW(dead_letters, t, c, k)
#define VIEW_COLUMN_OF_dead_letter_ends(t, c, k)  VIEW_COLUMN_ROW(dead_letter_ends, t, c, k)
#define VIEW_COLUMN_OF_campaign_counters(t, c, k) VIEW_COLUMN_ROW(campaign_counters, t, c, k)
#define VIEW_COLUMN_OF_campaign_costs(t, c, k)    VIEW_COLUMN_ROW(campaign_costs, t, c, k)

VIEW_TABLES(VIEW_COLUMNS)

#define VIEW_KEYS_OF(type, column, is_key) +(is_key)
#define VIEW_TABLE_ROW(id, name, columns)                                                          \
    [id] = {#name, sizeof(struct name##_row), name##_columns,                                      \
            sizeof name##_columns / sizeof *name##_columns, (size_t)(0 columns(VIEW_KEYS_OF))},

static const struct view_table tables[] = {VIEW_TABLES(VIEW_TABLE_ROW)};

const struct view_table *view_table(enum view_table_id id)
{
    assert((unsigned)id < VIEW_TABLE_COUNT);
    return &tables[id];
}

/* --- values -------------------------------------------------------------------------------- */

/* Any value as bytes: equal values give equal ones. */
static struct th_str bytes_of(const struct view_column *column, const void *row)
{
    const char *at = (const char *)row + column->at;
    struct th_str text;

    switch (column->type) {
    case VIEW_UUID:
        return (struct th_str){at, sizeof(struct th_id)};
    case VIEW_TEXT:
    case VIEW_BYTES:
        memcpy(&text, at, sizeof text);
        return text;
    case VIEW_INT4:
        return (struct th_str){at, sizeof(int32_t)};
    case VIEW_INT8:
    case VIEW_TIME:
        return (struct th_str){at, sizeof(int64_t)};
    case VIEW_BOOL:
        return (struct th_str){at, sizeof(bool)};
    }
    return (struct th_str){NULL, 0};
}

static int64_t int_of(const struct view_column *column, const void *row)
{
    struct th_str bytes = bytes_of(column, row);
    int64_t wide = 0;
    int32_t narrow = 0;
    bool flag = false;

    if (column->type == VIEW_INT4) {
        memcpy(&narrow, bytes.p, sizeof narrow);
        return narrow;
    }
    if (column->type == VIEW_BOOL) {
        memcpy(&flag, bytes.p, sizeof flag);
        return flag;
    }
    memcpy(&wide, bytes.p, sizeof wide);
    return wide;
}

static bool is_number(enum view_type type)
{
    return type == VIEW_INT4 || type == VIEW_INT8 || type == VIEW_BOOL || type == VIEW_TIME;
}

static int cmp_value(const struct view_column *column, const void *a, const void *b)
{
    if (is_number(column->type)) {
        int64_t x = int_of(column, a);
        int64_t y = int_of(column, b);
        return (x > y) - (x < y);
    }
    return th_str_cmp(bytes_of(column, a), bytes_of(column, b));
}

uint64_t view_row_hash(const struct view_table *table, const void *row)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < table->keys_n; i++)
        hash = th_hash64(bytes_of(&table->columns[i], row), hash + i);
    return hash;
}

int view_row_cmp(const struct view_table *table, const void *a, const void *b)
{
    for (size_t i = 0; i < table->keys_n; i++) {
        int cmp = cmp_value(&table->columns[i], a, b);
        if (cmp)
            return cmp;
    }
    return 0;
}

bool view_row_same_key(const struct view_table *table, const void *a, const void *b)
{
    return view_row_cmp(table, a, b) == 0;
}

bool view_row_equal(const struct view_table *table, const void *a, const void *b)
{
    for (size_t i = 0; i < table->columns_n; i++)
        if (cmp_value(&table->columns[i], a, b) != 0)
            return false;
    return true;
}

enum th_code view_row_copy(const struct view_table *table, const void *row, struct th_arena *arena,
                           void *out_row)
{
    memmove(out_row, row, table->row_size);
    for (size_t i = 0; i < table->columns_n; i++) {
        const struct view_column *column = &table->columns[i];
        struct th_str copy;

        if (column->type != VIEW_TEXT && column->type != VIEW_BYTES)
            continue;
        TH_TRY(th_arena_copy(arena, bytes_of(column, row), &copy));
        memcpy((char *)out_row + column->at, &copy, sizeof copy);
    }
    return TH_OK;
}

/* --- for people ---------------------------------------------------------------------------- */

static void print_value(const struct view_column *column, const void *row, struct th_buf *out)
{
    struct th_str bytes = bytes_of(column, row);
    char text[TH_ID_TEXT_LEN + 1];
    struct th_id id;

    switch (column->type) {
    case VIEW_UUID:
        memcpy(&id, bytes.p, sizeof id);
        th_id_text(id, text);
        th_buf_add(out, th_str(text));
        return;
    case VIEW_TEXT:
        th_buf_printf(out, "\"%.*s\"", TH_ARG(bytes));
        return;
    case VIEW_BYTES:
        for (size_t i = 0; i < bytes.n; i++)
            th_buf_printf(out, "%02x", (unsigned)(unsigned char)bytes.p[i]);
        return;
    case VIEW_INT4:
    case VIEW_INT8:
    case VIEW_BOOL:
    case VIEW_TIME:
        th_buf_printf(out, "%" PRId64, int_of(column, row));
        return;
    }
}

static void print_columns(const struct view_table *table, const void *row, size_t n,
                          struct th_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        th_buf_printf(out, "%s%s=", i ? " " : "", table->columns[i].name);
        print_value(&table->columns[i], row, out);
    }
}

void view_row_print(const struct view_table *table, const void *row, struct th_buf *out)
{
    print_columns(table, row, table->columns_n, out);
}

void view_row_print_key(const struct view_table *table, const void *row, struct th_buf *out)
{
    print_columns(table, row, table->keys_n, out);
}
