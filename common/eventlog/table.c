#include "common/eventlog/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_PLACES    256
#define PLACES_MAX     ((size_t)1 << 24) /* a place and 8 bits of the hash share 32 bits */
#define INDEX_FIRST    16
#define SHIFT_FIRST    60 /* 64 - log2(INDEX_FIRST) */
#define LIST_FIRST     16
#define PASTS_KEPT_MAX 8192
#define BATCHES_MAX    ((uint32_t)1 << 24) /* then they are numbered anew */

/* Entries lie in pages and stay in their place; an index of 32 bits a piece finds them. So a table
 * that grows copies nothing but the index, and an entry costs 4 bytes and 6 to 11 of index. */
struct page {
    uint32_t batch[PAGE_PLACES]; /* the last one that touched the entry, from 1; 0: it is free */
    _Alignas(8) char entries[];  /* each begins with its id */
};

/* What a batch found when it first touched an id. */
struct past {
    uint32_t batch; /* of the entry then; 0: there was none, and only the id is kept here */
    uint32_t place; /* of the entry: it comes back there */
    char entry[];
};

/* What precedes a blob that is handed out. */
struct blob_head {
    struct blob_head *next; /* all of the table's blobs */
    struct blob_head *previous;
    _Alignas(struct blob) char blob[];
};

struct blob_list {
    struct blob_head **at;
    size_t n;
    size_t cap;
};

struct place_list {
    uint32_t *at;
    size_t n;
    size_t cap;
};

struct batch {
    char *pasts; /* in the order in which they were met */
    size_t n;
    size_t cap;
    struct place_list freed; /* nobody else's before the batch is durable */
    struct blob_list made;
    struct blob_list dropped;
};

struct table {
    size_t entry_size; /* a multiple of 8 */
    size_t entries_max;
    size_t past_size;
    struct page **pages;
    size_t pages_n;
    size_t pages_cap;
    size_t places;          /* that were ever used: those behind them are free */
    struct place_list free; /* and so are these; has room for all places */
    uint32_t *index;        /* 1 + place, then 8 bits of the hash; 0: empty */
    size_t cap;             /* of the index, a power of two */
    unsigned shift; /* where to look are the first bits of the hash: a piece lies together */
    size_t n;
    struct blob_head *blobs;
    struct batch batches[2];
    unsigned gathering; /* which of them; the other one is committing, if any is */
    bool is_committing;
    uint32_t batch;   /* number of the gathering one */
    uint32_t durable; /* what a later batch touched is not on the log yet */
};

static_assert(TABLE_PIECES == 256, "a piece is the first byte of the hash");

/* --- places --------------------------------------------------------------------------------- */

static char *entry_at(const struct table *table, uint32_t place)
{
    struct page *page = table->pages[place / PAGE_PLACES];

    return page->entries + place % PAGE_PLACES * table->entry_size;
}

static uint32_t *batch_at(const struct table *table, uint32_t place)
{
    return &table->pages[place / PAGE_PLACES]->batch[place % PAGE_PLACES];
}

static struct past *past_at(const struct table *table, const struct batch *batch, size_t i)
{
    return (struct past *)(batch->pasts + i * table->past_size);
}

static struct th_id id_of(const char *entry)
{
    struct th_id id;

    memcpy(&id, entry, sizeof id);
    return id;
}

static enum th_code reserve(void **at, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return TH_OK;
    size_t wider = *cap ? *cap * 2 : LIST_FIRST;
    void *p = reallocarray(*at, wider, size);
    if (!p)
        return TH_NOMEM;
    *at = p;
    *cap = wider;
    return TH_OK;
}

static enum th_code add_page(struct table *table)
{
    struct place_list *free_places = &table->free;
    size_t places = (table->pages_n + 1) * PAGE_PLACES;

    TH_TRY(
        reserve((void **)&table->pages, table->pages_n, &table->pages_cap, sizeof(struct page *)));
    uint32_t *at = reallocarray(free_places->at, places, sizeof *at);
    if (!at)
        return TH_NOMEM;
    free_places->at = at;
    free_places->cap = places;
    struct page *page = calloc(1, sizeof *page + PAGE_PLACES * table->entry_size);
    if (!page)
        return TH_NOMEM;
    table->pages[table->pages_n++] = page;
    return TH_OK;
}

static enum th_code reserve_place(struct table *table)
{
    return table->free.n > 0 || table->places < table->pages_n * PAGE_PLACES ? TH_OK
                                                                             : add_page(table);
}

