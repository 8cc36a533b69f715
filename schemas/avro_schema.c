#include "schemas/avro_schema.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/json.h"

static const char *const kind_names[] = {
    [AVRO_KIND_NULL] = "null",   [AVRO_KIND_BOOLEAN] = "boolean", [AVRO_KIND_INT] = "int",
    [AVRO_KIND_LONG] = "long",   [AVRO_KIND_FLOAT] = "float",     [AVRO_KIND_DOUBLE] = "double",
    [AVRO_KIND_BYTES] = "bytes", [AVRO_KIND_STRING] = "string",   [AVRO_KIND_RECORD] = "record",
    [AVRO_KIND_ENUM] = "enum",   [AVRO_KIND_FIXED] = "fixed",     [AVRO_KIND_ARRAY] = "array",
    [AVRO_KIND_MAP] = "map",     [AVRO_KIND_UNION] = "union",
};

static_assert(TH_LEN(kind_names) == AVRO_KINDS, "each kind has a name");

/* A default whose type may not be whole yet when it is met: looked at when everything is. */
struct awaited {
    const struct avro_schema *record;
    const struct avro_field *field;
    const json_t *value;
    struct awaited *next;
};

struct parser {
    struct th_arena *arena;
    struct th_err *err;
    const struct avro_schema *named[AVRO_NAMES_MAX];
    size_t named_n;
    struct awaited *defaults;
};

const char *avro_kind_name(enum avro_kind kind)
{
    return kind_names[kind];
}

struct th_str avro_short_name(struct th_str name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '.')
            return (struct th_str){name.p + i, name.n - i};
    return name;
}

static struct th_str space_of(struct th_str name)
{
    size_t n = avro_short_name(name).n;

    return (struct th_str){name.p, name.n > n ? name.n - n - 1 : 0};
}

static struct th_str text_of(const json_t *value)
{
    return (struct th_str){json_string_value(value), json_string_length(value)};
}

static enum th_code no_memory(struct parser *parser)
{
    return th_fail(parser->err, TH_NOMEM, "schema");
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool is_name(struct th_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is_letter(text.p[i]) && !(i && text.p[i] >= '0' && text.p[i] <= '9'))
            return false;
    return text.n > 0;
}

/* Names with dots between them. */
static bool is_path(struct th_str text)
{
    struct th_str head;

    while (th_str_cut(text, '.', &head, &text))
        if (!is_name(head))
            return false;
    return is_name(head);
}

/* text as it counts within space: whoever has a dot brings a namespace along. */
static enum th_code full_name(struct parser *parser, struct th_str text, struct th_str space,
                              struct th_str *out)
{
    if (!is_path(text))
        return th_fail(parser->err, TH_INVALID, "\"%.*s\" is not a name", TH_ARG(text));
    *out = !space.n || memchr(text.p, '.', text.n)
               ? th_arena_printf(parser->arena, "%.*s", TH_ARG(text))
               : th_arena_printf(parser->arena, "%.*s.%.*s", TH_ARG(space), TH_ARG(text));
    return out->p ? TH_OK : no_memory(parser);
}

static const struct avro_schema *find(const struct parser *parser, struct th_str name)
{
    for (size_t i = 0; i < parser->named_n; i++)
        if (th_str_eq(parser->named[i]->name, name))
            return parser->named[i];
    return NULL;
}

static bool primitive_kind(struct th_str name, enum avro_kind *out)
{
    for (size_t kind = 0; kind < AVRO_PRIMITIVES; kind++)
        if (th_str_eq(name, th_str(kind_names[kind]))) {
            *out = (enum avro_kind)kind;
            return true;
        }
    return false;
}

static bool holds(const struct avro_names *names, struct th_str name)
{
    for (size_t i = 0; i < names->n; i++)
        if (th_str_eq(names->at[i], name))
            return true;
    return false;
}

/* An optional or needed attribute that is a list of strings, each once. */
static enum th_code parse_names(struct parser *parser, const json_t *list, const char *attribute,
                                bool (*is_one)(struct th_str text), struct avro_names *out)
{
    size_t n = json_array_size(list);

    if (!json_is_array(list) || n > AVRO_PARTS_MAX)
        return th_fail(parser->err, TH_INVALID, "%s must be a list of at most %d", attribute,
                       AVRO_PARTS_MAX);
    out->at = th_arena_array(parser->arena, n, sizeof *out->at);
    if (n && !out->at)
        return no_memory(parser);
    for (size_t i = 0; i < n; i++) {
        struct th_str name = text_of(json_array_get(list, i));
        if (!is_one(name))
            return th_fail(parser->err, TH_INVALID, "%s holds what is not a name", attribute);
        if (holds(out, name))
            return th_fail(parser->err, TH_INVALID, "%s holds %.*s twice", attribute, TH_ARG(name));
        TH_TRY(th_arena_copy(parser->arena, name, &out->at[out->n]));
        out->n++;
    }
    return TH_OK;
}

