#include "processors/materialize/memory_store.h"

#include <string.h>

#define TEXTS_MAX ((size_t)64 * 1024)

/* A row and its texts. */
struct kept {
    struct th_arena texts;
    void *row;
};

struct kept_table {
    struct kept **at; /* sorted by key */
    size_t n;
    size_t cap;
};

struct memory_store {
    struct view_store store; /* first */
    struct kept_table tables[VIEW_TABLE_COUNT];
    int64_t next[TOPIC_COUNT][LOG_PARTITIONS_MAX];
    int fail_n;
    bool fail_is_done;
};

static struct memory_store *self_of(struct view_store *store)
{
    return (struct memory_store *)store;
}

static void kept_free(struct kept *kept)
{
    if (!kept)
        return;
    th_arena_fini(&kept->texts);
    free(kept->row);
    free(kept);
}

/* The first row that is not before key. */
static size_t lower_bound(const struct kept_table *table, const struct view_table *view,
                          const void *key)
{
    size_t low = 0;
    size_t high = table->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view_row_cmp(view, table->at[middle]->row, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct kept *find(const struct kept_table *table, const struct view_table *view,
                         const void *key)
{
    size_t i = lower_bound(table, view, key);

    return i < table->n && view_row_same_key(view, table->at[i]->row, key) ? table->at[i] : NULL;
}

/* --- the interface ------------------------------------------------------------------------- */

static enum th_code progress(struct view_store *store, struct view_step *steps, size_t n,
                             struct th_err *err)
{
    (void)err;
    for (size_t i = 0; i < n; i++)
        steps[i].from = steps[i].to = self_of(store)->next[steps[i].topic][steps[i].part];
    return TH_OK;
}

static enum th_code load(struct view_store *store, enum view_table_id id,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err)
{
    const struct view_table *view = view_table(id);

    for (size_t i = 0; i < n; i++) {
        const struct kept *kept = find(&self_of(store)->tables[id], view, entries[i]->row);
        entries[i]->is_found = kept != NULL;
        if (kept && view_row_copy(view, kept->row, arena, entries[i]->row) != TH_OK)
            return th_fail(err, TH_NOMEM, "rows of %s", view->name);
    }
    return TH_OK;
}

static enum th_code keep(const struct view_table *view, struct th_str packed, struct kept **out)
{
    struct kept *kept = calloc(1, sizeof *kept);
    struct th_str copy;

    if (!kept)
        return TH_NOMEM;
    th_arena_init(&kept->texts, TEXTS_MAX);
    kept->row = calloc(1, view->row_size);
    if (!kept->row || th_arena_copy(&kept->texts, packed, &copy) != TH_OK) {
        kept_free(kept);
        return TH_NOMEM;
    }
    view_unpack(view, copy, kept->row);
    *out = kept;
    return TH_OK;
}

static void take_out(struct kept_table *table, const struct view_table *view, struct th_str packed)
{
    union view_any_row row;

    view_unpack(view, packed, &row);
    size_t i = lower_bound(table, view, &row);
    if (i == table->n || !view_row_same_key(view, table->at[i]->row, &row))
        return;
    kept_free(table->at[i]);
    memmove(&table->at[i], &table->at[i + 1], (table->n - i - 1) * sizeof(void *));
    table->n--;
}

/* The table has room for one row more than it will need. */
static void put(struct kept_table *table, const struct view_table *view, struct kept *kept)
{
    size_t i = lower_bound(table, view, kept->row);

    if (i < table->n && view_row_same_key(view, table->at[i]->row, kept->row)) {
        kept_free(table->at[i]);
        table->at[i] = kept;
        return;
    }
    memmove(&table->at[i + 1], &table->at[i], (table->n - i) * sizeof(void *));
    table->at[i] = kept;
    table->n++;
}

static enum th_code reserve(struct kept_table *table, size_t more)
{
    size_t cap = table->cap ? table->cap : 64;

    while (cap - table->n < more)
        cap *= 2;
    if (cap == table->cap)
        return TH_OK;
    struct kept **at = reallocarray(table->at, cap, sizeof(void *));
    if (!at)
        return TH_NOMEM;
    table->at = at;
    table->cap = cap;
    return TH_OK;
}

/* What a change writes, made before anything is changed: what follows cannot fail. */
struct draft {
    struct kept **at; /* NULL where a row is deleted */
    size_t n;
};

static size_t count_entries(const struct view_change *change)
{
    size_t n = 0;

    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        n += change->tables[id].n;
    return n;
}

static void draft_fini(struct draft *draft)
{
    for (size_t i = 0; i < draft->n; i++)
        kept_free(draft->at[i]);
    free(draft->at);
}

static enum th_code draft_rows(struct memory_store *self, const struct view_change *change,
                               struct draft *draft)
{
    draft->at = calloc(count_entries(change) + 1, sizeof(void *));
    if (!draft->at)
        return TH_NOMEM;
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        TH_TRY(reserve(&self->tables[id], change->tables[id].n));
        for (size_t i = 0; i < change->tables[id].n; i++, draft->n++) {
            const struct view_entry *entry = change->tables[id].at[i];
            if (!entry->is_deleted)
                TH_TRY(keep(view_table(id), entry->packed, &draft->at[draft->n]));
        }
    }
    return TH_OK;
}

static enum th_code apply(struct memory_store *self, const struct view_change *change,
                          struct th_err *err)
{
    struct draft draft = {NULL, 0};
    size_t next = 0;

    if (draft_rows(self, change, &draft) != TH_OK) {
        draft_fini(&draft);
        return th_fail(err, TH_NOMEM, "rows of a batch");
    }
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        for (size_t i = 0; i < change->tables[id].n; i++, next++) {
            if (draft.at[next])
                put(&self->tables[id], view_table(id), draft.at[next]);
            else
                take_out(&self->tables[id], view_table(id), change->tables[id].at[i]->packed);
        }
    free(draft.at);
    for (size_t i = 0; i < change->steps_n; i++)
        self->next[change->steps[i].topic][change->steps[i].part] = change->steps[i].to;
    return TH_OK;
}

static enum th_code commit(struct view_store *store, const struct view_change *change,
                           struct th_err *err)
{
    struct memory_store *self = self_of(store);

    for (size_t i = 0; i < change->steps_n; i++)
        if (self->next[change->steps[i].topic][change->steps[i].part] != change->steps[i].from)
            return th_fail(err, TH_FENCED, "%s: somebody else is ahead",
                           topic_name(change->steps[i].topic));
    if (self->fail_n > 0) {
        self->fail_n--;
        if (self->fail_is_done)
            TH_TRY(apply(self, change, err));
        return th_fail(err, TH_UNAVAILABLE, "the answer was lost");
    }
    return apply(self, change, err);
}

static void close_store(struct view_store *store)
{
    struct memory_store *self = self_of(store);

    for (size_t id = 0; id < VIEW_TABLE_COUNT; id++) {
        for (size_t i = 0; i < self->tables[id].n; i++)
            kept_free(self->tables[id].at[i]);
        free(self->tables[id].at);
    }
    free(self);
}

static const struct view_store_ops memory_ops = {
    .progress = progress, .load = load, .commit = commit, .close = close_store};

enum th_code memory_store_new(struct view_store **out_store, struct th_err *err)
{
    struct memory_store *self = calloc(1, sizeof *self);

    if (!self)
        return th_fail(err, TH_NOMEM, "tables in memory");
    self->store.ops = &memory_ops;
    *out_store = &self->store;
    return TH_OK;
}

/* --- looking ------------------------------------------------------------------------------- */

static const struct kept_table *table_of(const struct view_store *store, enum view_table_id id)
{
    return &((const struct memory_store *)store)->tables[id];
}

size_t memory_store_count(const struct view_store *store, enum view_table_id table)
{
    return table_of(store, table)->n;
}

const void *memory_store_row(const struct view_store *store, enum view_table_id table, size_t i)
{
    return table_of(store, table)->at[i]->row;
}

const void *memory_store_find(const struct view_store *store, enum view_table_id table,
                              const void *key)
{
    const struct kept *kept = find(table_of(store, table), view_table(table), key);

    return kept ? kept->row : NULL;
}

static bool tables_equal(const struct view_table *view, const struct kept_table *a,
                         const struct kept_table *b, struct th_buf *why)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (view_row_equal(view, a->at[i]->row, b->at[i]->row))
            continue;
        if (why) {
            th_buf_printf(why, "%s row %zu:\n  ", view->name, i);
            view_row_print(view, a->at[i]->row, why);
            th_buf_printf(why, "\n  ");
            view_row_print(view, b->at[i]->row, why);
        }
        return false;
    }
    if (a->n != b->n && why)
        th_buf_printf(why, "%s: %zu rows, and %zu", view->name, a->n, b->n);
    return a->n == b->n;
}

bool memory_store_equal(const struct view_store *a, const struct view_store *b,
                        struct th_buf *out_why)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        if (!tables_equal(view_table(id), table_of(a, id), table_of(b, id), out_why))
            return false;
    return true;
}

void memory_store_fail(struct view_store *store, int n, bool is_done)
{
    self_of(store)->fail_n = n;
    self_of(store)->fail_is_done = is_done;
}
