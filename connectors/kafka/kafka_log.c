#include "connectors/kafka/kafka_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/ids.h"
#include "connectors/kafka/kafka_internal.h"

#define PREFIX_DEFAULT "th."

static int or_default(int value, int otherwise)
{
    return value ? value : otherwise;
}

struct kafka_log_config kafka_config_filled(const struct kafka_log_config *config)
{
    struct kafka_log_config filled = *config;

    filled.prefix = config->prefix ? config->prefix : PREFIX_DEFAULT;
    filled.transaction_timeout_ms = or_default(config->transaction_timeout_ms, 30000);
    filled.socket_timeout_ms = or_default(config->socket_timeout_ms, 10000);
    filled.commit_timeout_ms = or_default(config->commit_timeout_ms, 20000);
    filled.open_timeout_ms = or_default(config->open_timeout_ms, 60000);
    filled.resolve_retry_ms = or_default(config->resolve_retry_ms, 200);
    filled.call_timeout_ms = or_default(config->call_timeout_ms, 8000);
    filled.visible_wait_ms = or_default(config->visible_wait_ms, 200);
    filled.watch_ms = or_default(config->watch_ms, 100);
    filled.idle_ms = or_default(config->idle_ms, 5000);
    filled.rest_ms = or_default(config->rest_ms, 24 * 3600 * 1000);
    filled.idem_kept_s = or_default(config->idem_kept_s, 48 * 3600);
    filled.idem_bytes = config->idem_bytes ? config->idem_bytes : (size_t)256 << 20;
    return filled;
}

/* --- settings of our own ---------------------------------------------------------------------- */

/* A password may be among them. */
static void disown_config(struct kafka_log *log)
{
    if (log->owned)
        explicit_bzero(log->owned, log->owned_size);
    free(log->owned);
}

static char *keep_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *kept = memcpy(*at, text, size);

    *at += size;
    return kept;
}

static enum th_code own_config(struct kafka_log *log, struct th_err *err)
{
    struct kafka_log_config *config = &log->config;
    size_t size = config->settings_n * sizeof *config->settings + strlen(config->brokers) +
                  strlen(config->prefix) + 2;

    for (size_t i = 0; i < config->settings_n; i++)
        size += strlen(config->settings[i].name) + strlen(config->settings[i].value) + 2;
    log->owned = malloc(size);
    log->owned_size = size;
    if (!log->owned)
        return th_fail(err, TH_NOMEM, "settings of a log");
    struct kafka_setting *settings = (struct kafka_setting *)(void *)log->owned;
    char *at = (char *)(settings + config->settings_n);
    for (size_t i = 0; i < config->settings_n; i++)
        settings[i] = (struct kafka_setting){keep_text(&at, config->settings[i].name),
                                             keep_text(&at, config->settings[i].value)};
    config->settings = settings;
    config->brokers = keep_text(&at, config->brokers);
    config->prefix = keep_text(&at, config->prefix);
    config->log_id = NULL;
    return TH_OK;
}

/* --- what is there ---------------------------------------------------------------------------- */

static const struct rd_kafka_metadata_topic *find_topic(const struct rd_kafka_metadata *metadata,
                                                        const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return &metadata->topics[i];
    return NULL;
}

static enum th_code partitions_of(const struct rd_kafka_metadata *metadata, const char *name,
                                  int *out_partitions, struct th_err *err)
{
    const struct rd_kafka_metadata_topic *topic = find_topic(metadata, name);

    if (!topic || topic->partition_cnt == 0)
        return th_fail(err, TH_NOT_FOUND, "kafka: there is no topic %s", name);
    if (topic->err)
        return kafka_fail(err, topic->err, name);
    if (topic->partition_cnt > LOG_PARTITIONS_MAX)
        return th_fail(err, TH_UNSUPPORTED, "%s has %d partitions, at most %d", name,
                       topic->partition_cnt, LOG_PARTITIONS_MAX);
    *out_partitions = topic->partition_cnt;
    return TH_OK;
}

