/* The topics of a log: made, dropped, and told apart by their prefix. */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/ids.h"
#include "connectors/kafka/kafka_internal.h"

#define TOPICS_ALL   (TOPIC_COUNT + KAFKA_INNERS)
#define ADMIN_MS     30000
#define SEEN_POLL_MS 5
#define KEPT_FOREVER "-1"
#define IDEM_KEPT_MS "259200000" /* 72 h: answers are given for 48 */

static const struct {
    const char *name;
    const char *cleanup;
    const char *retention_ms;
    bool is_parted; /* as many partitions as keyed topics; else one */
} inners[] = {
    [KAFKA_META] = {"_meta", "delete", KEPT_FOREVER, false},
    [KAFKA_JOURNAL] = {"_journal", "compact", KEPT_FOREVER, true},
    [KAFKA_IDEM] = {"_idem", "delete", IDEM_KEPT_MS, false},
    [KAFKA_SNAPSHOTS] = {"_snapshots", "compact", KEPT_FOREVER, true},
};

static_assert(sizeof inners / sizeof *inners == KAFKA_INNERS, "one row per topic");

void kafka_topic_name(const char *prefix, enum topic topic, char out[KAFKA_NAME_MAX])
{
    snprintf(out, KAFKA_NAME_MAX, "%s%s", prefix, topic_name(topic));
}

void kafka_inner_name(const char *prefix, enum kafka_inner inner, char out[KAFKA_NAME_MAX])
{
    snprintf(out, KAFKA_NAME_MAX, "%s%s", prefix, inners[inner].name);
}

/* The i-th of all, of both kinds. */
static void name_of(const char *prefix, size_t i, char out[KAFKA_NAME_MAX])
{
    if (i < TOPIC_COUNT)
        kafka_topic_name(prefix, (enum topic)i, out);
    else
        kafka_inner_name(prefix, (enum kafka_inner)(i - TOPIC_COUNT), out);
}

/* --- making ----------------------------------------------------------------------------------- */

static bool is_parted(size_t i)
{
    return i < TOPIC_COUNT ? topic_kind((enum topic)i) != TOPIC_REFERENCE
                           : inners[i - TOPIC_COUNT].is_parted;
}

static rd_kafka_NewTopic_t *new_topic(const char *prefix, size_t i, int partitions, int replication)
{
    bool is_ours = i < TOPIC_COUNT;
    char name[KAFKA_NAME_MAX], why[256];

    name_of(prefix, i, name);
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, is_parted(i) ? partitions : 1, replication, why, sizeof why);
    rd_kafka_NewTopic_set_config(topic, "cleanup.policy",
                                 is_ours ? "delete" : inners[i - TOPIC_COUNT].cleanup);
    rd_kafka_NewTopic_set_config(topic, "retention.ms",
                                 is_ours ? KEPT_FOREVER : inners[i - TOPIC_COUNT].retention_ms);
    rd_kafka_NewTopic_set_config(topic, "message.timestamp.type", "LogAppendTime");
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", "1048588");
    rd_kafka_NewTopic_set_config(topic, "unclean.leader.election.enable", "false");
    rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", replication >= 3 ? "2" : "1");
    return topic;
}

static enum th_code check_topics(const rd_kafka_topic_result_t **results, size_t n,
                                 rd_kafka_resp_err_t ignored, struct th_err *err)
{
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code && code != ignored)
            return kafka_fail(err, code, rd_kafka_topic_result_name(results[i]));
    }
    return TH_OK;
}

static enum th_code answer(rd_kafka_queue_t *queue, rd_kafka_event_t **out_event,
                           struct th_err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_MS);
    if (!event)
        return th_fail(err, TH_UNAVAILABLE, "kafka: no answer from the controller");
    if (rd_kafka_event_error(event)) {
        enum th_code code = kafka_fail(err, rd_kafka_event_error(event), "topics");
        rd_kafka_event_destroy(event);
        return code;
    }
    *out_event = event;
    return TH_OK;
}

