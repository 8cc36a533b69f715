#include "connectors/kafka/kafka_client.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>

#include "common/clock.h"
#include "connectors/kafka/kafka_headers.h"
#include "connectors/kafka/kafka_security.h"

#define LATE_NS 1000000UL

/* --- what goes wrong -------------------------------------------------------------------------- */

enum th_code kafka_code(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return TH_OK;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
        return TH_FENCED;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return TH_DENIED;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return TH_NOT_FOUND;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return TH_CONFLICT;
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return TH_INVALID;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return TH_CORRUPT;
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
        return TH_FULL;
    default:
        return TH_UNAVAILABLE;
    }
}

enum th_code kafka_fail(struct th_err *err, rd_kafka_resp_err_t code, const char *what)
{
    return th_fail(err, kafka_code(code), "%s: %s", what, rd_kafka_err2str(code));
}

enum th_code kafka_client_fail(struct kafka_client *client, struct th_err *err,
                               rd_kafka_resp_err_t code, const char *what)
{
    char why[2 * KAFKA_TROUBLE_MAX];

    kafka_trouble_say(&client->trouble, why, sizeof why);
    if (atomic_load(&client->is_denied))
        return th_fail(err, TH_DENIED, "%s: %s", what, why);
    if (!why[0])
        return kafka_fail(err, code, what);
    return th_fail(err, kafka_code(code), "%s: %s", what, why);
}

static void note_error(struct kafka_client *client, int code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        atomic_store(&client->is_down, true);
        atomic_store(&client->is_tainted, true);
        break;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__SSL: /* also a connection that was closed without a word */
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
        atomic_store(&client->is_tainted, true);
        break;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        atomic_store(&client->is_denied, true);
        break;
    default:
        break;
    }
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *arg)
{
    (void)rk;
    (void)reason;
    note_error(arg, code);
}

/* The library writes to its log, and nowhere else, that it will repeat a request. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct kafka_client *client = rd_kafka_opaque(rk);

    (void)level;
    if (!client)
        return;
    if (strcmp(facility, "REQTMOUT") == 0 || strcmp(facility, "FAIL") == 0)
        atomic_store(&client->is_tainted, true);
    kafka_trouble_note(&client->trouble, facility, text);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct kafka_client *client = arg;

    (void)rk;
    if (client->on_delivery)
        client->on_delivery(client->arg, message);
}

/* --- settings --------------------------------------------------------------------------------- */

