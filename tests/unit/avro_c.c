#include "tests/unit/avro_c.h"

#include "schemas/avro.h"

#include <stdio.h>

#define BODY_MAX ((size_t)1024 * 1024)

static void must(int failed, const char *what)
{
    if (failed) {
        (void)fprintf(stderr, "avro-c: %s: %s\n", what, avro_strerror());
        exit(1);
    }
}

void avro_c_open(struct avro_c *peer, struct th_str schema_json)
{
    must(avro_schema_from_json_length(schema_json.p, schema_json.n, &peer->schema), "schema");
    peer->iface = avro_generic_class_from_schema(peer->schema);
    must(peer->iface == NULL, "class");
    must(avro_generic_value_new(peer->iface, &peer->value), "value");
}

void avro_c_close(struct avro_c *peer)
{
    avro_value_decref(&peer->value);
    avro_value_iface_decref(peer->iface);
    avro_schema_decref(peer->schema);
}

size_t avro_c_decode(struct avro_c *peer, struct th_str body)
{
    avro_reader_t reader = avro_reader_memory(body.p, (int64_t)body.n);
    size_t left = 0;
    char more;

    must(reader == NULL, "reader");
    must(avro_value_reset(&peer->value), "reset");
    bool is_read = avro_value_read(reader, &peer->value) == 0;
    while (is_read && avro_read(reader, &more, 1) == 0)
        left++;
    avro_reader_free(reader);
    return is_read ? left : SIZE_MAX;
}

void avro_c_encode(struct avro_c *peer, struct th_buf *buf)
{
    size_t size = 0;

    must(avro_value_sizeof(&peer->value, &size), "size");
    char *room = th_buf_reserve(buf, size ? size : 1);
    must(room == NULL || size > BODY_MAX, "room");
    avro_writer_t writer = avro_writer_memory(room, (int64_t)(size ? size : 1));
    must(avro_value_write(writer, &peer->value), "write");
    buf->n += (size_t)avro_writer_tell(writer);
    avro_writer_free(writer);
}

/* ---- the same JSON as ours, walked on their value ---- */

static void put_value(const avro_value_t *value, struct th_buf *buf);

static void put_text(const avro_value_t *value, struct th_buf *buf)
{
    const char *text = NULL;
    size_t size = 0; /* counts their NUL */

    must(avro_value_get_string(value, &text, &size), "string");
    avro_json_string(buf, (struct th_str){text, size - 1});
}

static void put_bytes(const avro_value_t *value, struct th_buf *buf)
{
    const void *bytes = NULL;
    size_t size = 0;

    must(avro_value_get_bytes(value, &bytes, &size), "bytes");
    avro_json_bytes(buf, (struct th_str){bytes, size});
}

static void put_fixed(const avro_value_t *value, struct th_buf *buf)
{
    const void *bytes = NULL;
    size_t size = 0;
    struct th_id id;

    must(avro_value_get_fixed(value, &bytes, &size), "fixed");
    if (strcmp(avro_schema_name(avro_value_get_schema(value)), "Uuid") != 0) {
        avro_json_fixed(buf, bytes, size);
        return;
    }
    memcpy(id.b, bytes, sizeof id.b);
    avro_json_id(buf, id);
}

static void put_symbol(const avro_value_t *value, struct th_buf *buf)
{
    int symbol = 0;

    must(avro_value_get_enum(value, &symbol), "enum");
    avro_json_symbol(buf, avro_schema_enum_get(avro_value_get_schema(value), symbol));
}

static void put_branch(const avro_value_t *value, struct th_buf *buf)
{
    avro_value_t branch;

    must(avro_value_get_current_branch(value, &branch), "branch");
    put_value(&branch, buf);
}

/* Arrays, maps and records: parts by index, with names but for arrays. */
static void put_parts(const avro_value_t *value, char open, char close, struct th_buf *buf)
{
    size_t n = 0;

    must(avro_value_get_size(value, &n), "size");
    th_buf_add_char(buf, open);
    for (size_t i = 0; i < n; i++) {
        avro_value_t part;
        const char *name = NULL;
        must(avro_value_get_by_index(value, i, &part, &name), "part");
        if (i)
            th_buf_add_char(buf, ',');
        if (open == '{') {
            avro_json_string(buf, th_str(name));
            th_buf_add_char(buf, ':');
        }
        put_value(&part, buf);
    }
    th_buf_add_char(buf, close);
}

static void put_number(const avro_value_t *value, avro_type_t type, struct th_buf *buf)
{
    int32_t i32 = 0;
    int64_t i64 = 0;
    float f = 0;
    double d = 0;

    if (type == AVRO_INT32) {
        must(avro_value_get_int(value, &i32), "int");
        avro_json_long(buf, i32);
    } else if (type == AVRO_INT64) {
        must(avro_value_get_long(value, &i64), "long");
        avro_json_long(buf, i64);
    } else if (type == AVRO_FLOAT) {
        must(avro_value_get_float(value, &f), "float");
        avro_json_float(buf, f);
    } else {
        must(avro_value_get_double(value, &d), "double");
        avro_json_double(buf, d);
    }
}

static void put_value(const avro_value_t *value, struct th_buf *buf)
{
    avro_type_t type = avro_value_get_type(value);
    int flag = 0;

    switch (type) {
    case AVRO_NULL:
        avro_json_null(buf, (struct avro_null){false});
        break;
    case AVRO_BOOLEAN:
        must(avro_value_get_boolean(value, &flag), "boolean");
        avro_json_boolean(buf, flag != 0);
        break;
    case AVRO_INT32:
    case AVRO_INT64:
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        put_number(value, type, buf);
        break;
    case AVRO_STRING:
        put_text(value, buf);
        break;
    case AVRO_BYTES:
        put_bytes(value, buf);
        break;
    case AVRO_FIXED:
        put_fixed(value, buf);
        break;
    case AVRO_ENUM:
        put_symbol(value, buf);
        break;
    case AVRO_UNION:
        put_branch(value, buf);
        break;
    case AVRO_ARRAY:
        put_parts(value, '[', ']', buf);
        break;
    case AVRO_MAP:
    case AVRO_RECORD:
        put_parts(value, '{', '}', buf);
        break;
    case AVRO_LINK:
        must(1, "a link");
    }
}

void avro_c_to_json(struct avro_c *peer, struct th_buf *buf)
{
    put_value(&peer->value, buf);
}
