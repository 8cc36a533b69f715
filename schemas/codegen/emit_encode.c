#include "schemas/codegen/emit.h"

/* Encoding is two walks: measure_x finds how long it can get and whether all of it may be written;
 * then one reservation; then write_x, which checks nothing. */

static const char *const writers[KINDS] = {
    [KIND_BOOLEAN] = "avro_write_boolean", [KIND_INT] = "avro_write_int",
    [KIND_LONG] = "avro_write_long",       [KIND_FLOAT] = "avro_write_float",
    [KIND_DOUBLE] = "avro_write_double",   [KIND_BYTES] = "avro_write_bytes",
    [KIND_STRING] = "avro_write_bytes",
};

/* An expression of the place behind what it writes. */
static void put_write(const struct type *type, const char *place, struct th_buf *out)
{
    if (type->kind == KIND_NULL)
        PUT("p");
    else if (writers[type->kind])
        PUT("%s(p, %s)", writers[type->kind], place);
    else if (type->kind == KIND_FIXED)
        PUT("avro_write_fixed(p, %s.b, %zu)", place, type->size);
    else if (type->kind == KIND_ENUM)
        PUT("avro_write_int(p, (int32_t)%s)", place);
    else
        PUT("write_%s(p, &%s)", type->c_name, place);
}

/* A statement; nothing for a type that can neither grow nor be wrong. */
static void put_measure(const struct type *type, const char *indent, const char *place,
                        struct th_buf *out)
{
    if (!type->is_checked)
        return;
    PUT("%s", indent);
    if (type->kind == KIND_BYTES)
        PUT("avro_measure_bytes(size, %s);\n", place);
    else if (type->kind == KIND_STRING)
        PUT("avro_measure_string(size, %s);\n", place);
    else if (type->kind == KIND_ENUM)
        PUT("avro_measure_index(size, (uint32_t)%s, %s_COUNT);\n", place, type->upper);
    else
        PUT("measure_%s(size, &%s);\n", type->c_name, place);
}

static void put_head(const struct type *type, const char *verb, struct th_buf *out)
{
    if (*verb == 'm')
        PUT("static void measure_%s(struct avro_size *size, const %s *x)\n{\n", type->c_name,
            type->c_type);
    else
        PUT("static uint8_t *write_%s(uint8_t *p, const %s *x)\n{\n", type->c_name, type->c_type);
}

static void put_record(const struct type *type, struct th_buf *out)
{
    char place[256];

    if (type->is_checked) {
        put_head(type, "measure", out);
        for (size_t i = 0; i < type->fields_n; i++) {
            (void)snprintf(place, sizeof place, "x->%s", type->fields[i].c_name);
            put_measure(type->fields[i].type, "    ", place, out);
        }
        PUT("}\n\n");
    }
    put_head(type, "write", out);
    for (size_t i = 0; i < type->fields_n; i++) {
        if (type->fields[i].type->kind == KIND_NULL)
            continue;
        (void)snprintf(place, sizeof place, "x->%s", type->fields[i].c_name);
        PUT("    p = ");
        put_write(type->fields[i].type, place, out);
        PUT(";\n");
    }
    if (type->wire_fixed == 0)
        PUT("    (void)x;\n");
    PUT("    return p;\n}\n\n");
}

static void put_encode_body(const struct type *type, struct th_buf *out)
{
    PUT("enum th_code %s_encode_body(const %s *x, struct th_buf *buf)\n{\n", type->c_name,
        type->c_type);
    PUT("    struct avro_size size = {.bytes = %zu};\n"
        "    uint8_t *p;\n\n",
        type->wire_fixed);
    if (type->is_checked)
        PUT("    measure_%s(&size, x);\n", type->c_name);
    PUT("    TH_TRY(avro_begin(buf, &size, &p));\n"
        "    avro_end(buf, write_%s(p, x));\n"
        "    return TH_OK;\n}\n\n",
        type->c_name);
}

static void put_list(const struct type *type, struct th_buf *out)
{
    bool is_map = type->kind == KIND_MAP;
    const char *place = is_map ? "x->at[i].value" : "x->at[i]";
    size_t item = type->item->wire_fixed + (is_map ? 10 : 0); /* the length of the key */

    put_head(type, "measure", out);
    PUT("    avro_measure_items(size, x->n, %zu);\n", item);
    if (is_map || type->item->is_checked) {
        PUT("    for (size_t i = 0; i < x->n; i++) {\n");
        if (is_map)
            PUT("        avro_measure_string(size, x->at[i].key);\n");
        put_measure(type->item, "        ", place, out);
        PUT("    }\n");
    }
    PUT("}\n\n");

    put_head(type, "write", out);
    PUT("    if (x->n)\n        p = avro_write_long(p, (int64_t)x->n);\n");
    if (is_map || type->item->kind != KIND_NULL) {
        PUT("    for (size_t i = 0; i < x->n; i++) {\n");
        if (is_map)
            PUT("        p = avro_write_bytes(p, x->at[i].key);\n");
        if (type->item->kind != KIND_NULL) {
            PUT("        p = ");
            put_write(type->item, place, out);
            PUT(";\n");
        }
        PUT("    }\n");
    }
    PUT("    *p++ = 0;\n    return p;\n}\n\n");
}

