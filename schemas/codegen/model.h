/* model.h - Avro schemas, once understood: what the emitters read.
 *
 * Each distinct type is one struct type, so types are compared by pointer. Everything lives in the
 * model's arena until the program ends; without memory the program says so and exits.
 */
#ifndef TELEHUB_SCHEMAS_CODEGEN_MODEL_H
#define TELEHUB_SCHEMAS_CODEGEN_MODEL_H

#include "common/arena.h"

#include <jansson.h>

#define NAMESPACE     "telehub"
#define DEPTH_MAX     16
#define VERSION_MAX   255
#define RECORD_ID_MAX ((1 << 23) - 1) /* id * 256 + version stays a positive 32-bit number */

enum kind {
    KIND_NULL,
    KIND_BOOLEAN,
    KIND_INT,
    KIND_LONG,
    KIND_FLOAT,
    KIND_DOUBLE,
    KIND_BYTES,
    KIND_STRING,
    KIND_RECORD,
    KIND_ENUM,
    KIND_FIXED,
    KIND_ARRAY,
    KIND_MAP,
    KIND_UNION,
    KIND_OPTIONAL, /* a union whose first branch is null */
};

#define KINDS (KIND_OPTIONAL + 1)

struct type;

struct field {
    const char *name;   /* as in the schema */
    const char *c_name; /* a member's name: "long_" where the schema says "long" */
    const char *doc;    /* NULL if none */
    struct type *type;
    const json_t *type_json;     /* as written, with logicalType */
    const json_t *default_value; /* NULL if none */
    unsigned since;
};

struct symbol {
    const char *name;
    const char *c_name; /* CHANNEL_SMS */
};

struct branch {
    struct type *type;
    const char *c_name; /* a member of .as: "string", "sealed", "long_" */
    const char *tag;    /* STRING_OR_SEALED_STRING */
};

struct type {
    enum kind kind;
    const char *key;  /* "array<telehub.Money>": the same key is the same type */
    const char *name; /* Avro's, without namespace: "Money"; of an unnamed type, its key */
    const char *base; /* snake_case, without prefix: what names of arrays and unions are made of */
    const char *c_name; /* with prefix: what functions begin with */
    const char *c_type; /* "struct money" */
    const char *upper;  /* what constants begin with: "MONEY" */
    const char *doc;    /* NULL if none */
    const json_t *json; /* definition of a named type, else NULL */

    struct field *fields; /* record */
    size_t fields_n;
    unsigned id;       /* top-level record, else 0 */
    unsigned version;  /* 1 unless a top-level record says more */
    const char *event; /* of a top-level record: EVENT_MONEY_SPENT */

    struct symbol *symbols; /* enum */
    size_t symbols_n;

    size_t size; /* fixed */

    struct type *item; /* of array and map; of optional: what may be there, a
                           union where several things may */

    struct branch *branches; /* union */
    size_t branches_n;

    bool is_used;      /* a field, item or branch has it; not only an optional's inside */
    bool has_views;    /* holds pointers: strings, bytes, arrays, maps */
    bool is_checked;   /* encoding must look at it before writing: it may be long or invalid */
    size_t wire_min;   /* bytes, the fewest a decoder can meet */
    size_t wire_fixed; /* bytes, the most an encoder writes, without what strings and items add */
    unsigned depth;
};

struct model {
    struct th_arena *arena;
    const char *prefix;       /* of every C name, may be "" */
    const char *prefix_upper; /* the same for constants */
    struct type **types;      /* what a type needs stands before it */
    size_t types_n;
    struct claim *claims; /* of C names; names.h */
    size_t claims_n;
};

void *model_alloc(struct model *model, size_t n, size_t size);
const char *model_printf(struct model *model, const char *fmt, ...) TH_PRINTF(2, 3);

/* NULL if there is none. */
struct type *model_find(const struct model *model, const char *key);

/* Keep a copy of type, with the facts that follow from its parts (has_views … depth) filled in. */
struct type *model_add(struct model *model, const struct type *type);

/* Is it a record with an id? */
bool type_is_event(const struct type *type);

/* Is it the fixed that becomes struct th_id? */
bool type_is_id(const struct type *type);

/* for (each type of the model) */
#define EACH_TYPE(model, t)                                                                        \
    for (struct type **t##_at = (model)->types, *t = NULL;                                         \
         t##_at < (model)->types + (model)->types_n && ((t = *t##_at), true); t##_at++)

#endif
