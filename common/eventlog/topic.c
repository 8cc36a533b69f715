#include "common/eventlog/topic.h"

#include <assert.h>

#include "common/hash.h"

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

int topic_partition_of_key(struct th_str key, int partitions)
{
    assert(partitions > 0);
    return (int)th_partition(key, (uint32_t)partitions);
}
