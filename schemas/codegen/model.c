#include "schemas/codegen/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TYPES_MAX 4096

#define VARINT32_MAX 5  /* bytes */
#define VARINT64_MAX 10 /* bytes */

static void *or_exit(void *p)
{
    if (!p) {
        (void)fputs("codegen: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

void *model_alloc(struct model *model, size_t n, size_t size)
{
    return or_exit(th_arena_array(model->arena, n ? n : 1, size));
}

const char *model_printf(struct model *model, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = model_alloc(model, (size_t)n + 1, 1);
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

struct type *model_find(const struct model *model, const char *key)
{
    EACH_TYPE(model, type)
    if (strcmp(type->key, key) == 0)
        return type;
    return NULL;
}

bool type_is_event(const struct type *type)
{
    return type->kind == KIND_RECORD && type->id > 0;
}

bool type_is_id(const struct type *type)
{
    return type->kind == KIND_FIXED && type->size == 16 && strcmp(type->name, "Uuid") == 0;
}

static const struct {
    size_t wire_min;
    size_t wire_fixed;
    bool has_views;
    bool is_checked;
} facts[KINDS] = {
    [KIND_NULL] = {0, 0, false, false},
    [KIND_BOOLEAN] = {1, 1, false, false},
    [KIND_INT] = {1, VARINT32_MAX, false, false},
    [KIND_LONG] = {1, VARINT64_MAX, false, false},
    [KIND_FLOAT] = {4, 4, false, false},
    [KIND_DOUBLE] = {8, 8, false, false},
    [KIND_BYTES] = {1, VARINT64_MAX, true, true},
    [KIND_STRING] = {1, VARINT64_MAX, true, true},
    [KIND_ENUM] = {1, VARINT32_MAX, false, true},
    [KIND_ARRAY] = {1, VARINT64_MAX + 1, true, true},
    [KIND_MAP] = {1, VARINT64_MAX + 1, true, true},
    [KIND_UNION] = {1, VARINT32_MAX, false, true},
    [KIND_OPTIONAL] = {1, VARINT32_MAX, false, false},
};

static void deepen(struct type *type, const struct type *part)
{
    if (type->depth < part->depth + 1)
        type->depth = part->depth + 1;
}

static void learn_from_fields(struct type *type)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        const struct type *part = type->fields[i].type;
        type->wire_min += part->wire_min;
        type->wire_fixed += part->wire_fixed;
        type->has_views |= part->has_views;
        type->is_checked |= part->is_checked;
        deepen(type, part);
    }
}

static void learn_from_branches(struct type *type)
{
    size_t longest = 0;

    for (size_t i = 0; i < type->branches_n; i++) {
        const struct type *part = type->branches[i].type;
        if (longest < part->wire_fixed)
            longest = part->wire_fixed;
        type->has_views |= part->has_views;
        type->is_checked |= part->is_checked;
        deepen(type, part);
    }
    type->wire_fixed += longest;
}

static void learn(struct type *type)
{
    type->wire_min = facts[type->kind].wire_min;
    type->wire_fixed = facts[type->kind].wire_fixed;
    type->has_views = facts[type->kind].has_views;
    type->is_checked = facts[type->kind].is_checked;
    type->depth = 1;

    if (type->kind == KIND_FIXED)
        type->wire_min = type->wire_fixed = type->size;
    if (type->item)
        deepen(type, type->item);
    if (type->item && type->kind == KIND_OPTIONAL) {
        type->wire_fixed += type->item->wire_fixed;
        type->has_views = type->item->has_views;
        type->is_checked = type->item->is_checked;
    }
    learn_from_fields(type);
    learn_from_branches(type);
}

struct type *model_add(struct model *model, const struct type *type)
{
    if (!model->types)
        model->types = model_alloc(model, TYPES_MAX, sizeof(struct type *));
    if (model->types_n == TYPES_MAX) {
        (void)fprintf(stderr, "codegen: more than %d types\n", TYPES_MAX);
        exit(1);
    }
    struct type *kept = model_alloc(model, 1, sizeof *kept);
    *kept = *type;
    learn(kept);
    model->types[model->types_n++] = kept;
    return kept;
}