static const struct kafka_setting common_settings[] = {
    {"socket.nagle.disable", "true"},      {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.ms", "50"},        {"reconnect.backoff.max.ms", "1000"},
    {"allow.auto.create.topics", "false"},
};

/* What is fetched ahead takes many times its size in the library, once it is decompressed and each
 * record has an event of its own. An answer holds a whole batch at least, however large that is. A
 * fetch may not be smaller than what message.max.bytes says, which means nothing else to a
 * consumer. */
static const struct kafka_setting consumer_settings[] = {
    {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
    {"isolation.level", "read_committed"}, {"auto.offset.reset", "error"},
    {"enable.partition.eof", "true"},      {"check.crcs", "true"},
    {"max.poll.interval.ms", "86400000"},  {"queued.max.messages.kbytes", "512"},
    {"fetch.message.max.bytes", "131072"}, {"fetch.max.bytes", "131072"},
    {"fetch.error.backoff.ms", "10"},      {"message.max.bytes", "131072"},
};

/* Batches leave only when they are flushed, so that what one call writes to a partition stays
 * together; a flush does not wait for the linger. */
static const struct kafka_setting producer_settings[] = {
    {"enable.idempotence", "true"},           {"compression.codec", "lz4"},
    {"message.max.bytes", "1048576"},         {"batch.size", "1000000"},
    {"queue.buffering.max.kbytes", "131072"},
};

/* A builder that keeps the first failure. */
struct conf {
    rd_kafka_conf_t *is;
    enum th_code code;
    struct th_err *err;
};

static void conf_set(struct conf *conf, const char *name, const char *value)
{
    char why[256];

    if (conf->code == TH_OK && rd_kafka_conf_set(conf->is, name, value, why, sizeof why) != 0)
        conf->code = th_fail(conf->err, TH_INVALID, "kafka: %s: %s", name, why); /* no password */
}

static void conf_set_all(struct conf *conf, const struct kafka_setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        conf_set(conf, settings[i].name, settings[i].value);
}

static void conf_set_int(struct conf *conf, const char *name, int value)
{
    char text[16];

    snprintf(text, sizeof text, "%d", value);
    conf_set(conf, name, text);
}

static int fetch_wait_ms(enum kafka_purpose purpose)
{
    return purpose == KAFKA_READS     ? KAFKA_READS_WAIT_MS
           : purpose == KAFKA_FOLLOWS ? KAFKA_FOLLOWS_WAIT_MS
                                      : KAFKA_SCOUTS_WAIT_MS;
}

static void conf_purpose(struct conf *conf, const struct kafka_log_config *config,
                         enum kafka_purpose purpose, const char *id)
{
    switch (purpose) {
    case KAFKA_READS:
    case KAFKA_FOLLOWS:
    case KAFKA_SCOUTS:
    case KAFKA_PEEKS:
        conf_set_all(conf, consumer_settings, TH_LEN(consumer_settings));
        conf_set(conf, "group.id", id);
        conf_set_int(conf, "fetch.wait.max.ms", fetch_wait_ms(purpose));
        if (purpose == KAFKA_PEEKS)
            conf_set(conf, "isolation.level", "read_uncommitted");
        break;
    case KAFKA_APPENDS:
        conf_set_all(conf, producer_settings, TH_LEN(producer_settings));
        conf_set_int(conf, "message.timeout.ms", config->call_timeout_ms);
        conf_set_int(conf, "linger.ms", config->call_timeout_ms / 2);
        break;
    case KAFKA_COMMITS:
        conf_set_all(conf, producer_settings, TH_LEN(producer_settings));
        conf_set(conf, "transactional.id", id);
        conf_set_int(conf, "transaction.timeout.ms", config->transaction_timeout_ms);
        conf_set_int(conf, "linger.ms", config->transaction_timeout_ms / 2);
        conf_set(conf, "max.in.flight.requests.per.connection", "1");
        break;
    }
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Then it matters which Kafka refuses us; a line of this log says it before we log in. */
static bool has_old_scram(const struct kafka_log_config *config)
{
    for (size_t i = 0; i < config->settings_n; i++)
        if (strcmp(config->settings[i].name, "sasl.mechanism") == 0 &&
            strncasecmp(config->settings[i].value, "SCRAM", 5) == 0)
            return kafka_security_has_old_scram();
    return false;
}

static enum th_code make_conf(const struct kafka_log_config *config, enum kafka_purpose purpose,
                              const char *id, const char *name, struct kafka_client *client,
                              rd_kafka_conf_t **out_conf, struct th_err *err)
{
    struct conf conf = {rd_kafka_conf_new(), TH_OK, err};

    conf_set(&conf, "bootstrap.servers", config->brokers);
    conf_set(&conf, "client.id", name);
    conf_set_int(&conf, "socket.timeout.ms", config->socket_timeout_ms);
    conf_set_all(&conf, common_settings, TH_LEN(common_settings));
    conf_purpose(&conf, config, purpose, id);
    conf_set_all(&conf, config->settings, config->settings_n);
    if (client->trouble.is_scram)
        conf_set(&conf, "debug", "feature");
    rd_kafka_conf_set_opaque(conf.is, client);
    rd_kafka_conf_set_error_cb(conf.is, on_error);
    rd_kafka_conf_set_log_cb(conf.is, on_log);
    if (purpose == KAFKA_APPENDS || purpose == KAFKA_COMMITS)
        rd_kafka_conf_set_dr_msg_cb(conf.is, on_delivery);
    if (conf.code != TH_OK) {
        rd_kafka_conf_destroy(conf.is);
        return conf.code;
    }
    *out_conf = conf.is;
    return TH_OK;
}

/* The library's main loop waits in whole milliseconds and spins through the rest of the last one
 * before each of its timers, of which every client has one a second: of a client that does nothing
 * that was nearly all. Threads that may be woken a millisecond late do not wake within it. They
 * inherit this from who makes them. */
static rd_kafka_t *new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size)
{
    int slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

    (void)prctl(PR_SET_TIMERSLACK, LATE_NS, 0, 0, 0);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, size);
    if (slack_ns > 0)
        (void)prctl(PR_SET_TIMERSLACK, (unsigned long)slack_ns, 0, 0, 0);
    return rk;
}

enum th_code kafka_client_open(const struct kafka_log_config *config, enum kafka_purpose purpose,
                               const char *id, const char *name, struct kafka_client **out_client,
                               struct th_err *err)
{
    TH_AUTO(kafka_client) struct kafka_client *client = calloc(1, sizeof *client);
    bool is_producer = purpose == KAFKA_APPENDS || purpose == KAFKA_COMMITS;
    rd_kafka_conf_t *conf;
    char why[256];

    if (!client)
        return th_fail(err, TH_NOMEM, "a Kafka client");
    client->purpose = purpose;
    kafka_trouble_init(&client->trouble, has_old_scram(config));
    TH_TRY(make_conf(config, purpose, id, name, client, &conf, err));
    client->rk =
        new_client(is_producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!client->rk) {
        rd_kafka_conf_destroy(conf);
        return th_fail(err, TH_INVALID, "kafka: %s", why);
    }
    if (!is_producer)
        rd_kafka_poll_set_consumer(client->rk);
    *out_client = TH_TAKE(client);
    return TH_OK;
}

void kafka_client_close(struct kafka_client *client)
{
    if (!client)
        return;
    if (client->rk) {
        /* Nothing of a group has to be left: none was joined. */
        rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    kafka_trouble_fini(&client->trouble);
    free(client);
}

/* --- consuming -------------------------------------------------------------------------------- */

/* The queue was not full if less was taken from it than half of what fills it: consumer_settings'
 * kilobytes, or 100,000 records. Half, since the library counts otherwise. */
#define FULL_BYTES   ((size_t)256 * 1024)
#define FULL_RECORDS 50000
#define REST_US      TH_US_PER_SEC
#define WAKE_MS      1000 /* for an answer of which only the asking matters */

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static void forget_taken(struct kafka_client *client)
{
    client->taken = client->taken_n = 0;
    client->empty_us = 0;
}

rd_kafka_resp_err_t kafka_client_assign(struct kafka_client *client,
                                        const rd_kafka_topic_partition_list_t *list)
{
    forget_taken(client);
    client->was_assigned = true;
    return rd_kafka_assign(client->rk, list);
}

rd_kafka_message_t *kafka_client_poll(struct kafka_client *client, int timeout_ms)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client->rk, timeout_ms);

    if (!message && !client->empty_us)
        client->empty_us = now_us();
    if (!message || message->err)
        return message;
    if (client->empty_us)
        forget_taken(client);
    client->taken += message->len + message->key_len;
    client->taken_n++;
    return message;
}