static uint32_t take_place(struct table *table)
{
    struct place_list *free_places = &table->free;

    return free_places->n > 0 ? free_places->at[--free_places->n] : (uint32_t)table->places++;
}

/* There is room: a place is free once at most. */
static void give_place(struct table *table, uint32_t place)
{
    *batch_at(table, place) = 0;
    table->free.at[table->free.n++] = place;
}

/* --- the index ------------------------------------------------------------------------------ */

static size_t home_of(const struct table *table, uint64_t hash)
{
    return (size_t)(hash >> table->shift);
}

static uint32_t word_of(uint32_t place, uint64_t hash)
{
    return (place + 1) << 8 | (uint32_t)(hash & 0xff);
}

static uint32_t place_of(uint32_t word)
{
    return (word >> 8) - 1;
}

/* Where the index has the id, or the empty word where it would go: there always is one. */
static size_t seek(const struct table *table, struct th_id id, uint64_t hash)
{
    for (size_t i = home_of(table, hash);; i = (i + 1) & (table->cap - 1)) {
        uint32_t word = table->index[i];
        if (!word || ((word & 0xff) == (hash & 0xff) &&
                      memcmp(entry_at(table, place_of(word)), &id, sizeof id) == 0))
            return i;
    }
}

/* False: there is no such entry. */
static bool find(const struct table *table, struct th_id id, uint32_t *out_place)
{
    uint32_t word = table->index[seek(table, id, th_id_hash(id))];

    if (!word)
        return false;
    *out_place = place_of(word);
    return true;
}

/* At most three quarters full: runs stay short. */
static bool has_room(size_t cap, size_t n)
{
    return n <= cap / 4 * 3;
}

static size_t empty_from(const uint32_t *index, size_t cap, size_t home)
{
    while (index[home])
        home = (home + 1) & (cap - 1);
    return home;
}

static enum th_code widen_index(struct table *table, unsigned bits)
{
    size_t cap = table->cap << bits;
    unsigned shift = table->shift - bits;
    uint32_t *index = calloc(cap, sizeof *index);

    if (!index)
        return TH_NOMEM;
    for (size_t i = 0; i < table->cap; i++) {
        uint32_t word = table->index[i];
        if (!word)
            continue;
        uint64_t hash = th_id_hash(id_of(entry_at(table, place_of(word))));
        index[empty_from(index, cap, (size_t)(hash >> shift))] = word;
    }
    free(table->index);
    table->index = index;
    table->cap = cap;
    table->shift = shift;
    return TH_OK;
}

static enum th_code reserve_index(struct table *table, size_t n)
{
    unsigned bits = 0;

    while (!has_room(table->cap << bits, table->n + n))
        bits++;
    return bits > 0 ? widen_index(table, bits) : TH_OK;
}

static void index_add(struct table *table, struct th_id id, uint32_t place)
{
    uint64_t hash = th_id_hash(id);

    table->index[empty_from(table->index, table->cap, home_of(table, hash))] = word_of(place, hash);
    table->n++;
}

/* Those behind it move up until one is where it belongs: no gap divides an id from its home. */
static void index_remove(struct table *table, struct th_id id)
{
    size_t mask = table->cap - 1;
    size_t hole = seek(table, id, th_id_hash(id));

    assert(table->index[hole]);
    for (size_t i = (hole + 1) & mask; table->index[i]; i = (i + 1) & mask) {
        uint64_t hash = th_id_hash(id_of(entry_at(table, place_of(table->index[i]))));
        if (((i - home_of(table, hash)) & mask) < ((i - hole) & mask))
            continue;
        table->index[hole] = table->index[i];
        hole = i;
    }
    table->index[hole] = 0;
    table->n--;
}

/* --- the past ------------------------------------------------------------------------------- */

static struct batch *gathering(struct table *table)
{
    return &table->batches[table->gathering];
}

static const struct batch *committing(const struct table *table)
{
    return &table->batches[table->gathering ^ 1];
}

static enum th_code reserve_past(struct table *table)
{
    struct batch *batch = gathering(table);

    return reserve((void **)&batch->pasts, batch->n, &batch->cap, table->past_size);
}

/* Remember the entry as it is; room was reserved. */
static void remember(struct table *table, uint32_t place)
{
    struct batch *batch = gathering(table);
    struct past *past = past_at(table, batch, batch->n++);

    past->batch = *batch_at(table, place);
    past->place = place;
    memcpy(past->entry, entry_at(table, place), table->entry_size);
}

