#include "schemas/codegen/names.h"

#include <ctype.h>
#include <string.h>

#define CLAIMS_MAX 65536

struct claim {
    const char *name;
    const char *owner;
};

static const char *const keywords[] = {
    "auto",  "bool",     "break",  "case",   "char",     "const",  "continue", "default",
    "do",    "double",   "else",   "enum",   "extern",   "false",  "float",    "for",
    "goto",  "if",       "inline", "int",    "long",     "return", "register", "restrict",
    "short", "signed",   "sizeof", "static", "struct",   "switch", "true",     "typedef",
    "union", "unsigned", "void",   "while",  "volatile", "linux",  "unix",
};

bool name_is_valid(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_')
            return false;
    return true;
}

/* Does a word begin at p[i]? In "HTTPStatus2x": at H and S. */
static bool begins_word(const char *p, size_t i)
{
    if (i == 0 || !isupper((unsigned char)p[i]) || p[i - 1] == '_')
        return false;
    return !isupper((unsigned char)p[i - 1]) || islower((unsigned char)p[i + 1]);
}

const char *name_snake(struct model *model, const char *name)
{
    char *out = model_alloc(model, 2 * strlen(name) + 1, 1);
    size_t n = 0;

    for (size_t i = 0; name[i]; i++) {
        if (begins_word(name, i))
            out[n++] = '_';
        out[n++] = (char)tolower((unsigned char)name[i]);
    }
    return out;
}

const char *name_upper(struct model *model, const char *name)
{
    char *out = model_alloc(model, strlen(name) + 1, 1);

    for (size_t i = 0; name[i]; i++)
        out[i] = (char)toupper((unsigned char)name[i]);
    return out;
}

const char *name_member(struct model *model, const char *name)
{
    for (size_t i = 0; i < TH_LEN(keywords); i++)
        if (strcmp(name, keywords[i]) == 0)
            return model_printf(model, "%s_", name);
    return name;
}

static const char *union_base(struct model *model, const struct type *type)
{
    const char *base = type->branches[0].type->base;

    if (type->branches_n == 1)
        return model_printf(model, "only_%s", base);
    for (size_t i = 1; i < type->branches_n; i++)
        base = model_printf(model, "%s_or_%s", base, type->branches[i].type->base);
    return base;
}

static const char *type_base(struct model *model, const struct type *type)
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
        return type->name;
    case KIND_RECORD:
    case KIND_ENUM:
    case KIND_FIXED:
        return name_member(model, name_snake(model, type->name));
    case KIND_ARRAY:
        return model_printf(model, "%s_array", type->item->base);
    case KIND_MAP:
        return model_printf(model, "%s_map", type->item->base);
    case KIND_UNION:
        return union_base(model, type);
    case KIND_OPTIONAL:
        return model_printf(model, "optional_%s", type->item->base);
    }
    return NULL;
}

static const char *const builtin_types[KINDS] = {
    [KIND_NULL] = "struct avro_null", [KIND_BOOLEAN] = "bool",         [KIND_INT] = "int32_t",
    [KIND_LONG] = "int64_t",          [KIND_FLOAT] = "float",          [KIND_DOUBLE] = "double",
    [KIND_BYTES] = "struct th_str",   [KIND_STRING] = "struct th_str",
};

static void name_tags(struct model *model, struct type *type)
{
    for (size_t i = 0; i < type->branches_n; i++) {
        const char *base = type->branches[i].type->base;
        type->branches[i].c_name = name_member(model, base);
        type->branches[i].tag = model_printf(model, "%s_%s", type->upper, name_upper(model, base));
    }
}

