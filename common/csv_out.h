/* csv_out.h - CSV (RFC 4180) written into a buffer, for people who open it in a spreadsheet.
 *
 * Pure. A text from outside that a spreadsheet would take for a formula gets an apostrophe in
 * front; a plain E.164 number, which begins with "+", stays as it is.
 */
#ifndef TELEHUB_COMMON_CSV_OUT_H
#define TELEHUB_COMMON_CSV_OUT_H

#include "common/buf.h"

struct th_csv_out {
    struct th_buf *buf; /* appended to; not owned */
    bool needs_comma;
};

void th_csv_put(struct th_csv_out *out, struct th_str field);
void th_csv_put_text(struct th_csv_out *out, const char *field);
void th_csv_put_int(struct th_csv_out *out, int64_t value);

/* CRLF. */
void th_csv_end_row(struct th_csv_out *out);

#endif