static void remember_absent(struct table *table, struct th_id id, uint32_t place)
{
    struct batch *batch = gathering(table);
    struct past *past = past_at(table, batch, batch->n++);

    memset(past, 0, table->past_size);
    past->place = place;
    memcpy(past->entry, &id, sizeof id);
}

/* Undone from the last to the first, the first past of an id has the last word. An entry that was
 * removed finds its place free: such places are given away only when the batch is durable. */
static void bring_back(struct table *table, const struct past *past)
{
    struct th_id id = id_of(past->entry);
    uint32_t *batch = batch_at(table, past->place);

    if (past->batch) {
        if (!*batch)
            index_add(table, id, past->place);
        memcpy(entry_at(table, past->place), past->entry, table->entry_size);
        *batch = past->batch;
    } else if (*batch) {
        index_remove(table, id);
        give_place(table, past->place);
    }
}

/* --- blobs ---------------------------------------------------------------------------------- */

static struct blob_head *head_of(struct blob *blob)
{
    return (struct blob_head *)((char *)blob - offsetof(struct blob_head, blob));
}

static enum th_code reserve_blob(struct blob_list *list)
{
    return reserve((void **)&list->at, list->n, &list->cap, sizeof(struct blob_head *));
}

static void free_blob(struct table *table, struct blob_head *head)
{
    if (head->previous)
        head->previous->next = head->next;
    else
        table->blobs = head->next;
    if (head->next)
        head->next->previous = head->previous;
    free(head);
}

static void free_blobs(struct table *table, struct blob_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free_blob(table, list->at[i]);
    list->n = 0;
}

enum th_code table_blob(struct table *table, struct th_str bytes, struct blob **out_blob)
{
    struct blob_list *made = &gathering(table)->made;

    assert(bytes.n <= UINT32_MAX);
    TH_TRY(reserve_blob(made));
    struct blob_head *head = malloc(sizeof *head + offsetof(struct blob, bytes) + bytes.n);
    if (!head)
        return TH_NOMEM;
    *head = (struct blob_head){.next = table->blobs};
    if (table->blobs)
        table->blobs->previous = head;
    table->blobs = head;
    made->at[made->n++] = head;

    struct blob *blob = (struct blob *)head->blob;
    blob->n = (uint32_t)bytes.n;
    blob->is_dropped = false;
    if (bytes.n)
        memcpy(blob->bytes, bytes.p, bytes.n);
    *out_blob = blob;
    return TH_OK;
}

enum th_code table_drop(struct table *table, struct blob *blob)
{
    struct blob_list *dropped = &gathering(table)->dropped;

    if (!blob)
        return TH_OK;
    struct blob_head *head = head_of(blob);
    assert(!blob->is_dropped);
    TH_TRY(reserve_blob(dropped));
    blob->is_dropped = true;
    dropped->at[dropped->n++] = head;
    return TH_OK;
}

/* --- making --------------------------------------------------------------------------------- */

struct table *table_new(size_t entry_size, size_t entries_max)
{
    assert(entry_size >= sizeof(struct th_id));
    assert(entries_max < PLACES_MAX / 2); /* the other half: places that are not given away yet */
    struct table *table = calloc(1, sizeof *table);

    if (!table)
        return NULL;
    *table = (struct table){
        .entry_size = (entry_size + 7) & ~(size_t)7,
        .entries_max = entries_max,
        .cap = INDEX_FIRST,
        .shift = SHIFT_FIRST,
        .batch = 1,
    };
    table->past_size = sizeof(struct past) + table->entry_size;
    table->index = calloc(table->cap, sizeof *table->index);
    if (!table->index) {
        free(table);
        return NULL;
    }
    return table;
}

static void free_pages(struct table *table, size_t kept)
{
    while (table->pages_n > kept)
        free(table->pages[--table->pages_n]);
}

void table_free(struct table *table)
{
    if (!table)
        return;
    while (table->blobs)
        free_blob(table, table->blobs);
    for (size_t i = 0; i < TH_LEN(table->batches); i++) {
        free(table->batches[i].pasts);
        free(table->batches[i].freed.at);
        free(table->batches[i].made.at);
        free(table->batches[i].dropped.at);
    }
    free_pages(table, 0);
    free(table->pages);
    free(table->free.at);
    free(table->index);
    free(table);
}

size_t table_count(const struct table *table)
{
    return table->n;
}

/* --- entries -------------------------------------------------------------------------------- */

const void *table_get(const struct table *table, struct th_id id)
{
    uint32_t place;

    return find(table, id, &place) ? entry_at(table, place) : NULL;
}

bool table_place(const struct table *table, struct th_id id, uint32_t *out_place)
{
    return find(table, id, out_place);
}

