#include "common/hash.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

/* Square roots of 2, 3, 5, 7: numbers with nothing up their sleeve. */
static const uint64_t k0 = 0x6a09e667f3bcc908;
static const uint64_t k1 = 0xbb67ae8584caa73b;
static const uint64_t k2 = 0x3c6ef372fe94f82b;
static const uint64_t k3 = 0xa54ff53a5f1d36f1;

/* Every bit of the product depends on every bit of both factors, once its halves are folded. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read64(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return le64toh(word);
}

uint64_t th_hash64(struct th_str bytes, uint64_t seed)
{
    const uint64_t key = fold(seed ^ k0, k1); /* unknown to whoever does not know the seed */
    uint64_t hash = key ^ k2;
    const char *p = bytes.p;
    size_t n = bytes.n;

    for (; n >= 16; n -= 16, p += 16)
        hash = fold(read64(p) ^ key, read64(p + 8) ^ hash);
    if (n) {
        char rest[16] = {0};
        memcpy(rest, p, n);
        hash = fold(read64(rest) ^ key ^ k3, read64(rest + 8) ^ hash);
    }
    return fold(hash ^ k0, bytes.n ^ key ^ k1);
}

uint32_t th_murmur2(struct th_str bytes)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = bytes.n;
    uint32_t h = 0x9747b28c ^ (uint32_t)n;

    assert(bytes.n <= INT32_MAX);
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t k;
        memcpy(&k, p, sizeof k);
        k = le32toh(k) * m;
        k ^= k >> 24;
        h = (h * m) ^ (k * m);
    }
    if (n) {
        for (size_t i = n; i-- > 0;)
            h ^= (uint32_t)p[i] << (8 * i);
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ (h >> 15);
}

uint32_t th_partition(struct th_str key, uint32_t partitions)
{
    assert(partitions > 0);
    return (th_murmur2(key) & INT32_MAX) % partitions;
}
