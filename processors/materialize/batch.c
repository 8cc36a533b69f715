#include "processors/materialize/batch.h"

#include <assert.h>
#include <string.h>

#define SLOTS_MIN 256

void view_batch_init(struct view_batch *batch, struct view_store *store)
{
    *batch = (struct view_batch){.store = store};
    th_arena_init(&batch->arena, VIEW_BATCH_BYTES_MAX);
}

void view_batch_fini(struct view_batch *batch)
{
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++) {
        free(batch->tables[i].at);
        free(batch->tables[i].slots);
    }
    th_arena_fini(&batch->arena);
}

void view_batch_reset(struct view_batch *batch)
{
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++) {
        struct view_batch_table *table = &batch->tables[i];
        if (table->n)
            memset(table->slots, 0, table->slots_n * sizeof *table->slots);
        table->n = 0;
        table->loaded_n = 0;
    }
    th_arena_reset(&batch->arena);
    batch->is_touching = false;
}

/* --- finding ------------------------------------------------------------------------------- */

/* The slot of the row, or the free one where it belongs. */
static uint32_t *slot_of(const struct view_batch_table *table, const struct view_table *view,
                         const void *key)
{
    size_t mask = table->slots_n - 1;
    size_t i = (size_t)view_row_hash(view, key) & mask;

    while (table->slots[i] &&
           !view_row_same_key(view, table->at[table->slots[i] - 1]->entry.row, key))
        i = (i + 1) & mask;
    return &table->slots[i];
}

/* Room for one more, half of the slots free. */
static enum th_code make_room(struct view_batch_table *table, const struct view_table *view)
{
    if (table->n == table->cap) {
        size_t cap = table->cap ? 2 * table->cap : SLOTS_MIN;
        struct view_batch_entry **at = reallocarray(table->at, cap, sizeof(void *));
        if (!at)
            return TH_NOMEM;
        table->at = at;
        table->cap = cap;
    }
    if (2 * (table->n + 1) <= table->slots_n)
        return TH_OK;

    size_t slots_n = table->slots_n ? 2 * table->slots_n : SLOTS_MIN;
    uint32_t *slots = calloc(slots_n, sizeof *slots);
    if (!slots)
        return TH_NOMEM;
    free(table->slots);
    table->slots = slots;
    table->slots_n = slots_n;
    for (size_t i = 0; i < table->n; i++)
        *slot_of(table, view, table->at[i]->entry.row) = (uint32_t)(i + 1);
    return TH_OK;
}

static enum th_code add(struct view_batch *batch, enum view_table_id id, const void *key,
                        int log_part, struct view_batch_entry **out_entry)
{
    const struct view_table *view = view_table(id);
    struct view_batch_table *table = &batch->tables[id];
    struct view_batch_entry *entry = th_arena_alloc(&batch->arena, sizeof *entry);

    TH_TRY(make_room(table, view));
    if (!entry || !(entry->entry.row = th_arena_alloc(&batch->arena, view->row_size)))
        return TH_NOMEM;
    TH_TRY(view_row_copy(view, key, &batch->arena, entry->entry.row));
    entry->log_part = log_part;
    *slot_of(table, view, key) = (uint32_t)(table->n + 1);
    table->at[table->n++] = entry;
    *out_entry = entry;
    return TH_OK;
}

/* --- loading ------------------------------------------------------------------------------- */

static enum th_code remember(struct view_batch *batch, const struct view_table *view,
                             struct view_batch_entry *entry)
{
    entry->is_loaded = true;
    if (!entry->entry.is_found)
        return TH_OK;
    entry->before = th_arena_alloc(&batch->arena, view->row_size);
    if (!entry->before)
        return TH_NOMEM;
    memcpy(entry->before, entry->entry.row, view->row_size); /* texts are never changed in place */
    return TH_OK;
}

static enum th_code load_table(struct view_batch *batch, enum view_table_id id)
{
    struct view_batch_table *table = &batch->tables[id];
    size_t first = table->loaded_n;

    if (table->n == first)
        return TH_OK;
    size_t wanted_n = 0;
    struct view_entry **wanted =
        th_arena_array(&batch->arena, table->n - first, sizeof(struct view_entry *));
    if (!wanted)
        return TH_NOMEM;
    for (size_t i = first; i < table->n; i++)
        if (!table->at[i]->is_loaded)
            wanted[wanted_n++] = &table->at[i]->entry;
    if (wanted_n)
        TH_TRY(batch->store->ops->load(batch->store, id, wanted, wanted_n, &batch->arena,
                                       &batch->err));
    for (size_t i = first; i < table->n; i++)
        if (!table->at[i]->is_loaded)
            TH_TRY(remember(batch, view_table(id), table->at[i]));
    table->loaded_n = table->n;
    return TH_OK;
}

