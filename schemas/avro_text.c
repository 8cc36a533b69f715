/* A schema as the text that it is known by. */
#include "schemas/avro_schema.h"

#include <inttypes.h>

struct printer {
    const struct avro_schema *known[AVRO_NAMES_MAX]; /* defined already: from then on by name */
    size_t known_n;
    struct th_buf *buf;
};

static void put_names(struct printer *printer, const char *attribute,
                      const struct avro_names *names)
{
    th_buf_printf(printer->buf, ",\"%s\":[", attribute);
    for (size_t i = 0; i < names->n; i++)
        th_buf_printf(printer->buf, "%s\"%.*s\"", i ? "," : "", TH_ARG(names->at[i]));
    th_buf_add_char(printer->buf, ']');
}

static void put_type(struct printer *printer, const struct avro_schema *schema);

static void put_fields(struct printer *printer, const struct avro_schema *schema)
{
    th_buf_printf(printer->buf, ",\"fields\":[");
    for (size_t i = 0; i < schema->fields_n; i++) {
        const struct avro_field *field = &schema->fields[i];
        th_buf_printf(printer->buf, "%s{\"name\":\"%.*s\",\"type\":", i ? "," : "",
                      TH_ARG(field->name));
        put_type(printer, field->type);
        if (field->aliases.n)
            put_names(printer, "aliases", &field->aliases);
        if (field->default_json.p) {
            th_buf_printf(printer->buf, ",\"default\":");
            th_buf_add(printer->buf, field->default_json);
        }
        th_buf_add_char(printer->buf, '}');
    }
    th_buf_add_char(printer->buf, ']');
}

static bool is_known(struct printer *printer, const struct avro_schema *schema)
{
    for (size_t i = 0; i < printer->known_n; i++)
        if (printer->known[i] == schema)
            return true;
    if (schema->name.n)
        printer->known[printer->known_n++] = schema;
    return false;
}

static void put_logical(struct printer *printer, const struct avro_schema *schema)
{
    if (!schema->logical.n)
        return;
    th_buf_printf(printer->buf, ",\"logicalType\":\"%.*s\"", TH_ARG(schema->logical));
    if (schema->precision)
        th_buf_printf(printer->buf, ",\"precision\":%" PRId64 ",\"scale\":%" PRId64,
                      schema->precision, schema->scale);
}

static void put_union(struct printer *printer, const struct avro_schema *schema)
{
    th_buf_add_char(printer->buf, '[');
    for (size_t i = 0; i < schema->branches_n; i++) {
        if (i)
            th_buf_add_char(printer->buf, ',');
        put_type(printer, schema->branches[i]);
    }
    th_buf_add_char(printer->buf, ']');
}

/* The attributes in the order of the parsing canonical form. */
static void put_object(struct printer *printer, const struct avro_schema *schema)
{
    struct th_buf *buf = printer->buf;

    th_buf_add_char(buf, '{');
    if (schema->name.n)
        th_buf_printf(buf, "\"name\":\"%.*s\",", TH_ARG(schema->name));
    th_buf_printf(buf, "\"type\":\"%s\"", avro_kind_name(schema->kind));
    if (schema->kind == AVRO_KIND_RECORD)
        put_fields(printer, schema);
    if (schema->kind == AVRO_KIND_ENUM)
        put_names(printer, "symbols", &schema->symbols);
    if (schema->item) {
        th_buf_printf(buf, ",\"%s\":", schema->kind == AVRO_KIND_MAP ? "values" : "items");
        put_type(printer, schema->item);
    }
    if (schema->kind == AVRO_KIND_FIXED)
        th_buf_printf(buf, ",\"size\":%" PRId64, schema->size);
    if (schema->aliases.n)
        put_names(printer, "aliases", &schema->aliases);
    if (schema->default_symbol.n)
        th_buf_printf(buf, ",\"default\":\"%.*s\"", TH_ARG(schema->default_symbol));
    put_logical(printer, schema);
    th_buf_add_char(buf, '}');
}

static void put_type(struct printer *printer, const struct avro_schema *schema)
{
    if (schema->kind == AVRO_KIND_UNION)
        put_union(printer, schema);
    else if (schema->kind < AVRO_PRIMITIVES && !schema->logical.n)
        th_buf_printf(printer->buf, "\"%s\"", avro_kind_name(schema->kind));
    else if (schema->name.n && is_known(printer, schema))
        th_buf_printf(printer->buf, "\"%.*s\"", TH_ARG(schema->name));
    else
        put_object(printer, schema);
}

void avro_schema_put(const struct avro_schema *schema, struct th_buf *buf)
{
    struct printer printer = {.buf = buf};

    put_type(&printer, schema);
}
