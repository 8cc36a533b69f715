#include "schemas/avro_resolution.h"

#include <inttypes.h>

#define STEPS_MAX 200000 /* pairs of types looked at */
#define DEPTH_MAX 200

/* Two records that were met. While their fields are looked at they count as readable, which ends
 * the circle of a type that contains itself. */
struct pair {
    const struct avro_schema *reader;
    const struct avro_schema *writer;
    struct pair *before;
};

struct resolution {
    struct th_arena *arena;
    struct th_err *err;
    struct pair *pairs;
    unsigned steps;
    unsigned depth;
};

/* "no" is TH_UNSUPPORTED; TH_FULL and TH_NOMEM are no answer. */
static enum th_code resolve(struct resolution *r, const struct avro_schema *reader,
                            const struct avro_schema *writer);

static bool is_in(const struct avro_names *names, struct th_str name)
{
    for (size_t i = 0; i < names->n; i++)
        if (th_str_eq(names->at[i], name))
            return true;
    return false;
}

static const char *kind_of(const struct avro_schema *schema)
{
    return avro_kind_name(schema->kind);
}

static enum th_code resolve_names(struct resolution *r, const struct avro_schema *reader,
                                  const struct avro_schema *writer)
{
    if (th_str_eq(avro_short_name(reader->name), avro_short_name(writer->name)) ||
        is_in(&reader->aliases, writer->name))
        return TH_OK;
    return th_fail(r->err, TH_UNSUPPORTED, "%s %.*s where %.*s was written", kind_of(reader),
                   TH_ARG(reader->name), TH_ARG(writer->name));
}

static enum th_code resolve_fixed(struct resolution *r, const struct avro_schema *reader,
                                  const struct avro_schema *writer)
{
    TH_TRY(resolve_names(r, reader, writer));
    if (reader->size == writer->size)
        return TH_OK;
    return th_fail(r->err, TH_UNSUPPORTED,
                   "%.*s of %" PRId64 " bytes where %" PRId64 " were written", TH_ARG(reader->name),
                   reader->size, writer->size);
}

static enum th_code resolve_enum(struct resolution *r, const struct avro_schema *reader,
                                 const struct avro_schema *writer)
{
    TH_TRY(resolve_names(r, reader, writer));
    for (size_t i = 0; i < writer->symbols.n && !reader->default_symbol.n; i++)
        if (!is_in(&reader->symbols, writer->symbols.at[i]))
            return th_fail(r->err, TH_UNSUPPORTED, "%.*s lacks the symbol %.*s, and a default",
                           TH_ARG(reader->name), TH_ARG(writer->symbols.at[i]));
    return TH_OK;
}

/* --- records ---------------------------------------------------------------------------------- */

static const struct avro_field *written_as(const struct avro_field *field,
                                           const struct avro_schema *writer)
{
    for (size_t i = 0; i < writer->fields_n; i++)
        if (th_str_eq(writer->fields[i].name, field->name))
            return &writer->fields[i];
    for (size_t i = 0; i < writer->fields_n; i++)
        if (is_in(&field->aliases, writer->fields[i].name))
            return &writer->fields[i];
    return NULL;
}

static enum th_code resolve_field(struct resolution *r, const struct avro_field *field,
                                  const struct avro_schema *writer)
{
    const struct avro_field *written = written_as(field, writer);

    if (written)
        return resolve(r, field->type, written->type);
    if (field->default_json.p)
        return TH_OK;
    return th_fail(r->err, TH_UNSUPPORTED, "it was not written, and has no default");
}

static enum th_code resolve_fields(struct resolution *r, const struct avro_schema *reader,
                                   const struct avro_schema *writer)
{
    for (size_t i = 0; i < reader->fields_n; i++)
        if (resolve_field(r, &reader->fields[i], writer) != TH_OK)
            return th_wrap(r->err, "%.*s.%.*s", TH_ARG(reader->name),
                           TH_ARG(reader->fields[i].name));
    return TH_OK;
}

static bool was_met(const struct resolution *r, const struct avro_schema *reader,
                    const struct avro_schema *writer)
{
    for (const struct pair *pair = r->pairs; pair; pair = pair->before)
        if (pair->reader == reader && pair->writer == writer)
            return true;
    return false;
}

static enum th_code resolve_record(struct resolution *r, const struct avro_schema *reader,
                                   const struct avro_schema *writer)
{
    struct pair *before = r->pairs;

    TH_TRY(resolve_names(r, reader, writer));
    if (was_met(r, reader, writer))
        return TH_OK;
    struct pair *pair = th_arena_alloc(r->arena, sizeof *pair);
    if (!pair)
        return th_fail(r->err, TH_NOMEM, "resolution");
    *pair = (struct pair){reader, writer, before};
    r->pairs = pair;
    enum th_code code = resolve_fields(r, reader, writer);
    if (code != TH_OK)
        r->pairs = before; /* those met since may have relied on this one */
    return code;
}

