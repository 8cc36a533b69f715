/* hash.h - 64-bit hashes for tables, and the hash that places a key on a partition.
 *
 * Pure. Both are fixed for ever and the same on every machine: th_hash64 values lie in snapshots,
 * th_murmur2 decides where records lie in logs.
 */
#ifndef TELEHUB_COMMON_HASH_H
#define TELEHUB_COMMON_HASH_H

#include "common/str.h"

/* Fast, not cryptographic. A table that strangers fill wants a seed they do not know. */
uint64_t th_hash64(struct th_str bytes, uint64_t seed);

/* Kafka's murmur2, as the Java client computes it. bytes.n < 2^31. */
uint32_t th_murmur2(struct th_str bytes);

/* The partition of a key: what Kafka's default partitioner picks. partitions > 0. */
uint32_t th_partition(struct th_str key, uint32_t partitions);

#endif