static enum th_code make_topics(rd_kafka_t *rk, const char *prefix, int partitions, int replication,
                                struct th_err *err)
{
    TH_AUTO(kafka_queue) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    TH_AUTO(kafka_event) rd_kafka_event_t *event = NULL;
    rd_kafka_NewTopic_t *topics[TOPICS_ALL];
    size_t n = 0;

    for (size_t i = 0; i < TOPICS_ALL; i++)
        topics[i] = new_topic(prefix, i, partitions, replication);
    rd_kafka_CreateTopics(rk, topics, TOPICS_ALL, NULL, queue);
    rd_kafka_NewTopic_destroy_array(topics, TOPICS_ALL);
    TH_TRY(answer(queue, &event, err));
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    return check_topics(results, n, RD_KAFKA_RESP_ERR_NO_ERROR, err);
}

static rd_kafka_topic_partition_list_t *list_all(const char *prefix, int partitions)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPICS_ALL);

    for (size_t i = 0; i < TOPICS_ALL; i++) {
        char name[KAFKA_NAME_MAX];
        name_of(prefix, i, name);
        for (int part = 0; part < (is_parted(i) ? partitions : 1); part++)
            rd_kafka_topic_partition_list_add(list, name, part);
    }
    return list;
}

/* What was made is known to the brokers later, half a thousand partitions on a busy machine after
 * more than ten seconds; whoever writes before that waits for a second. */
static enum th_code await_topics(const struct kafka_log_config *config, struct kafka_scout *scout,
                                 int partitions, struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = list_all(config->prefix, partitions);
    int64_t deadline_us =
        th_clock_monotonic_us(&th_clock_real) + config->open_timeout_ms * TH_US_PER_MS;
    enum th_code code;

    do
        code = kafka_scout_stable(scout, list, err);
    while ((code == TH_UNAVAILABLE || code == TH_NOT_FOUND) &&
           th_clock_monotonic_us(&th_clock_real) < deadline_us);
    return code;
}

/* All topics are there and empty, and nobody has given the log its identity: whoever began to make
 * it was interrupted. */
static bool is_unfinished(const struct kafka_log_config *config, struct kafka_scout *scout,
                          int partitions)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = list_all(config->prefix, partitions);
    char meta[KAFKA_NAME_MAX];
    int64_t end;

    kafka_inner_name(config->prefix, KAFKA_META, meta);
    if (kafka_scout_end(scout, meta, 0, &end, NULL) != TH_OK || end > 0 ||
        kafka_scout_stable(scout, list, NULL) != TH_OK)
        return false;
    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset > 0 && strcmp(list->elems[i].topic, meta) != 0)
            return false;
    return true;
}

/* --- identity --------------------------------------------------------------------------------- */

static enum th_code write_meta(const struct kafka_log_config *config, struct kafka_record *record,
                               struct th_err *err)
{
    char writer[KAFKA_NAME_MAX];
    TH_AUTO(kafka_producer) struct kafka_producer *producer = NULL;

    snprintf(writer, sizeof writer, "%smaker", config->prefix);
    TH_TRY(kafka_producer_open(config, writer, config->open_timeout_ms, &producer, err));
    if (kafka_producer_write(producer, record, 1, config->call_timeout_ms, err) != KAFKA_GOES_ON ||
        kafka_producer_commit(producer, err) != KAFKA_GOES_ON)
        return th_wrap(err, "writing the identity of the log");
    return TH_OK;
}

/* A commit is answered when it is decided; its marks, without which nobody sees it, come later. */
static enum th_code await_meta(const struct kafka_log_config *config, struct kafka_scout *scout,
                               const struct kafka_record *record, struct th_err *err)
{
    int64_t deadline_us =
        th_clock_monotonic_us(&th_clock_real) + config->call_timeout_ms * TH_US_PER_MS;
    int64_t end = 0;

    for (;;) {
        TH_TRY(kafka_scout_end(scout, record->topic, 0, &end, err));
        if (end > record->offset)
            return TH_OK;
        if (th_clock_monotonic_us(&th_clock_real) > deadline_us)
            return th_fail(err, TH_UNAVAILABLE, "%s: what was written stays hidden", record->topic);
        poll(NULL, 0, SEEN_POLL_MS);
    }
}

