/* avro_resolution.h - can be read with one schema what another one wrote? (Avro 1.11, "Schema
 * Resolution".) Pure.
 *
 * Of the two things that the specification leaves to who implements it: aliases of the reader are
 * followed; of a reader's union some branch must take the whole of what the writer writes, as
 * Java's Avro and the registries built on it have it. Names are compared without their namespaces.
 */
#ifndef TELEHUB_SCHEMAS_AVRO_RESOLUTION_H
#define TELEHUB_SCHEMAS_AVRO_RESOLUTION_H

#include "schemas/avro_schema.h"

/* Can every value of writer be read as reader? If not, why says the first place where not:
 * "telehub.Meta.tenant: int where string was written". arena is for what it must remember.
 * Errors: TH_FULL (too involved to be looked at), TH_NOMEM; why then says that. */
TH_MUST_USE
enum th_code avro_resolve(const struct avro_schema *reader, const struct avro_schema *writer,
                          struct th_arena *arena, bool *out_can_read, struct th_err *why);

#endif
