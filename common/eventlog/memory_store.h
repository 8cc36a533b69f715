/* memory_store.h - the records of a memory log: partitions of immutable bytes, staged and then
 * published all at once. Part of the memory log, used under its mutex.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_MEMORY_STORE_H
#define TELEHUB_COMMON_EVENTLOG_MEMORY_STORE_H

#include "common/eventlog/log_driver.h"

struct memory_record {
    const char *bytes; /* key, then value, then headers */
    uint32_t key_n;
    uint32_t value_n;
    uint32_t headers_n;
    int64_t at_us;
};

struct memory_part {
    struct memory_record *at;
    size_t n;     /* published */
    size_t start; /* those before it were given up; their bytes stay */
    size_t staged;
    size_t cap;
};

struct memory_chunk;

struct memory_store {
    const struct th_log *log;
    size_t bytes;
    size_t bytes_max;
    struct memory_part *parts;   /* topic by topic */
    size_t first[TOPIC_COUNT];   /* index of a topic's partition 0 */
    struct memory_chunk *chunks; /* newest first */

    /* The transaction being staged. */
    struct memory_part **touched; /* as many entries as there are partitions */
    size_t touched_n;
    uint32_t topics;
    size_t bytes_before;
    struct memory_chunk *chunk_before;
    size_t used_before;
};

/* Errors: TH_NOMEM; fini is due even then. log->partitions must be filled. */
TH_MUST_USE
enum th_code memory_store_init(struct memory_store *store, const struct th_log *log,
                               size_t bytes_max);
void memory_store_fini(struct memory_store *store);

struct memory_part *memory_store_part(const struct memory_store *store, enum topic topic, int part);

/* Begin a transaction; then stage its outputs; then publish or drop them. */
void memory_store_begin(struct memory_store *store);

/* times_us: of each output; NULL: at_us of all. Errors: TH_FULL, TH_NOMEM; drop is due then. */
TH_MUST_USE
enum th_code memory_store_stage(struct memory_store *store, const struct log_output *outputs,
                                size_t n, const int64_t *times_us, int64_t at_us,
                                struct log_place *out_places);

/* The set of topics that grew. */
uint32_t memory_store_publish(struct memory_store *store);
void memory_store_drop(struct memory_store *store);

/* Count bytes kept elsewhere; false, and nothing counted, when they are too many. */
bool memory_store_charge(struct memory_store *store, size_t bytes);
void memory_store_refund(struct memory_store *store, size_t bytes);

#endif