static enum th_code parse_aliases(struct parser *parser, const json_t *json, struct avro_names *out)
{
    const json_t *list = json_object_get(json, "aliases");

    return list ? parse_names(parser, list, "aliases", is_path, out) : TH_OK;
}

/* Name, namespace and aliases of a record, enum or fixed; from here on it can be referred to. */
static enum th_code begin_named(struct parser *parser, const json_t *json, struct th_str space,
                                struct avro_schema *schema)
{
    const json_t *given = json_object_get(json, "namespace");
    struct th_str name = text_of(json_object_get(json, "name"));
    struct avro_names aliases = {0};
    enum avro_kind kind;

    if (given && !json_is_null(given))
        space = text_of(given);
    if (space.n && !is_path(space))
        return th_fail(parser->err, TH_INVALID, "\"namespace\" is not one");
    TH_TRY(full_name(parser, name, space, &schema->name));
    if (primitive_kind(schema->name, &kind))
        return th_fail(parser->err, TH_INVALID, "%.*s is Avro's own name", TH_ARG(schema->name));
    if (find(parser, schema->name))
        return th_fail(parser->err, TH_INVALID, "%.*s is defined twice", TH_ARG(schema->name));
    if (parser->named_n == AVRO_NAMES_MAX)
        return th_fail(parser->err, TH_FULL, "more than %d named types", AVRO_NAMES_MAX);
    parser->named[parser->named_n++] = schema;
    TH_TRY(parse_aliases(parser, json, &aliases));
    for (size_t i = 0; i < aliases.n; i++)
        TH_TRY(full_name(parser, aliases.at[i], space_of(schema->name), &aliases.at[i]));
    schema->aliases = aliases;
    return TH_OK;
}

/* --- types ------------------------------------------------------------------------------------ */

static enum th_code parse_type(struct parser *parser, const json_t *json, struct th_str space,
                               const struct avro_schema **out);

static struct avro_schema *new_schema(struct parser *parser, enum avro_kind kind)
{
    struct avro_schema *schema = th_arena_alloc(parser->arena, sizeof *schema);

    if (schema)
        schema->kind = kind;
    return schema;
}

/* The text of a default, its members in order, so that the same value is the same text. Into the
 * arena: what jansson allocates is not for free(). */
static enum th_code print_default(struct parser *parser, const json_t *value, struct th_str *out)
{
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY;
    size_t n = json_dumpb(value, NULL, 0, flags);
    char *text = n ? th_arena_alloc(parser->arena, n) : NULL;

    if (!text || json_dumpb(value, text, n, flags) != n)
        return no_memory(parser);
    *out = (struct th_str){text, n};
    return TH_OK;
}

static enum th_code parse_field(struct parser *parser, const json_t *json,
                                struct avro_schema *record, struct avro_field *field)
{
    struct th_str name = text_of(json_object_get(json, "name"));
    const json_t *type = json_object_get(json, "type");
    const json_t *value = json_object_get(json, "default");

    if (!is_name(name))
        return th_fail(parser->err, TH_INVALID, "a field needs a \"name\" that is one");
    TH_TRY(th_arena_copy(parser->arena, name, &field->name));
    if (!type)
        return th_fail(parser->err, TH_INVALID, "no \"type\"");
    TH_TRY(parse_aliases(parser, json, &field->aliases));
    TH_TRY(parse_type(parser, type, space_of(record->name), &field->type));
    if (!value)
        return TH_OK;
    struct awaited *awaited = th_arena_alloc(parser->arena, sizeof *awaited);
    if (!awaited)
        return no_memory(parser);
    *awaited = (struct awaited){record, field, value, parser->defaults};
    parser->defaults = awaited;
    return print_default(parser, value, &field->default_json);
}

static bool has_field(const struct avro_schema *record, struct th_str name)
{
    for (size_t i = 0; i < record->fields_n; i++)
        if (th_str_eq(record->fields[i].name, name))
            return true;
    return false;
}

static enum th_code parse_record(struct parser *parser, const json_t *json, struct th_str space,
                                 struct avro_schema *record)
{
    const json_t *list = json_object_get(json, "fields");
    size_t n = json_array_size(list);

