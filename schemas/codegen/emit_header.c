#include "schemas/codegen/emit.h"

#include <ctype.h>

static void put_guard(const char *header, struct th_buf *out)
{
    PUT("TELEHUB_");
    for (const char *p = header; *p; p++)
        PUT("%c", isalnum((unsigned char)*p) ? toupper((unsigned char)*p) : '_');
}

static void put_enum(const struct type *type, struct th_buf *out)
{
    PUT("%s {\n", type->c_type);
    for (size_t i = 0; i < type->symbols_n; i++)
        PUT("    %s,\n", type->symbols[i].c_name);
    PUT("};\n\n#define %s_COUNT %zu\n\n", type->upper, type->symbols_n);
    PUT("/* The symbol as in the schema; \"?\" for a value that is none. */\n");
    PUT("const char *%s_name(%s value);\n\n", type->c_name, type->c_type);
    PUT("/* False if text is no symbol; *out is then untouched. */\n");
    PUT("bool %s_parse(struct th_str text, %s *out);\n", type->c_name, type->c_type);
}

static void put_record(const struct type *type, struct th_buf *out)
{
    PUT("%s {\n", type->c_type);
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *field = &type->fields[i];
        emit_comment("    ", field->doc, out);
        PUT("    %s %s;\n", field->type->c_type, field->c_name);
    }
    if (type->fields_n == 0)
        PUT("    struct avro_null nothing;\n");
    PUT("};\n");
}

static void put_union(const struct type *type, struct th_buf *out)
{
    PUT("%s {\n    enum {\n", type->c_type);
    for (size_t i = 0; i < type->branches_n; i++)
        PUT("        %s,\n", type->branches[i].tag);
    PUT("    } is;\n    union {\n");
    for (size_t i = 0; i < type->branches_n; i++)
        PUT("        %s %s;\n", type->branches[i].type->c_type, type->branches[i].c_name);
    PUT("    } as;\n};\n");
}

static void put_map(const struct type *type, struct th_buf *out)
{
    PUT("%s_entry {\n    struct th_str key;\n    %s value;\n};\n\n", type->c_type,
        type->item->c_type);
    PUT("%s {\n    const %s_entry *at;\n    size_t n;\n};\n", type->c_type, type->c_type);
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
        return;
    case KIND_RECORD:
        emit_comment("", type->doc, out);
        put_record(type, out);
        break;
    case KIND_ENUM:
        emit_comment("", type->doc, out);
        put_enum(type, out);
        break;
    case KIND_FIXED:
        if (type_is_id(type))
            return;
        emit_comment("", type->doc, out);
        PUT("%s {\n    uint8_t b[%zu];\n};\n", type->c_type, type->size);
        break;
    case KIND_ARRAY:
        PUT("%s {\n    const %s *at;\n    size_t n;\n};\n", type->c_type, type->item->c_type);
        break;
    case KIND_MAP:
        put_map(type, out);
        break;
    case KIND_UNION:
        put_union(type, out);
        break;
    case KIND_OPTIONAL:
        PUT("%s {\n    bool is_set;\n    %s value;\n};\n", type->c_type, type->item->c_type);
        break;
    }
    PUT("\n");
}

static void put_event(const struct model *model, struct th_buf *out)
{
    const char *last = "";

    PUT("/* In memory only: the numbers change between builds. */\nenum %sevent_type {\n",
        model->prefix);
    EACH_TYPE(model, type)
    if (type_is_event(type)) {
        PUT("    %s,\n", type->event);
        last = type->event;
    }
    PUT("};\n\n#define %sEVENT_TYPES (%s + 1)\n\n", model->prefix_upper, last);
    PUT("struct %sevent {\n    enum %sevent_type type;\n    union {\n", model->prefix,
        model->prefix);
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("        %s %s;\n", type->c_type, type->base);
    PUT("    } as;\n};\n\n");
}

