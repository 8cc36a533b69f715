#include "schemas/codegen/parse.h"
#include "schemas/codegen/names.h"

#include <assert.h>
#include <string.h>

/* Everything that is understood, per kind of JSON object; the rest is refused. */
static const char *const record_keys[] = {"type", "name",    "namespace", "doc",
                                          "id",   "version", "fields",    NULL};
static const char *const field_keys[] = {"name", "type", "doc", "default", "since", NULL};
static const char *const enum_keys[] = {"type", "name", "namespace", "doc", "symbols", NULL};
static const char *const fixed_keys[] = {"type",        "name",      "namespace", "doc", "size",
                                         "logicalType", "precision", "scale",     NULL};
static const char *const array_keys[] = {"type", "items", NULL};
static const char *const map_keys[] = {"type", "values", NULL};
static const char *const primitive_keys[] = {"type", "logicalType", "precision", "scale", NULL};

static const char *const primitives[] = {
    [KIND_NULL] = "null",   [KIND_BOOLEAN] = "boolean", [KIND_INT] = "int",
    [KIND_LONG] = "long",   [KIND_FLOAT] = "float",     [KIND_DOUBLE] = "double",
    [KIND_BYTES] = "bytes", [KIND_STRING] = "string",
};

static enum th_code check_keys(const json_t *object, const char *const *known, struct th_err *err)
{
    for (void *it = json_object_iter((json_t *)object); it;
         it = json_object_iter_next((json_t *)object, it)) {
        const char *key = json_object_iter_key(it);
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return th_fail(err, TH_INVALID, "attribute \"%s\" is not known here", key);
    }
    return TH_OK;
}

static enum th_code text_of(const json_t *object, const char *key, const char **out,
                            struct th_err *err)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        return th_fail(err, TH_INVALID, "\"%s\" must be a string", key);
    *out = text;
    return TH_OK;
}

/* An optional whole number within [1, max]. */
static enum th_code number_of(const json_t *object, const char *key, unsigned fallback,
                              unsigned max, unsigned *out, struct th_err *err)
{
    const json_t *value = json_object_get(object, key);

    *out = fallback;
    if (!value)
        return TH_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 1 || json_integer_value(value) > max)
        return th_fail(err, TH_INVALID, "\"%s\" must be a whole number from 1 to %u", key, max);
    *out = (unsigned)json_integer_value(value);
    return TH_OK;
}

static const char *doc_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "doc"));
}

static enum th_code parse_type(struct model *model, const json_t *json, struct type **out,
                               struct th_err *err);

/* A type that something has, as a field, an item or a branch. */
static enum th_code parse_use(struct model *model, const json_t *json, struct type **out,
                              struct th_err *err)
{
    *out = NULL;
    TH_TRY(parse_type(model, json, out, err));
    assert(*out);
    if (type_is_event(*out))
        return th_fail(err, TH_INVALID, "%s has an id, so it is an event and cannot be a part",
                       (*out)->name);
    (*out)->is_used = true;
    return TH_OK;
}

static struct type *intern(struct model *model, struct type *type)
{
    struct type *known = model_find(model, type->key);

    if (known)
        return known;
    if (!type->name)
        type->name = type->key;
    if (type->version == 0)
        type->version = 1;
    name_type(model, type);
    return model_add(model, type);
}

static enum th_code parse_name(struct model *model, const json_t *json, struct type **out,
                               struct th_err *err)
{
    const char *name = json_string_value(json);

    for (size_t kind = 0; kind < TH_LEN(primitives); kind++)
        if (strcmp(name, primitives[kind]) == 0) {
            *out = intern(model, &(struct type){.kind = (enum kind)kind, .key = name});
            return TH_OK;
        }
    const char *key = strchr(name, '.') ? name : model_printf(model, NAMESPACE ".%s", name);
    *out = model_find(model, key);
    if (!*out)
        return th_fail(err, TH_INVALID, "%s is not defined above (a type cannot contain itself)",
                       key);
    return TH_OK;
}

/* Name and key of a record, enum or fixed, which must be new. */
static enum th_code begin_named(struct model *model, const json_t *json, struct type *type,
                                struct th_err *err)
{
    const json_t *space = json_object_get(json, "namespace");

    TH_TRY(text_of(json, "name", &type->name, err));
    if (!name_is_valid(type->name))
        return th_fail(err, TH_INVALID, "\"%s\" is not a name (a namespace has its own attribute)",
                       type->name);
    if (space && (!json_is_string(space) || strcmp(json_string_value(space), NAMESPACE) != 0))
        return th_fail(err, TH_INVALID, "%s: the namespace must be " NAMESPACE, type->name);
    type->key = model_printf(model, NAMESPACE ".%s", type->name);
    if (model_find(model, type->key))
        return th_fail(err, TH_INVALID, "%s is defined twice", type->name);
    for (size_t kind = 0; kind < TH_LEN(primitives); kind++)
        if (strcmp(name_snake(model, type->name), primitives[kind]) == 0)
            return th_fail(err, TH_INVALID, "%s: the name is Avro's own", type->name);
    type->json = json;
    type->doc = doc_of(json);
    return TH_OK;
}

