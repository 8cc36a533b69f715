#include "connectors/postgres/pg_value.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define PARAM_SIZE_MAX    ((size_t)1 << 30)        /* what Postgres takes as one value */
#define EPOCH_OFFSET_US   INT64_C(946684800000000) /* 2000-01-01 in Unix time */
#define ARRAY_HEADER_SIZE 20                       /* of one dimension */
#define ARRAY_FLAGS_AT    4
#define ARRAY_LENGTH_AT   12

void pg_params_fini(struct pg_params *params)
{
    th_buf_fini(&params->bytes);
    pg_params_clear(params);
}

void pg_params_clear(struct pg_params *params)
{
    th_buf_clear(&params->bytes);
    params->n = 0;
    params->items = -1;
    params->has_null = false;
    params->has_overflow = false;
}

static void put_u16(char *at, uint16_t value)
{
    value = htobe16(value);
    memcpy(at, &value, sizeof value);
}

static void put_u32(char *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
}

static void put_u64(char *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof value);
}

/* n bytes at the end, counted in; NULL when there is no memory. */
static char *grow(struct pg_params *params, size_t n)
{
    char *at = th_buf_reserve(&params->bytes, n);
    if (at)
        params->bytes.n += n;
    return at;
}

static uint64_t pg_time(int64_t unix_us)
{
    return (uint64_t)unix_us - (uint64_t)EPOCH_OFFSET_US;
}

/* --- single values ---------------------------------------------------------------------- */

static void end_array(struct pg_params *params)
{
    if (params->items < 0)
        return;
    size_t begin = params->param[params->n - 1].at;
    if (!params->bytes.is_failed) {
        char *header = params->bytes.p + begin;
        put_u32(header + ARRAY_FLAGS_AT, params->has_null);
        put_u32(header + ARRAY_LENGTH_AT, (uint32_t)params->items);
        if (params->items == 0) { /* an empty array has no dimension */
            put_u32(header, 0);
            params->bytes.n = begin + ARRAY_LENGTH_AT;
        }
        params->param[params->n - 1].size = params->bytes.n - begin;
        params->has_overflow |= params->bytes.n - begin > PARAM_SIZE_MAX;
    }
    params->items = -1;
    params->has_null = false;
}

/* Begin the next parameter; false if there are too many. */
static bool next_param(struct pg_params *params)
{
    if (params->n > 0)
        end_array(params);
    else
        params->items = -1;
    if (params->n == PG_PARAMS_MAX) {
        params->has_overflow = true;
        return false;
    }
    params->param[params->n].at = params->bytes.n;
    params->param[params->n].size = 0;
    params->param[params->n].is_null = false;
    params->n++;
    return true;
}

static char *add_param(struct pg_params *params, size_t size)
{
    if (!next_param(params))
        return NULL;
    params->has_overflow |= size > PARAM_SIZE_MAX;
    params->param[params->n - 1].size = size;
    return grow(params, size);
}

void pg_add_bool(struct pg_params *params, bool value)
{
    char *at = add_param(params, 1);
    if (at)
        *at = value;
}

void pg_add_int2(struct pg_params *params, int16_t value)
{
    char *at = add_param(params, sizeof value);
    if (at)
        put_u16(at, (uint16_t)value);
}

void pg_add_int4(struct pg_params *params, int32_t value)
{
    char *at = add_param(params, sizeof value);
    if (at)
        put_u32(at, (uint32_t)value);
}

void pg_add_int8(struct pg_params *params, int64_t value)
{
    char *at = add_param(params, sizeof value);
    if (at)
        put_u64(at, (uint64_t)value);
}

void pg_add_time_us(struct pg_params *params, int64_t unix_us)
{
    pg_add_int8(params, (int64_t)pg_time(unix_us));
}

void pg_add_bytes(struct pg_params *params, struct th_str value)
{
    char *at = add_param(params, value.n);
    if (at && value.n)
        memcpy(at, value.p, value.n);
}

void pg_add_uuid(struct pg_params *params, const uint8_t value[16])
{
    pg_add_bytes(params, (struct th_str){(const char *)value, 16});
}

void pg_add_null(struct pg_params *params)
{
    if (next_param(params))
        params->param[params->n - 1].is_null = true;
}

/* --- arrays --------------------------------------------------------------------------------------
 */

void pg_array_begin(struct pg_params *params, enum pg_type element)
{
    char *header = add_param(params, ARRAY_HEADER_SIZE);
    if (!header)
        return;
    memset(header, 0, ARRAY_HEADER_SIZE);
    put_u32(header, 1); /* dimensions */
    put_u32(header + 8, element);
    put_u32(header + 16, 1); /* subscripts begin at 1 */
    params->items = 0;
    params->has_null = false;
}

char *pg_item_reserve(struct pg_params *params, size_t n)
{
    if (params->items < 0) /* the array itself found no room */
        return NULL;
    if (n > PARAM_SIZE_MAX) {
        params->has_overflow = true;
        return NULL;
    }
    char *at = grow(params, 4 + n);
    if (!at)
        return NULL;
    put_u32(at, (uint32_t)n);
    params->items++;
    return at + 4;
}

void pg_item_bool(struct pg_params *params, bool value)
{
    char *at = pg_item_reserve(params, 1);
    if (at)
        *at = value;
}

