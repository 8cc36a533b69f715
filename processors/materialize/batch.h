/* batch.h - the rows that a batch of events touches: loaded together, changed in memory, written
 * once; and rows of earlier batches, which need not be loaded again.
 *
 * A batch is made of reads. Each is folded twice. The first time (is_touching) each handler only
 * names the rows it will want; they are loaded together, and the second time the handlers work on
 * them. A row that nobody had named is loaded when it is asked for, so naming is a matter of speed
 * alone. Between two reads rows are packed, to a fifth of what the handlers see.
 *
 * Rows that were written stay for a few batches, up to keep_bytes: the writer is the only one, and
 * a store that finds it is not refuses what it writes next. Then, and whenever something failed,
 * the batch is reset.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_BATCH_H
#define TELEHUB_PROCESSORS_MATERIALIZE_BATCH_H

#include "common/view_store.h"
#include "processors/materialize/batch_table.h"

#define VIEW_BATCH_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct view_batch {
    struct view_store *store;
    struct th_arena arena; /* what is not packed; gone with each packing */
    bool is_touching;
    struct view_batch_table tables[VIEW_TABLE_COUNT];
    struct th_buf packed; /* a row or a key on its way */
    size_t bytes;         /* of all rows, packed */
    size_t touched_bytes; /* of those of this batch */
    size_t keep_bytes;    /* the former are kept below, 0: no row is kept */
    uint32_t number;      /* of this batch */
    struct th_err err;    /* of the store */
};

void view_batch_init(struct view_batch *batch, struct view_store *store);
void view_batch_fini(struct view_batch *batch);

/* Forget all rows. */
void view_batch_reset(struct view_batch *batch);

/* The row with the key of key (a row struct), made if there is none. While touching *out_row is
 * NULL; else it is there until the packing.
 * Errors: TH_NOMEM, and what the store says */
TH_MUST_USE
enum th_code view_batch_row(struct view_batch *batch, enum view_table_id table, const void *key,
                            int log_part, void **out_row);

/* Load what was named since the last call. Errors: as the store's load */
TH_MUST_USE
enum th_code view_batch_load(struct view_batch *batch);

/* Pack what view_batch_row gave out. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_pack(struct view_batch *batch);

#define VIEW_TEXT_MAX 2000 /* bytes; an index takes no longer ones. The rest is cut */

/* Make a text one that tables take: without NUL (U+FFFD stands for it), not too long. What is
 * merged by comparing is cleaned first, so that the order of arrival makes no difference.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_clean(struct view_batch *batch, struct th_str *text);

/* A copy of text, cleaned, in the batch's memory, unless it is what *at holds already.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_text(struct view_batch *batch, struct th_str *at, struct th_str text);

/* The same for bytes, which are kept as they are. */
TH_MUST_USE
enum th_code view_batch_bytes(struct view_batch *batch, struct th_str *at, struct th_str bytes);

/* Pack, mark what differs from what was loaded, sort, and say it as a change (which lives in the
 * batch). Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_change(struct view_batch *batch, struct view_change *out);

/* The change is in the store: the next batch begins. */
void view_batch_written(struct view_batch *batch);

#endif
