#include "schemas/codegen/emit.h"

static const char *const printers[KINDS] = {
    [KIND_NULL] = "avro_json_null",   [KIND_BOOLEAN] = "avro_json_boolean",
    [KIND_INT] = "avro_json_long",    [KIND_LONG] = "avro_json_long",
    [KIND_FLOAT] = "avro_json_float", [KIND_DOUBLE] = "avro_json_double",
    [KIND_BYTES] = "avro_json_bytes", [KIND_STRING] = "avro_json_string",
};

/* A statement without its semicolon. */
static void put_json(const struct type *type, const char *place, struct th_buf *out)
{
    if (printers[type->kind])
        PUT("%s(buf, %s)", printers[type->kind], place);
    else if (type_is_id(type))
        PUT("avro_json_id(buf, %s)", place);
    else if (type->kind == KIND_FIXED)
        PUT("avro_json_fixed(buf, %s.b, %zu)", place, type->size);
    else if (type->kind == KIND_ENUM)
        PUT("avro_json_symbol(buf, %s_name(%s))", type->c_name, place);
    else
        PUT("json_%s(buf, &%s)", type->c_name, place);
}

static void put_head(const struct type *type, struct th_buf *out)
{
    PUT("static void json_%s(struct th_buf *buf, const %s *x)\n{\n", type->c_name, type->c_type);
}

static void put_record(const struct type *type, struct th_buf *out)
{
    put_head(type, out);
    if (type->fields_n == 0)
        PUT("    (void)x;\n    th_buf_add_char(buf, '{');\n");
    for (size_t i = 0; i < type->fields_n; i++) {
        char place[256];
        (void)snprintf(place, sizeof place, "x->%s", type->fields[i].c_name);
        PUT("    th_buf_add(buf, TH_STR(\"%s\\\"%s\\\":\"));\n    ", i ? "," : "{",
            type->fields[i].name);
        put_json(type->fields[i].type, place, out);
        PUT(";\n");
    }
    PUT("    th_buf_add_char(buf, '}');\n}\n\n");
}

static void put_list(const struct type *type, struct th_buf *out)
{
    bool is_map = type->kind == KIND_MAP;

    put_head(type, out);
    PUT("    th_buf_add_char(buf, '%c');\n"
        "    for (size_t i = 0; i < x->n; i++) {\n"
        "        if (i)\n"
        "            th_buf_add_char(buf, ',');\n",
        is_map ? '{' : '[');
    if (is_map)
        PUT("        avro_json_string(buf, x->at[i].key);\n"
            "        th_buf_add_char(buf, ':');\n");
    PUT("        ");
    put_json(type->item, is_map ? "x->at[i].value" : "x->at[i]", out);
    PUT(";\n    }\n    th_buf_add_char(buf, '%c');\n}\n\n", is_map ? '}' : ']');
}

static void put_union(const struct type *type, struct th_buf *out)
{
    put_head(type, out);
    PUT("    switch (x->is) {\n");
    for (size_t i = 0; i < type->branches_n; i++) {
        char place[256];
        (void)snprintf(place, sizeof place, "x->as.%s", type->branches[i].c_name);
        PUT("    case %s:\n        ", type->branches[i].tag);
        put_json(type->branches[i].type, place, out);
        PUT(";\n        return;\n");
    }
    PUT("    }\n    avro_json_symbol(buf, \"?\");\n}\n\n");
}

static void put_optional(const struct type *type, struct th_buf *out)
{
    put_head(type, out);
    PUT("    if (x->is_set)\n        ");
    put_json(type->item, "x->value", out);
    PUT(";\n    else\n        th_buf_add(buf, TH_STR(\"null\"));\n}\n\n");
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
        if (type->is_used || type_is_event(type))
            put_record(type, out);
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

void emit_json(const struct model *model, const char *header, struct th_buf *out)
{
    emit_prologue(header, "from structs to JSON for people and tools", out);
    EACH_TYPE(model, type)
    put_type(type, out);

    PUT("void %sevent_to_json(const struct %sevent *event, struct th_buf *buf)\n{\n"
        "    th_buf_add_char(buf, '{');\n"
        "    avro_json_symbol(buf, %sevent_type_name(event->type));\n"
        "    th_buf_add_char(buf, ':');\n"
        "    switch (event->type) {\n",
        model->prefix, model->prefix, model->prefix);
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("    case %s:\n        json_%s(buf, &event->as.%s);\n        break;\n", type->event,
            type->c_name, type->base);
    PUT("    }\n    th_buf_add_char(buf, '}');\n}\n");
}
