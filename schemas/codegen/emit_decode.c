#include "schemas/codegen/emit.h"

static const char *const readers[KINDS] = {
    [KIND_NULL] = "avro_read_null",   [KIND_BOOLEAN] = "avro_read_boolean",
    [KIND_INT] = "avro_read_int",     [KIND_LONG] = "avro_read_long",
    [KIND_FLOAT] = "avro_read_float", [KIND_DOUBLE] = "avro_read_double",
    [KIND_BYTES] = "avro_read_bytes", [KIND_STRING] = "avro_read_string",
};

/* An expression that reads a value of type into place. */
static void put_read(const struct type *type, const char *place, struct th_buf *out)
{
    if (readers[type->kind])
        PUT("%s(r, &%s)", readers[type->kind], place);
    else if (type->kind == KIND_FIXED)
        PUT("avro_read_fixed(r, %s.b, %zu)", place, type->size);
    else
        PUT("read_%s(r, &%s)", type->c_name, place);
}

static void put_enum(const struct type *type, struct th_buf *out)
{
    PUT("static bool read_%s(struct avro_reader *r, %s *out)\n{\n", type->c_name, type->c_type);
    PUT("    uint32_t symbol;\n\n"
        "    if (!avro_read_index(r, \"symbol\", %s_COUNT, &symbol))\n"
        "        return false;\n"
        "    *out = (%s)symbol;\n"
        "    return true;\n}\n\n",
        type->upper, type->c_type);
}

static void put_list(const struct type *type, struct th_buf *out)
{
    bool is_map = type->kind == KIND_MAP;

    PUT("static bool read_%s(struct avro_reader *r, %s *out)\n{\n", type->c_name, type->c_type);
    PUT("    struct avro_list list = {.item_size = sizeof *out->at, .wire_min = %zu};\n"
        "    size_t i = 0;\n\n"
        "    while (avro_read_block(r, &list)) {\n",
        type->item->wire_min + is_map);
    PUT("        %s%s *at = list.at;\n"
        "        for (; i < list.n; i++)\n"
        "            if (!(",
        is_map ? type->c_type : type->item->c_type, is_map ? "_entry" : "");
    if (is_map)
        PUT("avro_read_string(r, &at[i].key) && ");
    put_read(type->item, is_map ? "at[i].value" : "at[i]", out);
    PUT("))\n"
        "                return avro_in_item(r, i);\n"
        "    }\n"
        "    *out = (%s){list.at, list.n};\n"
        "    return r->code == TH_OK;\n}\n\n",
        type->c_type);
}

static void put_union(const struct type *type, struct th_buf *out)
{
    PUT("static bool read_%s_branch(struct avro_reader *r, uint32_t branch, %s *out)\n{\n",
        type->c_name, type->c_type);
    PUT("    switch (branch) {\n");
    for (size_t i = 0; i < type->branches_n; i++) {
        char place[256];
        (void)snprintf(place, sizeof place, "out->as.%s", type->branches[i].c_name);
        PUT("    case %s:\n        out->is = %s;\n        return ", type->branches[i].tag,
            type->branches[i].tag);
        put_read(type->branches[i].type, place, out);
        PUT(";\n");
    }
    PUT("    default:\n        return avro_fail(r, TH_MALFORMED, \"no such branch\");\n    "
        "}\n}\n\n");
    if (!type->is_used)
        return;
    PUT("static bool read_%s(struct avro_reader *r, %s *out)\n{\n"
        "    uint32_t branch;\n\n"
        "    return avro_read_index(r, \"branch\", %zu, &branch) &&\n"
        "           read_%s_branch(r, branch, out);\n}\n\n",
        type->c_name, type->c_type, type->branches_n, type->c_name);
}

static void put_optional(const struct type *type, struct th_buf *out)
{
    bool is_union = type->item->kind == KIND_UNION;
    size_t branches = 1 + (is_union ? type->item->branches_n : 1);

    PUT("static bool read_%s(struct avro_reader *r, %s *out)\n{\n", type->c_name, type->c_type);
    PUT("    uint32_t branch;\n\n"
        "    if (!avro_read_index(r, \"branch\", %zu, &branch))\n"
        "        return false;\n"
        "    if (branch == 0) {\n"
        "        *out = (%s){.is_set = false};\n"
        "        return true;\n"
        "    }\n"
        "    out->is_set = true;\n"
        "    return ",
        branches, type->c_type);
    if (is_union)
        PUT("read_%s_branch(r, branch - 1, &out->value)", type->item->c_name);
    else
        put_read(type->item, "out->value", out);
    PUT(";\n}\n\n");
}

/* The fields since one version, all of them read or false. */
static void put_group(const struct type *type, unsigned since, const char *continued,
                      struct th_buf *out)
{
    bool is_first = true;

    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *field = &type->fields[i];
        char place[256];
        if (field->since != since)
            continue;
        if (!is_first)
            PUT(" &&\n%s", continued);
        is_first = false;
        (void)snprintf(place, sizeof place, "out->%s", field->c_name);
        PUT("(");
        put_read(field->type, place, out);
        PUT(" || avro_in(r, \"%s\"))", field->name);
    }
}