static enum th_code parse_field(struct model *model, const json_t *json, struct field *field,
                                struct th_err *err)
{
    TH_TRY(check_keys(json, field_keys, err));
    TH_TRY(text_of(json, "name", &field->name, err));
    if (!name_is_valid(field->name))
        return th_fail(err, TH_INVALID, "\"%s\" is not a name", field->name);
    field->type_json = json_object_get(json, "type");
    if (!field->type_json)
        return th_fail(err, TH_INVALID, "no \"type\"");
    TH_TRY(parse_use(model, field->type_json, &field->type, err));
    TH_TRY(number_of(json, "since", 1, VERSION_MAX, &field->since, err));
    field->default_value = json_object_get(json, "default");
    field->doc = doc_of(json);
    field->c_name = name_member(model, field->name);
    return TH_OK;
}

static enum th_code parse_fields(struct model *model, const json_t *list, struct type *type,
                                 struct th_err *err)
{
    if (!json_is_array(list))
        return th_fail(err, TH_INVALID, "%s: \"fields\" must be a list", type->name);
    type->fields_n = json_array_size(list);
    type->fields = model_alloc(model, type->fields_n, sizeof *type->fields);
    for (size_t i = 0; i < type->fields_n; i++) {
        const json_t *json = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(json, "name"));
        if (parse_field(model, json, &type->fields[i], err) != TH_OK)
            return th_wrap(err, "%s.%s", type->name, name ? name : "?");
        for (size_t k = 0; k < i; k++)
            if (strcmp(type->fields[k].c_name, type->fields[i].c_name) == 0)
                return th_fail(err, TH_INVALID, "%s.%s stands there twice", type->name, name);
    }
    return TH_OK;
}

static enum th_code parse_record(struct model *model, const json_t *json, struct type **out,
                                 struct th_err *err)
{
    struct type type = {.kind = KIND_RECORD};

    TH_TRY(begin_named(model, json, &type, err));
    if (check_keys(json, record_keys, err) != TH_OK ||
        number_of(json, "id", 0, RECORD_ID_MAX, &type.id, err) != TH_OK ||
        number_of(json, "version", 1, VERSION_MAX, &type.version, err) != TH_OK)
        return th_wrap(err, "%s", type.name);
    TH_TRY(parse_fields(model, json_object_get(json, "fields"), &type, err));
    /* A definition inside of its own fields may have taken the name meanwhile. */
    if (model_find(model, type.key))
        return th_fail(err, TH_INVALID, "%s is defined twice", type.name);
    *out = intern(model, &type);
    return TH_OK;
}

static enum th_code parse_enum(struct model *model, const json_t *json, struct type **out,
                               struct th_err *err)
{
    struct type type = {.kind = KIND_ENUM};
    const json_t *list = json_object_get(json, "symbols");

    TH_TRY(begin_named(model, json, &type, err));
    if (check_keys(json, enum_keys, err) != TH_OK)
        return th_wrap(err, "%s", type.name);
    type.symbols_n = json_array_size(list);
    if (type.symbols_n == 0)
        return th_fail(err, TH_INVALID, "%s: \"symbols\" must be a list and not empty", type.name);
    type.symbols = model_alloc(model, type.symbols_n, sizeof *type.symbols);
    for (size_t i = 0; i < type.symbols_n; i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (!name || !name_is_valid(name))
            return th_fail(err, TH_INVALID, "%s: symbol %zu is not a name", type.name, i);
        type.symbols[i].name = name;
    }
    *out = intern(model, &type);
    return TH_OK;
}

static enum th_code parse_fixed(struct model *model, const json_t *json, struct type **out,
                                struct th_err *err)
{
    struct type type = {.kind = KIND_FIXED};
    unsigned size = 0;

    TH_TRY(begin_named(model, json, &type, err));
    if (check_keys(json, fixed_keys, err) != TH_OK ||
        number_of(json, "size", 0, 1U << 20, &size, err) != TH_OK)
        return th_wrap(err, "%s", type.name);
    if (size == 0)
        return th_fail(err, TH_INVALID, "%s: no \"size\"", type.name);
    type.size = size;
    *out = intern(model, &type);
    return TH_OK;
}

static enum th_code parse_list(struct model *model, const json_t *json, enum kind kind,
                               struct type **out, struct th_err *err)
{
    bool is_array = kind == KIND_ARRAY;
    const char *key = is_array ? "items" : "values";
    const json_t *item = json_object_get(json, key);
    struct type type = {.kind = kind};