    TH_TRY(begin_named(parser, json, space, record));
    if (!json_is_array(list) || n > AVRO_PARTS_MAX)
        return th_fail(parser->err, TH_INVALID, "%.*s: \"fields\" must be a list of at most %d",
                       TH_ARG(record->name), AVRO_PARTS_MAX);
    record->fields = th_arena_array(parser->arena, n, sizeof *record->fields);
    if (n && !record->fields)
        return no_memory(parser);
    for (size_t i = 0; i < n; i++) {
        const json_t *field = json_array_get(list, i);
        struct th_str name = text_of(json_object_get(field, "name"));
        if (has_field(record, name))
            return th_fail(parser->err, TH_INVALID, "%.*s has the field %.*s twice",
                           TH_ARG(record->name), TH_ARG(name));
        if (parse_field(parser, field, record, &record->fields[i]) != TH_OK)
            return th_wrap(parser->err, "%.*s.%.*s", TH_ARG(record->name), TH_ARG(name));
        record->fields_n++;
    }
    return TH_OK;
}

static enum th_code parse_enum(struct parser *parser, const json_t *json, struct th_str space,
                               struct avro_schema *schema)
{
    const json_t *value = json_object_get(json, "default");

    TH_TRY(begin_named(parser, json, space, schema));
    if (parse_names(parser, json_object_get(json, "symbols"), "symbols", is_name,
                    &schema->symbols) != TH_OK)
        return th_wrap(parser->err, "%.*s", TH_ARG(schema->name));
    if (!value)
        return TH_OK;
    if (!holds(&schema->symbols, text_of(value)))
        return th_fail(parser->err, TH_INVALID, "%.*s: the default is none of its symbols",
                       TH_ARG(schema->name));
    return th_arena_copy(parser->arena, text_of(value), &schema->default_symbol);
}

static enum th_code parse_fixed(struct parser *parser, const json_t *json, struct th_str space,
                                struct avro_schema *schema)
{
    const json_t *size = json_object_get(json, "size");

    TH_TRY(begin_named(parser, json, space, schema));
    schema->size = json_integer_value(size);
    if (!json_is_integer(size) || schema->size < 0 || schema->size > INT32_MAX)
        return th_fail(parser->err, TH_INVALID, "%.*s: \"size\" must be a number of bytes",
                       TH_ARG(schema->name));
    return TH_OK;
}

static enum th_code parse_item(struct parser *parser, const json_t *json, const char *attribute,
                               struct th_str space, struct avro_schema *schema)
{
    const json_t *item = json_object_get(json, attribute);

    if (!item)
        return th_fail(parser->err, TH_INVALID, "an %s without \"%s\"",
                       schema->kind == AVRO_KIND_MAP ? "object \"map\"" : "array", attribute);
    return parse_type(parser, item, space, &schema->item);
}

/* Of each unnamed kind one, of each name one, and no union within a union. */
static enum th_code check_branch(struct parser *parser, const struct avro_schema *schema,
                                 const struct avro_schema *branch)
{
    if (branch->kind == AVRO_KIND_UNION)
        return th_fail(parser->err, TH_INVALID, "a union within a union");
    for (size_t i = 0; i < schema->branches_n; i++)
        if (schema->branches[i]->kind == branch->kind &&
            th_str_eq(schema->branches[i]->name, branch->name))
            return th_fail(parser->err, TH_INVALID, "a union with %s %.*s twice",
                           avro_kind_name(branch->kind), TH_ARG(branch->name));
    return TH_OK;
}

static enum th_code parse_union(struct parser *parser, const json_t *list, struct th_str space,
                                const struct avro_schema **out)
{
    struct avro_schema *schema = new_schema(parser, AVRO_KIND_UNION);
    size_t n = json_array_size(list);

    if (!schema)
        return no_memory(parser);
    /* More are twice there; so the list needs no more room. */
    if (n > AVRO_NAMES_MAX + AVRO_KINDS)
        return th_fail(parser->err, TH_INVALID, "a union of %zu", n);
    schema->branches = th_arena_array(parser->arena, n, sizeof(struct avro_schema *));
    if (n && !schema->branches)
        return no_memory(parser);
    for (size_t i = 0; i < n; i++) {
        const struct avro_schema *branch = NULL;
        TH_TRY(parse_type(parser, json_array_get(list, i), space, &branch));
        TH_TRY(check_branch(parser, schema, branch));
        schema->branches[schema->branches_n++] = branch;
    }
    *out = schema;
    return TH_OK;
}

