#include "connectors/kafka/kafka_examine.h"

#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_internal.h"

#define RESOURCES_MAX (TOPIC_COUNT + 1) /* our topics, and one broker */
#define REPLICAS_SAFE 3

/* A setting, and what else happens. */
static const struct rule {
    const char *name;
    bool is_of_broker;
    bool is_number;  /* at least; -1 is without limit. Otherwise: exactly */
    bool is_of_many; /* only where there are enough replicas; with fewer it would stop the log */
    const char *wanted;
    enum finding finding;
    const char *else_what;
} rules[] = {
    {"retention.ms", false, true, false, "-1", FINDING_BAD,
     "events vanish before they are archived"},
    {"retention.bytes", false, true, false, "-1", FINDING_BAD,
     "events vanish before they are archived"},
    {"cleanup.policy", false, false, false, "delete", FINDING_BAD, "compaction removes events"},
    {"min.insync.replicas", false, true, true, "2", FINDING_BAD,
     "an answered write may lie on one disk alone"},
    {"unclean.leader.election.enable", false, false, false, "false", FINDING_BAD,
     "an answered write may be lost"},
    {"message.timestamp.type", false, false, false, "LogAppendTime", FINDING_RISKY,
     "the time of a record is its writer's"},
    {"max.message.bytes", false, true, false, "1048588", FINDING_BAD, "large records are refused"},
    {"offsets.retention.minutes", true, true, false, "525600", FINDING_RISKY,
     "an installation that rests for so long has to look its places up in the journal"},
    {"auto.create.topics.enable", true, false, false, "false", FINDING_RISKY,
     "a misspelt topic comes into being"},
    {"transaction.state.log.min.isr", true, true, true, "2", FINDING_RISKY,
     "a broker that is lost takes transactions with it"},
};

struct examination {
    struct finding_listener listener;
    bool has_many; /* replicas of each partition */
};

/* --- replicas --------------------------------------------------------------------------------- */

struct replicas {
    int least;
    int in_sync_missing; /* partitions */
};

static bool is_ours(const struct kafka_log_config *config, const char *name)
{
    return strncmp(name, config->prefix, strlen(config->prefix)) == 0;
}

static struct replicas count_replicas(const struct kafka_log_config *config,
                                      const struct rd_kafka_metadata *metadata)
{
    struct replicas count = {.least = INT32_MAX};

    for (int t = 0; t < metadata->topic_cnt; t++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[t];
        for (int p = 0; is_ours(config, topic->topic) && p < topic->partition_cnt; p++) {
            const struct rd_kafka_metadata_partition *part = &topic->partitions[p];
            if (part->replica_cnt < count.least)
                count.least = part->replica_cnt;
            count.in_sync_missing += part->isr_cnt < part->replica_cnt;
        }
    }
    return count;
}

static enum th_code examine_replicas(const struct kafka_log_config *config,
                                     struct kafka_scout *scout, struct examination *on,
                                     int *out_broker, struct th_err *err)
{
    const struct rd_kafka_metadata *metadata;

    TH_TRY(kafka_scout_topics(scout, &metadata, err));
    struct replicas count = count_replicas(config, metadata);
    *out_broker = metadata->broker_cnt ? metadata->brokers[0].id : 0;
    finding_tell(&on->listener, FINDING_FINE, "kafka brokers", "%d answer", metadata->broker_cnt);
    rd_kafka_metadata_destroy(metadata);
    if (count.least == INT32_MAX)
        return th_fail(err, TH_NOT_FOUND, "kafka: there are no topics %s…: telehub upgrade",
                       config->prefix);
    on->has_many = count.least >= REPLICAS_SAFE;
    finding_tell(&on->listener, on->has_many ? FINDING_FINE : FINDING_RISKY, "kafka replicas",
                 "each partition has at least %d%s", count.least,
                 on->has_many ? "" : ": with fewer than 3 a broker's disk is all there is");
    if (count.in_sync_missing)
        finding_tell(&on->listener, FINDING_RISKY, "kafka in sync",
                     "%d partitions wait for a replica", count.in_sync_missing);
    return TH_OK;
}

/* --- settings --------------------------------------------------------------------------------- */

static bool is_as_wanted(const struct rule *rule, const char *value)
{
    int64_t wanted, is;

    if (!rule->is_number)
        return strcmp(value, rule->wanted) == 0;
    if (!th_str_int(th_str(rule->wanted), -1, INT64_MAX, &wanted) ||
        !th_str_int(th_str(value), -1, INT64_MAX, &is))
        return false;
    return is == -1 || (wanted != -1 && is >= wanted);
}

