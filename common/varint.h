/* varint.h - integers in as many bytes as they need: unsigned LEB128, seven bits a byte, the lowest
 * first, each byte but the last with its top bit set. Pure. */
#ifndef TELEHUB_COMMON_VARINT_H
#define TELEHUB_COMMON_VARINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARINT_MAX 10 /* bytes of one */

static inline size_t varint_size(uint64_t value)
{
    size_t n = 1;

    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

/* Where varint_size bytes are; returns that. */
static inline size_t varint_put(char *at, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        at[n++] = (char)(value | 0x80);
    at[n++] = (char)value;
    return n;
}

/* The one at bytes + *at, which moves behind it. False: it does not end within size, or is more
 * than 64 bits. A number may be written longer than it need be: compare with varint_size. */
static inline bool varint_get(const char *bytes, size_t size, size_t *at, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && *at < size; shift += 7) {
        unsigned char byte = (unsigned char)bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return shift < 63 || byte <= 1;
        }
    }
    return false;
}

/* Small for numbers near zero, of either sign. */
static inline uint64_t varint_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (value < 0 ? ~UINT64_C(0) : 0);
}

static inline int64_t varint_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ (value & 1 ? ~UINT64_C(0) : 0));
}

#endif
