#include "schemas/codegen/names.h"
#include "schemas/codegen/parse.h"

#include <math.h>
#include <string.h>

static enum th_code check_default(const struct type *type, const json_t *value, struct th_err *err);

/* Avro writes a byte as the character of the same number. */
static bool is_byte_text(const json_t *value, size_t *out_n)
{
    const unsigned char *p = (const unsigned char *)json_string_value(value);
    size_t size = json_string_length(value);

    *out_n = 0;
    for (size_t i = 0; i < size; i++) {
        if (p[i] >= 0x80) {
            if (p[i] > 0xc3)
                return false;
            i++;
        }
        ++*out_n;
    }
    return true;
}

static bool is_symbol(const struct type *type, const json_t *value)
{
    const char *text = json_string_value(value);

    for (size_t i = 0; text && i < type->symbols_n; i++)
        if (strcmp(type->symbols[i].name, text) == 0)
            return true;
    return false;
}

static enum th_code check_record_default(const struct type *type, const json_t *value,
                                         struct th_err *err)
{
    size_t met = 0;

    for (size_t i = 0; i < type->fields_n; i++) {
        const struct field *field = &type->fields[i];
        const json_t *part = json_object_get(value, field->name);
        met += part != NULL;
        if (!part)
            part = field->default_value;
        if (!part)
            return th_fail(err, TH_INVALID, "default without %s", field->name);
        if (check_default(field->type, part, err) != TH_OK)
            return th_wrap(err, "%s", field->name);
    }
    if (met != json_object_size(value))
        return th_fail(err, TH_INVALID, "default with more than the fields of %s", type->name);
    return TH_OK;
}

static enum th_code check_items_default(const struct type *type, const json_t *value,
                                        struct th_err *err)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        TH_TRY(check_default(type->item, json_array_get(value, i), err));
    for (void *it = json_object_iter((json_t *)value); it;
         it = json_object_iter_next((json_t *)value, it))
        TH_TRY(check_default(type->item, json_object_iter_value(it), err));
    return TH_OK;
}

static bool is_default_shape(const struct type *type, const json_t *value)
{
    size_t n;

    switch (type->kind) {
    case KIND_NULL:
    case KIND_OPTIONAL: /* a union's default is of its first branch */
        return json_is_null(value);
    case KIND_BOOLEAN:
        return json_is_boolean(value);
    case KIND_INT:
        return json_is_integer(value) && json_integer_value(value) >= INT32_MIN &&
               json_integer_value(value) <= INT32_MAX;
    case KIND_LONG:
        return json_is_integer(value);
    case KIND_FLOAT:
    case KIND_DOUBLE:
        return json_is_number(value);
    case KIND_BYTES:
        return json_is_string(value) && is_byte_text(value, &n);
    case KIND_FIXED:
        return json_is_string(value) && is_byte_text(value, &n) && n == type->size;
    case KIND_STRING:
        return json_is_string(value);
    case KIND_ENUM:
        return is_symbol(type, value);
    case KIND_ARRAY:
        return json_is_array(value);
    case KIND_MAP:
    case KIND_RECORD:
        return json_is_object(value);
    case KIND_UNION:
        return true; /* its branch decides */
    }
    return false;
}

static enum th_code check_default(const struct type *type, const json_t *value, struct th_err *err)
{
    if (!is_default_shape(type, value))
        return th_fail(err, TH_INVALID, "the default is not a value of %s", type->name);
    if (type->kind == KIND_UNION)
        return check_default(type->branches[0].type, value, err);
    if (type->kind == KIND_RECORD)
        return check_record_default(type, value, err);
    if (type->kind == KIND_ARRAY || type->kind == KIND_MAP)
        return check_items_default(type, value, err);
    return TH_OK;
}

static enum th_code check_field(const struct type *type, size_t i, struct th_err *err)
{
    const struct field *field = &type->fields[i];

    if (!type_is_event(type) &&
        json_object_get(json_array_get(json_object_get(type->json, "fields"), i), "since"))
        return th_fail(err, TH_INVALID, "\"since\" in a record without \"id\", which is frozen");
    if (field->since > type->version)
        return th_fail(err, TH_INVALID, "since %u, but the record's version is %u", field->since,
                       type->version);
    if (i > 0 && field->since < type->fields[i - 1].since)
        return th_fail(err, TH_INVALID, "since %u behind a field since %u: fields are appended",
                       field->since, type->fields[i - 1].since);
    if (field->since > 1 && !field->default_value)
        return th_fail(err, TH_INVALID, "since %u, but no default", field->since);
    return field->default_value ? check_default(field->type, field->default_value, err) : TH_OK;
}

static enum th_code check_event(const struct type *type, struct th_err *err)
{
    const struct field *first = type->fields_n ? &type->fields[0] : NULL;

    if (!first || strcmp(first->name, "meta") != 0 ||
        strcmp(first->type->key, NAMESPACE ".Meta") != 0)
        return th_fail(err, TH_INVALID, "%s: the first field must be meta, of record Meta",
                       type->name);
    if (type->fields[type->fields_n - 1].since != type->version)
        return th_fail(err, TH_INVALID, "%s: version %u, but no field is since then", type->name,
                       type->version);
    return TH_OK;
}

static enum th_code check_record(const struct type *type, struct th_err *err)
{
    if (type->id == 0 && json_object_get(type->json, "version"))
        return th_fail(err, TH_INVALID, "%s: \"version\" in a record without \"id\"", type->name);
    for (size_t i = 0; i < type->fields_n; i++)
        if (check_field(type, i, err) != TH_OK)
            return th_wrap(err, "%s.%s", type->name, type->fields[i].name);
    return type_is_event(type) ? check_event(type, err) : TH_OK;
}

static enum th_code check_ids(const struct model *model, struct th_err *err)
{
    EACH_TYPE(model, type)
    EACH_TYPE(model, other)
    if (type != other && type->id > 0 && type->id == other->id)
        return th_fail(err, TH_INVALID, "%s and %s have the same id %u", type->name, other->name,
                       type->id);
    return TH_OK;
}

enum th_code check_model(struct model *model, struct th_err *err)
{
    size_t events = 0;

    EACH_TYPE(model, type)
    {
        if (type->depth > DEPTH_MAX)
            return th_fail(err, TH_INVALID, "%s: types nest %u deep, more than %d", type->name,
                           type->depth, DEPTH_MAX);
        if (type->kind == KIND_RECORD)
            TH_TRY(check_record(type, err));
        events += type_is_event(type);
    }
    if (events == 0)
        return th_fail(err, TH_INVALID, "no record has an id: there is no event");
    TH_TRY(check_ids(model, err));
    return names_claim(model, err);
}
