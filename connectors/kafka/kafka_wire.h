/* kafka_wire.h - integers as they lie in our own records: big endian, bounds-checked. Pure. */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_WIRE_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_WIRE_H

#include "common/buf.h"

static inline void wire_put(struct th_buf *buf, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i-- > 0;)
        th_buf_add_char(buf, (char)(uint8_t)(value >> (8 * i)));
}

/* 16 bits of length, then the bytes; s.n < 65 536. */
static inline void wire_put_str(struct th_buf *buf, struct th_str s)
{
    wire_put(buf, s.n, 2);
    th_buf_add(buf, s);
}

struct wire {
    struct th_str rest;
    bool is_cut; /* more was asked for than there was */
};

static inline uint64_t wire_take(struct wire *wire, size_t bytes)
{
    uint64_t value = 0;

    if (wire->rest.n < bytes) {
        *wire = (struct wire){.is_cut = true};
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (uint8_t)wire->rest.p[i];
    wire->rest.p += bytes;
    wire->rest.n -= bytes;
    return value;
}

static inline struct th_str wire_take_bytes(struct wire *wire, size_t n)
{
    if (wire->rest.n < n) {
        *wire = (struct wire){.is_cut = true};
        return (struct th_str){0};
    }
    struct th_str bytes = {wire->rest.p, n};
    wire->rest.p += n;
    wire->rest.n -= n;
    return bytes;
}

static inline struct th_str wire_take_str(struct wire *wire)
{
    size_t n = (size_t)wire_take(wire, 2);

    return wire_take_bytes(wire, n);
}

/* All was there, and nothing is left. */
static inline bool wire_is_done(const struct wire *wire)
{
    return !wire->is_cut && wire->rest.n == 0;
}

#endif
