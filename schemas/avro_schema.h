/* avro_schema.h - an Avro schema from outside, understood (Avro 1.11, "Schema Declaration").
 *
 * The text may come from anybody: it is bounded, and what the specification forbids is refused with
 * a sentence that says where. Attributes that it does not know are left out, as it asks for. Pure.
 */
#ifndef TELEHUB_SCHEMAS_AVRO_SCHEMA_H
#define TELEHUB_SCHEMAS_AVRO_SCHEMA_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/str.h"

#define AVRO_SCHEMA_SIZE_MAX ((size_t)64 * 1024)
#define AVRO_NAMES_MAX       256  /* records, enums and fixed of one schema */
#define AVRO_PARTS_MAX       4000 /* fields of a record, symbols of an enum */

enum avro_kind {
    AVRO_KIND_NULL,
    AVRO_KIND_BOOLEAN,
    AVRO_KIND_INT,
    AVRO_KIND_LONG,
    AVRO_KIND_FLOAT,
    AVRO_KIND_DOUBLE,
    AVRO_KIND_BYTES,
    AVRO_KIND_STRING,
    AVRO_KIND_RECORD,
    AVRO_KIND_ENUM,
    AVRO_KIND_FIXED,
    AVRO_KIND_ARRAY,
    AVRO_KIND_MAP,
    AVRO_KIND_UNION,
};

#define AVRO_KINDS      (AVRO_KIND_UNION + 1)
#define AVRO_PRIMITIVES (AVRO_KIND_STRING + 1) /* the first so many */

struct avro_names {
    struct th_str *at;
    size_t n;
};

struct avro_field {
    struct th_str name;
    struct avro_names aliases;
    const struct avro_schema *type;
    struct th_str default_json; /* p NULL: there is none */
};

/* A type. One that contains itself is a circle of pointers. */
struct avro_schema {
    enum avro_kind kind;
    struct th_str name; /* record, enum, fixed: with its namespace, "telehub.Money" */
    struct avro_names aliases;

    struct avro_field *fields; /* record */
    size_t fields_n;

    struct avro_names symbols;    /* enum */
    struct th_str default_symbol; /* empty: there is none */

    int64_t size; /* fixed, bytes */

    const struct avro_schema *item; /* array, map */

    const struct avro_schema **branches; /* union */
    size_t branches_n;

    struct th_str logical; /* "decimal"; empty: there is none */
    int64_t precision;     /* of a decimal */
    int64_t scale;
};

/* Understand the text of a schema; what *out_schema points to lives in arena.
 * Errors: TH_MALFORMED  no JSON
 *         TH_INVALID    JSON, but no schema: "field to: unknown type telehub.Foo"
 *         TH_FULL       past a bound
 *         TH_NOMEM */
TH_MUST_USE
enum th_code avro_schema_parse(struct th_str text, struct th_arena *arena,
                               const struct avro_schema **out_schema, struct th_err *err);

/* "record", "int"; static storage. */
const char *avro_kind_name(enum avro_kind kind);

/* A full name without its namespace: "Money". */
struct th_str avro_short_name(struct th_str name);

/* Append the text by which two schemas are known to be the same: the parsing canonical form of the
 * specification, and what it leaves out though it means something: defaults, aliases, logical
 * types. Of docs, blanks and the order of attributes nothing is left. */
void avro_schema_put(const struct avro_schema *schema, struct th_buf *buf);

#endif
