#include "common/eventlog/memory_store.h"

#include <assert.h>
#include <string.h>

#define CHUNK_SIZE     ((size_t)256 * 1024)
#define PART_CAP_FIRST 64
#define RECORD_COST    32 /* bytes counted for each record besides its own */

static_assert(sizeof(struct memory_record) <= RECORD_COST, "records cost what they are said to");

struct memory_chunk {
    struct memory_chunk *older;
    size_t size;
    size_t used;
    char bytes[];
};

enum th_code memory_store_init(struct memory_store *store, const struct th_log *log,
                               size_t bytes_max)
{
    size_t n = 0;

    *store = (struct memory_store){.log = log, .bytes_max = bytes_max};
    for (size_t topic = 0; topic < TOPIC_COUNT; topic++) {
        store->first[topic] = n;
        n += (size_t)log->partitions[topic];
    }
    store->parts = calloc(n, sizeof *store->parts);
    store->touched = calloc(n, sizeof(struct memory_part *));
    if (!store->parts || !store->touched)
        return TH_NOMEM;
    return TH_OK;
}

static void free_chunks_until(struct memory_store *store, const struct memory_chunk *kept)
{
    while (store->chunks != kept) {
        struct memory_chunk *older = store->chunks->older;
        free(store->chunks);
        store->chunks = older;
    }
}

void memory_store_fini(struct memory_store *store)
{
    size_t last = TOPIC_COUNT - 1;

    if (store->parts)
        for (size_t i = 0; i < store->first[last] + (size_t)store->log->partitions[last]; i++)
            free(store->parts[i].at);
    free(store->parts);
    free(store->touched);
    free_chunks_until(store, NULL);
    *store = (struct memory_store){0};
}

struct memory_part *memory_store_part(const struct memory_store *store, enum topic topic, int part)
{
    assert(part >= 0 && part < store->log->partitions[topic]);
    return &store->parts[store->first[topic] + (size_t)part];
}

void memory_store_begin(struct memory_store *store)
{
    assert(store->touched_n == 0);
    store->topics = 0;
    store->bytes_before = store->bytes;
    store->chunk_before = store->chunks;
    store->used_before = store->chunks ? store->chunks->used : 0;
}

static char *take_bytes(struct memory_store *store, size_t n)
{
    struct memory_chunk *chunk = store->chunks;

    if (!chunk || chunk->size - chunk->used < n) {
        size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;
        chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            return NULL;
        *chunk = (struct memory_chunk){.older = store->chunks, .size = size};
        store->chunks = chunk;
    }
    char *bytes = chunk->bytes + chunk->used;
    chunk->used += n;
    return bytes;
}

static struct memory_record *take_record(struct memory_store *store, struct memory_part *part)
{
    size_t n = part->n + part->staged;

    if (n == part->cap) {
        size_t cap = part->cap ? part->cap * 2 : PART_CAP_FIRST;
        struct memory_record *at = reallocarray(part->at, cap, sizeof *at);
        if (!at)
            return NULL;
        part->at = at;
        part->cap = cap;
    }
    if (part->staged == 0)
        store->touched[store->touched_n++] = part;
    part->staged++;
    return &part->at[n];
}

static void copy_bytes(char *to, struct th_str from)
{
    if (from.n)
        memcpy(to, from.p, from.n);
}

static enum th_code stage_one(struct memory_store *store, const struct log_output *output,
                              int64_t at_us, struct log_place *out_place)
{
    int part_index = log_output_part(store->log, output);
    struct memory_part *part = memory_store_part(store, output->topic, part_index);
    size_t n = log_output_size(output);

    if (!memory_store_charge(store, n + RECORD_COST))
        return TH_FULL;
    char *bytes = take_bytes(store, n);
    struct memory_record *record = bytes ? take_record(store, part) : NULL;
    if (!record)
        return TH_NOMEM;
    copy_bytes(bytes, output->key);
    copy_bytes(bytes + output->key.n, output->value);
    copy_bytes(bytes + output->key.n + output->value.n, output->headers);
    *record = (struct memory_record){
        .bytes = bytes,
        .key_n = (uint32_t)output->key.n,
        .value_n = (uint32_t)output->value.n,
        .headers_n = (uint32_t)output->headers.n,
        .at_us = at_us,
    };
    store->topics |= UINT32_C(1) << output->topic;
    if (out_place)
        *out_place =
            (struct log_place){output->topic, part_index, (int64_t)(part->n + part->staged - 1)};
    return TH_OK;
}

enum th_code memory_store_stage(struct memory_store *store, const struct log_output *outputs,
                                size_t n, const int64_t *times_us, int64_t at_us,
                                struct log_place *out_places)
{
    for (size_t i = 0; i < n; i++)
        TH_TRY(stage_one(store, &outputs[i], times_us ? times_us[i] : at_us,
                         out_places ? &out_places[i] : NULL));
    return TH_OK;
}

uint32_t memory_store_publish(struct memory_store *store)
{
    for (size_t i = 0; i < store->touched_n; i++) {
        store->touched[i]->n += store->touched[i]->staged;
        store->touched[i]->staged = 0;
    }
    store->touched_n = 0;
    return store->topics;
}

void memory_store_drop(struct memory_store *store)
{
    for (size_t i = 0; i < store->touched_n; i++)
        store->touched[i]->staged = 0;
    store->touched_n = 0;
    store->bytes = store->bytes_before;
    free_chunks_until(store, store->chunk_before);
    if (store->chunks)
        store->chunks->used = store->used_before;
}

bool memory_store_charge(struct memory_store *store, size_t bytes)
{
    if (bytes > store->bytes_max - store->bytes)
        return false;
    store->bytes += bytes;
    return true;
}

void memory_store_refund(struct memory_store *store, size_t bytes)
{
    assert(bytes <= store->bytes);
    store->bytes -= bytes;
}
