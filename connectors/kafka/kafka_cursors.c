#include "connectors/kafka/kafka_cursors.h"

#include <string.h>

#include "connectors/kafka/kafka_wire.h"

#define CURSORS_VERSION 2
#define CURSOR_SIZE_MIN (1 + 2 + 8 + 2) /* topic, partition, offset, length of the note */

void kafka_cursors_fini(struct kafka_cursors *cursors)
{
    free(cursors->at);
    *cursors = (struct kafka_cursors){0};
}

enum th_code kafka_cursors_copy(const struct log_cursor *from, size_t n, struct kafka_cursors *out,
                                struct th_err *err)
{
    size_t size = n * sizeof *from;

    for (size_t i = 0; i < n; i++)
        size += from[i].note.n;
    struct log_cursor *at = malloc(size ? size : 1);
    if (!at)
        return th_fail(err, TH_NOMEM, "%zu cursors", n);
    char *note = (char *)(at + n);
    for (size_t i = 0; i < n; i++) {
        at[i] = from[i];
        at[i].note.p = note;
        if (from[i].note.n)
            memcpy(note, from[i].note.p, from[i].note.n);
        note += from[i].note.n;
    }
    *out = (struct kafka_cursors){at, n};
    return TH_OK;
}

void kafka_cursors_encode(uint64_t seq, const struct log_cursor *cursors, size_t n,
                          struct th_buf *buf)
{
    wire_put(buf, CURSORS_VERSION, 1);
    wire_put(buf, seq, 8);
    wire_put(buf, n, 2);
    for (size_t i = 0; i < n; i++) {
        wire_put(buf, (uint64_t)cursors[i].next.topic, 1);
        wire_put(buf, (uint64_t)cursors[i].next.part, 2);
        wire_put(buf, (uint64_t)cursors[i].next.offset, 8);
        wire_put_str(buf, cursors[i].note);
    }
}

static bool take_cursor(struct wire *wire, struct log_cursor *out)
{
    uint64_t topic = wire_take(wire, 1);
    uint64_t part = wire_take(wire, 2);
    uint64_t offset = wire_take(wire, 8);
    struct th_str note = wire_take_str(wire);

    if (wire->is_cut || topic >= TOPIC_COUNT || part >= LOG_PARTITIONS_MAX || offset > INT64_MAX ||
        note.n > LOG_NOTE_SIZE_MAX)
        return false;
    *out = (struct log_cursor){{(enum topic)topic, (int)part, (int64_t)offset}, note};
    return true;
}

enum th_code kafka_cursors_decode(struct th_str bytes, uint64_t *out_seq, struct kafka_cursors *out,
                                  struct th_err *err)
{
    struct wire wire = {.rest = bytes};
    uint64_t version = wire_take(&wire, 1);
    uint64_t seq = wire_take(&wire, 8);
    size_t n = (size_t)wire_take(&wire, 2);

    if (version != CURSORS_VERSION || n > wire.rest.n / CURSOR_SIZE_MIN)
        return th_fail(err, TH_CORRUPT, "cursors of version %d: %zu in %zu bytes", (int)version, n,
                       bytes.n);
    TH_AUTO(free) void *memory = malloc(n ? n * sizeof(struct log_cursor) : 1);
    struct log_cursor *views = memory;
    if (!views)
        return th_fail(err, TH_NOMEM, "%zu cursors", n);
    for (size_t i = 0; i < n; i++)
        if (!take_cursor(&wire, &views[i]))
            return th_fail(err, TH_CORRUPT, "cursor %zu of %zu", i, n);
    if (!wire_is_done(&wire))
        return th_fail(err, TH_CORRUPT, "%zu bytes behind %zu cursors", wire.rest.n, n);
    TH_TRY(kafka_cursors_copy(views, n, out, err));
    *out_seq = seq;
    return TH_OK;
}
