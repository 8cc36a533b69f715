/* emit.h - from the model to C. Each emitter appends one whole file to out.
 *
 * Within a file a function stands before its callers, since the model's types stand in that order.
 */
#ifndef TELEHUB_SCHEMAS_CODEGEN_EMIT_H
#define TELEHUB_SCHEMAS_CODEGEN_EMIT_H

#include "common/buf.h"
#include "schemas/codegen/model.h"

/* Structs, enums, prototypes. header is how the others include it: "schemas/events.h". */
void emit_header(const struct model *model, const char *header, struct th_buf *out);

/* Names, schemas, ids: what is data. */
void emit_tables(const struct model *model, const char *header, struct th_buf *out);

void emit_encode(const struct model *model, const char *header, struct th_buf *out);
void emit_decode(const struct model *model, const char *header, struct th_buf *out);
void emit_json(const struct model *model, const char *header, struct th_buf *out);
void emit_copy(const struct model *model, const char *header, struct th_buf *out);

/* Shared by the emitters. */

/* "Made by codegen" and the includes of a source. */
void emit_prologue(const char *header, const char *says, struct th_buf *out);

/* A comment of its own lines, wrapped; nothing if text is NULL. */
void emit_comment(const char *indent, const char *text, struct th_buf *out);

/* n bytes as a C string literal, quotes included. */
void emit_literal(const char *bytes, size_t n, struct th_buf *out);

/* The C initialiser of a default that check_model accepted. */
void emit_value(const struct type *type, const json_t *value, struct th_buf *out);

/* The Avro schema of a record's version, whole in itself. */
void emit_schema(const struct model *model, const struct type *record, unsigned version,
                 struct th_buf *out);

#define PUT(...) th_buf_printf(out, __VA_ARGS__)

#endif