static const struct avro_schema *primitive(enum avro_kind kind)
{
    static const struct avro_schema all[AVRO_PRIMITIVES] = {
        {.kind = AVRO_KIND_NULL},  {.kind = AVRO_KIND_BOOLEAN}, {.kind = AVRO_KIND_INT},
        {.kind = AVRO_KIND_LONG},  {.kind = AVRO_KIND_FLOAT},   {.kind = AVRO_KIND_DOUBLE},
        {.kind = AVRO_KIND_BYTES}, {.kind = AVRO_KIND_STRING},
    };

    return &all[kind];
}

static enum th_code parse_reference(struct parser *parser, struct th_str text, struct th_str space,
                                    const struct avro_schema **out)
{
    struct th_str name;
    enum avro_kind kind;

    if (primitive_kind(text, &kind)) {
        *out = primitive(kind);
        return TH_OK;
    }
    TH_TRY(full_name(parser, text, space, &name));
    *out = find(parser, name);
    if (!*out)
        return th_fail(parser->err, TH_INVALID, "unknown type %.*s", TH_ARG(name));
    return TH_OK;
}

static bool is_logical_name(struct th_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!is_letter(text.p[i]) && text.p[i] != '-' && !(text.p[i] >= '0' && text.p[i] <= '9'))
            return false;
    return text.n > 0;
}

/* One that does not fit is none: so asks the specification. */
static enum th_code parse_logical(struct parser *parser, const json_t *json,
                                  struct avro_schema *schema)
{
    struct th_str logical = text_of(json_object_get(json, "logicalType"));
    int64_t precision = json_integer_value(json_object_get(json, "precision"));
    int64_t scale = json_integer_value(json_object_get(json, "scale"));

    if (!is_logical_name(logical))
        return TH_OK;
    if (th_str_eq(logical, TH_STR("decimal"))) {
        if ((schema->kind != AVRO_KIND_BYTES && schema->kind != AVRO_KIND_FIXED) ||
            precision <= 0 || scale < 0 || scale > precision)
            return TH_OK;
        schema->precision = precision;
        schema->scale = scale;
    }
    return th_arena_copy(parser->arena, logical, &schema->logical);
}

/* {"type": …} of what is no reference. */
static enum th_code parse_kind(struct parser *parser, const json_t *json, enum avro_kind kind,
                               struct th_str space, struct avro_schema *schema)
{
    switch (kind) {
    case AVRO_KIND_RECORD:
        return parse_record(parser, json, space, schema);
    case AVRO_KIND_ENUM:
        return parse_enum(parser, json, space, schema);
    case AVRO_KIND_FIXED:
        return parse_fixed(parser, json, space, schema);
    case AVRO_KIND_ARRAY:
        return parse_item(parser, json, "items", space, schema);
    case AVRO_KIND_MAP:
        return parse_item(parser, json, "values", space, schema);
    case AVRO_KIND_NULL:
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
        return TH_OK;
    case AVRO_KIND_UNION: /* a list, never a name */
        break;
    }
    return th_fail(parser->err, TH_INVALID, "\"%s\" is no type", avro_kind_name(kind));
}

static enum th_code parse_object(struct parser *parser, const json_t *json, struct th_str space,
                                 const struct avro_schema **out)
{
    struct th_str type = text_of(json_object_get(json, "type"));
    size_t kind = 0;

    if (!type.n)
        return th_fail(parser->err, TH_INVALID, "a type without \"type\"");
    while (kind < AVRO_KINDS && !th_str_eq(type, th_str(kind_names[kind])))
        kind++;
    if (kind == AVRO_KINDS)
        return parse_reference(parser, type, space, out);
    struct avro_schema *schema = new_schema(parser, (enum avro_kind)kind);
    if (!schema)
        return no_memory(parser);
    TH_TRY(parse_kind(parser, json, (enum avro_kind)kind, space, schema));
    TH_TRY(parse_logical(parser, json, schema));
    *out = schema;
    return TH_OK;
}

static enum th_code parse_type(struct parser *parser, const json_t *json, struct th_str space,
                               const struct avro_schema **out)
{
    if (json_is_string(json))
        return parse_reference(parser, text_of(json), space, out);
    if (json_is_array(json))
        return parse_union(parser, json, space, out);
    if (json_is_object(json))
        return parse_object(parser, json, space, out);
    return th_fail(parser->err, TH_INVALID, "a type must be a string, an object or a list");
}

/* --- defaults --------------------------------------------------------------------------------- */