static void put_union(const struct type *type, struct th_buf *out)
{
    char place[256];

    put_head(type, "measure", out);
    PUT("    switch (x->is) {\n");
    for (size_t i = 0; i < type->branches_n; i++) {
        (void)snprintf(place, sizeof place, "x->as.%s", type->branches[i].c_name);
        PUT("    case %s:\n", type->branches[i].tag);
        put_measure(type->branches[i].type, "        ", place, out);
        PUT("        return;\n");
    }
    PUT("    }\n    size->is_invalid = true;\n}\n\n");

    PUT("static uint8_t *write_%s_branch(uint8_t *p, const %s *x)\n{\n    switch (x->is) {\n",
        type->c_name, type->c_type);
    for (size_t i = 0; i < type->branches_n; i++) {
        (void)snprintf(place, sizeof place, "x->as.%s", type->branches[i].c_name);
        PUT("    case %s:\n        return ", type->branches[i].tag);
        put_write(type->branches[i].type, place, out);
        PUT(";\n");
    }
    PUT("    }\n    return p;\n}\n\n");
    if (!type->is_used)
        return;
    put_head(type, "write", out);
    PUT("    p = avro_write_int(p, (int32_t)x->is);\n"
        "    return write_%s_branch(p, x);\n}\n\n",
        type->c_name);
}

static void put_optional(const struct type *type, struct th_buf *out)
{
    bool is_union = type->item->kind == KIND_UNION;

    if (type->is_checked) {
        put_head(type, "measure", out);
        PUT("    if (x->is_set)\n");
        put_measure(type->item, "        ", "x->value", out);
        PUT("}\n\n");
    }
    put_head(type, "write", out);
    PUT("    if (!x->is_set)\n        return avro_write_int(p, 0);\n");
    if (is_union) {
        PUT("    p = avro_write_int(p, 1 + (int32_t)x->value.is);\n"
            "    return write_%s_branch(p, &x->value);\n}\n\n",
            type->item->c_name);
        return;
    }
    PUT("    p = avro_write_int(p, 1);\n    return ");
    put_write(type->item, "x->value", out);
    PUT(";\n}\n\n");
}

static void put_type(const struct type *type, struct th_buf *out)
{
    switch (type->kind) {
    case KIND_NULL:
    case KIND_BOOLEAN:
    case KIND_INT:
    case KIND_LONG:
    case KIND_FLOAT:
    case KIND_DOUBLE:
    case KIND_BYTES:
    case KIND_STRING:
    case KIND_ENUM:
    case KIND_FIXED:
        break;
    case KIND_RECORD:
        put_record(type, out);
        put_encode_body(type, out);
        break;
    case KIND_ARRAY:
    case KIND_MAP:
        put_list(type, out);
        break;
    case KIND_UNION:
        put_union(type, out);
        break;
    case KIND_OPTIONAL:
        put_optional(type, out);
        break;
    }
}

static void put_event_encode(const struct model *model, struct th_buf *out)
{
    PUT("static enum th_code encode(const struct %sevent *event, struct th_buf *buf)\n"
        "{\n    switch (event->type) {\n",
        model->prefix);
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("    case %s:\n"
            "        avro_write_frame(buf, %u);\n"
            "        return %s_encode_body(&event->as.%s, buf);\n",
            type->event, type->id * 256 + type->version, type->c_name, type->base);
    PUT("    }\n    return TH_INVALID;\n}\n\n");

    PUT("enum th_code %sevent_encode(const struct %sevent *event, struct th_buf *buf)\n{\n",
        model->prefix, model->prefix);
    PUT("    size_t before = buf->n;\n"
        "    enum th_code code = encode(event, buf);\n\n"
        "    if (code != TH_OK)\n"
        "        buf->n = before;\n"
        "    return code;\n}\n");
}

void emit_encode(const struct model *model, const char *header, struct th_buf *out)
{
    emit_prologue(header, "from structs to bytes", out);
    EACH_TYPE(model, type)
    put_type(type, out);
    put_event_encode(model, out);
}
