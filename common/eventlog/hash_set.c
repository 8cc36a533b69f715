#include "common/eventlog/hash_set.h"

#define CAP_MIN ((size_t)64)

void hash_set_fini(struct hash_set *set)
{
    free(set->at);
    *set = (struct hash_set){0};
}

/* Members are hashes, but not ours: whoever can choose telephone numbers must not choose slots. */
static size_t home(uint64_t hash, size_t cap)
{
    return (size_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (cap - 1);
}

static size_t find(const struct hash_set *set, uint64_t hash)
{
    size_t i = home(hash, set->cap);

    while (set->at[i] && set->at[i] != hash)
        i = (i + 1) & (set->cap - 1);
    return i;
}

static enum th_code grow(struct hash_set *set)
{
    struct hash_set bigger = {
        .cap = set->cap ? 2 * set->cap : CAP_MIN, .n = set->n, .has_zero = set->has_zero};

    bigger.at = calloc(bigger.cap, sizeof *bigger.at);
    if (!bigger.at)
        return TH_NOMEM;
    for (size_t i = 0; i < set->cap; i++)
        if (set->at[i])
            bigger.at[find(&bigger, set->at[i])] = set->at[i];
    free(set->at);
    *set = bigger;
    return TH_OK;
}

enum th_code hash_set_add(struct hash_set *set, uint64_t hash)
{
    if (hash == 0) {
        set->has_zero = true;
        return TH_OK;
    }
    if (hash_set_has(set, hash))
        return TH_OK;
    if (4 * (set->n + 1) > 3 * set->cap)
        TH_TRY(grow(set));
    set->at[find(set, hash)] = hash;
    set->n++;
    return TH_OK;
}

/* Those behind the hole move up, so that no search ends too early and no tombstones pile up. */
static void close_hole(struct hash_set *set, size_t hole)
{
    size_t mask = set->cap - 1;

    for (size_t i = (hole + 1) & mask; set->at[i]; i = (i + 1) & mask) {
        size_t wanted = home(set->at[i], set->cap);
        if (((i - wanted) & mask) < ((i - hole) & mask))
            continue;
        set->at[hole] = set->at[i];
        hole = i;
    }
    set->at[hole] = 0;
}

void hash_set_remove(struct hash_set *set, uint64_t hash)
{
    if (hash == 0)
        set->has_zero = false;
    else if (hash_set_has(set, hash)) {
        close_hole(set, find(set, hash));
        set->n--;
    }
}

bool hash_set_has(const struct hash_set *set, uint64_t hash)
{
    if (hash == 0)
        return set->has_zero;
    return set->cap && set->at[find(set, hash)] == hash;
}
