#include "processors/materialize/batch.h"

#include <assert.h>
#include <string.h>

#define KEEP_PARTS 4  /* what is forgotten at once is the fourth part of what may be kept */
#define AGES_MAX   12 /* batches for which a row is kept */

void view_batch_init(struct view_batch *batch, struct view_store *store)
{
    *batch = (struct view_batch){.store = store};
    th_arena_init(&batch->arena, VIEW_BATCH_BYTES_MAX);
}

void view_batch_fini(struct view_batch *batch)
{
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        view_batch_table_fini(&batch->tables[i]);
    th_buf_fini(&batch->packed);
    th_arena_fini(&batch->arena);
}

void view_batch_reset(struct view_batch *batch)
{
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        view_batch_table_clear(&batch->tables[i]);
    th_arena_reset(&batch->arena);
    batch->bytes = batch->touched_bytes = 0;
    batch->is_touching = false;
}

/* --- rows of earlier batches -------------------------------------------------------------------
 */

/* Those of the others are few, and cheap to load. */
static bool is_kept(enum view_table_id id)
{
    return id == VIEW_TABLE_SENDS || id == VIEW_TABLE_ATTEMPTS;
}

static size_t age_of(const struct view_batch *batch, const struct view_batch_entry *entry)
{
    uint32_t age = batch->number - entry->number;

    return age < AGES_MAX ? age : AGES_MAX;
}

static void weigh(const struct view_batch *batch, const struct view_batch_table *table,
                  size_t sizes[AGES_MAX + 1])
{
    for (size_t i = 0; i < table->buckets_n; i++)
        for (const struct view_batch_entry *entry = table->buckets[i]; entry; entry = entry->next)
            if (!entry->is_touched)
                sizes[age_of(batch, entry)] += view_batch_entry_bytes(entry);
}

static void drop(struct view_batch *batch, struct view_batch_table *table,
                 struct view_batch_entry *entry)
{
    batch->bytes -= view_batch_entry_bytes(entry);
    view_batch_table_remove(table, entry);
}

static void drop_old(struct view_batch *batch, struct view_batch_table *table, size_t age)
{
    for (size_t i = 0; i < table->buckets_n; i++)
        for (struct view_batch_entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            if (!entry->is_touched && age_of(batch, entry) >= age)
                drop(batch, table, entry);
        }
}

static void drop_all_old(struct view_batch *batch, size_t age)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        drop_old(batch, &batch->tables[id], age);
}

/* Forget the oldest, so that it need not be done again soon. */
static void shrink(struct view_batch *batch)
{
    size_t sizes[AGES_MAX + 1] = {0};
    size_t keep = batch->keep_bytes - batch->keep_bytes / KEEP_PARTS;
    size_t sum = batch->touched_bytes;
    size_t age = 0;

    if (batch->bytes <= batch->keep_bytes || batch->bytes == batch->touched_bytes)
        return;
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        weigh(batch, &batch->tables[id], sizes);
    while (age < AGES_MAX && sum + sizes[age] <= keep)
        sum += sizes[age++];
    drop_all_old(batch, age);
}

static void settle(struct view_batch *batch, enum view_table_id id, struct view_batch_entry *entry)
{
    struct view_entry *row = &entry->entry;

    if (!is_kept(id) || entry->is_done || row->is_deleted || !(row->is_found || row->is_changed)) {
        drop(batch, &batch->tables[id], entry);
        return;
    }
    batch->bytes -= view_batch_entry_bytes(entry);
    view_batch_entry_settle(entry);
    batch->bytes += view_batch_entry_bytes(entry);
    row->is_found = true;
    row->is_changed = false;
    entry->is_touched = entry->is_wanted = false;
}

void view_batch_written(struct view_batch *batch)
{
    if (batch->keep_bytes == 0) {
        view_batch_reset(batch);
        return;
    }
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        struct view_batch_table *table = &batch->tables[id];
        for (size_t i = 0; i < table->touched.n; i++)
            settle(batch, id, table->touched.at[i]);
        table->touched.n = table->live.n = table->loaded_n = 0;
    }
    th_arena_reset(&batch->arena);
    batch->touched_bytes = 0;
    batch->number++;
    drop_all_old(batch, AGES_MAX);
    shrink(batch);
}

