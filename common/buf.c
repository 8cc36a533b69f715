#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAP_MIN 256

void th_buf_fini(struct th_buf *buf)
{
    free(buf->p);
    *buf = (struct th_buf){0};
}

void th_buf_clear(struct th_buf *buf)
{
    buf->n = 0;
    buf->is_failed = false;
}

char *th_buf_reserve(struct th_buf *buf, size_t n)
{
    if (buf->is_failed)
        return NULL;
    if (buf->cap - buf->n >= n && buf->p)
        return buf->p + buf->n;

    size_t need;
    size_t cap = buf->cap ? buf->cap : CAP_MIN;
    char *p = NULL;
    if (!__builtin_add_overflow(buf->n, n, &need)) {
        while (cap < need && cap <= SIZE_MAX / 2)
            cap *= 2;
        p = cap >= need ? realloc(buf->p, cap) : NULL;
    }
    if (!p) {
        buf->is_failed = true;
        return NULL;
    }
    buf->p = p;
    buf->cap = cap;
    return p + buf->n;
}

void th_buf_add(struct th_buf *buf, struct th_str bytes)
{
    if (bytes.n == 0)
        return;
    char *room = th_buf_reserve(buf, bytes.n);
    if (!room)
        return;
    memcpy(room, bytes.p, bytes.n);
    buf->n += bytes.n;
}

void th_buf_add_char(struct th_buf *buf, char c)
{
    th_buf_add(buf, (struct th_str){&c, 1});
}

void th_buf_printf(struct th_buf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);

    char *room = th_buf_reserve(buf, (size_t)n + 1); /* vsnprintf wants to write its NUL */
    if (!room)
        return;
    va_start(args, fmt);
    (void)vsnprintf(room, (size_t)n + 1, fmt, args);
    va_end(args);
    buf->n += (size_t)n;
}

enum th_code th_buf_status(const struct th_buf *buf)
{
    return buf->is_failed ? TH_NOMEM : TH_OK;
}

struct th_str th_buf_str(const struct th_buf *buf)
{
    return (struct th_str){buf->p, buf->n};
}
