#include "processors/materialize/packed_store.h"

#include <assert.h>
#include <string.h>

#include "common/eventlog/name_index.h"
#include "common/hash.h"

#define COLUMNS_MAX 24
#define BLOCK_ROWS  ((size_t)4096)
#define PLACES_MIN  ((size_t)1024)

/* What outcomes and costs are decided by. The key's columns first. */
static const char *const sends_columns[] = {"send",
                                            "outcome",
                                            "reason",
                                            "attempts",
                                            "attempt_outcome",
                                            "attempt_reason",
                                            "attempt_at",
                                            "status",
                                            "status_rank",
                                            "status_is_final",
                                            "status_reason",
                                            "status_provider_at",
                                            "status_at",
                                            "reached_at",
                                            "moved_on",
                                            "ended_attempt",
                                            "ended_reason",
                                            "ended_at",
                                            "suppressed_reason",
                                            "suppressed_at",
                                            NULL};
static const char *const attempts_columns[] = {"send",
                                               "n",
                                               "started_at",
                                               "outcome",
                                               "outcome_reason",
                                               "outcome_at",
                                               "estimate_micros",
                                               "estimate_currency",
                                               "price_micros",
                                               "price_currency",
                                               "priced_at",
                                               NULL};

/* A kept column: where it lies in the row's struct, and in the packed row. */
struct packed_column {
    enum view_type type;
    size_t at;
    size_t packed_at;
};

struct packed_table {
    struct packed_column columns[COLUMNS_MAX];
    size_t columns_n;
    size_t key_size; /* bytes; the packed row begins with them */
    size_t size;     /* of a packed row */
    char **blocks;   /* of BLOCK_ROWS rows each */
    size_t blocks_n;
    size_t blocks_cap;
    size_t n;
    uint32_t *places; /* row + 1 by the hash of the key; 0: free */
    size_t places_n;  /* a power of two, or 0 */
};

struct packed_store {
    struct view_store store; /* first */
    struct packed_table sends;
    struct packed_table attempts;
    struct th_arena texts;
    struct th_str *text; /* by number, from 1 on */
    size_t text_n;
    size_t text_cap;
    struct name_index text_index;
};

/* --- columns -------------------------------------------------------------------------------- */

static size_t width_of(enum view_type type)
{
    switch (type) {
    case VIEW_UUID:
        return sizeof(struct th_id);
    case VIEW_TEXT:
    case VIEW_BYTES:
        return sizeof(uint32_t); /* the text's number */
    case VIEW_INT4:
        return sizeof(int32_t);
    case VIEW_INT8:
    case VIEW_TIME:
        return sizeof(int64_t);
    case VIEW_BOOL:
        return sizeof(bool);
    }
    return 0;
}

static const struct view_column *column_named(const struct view_table *view, const char *name)
{
    for (size_t i = 0; i < view->columns_n; i++)
        if (strcmp(view->columns[i].name, name) == 0)
            return &view->columns[i];
    return NULL;
}

static void describe(struct packed_table *table, enum view_table_id id, const char *const *names)
{
    const struct view_table *view = view_table(id);

    for (size_t i = 0; names[i]; i++) {
        const struct view_column *column = column_named(view, names[i]);
        assert(column && i < COLUMNS_MAX);
        assert(column->is_key == (i < view->keys_n));
        table->columns[i] = (struct packed_column){column->type, column->at, table->size};
        table->size += width_of(column->type);
        table->columns_n++;
        if (column->is_key)
            table->key_size = table->size;
    }
}

static struct packed_table *table_of(struct packed_store *store, enum view_table_id id)
{
    if (id == VIEW_TABLE_SENDS)
        return &store->sends;
    return id == VIEW_TABLE_ATTEMPTS ? &store->attempts : NULL;
}

static const struct packed_table *table_in(const struct packed_store *store, enum view_table_id id)
{
    assert(id == VIEW_TABLE_SENDS || id == VIEW_TABLE_ATTEMPTS);
    return id == VIEW_TABLE_SENDS ? &store->sends : &store->attempts;
}

/* --- texts, each once ------------------------------------------------------------------------- */

static enum th_code number_text(struct packed_store *store, struct th_str text, uint32_t *out)
{
    uint64_t hash = th_hash64(text, 0);
    size_t at = 0;
    size_t found;

