#include "schemas/codegen/emit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Avro writes bytes as text whose characters are U+0000 to U+00FF: n bytes of it into to. */
static size_t bytes_of(const json_t *value, unsigned char *to)
{
    const unsigned char *p = (const unsigned char *)json_string_value(value);
    size_t size = json_string_length(value);
    size_t n = 0;

    for (size_t i = 0; i < size; i++) {
        if (p[i] < 0x80) {
            to[n++] = p[i];
        } else {
            to[n++] = (unsigned char)(p[i] << 6 | (p[i + 1] & 0x3f));
            i++;
        }
    }
    return n;
}

static void put_text(const char *bytes, size_t n, struct th_buf *out)
{
    PUT("{");
    emit_literal(bytes, n, out);
    PUT(", %zu}", n);
}

static void put_bytes(const struct type *type, const json_t *value, struct th_buf *out)
{
    TH_AUTO(free) void *bytes = malloc(json_string_length(value) + 1);

    if (!bytes) {
        (void)fputs("codegen: out of memory\n", stderr);
        exit(1);
    }
    size_t n = bytes_of(value, bytes);
    if (type->kind == KIND_BYTES) {
        put_text(bytes, n, out);
        return;
    }
    PUT("{{");
    for (size_t i = 0; i < n; i++)
        PUT("%s0x%02x", i ? ", " : "", ((const unsigned char *)bytes)[i]);
    PUT("}}");
}

static void put_long(int64_t value, struct th_buf *out)
{
    if (value == INT64_MIN)
        PUT("INT64_MIN");
    else
        PUT("INT64_C(%" PRId64 ")", value);
}

static void put_real(const struct type *type, const json_t *value, struct th_buf *out)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.17g", json_number_value(value));
    PUT("%s%s%s", text, strpbrk(text, ".e") ? "" : ".0", type->kind == KIND_FLOAT ? "f" : "");
}

static void put_record(const struct type *type, const json_t *value, struct th_buf *out)
{
    PUT("{");
    for (size_t i = 0; i < type->fields_n; i++) {
        const json_t *part = json_object_get(value, type->fields[i].name);
        PUT("%s.%s = ", i ? ", " : "", type->fields[i].c_name);
        emit_value(type->fields[i].type, part ? part : type->fields[i].default_value, out);
    }
    PUT(type->fields_n ? "}" : "{false}}");
}

static void put_array(const struct type *type, const json_t *value, struct th_buf *out)
{
    size_t n = json_array_size(value);

    if (n == 0) {
        PUT("{NULL, 0}");
        return;
    }
    PUT("{(const %s[]){", type->item->c_type);
    for (size_t i = 0; i < n; i++) {
        PUT("%s", i ? ", " : "");
        emit_value(type->item, json_array_get(value, i), out);
    }
    PUT("}, %zu}", n);
}

static void put_map(const struct type *type, const json_t *value, struct th_buf *out)
{
    bool is_first = true;

    if (json_object_size(value) == 0) {
        PUT("{NULL, 0}");
        return;
    }
    PUT("{(const %s_entry[]){", type->c_type);
    for (void *it = json_object_iter((json_t *)value); it;
         it = json_object_iter_next((json_t *)value, it)) {
        const char *key = json_object_iter_key(it);
        PUT("%s{", is_first ? "" : ", ");
        is_first = false;
        put_text(key, strlen(key), out);
        PUT(", ");
        emit_value(type->item, json_object_iter_value(it), out);
        PUT("}");
    }
    PUT("}, %zu}", json_object_size(value));
}

static void put_symbol(const struct type *type, const json_t *value, struct th_buf *out)
{
    for (size_t i = 0; i < type->symbols_n; i++)
        if (strcmp(type->symbols[i].name, json_string_value(value)) == 0)
            PUT("%s", type->symbols[i].c_name);
}

void emit_value(const struct type *type, const json_t *value, struct th_buf *out)
{
    switch (type->kind) {
    case KIND_NULL:
    case KIND_OPTIONAL:
        PUT("{false}");
        break;
    case KIND_BOOLEAN:
        PUT("%s", json_is_true(value) ? "true" : "false");
        break;
    case KIND_INT:
    case KIND_LONG:
        put_long(json_integer_value(value), out);
        break;
    case KIND_FLOAT:
    case KIND_DOUBLE:
        put_real(type, value, out);
        break;
    case KIND_STRING:
        put_text(json_string_value(value), json_string_length(value), out);
        break;
    case KIND_BYTES:
    case KIND_FIXED:
        put_bytes(type, value, out);
        break;
    case KIND_ENUM:
        put_symbol(type, value, out);
        break;
    case KIND_RECORD:
        put_record(type, value, out);
        break;
    case KIND_ARRAY:
        put_array(type, value, out);
        break;
    case KIND_MAP:
        put_map(type, value, out);
        break;
    case KIND_UNION:
        PUT("{.is = %s, .as = {.%s = ", type->branches[0].tag, type->branches[0].c_name);
        emit_value(type->branches[0].type, value, out);
        PUT("}}");
        break;
    }
}
