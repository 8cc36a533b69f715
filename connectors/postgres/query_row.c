#include <string.h>

#include "connectors/postgres/queries_internal.h"

struct th_str query_next_text(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    struct th_str copy = {NULL, 0};

    if (!column.is_null && th_arena_copy(row->arena, column.bytes, &copy) != TH_OK)
        row->is_nomem = true;
    return copy;
}

struct th_id query_next_id(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    struct th_id id = {{0}};

    if (column.is_null)
        return id;
    if (column.bytes.n == sizeof id.b)
        memcpy(id.b, column.bytes.p, sizeof id.b);
    else
        row->row.is_bad = true;
    return id;
}

int32_t query_next_int4(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    int32_t value = 0;

    if (!column.is_null && !pg_column_int4(column, &value))
        row->row.is_bad = true;
    return value;
}

int64_t query_next_int8(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    int64_t value = 0;

    if (!column.is_null && !pg_column_int8(column, &value))
        row->row.is_bad = true;
    return value;
}

int64_t query_next_time_us(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    int64_t value = 0;

    if (!column.is_null && !pg_column_time_us(column, &value))
        row->row.is_bad = true;
    return value;
}

bool query_next_bool(struct query_row *row)
{
    struct pg_column column = pg_next(&row->row);
    bool value = false;

    if (!column.is_null && !pg_column_bool(column, &value))
        row->row.is_bad = true;
    return value;
}

struct th_money query_next_money(struct query_row *row)
{
    struct th_money money = {.micros = query_next_int8(row)};
    struct pg_column currency = pg_next(&row->row);

    if (!currency.is_null && currency.bytes.n < sizeof money.currency)
        memcpy(money.currency, currency.bytes.p, currency.bytes.n);
    else if (!currency.is_null)
        row->row.is_bad = true;
    return money;
}

enum th_code query_row_end(const struct query_row *row, struct th_err *err)
{
    if (row->is_nomem)
        return th_fail(err, TH_NOMEM, "a row of the views");
    if (pg_row_end(&row->row, err) != TH_OK)
        return th_fail(err, TH_CORRUPT, "a row of the views is not as it should be");
    return TH_OK;
}