static bool has_field_since(const struct type *type, unsigned since)
{
    for (size_t i = 0; i < type->fields_n; i++)
        if (type->fields[i].since == since)
            return true;
    return false;
}

static void put_defaults(const struct type *type, struct th_buf *out)
{
    PUT("static const %s %s_defaults = {\n", type->c_type, type->c_name);
    for (size_t i = 0; i < type->fields_n; i++)
        if (type->fields[i].since > 1) {
            PUT("    .%s = ", type->fields[i].c_name);
            emit_value(type->fields[i].type, type->fields[i].default_value, out);
            PUT(",\n");
        }
    PUT("};\n\n/* What a writer of that version did not know. */\n");
    PUT("static bool default_%s(%s *out, unsigned version)\n{\n", type->c_name, type->c_type);
    for (unsigned since = 2; since <= type->version; since++) {
        if (!has_field_since(type, since))
            continue;
        PUT("    if (version < %u) {\n", since);
        for (size_t i = 0; i < type->fields_n; i++)
            if (type->fields[i].since == since)
                PUT("        out->%s = %s_defaults.%s;\n", type->fields[i].c_name, type->c_name,
                    type->fields[i].c_name);
        PUT("    }\n");
    }
    PUT("    return true;\n}\n\n");
}

static void put_versioned_record(const struct type *type, struct th_buf *out)
{
    put_defaults(type, out);
    PUT("static bool read_%s(struct avro_reader *r, unsigned version, %s *out)\n{\n", type->c_name,
        type->c_type);
    for (unsigned since = 1; since <= type->version; since++) {
        if (!has_field_since(type, since))
            continue;
        if (since > 1)
            PUT("    if (version < %u)\n        return default_%s(out, version);\n", since,
                type->c_name);
        PUT("    if (!(");
        put_group(type, since, "          ", out);
        PUT("))\n        return false;\n");
    }
    PUT("    return true;\n}\n\n");
}

static void put_record(const struct type *type, struct th_buf *out)
{
    if (type->version > 1) {
        put_versioned_record(type, out);
        return;
    }
    PUT("static bool read_%s(struct avro_reader *r, %s *out)\n{\n    ", type->c_name, type->c_type);
    if (type->fields_n == 0) {
        PUT("return avro_read_null(r, &out->nothing);\n}\n\n");
        return;
    }
    PUT("return ");
    put_group(type, 1, "           ", out);
    PUT(";\n}\n\n");
}

static void put_decode_body(const struct type *type, struct th_buf *out)
{
    PUT("enum th_code %s_decode_body(struct th_str bytes, unsigned version,\n"
        "    struct th_arena *arena, %s *out, struct th_err *err)\n{\n",
        type->c_name, type->c_type);
    PUT("    struct avro_reader r = avro_reader(bytes, arena, err);\n\n"
        "    (void)(read_%s(&r, %sout) && avro_read_end(&r, version > %u));\n"
        "    return avro_finish(&r, \"%s\");\n}\n\n",
        type->c_name, type->version > 1 ? "version, " : "", type->version, type->name);
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
    case KIND_FIXED:
        break;
    case KIND_RECORD:
        put_record(type, out);
        put_decode_body(type, out);
        break;
    case KIND_ENUM:
        if (type->is_used)
            put_enum(type, out);
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

static void put_event_decode(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("static enum th_code decode_as(enum %sevent_type type, const struct avro_frame *frame,\n"
        "    struct th_arena *arena, struct %sevent *out, struct th_err *err)\n"
        "{\n    switch (type) {\n",
        p, p);
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("    case %s:\n"
            "        return %s_decode_body(frame->body, frame->version, arena, &out->as.%s, "
            "err);\n",
            type->event, type->c_name, type->base);
    PUT("    }\n    return TH_UNSUPPORTED;\n}\n\n");

    PUT("enum th_code %sevent_decode(struct th_str value, struct th_arena *arena,\n"
        "    struct %sevent *out, struct th_err *err)\n{\n",
        p, p);
    PUT("    struct avro_frame frame;\n"
        "    enum %sevent_type type;\n\n"
        "    TH_TRY(avro_read_frame(value, &frame, err));\n"
        "    if (%sevent_type_of(value, &type) != TH_OK)\n"
        "        return avro_fail_unknown(&frame, err);\n"
        "    out->type = type;\n"
        "    return decode_as(type, &frame, arena, out, err);\n}\n",
        p, p);
}

void emit_decode(const struct model *model, const char *header, struct th_buf *out)
{
    emit_prologue(header, "from bytes to structs", out);
    EACH_TYPE(model, type)
    put_type(type, out);
    put_event_decode(model, out);
}
