#include "common/eventlog/saved.h"

#include <string.h>

void saved_add_kind(struct th_buf *out, char kind)
{
    th_buf_add_char(out, kind);
}

void saved_add(struct th_buf *out, struct th_str bytes)
{
    uint32_t size = (uint32_t)bytes.n;

    th_buf_add(out, (struct th_str){(const char *)&size, sizeof size});
    th_buf_add(out, bytes);
}

void saved_add_struct(struct th_buf *out, const void *entry, size_t size)
{
    saved_add(out, (struct th_str){entry, size});
}

bool saved_take_kind(struct th_str *bytes, char *out_kind)
{
    if (bytes->n == 0)
        return false;
    *out_kind = bytes->p[0];
    *bytes = (struct th_str){bytes->p + 1, bytes->n - 1};
    return true;
}

bool saved_take(struct th_str *bytes, struct th_str *out)
{
    uint32_t size;

    if (bytes->n < sizeof size)
        return false;
    memcpy(&size, bytes->p, sizeof size);
    if (bytes->n - sizeof size < size)
        return false;
    *out = (struct th_str){bytes->p + sizeof size, size};
    *bytes = (struct th_str){bytes->p + sizeof size + size, bytes->n - sizeof size - size};
    return true;
}

bool saved_take_struct(struct th_str *bytes, void *out_entry, size_t size)
{
    struct th_str raw;

    if (!saved_take(bytes, &raw) || raw.n != size)
        return false;
    memcpy(out_entry, raw.p, size);
    return true;
}
