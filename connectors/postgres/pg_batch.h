/* pg_batch.h - how records lie inside a batch, and batches made of a transaction's records. Pure.
 *
 * A batch's raw bytes (log version 1), integers as unsigned LEB128:
 *
 *   at_us, then for each record: at_delta_us, key_size, key, headers_size, headers,
 *   value_size, value
 *
 * Headers are those of common/eventlog/headers.h; none are a size of 0.
 *
 * Offsets are implicit. Stored is either that (codec 0) or an LZ4 frame of it (codec 1, when it is
 * worth it), under a CRC-32C of what is stored.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_PG_BATCH_H
#define TELEHUB_CONNECTORS_POSTGRES_PG_BATCH_H

#include <stdatomic.h>

#include "common/buf.h"
#include "common/eventlog/log_driver.h"

#define PG_BATCH_VERSION      1
#define PG_BATCH_RAW_MAX      ((size_t)512 * 1024) /* above it the next batch begins */
#define PG_BATCH_COMPRESS_MIN 512                  /* bytes; smaller ones do not gain */
/* One record may be larger than PG_BATCH_RAW_MAX; nothing is larger than this. */
#define PG_BATCH_SIZE_MAX (LOG_RECORD_SIZE_MAX + 64)

enum pg_codec {
    PG_CODEC_RAW = 0,
    PG_CODEC_LZ4 = 1,
};

/* Raw bytes of a batch, shared: by the writer, the ring and readers. */
struct pg_block {
    atomic_int refs;
    int count; /* records */
    size_t size;
    char bytes[];
};

/* NULL when there is no memory. One reference, the caller's. */
struct pg_block *pg_block_new(size_t size, int count);
struct pg_block *pg_block_ref(struct pg_block *block);
void pg_block_unref(struct pg_block *block); /* accepts NULL */

TH_AUTO_DEFINE(pg_block, struct pg_block *, pg_block_unref)

/* Undo codec and checksum: a new block of the batch's raw bytes.
 * Errors: TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code pg_block_of_stored(struct th_str stored, int codec, size_t raw_size, uint32_t crc,
                                int count, struct pg_block **out_block, struct th_err *err);

/* bytes as they are stored: compressed into scratch where that is worth it, else as they are. */
struct th_str pg_compress(struct th_str bytes, struct th_buf *scratch, enum pg_codec *out_codec);

/* To exactly out_size bytes at out. Errors: TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code pg_decompress(struct th_str stored, char *out, size_t out_size);

/* --- reading records out of a block ----------------------------------------------------- */

/* Where a walk through a block stands; zero is before the first record. */
struct pg_walk {
    size_t at; /* in the block's bytes */
    int index; /* of the next record */
    int64_t at_us;
};

/* The next record into *out (place.offset is not touched); bytes are the block's.
 * False: no record left (walk->index == block->count) or damaged bytes (it is less). */
bool pg_walk_next(struct pg_walk *walk, const struct pg_block *block, struct log_record *out);

/* --- writing ------------------------------------------------------------------------------------
 */

struct pg_batch {
    enum topic topic;
    int part;
    int prior; /* records of this partition in batches before it */
    int count;
    size_t filled; /* of block->bytes */
    struct pg_block *block;
};

/* The records of one transaction as batches: sorted by topic, partition, order of arrival; that is
 * the order in which the log answers their first offsets. Reused from one to the next. */
struct pg_pack {
    struct pg_batch *batches;
    size_t n;
    size_t cap;
    uint32_t topics; /* bit t: topic t is among them */

    /* Of each record: its batch and its place therein. */
    struct pg_spot {
        int batch;
        int index;
    } * spots;
    size_t spots_n;
    size_t spots_cap;

    int *open; /* of each (topic, part): 1 + its batch that is being filled; 0 none */
};

/* Zero-initialise to begin with. */
void pg_pack_fini(struct pg_pack *pack);

/* Forget everything but the memory. */
void pg_pack_clear(struct pg_pack *pack);

/* times_us: UTC, of each; NULL: at_us of all of them. On error the pack is clear.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code pg_pack_make(struct pg_pack *pack, const struct th_log *log,
                          const struct log_output *outputs, size_t n, const int64_t *times_us,
                          int64_t at_us, struct th_err *err);

/* Where record i lies, given the first offsets of all batches. */
struct log_place pg_pack_place(const struct pg_pack *pack, const int64_t *bases, size_t i);

#endif
