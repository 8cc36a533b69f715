/* audience_csv.h - one part of an audience: from CSV to accepted rows, and why the others are not.
 *
 * Pure. UTF-8 with a header. The column phone is required, lang is optional, all others are
 * variables. Whatever is wrong with a row costs that row alone.
 */
#ifndef TELEHUB_GATEWAY_AUDIENCE_CSV_H
#define TELEHUB_GATEWAY_AUDIENCE_CSV_H

#include "common/arena.h"
#include "schemas/events.h"

#define AUDIENCE_ROWS_MAX     1000
#define AUDIENCE_REJECTED_MAX 1000 /* that are listed; all are counted */
#define AUDIENCE_COLUMNS_MAX  100

struct rejected_row {
    int64_t row;          /* data row of the file, from 1 */
    struct th_str column; /* its name, or its number */
    struct th_str reason;
};

struct audience_csv {
    struct string_array columns; /* the variables' names */
    struct audience_row *rows;
    size_t rows_n;
    struct rejected_row *rejected;
    size_t rejected_n;
    int64_t rejected_total;
};

/* country: the tenant's, two capitals, or NULL. first_row: the file's number of the first data row.
 * Results live in arena.
 * Errors: TH_MALFORMED  the header: unreadable, no column phone, a name twice or not allowed
 *         TH_FULL       more than AUDIENCE_ROWS_MAX rows
 *         TH_NOMEM */
TH_MUST_USE
enum th_code audience_csv_read(struct th_str bytes, const char *country, int64_t first_row,
                               struct th_arena *arena, struct audience_csv *out_csv,
                               struct th_err *err);

#endif