/* --- finding -----------------------------------------------------------------------------------
 */

static enum th_code add(struct view_batch *batch, enum view_table_id id, const void *key,
                        size_t key_size, struct view_batch_entry **out_entry)
{
    th_buf_clear(&batch->packed);
    view_pack(view_table(id), key, &batch->packed);
    TH_TRY(th_buf_status(&batch->packed));
    struct th_str packed = th_buf_str(&batch->packed);
    TH_TRY(view_batch_table_add(&batch->tables[id], (struct th_str){packed.p, key_size}, packed,
                                out_entry));
    batch->bytes += view_batch_entry_bytes(*out_entry);
    return TH_OK;
}

static enum th_code find_or_add(struct view_batch *batch, enum view_table_id id, const void *key,
                                struct view_batch_entry **out_entry)
{
    th_buf_clear(&batch->packed);
    view_pack_key(view_table(id), key, &batch->packed);
    TH_TRY(th_buf_status(&batch->packed));
    *out_entry = view_batch_table_find(&batch->tables[id], th_buf_str(&batch->packed));
    return *out_entry ? TH_OK : add(batch, id, key, batch->packed.n, out_entry);
}

/* Count it among the batch's, and unpack it. */
static enum th_code take_up(struct view_batch *batch, enum view_table_id id,
                            struct view_batch_entry *entry, int log_part)
{
    struct view_batch_table *table = &batch->tables[id];

    if (!entry->is_touched) {
        TH_TRY(view_batch_list_add(&table->touched, entry));
        entry->is_touched = true;
        entry->log_part = log_part;
        entry->number = batch->number;
        batch->touched_bytes += view_batch_entry_bytes(entry);
    }
    if (entry->entry.row)
        return TH_OK;
    void *row = th_arena_alloc(&batch->arena, view_table(id)->row_size);
    if (!row)
        return TH_NOMEM;
    TH_TRY(view_batch_list_add(&table->live, entry));
    view_unpack(view_table(id), entry->entry.packed, row);
    entry->entry.row = row;
    return TH_OK;
}

/* --- loading ------------------------------------------------------------------------------- */

/* Its bytes are now others: it has changed, or they are what is stored. */
static enum th_code set_packed(struct view_batch *batch, struct view_batch_entry *entry,
                               bool is_stored)
{
    size_t was = view_batch_entry_bytes(entry);

    TH_TRY(view_batch_entry_set(entry, th_buf_str(&batch->packed)));
    if (is_stored)
        view_batch_entry_settle(entry);
    batch->bytes += view_batch_entry_bytes(entry) - was;
    batch->touched_bytes += view_batch_entry_bytes(entry) - was;
    return TH_OK;
}

static enum th_code pack_row(struct view_batch *batch, enum view_table_id id,
                             const struct view_batch_entry *entry)
{
    th_buf_clear(&batch->packed);
    view_pack(view_table(id), entry->entry.row, &batch->packed);
    return th_buf_status(&batch->packed);
}

/* What the store has said of it. */
static enum th_code remember(struct view_batch *batch, enum view_table_id id,
                             struct view_batch_entry *entry)
{
    if (entry->entry.is_found) {
        TH_TRY(pack_row(batch, id, entry));
        TH_TRY(set_packed(batch, entry, true));
    }
    entry->is_loaded = true;
    return TH_OK;
}

static enum th_code load_table(struct view_batch *batch, enum view_table_id id)
{
    struct view_batch_table *table = &batch->tables[id];
    size_t first = table->loaded_n;

    if (table->live.n == first)
        return TH_OK;
    size_t wanted_n = 0;
    struct view_entry **wanted =
        th_arena_array(&batch->arena, table->live.n - first, sizeof(struct view_entry *));
    if (!wanted)
        return TH_NOMEM;
    for (size_t i = first; i < table->live.n; i++)
        if (!table->live.at[i]->is_loaded)
            wanted[wanted_n++] = &table->live.at[i]->entry;
    if (wanted_n)
        TH_TRY(batch->store->ops->load(batch->store, id, wanted, wanted_n, &batch->arena,
                                       &batch->err));
    for (size_t i = first; i < table->live.n; i++)
        if (!table->live.at[i]->is_loaded)
            TH_TRY(remember(batch, id, table->live.at[i]));
    table->loaded_n = table->live.n;
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
    struct view_batch_entry *entry;