void pg_item_int2(struct pg_params *params, int16_t value)
{
    char *at = pg_item_reserve(params, sizeof value);
    if (at)
        put_u16(at, (uint16_t)value);
}

void pg_item_int4(struct pg_params *params, int32_t value)
{
    char *at = pg_item_reserve(params, sizeof value);
    if (at)
        put_u32(at, (uint32_t)value);
}

void pg_item_int8(struct pg_params *params, int64_t value)
{
    char *at = pg_item_reserve(params, sizeof value);
    if (at)
        put_u64(at, (uint64_t)value);
}

void pg_item_time_us(struct pg_params *params, int64_t unix_us)
{
    pg_item_int8(params, (int64_t)pg_time(unix_us));
}

void pg_item_bytes(struct pg_params *params, struct th_str value)
{
    char *at = pg_item_reserve(params, value.n);
    if (at && value.n)
        memcpy(at, value.p, value.n);
}

void pg_item_uuid(struct pg_params *params, const uint8_t value[16])
{
    pg_item_bytes(params, (struct th_str){(const char *)value, 16});
}

void pg_item_null(struct pg_params *params)
{
    char *at = params->items < 0 ? NULL : grow(params, 4);
    if (!at)
        return;
    put_u32(at, UINT32_MAX);
    params->items++;
    params->has_null = true;
}

enum th_code pg_params_finish(struct pg_params *params, struct th_err *err)
{
    if (params->n > 0)
        end_array(params);
    if (params->has_overflow)
        return th_fail(err, TH_INVALID, "a statement with too many or too large parameters");
    if (th_buf_status(&params->bytes) != TH_OK)
        return th_fail(err, TH_NOMEM, "parameters of a statement");
    return TH_OK;
}

/* --- rows for COPY ---------------------------------------------------------------------- */

void pg_copy_begin(struct pg_params *params)
{
    static const char signature[11] = "PGCOPY\n\377\r\n"; /* and a zero */
    static const char no_flags_no_extension[8];

    pg_params_clear(params);
    th_buf_add(&params->bytes, (struct th_str){signature, sizeof signature});
    th_buf_add(&params->bytes,
               (struct th_str){no_flags_no_extension, sizeof no_flags_no_extension});
    params->items = 0;
}

void pg_copy_row(struct pg_params *params, int columns)
{
    char *at = grow(params, sizeof(uint16_t));
    if (at)
        put_u16(at, (uint16_t)columns);
}

enum th_code pg_copy_end(struct pg_params *params, struct th_str *out, struct th_err *err)
{
    pg_copy_row(params, -1);
    if (params->has_overflow)
        return th_fail(err, TH_INVALID, "a row with too large a value");
    if (th_buf_status(&params->bytes) != TH_OK)
        return th_fail(err, TH_NOMEM, "rows to copy");
    *out = th_buf_str(&params->bytes);
    return TH_OK;
}

/* --- columns ---------------------------------------------------------------------------- */

static uint32_t get_u32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return be32toh(value);
}

static uint64_t get_u64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return be64toh(value);
}

static bool has_size(struct pg_column column, size_t size)
{
    return !column.is_null && column.bytes.n == size;
}

bool pg_column_bool(struct pg_column column, bool *out)
{
    if (!has_size(column, 1))
        return false;
    *out = *column.bytes.p != 0;
    return true;
}

bool pg_column_int2(struct pg_column column, int16_t *out)
{
    uint16_t value;

    if (!has_size(column, sizeof value))
        return false;
    memcpy(&value, column.bytes.p, sizeof value);
    *out = (int16_t)be16toh(value);
    return true;
}

bool pg_column_int4(struct pg_column column, int32_t *out)
{
    if (!has_size(column, sizeof *out))
        return false;
    *out = (int32_t)get_u32(column.bytes.p);
    return true;
}

bool pg_column_int8(struct pg_column column, int64_t *out)
{
    if (!has_size(column, sizeof *out))
        return false;
    *out = (int64_t)get_u64(column.bytes.p);
    return true;
}

bool pg_column_time_us(struct pg_column column, int64_t *out_unix_us)
{
    int64_t value;

    if (!pg_column_int8(column, &value))
        return false;
    *out_unix_us = (int64_t)((uint64_t)value + (uint64_t)EPOCH_OFFSET_US);
    return true;
}

bool pg_column_int8s(struct pg_column column, int64_t *out, size_t max, size_t *out_n)
{
    struct th_str s = column.bytes;

    if (column.is_null || s.n < ARRAY_LENGTH_AT)
        return false;
    uint32_t dimensions = get_u32(s.p);
    if (dimensions == 0) {
        *out_n = 0;
        return true;
    }
    if (dimensions != 1 || s.n < ARRAY_HEADER_SIZE || get_u32(s.p + 8) != PG_INT8)
        return false;
    size_t n = get_u32(s.p + ARRAY_LENGTH_AT);
    if (n > max || s.n != ARRAY_HEADER_SIZE + n * 12)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *at = s.p + ARRAY_HEADER_SIZE + i * 12;
        if (get_u32(at) != 8)
            return false;
        out[i] = (int64_t)get_u64(at + 4);
    }
    *out_n = n;
    return true;
}
