#include "processors/materialize/batch_table.h"

#include <string.h>

#include "common/hash.h"

#define BUCKETS_MIN  ((size_t)256)
#define LIST_MIN     ((size_t)256)
#define MALLOC_BYTES 16 /* that an allocation takes beside what it gives */

static void entry_free(struct view_batch_entry *entry)
{
    free((void *)(uintptr_t)entry->entry.packed.p);
    free((void *)(uintptr_t)entry->before.p);
    free(entry);
}

size_t view_batch_entry_bytes(const struct view_batch_entry *entry)
{
    size_t before = entry->before.p ? entry->before.n + MALLOC_BYTES : 0;

    return sizeof *entry + entry->entry.packed.n + 2 * (size_t)MALLOC_BYTES + before;
}

static enum th_code copy(struct th_str bytes, struct th_str *out)
{
    char *p = malloc(bytes.n);

    if (!p)
        return TH_NOMEM;
    memcpy(p, bytes.p, bytes.n);
    *out = (struct th_str){p, bytes.n};
    return TH_OK;
}

enum th_code view_batch_entry_set(struct view_batch_entry *entry, struct th_str packed)
{
    struct th_str held;

    TH_TRY(copy(packed, &held));
    if (entry->entry.is_found && !entry->before.p)
        entry->before = entry->entry.packed;
    else
        free((void *)(uintptr_t)entry->entry.packed.p);
    entry->entry.packed = held;
    return TH_OK;
}

void view_batch_entry_settle(struct view_batch_entry *entry)
{
    free((void *)(uintptr_t)entry->before.p);
    entry->before = (struct th_str){NULL, 0};
}

enum th_code view_batch_list_add(struct view_batch_list *list, struct view_batch_entry *entry)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? 2 * list->cap : LIST_MIN;
        struct view_batch_entry **at = reallocarray(list->at, cap, sizeof(void *));
        if (!at)
            return TH_NOMEM;
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = entry;
    return TH_OK;
}

/* --- by key ----------------------------------------------------------------------------------- */

static uint32_t hash_of(struct th_str key)
{
    return (uint32_t)th_hash64(key, 0);
}

static bool begins_with(struct th_str packed, struct th_str key)
{
    return packed.n >= key.n && memcmp(packed.p, key.p, key.n) == 0;
}

struct view_batch_entry *view_batch_table_find(const struct view_batch_table *table,
                                               struct th_str key)
{
    uint32_t hash = hash_of(key);

    if (table->n == 0)
        return NULL;
    struct view_batch_entry *entry = table->buckets[hash & (table->buckets_n - 1)];
    while (entry && (entry->hash != hash || !begins_with(entry->entry.packed, key)))
        entry = entry->next;
    return entry;
}

static void put(struct view_batch_entry **buckets, size_t buckets_n, struct view_batch_entry *entry)
{
    struct view_batch_entry **bucket = &buckets[entry->hash & (buckets_n - 1)];

    entry->next = *bucket;
    *bucket = entry;
}

static enum th_code make_room(struct view_batch_table *table)
{
    if (table->n < table->buckets_n)
        return TH_OK;
    size_t buckets_n = table->buckets_n ? 2 * table->buckets_n : BUCKETS_MIN;
    struct view_batch_entry **buckets = calloc(buckets_n, sizeof(void *));
    if (!buckets)
        return TH_NOMEM;
    for (size_t i = 0; i < table->buckets_n; i++)
        for (struct view_batch_entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            put(buckets, buckets_n, entry);
        }
    free(table->buckets);
    table->buckets = buckets;
    table->buckets_n = buckets_n;
    return TH_OK;
}

enum th_code view_batch_table_add(struct view_batch_table *table, struct th_str key,
                                  struct th_str packed, struct view_batch_entry **out_entry)
{
    TH_TRY(make_room(table));
    struct view_batch_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return TH_NOMEM;
    if (copy(packed, &entry->entry.packed) != TH_OK) {
        free(entry);
        return TH_NOMEM;
    }
    entry->hash = hash_of(key);
    put(table->buckets, table->buckets_n, entry);
    table->n++;
    *out_entry = entry;
    return TH_OK;
}

void view_batch_table_remove(struct view_batch_table *table, struct view_batch_entry *entry)
{
    struct view_batch_entry **at = &table->buckets[entry->hash & (table->buckets_n - 1)];

    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    table->n--;
    entry_free(entry);
}

void view_batch_table_clear(struct view_batch_table *table)
{
    for (size_t i = 0; table->n && i < table->buckets_n; i++) {
        for (struct view_batch_entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            entry_free(entry);
        }
        table->buckets[i] = NULL;
    }
    table->n = table->touched.n = table->live.n = table->loaded_n = 0;
}

void view_batch_table_fini(struct view_batch_table *table)
{
    view_batch_table_clear(table);
    free(table->buckets);
    free(table->touched.at);
    free(table->live.at);
    *table = (struct view_batch_table){0};
}