static const char *value_of(const rd_kafka_ConfigResource_t *resource, const char *name)
{
    size_t n = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

/* The first resource of the rule's kind that is not as it should be, and what it says. */
static const rd_kafka_ConfigResource_t *find_offender(const struct rule *rule,
                                                      const rd_kafka_ConfigResource_t **resources,
                                                      size_t n, const char **out_value)
{
    for (size_t i = 0; i < n; i++) {
        bool is_broker = rd_kafka_ConfigResource_type(resources[i]) == RD_KAFKA_RESOURCE_BROKER;
        if (is_broker != rule->is_of_broker)
            continue;
        const char *value = value_of(resources[i], rule->name);
        *out_value = value ? value : "not known";
        if (!value || !is_as_wanted(rule, value))
            return resources[i];
    }
    return NULL;
}

static void examine_rule(const struct rule *rule, const rd_kafka_ConfigResource_t **resources,
                         size_t n, const struct examination *on)
{
    const char *value = "not known";
    const rd_kafka_ConfigResource_t *offender = find_offender(rule, resources, n, &value);

    if (!offender)
        finding_tell(&on->listener, FINDING_FINE, rule->name, "is %s", value);
    else
        finding_tell(&on->listener, rule->finding, rule->name, "is %s for %s %s: %s; set %s", value,
                     rule->is_of_broker ? "broker" : "topic",
                     rd_kafka_ConfigResource_name(offender), rule->else_what, rule->wanted);
}

static size_t name_resources(const struct kafka_log_config *config, int broker,
                             rd_kafka_ConfigResource_t *out[RESOURCES_MAX])
{
    char name[KAFKA_NAME_MAX];

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        kafka_topic_name(config->prefix, (enum topic)topic, name);
        out[topic] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    }
    snprintf(name, sizeof name, "%d", broker);
    out[TOPIC_COUNT] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, name);
    return RESOURCES_MAX;
}

/* The broker is asked itself, so each kind needs a request of its own. */
static enum th_code examine_some(rd_kafka_t *rk, rd_kafka_ConfigResource_t **asked, size_t asked_n,
                                 bool is_of_broker, const struct examination *on, int timeout_ms,
                                 struct th_err *err)
{
    TH_AUTO(kafka_queue) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    size_t n = 0;

    rd_kafka_DescribeConfigs(rk, asked, asked_n, NULL, queue);
    TH_AUTO(kafka_event) rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
    if (!event)
        return th_fail(err, TH_UNAVAILABLE, "kafka: no answer about settings");
    if (rd_kafka_event_error(event))
        return kafka_fail(err, rd_kafka_event_error(event), "asking for settings");
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
    for (size_t i = 0; i < TH_LEN(rules); i++)
        if (rules[i].is_of_broker == is_of_broker && (on->has_many || !rules[i].is_of_many))
            examine_rule(&rules[i], resources, n, on);
    return TH_OK;
}

static enum th_code examine_settings(const struct kafka_log_config *config,
                                     struct kafka_scout *scout, int broker,
                                     const struct examination *on, struct th_err *err)
{
    rd_kafka_t *rk = kafka_scout_rk(scout);
    rd_kafka_ConfigResource_t *asked[RESOURCES_MAX];
    size_t n = name_resources(config, broker, asked);

    enum th_code code = examine_some(rk, asked, n - 1, false, on, config->call_timeout_ms, err);
    if (code == TH_OK)
        code = examine_some(rk, &asked[n - 1], 1, true, on, config->call_timeout_ms, err);
    rd_kafka_ConfigResource_destroy_array(asked, n);
    return code;
}

enum th_code kafka_log_examine(const struct kafka_log_config *config, finding_say *say, void *arg,
                               struct th_err *err)
{
    struct kafka_log_config filled = kafka_config_filled(config);
    struct examination on = {.listener = {say, arg}};
    struct kafka_scout *scout;
    int broker = 0;

    TH_TRY(kafka_scout_new(&filled, &scout, err));
    enum th_code code = examine_replicas(&filled, scout, &on, &broker, err);
    if (code == TH_OK)
        code = examine_settings(&filled, scout, broker, &on, err);
    kafka_scout_free(scout);
    return code;
}