const void *table_at(const struct table *table, uint32_t place)
{
    assert(place < table->places);
    return entry_at(table, place);
}

enum th_code table_edit(struct table *table, struct th_id id, void **out_entry)
{
    uint32_t place;

    if (!find(table, id, &place))
        return TH_NOT_FOUND;
    if (*batch_at(table, place) != table->batch) {
        TH_TRY(reserve_past(table));
        remember(table, place);
        *batch_at(table, place) = table->batch;
    }
    *out_entry = entry_at(table, place);
    return TH_OK;
}

enum th_code table_insert(struct table *table, struct th_id id, void **out_entry)
{
    uint32_t place;

    if (find(table, id, &place))
        return TH_CONFLICT;
    if (table->n >= table->entries_max || table->places >= PLACES_MAX - 1)
        return TH_FULL;
    TH_TRY(reserve_index(table, 1));
    TH_TRY(reserve_place(table));
    TH_TRY(reserve_past(table));

    place = take_place(table);
    remember_absent(table, id, place);
    *batch_at(table, place) = table->batch;
    char *entry = entry_at(table, place);
    memset(entry, 0, table->entry_size);
    memcpy(entry, &id, sizeof id);
    index_add(table, id, place);
    *out_entry = entry;
    return TH_OK;
}

enum th_code table_expect(struct table *table, size_t n)
{
    size_t room = table->entries_max - table->n;

    return reserve_index(table, n < room ? n : room);
}

enum th_code table_remove(struct table *table, struct th_id id)
{
    struct place_list *freed = &gathering(table)->freed;
    uint32_t place;

    if (!find(table, id, &place))
        return TH_NOT_FOUND;
    TH_TRY(reserve((void **)&freed->at, freed->n, &freed->cap, sizeof *freed->at));
    if (*batch_at(table, place) != table->batch) { /* else this batch remembers it already */
        TH_TRY(reserve_past(table));
        remember(table, place);
    }
    index_remove(table, id);
    *batch_at(table, place) = 0;
    freed->at[freed->n++] = place;
    return TH_OK;
}

const void *table_next(const struct table *table, size_t *at)
{
    while (*at < table->places) {
        uint32_t place = (uint32_t)(*at)++;
        if (*batch_at(table, place))
            return entry_at(table, place);
    }
    return NULL;
}

/* --- batches -------------------------------------------------------------------------------- */

void table_close(struct table *table)
{
    assert(!table->is_committing);
    table->is_committing = true;
    table->gathering ^= 1;
    table->batch++;
}

/* One large batch must not be remembered for ever. */
static void settle_pasts(struct batch *batch)
{
    if (batch->cap > PASTS_KEPT_MAX) {
        free(batch->pasts);
        batch->pasts = NULL;
        batch->cap = 0;
    }
    batch->n = 0;
}

/* Every entry was touched by a durable batch or by the gathering one. */
static void number_anew(struct table *table)
{
    struct batch *batch = gathering(table);

    for (uint32_t place = 0; place < table->places; place++) {
        uint32_t *touched = batch_at(table, place);
        if (*touched)
            *touched = *touched == table->batch ? 2 : 1;
    }
    for (size_t i = 0; i < batch->n; i++) {
        struct past *past = past_at(table, batch, i);
        if (past->batch)
            past->batch = 1;
    }
    table->batch = 2;
    table->durable = 1;
}

/* What a great many entries needed is given back when the last of them has gone. */
static void shrink(struct table *table)
{
    if (table->n > 0 || gathering(table)->n > 0 || table->places <= PAGE_PLACES)
        return;
    free_pages(table, 1);
    table->places = 0;
    table->free.n = 0;
}

void table_forget(struct table *table)
{
    assert(table->is_committing);
    struct batch *batch = &table->batches[table->gathering ^ 1];

    settle_pasts(batch);
    for (size_t i = 0; i < batch->freed.n; i++)
        give_place(table, batch->freed.at[i]);
    batch->freed.n = 0;
    batch->made.n = 0;
    free_blobs(table, &batch->dropped);
    table->is_committing = false;
    table->durable = table->batch - 1;
    if (table->batch >= BATCHES_MAX)
        number_anew(table);
    shrink(table);
}

/* What the batch itself made and removed has no past that would bring it back. */
static void give_freed(struct table *table, struct batch *batch)
{
    for (size_t i = 0; i < batch->freed.n; i++)
        if (!*batch_at(table, batch->freed.at[i]))
            give_place(table, batch->freed.at[i]);
    batch->freed.n = 0;
}

