#include "common/eventlog/headers.h"

#include <string.h>

static size_t varint_size(size_t value)
{
    size_t n = 1;

    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

static size_t put_varint(char *at, size_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        at[n++] = (char)(value | 0x80);
    at[n++] = (char)value;
    return n;
}

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
    size_t n = put_varint(at, header->name.n);

    n += put_bytes(at + n, header->name);
    n += put_varint(at + n, value_mark(header));
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

/* A last byte of zero adds nothing: the same number can be written shorter. The tenth byte has room
 * for one bit more. */
static bool get_varint(struct th_str *rest, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < rest->n && 7 * i < 64; i++) {
        unsigned char byte = (unsigned char)rest->p[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *rest = (struct th_str){rest->p + i + 1, rest->n - i - 1};
            *out = value;
            return (byte != 0 || i == 0) && (i < 9 || byte == 1);
        }
    }
    return false;
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

    if (!get_varint(&left, &size) || !get_bytes(&left, size, &header.name) ||
        memchr(header.name.p, '\0', header.name.n) || !get_varint(&left, &size))
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
