#include "schemas/codegen/emit.h"

/* A copy is first a plain assignment; own_x then moves what it points to into the arena. Types
 * that point to nothing need no own_x. */

static void put_own(const struct type *type, const char *indent, const char *place,
                    struct th_buf *out)
{
    if (!type->has_views)
        return;
    if (type->kind == KIND_STRING || type->kind == KIND_BYTES)
        PUT("%sTH_TRY(avro_own(arena, &%s));\n", indent, place);
    else
        PUT("%sTH_TRY(own_%s(arena, &%s));\n", indent, type->c_name, place);
}

static void put_record(const struct type *type, struct th_buf *out)
{
    for (size_t i = 0; i < type->fields_n; i++) {
        char place[256];
        (void)snprintf(place, sizeof place, "x->%s", type->fields[i].c_name);
        put_own(type->fields[i].type, "    ", place, out);
    }
}

static void put_list(const struct type *type, struct th_buf *out)
{
    bool is_map = type->kind == KIND_MAP;

    PUT("    %s%s *at = avro_own_items(arena, x->at, x->n, sizeof *at);\n\n"
        "    if (x->n && !at)\n"
        "        return TH_NOMEM;\n",
        is_map ? type->c_type : type->item->c_type, is_map ? "_entry" : "");
    if (is_map || type->item->has_views) {
        PUT("    for (size_t i = 0; i < x->n; i++) {\n");
        if (is_map)
            PUT("        TH_TRY(avro_own(arena, &at[i].key));\n");
        put_own(type->item, "        ", is_map ? "at[i].value" : "at[i]", out);
        PUT("    }\n");
    }
    PUT("    x->at = at;\n");
}

static void put_union(const struct type *type, struct th_buf *out)
{
    PUT("    switch (x->is) {\n");
    for (size_t i = 0; i < type->branches_n; i++) {
        char place[256];
        (void)snprintf(place, sizeof place, "x->as.%s", type->branches[i].c_name);
        PUT("    case %s:\n", type->branches[i].tag);
        put_own(type->branches[i].type, "        ", place, out);
        PUT("        break;\n");
    }
    PUT("    }\n");
}

static void put_type(const struct type *type, struct th_buf *out)
{
    bool is_part = type->is_used || type_is_event(type) || type->kind == KIND_UNION;

    if (!type->has_views || !is_part || type->kind == KIND_STRING || type->kind == KIND_BYTES)
        return;
    PUT("static enum th_code own_%s(struct th_arena *arena, %s *x)\n{\n", type->c_name,
        type->c_type);
    if (type->kind == KIND_RECORD)
        put_record(type, out);
    if (type->kind == KIND_ARRAY || type->kind == KIND_MAP)
        put_list(type, out);
    if (type->kind == KIND_UNION)
        put_union(type, out);
    if (type->kind == KIND_OPTIONAL) {
        PUT("    if (x->is_set)\n");
        put_own(type->item, "        ", "x->value", out);
    }
    PUT("    return TH_OK;\n}\n\n");
}

void emit_copy(const struct model *model, const char *header, struct th_buf *out)
{
    emit_prologue(header, "copies that share nothing with their original", out);
    EACH_TYPE(model, type)
    put_type(type, out);

    PUT("static enum th_code own(struct th_arena *arena, struct %sevent *event)\n"
        "{\n    switch (event->type) {\n",
        model->prefix);
    EACH_TYPE(model, type)
    {
        if (!type_is_event(type))
            continue;
        if (type->has_views)
            PUT("    case %s:\n        return own_%s(arena, &event->as.%s);\n", type->event,
                type->c_name, type->base);
        else
            PUT("    case %s:\n        return TH_OK;\n", type->event);
    }
    PUT("    }\n    (void)arena;\n    return TH_INVALID;\n}\n\n");

    PUT("enum th_code %sevent_copy(const struct %sevent *event, struct th_arena *arena,\n"
        "    struct %sevent *out)\n{\n",
        model->prefix, model->prefix, model->prefix);
    PUT("    struct %sevent copy = *event;\n\n"
        "    TH_TRY(own(arena, &copy));\n"
        "    *out = copy;\n"
        "    return TH_OK;\n}\n",
        model->prefix);
}