enum th_code view_batch_load(struct view_batch *batch)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        TH_TRY(load_table(batch, id));
    return TH_OK;
}

enum th_code view_batch_row(struct view_batch *batch, enum view_table_id id, const void *key,
                            int log_part, void **out_row)
{
    const struct view_table *view = view_table(id);
    struct view_batch_table *table = &batch->tables[id];
    struct view_batch_entry *entry;
    uint32_t found = table->slots_n ? *slot_of(table, view, key) : 0;

    *out_row = NULL;
    if (found)
        entry = table->at[found - 1];
    else
        TH_TRY(add(batch, id, key, log_part, &entry));
    if (batch->is_touching)
        return TH_OK;
    entry->is_wanted = true;
    if (!entry->is_loaded) {
        struct view_entry *one = &entry->entry;
        TH_TRY(batch->store->ops->load(batch->store, id, &one, 1, &batch->arena, &batch->err));
        TH_TRY(remember(batch, view, entry));
    }
    *out_row = entry->entry.row;
    return TH_OK;
}

/* The longest beginning of at most VIEW_TEXT_MAX bytes that ends between two characters. */
static struct th_str cut(struct th_str text)
{
    size_t n = VIEW_TEXT_MAX;

    if (text.n <= n)
        return text;
    while (n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    return (struct th_str){text.p, n};
}

static enum th_code replace_nuls(struct view_batch *batch, struct th_str *text)
{
    static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    const size_t wide = sizeof replacement - 1;
    char *clean = th_arena_alloc(&batch->arena, text->n * wide);
    size_t n = 0;

    if (!clean)
        return TH_NOMEM;
    for (size_t i = 0; i < text->n; i++) {
        if (text->p[i])
            clean[n++] = text->p[i];
        else
            for (size_t k = 0; k < wide; k++)
                clean[n++] = replacement[k];
    }
    *text = cut((struct th_str){clean, n});
    return TH_OK;
}

enum th_code view_batch_clean(struct view_batch *batch, struct th_str *text)
{
    *text = cut(*text);
    if (text->n == 0 || !memchr(text->p, 0, text->n))
        return TH_OK;
    return replace_nuls(batch, text);
}

enum th_code view_batch_bytes(struct view_batch *batch, struct th_str *at, struct th_str bytes)
{
    if (th_str_eq(*at, bytes))
        return TH_OK;
    return th_arena_copy(&batch->arena, bytes, at);
}

enum th_code view_batch_text(struct view_batch *batch, struct th_str *at, struct th_str text)
{
    TH_TRY(view_batch_clean(batch, &text));
    return view_batch_bytes(batch, at, text);
}

/* --- what changed -------------------------------------------------------------------------- */

/* Rows of counts vanish when nothing is counted any more; else a rebuild would differ. */
static bool is_empty(enum view_table_id id, const void *row)
{
    if (id == VIEW_TABLE_CAMPAIGN_COUNTERS)
        return ((const struct campaign_counters_row *)row)->n == 0;
    if (id == VIEW_TABLE_CAMPAIGN_COSTS)
        return ((const struct campaign_costs_row *)row)->n == 0;
    return false;
}

static void mark(enum view_table_id id, struct view_batch_entry *entry)
{
    bool is_gone = is_empty(id, entry->entry.row);

    if (!entry->is_wanted)
        return;
    assert(entry->is_loaded);
    entry->entry.is_deleted = is_gone && entry->before;
    entry->entry.is_changed =
        is_gone
            ? entry->before != NULL
            : !entry->before || !view_row_equal(view_table(id), entry->before, entry->entry.row);
}

static int cmp_entries(const void *a, const void *b, void *view)
{
    const struct view_entry *const *x = a;
    const struct view_entry *const *y = b;

    return view_row_cmp(view, (*x)->row, (*y)->row);
}

enum th_code view_batch_change(struct view_batch *batch, struct view_change *out)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        struct view_batch_table *table = &batch->tables[id];
        struct view_entries *entries = &out->tables[id];

        *entries = (struct view_entries){0};
        if (table->n == 0)
            continue;
        entries->at = th_arena_array(&batch->arena, table->n, sizeof(struct view_entry *));
        if (!entries->at)
            return TH_NOMEM;
        for (size_t i = 0; i < table->n; i++) {
            mark(id, table->at[i]);
            if (table->at[i]->entry.is_changed)
                entries->at[entries->n++] = &table->at[i]->entry;
        }
        /* Two slots never write one row; sorted all the same, so that tools that do cannot end in
         * a deadlock. qsort_r hands the table through. */
        qsort_r(entries->at, entries->n, sizeof(struct view_entry *), cmp_entries,
                (void *)(uintptr_t)view_table(id));
    }
    return TH_OK;
}
