#include "common/eventlog/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CAP_FIRST   16
#define SHIFT_FIRST 60 /* 64 - log2(CAP_FIRST) */

/* One place of the hash table. */
struct slot {
    uint64_t batch; /* the last one that touched it, from 1; 0: the slot is empty */
    char entry[];   /* begins with its id */
};

/* What a batch found when it first touched an id. */
struct past {
    uint64_t batch; /* of the slot then; 0: there was no entry, and only the id is kept here */
    char entry[];
};

/* What precedes a blob that is handed out. */
struct blob_head {
    struct blob_head *next; /* all of the table's blobs */
    struct blob_head *previous;
    const struct table *table;
    bool is_dropped;
    _Alignas(struct blob) char blob[];
};

struct blob_list {
    struct blob_head **at;
    size_t n;
    size_t cap;
};

struct batch {
    char *pasts; /* in the order in which they were met */
    size_t n;
    size_t cap;
    struct blob_list made;
    struct blob_list dropped;
};

struct table {
    size_t entry_size;
    size_t entries_max;
    size_t slot_size; /* of a past, too */
    char *slots;
    size_t cap;     /* a power of two */
    unsigned shift; /* an index is the first bits of the hash: so a piece lies together */
    size_t n;
    struct blob_head *blobs;
    struct batch batches[2];
    unsigned gathering; /* which of them; the other one is committing, if any is */
    bool is_committing;
    uint64_t batch;   /* number of the gathering one */
    uint64_t durable; /* what a later batch touched is not on the log yet */
};

static_assert(sizeof(struct slot) == sizeof(struct past), "one size for both");
static_assert(TABLE_PIECES == 256, "a piece is the first byte of the hash");

/* --- slots ---------------------------------------------------------------------------------- */

static struct slot *slot_at(const struct table *table, size_t i)
{
    return (struct slot *)(table->slots + i * table->slot_size);
}

static struct past *past_at(const struct table *table, const struct batch *batch, size_t i)
{
    return (struct past *)(batch->pasts + i * table->slot_size);
}

static struct th_id id_of(const char *entry)
{
    struct th_id id;

    memcpy(&id, entry, sizeof id);
    return id;
}

static size_t home_of(const struct table *table, struct th_id id)
{
    return (size_t)(th_id_hash(id) >> table->shift);
}

/* The slot of an id, or the empty one where it would go: there always is one. */
static struct slot *seek(const struct table *table, struct th_id id)
{
    for (size_t i = home_of(table, id);; i = (i + 1) & (table->cap - 1)) {
        struct slot *slot = slot_at(table, i);
        if (!slot->batch || memcmp(slot->entry, &id, sizeof id) == 0)
            return slot;
    }
}

/* At most three quarters full: runs stay short. */
static bool has_room(size_t cap, size_t n)
{
    return n <= cap / 4 * 3;
}

static enum th_code reserve_slot(struct table *table)
{
    struct table bigger = *table;

    if (has_room(table->cap, table->n + 1))
        return TH_OK;
    bigger.cap *= 2;
    bigger.shift--;
    bigger.slots = calloc(bigger.cap, table->slot_size);
    if (!bigger.slots)
        return TH_NOMEM;
    for (size_t i = 0; i < table->cap; i++) {
        const struct slot *slot = slot_at(table, i);
        if (slot->batch)
            memcpy(seek(&bigger, id_of(slot->entry)), slot, table->slot_size);
    }
    free(table->slots);
    *table = bigger;
    return TH_OK;
}

/* Close the hole by moving back what had probed past it (Knuth, TAOCP vol. 3, 6.4, algorithm R),
 * so that there are no tombstones. */
static void empty_slot(struct table *table, struct slot *slot)
{
    size_t mask = table->cap - 1;
    size_t hole = (size_t)((char *)slot - table->slots) / table->slot_size;

    for (size_t i = (hole + 1) & mask;; i = (i + 1) & mask) {
        const struct slot *next = slot_at(table, i);
        if (!next->batch)
            break;
        size_t home = home_of(table, id_of(next->entry));
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* it lies between its home and here: the hole is not in its way */
        memcpy(slot_at(table, hole), next, table->slot_size);
        hole = i;
    }
    slot_at(table, hole)->batch = 0;
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

    if (batch->n < batch->cap)
        return TH_OK;
    size_t cap = batch->cap ? batch->cap * 2 : CAP_FIRST;
    char *pasts = reallocarray(batch->pasts, cap, table->slot_size);
    if (!pasts)
        return TH_NOMEM;
    batch->pasts = pasts;
    batch->cap = cap;
    return TH_OK;
}

/* Remember the slot as it is; place was reserved. */
static void remember(struct table *table, const struct slot *slot)
{
    struct batch *batch = gathering(table);

    memcpy(past_at(table, batch, batch->n++), slot, table->slot_size);
}

static void remember_absent(struct table *table, struct th_id id)
{
    struct batch *batch = gathering(table);
    struct past *past = past_at(table, batch, batch->n++);

    memset(past, 0, table->slot_size);
    memcpy(past->entry, &id, sizeof id);
}

/* Undone from the last to the first, the first past of an id has the last word, and the table is
 * never fuller than it once was: there is room for what comes back. */
