/* memory_store.h - the views' tables in memory: for tests and for the simulation. One thread. */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_MEMORY_STORE_H
#define TELEHUB_PROCESSORS_MATERIALIZE_MEMORY_STORE_H

#include "common/view_store.h"

/* Errors: TH_NOMEM */
TH_MUST_USE
enum th_code memory_store_new(struct view_store **out_store, struct th_err *err);

size_t memory_store_count(const struct view_store *store, enum view_table_id table);

/* The i-th row in the order of keys; valid until the next commit. */
const void *memory_store_row(const struct view_store *store, enum view_table_id table, size_t i);

/* The row with the key of key; NULL if there is none. */
const void *memory_store_find(const struct view_store *store, enum view_table_id table,
                              const void *key);

/* All rows and columns of all tables. When they differ *out_why (may be NULL) says where. */
bool memory_store_equal(const struct view_store *a, const struct view_store *b,
                        struct th_buf *out_why);

/* The next n commits fail as if the answer had been lost: is_done says whether they took effect. */
void memory_store_fail(struct view_store *store, int n, bool is_done);

#endif
