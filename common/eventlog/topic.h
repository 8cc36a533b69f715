/* topic.h - the topics, one table: what is on the log, by whom it is keyed, where it goes.
 *
 * Numbers are written into logs: they stay for ever, new topics go to the end.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_TOPIC_H
#define TELEHUB_COMMON_EVENTLOG_TOPIC_H

#include "common/str.h"

enum topic_kind {
    TOPIC_KEYED,     /* partition = murmur2 of the key, as Kafka's clients do it */
    TOPIC_BY_LANE,   /* partition = lane number mod partitions, given by the writer */
    TOPIC_REFERENCE, /* one partition, read whole by each process */
};

/* name on the log, kind, what its key names after "tenant/" */
#define TOPICS(X)                                                                                  \
    X(TOPIC_CAMPAIGN_COMMANDS, "campaign.commands", TOPIC_KEYED, "campaign")                       \
    X(TOPIC_CAMPAIGN_AUDIENCE, "campaign.audience", TOPIC_KEYED, "audience")                       \
    X(TOPIC_CAMPAIGN_EVENTS, "campaign.events", TOPIC_KEYED, "campaign")                           \
    X(TOPIC_CAMPAIGN_PROGRESS, "campaign.progress", TOPIC_KEYED, "campaign")                       \
    X(TOPIC_SEND_REQUESTS, "send.requests", TOPIC_KEYED, "send")                                   \
    X(TOPIC_SEND_EVENTS, "send.events", TOPIC_KEYED, "send")                                       \
    X(TOPIC_DISPATCH_REQUESTS, "dispatch.requests", TOPIC_BY_LANE, "lane")                         \
    X(TOPIC_DISPATCH_ATTEMPTS, "dispatch.attempts", TOPIC_BY_LANE, "lane")                         \
    X(TOPIC_SEND_OUTCOMES, "send.outcomes", TOPIC_KEYED, "send")                                   \
    X(TOPIC_PROVIDER_CALLBACKS, "provider.callbacks", TOPIC_BY_LANE, "lane")                       \
    X(TOPIC_CONFIG, "config", TOPIC_REFERENCE, "entity")                                           \
    X(TOPIC_CONSENT_EVENTS, "consent.events", TOPIC_REFERENCE, "contact")                          \
    X(TOPIC_CAMPAIGN_CONTROL, "campaign.control", TOPIC_REFERENCE, "campaign")                     \
    X(TOPIC_LANE_HEALTH, "lane.health", TOPIC_REFERENCE, "lane")                                   \
    X(TOPIC_DEAD_LETTERS, "dead.letters", TOPIC_KEYED, "what the dead record was keyed by")

enum topic {
#define TOPIC_ENUM(id, name, kind, key) id,
    TOPICS(TOPIC_ENUM)
#undef TOPIC_ENUM
};

#define TOPIC_COUNT (TOPIC_DEAD_LETTERS + 1)

const char *topic_name(enum topic topic);
enum topic_kind topic_kind(enum topic topic);
const char *topic_key_noun(enum topic topic);

/* False if there is no topic of that name. */
bool topic_by_name(struct th_str name, enum topic *out_topic);

/* The partition, of partitions, in which a TOPIC_KEYED record of that key lies:
 * toPositive(murmur2(key)) mod partitions, so that Kafka's own clients agree. */
int topic_partition_of_key(struct th_str key, int partitions);

#endif
