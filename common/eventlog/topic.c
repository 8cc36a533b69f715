#include "common/eventlog/topic.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static const struct {
    const char *name;
    const char *key_noun;
    enum topic_kind kind;
} topics[] = {
#define TOPIC_ROW(id, name, kind, key) [id] = {name, key, kind},
    TOPICS(TOPIC_ROW)
#undef TOPIC_ROW
};

static_assert(sizeof topics / sizeof *topics == TOPIC_COUNT, "one row per topic");
static_assert(TOPIC_COUNT <= 32, "a set of topics is a uint32_t");

const char *topic_name(enum topic topic)
{
    assert((unsigned)topic < TOPIC_COUNT);
    return topics[topic].name;
}

enum topic_kind topic_kind(enum topic topic)
{
    assert((unsigned)topic < TOPIC_COUNT);
    return topics[topic].kind;
}

const char *topic_key_noun(enum topic topic)
{
    assert((unsigned)topic < TOPIC_COUNT);
    return topics[topic].key_noun;
}

bool topic_by_name(struct th_str name, enum topic *out_topic)
{
    for (unsigned i = 0; i < TOPIC_COUNT; i++)
        if (th_str_eq(name, th_str(topics[i].name))) {
            *out_topic = (enum topic)i;
            return true;
        }
    return false;
}

/* Austin Appleby's MurmurHash2 with the seed that org.apache.kafka.common.utils.Utils.murmur2 has.
 */
static uint32_t murmur2(struct th_str key)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = (const unsigned char *)key.p;
    size_t n = key.n;
    uint32_t h = 0x9747b28c ^ (uint32_t)n;

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

int topic_partition_of_key(struct th_str key, int partitions)
{
    assert(partitions > 0);
    return (int)((murmur2(key) & INT32_MAX) % (uint32_t)partitions);
}