static void bring_back(struct table *table, const struct past *past)
{
    struct slot *slot = seek(table, id_of(past->entry));

    if (past->batch) {
        table->n += slot->batch == 0;
        memcpy(slot, past, table->slot_size);
    } else if (slot->batch) {
        empty_slot(table, slot);
    }
}

/* --- blobs ---------------------------------------------------------------------------------- */

static struct blob_head *head_of(struct blob *blob)
{
    return (struct blob_head *)((char *)blob - offsetof(struct blob_head, blob));
}

static enum th_code reserve_blob(struct blob_list *list)
{
    if (list->n < list->cap)
        return TH_OK;
    size_t cap = list->cap ? list->cap * 2 : CAP_FIRST;
    struct blob_head **at = reallocarray(list->at, cap, sizeof(struct blob_head *));
    if (!at)
        return TH_NOMEM;
    list->at = at;
    list->cap = cap;
    return TH_OK;
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

    TH_TRY(reserve_blob(made));
    struct blob_head *head = malloc(sizeof *head + sizeof(struct blob) + bytes.n);
    if (!head)
        return TH_NOMEM;
    *head = (struct blob_head){.next = table->blobs, .table = table};
    if (table->blobs)
        table->blobs->previous = head;
    table->blobs = head;
    made->at[made->n++] = head;

    struct blob *blob = (struct blob *)head->blob;
    blob->n = bytes.n;
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
    assert(head->table == table);
    assert(!head->is_dropped);
    TH_TRY(reserve_blob(dropped));
    head->is_dropped = true;
    dropped->at[dropped->n++] = head;
    return TH_OK;
}

/* --- making --------------------------------------------------------------------------------- */

struct table *table_new(size_t entry_size, size_t entries_max)
{
    assert(entry_size >= sizeof(struct th_id));
    struct table *table = calloc(1, sizeof *table);

    if (!table)
        return NULL;
    *table = (struct table){
        .entry_size = entry_size,
        .entries_max = entries_max,
        .slot_size = (sizeof(struct slot) + entry_size + 7) & ~(size_t)7,
        .cap = CAP_FIRST,
        .shift = SHIFT_FIRST,
        .batch = 1,
    };
    table->slots = calloc(table->cap, table->slot_size);
    if (!table->slots) {
        free(table);
        return NULL;
    }
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    while (table->blobs)
        free_blob(table, table->blobs);
    for (size_t i = 0; i < TH_LEN(table->batches); i++) {
        free(table->batches[i].pasts);
        free(table->batches[i].made.at);
        free(table->batches[i].dropped.at);
    }
    free(table->slots);
    free(table);
}

size_t table_count(const struct table *table)
{
    return table->n;
}

/* --- entries -------------------------------------------------------------------------------- */

const void *table_get(const struct table *table, struct th_id id)
{
    const struct slot *slot = seek(table, id);

    return slot->batch ? slot->entry : NULL;
}

enum th_code table_edit(struct table *table, struct th_id id, void **out_entry)
{
    struct slot *slot = seek(table, id);

    if (!slot->batch)
        return TH_NOT_FOUND;
    if (slot->batch != table->batch) {
        TH_TRY(reserve_past(table));
        remember(table, slot);
        slot->batch = table->batch;
    }
    *out_entry = slot->entry;
    return TH_OK;
}

enum th_code table_insert(struct table *table, struct th_id id, void **out_entry)
{
    if (seek(table, id)->batch)
        return TH_CONFLICT;
    if (table->n >= table->entries_max)
        return TH_FULL;
    TH_TRY(reserve_slot(table));
    TH_TRY(reserve_past(table));
    remember_absent(table, id);

    struct slot *slot = seek(table, id);
    memset(slot, 0, table->slot_size);
    slot->batch = table->batch;
    memcpy(slot->entry, &id, sizeof id);
    table->n++;
    *out_entry = slot->entry;
    return TH_OK;
}

enum th_code table_remove(struct table *table, struct th_id id)
{
    struct slot *slot = seek(table, id);

    if (!slot->batch)
        return TH_NOT_FOUND;
    if (slot->batch != table->batch) { /* else this batch remembers it already */
        TH_TRY(reserve_past(table));
        remember(table, slot);
    }
    empty_slot(table, slot);
    return TH_OK;
}

const void *table_next(const struct table *table, size_t *at)
{
    while (*at < table->cap) {
        const struct slot *slot = slot_at(table, (*at)++);
        if (slot->batch)
            return slot->entry;
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

void table_forget(struct table *table)
{
    assert(table->is_committing);
    struct batch *batch = &table->batches[table->gathering ^ 1];

    batch->n = 0;
    batch->made.n = 0;
    free_blobs(table, &batch->dropped);
    table->is_committing = false;
    table->durable = table->batch - 1;
}

static void undo(struct table *table, struct batch *batch)
{
    while (batch->n)
        bring_back(table, past_at(table, batch, --batch->n));
    for (size_t i = 0; i < batch->dropped.n; i++)
        batch->dropped.at[i]->is_dropped = false;
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
    const struct slot *slot = seek(table, id);

    if (slot->batch && slot->batch <= table->durable)
        return slot->entry;
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
        const struct slot *slot = slot_at(table, i & (table->cap - 1));
        if (!slot->batch && i >= last)
            break;
        if (slot->batch && slot->batch <= table->durable)
            add_state(states, slot->entry, true);
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