bool kafka_client_may_rest(const struct kafka_client *client)
{
    return client->empty_us && (client->taken >= FULL_BYTES || client->taken_n >= FULL_RECORDS) &&
           now_us() - client->empty_us < REST_US;
}

/* The thread that fetches looks whether there is room whenever it is woken, and a question to its
 * broker wakes it. A setting would do since 2.3 (fetch.queue.backoff.ms), by waking it every few ms
 * for as long as the queue is full. */
void kafka_client_wake(struct kafka_client *client, rd_kafka_topic_partition_list_t *list)
{
    forget_taken(client);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    (void)rd_kafka_offsets_for_times(client->rk, list, WAKE_MS);
}

/* --- producing -------------------------------------------------------------------------------- */

/* The macros of librdkafka check their types by a statement expression of GNU C. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

static rd_kafka_resp_err_t produce_with_headers(struct kafka_client *client,
                                                const struct kafka_record *record, const void *key,
                                                void *value, uint64_t tag)
{
    rd_kafka_headers_t *headers = kafka_headers_make(record->headers, record->at_us);

    if (!headers)
        return RD_KAFKA_RESP_ERR__FAIL;
    rd_kafka_resp_err_t code = rd_kafka_producev(
        client->rk, RD_KAFKA_V_TOPIC(record->topic), RD_KAFKA_V_PARTITION(record->part),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key.n),
        RD_KAFKA_V_VALUE(value, record->value.n), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE((void *)(uintptr_t)tag), RD_KAFKA_V_END);
    if (code) /* they were not taken */
        rd_kafka_headers_destroy(headers);
    return code;
}

rd_kafka_resp_err_t kafka_client_produce(struct kafka_client *client,
                                         const struct kafka_record *record, uint64_t tag)
{
    /* A NULL pointer would be Kafka's null; what is empty stays empty. */
    const void *key = record->key.p ? record->key.p : "";
    void *value = (void *)(record->value.p ? record->value.p : "");

    if (record->at_us || record->headers.n)
        return produce_with_headers(client, record, key, value, tag);
    return rd_kafka_producev(
        client->rk, RD_KAFKA_V_TOPIC(record->topic), RD_KAFKA_V_PARTITION(record->part),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, record->key.n),
        RD_KAFKA_V_VALUE(value, record->value.n), RD_KAFKA_V_OPAQUE((void *)(uintptr_t)tag),
        RD_KAFKA_V_END);
}

#pragma GCC diagnostic pop
