/* batch_table.h - the rows of one table in a batch's memory, by their keys.
 *
 * An entry belongs to its table from view_batch_table_add on, and stays where it is until it is
 * removed.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_BATCH_TABLE_H
#define TELEHUB_PROCESSORS_MATERIALIZE_BATCH_TABLE_H

#include "common/view_store.h"

struct view_batch_entry {
    struct view_entry entry; /* first: the store sees only this. row: only between two packings */
    struct th_str before;    /* packed, as it is stored; none: it is new, or has not changed */
    struct view_batch_entry *next; /* of the same hash */
    uint32_t hash;
    uint32_t number; /* of the batch that touched it last */
    int log_part;    /* of the batch's first record that touched it */
    bool is_touched; /* in this batch, as what follows: */
    bool is_loaded;
    bool is_wanted; /* asked for after the touching; else it is not written */
    bool is_empty;  /* a row that counts nothing any more: it must not be stored */
    bool is_done;   /* little more is expected of it: it need not be kept */
};

struct view_batch_list {
    struct view_batch_entry **at;
    size_t n;
    size_t cap;
};

struct view_batch_table {
    struct view_batch_entry **buckets;
    size_t buckets_n; /* a power of two, or 0 */
    size_t n;
    struct view_batch_list touched; /* by this batch, in the order of their coming */
    struct view_batch_list live;    /* not packed */
    size_t loaded_n;                /* the first so many of these have been loaded */
};

void view_batch_table_fini(struct view_batch_table *table);

/* Remove all entries; keep the memory of the lists. */
void view_batch_table_clear(struct view_batch_table *table);

/* key: what view_pack_key made. NULL: there is none. */
struct view_batch_entry *view_batch_table_find(const struct view_batch_table *table,
                                               struct th_str key);

/* An entry whose packed row is a copy of packed, which begins with a key that is not there yet.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_table_add(struct view_batch_table *table, struct th_str key,
                                  struct th_str packed, struct view_batch_entry **out_entry);

void view_batch_table_remove(struct view_batch_table *table, struct view_batch_entry *entry);

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_list_add(struct view_batch_list *list, struct view_batch_entry *entry);

/* Make packed the row's bytes. What is stored is remembered as before.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code view_batch_entry_set(struct view_batch_entry *entry, struct th_str packed);

/* The packed row is what is stored. */
void view_batch_entry_settle(struct view_batch_entry *entry);

/* About what it takes in memory. */
size_t view_batch_entry_bytes(const struct view_batch_entry *entry);

#endif
