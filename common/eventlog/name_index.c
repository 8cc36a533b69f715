#include "common/eventlog/name_index.h"

#include <assert.h>

#define CAP_MIN ((size_t)16)

struct name_slot {
    uint64_t hash;
    uint32_t position_1; /* position + 1; 0: free */
};

void name_index_fini(struct name_index *index)
{
    free(index->at);
    *index = (struct name_index){0};
}

static void put(struct name_index *index, struct name_slot slot)
{
    size_t i = (size_t)slot.hash & (index->cap - 1);

    while (index->at[i].position_1)
        i = (i + 1) & (index->cap - 1);
    index->at[i] = slot;
}

enum th_code name_index_reserve(struct name_index *index)
{
    if (4 * (index->n + 1) <= 3 * index->cap)
        return TH_OK;
    if (index->n >= UINT32_MAX / 4)
        return TH_FULL;

    struct name_index bigger = {.cap = index->cap ? 2 * index->cap : CAP_MIN, .n = index->n};
    bigger.at = calloc(bigger.cap, sizeof *bigger.at);
    if (!bigger.at)
        return TH_NOMEM;
    for (size_t i = 0; i < index->cap; i++)
        if (index->at[i].position_1)
            put(&bigger, index->at[i]);
    free(index->at);
    *index = bigger;
    return TH_OK;
}

void name_index_add(struct name_index *index, uint64_t hash, size_t position)
{
    assert(index->n < index->cap);
    put(index, (struct name_slot){.hash = hash, .position_1 = (uint32_t)position + 1});
    index->n++;
}

bool name_index_next(const struct name_index *index, uint64_t hash, size_t *at,
                     size_t *out_position)
{
    if (index->cap == 0)
        return false;
    for (;;) {
        const struct name_slot *slot = &index->at[((size_t)hash + *at) & (index->cap - 1)];
        if (!slot->position_1)
            return false;
        ++*at;
        if (slot->hash == hash) {
            *out_position = slot->position_1 - 1;
            return true;
        }
    }
}