static void put_event_functions(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("/* Append frame and body. On error buf holds what it held before.\n"
        " * Errors: TH_NOMEM, TH_INVALID (a bad part, as in *_encode_body) */\n"
        "TH_MUST_USE\n"
        "enum th_code %sevent_encode(const struct %sevent *event, struct th_buf *buf);\n\n",
        p, p);
    PUT("/* Views point into value, arrays and maps lie in arena; *out is undefined on error.\n"
        " * Errors: TH_MALFORMED, TH_NOMEM, TH_UNSUPPORTED (a schema id that is not known) */\n"
        "TH_MUST_USE\n"
        "enum th_code %sevent_decode(struct th_str value, struct th_arena *arena,\n"
        "    struct %sevent *out, struct th_err *err);\n\n",
        p, p);
    PUT("/* Look at the schema id only. Errors: TH_MALFORMED, TH_UNSUPPORTED */\n"
        "TH_MUST_USE\n"
        "enum th_code %sevent_type_of(struct th_str value, enum %sevent_type *out);\n\n",
        p, p);
    PUT("const struct %smeta *%sevent_meta(const struct %sevent *event);\n", p, p, p);
    PUT("struct %smeta *%sevent_meta_mut(struct %sevent *event);\n\n", p, p, p);
    PUT("/* The record's name as in the schema; \"?\" for a value that is none. */\n"
        "const char *%sevent_type_name(enum %sevent_type type);\n\n",
        p, p);
    PUT("/* False if name is no event's; *out is then untouched. */\n"
        "bool %sevent_type_parse(struct th_str name, enum %sevent_type *out);\n\n",
        p, p);
    PUT("/* Append it as JSON for people and tools; th_buf_status tells whether all fitted. */\n"
        "void %sevent_to_json(const struct %sevent *event, struct th_buf *buf);\n\n",
        p, p);
    PUT("/* A copy that shares no memory with *event; *out is untouched on error. Errors: TH_NOMEM "
        "*/\n"
        "TH_MUST_USE\n"
        "enum th_code %sevent_copy(const struct %sevent *event, struct th_arena *arena,\n"
        "    struct %sevent *out);\n\n",
        p, p, p);
}

static void put_schema_functions(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("struct %sschema {\n"
        "    uint32_t id; /* as in the frame: the record's id * 256 + version */\n"
        "    unsigned version;\n"
        "    enum %sevent_type type;\n"
        "    const char *name;\n"
        "    struct th_str json; /* the Avro schema of that version, whole in itself */\n"
        "};\n\n",
        p, p);
    PUT("/* Every version of every event, by rising id; i < %sschema_count(). */\n", p);
    PUT("size_t %sschema_count(void);\n", p);
    PUT("const struct %sschema *%sschema_at(size_t i);\n\n", p, p);
    PUT("/* Empty if there is none of that id. */\n");
    PUT("struct th_str %sschema_json(uint32_t schema_id);\n\n", p);
}

static void put_record_functions(const struct type *type, struct th_buf *out)
{
    const char *c = type->c_name;

    PUT("TH_MUST_USE\nenum th_code %s_encode_body(const %s *x, struct th_buf *buf);\n", c,
        type->c_type);
    PUT("TH_MUST_USE\nenum th_code %s_decode_body(struct th_str bytes, unsigned version,\n"
        "    struct th_arena *arena, %s *out, struct th_err *err);\n\n",
        c, type->c_type);
}

void emit_header(const struct model *model, const char *header, struct th_buf *out)
{
    PUT("/* Made by codegen: the events as C. Not to be edited; schemas/codegen/README.md tells "
        "the\n"
        " * shapes. Structs are plain values; strings, arrays and maps are borrowed. */\n#ifndef ");
    put_guard(header, out);
    PUT("\n#define ");
    put_guard(header, out);
    PUT("\n\n#include \"common/arena.h\"\n#include \"common/buf.h\"\n#include \"common/err.h\"\n"
        "#include \"common/ids.h\"\n#include \"common/str.h\"\n#include \"schemas/avro.h\"\n\n");

    EACH_TYPE(model, type)
    put_type(type, out);
    put_event(model, out);
    put_event_functions(model, out);
    put_schema_functions(model, out);
    PUT("/* x_encode_body: append Avro binary without a frame, as the newest version writes it.\n"
        " * On error buf holds what it held before. Errors: TH_NOMEM, TH_INVALID (a string is not\n"
        " * UTF-8, an enum or union is out of range, more than AVRO_ELEMENTS_MAX elements).\n"
        " *\n"
        " * x_decode_body: the way back, from what that version of the record wrote; of a record\n"
        " * without versions say 1. Views point into bytes, arrays and maps lie in arena; *out is\n"
        " * undefined on error. Errors: TH_MALFORMED (err names the field), TH_NOMEM */\n\n");
    EACH_TYPE(model, type)
    if (type->kind == KIND_RECORD)
        put_record_functions(type, out);
    PUT("#endif\n");
}