/* --- unions ----------------------------------------------------------------------------------- */

/* Whichever branch was written must be readable. */
static enum th_code resolve_written_union(struct resolution *r, const struct avro_schema *reader,
                                          const struct avro_schema *writer)
{
    for (size_t i = 0; i < writer->branches_n; i++)
        TH_TRY(resolve(r, reader, writer->branches[i]));
    return TH_OK;
}

static enum th_code resolve_read_union(struct resolution *r, const struct avro_schema *reader,
                                       const struct avro_schema *writer)
{
    for (size_t i = 0; i < reader->branches_n; i++) {
        enum th_code code = resolve(r, reader->branches[i], writer);
        if (code != TH_UNSUPPORTED)
            return code;
    }
    return th_fail(r->err, TH_UNSUPPORTED, "a union without a branch for the %s%s%.*s written",
                   kind_of(writer), writer->name.n ? " " : "", TH_ARG(writer->name));
}

/* --- types ------------------------------------------------------------------------------------ */

#define BIT(kind) (1U << (kind))

/* Which primitives can be read as which others. */
static const unsigned promoted_from[AVRO_KINDS] = {
    [AVRO_KIND_LONG] = BIT(AVRO_KIND_INT),
    [AVRO_KIND_FLOAT] = BIT(AVRO_KIND_INT) | BIT(AVRO_KIND_LONG),
    [AVRO_KIND_DOUBLE] = BIT(AVRO_KIND_INT) | BIT(AVRO_KIND_LONG) | BIT(AVRO_KIND_FLOAT),
    [AVRO_KIND_BYTES] = BIT(AVRO_KIND_STRING),
    [AVRO_KIND_STRING] = BIT(AVRO_KIND_BYTES),
};

static bool is_decimal(const struct avro_schema *schema)
{
    return th_str_eq(schema->logical, TH_STR("decimal"));
}

static enum th_code resolve_kinds(struct resolution *r, const struct avro_schema *reader,
                                  const struct avro_schema *writer)
{
    switch (reader->kind) {
    case AVRO_KIND_RECORD:
        return resolve_record(r, reader, writer);
    case AVRO_KIND_ENUM:
        return resolve_enum(r, reader, writer);
    case AVRO_KIND_FIXED:
        return resolve_fixed(r, reader, writer);
    case AVRO_KIND_ARRAY:
    case AVRO_KIND_MAP:
        return resolve(r, reader->item, writer->item);
    case AVRO_KIND_NULL:
    case AVRO_KIND_BOOLEAN:
    case AVRO_KIND_INT:
    case AVRO_KIND_LONG:
    case AVRO_KIND_FLOAT:
    case AVRO_KIND_DOUBLE:
    case AVRO_KIND_BYTES:
    case AVRO_KIND_STRING:
    case AVRO_KIND_UNION: /* has been taken apart */
        return TH_OK;
    }
    return TH_OK;
}

static enum th_code resolve_here(struct resolution *r, const struct avro_schema *reader,
                                 const struct avro_schema *writer)
{
    if (writer->kind == AVRO_KIND_UNION)
        return resolve_written_union(r, reader, writer);
    if (reader->kind == AVRO_KIND_UNION)
        return resolve_read_union(r, reader, writer);
    if (reader->kind != writer->kind)
        return promoted_from[reader->kind] & BIT(writer->kind)
                   ? TH_OK
                   : th_fail(r->err, TH_UNSUPPORTED, "%s where %s was written", kind_of(reader),
                             kind_of(writer));
    if (is_decimal(reader) && is_decimal(writer) &&
        (reader->precision != writer->precision || reader->scale != writer->scale))
        return th_fail(r->err, TH_UNSUPPORTED, "a decimal of another precision or scale");
    return resolve_kinds(r, reader, writer);
}

static enum th_code resolve(struct resolution *r, const struct avro_schema *reader,
                            const struct avro_schema *writer)
{
    if (++r->steps > STEPS_MAX || r->depth == DEPTH_MAX)
        return th_fail(r->err, TH_FULL, "too involved to be compared");
    r->depth++;
    enum th_code code = resolve_here(r, reader, writer);
    r->depth--;
    return code;
}

enum th_code avro_resolve(const struct avro_schema *reader, const struct avro_schema *writer,
                          struct th_arena *arena, bool *out_can_read, struct th_err *why)
{
    struct resolution r = {.arena = arena, .err = why};
    enum th_code code = resolve(&r, reader, writer);

    if (code != TH_OK && code != TH_UNSUPPORTED)
        return code;
    *out_can_read = code == TH_OK;
    return TH_OK;
}
