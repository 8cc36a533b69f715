/* csv.h - rows of a CSV (RFC 4180) from bytes as they come.
 *
 *     th_csv_push(&csv, bytes);  …  th_csv_finish(&csv);
 *     while ((step = th_csv_next(&csv)) == TH_CSV_ROW || step == TH_CSV_BAD)
 *
 * Lines end with LF or CRLF; fields may be quoted and then hold commas, quotes and line ends; a
 * byte order mark and empty lines are skipped. Whatever is wrong with a row costs that row alone:
 * it is reported, and reading goes on behind the line on which it began, so that a quote nobody
 * closed does not swallow what follows. Memory is bounded whatever comes.
 * Pure but for malloc; one thread.
 */
#ifndef TELEHUB_COMMON_CSV_H
#define TELEHUB_COMMON_CSV_H

#include "common/buf.h"

#define TH_CSV_ROW_MAX    65536 /* bytes, quotes included */
#define TH_CSV_FIELD_MAX  8192  /* bytes */
#define TH_CSV_FIELDS_MAX 200

enum th_csv_step {
    TH_CSV_ROW,  /* fields are there */
    TH_CSV_BAD,  /* column and reason say what is wrong with this row */
    TH_CSV_MORE, /* push more, or finish */
    TH_CSV_END,
};

/* Zero-initialise; free with th_csv_fini. What stands below is valid until the next call. */
struct th_csv {
    int64_t number;                          /* of the row: the first, usually the header, is 0 */
    int64_t line;                            /* on which it begins, from 1 */
    size_t count;                            /* of fields; TH_CSV_ROW only */
    struct th_str fields[TH_CSV_FIELDS_MAX]; /* UTF-8 without NUL */
    size_t column;                           /* TH_CSV_BAD: from 1 */
    const char *reason;                      /* TH_CSV_BAD: a sentence without its full stop */

    struct th_buf window;   /* what follows is the reader's own: bytes not yet read */
    struct th_buf unquoted; /* fields whose quotes were doubled */
    size_t used;            /* of window */
    size_t scanned;         /* behind used: looked at, without finding the row's end */
    int64_t rows;
    int64_t lines;
    int state;        /* of the search for the row's end, at scanned */
    bool is_skipping; /* to the end of a line that is too long */
    bool is_begun;
    bool is_finished;
};

void th_csv_fini(struct th_csv *csv);

/* Bytes are copied. Push again only when th_csv_next has asked for more.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code th_csv_push(struct th_csv *csv, struct th_str bytes);

/* There is nothing more to come. */
void th_csv_finish(struct th_csv *csv);

enum th_csv_step th_csv_next(struct th_csv *csv);

static inline void th_csv_auto(struct th_csv *csv)
{
    th_csv_fini(csv);
}

#endif