void name_type(struct model *model, struct type *type)
{
    type->base = type_base(model, type);
    type->c_name = model_printf(model, "%s%s", model->prefix, type->base);
    type->upper = name_upper(model, type->c_name);
    if (builtin_types[type->kind])
        type->c_type = builtin_types[type->kind];
    else if (type_is_id(type))
        type->c_type = "struct th_id";
    else
        type->c_type =
            model_printf(model, "%s %s", type->kind == KIND_ENUM ? "enum" : "struct", type->c_name);

    for (size_t i = 0; i < type->symbols_n; i++)
        type->symbols[i].c_name =
            model_printf(model, "%s_%s", type->upper, name_upper(model, type->symbols[i].name));
    name_tags(model, type);
    if (type_is_event(type))
        type->event =
            model_printf(model, "%sEVENT_%s", model->prefix_upper, name_upper(model, type->base));
}

static enum th_code claim(struct model *model, const char *name, const char *owner,
                          struct th_err *err)
{
    if (!model->claims)
        model->claims = model_alloc(model, CLAIMS_MAX, sizeof *model->claims);
    for (size_t i = 0; i < model->claims_n; i++)
        if (strcmp(model->claims[i].name, name) == 0)
            return th_fail(err, TH_CONFLICT, "the C name %s would stand for %s and for %s", name,
                           model->claims[i].owner, owner);
    if (model->claims_n == CLAIMS_MAX)
        return th_fail(err, TH_FULL, "more than %d C names", CLAIMS_MAX);
    model->claims[model->claims_n++] = (struct claim){name, owner};
    return TH_OK;
}

static enum th_code claim_reserved(struct model *model, struct th_err *err)
{
    static const char *const reserved[] = {
        "struct event",  "enum event_type",  "struct schema",  "event_encode",    "event_decode",
        "event_type_of", "event_meta",       "event_meta_mut", "event_type_name", "event_copy",
        "event_to_json", "event_type_parse", "schema_count",   "schema_at",       "schema_json",
    };

    for (size_t i = 0; i < TH_LEN(reserved); i++) {
        const char *space = strchr(reserved[i], ' ');
        size_t tag = space ? (size_t)(space - reserved[i]) + 1 : 0;
        TH_TRY(claim(model,
                     model_printf(model, "%.*s%s%s", (int)tag, reserved[i], model->prefix,
                                  reserved[i] + tag),
                     "codegen itself", err));
    }
    return claim(model, model_printf(model, "%sEVENT_TYPES", model->prefix_upper), "codegen itself",
                 err);
}

static enum th_code claim_enum(struct model *model, const struct type *type, struct th_err *err)
{
    for (size_t i = 0; i < type->symbols_n; i++)
        TH_TRY(claim(model, type->symbols[i].c_name,
                     model_printf(model, "symbol %s of %s", type->symbols[i].name, type->name),
                     err));
    TH_TRY(claim(model, model_printf(model, "%s_COUNT", type->upper), type->name, err));
    TH_TRY(claim(model, model_printf(model, "%s_name", type->c_name), type->name, err));
    return claim(model, model_printf(model, "%s_parse", type->c_name), type->name, err);
}

static enum th_code claim_record(struct model *model, const struct type *type, struct th_err *err)
{
    if (type_is_event(type))
        TH_TRY(claim(model, type->event, type->name, err));
    TH_TRY(claim(model, model_printf(model, "%s_encode_body", type->c_name), type->name, err));
    return claim(model, model_printf(model, "%s_decode_body", type->c_name), type->name, err);
}

enum th_code names_claim(struct model *model, struct th_err *err)
{
    TH_TRY(claim_reserved(model, err));
    EACH_TYPE(model, type)
    {
        if (builtin_types[type->kind])
            continue;
        TH_TRY(claim(model, type->c_type, type->name, err));
        /* What functions are named after: read_money, write_money … */
        TH_TRY(claim(model, type->c_name, type->name, err));
        if (type->kind == KIND_MAP)
            TH_TRY(claim(model, model_printf(model, "%s_entry", type->c_type), type->name, err));
        if (type->kind == KIND_ENUM)
            TH_TRY(claim_enum(model, type, err));
        if (type->kind == KIND_RECORD)
            TH_TRY(claim_record(model, type, err));
        for (size_t i = 0; i < type->branches_n; i++)
            TH_TRY(claim(model, type->branches[i].tag, type->name, err));
    }
    return TH_OK;
}
