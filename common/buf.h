/* buf.h - bytes that grow.
 *
 * Appending never fails half-way and need not be checked at each step: after a failed allocation
 * the buffer stays as it was, swallows what follows, and th_buf_status says TH_NOMEM.
 */
#ifndef TELEHUB_COMMON_BUF_H
#define TELEHUB_COMMON_BUF_H

#include "common/err.h"
#include "common/str.h"

struct th_buf {
    char *p; /* owned; NULL when empty */
    size_t n;
    size_t cap;
    bool is_failed;
};

/* Zero-initialise to begin with; free with th_buf_fini. */
void th_buf_fini(struct th_buf *buf);

/* Empty it, keep its memory, forget an earlier failure. */
void th_buf_clear(struct th_buf *buf);

/* Room for n more bytes at buf->p + buf->n, which the caller may fill and then count in.
 * NULL when there is no memory. */
char *th_buf_reserve(struct th_buf *buf, size_t n);

void th_buf_add(struct th_buf *buf, struct th_str bytes);
void th_buf_add_char(struct th_buf *buf, char c);
void th_buf_printf(struct th_buf *buf, const char *fmt, ...) TH_PRINTF(2, 3);

/* TH_OK, or TH_NOMEM if anything was lost since the last clear. */
TH_MUST_USE
enum th_code th_buf_status(const struct th_buf *buf);

/* What it holds, until the next call that adds. */
struct th_str th_buf_str(const struct th_buf *buf);

static inline void th_buf_auto(struct th_buf *buf)
{
    th_buf_fini(buf);
}

#endif
