/* audience_source.h - where an audience's records lie, and the records. Inside this folder only. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_SOURCE_H
#define TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_SOURCE_H

#include "common/eventlog/log.h"
#include "connectors/postgres/pg_pool.h"
#include "schemas/events.h"

struct audience_source {
    struct pg_pool *pool;
    struct th_log *log;
};

/* What the seal said. Lives in the arena. */
struct audience_seal {
    struct sealed_part_array parts;
    int64_t recipients;
    struct sha256 sha256; /* over the parts' hashes */
};

/* Errors: TH_NOT_FOUND    no such audience of this tenant, or it is not sealed
 *         TH_UNAVAILABLE  also: the views have not read so far
 *         TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code audience_source_seal(struct audience_source *source, struct th_str tenant,
                                  struct th_id audience, struct th_arena *arena,
                                  struct audience_seal *out, struct th_err *err);

/* Are the parts that lie on the log those that the seal counts, each of them? Asked once, before a
 * campaign begins: later nobody could be told. arena is scratch.
 * Errors: TH_CORRUPT    one is missing, or is not the one that was sealed: it was uploaded again
 *                       with other rows in between
 *         TH_NOT_FOUND  this tenant has none of them; TH_UNAVAILABLE, TH_NOMEM */
TH_MUST_USE
enum th_code audience_source_check(struct audience_source *source, struct th_str tenant,
                                   struct th_id audience, const struct audience_seal *seal,
                                   struct th_err *err);

/* One part as it was when the audience was sealed; out lives in arena.
 * Errors: as above; TH_CORRUPT when its sha256 is not the seal's */
TH_MUST_USE
enum th_code audience_source_part(struct audience_source *source, struct th_str tenant,
                                  struct th_id audience, int32_t part,
                                  const struct audience_seal *seal, struct th_arena *arena,
                                  struct audience_part *out, struct th_err *err);

#endif