static void undo(struct table *table, struct batch *batch)
{
    while (batch->n)
        bring_back(table, past_at(table, batch, --batch->n));
    give_freed(table, batch);
    for (size_t i = 0; i < batch->dropped.n; i++)
        ((struct blob *)batch->dropped.at[i]->blob)->is_dropped = false;
    batch->dropped.n = 0;
    free_blobs(table, &batch->made);
}

void table_undo(struct table *table)
{
    undo(table, gathering(table));
    if (table->is_committing)
        undo(table, &table->batches[table->gathering ^ 1]);
    table->is_committing = false;
}

/* --- snapshots ------------------------------------------------------------------------------ */

int table_piece(struct th_id id)
{
    return (int)(th_id_hash(id) >> 56);
}

/* The first past of an id; NULL: the batch did not touch it. */
static const struct past *past_of(const struct table *table, const struct batch *batch,
                                  struct th_id id)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct past *past = past_at(table, batch, i);
        if (memcmp(past->entry, &id, sizeof id) == 0)
            return past;
    }
    return NULL;
}

const void *table_get_durable(const struct table *table, struct th_id id)
{
    uint32_t place;

    if (find(table, id, &place) && *batch_at(table, place) <= table->durable)
        return entry_at(table, place);
    const struct past *past = past_of(table, committing(table), id);
    if (!past)
        past = past_of(table, &table->batches[table->gathering], id);
    return past && past->batch ? past->entry : NULL;
}

/* An id's state before the batches that are not durable. */
struct state {
    const char *entry;
    bool is_there;
    size_t age; /* of several pasts of an id the oldest, 0, counts */
};

struct states {
    const struct table *table;
    int piece;
    struct state *at; /* NULL while they are only counted */
    size_t n;
};

static void add_state(struct states *states, const char *entry, bool is_there)
{
    if (table_piece(id_of(entry)) != states->piece)
        return;
    if (states->at)
        states->at[states->n] = (struct state){entry, is_there, states->n};
    states->n++;
}

/* From the first home of the piece to behind its last one, where the run that lies there ends. A
 * run at the end of the table goes on at its beginning. */
static void add_untouched(struct states *states)
{
    const struct table *table = states->table;
    uint64_t first_hash = (uint64_t)states->piece << 56;
    size_t first = (size_t)(first_hash >> table->shift);
    size_t last = (size_t)((first_hash | UINT64_MAX >> 8) >> table->shift);

    for (size_t i = first; i < first + table->cap; i++) {
        uint32_t word = table->index[i & (table->cap - 1)];
        if (!word && i >= last)
            break;
        if (word && *batch_at(table, place_of(word)) <= table->durable)
            add_state(states, entry_at(table, place_of(word)), true);
    }
}

static void add_pasts(struct states *states, const struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        const struct past *past = past_at(states->table, batch, i);
        add_state(states, past->entry, past->batch != 0);
    }
}

static void add_states(struct states *states)
{
    const struct table *table = states->table;

    states->n = 0;
    add_untouched(states);
    add_pasts(states, committing(table)); /* empty if none is committing */
    add_pasts(states, &table->batches[table->gathering]);
}

static int compare_states(const void *a_, const void *b_)
{
    const struct state *a = a_;
    const struct state *b = b_;
    int order = memcmp(a->entry, b->entry, sizeof(struct th_id));

    return order ? order : (a->age > b->age) - (a->age < b->age);
}

static enum th_code visit(const struct states *states,
                          enum th_code (*each)(void *arg, const void *entry), void *arg)
{
    for (size_t i = 0; i < states->n; i++) {
        const struct state *state = &states->at[i];
        bool is_older_known =
            i > 0 && memcmp(state[-1].entry, state->entry, sizeof(struct th_id)) == 0;
        if (state->is_there && !is_older_known)
            TH_TRY(each(arg, state->entry));
    }
    return TH_OK;
}

enum th_code table_each_durable(const struct table *table, int piece,
                                enum th_code (*each)(void *arg, const void *entry), void *arg)
{
    struct states states = {.table = table, .piece = piece};

    assert(piece >= 0 && piece < TABLE_PIECES);
    add_states(&states);
    if (states.n == 0)
        return TH_OK;
    TH_AUTO(free) void *memory = calloc(states.n, sizeof *states.at);
    if (!memory)
        return TH_NOMEM;
    states.at = memory;
    add_states(&states);
    qsort(states.at, states.n, sizeof *states.at, compare_states);
    return visit(&states, each, arg);
}
