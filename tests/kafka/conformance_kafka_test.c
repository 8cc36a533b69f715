/* The Kafka log keeps the contract, on a real broker behind a proxy that loses and holds answers.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the broker (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connectors/kafka/kafka_anchor.h"
#include "tests/conformance/conformance.h"
#include "tests/kafka/fault_proxy.h"
#include "tests/kafka/test_broker.h"

#define COMMIT_TIMEOUT_MS 1500 /* after that a lost answer is asked about */

struct kafka {
    struct test_broker broker;
    struct fault_proxy *proxy;
    int logs; /* made so far; each has a prefix of its own */
    char prefix[32];
    char direct[32];
    char proxied[32];
};

static struct kafka_log_config config_of(const struct kafka *kafka, const char *brokers)
{
    return (struct kafka_log_config){
        .brokers = brokers,
        .prefix = kafka->prefix,
        .commit_timeout_ms = COMMIT_TIMEOUT_MS,
    };
}

static enum th_code create(void *arg, struct th_err *err)
{
    struct kafka *kafka = arg;

    snprintf(kafka->prefix, sizeof kafka->prefix, "t%d.", ++kafka->logs);
    struct kafka_log_config config = config_of(kafka, kafka->direct);
    return kafka_log_create(&config, CONFORMANCE_PARTITIONS, 1, err);
}

static void destroy(void *arg)
{
    struct kafka *kafka = arg;
    struct kafka_log_config config = config_of(kafka, kafka->direct);
    struct th_err err = {0};

    if (kafka_log_drop(&config, &err) != TH_OK)
        fprintf(stderr, "drop: %s\n", err.text);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct kafka *kafka = arg;
    struct kafka_log_config config = config_of(kafka, kafka->proxied);

    return kafka_log_open(&config, out_log, err);
}

static enum th_code open_other(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct kafka *kafka = arg;
    struct kafka_log_config config = config_of(kafka, kafka->direct);

    return kafka_log_open(&config, out_log, err);
}

static void close_it(void *arg, struct th_log *log)
{
    (void)arg;
    th_log_close(log);
}

static struct kafka_seat seat(struct th_log *log, enum log_app app, int slot)
{
    struct kafka_seat it;

    kafka_seat_of((struct kafka_log *)log, app, slot, &it);
    return it;
}

/* Whoever asks what has become of it begins with a new epoch, and is answered. */
static void lose_answer(void *arg, struct th_log *log, enum log_app app, int slot, bool happens)
{
    struct kafka *kafka = arg;
    struct kafka_seat it = seat(log, app, slot);
    struct fault_rule rule = {
        .client_id = it.group, .apis = FAULT_BIT(FAULT_API_END_TXN), .until_init = true};

    if (happens) {
        rule.fate = FAULT_LOSE_ANSWER;
        rule.times = 1;
        fault_proxy_add(kafka->proxy, &rule);
    }
    rule.fate = FAULT_LOSE_REQUEST;
    rule.times = 0;
    rule.skip = happens;
    fault_proxy_add(kafka->proxy, &rule);
}

static void hold(void *arg, struct th_log *log, enum log_app app, int slot)
{
    struct kafka *kafka = arg;
    struct kafka_seat it = seat(log, app, slot);

    fault_proxy_add(kafka->proxy, &(struct fault_rule){.client_id = it.group,
                                                       .apis = FAULT_BIT(FAULT_API_END_TXN),
                                                       .fate = FAULT_HOLD});
}

static void let_go(void *arg, struct th_log *log, enum log_app app, int slot)
{
    struct kafka *kafka = arg;

    fault_proxy_let_go(kafka->proxy, seat(log, app, slot).group);
}

static void kill_connection(void *arg, struct th_log *log, enum log_app app, int slot)
{
    struct kafka *kafka = arg;

    /* None is left where a cut connection had the producer replaced, which comes with the next
     * commit. */
    (void)fault_proxy_cut(kafka->proxy, seat(log, app, slot).group);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* The last chunk of the newest snapshot of a piece, as the driver writes it: key = app, partition
 * (2 bytes), piece (4), generation, chunk (2); the value's offset stands at byte 11. */
struct damage {
    char piece[7];
    char key[32];
    size_t key_n;
    char value[4096];
    size_t value_n;
    int64_t upto;
};

static enum th_code find_newest(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct damage *damage = arg;
    int64_t upto = 0;

    (void)err;
    if (memcmp(message->key, damage->piece, sizeof damage->piece) != 0)
        return TH_OK;
    for (int i = 0; i < 8; i++)
        upto = upto << 8 | ((const uint8_t *)message->payload)[11 + i];
    if (upto < damage->upto || message->len > sizeof damage->value)
        return TH_OK;
    damage->upto = upto;
    memcpy(damage->key, message->key, damage->key_n = message->key_len);
    memcpy(damage->value, message->payload, damage->value_n = message->len);
    return TH_OK;
}

/* What lies on the log stays; the same key with one bit flipped is what compaction would leave. */
static void damage_snapshot(void *arg, struct th_log *log, enum log_app app, int part, int piece)
{
    struct kafka_log *kafka = (struct kafka_log *)log;
    struct damage damage = {
        .piece = {(char)app, (char)(part >> 8), (char)part, 0, 0, (char)(piece >> 8), (char)piece},
        .upto = -1};
    const char *topic = kafka->inner[KAFKA_SNAPSHOTS];
    struct th_err err;
    int64_t end;

    (void)arg;
    for (int p = 0; p < kafka->inner_partitions[KAFKA_SNAPSHOTS]; p++) {
        if (kafka_scout_end(kafka->scout, topic, p, &end, &err) != TH_OK ||
            kafka_scout_walk(kafka->scout, topic, p, 0, end, find_newest, &damage, &err) != TH_OK)
            abort();
        if (damage.value_n == 0)
            continue;
        damage.value[damage.value_n - 1] ^= 1;
        struct kafka_record record = {.topic = topic,
                                      .part = p,
                                      .key = {damage.key, damage.key_n},
                                      .value = {damage.value, damage.value_n}};
        if (kafka_append_batch(kafka, &record, 1, &err) != TH_OK)
            abort();
        return;
    }
    abort();
}

int main(void)
{
    static struct kafka kafka;
    char name[64];
    int status = test_broker_start(&kafka.broker);

    if (status)
        return status;
    kafka.proxy = fault_proxy_start(kafka.broker.proxy_port, kafka.broker.proxied_port);
    snprintf(kafka.direct, sizeof kafka.direct, "127.0.0.1:%d", kafka.broker.port);
    snprintf(kafka.proxied, sizeof kafka.proxied, "127.0.0.1:%d", kafka.broker.proxy_port);
    snprintf(name, sizeof name, "kafka %s", kafka.broker.version);
    const struct log_conformance it = {
        .name = name,
        .arg = &kafka,
        .create = create,
        .destroy = destroy,
        .open = open_it,
        .close = close_it,
        .open_other = open_other,
        .lose_answer = lose_answer,
        .hold = hold,
        .let_go = let_go,
        .kill_connection = kill_connection,
        .damage_snapshot = damage_snapshot,
        .leaves_numbers_out = true,
    };
    printf("librdkafka %s\n", rd_kafka_version_str());
    int failed = log_conformance_run(&it);
    fault_proxy_stop(kafka.proxy);
    test_broker_stop(&kafka.broker);
    return failed;
}
