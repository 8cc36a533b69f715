/* fields.h - application/x-www-form-urlencoded, in and out.
 *
 * Pure. The bodies come from outside: every size is bounded, every escape is checked. The sandbox
 * reads and writes forms by code of its own, so that it cannot share an error with what it tests.
 */
#ifndef TELEHUB_SANDBOX_FIELDS_H
#define TELEHUB_SANDBOX_FIELDS_H

#include "common/arena.h"
#include "common/buf.h"

#define FIELDS_MAX 64

struct field {
    struct th_str name;
    struct th_str value;
};

/* Fields in the order of their arrival; a repeated name is a repeated field. */
struct fields {
    struct field at[FIELDS_MAX];
    size_t n;
};

/* Decode body; names and values live in arena.
 * Errors: TH_MALFORMED  an escape that is none, a NUL, bytes that are not UTF-8
 *         TH_FULL       more than FIELDS_MAX fields
 *         TH_NOMEM */
TH_MUST_USE
enum th_code fields_parse(struct th_str body, struct th_arena *arena, struct fields *out_fields,
                          struct th_err *err);

/* Value of the first field of that name; p is NULL if there is none. */
struct th_str fields_get(const struct fields *fields, const char *name);

/* Append one field to a body. */
void fields_print(struct th_buf *out, struct th_str name, struct th_str value);

/* Append a field to fields, which has room; name and value are borrowed. */
void fields_add(struct fields *fields, const char *name, struct th_str value);

#endif
