#include "common/eventlog/memory_snapshots.h"

#include <string.h>

#include "common/hash.h"

#define KEPT_OF_A_PIECE 2

void memory_snapshots_init(struct memory_snapshots *snapshots, struct memory_store *store)
{
    *snapshots = (struct memory_snapshots){.store = store};
}

void memory_snapshots_fini(struct memory_snapshots *snapshots)
{
    for (size_t i = 0; i < snapshots->n; i++)
        free((char *)snapshots->at[i].is.body.p);
    free(snapshots->at);
    *snapshots = (struct memory_snapshots){0};
}

static int order(const struct memory_snapshot *a, enum log_app app, int part, int piece)
{
    if (a->app != app)
        return a->app < app ? -1 : 1;
    if (a->is.part != part)
        return a->is.part < part ? -1 : 1;
    return (a->is.piece > piece) - (a->is.piece < piece);
}

/* Index of the first entry that is not before (app, part, piece). */
static size_t find(const struct memory_snapshots *snapshots, enum log_app app, int part, int piece)
{
    size_t low = 0;
    size_t high = snapshots->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&snapshots->at[middle], app, part, piece) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_at(struct memory_snapshots *snapshots, size_t i)
{
    struct memory_snapshot *at = &snapshots->at[i];

    memory_store_refund(snapshots->store, at->is.body.n);
    free((char *)at->is.body.p);
    memmove(at, at + 1, (--snapshots->n - i) * sizeof *at);
}

static enum th_code reserve_one(struct memory_snapshots *snapshots)
{
    if (snapshots->n < snapshots->cap)
        return TH_OK;
    size_t cap = snapshots->cap ? snapshots->cap * 2 : 64;
    struct memory_snapshot *at = reallocarray(snapshots->at, cap, sizeof *at);
    if (!at)
        return TH_NOMEM;
    snapshots->at = at;
    snapshots->cap = cap;
    return TH_OK;
}

static enum th_code copy_body(struct memory_snapshots *snapshots, struct th_str body,
                              struct th_str *out_copy)
{
    *out_copy = (struct th_str){0};
    if (body.n == 0)
        return TH_OK;
    if (!memory_store_charge(snapshots->store, body.n))
        return TH_FULL;
    char *copy = malloc(body.n);
    if (!copy) {
        memory_store_refund(snapshots->store, body.n);
        return TH_NOMEM;
    }
    memcpy(copy, body.p, body.n);
    *out_copy = (struct th_str){copy, body.n};
    return TH_OK;
}

/* Insert before index i, where find() said the piece begins, past the newer ones of the piece. */
static void insert(struct memory_snapshots *snapshots, size_t i,
                   const struct memory_snapshot *snapshot)
{
    const struct log_snapshot *is = &snapshot->is;

    while (i < snapshots->n && order(&snapshots->at[i], snapshot->app, is->part, is->piece) == 0 &&
           snapshots->at[i].is.upto_offset >= is->upto_offset) {
        if (snapshots->at[i].is.upto_offset == is->upto_offset) {
            remove_at(snapshots, i);
            break;
        }
        i++;
    }
    struct memory_snapshot *at = &snapshots->at[i];
    memmove(at + 1, at, (snapshots->n++ - i) * sizeof *at);
    *at = *snapshot;
}

static void prune(struct memory_snapshots *snapshots, size_t first, enum log_app app, int part,
                  int piece)
{
    size_t oldest_kept = first + KEPT_OF_A_PIECE;

    while (oldest_kept < snapshots->n && order(&snapshots->at[oldest_kept], app, part, piece) == 0)
        remove_at(snapshots, oldest_kept);
}

enum th_code memory_snapshots_put(struct memory_snapshots *snapshots, enum log_app app,
                                  const struct log_snapshot *snapshot)
{
    struct memory_snapshot new = {.app = app, .is = *snapshot};

    TH_TRY(reserve_one(snapshots));
    TH_TRY(copy_body(snapshots, snapshot->body, &new.is.body));
    new.checksum = th_hash64(new.is.body, (uint64_t)snapshot->upto_offset);

    size_t first = find(snapshots, app, snapshot->part, snapshot->piece);
    insert(snapshots, first, &new);
    prune(snapshots, first, app, snapshot->part, snapshot->piece);
    return TH_OK;
}

static bool is_intact(const struct memory_snapshot *snapshot)
{
    return th_hash64(snapshot->is.body, (uint64_t)snapshot->is.upto_offset) == snapshot->checksum;
}

static enum th_code copy_out(const struct memory_snapshot *snapshot, struct th_arena *arena,
                             struct log_snapshot *out)
{
    struct th_str body;

    TH_TRY(th_arena_copy(arena, snapshot->is.body, &body));
    *out = snapshot->is;
    out->body = body;
    return TH_OK;
}

enum th_code memory_snapshots_get(const struct memory_snapshots *snapshots, enum log_app app,
                                  int part, struct log_pieces pieces, int fold_version,
                                  struct th_arena *arena, struct log_snapshot **out_snapshots,
                                  size_t *out_n)
{
    size_t first = find(snapshots, app, part, pieces.first);
    size_t end = find(snapshots, app, part, pieces.end);
    struct log_snapshot *found = th_arena_array(arena, end - first + 1, sizeof *found);
    size_t n = 0;

    if (!found)
        return TH_NOMEM;
    for (size_t i = first; i < end; i++) {
        const struct memory_snapshot *at = &snapshots->at[i];
        bool is_older = n > 0 && found[n - 1].piece == at->is.piece;
        if (is_older || at->is.fold_version != fold_version || !is_intact(at))
            continue;
        TH_TRY(copy_out(at, arena, &found[n]));
        n++;
    }
    *out_snapshots = found;
    *out_n = n;
    return TH_OK;
}

bool memory_snapshots_damage(struct memory_snapshots *snapshots, enum log_app app, int part,
                             int piece)
{
    size_t i = find(snapshots, app, part, piece);

    if (i == snapshots->n || order(&snapshots->at[i], app, part, piece) != 0 ||
        snapshots->at[i].is.body.n == 0)
        return false;
    ((char *)snapshots->at[i].is.body.p)[0] ^= 1;
    return true;
}
