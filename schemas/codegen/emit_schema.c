#include "schemas/codegen/emit.h"

#include <string.h>

/* A schema is printed from the JSON as it was written: what Avro does not know (id, version, since)
 * and doc are left out, a named type stands whole where it comes first and by name from then on. */
struct printer {
    const struct model *model;
    const struct type **known; /* already defined in this schema */
    size_t known_n;
    struct th_buf *out;
};

static void put_json(const json_t *value, struct th_buf *out)
{
    TH_AUTO(free) void *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (!text)
        out->is_failed = true;
    else
        th_buf_add(out, th_str(text));
}

static void put_attribute(const json_t *object, const char *key, struct th_buf *out)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return;
    PUT(",\"%s\":", key);
    put_json(value, out);
}

static bool meet(struct printer *pr, const struct type *type)
{
    for (size_t i = 0; i < pr->known_n; i++)
        if (pr->known[i] == type)
            return false;
    pr->known[pr->known_n++] = type;
    return true;
}

static void put_type(struct printer *pr, const json_t *json);

static void put_field(struct printer *pr, const struct field *field)
{
    struct th_buf *out = pr->out;

    PUT("{\"name\":\"%s\",\"type\":", field->name);
    put_type(pr, field->type_json);
    if (field->default_value) {
        PUT(",\"default\":");
        put_json(field->default_value, out);
    }
    PUT("}");
}

static void put_fields(struct printer *pr, const struct type *type, unsigned version)
{
    struct th_buf *out = pr->out;

    PUT(",\"fields\":[");
    for (size_t i = 0; i < type->fields_n && type->fields[i].since <= version; i++) {
        PUT("%s", i ? "," : "");
        put_field(pr, &type->fields[i]);
    }
    PUT("]}");
}

static void put_definition(struct printer *pr, const struct type *type)
{
    struct th_buf *out = pr->out;

    if (!meet(pr, type)) {
        PUT("\"%s\"", type->name);
        return;
    }
    PUT("{\"type\":");
    put_json(json_object_get(type->json, "type"), out);
    PUT(",\"name\":\"%s\"", type->name);
    if (type->kind == KIND_RECORD) {
        put_fields(pr, type, type->version);
        return;
    }
    put_attribute(type->json, "symbols", out);
    put_attribute(type->json, "size", out);
    put_attribute(type->json, "logicalType", out);
    put_attribute(type->json, "precision", out);
    put_attribute(type->json, "scale", out);
    PUT("}");
}

static const struct type *find_named(const struct printer *pr, const char *name)
{
    const char *dot = strrchr(name, '.');

    EACH_TYPE(pr->model, type)
    if (type->json && strcmp(type->name, dot ? dot + 1 : name) == 0)
        return type;
    return NULL;
}

static void put_name(struct printer *pr, const char *name)
{
    const struct type *type = find_named(pr, name);
    struct th_buf *out = pr->out;

    if (type)
        put_definition(pr, type);
    else
        PUT("\"%s\"", name);
}

static void put_object(struct printer *pr, const json_t *json)
{
    struct th_buf *out = pr->out;

    if (json_object_get(json, "name")) {
        put_name(pr, json_string_value(json_object_get(json, "name")));
        return;
    }
    PUT("{\"type\":");
    put_type(pr, json_object_get(json, "type"));
    if (json_object_get(json, "items")) {
        PUT(",\"items\":");
        put_type(pr, json_object_get(json, "items"));
    }
    if (json_object_get(json, "values")) {
        PUT(",\"values\":");
        put_type(pr, json_object_get(json, "values"));
    }
    put_attribute(json, "logicalType", out);
    put_attribute(json, "precision", out);
    put_attribute(json, "scale", out);
    PUT("}");
}

static void put_type(struct printer *pr, const json_t *json)
{
    struct th_buf *out = pr->out;

    if (json_is_string(json)) {
        put_name(pr, json_string_value(json));
    } else if (json_is_object(json)) {
        put_object(pr, json);
    } else {
        PUT("[");
        for (size_t i = 0; i < json_array_size(json); i++) {
            PUT("%s", i ? "," : "");
            put_type(pr, json_array_get(json, i));
        }
        PUT("]");
    }
}

void emit_schema(const struct model *model, const struct type *record, unsigned version,
                 struct th_buf *out)
{
    TH_AUTO(free) void *known = calloc(model->types_n, sizeof(struct type *));
    struct printer pr = {.model = model, .known = known, .out = out};

    if (!known) {
        out->is_failed = true;
        return;
    }
    (void)meet(&pr, record);
    PUT("{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"" NAMESPACE "\"", record->name);
    put_fields(&pr, record, version);
}
