/* hash_set.h - a compact set of 64-bit hashes: about 12 bytes for each, whatever they stand for.
 *
 * Pure; one thread at a time.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_HASH_SET_H
#define TELEHUB_COMMON_EVENTLOG_HASH_SET_H

#include "common/err.h"

#include <stdint.h>

/* Zero-initialise. */
struct hash_set {
    uint64_t *at; /* open addressing; 0: free */
    size_t cap;   /* a power of two, or 0 */
    size_t n;     /* without has_zero */
    bool has_zero;
};

void hash_set_fini(struct hash_set *set);

/* A hash that is in already stays in. Errors: TH_NOMEM (the set is as it was) */
TH_MUST_USE
enum th_code hash_set_add(struct hash_set *set, uint64_t hash);

void hash_set_remove(struct hash_set *set, uint64_t hash);

bool hash_set_has(const struct hash_set *set, uint64_t hash);

#endif