static enum th_code learn_from(struct kafka_log *log, const struct rd_kafka_metadata *metadata,
                               struct th_err *err)
{
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        TH_TRY(partitions_of(metadata, log->topics[topic], &log->base.partitions[topic], err));
        if (topic_kind((enum topic)topic) == TOPIC_REFERENCE && log->base.partitions[topic] != 1)
            return th_fail(err, TH_UNSUPPORTED, "%s has %d partitions, not 1", log->topics[topic],
                           log->base.partitions[topic]);
        log->first[topic] = n;
        n += (size_t)log->base.partitions[topic];
    }
    for (int inner = 0; inner < KAFKA_INNERS; inner++)
        TH_TRY(partitions_of(metadata, log->inner[inner], &log->inner_partitions[inner], err));
    log->committed = calloc(n, sizeof *log->committed);
    return log->committed ? TH_OK : th_fail(err, TH_NOMEM, "%zu partitions", n);
}

static enum th_code learn(struct kafka_log *log, struct th_err *err)
{
    const struct rd_kafka_metadata *metadata;

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        kafka_topic_name(log->config.prefix, (enum topic)topic, log->topics[topic]);
    for (int inner = 0; inner < KAFKA_INNERS; inner++)
        kafka_inner_name(log->config.prefix, (enum kafka_inner)inner, log->inner[inner]);
    TH_TRY(kafka_scout_topics(log->scout, &metadata, err));
    enum th_code code = learn_from(log, metadata, err);
    rd_kafka_metadata_destroy(metadata);
    return code;
}

/* --- identity --------------------------------------------------------------------------------- */

static enum th_code take_identity(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct kafka_log *log = arg;
    struct th_id id;

    if (th_str_eq((struct th_str){message->key, message->key_len}, TH_STR(KAFKA_MARK_KEY)))
        return kafka_take_mark(log, (struct th_str){message->payload, message->len}, err);
    if (log->base.id[0]) /* of two makers the first has won */
        return TH_OK;
    if (message->len != TH_ID_TEXT_LEN ||
        !th_id_parse((struct th_str){message->payload, message->len}, &id))
        return th_fail(err, TH_CORRUPT, "%s does not hold the identity of a log",
                       log->inner[KAFKA_META]);
    th_id_text(id, log->base.id);
    return TH_OK;
}

static enum th_code identify(struct kafka_log *log, const char *wanted, struct th_err *err)
{
    const char *meta = log->inner[KAFKA_META];
    int64_t end;

    TH_TRY(kafka_scout_end(log->scout, meta, 0, &end, err));
    TH_TRY(kafka_scout_walk(log->scout, meta, 0, 0, end, take_identity, log, err));
    if (!log->base.id[0])
        return th_fail(err, TH_NOT_FOUND, "%s is empty: this log was never finished", meta);
    if (wanted && strcmp(wanted, log->base.id) != 0)
        return th_fail(err, TH_CONFLICT, "this is log %s, not %s", log->base.id, wanted);
    return TH_OK;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void log_free(struct kafka_log *log)
{
    if (!log)
        return;
    kafka_bell_free(log->bell);
    kafka_ingest_free(log->ingest);
    kafka_client_close(log->appender);
    for (size_t i = 0; i < log->idle_n; i++)
        kafka_client_close(log->idle[i]);
    kafka_scout_free(log->scout);
    pthread_mutex_destroy(&log->append_lock);
    pthread_mutex_destroy(&log->idle_lock);
    pthread_mutex_destroy(&log->generation_lock);
    pthread_mutex_destroy(&log->health_lock);
    free(log->generations);
    free(log->committed);
    disown_config(log);
    free(log);
}

TH_AUTO_DEFINE(log_free, struct kafka_log *, log_free)

static void close_log(struct th_log *base)
{
    log_free(kafka_of(base));
}

/* A partition's end is asked of the broker; what is known here is later only while it is hidden
 * behind another's transaction. */
static enum th_code end_of(struct th_log *base, enum topic topic, int part, int64_t *out_end,
                           struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    int64_t end;

    TH_TRY(kafka_scout_end(log->scout, log->topics[topic], part, &end, err));
    int64_t committed = atomic_load(kafka_committed(log, topic, part));
    *out_end = end > committed ? end : committed;
    return TH_OK;
}

static enum th_code health_of(struct th_log *base, struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);

    pthread_mutex_lock(&log->health_lock);
    struct th_err health = log->health;
    pthread_mutex_unlock(&log->health_lock);
    if (health.code != TH_OK && err)
        *err = health;
    return health.code;
}

