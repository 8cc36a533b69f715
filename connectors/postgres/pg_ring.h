/* pg_ring.h - the newest committed batches of this process, for its own readers.
 *
 * A cache that may miss but never misleads: a batch is handed out only to a reader that stands
 * exactly at its first offset; whatever is not here is read from the table. Batches may be put in
 * any order. Bounded; the oldest go first. Any thread.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_RING_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_RING_H

#include "connectors/postgres/pg_batch.h"

struct pg_ring;

/* bytes_max 0: keeps nothing, knows ends all the same. */
TH_MUST_USE
enum th_code pg_ring_new(size_t bytes_max, struct pg_ring **out_ring, struct th_err *err);
void pg_ring_free(struct pg_ring *ring);

/* The ring takes a reference of its own. Without memory the batch is simply not kept. */
void pg_ring_put(struct pg_ring *ring, enum topic topic, int part, int64_t base,
                 struct pg_block *block);

/* The batch that begins at the offset, with a reference for the caller; NULL if it is not here. */
struct pg_block *pg_ring_get(struct pg_ring *ring, enum topic topic, int part, int64_t base);

/* Forget all batches; ends stay known. */
void pg_ring_empty(struct pg_ring *ring);

/* The end of what was ever put for the partition: at least so much is committed. */
int64_t pg_ring_end(struct pg_ring *ring, enum topic topic, int part);

#endif