    TH_TRY(check_keys(json, is_array ? array_keys : map_keys, err));
    if (!item)
        return th_fail(err, TH_INVALID, "no \"%s\"", key);
    TH_TRY(parse_use(model, item, &type.item, err));
    type.key = model_printf(model, "%s<%s>", is_array ? "array" : "map", type.item->key);
    *out = intern(model, &type);
    return TH_OK;
}

/* Avro allows of each unnamed kind one, of each name one, and no union within a union. */
static enum th_code check_branch(const struct type *type, size_t i, struct th_err *err)
{
    const struct type *branch = type->branches[i].type;

    if (branch->kind == KIND_UNION || branch->kind == KIND_OPTIONAL)
        return th_fail(err, TH_INVALID, "a union directly within a union");
    for (size_t k = 0; k < i; k++) {
        const struct type *other = type->branches[k].type;
        bool is_list = branch->kind == KIND_ARRAY || branch->kind == KIND_MAP;
        if (other == branch || (is_list && other->kind == branch->kind))
            return th_fail(err, TH_INVALID, "two branches of a union are alike: %s", branch->name);
    }
    return TH_OK;
}

/* The union of the branches from first on; of a single one, that one if it may stand alone. */
static struct type *intern_union(struct model *model, const struct type *whole, size_t first)
{
    size_t n = whole->branches_n - first;
    struct type type = {.kind = KIND_UNION, .key = "union<", .branches_n = n};

    type.branches = model_alloc(model, n, sizeof *type.branches);
    for (size_t i = 0; i < n; i++) {
        type.branches[i].type = whole->branches[first + i].type;
        type.key =
            model_printf(model, "%s%s%s", type.key, i ? "," : "", type.branches[i].type->key);
    }
    type.key = model_printf(model, "%s>", type.key);
    return intern(model, &type);
}

static enum th_code parse_union(struct model *model, const json_t *list, struct type **out,
                                struct th_err *err)
{
    struct type whole = {.branches_n = json_array_size(list)};

    if (whole.branches_n == 0)
        return th_fail(err, TH_INVALID, "a union of nothing");
    whole.branches = model_alloc(model, whole.branches_n, sizeof *whole.branches);
    for (size_t i = 0; i < whole.branches_n; i++) {
        TH_TRY(parse_use(model, json_array_get(list, i), &whole.branches[i].type, err));
        TH_TRY(check_branch(&whole, i, err));
    }
    if (whole.branches[0].type->kind != KIND_NULL || whole.branches_n == 1) {
        *out = intern_union(model, &whole, 0);
        return TH_OK;
    }
    struct type optional = {.kind = KIND_OPTIONAL};
    optional.item = whole.branches_n == 2 ? whole.branches[1].type : intern_union(model, &whole, 1);
    optional.key = model_printf(model, "optional<%s>", optional.item->key);
    *out = intern(model, &optional);
    return TH_OK;
}

static enum th_code parse_object(struct model *model, const json_t *json, struct type **out,
                                 struct th_err *err)
{
    const json_t *type = json_object_get(json, "type");
    const char *name = json_string_value(type);

    if (!type)
        return th_fail(err, TH_INVALID, "no \"type\"");
    if (name && strcmp(name, "record") == 0)
        return parse_record(model, json, out, err);
    if (name && strcmp(name, "enum") == 0)
        return parse_enum(model, json, out, err);
    if (name && strcmp(name, "fixed") == 0)
        return parse_fixed(model, json, out, err);
    if (name && strcmp(name, "array") == 0)
        return parse_list(model, json, KIND_ARRAY, out, err);
    if (name && strcmp(name, "map") == 0)
        return parse_list(model, json, KIND_MAP, out, err);
    TH_TRY(check_keys(json, primitive_keys, err));
    return parse_type(model, type, out, err);
}

/* Recursive, as deep as the JSON, which jansson bounds. */
static enum th_code parse_type(struct model *model, const json_t *json, struct type **out,
                               struct th_err *err)
{
    if (json_is_string(json))
        return parse_name(model, json, out, err);
    if (json_is_array(json))
        return parse_union(model, json, out, err);
    if (json_is_object(json))
        return parse_object(model, json, out, err);
    return th_fail(err, TH_INVALID, "a type must be a name, a list or an object");
}

enum th_code parse_file(struct model *model, const json_t *file, struct th_err *err)
{
    struct type *type = NULL;

    if (!json_is_array(file))
        return th_fail(err, TH_INVALID, "the file must be a list of types");
    for (size_t i = 0; i < json_array_size(file); i++) {
        const json_t *json = json_array_get(file, i);
        if (!json_is_object(json))
            return th_fail(err, TH_INVALID, "entry %zu is not a definition", i);
        TH_TRY(parse_object(model, json, &type, err));
        assert(type);
        if (!type->json)
            return th_fail(err, TH_INVALID, "entry %zu is not a record, enum or fixed", i);
    }
    return TH_OK;
}