enum th_code kafka_write_meta(const struct kafka_log_config *config, struct kafka_scout *scout,
                              struct th_str key, struct th_str value, struct th_err *err)
{
    char name[KAFKA_NAME_MAX];
    struct kafka_record record = {.topic = name, .key = key, .value = value};

    kafka_inner_name(config->prefix, KAFKA_META, name);
    TH_TRY(write_meta(config, &record, err));
    return await_meta(config, scout, &record, err);
}

static enum th_code write_identity(const struct kafka_log_config *config, struct kafka_scout *scout,
                                   struct th_err *err)
{
    char text[TH_ID_TEXT_LEN + 1];
    struct th_id id;

    TH_TRY(th_id_random(th_clock_realtime_us(&th_clock_real) / TH_US_PER_MS, &id, err));
    th_id_text(id, text);
    return kafka_write_meta(config, scout, TH_STR("log"), (struct th_str){text, TH_ID_TEXT_LEN},
                            err);
}

/* By a client of its own, for whoever knows all topics does not see new ones for a while. Its error
 * says why no broker can be reached; the controller's would only be a timeout. */
static enum th_code reach(const struct kafka_log_config *config, struct th_err *err)
{
    const struct rd_kafka_metadata *metadata;
    struct kafka_scout *scout;

    TH_TRY(kafka_scout_new(config, &scout, err));
    enum th_code code = kafka_scout_topics(scout, &metadata, err);
    if (code == TH_OK)
        rd_kafka_metadata_destroy(metadata);
    kafka_scout_free(scout);
    return code;
}

enum th_code kafka_log_create(const struct kafka_log_config *config, int partitions,
                              int replication, struct th_err *err)
{
    struct kafka_log_config filled = kafka_config_filled(config);
    struct kafka_scout *scout;

    if (partitions < 1 || partitions > LOG_PARTITIONS_MAX)
        return th_fail(err, TH_INVALID, "%d partitions, at most %d", partitions,
                       LOG_PARTITIONS_MAX);
    TH_TRY(reach(&filled, err));
    TH_TRY(kafka_scout_new(&filled, &scout, err));
    enum th_code code =
        make_topics(kafka_scout_rk(scout), filled.prefix, partitions, replication, err);
    if (code == TH_CONFLICT && is_unfinished(&filled, scout, partitions))
        code = TH_OK;
    if (code == TH_OK)
        code = await_topics(&filled, scout, partitions, err);
    if (code == TH_OK)
        code = write_identity(&filled, scout, err);
    kafka_scout_free(scout);
    return code;
}

/* --- dropping --------------------------------------------------------------------------------- */

enum th_code kafka_log_drop(const struct kafka_log_config *config, struct th_err *err)
{
    struct kafka_log_config filled = kafka_config_filled(config);
    struct kafka_client *client;
    rd_kafka_DeleteTopic_t *topics[TOPICS_ALL];
    rd_kafka_event_t *event;
    size_t n = 0;

    TH_TRY(kafka_client_open(&filled, KAFKA_SCOUTS, "dropper", "dropper", &client, err));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    for (size_t i = 0; i < TOPICS_ALL; i++) {
        char name[KAFKA_NAME_MAX];
        name_of(filled.prefix, i, name);
        topics[i] = rd_kafka_DeleteTopic_new(name);
    }
    rd_kafka_DeleteTopics(client->rk, topics, TOPICS_ALL, NULL, queue);
    rd_kafka_DeleteTopic_destroy_array(topics, TOPICS_ALL);
    enum th_code code = answer(queue, &event, err);
    if (code == TH_OK) {
        const rd_kafka_topic_result_t **results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
        code = check_topics(results, n, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, err);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    kafka_client_close(client);
    return code;
}