/* Bytes are written as characters, U+0000 to U+00FF. */
static bool is_byte_text(const json_t *value, int64_t *out_n)
{
    struct th_str text = text_of(value);

    *out_n = 0;
    if (!json_is_string(value))
        return false;
    for (; text.n; ++*out_n)
        if (th_str_take_char(&text) > 0xFF)
            return false;
    return true;
}

static bool fits(const struct avro_schema *schema, const json_t *value);

/* A field that is left out has a default of its own, which is looked at for itself. */
static bool fits_record(const struct avro_schema *schema, const json_t *value)
{
    for (size_t i = 0; json_is_object(value) && i < schema->fields_n; i++) {
        const struct avro_field *field = &schema->fields[i];
        const json_t *part = json_object_getn(value, field->name.p, field->name.n);
        if (part ? !fits(field->type, part) : !field->default_json.p)
            return false;
    }
    return json_is_object(value);
}

static bool fits_items(const struct avro_schema *schema, const json_t *value)
{
    json_t *object = json_is_object(value) ? (json_t *)(uintptr_t)value : NULL;

    for (size_t i = 0; i < json_array_size(value); i++)
        if (!fits(schema->item, json_array_get(value, i)))
            return false;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        if (!fits(schema->item, json_object_iter_value(at)))
            return false;
    return true;
}

/* As deep as the value is, so bounded. */
static bool fits(const struct avro_schema *schema, const json_t *value)
{
    int64_t n;

    switch (schema->kind) {
    case AVRO_KIND_NULL:
        return json_is_null(value);
    case AVRO_KIND_BOOLEAN:
        return json_is_boolean(value);
    case AVRO_KIND_INT:
        return json_is_integer(value) && json_integer_value(value) >= INT32_MIN &&
               json_integer_value(value) <= INT32_MAX;
    case AVRO_KIND_LONG:
        return json_is_integer(value);
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
        return json_is_number(value);
    case AVRO_KIND_BYTES:
        return is_byte_text(value, &n);
    case AVRO_KIND_FIXED:
        return is_byte_text(value, &n) && n == schema->size;
    case AVRO_KIND_STRING:
        return json_is_string(value);
    case AVRO_KIND_ENUM:
        return json_is_string(value) && holds(&schema->symbols, text_of(value));
    case AVRO_KIND_ARRAY:
        return json_is_array(value) && fits_items(schema, value);
    case AVRO_KIND_MAP:
        return json_is_object(value) && fits_items(schema, value);
    case AVRO_KIND_RECORD:
        return fits_record(schema, value);
    case AVRO_KIND_UNION: /* a default is of the first branch */
        return schema->branches_n && fits(schema->branches[0], value);
    }
    return false;
}

static enum th_code check_defaults(const struct parser *parser)
{
    for (const struct awaited *at = parser->defaults; at; at = at->next)
        if (!fits(at->field->type, at->value))
            return th_fail(parser->err, TH_INVALID,
                           "%.*s.%.*s: the default is no value of its type",
                           TH_ARG(at->record->name), TH_ARG(at->field->name));
    return TH_OK;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

/* A schema may be a JSON string, and th_json_parse reads objects and arrays: so it is read as the
 * only item of an array. */
static enum th_code read_json(struct th_str text, struct th_arena *arena, json_t **out,
                              struct th_err *err)
{
    if (text.n > AVRO_SCHEMA_SIZE_MAX)
        return th_fail(err, TH_FULL, "a schema of more than %zu bytes", AVRO_SCHEMA_SIZE_MAX);
    if (memchr(text.n ? text.p : "", 0, text.n))
        return th_fail(err, TH_MALFORMED, "not JSON");
    struct th_str list = th_arena_printf(arena, "[%.*s]", TH_ARG(text));
    if (!list.p)
        return th_fail(err, TH_NOMEM, "schema");
    return th_json_parse(list, AVRO_SCHEMA_SIZE_MAX + 2, out, err);
}

enum th_code avro_schema_parse(struct th_str text, struct th_arena *arena,
                               const struct avro_schema **out_schema, struct th_err *err)
{
    struct parser parser = {.arena = arena, .err = err};
    TH_AUTO(th_json) json_t *document = NULL;
    const struct avro_schema *schema = NULL;

    TH_TRY(read_json(text, arena, &document, err));
    if (json_array_size(document) != 1)
        return th_fail(err, TH_INVALID, "one schema is needed");
    TH_TRY(parse_type(&parser, json_array_get(document, 0), TH_STR(""), &schema));
    TH_TRY(check_defaults(&parser));
    *out_schema = schema;
    return TH_OK;
}