    *out = 0;
    if (text.n == 0)
        return TH_OK;
    while (name_index_next(&store->text_index, hash, &at, &found))
        if (th_str_eq(store->text[found], text)) {
            *out = (uint32_t)found + 1;
            return TH_OK;
        }
    if (store->texts.used + text.n > PACKED_TEXTS_MAX)
        return TH_FULL;
    TH_TRY(name_index_reserve(&store->text_index));
    if (store->text_n == store->text_cap) {
        size_t cap = store->text_cap ? 2 * store->text_cap : 64;
        struct th_str *grown = reallocarray(store->text, cap, sizeof *grown);
        if (!grown)
            return TH_NOMEM;
        store->text = grown;
        store->text_cap = cap;
    }
    TH_TRY(th_arena_copy(&store->texts, text, &store->text[store->text_n]));
    name_index_add(&store->text_index, hash, store->text_n);
    *out = (uint32_t)++store->text_n;
    return TH_OK;
}

/* --- packing ---------------------------------------------------------------------------------- */

/* The first n columns. */
static enum th_code pack(struct packed_store *store, const struct packed_table *table, size_t n,
                         const void *row, char *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct packed_column *column = &table->columns[i];
        const char *from = (const char *)row + column->at;
        char *to = out + column->packed_at;
        struct th_str text;
        uint32_t number;

        if (column->type != VIEW_TEXT && column->type != VIEW_BYTES) {
            memcpy(to, from, width_of(column->type));
            continue;
        }
        memcpy(&text, from, sizeof text);
        TH_TRY(number_text(store, text, &number));
        memcpy(to, &number, sizeof number);
    }
    return TH_OK;
}

static void unpack(const struct packed_store *store, const struct packed_table *table,
                   const char *packed, void *row)
{
    for (size_t i = 0; i < table->columns_n; i++) {
        const struct packed_column *column = &table->columns[i];
        const char *from = packed + column->packed_at;
        char *to = (char *)row + column->at;
        struct th_str text = {NULL, 0};
        uint32_t number;

        if (column->type != VIEW_TEXT && column->type != VIEW_BYTES) {
            memcpy(to, from, width_of(column->type));
            continue;
        }
        memcpy(&number, from, sizeof number);
        if (number)
            text = store->text[number - 1];
        memcpy(to, &text, sizeof text);
    }
}

/* --- finding ---------------------------------------------------------------------------------- */

static char *row_at(const struct packed_table *table, size_t i)
{
    return table->blocks[i / BLOCK_ROWS] + (i % BLOCK_ROWS) * table->size;
}

/* The key's columns have no texts, so that packing them changes nothing. */
static void pack_key(const struct packed_table *table, const void *row, char *out)
{
    size_t at = 0;

    for (size_t i = 0; at < table->key_size; i++) {
        size_t width = width_of(table->columns[i].type);
        memcpy(out + at, (const char *)row + table->columns[i].at, width);
        at += width;
    }
}

#define KEY_SIZE_MAX 32

/* The place of the row with that key, or the free one where it belongs. */
static uint32_t *place_of(const struct packed_table *table, const char *key)
{
    size_t mask = table->places_n - 1;
    size_t i = (size_t)th_hash64((struct th_str){key, table->key_size}, 0) & mask;

    while (table->places[i] &&
           memcmp(row_at(table, table->places[i] - 1), key, table->key_size) != 0)
        i = (i + 1) & mask;
    return &table->places[i];
}

static char *find(const struct packed_table *table, const void *row)
{
    char key[KEY_SIZE_MAX];

    if (table->n == 0)
        return NULL;
    pack_key(table, row, key);
    uint32_t place = *place_of(table, key);
    return place ? row_at(table, place - 1) : NULL;
}

/* --- growing ---------------------------------------------------------------------------------- */

static enum th_code grow_places(struct packed_table *table)
{
    if (4 * (table->n + 1) <= 3 * table->places_n)
        return TH_OK;
    size_t places_n = table->places_n ? 2 * table->places_n : PLACES_MIN;
    uint32_t *places = calloc(places_n, sizeof *places);
    if (!places)
        return TH_NOMEM;
    free(table->places);
    table->places = places;
    table->places_n = places_n;
    for (size_t i = 0; i < table->n; i++)
        *place_of(table, row_at(table, i)) = (uint32_t)i + 1;
    return TH_OK;
}

static enum th_code grow_blocks(struct packed_table *table)
{
    if (table->n < table->blocks_n * BLOCK_ROWS)
        return TH_OK;
    if (table->blocks_n == table->blocks_cap) {
        size_t cap = table->blocks_cap ? 2 * table->blocks_cap : 16;
        char **blocks = reallocarray(table->blocks, cap, sizeof *blocks);
        if (!blocks)
            return TH_NOMEM;
        table->blocks = blocks;
        table->blocks_cap = cap;
    }
    char *block = calloc(BLOCK_ROWS, table->size);
    if (!block)
        return TH_NOMEM;
    table->blocks[table->blocks_n++] = block;
    return TH_OK;
}

