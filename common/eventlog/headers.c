#include "common/eventlog/headers.h"

#include <string.h>

#include "common/varint.h"

static size_t put_bytes(char *at, struct th_str bytes)
{
    if (bytes.n)
        memcpy(at, bytes.p, bytes.n);
    return bytes.n;
}

/* What stands for the value's size. */
static size_t value_mark(const struct log_header *header)
{
    return header->is_null ? 0 : header->value.n + 1;
}

static size_t value_size(const struct log_header *header)
{
    return header->is_null ? 0 : header->value.n;
}

size_t log_header_size(const struct log_header *header)
{
    return varint_size(header->name.n) + header->name.n + varint_size(value_mark(header)) +
           value_size(header);
}

size_t log_header_put(char *at, const struct log_header *header)
{
    size_t n = varint_put(at, header->name.n);

    n += put_bytes(at + n, header->name);
    n += varint_put(at + n, value_mark(header));
    return n + put_bytes(at + n, (struct th_str){header->value.p, value_size(header)});
}

void log_headers_add(struct th_buf *headers, const struct log_header *header)
{
    char *at = th_buf_reserve(headers, log_header_size(header));

    if (at)
        headers->n += log_header_put(at, header);
}

/* --- reading ------------------------------------------------------------------------------------
 */

/* One number has one encoding, the shortest. */
static bool get_size(struct th_str *rest, uint64_t *out)
{
    size_t n = 0;

    if (!varint_get(rest->p, rest->n, &n, out) || n != varint_size(*out))
        return false;
    *rest = (struct th_str){rest->p + n, rest->n - n};
    return true;
}

static bool get_bytes(struct th_str *rest, uint64_t n, struct th_str *out)
{
    if (n > rest->n)
        return false;
    *out = (struct th_str){rest->p, (size_t)n};
    *rest = (struct th_str){rest->p + n, rest->n - (size_t)n};
    return true;
}

bool log_headers_next(struct th_str *rest, struct log_header *out)
{
    struct th_str left = *rest;
    struct log_header header = {0};
    uint64_t size;

    if (!get_size(&left, &size) || !get_bytes(&left, size, &header.name) ||
        memchr(header.name.p, '\0', header.name.n) || !get_size(&left, &size))
        return false;
    header.is_null = size == 0;
    if (size > 0 && !get_bytes(&left, size - 1, &header.value))
        return false;
    *rest = left;
    *out = header;
    return true;
}

bool log_headers_can_be_read(struct th_str headers)
{
    struct log_header header;
    size_t n = 0;

    while (headers.n > 0)
        if (n++ == LOG_HEADERS_MAX || !log_headers_next(&headers, &header))
            return false;
    return true;
}
