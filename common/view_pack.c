#include "common/view_pack.h"

#include <assert.h>
#include <string.h>

#include "common/varint.h"

/* A column that is no part of the key takes a bit, which says that there is something, and then the
 * value: integers as varints, a time as the difference to the time before it in the row. */

#define COLUMNS_MAX 64

static void put_varint(struct th_buf *out, uint64_t value)
{
    char *at = th_buf_reserve(out, VARINT_MAX);

    if (at)
        out->n += varint_put(at, value);
}

static uint64_t take_varint(const char **at)
{
    uint64_t value = 0;
    unsigned char byte;
    int shift = 0;

    do {
        byte = (unsigned char)*(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static size_t width_of(enum view_type type)
{
    switch (type) {
    case VIEW_UUID:
        return sizeof(struct th_id);
    case VIEW_INT4:
        return sizeof(int32_t);
    case VIEW_INT8:
    case VIEW_TIME:
        return sizeof(int64_t);
    case VIEW_BOOL:
        return sizeof(bool);
    case VIEW_TEXT:
    case VIEW_BYTES:
        break;
    }
    return 0;
}

/* --- the key ---------------------------------------------------------------------------------- */

void view_pack_key(const struct view_table *table, const void *row, struct th_buf *out)
{
    for (size_t i = 0; i < table->keys_n; i++) {
        const char *at = (const char *)row + table->columns[i].at;
        size_t width = width_of(table->columns[i].type);
        struct th_str text;

        if (width) {
            th_buf_add(out, (struct th_str){at, width});
            continue;
        }
        memcpy(&text, at, sizeof text);
        put_varint(out, text.n);
        th_buf_add(out, text);
    }
}

static struct th_str take_text(const char **at)
{
    size_t n = (size_t)take_varint(at);
    struct th_str text = {*at, n};

    *at += n;
    return text;
}

static void unpack_key(const struct view_table *table, const char **at, void *row)
{
    for (size_t i = 0; i < table->keys_n; i++) {
        char *to = (char *)row + table->columns[i].at;
        size_t width = width_of(table->columns[i].type);

        if (width) {
            memcpy(to, *at, width);
            *at += width;
            continue;
        }
        struct th_str text = take_text(at);
        memcpy(to, &text, sizeof text);
    }
}

/* --- the other columns ------------------------------------------------------------------------ */

/* The value of a column, if it is there; integers are widened. */
struct value {
    struct th_str bytes;
    int64_t number;
    bool is_there;
};

static struct value value_of(const struct view_column *column, const void *row)
{
    const char *at = (const char *)row + column->at;
    struct value value = {.bytes = {at, sizeof(struct th_id)}};
    struct th_id id;
    int32_t narrow;
    bool flag;

    switch (column->type) {
    case VIEW_UUID:
        memcpy(&id, at, sizeof id);
        value.is_there = !th_id_is_zero(id);
        return value;
    case VIEW_TEXT:
    case VIEW_BYTES:
        memcpy(&value.bytes, at, sizeof value.bytes);
        value.is_there = value.bytes.n != 0;
        return value;
    case VIEW_INT4:
        memcpy(&narrow, at, sizeof narrow);
        value.number = narrow;
        break;
    case VIEW_INT8:
    case VIEW_TIME:
        memcpy(&value.number, at, sizeof value.number);
        break;
    case VIEW_BOOL:
        memcpy(&flag, at, sizeof flag);
        value.number = flag;
        break;
    }
    value.is_there = value.number != 0;
    return value;
}

static void put_value(enum view_type type, const struct value *value, int64_t *last_us,
                      struct th_buf *out)
{
    switch (type) {
    case VIEW_UUID:
        th_buf_add(out, value->bytes);
        return;
    case VIEW_TEXT:
    case VIEW_BYTES:
        put_varint(out, value->bytes.n);
        th_buf_add(out, value->bytes);
        return;
    case VIEW_INT4:
    case VIEW_INT8:
        put_varint(out, varint_zigzag(value->number));
        return;
    case VIEW_TIME: /* wraps around both ways */
        put_varint(out, varint_zigzag((int64_t)((uint64_t)value->number - (uint64_t)*last_us)));
        *last_us = value->number;
        return;
    case VIEW_BOOL: /* its bit says it */
        return;
    }
}

static size_t bits_size(const struct view_table *table)
{
    return (table->columns_n - table->keys_n + 7) / 8;
}

void view_pack(const struct view_table *table, const void *row, struct th_buf *out)
{
    unsigned char bits[COLUMNS_MAX / 8] = {0};
    size_t size = bits_size(table);
    int64_t last_us = 0;

    assert(table->columns_n <= COLUMNS_MAX);
    view_pack_key(table, row, out);
    size_t bits_at = out->n;
    th_buf_add(out, (struct th_str){(const char *)bits, size});
    for (size_t i = table->keys_n; i < table->columns_n; i++) {
        struct value value = value_of(&table->columns[i], row);
        if (!value.is_there)
            continue;
        bits[(i - table->keys_n) / 8] |= (unsigned char)(1 << ((i - table->keys_n) % 8));
        put_value(table->columns[i].type, &value, &last_us, out);
    }
    if (!out->is_failed)
        memcpy(out->p + bits_at, bits, size);
}

static void take_value(enum view_type type, const char **at, int64_t *last_us, void *to)
{
    struct th_str text;
    int32_t narrow;
    int64_t wide;
    bool flag = true;

    switch (type) {
    case VIEW_UUID:
        memcpy(to, *at, sizeof(struct th_id));
        *at += sizeof(struct th_id);
        return;
    case VIEW_TEXT:
    case VIEW_BYTES:
        text = take_text(at);
        memcpy(to, &text, sizeof text);
        return;
    case VIEW_INT4:
        narrow = (int32_t)varint_unzigzag(take_varint(at));
        memcpy(to, &narrow, sizeof narrow);
        return;
    case VIEW_INT8:
        wide = varint_unzigzag(take_varint(at));
        memcpy(to, &wide, sizeof wide);
        return;
    case VIEW_TIME:
        *last_us = (int64_t)((uint64_t)*last_us + (uint64_t)varint_unzigzag(take_varint(at)));
        memcpy(to, last_us, sizeof *last_us);
        return;
    case VIEW_BOOL:
        memcpy(to, &flag, sizeof flag);
        return;
    }
}

void view_unpack(const struct view_table *table, struct th_str packed, void *out_row)
{
    const char *at = packed.p;
    int64_t last_us = 0;

    memset(out_row, 0, table->row_size);
    unpack_key(table, &at, out_row);
    const unsigned char *bits = (const unsigned char *)at;
    at += bits_size(table);
    for (size_t i = table->keys_n; i < table->columns_n; i++)
        if (bits[(i - table->keys_n) / 8] >> ((i - table->keys_n) % 8) & 1)
            take_value(table->columns[i].type, &at, &last_us,
                       (char *)out_row + table->columns[i].at);
    assert(at == packed.p + packed.n);
}

int view_packed_cmp(struct th_str a, struct th_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int cmp = memcmp(a.p, b.p, n);

    return cmp ? cmp : (a.n > b.n) - (a.n < b.n);
}
