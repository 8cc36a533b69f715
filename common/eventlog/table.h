/* table.h - a core's state: entries by id, and the batches that can be taken back.
 *
 * An entry is a struct whose first member is its struct th_id; the table knows only its size.
 * Every change of a batch is remembered, so that the batch being gathered and the one that is
 * committing can both be undone. Pure; one thread.
 *
 * Pointers to entries are good until the next insert, remove or undo.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_TABLE_H
#define TELEHUB_COMMON_EVENTLOG_TABLE_H

#include "common/buf.h"
#include "common/ids.h"

#define TABLE_PIECES 256 /* hash ranges of the id, for snapshots */

struct table;

/* NULL when there is no memory. entries_max bounds it. */
struct table *table_new(size_t entry_size, size_t entries_max);

/* Frees every blob that an entry or an undo list still holds, too. Accepts NULL. */
void table_free(struct table *table);

size_t table_count(const struct table *table);

/* NULL if there is none. */
const void *table_get(const struct table *table, struct th_id id);

/* To be changed in place; never change the id. Errors: TH_NOT_FOUND, TH_NOMEM */
TH_MUST_USE
enum th_code table_edit(struct table *table, struct th_id id, void **out_entry);

/* A new entry, zeroed but for its id.
 * Errors: TH_CONFLICT (it exists), TH_FULL (entries_max), TH_NOMEM */
TH_MUST_USE
enum th_code table_insert(struct table *table, struct th_id id, void **out_entry);

/* So many more are coming, in the order of their pieces: without room for all of them they would
 * lie on top of each other, in the first part of what is there. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code table_expect(struct table *table, size_t n);

/* Errors: TH_NOT_FOUND, TH_NOMEM */
TH_MUST_USE
enum th_code table_remove(struct table *table, struct th_id id);

/* An entry's place, a number below 2^24, is its own as long as it lives, and again after an undo.
 * Of one that was removed the place still shows it as it was, until the batch is durable. */
TH_MUST_USE
bool table_place(const struct table *table, struct th_id id, uint32_t *out_place);
const void *table_at(const struct table *table, uint32_t place);

/* Every entry: start with *at = 0; NULL at the end. No insert or remove in between. */
const void *table_next(const struct table *table, size_t *at);

/* --- bytes of variable length --------------------------------------------------------------- */

/* Immutable. An entry may hold pointers to blobs; whoever removes or replaces the pointer drops
 * the blob in the same batch. */
struct blob {
    uint32_t n;
    bool is_dropped; /* the table's own */
    char bytes[];
};

static inline struct th_str blob_str(const struct blob *blob)
{
    return blob ? (struct th_str){blob->bytes, blob->n} : (struct th_str){NULL, 0};
}

/* Made by the gathering batch; freed if that is undone. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code table_blob(struct table *table, struct th_str bytes, struct blob **out_blob);

/* No entry holds it any more: freed when the batch that said so is durable. Accepts NULL.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code table_drop(struct table *table, struct blob *blob);

/* --- batches --------------------------------------------------------------------------------- */

/* The gathering batch becomes the committing one; there must be none committing. */
void table_close(struct table *table);

/* The committing batch is durable. */
void table_forget(struct table *table);

/* Undo the gathering batch, then the committing one. */
void table_undo(struct table *table);

/* --- snapshots ------------------------------------------------------------------------------- */

int table_piece(struct th_id id);

/* The entry as it was before the committing and the gathering batch; NULL if there was none. Good
 * until the next change. */
const void *table_get_durable(const struct table *table, struct th_id id);

/* Every entry of a piece as it was before the committing and the gathering batch, in the order of
 * ids: equal states give equal sequences, whatever led to them. each must not change the table.
 * Errors: TH_NOMEM, and what each returns */
TH_MUST_USE
enum th_code table_each_durable(const struct table *table, int piece,
                                enum th_code (*each)(void *arg, const void *entry), void *arg);

#endif