    *out_row = NULL;
    TH_TRY(find_or_add(batch, id, key, &entry));
    TH_TRY(take_up(batch, id, entry, log_part));
    if (batch->is_touching)
        return TH_OK;
    entry->is_wanted = true;
    if (!entry->is_loaded) {
        struct view_entry *one = &entry->entry;
        TH_TRY(batch->store->ops->load(batch->store, id, &one, 1, &batch->arena, &batch->err));
        TH_TRY(remember(batch, id, entry));
    }
    *out_row = entry->entry.row;
    return TH_OK;
}

/* --- packing ------------------------------------------------------------------------------- */

/* Rows of counts vanish when nothing is counted any more; else a rebuild would differ. */
static bool is_empty(enum view_table_id id, const void *row)
{
    if (id == VIEW_TABLE_CAMPAIGN_COUNTERS)
        return ((const struct campaign_counters_row *)row)->n == 0;
    if (id == VIEW_TABLE_CAMPAIGN_COSTS)
        return ((const struct campaign_costs_row *)row)->n == 0;
    return false;
}

/* A price comes last. */
static bool is_done(enum view_table_id id, const void *row)
{
    const struct attempts_row *attempt = row;

    return id == VIEW_TABLE_ATTEMPTS && attempt->priced_at && attempt->status_is_final;
}

static enum th_code pack_table(struct view_batch *batch, enum view_table_id id)
{
    struct view_batch_table *table = &batch->tables[id];

    for (size_t i = 0; i < table->live.n; i++) {
        struct view_batch_entry *entry = table->live.at[i];
        if (entry->is_wanted) {
            TH_TRY(pack_row(batch, id, entry));
            entry->is_empty = is_empty(id, entry->entry.row);
            entry->is_done = is_done(id, entry->entry.row);
            if (!th_str_eq(th_buf_str(&batch->packed), entry->entry.packed))
                TH_TRY(set_packed(batch, entry, false));
        }
        entry->entry.row = NULL;
    }
    table->live.n = table->loaded_n = 0;
    return TH_OK;
}

enum th_code view_batch_pack(struct view_batch *batch)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        TH_TRY(pack_table(batch, id));
    th_arena_reset(&batch->arena);
    shrink(batch);
    return TH_OK;
}

/* --- texts --------------------------------------------------------------------------------- */

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

static void mark(struct view_batch_entry *entry)
{
    struct view_entry *row = &entry->entry;

    row->is_deleted = row->is_changed = false;
    if (!entry->is_wanted)
        return;
    assert(entry->is_loaded);
    row->is_deleted = entry->is_empty && row->is_found;
    row->is_changed = entry->is_empty ? row->is_found
                                      : !row->is_found || (entry->before.p &&
                                                           !th_str_eq(entry->before, row->packed));
}

static int cmp_entries(const void *a, const void *b)
{
    const struct view_entry *const *x = a;
    const struct view_entry *const *y = b;

    return view_packed_cmp((*x)->packed, (*y)->packed);
}

enum th_code view_batch_change(struct view_batch *batch, struct view_change *out)
{
    TH_TRY(view_batch_pack(batch));
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        const struct view_batch_list *touched = &batch->tables[id].touched;
        struct view_entries *entries = &out->tables[id];

        *entries = (struct view_entries){0};
        if (touched->n == 0)
            continue;
        entries->at = th_arena_array(&batch->arena, touched->n, sizeof(struct view_entry *));
        if (!entries->at)
            return TH_NOMEM;
        for (size_t i = 0; i < touched->n; i++) {
            mark(touched->at[i]);
            if (touched->at[i]->entry.is_changed)
                entries->at[entries->n++] = &touched->at[i]->entry;
        }
        /* Two slots never write one row; sorted all the same, so that tools that do cannot end in
         * a deadlock. */
        qsort(entries->at, entries->n, sizeof(struct view_entry *), cmp_entries);
    }
    return TH_OK;
}
