/* split.h - a CSV file of any size, as parts that the gateway takes: each with the header, at most
 * 1,000 rows and 400 kB. Memory does not grow with the file.
 *
 * Rows keep their numbers. A row that is no CSV at all (not UTF-8, an unclosed quote, endless) goes
 * out as one empty field, so that numbers stay right and the gateway rejects it; why, stands in
 * bad.
 */
#ifndef TELEHUB_PROCESSORS_CLI_SPLIT_H
#define TELEHUB_PROCESSORS_CLI_SPLIT_H

#include "common/csv.h"

#include <stdio.h>

#define SPLIT_ROWS_MAX  1000
#define SPLIT_BYTES_MAX ((size_t)400 * 1000)

struct split_bad {
    int64_t row; /* data row of the file, from 1 */
    char column[64];
    const char *reason; /* static */
};

/* Zero-initialise but for file. What stands in part is valid until the next call. */
struct split {
    FILE *file; /* not owned */
    struct th_buf part;
    int64_t first_row; /* of the part, from 1 */
    int64_t rows;      /* in the part */
    struct split_bad bad[SPLIT_ROWS_MAX];
    size_t bad_n;

    struct th_csv csv; /* what follows is its own */
    struct th_buf header;
    char names[TH_CSV_FIELDS_MAX][64];
    size_t names_n;
    struct th_buf row;        /* read, but no longer fits the part before */
    struct split_bad row_bad; /* reason NULL: it is fine */
    bool has_row;
    int64_t rows_read;
};

void split_fini(struct split *split);

/* Errors: TH_INVALID    the header cannot be read, or there is none
 *         TH_NOT_FOUND  no more parts; TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code split_next(struct split *split, struct th_err *err);

#endif
