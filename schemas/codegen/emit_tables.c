#include "schemas/codegen/emit.h"

#define PIECE_LEN 80

static void put_enum(const struct type *type, struct th_buf *out)
{
    PUT("static const char *const %s_names[] = {\n", type->c_name);
    for (size_t i = 0; i < type->symbols_n; i++)
        PUT("    \"%s\",\n", type->symbols[i].name);
    PUT("};\n\n");
    PUT("const char *%s_name(%s value)\n{\n"
        "    return avro_name(%s_names, %s_COUNT, (size_t)value);\n}\n\n",
        type->c_name, type->c_type, type->c_name, type->upper);
    PUT("bool %s_parse(struct th_str text, %s *out)\n{\n"
        "    size_t i;\n\n"
        "    if (!avro_parse(%s_names, %s_COUNT, text, &i))\n"
        "        return false;\n"
        "    *out = (%s)i;\n"
        "    return true;\n}\n\n",
        type->c_name, type->c_type, type->c_name, type->upper, type->c_type);
}

static void put_event_types(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("static const char *const event_names[] = {\n");
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("    [%s] = \"%s\",\n", type->event, type->name);
    PUT("};\n\n");
    PUT("const char *%sevent_type_name(enum %sevent_type type)\n{\n"
        "    return avro_name(event_names, TH_LEN(event_names), (size_t)type);\n}\n\n",
        p, p);
    PUT("bool %sevent_type_parse(struct th_str name, enum %sevent_type *out)\n{\n"
        "    size_t i;\n\n"
        "    if (!avro_parse(event_names, TH_LEN(event_names), name, &i))\n"
        "        return false;\n"
        "    *out = (enum %sevent_type)i;\n"
        "    return true;\n}\n\n",
        p, p, p);
}

static void put_type_of(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("static bool type_of_record(uint32_t record, enum %sevent_type *out)\n{\n"
        "    switch (record) {\n",
        p);
    EACH_TYPE(model, type)
    if (type_is_event(type))
        PUT("    case %u:\n        *out = %s;\n        return true;\n", type->id, type->event);
    PUT("    default:\n        return false;\n    }\n}\n\n");
    PUT("enum th_code %sevent_type_of(struct th_str value, enum %sevent_type *out)\n{\n"
        "    struct avro_frame frame;\n\n"
        "    TH_TRY(avro_read_frame(value, &frame, NULL));\n"
        "    return type_of_record(frame.record, out) ? TH_OK : TH_UNSUPPORTED;\n}\n\n",
        p, p);
}

/* meta is the first member of every member of the union, so all of them lie where the union does.
 */
static void put_meta(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    PUT("/* The first field of every event is its meta, so all of them lie where as does. */\n"
        "const struct %smeta *%sevent_meta(const struct %sevent *event)\n{\n"
        "    return (const struct %smeta *)&event->as;\n}\n\n",
        p, p, p, p);
    PUT("struct %smeta *%sevent_meta_mut(struct %sevent *event)\n{\n"
        "    return (struct %smeta *)&event->as;\n}\n\n",
        p, p, p, p);
}

static void put_schema_text(const struct model *model, const struct type *type, unsigned version,
                            struct th_buf *out)
{
    TH_AUTO(th_buf) struct th_buf text = {0};

    emit_schema(model, type, version, &text);
    out->is_failed |= text.is_failed;
    PUT("static const char schema_%u[] =", type->id * 256 + version);
    for (size_t i = 0; i < text.n; i += PIECE_LEN) {
        PUT("\n    ");
        emit_literal(text.p + i, text.n - i < PIECE_LEN ? text.n - i : PIECE_LEN, out);
    }
    PUT(";\n\n");
}

/* The event with the smallest id above that one; NULL behind the last. */
static const struct type *next_event(const struct model *model, unsigned id)
{
    const struct type *next = NULL;

    EACH_TYPE(model, type)
    if (type->id > id && (!next || type->id < next->id))
        next = type;
    return next;
}

static void put_schemas(const struct model *model, struct th_buf *out)
{
    const char *p = model->prefix;

    /* C17 wants compilers to take literals of 4095 bytes; ours take longer ones. */
    PUT("#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n\n");
    EACH_TYPE(model, type)
    for (unsigned version = 1; type_is_event(type) && version <= type->version; version++)
        put_schema_text(model, type, version, out);
    PUT("static const struct %sschema schemas[] = {\n", p);
    for (const struct type *type = next_event(model, 0); type; type = next_event(model, type->id))
        for (unsigned version = 1; version <= type->version; version++) {
            unsigned id = type->id * 256 + version;
            PUT("    {%u, %u, %s, \"%s\", {schema_%u, sizeof schema_%u - 1}},\n", id, version,
                type->event, type->key, id, id);
        }
    PUT("};\n\n");
    PUT("size_t %sschema_count(void)\n{\n    return TH_LEN(schemas);\n}\n\n", p);
    PUT("const struct %sschema *%sschema_at(size_t i)\n{\n    return &schemas[i];\n}\n\n", p, p);
    PUT("struct th_str %sschema_json(uint32_t schema_id)\n{\n"
        "    for (size_t i = 0; i < TH_LEN(schemas); i++)\n"
        "        if (schemas[i].id == schema_id)\n"
        "            return schemas[i].json;\n"
        "    return (struct th_str){NULL, 0};\n}\n",
        p);
}

void emit_tables(const struct model *model, const char *header, struct th_buf *out)
{
    emit_prologue(header, "names, schemas and ids", out);
    EACH_TYPE(model, type)
    if (type->kind == KIND_ENUM)
        put_enum(type, out);
    put_event_types(model, out);
    put_type_of(model, out);
    put_meta(model, out);
    put_schemas(model, out);
}
