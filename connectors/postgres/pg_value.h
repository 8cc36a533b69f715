/* pg_value.h - parameters of a statement and columns of its answer, in Postgres' binary format.
 *
 * Pure: no connection is needed. Numbers are host integers here and big endian on the wire; times
 * are µs since 1970 here and µs since 2000 there.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_VALUE_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_VALUE_H

#include "common/buf.h"

#define PG_PARAMS_MAX 48

/* The object ids of the types that we speak; fixed in Postgres for ever. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_FLOAT8 = 701,
    PG_TIMESTAMPTZ = 1184,
    PG_UUID = 2950,
};

/* What the parameters $1, $2, … of one execution hold. Zero-initialise; pg_params_fini frees.
 * Adding never fails half-way: pg_execute and pg_send report what went wrong.
 *
 * Single values: pg_add_int8(&params, 5). Arrays: pg_array_begin(&params, PG_INT8) and then each
 * element by pg_item_…; the array ends with the next pg_add_…, pg_array_begin or the execution. */
struct pg_params {
    struct th_buf bytes;
    struct {
        size_t at;   /* in bytes */
        size_t size; /* of what stands there */
        bool is_null;
    } param[PG_PARAMS_MAX];
    int n;
    int items;         /* elements of the array that is being built; -1: none is */
    bool has_null;     /* among them */
    bool has_overflow; /* more than PG_PARAMS_MAX, or more bytes than a parameter may have */
};

void pg_params_fini(struct pg_params *params);

/* Empty it and keep its memory. */
void pg_params_clear(struct pg_params *params);

void pg_add_bool(struct pg_params *params, bool value);
void pg_add_int2(struct pg_params *params, int16_t value);
void pg_add_int4(struct pg_params *params, int32_t value);
void pg_add_int8(struct pg_params *params, int64_t value);
void pg_add_time_us(struct pg_params *params, int64_t unix_us);
void pg_add_bytes(struct pg_params *params, struct th_str value); /* bytea, text */
void pg_add_uuid(struct pg_params *params, const uint8_t value[16]);
void pg_add_null(struct pg_params *params);

void pg_array_begin(struct pg_params *params, enum pg_type element);
void pg_item_bool(struct pg_params *params, bool value);
void pg_item_int2(struct pg_params *params, int16_t value);
void pg_item_int4(struct pg_params *params, int32_t value);
void pg_item_int8(struct pg_params *params, int64_t value);
void pg_item_time_us(struct pg_params *params, int64_t unix_us);
void pg_item_bytes(struct pg_params *params, struct th_str value);
void pg_item_uuid(struct pg_params *params, const uint8_t value[16]);
void pg_item_null(struct pg_params *params);

/* For elements made of several pieces: n bytes to fill in; NULL when there is no memory. */
char *pg_item_reserve(struct pg_params *params, size_t n);

/* --- rows for COPY ---------------------------------------------------------------------- */

/* Instead of parameters: rows in COPY's binary format. pg_copy_begin, then for each row pg_copy_row
 * and its columns by pg_item_…. */
void pg_copy_begin(struct pg_params *params);
void pg_copy_row(struct pg_params *params, int columns);

/* *out lives until params change. TH_OK, TH_NOMEM or TH_INVALID. */
TH_MUST_USE
enum th_code pg_copy_end(struct pg_params *params, struct th_str *out, struct th_err *err);

/* End the last array. TH_OK, TH_NOMEM, or TH_INVALID (too many parameters, or one above 1 GB). */
TH_MUST_USE
enum th_code pg_params_finish(struct pg_params *params, struct th_err *err);

/* --- columns ---------------------------------------------------------------------------- */

/* One column as it came; p is NULL for SQL's null. */
struct pg_column {
    struct th_str bytes;
    bool is_null;
};

/* The value, or false when it is null or has another size than the type. */
bool pg_column_bool(struct pg_column column, bool *out);
bool pg_column_int2(struct pg_column column, int16_t *out);
bool pg_column_int4(struct pg_column column, int32_t *out);
bool pg_column_int8(struct pg_column column, int64_t *out);
bool pg_column_time_us(struct pg_column column, int64_t *out_unix_us);

/* The elements of a one-dimensional array without nulls, at most max of them into *out. False if
 * it is anything else, or has more. */
bool pg_column_int8s(struct pg_column column, int64_t *out, size_t max, size_t *out_n);

#endif
