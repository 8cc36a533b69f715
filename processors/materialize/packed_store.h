/* packed_store.h - what a certificate needs of the rows of sends and attempts, in little memory.
 *
 * A store for the fold that keeps the columns by which outcomes and costs are decided, packed to
 * fixed widths: with its place in the index a send takes up to 130 bytes and an attempt up to 90.
 * Texts are kept once, as they are few. Other columns and tables are forgotten when they are
 * written. One thread.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_PACKED_STORE_H
#define TELEHUB_PROCESSORS_MATERIALIZE_PACKED_STORE_H

#include "common/view_store.h"

#define PACKED_ROWS_MAX  ((size_t)64 * 1024 * 1024) /* of a table */
#define PACKED_TEXTS_MAX ((size_t)16 * 1024 * 1024) /* bytes, each different text once */

struct packed_store;

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code packed_store_new(struct packed_store **out, struct th_err *err);

/* Accepts NULL. */
void packed_store_free(struct packed_store *store);
TH_AUTO_DEFINE(packed_store, struct packed_store *, packed_store_free)

/* The fold's interface; its close does nothing. Commits fail with TH_FULL past the bounds. */
struct view_store *packed_store_view(struct packed_store *store);

/* Is there a row with the key of key? id: sends or attempts, here and below. */
bool packed_store_has(const struct packed_store *store, enum view_table_id id, const void *key);

size_t packed_store_count(const struct packed_store *store, enum view_table_id id);

/* The i-th row, in the order of coming, with the columns that are kept; its texts live as long as
 * the store. */
void packed_store_row(const struct packed_store *store, enum view_table_id id, size_t i,
                      void *out_row);

/* Forget the rows; keep texts, and memory. */
void packed_store_clear(struct packed_store *store);

#endif
