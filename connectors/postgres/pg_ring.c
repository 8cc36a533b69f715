#include "connectors/postgres/pg_ring.h"

#include <pthread.h>

#define SLOTS       4096 /* a power of two; batches at most */
#define SLOTS_PROBE 8

/* One batch; block == NULL: free. */
struct entry {
    enum topic topic;
    int part;
    int64_t base;
    uint64_t age; /* 1 + how many were put before */
    struct pg_block *block;
};

struct pg_ring {
    size_t bytes_max;
    pthread_mutex_t lock; /* guards what follows */
    size_t bytes;
    uint64_t puts;
    struct entry entries[SLOTS];
    uint16_t order[SLOTS]; /* entry of put number i mod SLOTS, for eviction from the oldest on */
    uint64_t evicted;      /* puts that have been looked at for eviction */
    int64_t ends[TOPIC_COUNT][LOG_PARTITIONS_MAX];
};

enum th_code pg_ring_new(size_t bytes_max, struct pg_ring **out_ring, struct th_err *err)
{
    struct pg_ring *ring = calloc(1, sizeof *ring);

    if (!ring)
        return th_fail(err, TH_NOMEM, "a ring of batches");
    ring->bytes_max = bytes_max;
    pthread_mutex_init(&ring->lock, NULL);
    *out_ring = ring;
    return TH_OK;
}

void pg_ring_free(struct pg_ring *ring)
{
    if (!ring)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        pg_block_unref(ring->entries[i].block);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
}

static size_t home_of(enum topic topic, int part, int64_t base)
{
    uint64_t x =
        (uint64_t)base * UINT64_C(0x9e3779b97f4a7c15) +
        ((uint64_t)topic * LOG_PARTITIONS_MAX + (uint64_t)part) * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (size_t)((x ^ (x >> 32)) & (SLOTS - 1));
}

static void drop(struct pg_ring *ring, struct entry *entry)
{
    ring->bytes -= entry->block->size;
    pg_block_unref(entry->block);
    entry->block = NULL;
}

/* Make room by forgetting the oldest puts; those whose entry was overwritten are passed over. */
static void evict(struct pg_ring *ring, size_t bytes)
{
    while (ring->evicted < ring->puts &&
           (ring->bytes + bytes > ring->bytes_max || ring->puts - ring->evicted == SLOTS)) {
        struct entry *entry = &ring->entries[ring->order[ring->evicted % SLOTS]];
        ring->evicted++;
        if (entry->block && entry->age == ring->evicted)
            drop(ring, entry);
    }
}

/* Where to put a batch: a free entry near its home, else the oldest near it. */
static struct entry *place_for(struct pg_ring *ring, size_t home)
{
    struct entry *oldest = &ring->entries[home];

    for (size_t i = 0; i < SLOTS_PROBE; i++) {
        struct entry *entry = &ring->entries[(home + i) & (SLOTS - 1)];
        if (!entry->block)
            return entry;
        if (entry->age < oldest->age)
            oldest = entry;
    }
    drop(ring, oldest);
    return oldest;
}

void pg_ring_put(struct pg_ring *ring, enum topic topic, int part, int64_t base,
                 struct pg_block *block)
{
    pthread_mutex_lock(&ring->lock);
    int64_t *end = &ring->ends[topic][part];
    if (base + block->count > *end)
        *end = base + block->count;
    if (block->size <= ring->bytes_max) {
        evict(ring, block->size);
        struct entry *entry = place_for(ring, home_of(topic, part, base));
        ring->order[ring->puts % SLOTS] = (uint16_t)(entry - ring->entries);
        *entry = (struct entry){topic, part, base, ++ring->puts, pg_block_ref(block)};
        ring->bytes += block->size;
    }
    pthread_mutex_unlock(&ring->lock);
}

struct pg_block *pg_ring_get(struct pg_ring *ring, enum topic topic, int part, int64_t base)
{
    struct pg_block *block = NULL;
    size_t home = home_of(topic, part, base);

    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < SLOTS_PROBE && !block; i++) {
        const struct entry *entry = &ring->entries[(home + i) & (SLOTS - 1)];
        if (entry->block && entry->base == base && entry->part == part && entry->topic == topic)
            block = pg_block_ref(entry->block);
    }
    pthread_mutex_unlock(&ring->lock);
    return block;
}

void pg_ring_empty(struct pg_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    for (size_t i = 0; i < SLOTS; i++)
        if (ring->entries[i].block)
            drop(ring, &ring->entries[i]);
    pthread_mutex_unlock(&ring->lock);
}

int64_t pg_ring_end(struct pg_ring *ring, enum topic topic, int part)
{
    pthread_mutex_lock(&ring->lock);
    int64_t end = ring->ends[topic][part];
    pthread_mutex_unlock(&ring->lock);
    return end;
}