void kafka_note_break(struct kafka_log *log, struct kafka_breaks *breaks, const char *what,
                      const struct th_err *why)
{
    if (!kafka_breaks_add(breaks, th_clock_monotonic_us(&th_clock_real)))
        return;
    pthread_mutex_lock(&log->health_lock);
    th_fail(&log->health, TH_UNAVAILABLE,
            "the Kafka producer %s broke more than %d times in %d minutes, and may not mend in "
            "this process: %s",
            what, KAFKA_BREAKS_MAX, KAFKA_BREAKS_MIN, why ? why->text : "");
    pthread_mutex_unlock(&log->health_lock);
}

static const struct th_log_ops ops = {
    .name = "kafka",
    .append = kafka_append,
    .end = end_of,
    .set_mark = kafka_set_mark,
    .start = kafka_start,
    .trim = kafka_trim,
    .ingest = kafka_ingest_claims,
    .answers = kafka_answers,
    .close = close_log,
    .health = health_of,
    .reader_open = kafka_reader_open,
    .reader_read = kafka_reader_read,
    .reader_seek = kafka_reader_seek,
    .reader_close = kafka_reader_close,
    .listener_open = kafka_listener_open,
    .listener_narrow = kafka_listener_narrow,
    .listener_clear = kafka_listener_clear,
    .listener_close = kafka_listener_close,
    .session_open = kafka_session_open,
    .slot_cursors = kafka_slot_cursors,
    .commit_start = kafka_commit_start,
    .commit_poll = kafka_commit_poll,
    .session_close = kafka_session_close,
    .snapshot_put = kafka_snapshot_put,
    .snapshot_get = kafka_snapshot_get,
};

enum th_code kafka_log_open(const struct kafka_log_config *config, struct th_log **out_log,
                            struct th_err *err)
{
    TH_AUTO(log_free) struct kafka_log *log = calloc(1, sizeof *log);

    if (!log)
        return th_fail(err, TH_NOMEM, "a log");
    log->base.ops = &ops;
    log->config = kafka_config_filled(config);
    pthread_mutex_init(&log->append_lock, NULL);
    pthread_mutex_init(&log->idle_lock, NULL);
    pthread_mutex_init(&log->generation_lock, NULL);
    pthread_mutex_init(&log->health_lock, NULL);
    if (strlen(log->config.prefix) > KAFKA_PREFIX_MAX)
        return th_fail(err, TH_INVALID, "a prefix of more than %d characters", KAFKA_PREFIX_MAX);
    TH_TRY(own_config(log, err));
    TH_TRY(kafka_scout_new(&log->config, &log->scout, err));
    TH_TRY(learn(log, err));
    TH_TRY(identify(log, config->log_id, err));
    TH_TRY(kafka_bell_new(log, &log->bell, err));
    TH_TRY(kafka_ingest_new(log, &log->ingest, err));
    *out_log = &TH_TAKE(log)->base;
    return TH_OK;
}

/* --- what was committed ----------------------------------------------------------------------- */

static void raise_to(atomic_int_fast64_t *at, int64_t value)
{
    int_fast64_t seen = atomic_load(at);

    while (seen < value && !atomic_compare_exchange_weak(at, &seen, value))
        continue;
}

void kafka_publish(struct kafka_log *log, const struct log_output *outputs,
                   const struct kafka_record *records, size_t n)
{
    struct kafka_grown grown = {0};

    for (size_t i = 0; i < n; i++) {
        raise_to(kafka_committed(log, outputs[i].topic, records[i].part), records[i].offset + 1);
        grown.topics |= UINT32_C(1) << outputs[i].topic;
        grown.parts[outputs[i].topic] |= UINT64_C(1) << (records[i].part % 64);
    }
    kafka_bell_ring(log->bell, &grown);
}

struct kafka_log_status kafka_log_status(struct th_log *log)
{
    const struct kafka_log *kafka = kafka_of(log);

    return (struct kafka_log_status){
        .commits = atomic_load(&kafka->commits),
        .resolved = atomic_load(&kafka->resolved),
        .undone = atomic_load(&kafka->undone),
        .reinits = atomic_load(&kafka->reinits),
        .unseen = atomic_load(&kafka->unseen),
        .asked = atomic_load(&kafka->asked),
    };
}