static enum th_code put(struct packed_store *store, struct packed_table *table, const void *row)
{
    char *packed = find(table, row);

    if (packed)
        return pack(store, table, table->columns_n, row, packed);
    if (table->n == PACKED_ROWS_MAX)
        return TH_FULL;
    TH_TRY(grow_places(table));
    TH_TRY(grow_blocks(table));
    packed = row_at(table, table->n);
    TH_TRY(pack(store, table, table->columns_n, row, packed));
    *place_of(table, packed) = (uint32_t)++table->n;
    return TH_OK;
}

/* --- the fold's interface -----------------------------------------------------------------------
 */

static struct packed_store *self_of(struct view_store *store)
{
    return (struct packed_store *)store;
}

static enum th_code progress(struct view_store *store, struct view_step *steps, size_t n,
                             struct th_err *err)
{
    (void)store;
    (void)err;
    for (size_t i = 0; i < n; i++)
        steps[i].from = steps[i].to = 0;
    return TH_OK;
}

static enum th_code load(struct view_store *store, enum view_table_id id,
                         struct view_entry *const *entries, size_t n, struct th_arena *arena,
                         struct th_err *err)
{
    const struct packed_table *table = table_of(self_of(store), id);

    (void)arena;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        const char *packed = table ? find(table, entries[i]->row) : NULL;
        entries[i]->is_found = packed != NULL;
        if (packed)
            unpack(self_of(store), table, packed, entries[i]->row);
    }
    return TH_OK;
}

static enum th_code commit(struct view_store *store, const struct view_change *change,
                           struct th_err *err)
{
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++) {
        struct packed_table *table = table_of(self_of(store), id);

        for (size_t i = 0; table && i < change->tables[id].n; i++) {
            union view_any_row row;
            view_unpack(view_table(id), change->tables[id].at[i]->packed, &row);
            enum th_code code = put(self_of(store), table, &row);
            if (code != TH_OK)
                return th_fail(err, code, "%zu rows of %s in memory", table->n,
                               view_table(id)->name);
        }
    }
    return TH_OK;
}

static void close_store(struct view_store *store)
{
    (void)store; /* whoever made it reads on */
}

static const struct view_store_ops packed_ops = {
    .progress = progress, .load = load, .commit = commit, .close = close_store};

enum th_code packed_store_new(struct packed_store **out, struct th_err *err)
{
    struct packed_store *store = calloc(1, sizeof *store);

    if (!store)
        return th_fail(err, TH_NOMEM, "rows in memory");
    store->store.ops = &packed_ops;
    th_arena_init(&store->texts, 2 * PACKED_TEXTS_MAX);
    describe(&store->sends, VIEW_TABLE_SENDS, sends_columns);
    describe(&store->attempts, VIEW_TABLE_ATTEMPTS, attempts_columns);
    assert(store->sends.key_size <= KEY_SIZE_MAX && store->attempts.key_size <= KEY_SIZE_MAX);
    *out = store;
    return TH_OK;
}

static void table_fini(struct packed_table *table)
{
    for (size_t i = 0; i < table->blocks_n; i++)
        free(table->blocks[i]);
    free(table->blocks);
    free(table->places);
}

void packed_store_free(struct packed_store *store)
{
    if (!store)
        return;
    table_fini(&store->sends);
    table_fini(&store->attempts);
    name_index_fini(&store->text_index);
    free(store->text);
    th_arena_fini(&store->texts);
    free(store);
}

struct view_store *packed_store_view(struct packed_store *store)
{
    return &store->store;
}

bool packed_store_has(const struct packed_store *store, enum view_table_id id, const void *key)
{
    return find(table_in(store, id), key) != NULL;
}

size_t packed_store_count(const struct packed_store *store, enum view_table_id id)
{
    return table_in(store, id)->n;
}

void packed_store_row(const struct packed_store *store, enum view_table_id id, size_t i,
                      void *out_row)
{
    const struct packed_table *table = table_in(store, id);

    memset(out_row, 0, view_table(id)->row_size);
    unpack(store, table, row_at(table, i), out_row);
}

static void clear(struct packed_table *table)
{
    table->n = 0;
    if (table->places_n)
        memset(table->places, 0, table->places_n * sizeof *table->places);
}

void packed_store_clear(struct packed_store *store)
{
    clear(&store->sends);
    clear(&store->attempts);
}
