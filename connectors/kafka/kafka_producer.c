#include "connectors/kafka/kafka_producer.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define TRY_MS      1000 /* one try of a call; it is repeated until the deadline */
#define SLOW_US     (3 * TH_US_PER_SEC)
#define ABORT_MS    30000
#define INIT_TRY_MS 5000
#define MARKERS_US  (3 * TH_US_PER_MS)

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static int left_ms(int64_t deadline_us, int at_most_ms)
{
    int64_t left = (deadline_us - now_us()) / TH_US_PER_MS;

    return left < 1 ? 1 : left < at_most_ms ? (int)left : at_most_ms;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* Records carry a number, not an address: a late delivery of an earlier transaction finds none. */
static uint64_t tag_of(uint32_t round, size_t index)
{
    return (uint64_t)round << 32 | index;
}

static void on_delivery(void *arg, const rd_kafka_message_t *message)
{
    struct kafka_producer *producer = arg;
    uint64_t tag = (uint64_t)(uintptr_t)message->_private;
    size_t index = (size_t)(tag & UINT32_MAX);

    if (tag >> 32 != producer->round || index >= producer->records_n)
        return;
    if (message->err) {
        producer->failed = message->err;
        return;
    }
    producer->records[index].offset = message->offset;
    producer->delivered_n++;
}

/* Without this the first record of each topic waits for up to a second. */
static void know_topics(struct kafka_producer *producer)
{
    const struct rd_kafka_metadata *metadata;

    if (rd_kafka_metadata(producer->client->rk, 1, NULL, &metadata, TRY_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

static enum th_code init(struct kafka_producer *producer, int timeout_ms, struct th_err *err)
{
    struct kafka_client *client = producer->client;
    int64_t deadline_us = now_us() + timeout_ms * TH_US_PER_MS;

    for (;;) {
        rd_kafka_error_t *error =
            rd_kafka_init_transactions(client->rk, left_ms(deadline_us, INIT_TRY_MS));
        if (!error)
            return TH_OK;
        rd_kafka_resp_err_t code = rd_kafka_error_code(error);
        bool may_repeat = rd_kafka_error_is_retriable(error) && now_us() < deadline_us;
        enum th_code said =
            th_fail(err, kafka_code(code), "init_transactions: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        rd_kafka_poll(client->rk, 0); /* only the error callback says that a password is wrong */
        if (atomic_load(&client->is_denied))
            return kafka_client_fail(client, err, code, "kafka");
        if (!may_repeat)
            return said;
    }
}

enum th_code kafka_producer_open(const struct kafka_log_config *config, const char *id,
                                 int timeout_ms, struct kafka_producer **out_producer,
                                 struct th_err *err)
{
    TH_AUTO(kafka_producer) struct kafka_producer *producer = calloc(1, sizeof *producer);

    if (!producer)
        return th_fail(err, TH_NOMEM, "a producer");
    TH_TRY(kafka_client_open(config, KAFKA_COMMITS, id, id, &producer->client, err));
    producer->client->on_delivery = on_delivery;
    producer->client->arg = producer;
    TH_TRY(init(producer, timeout_ms, err));
    know_topics(producer);
    atomic_store(&producer->client->is_tainted, false); /* nothing was sent in this epoch */
    *out_producer = TH_TAKE(producer);
    return TH_OK;
}

void kafka_producer_close(struct kafka_producer *producer)
{
    if (!producer)
        return;
    kafka_client_close(producer->client);
    free(producer);
}

bool kafka_producer_is_tainted(const struct kafka_producer *producer)
{
    rd_kafka_poll(producer->client->rk, 0); /* what it has to say of this transaction */
    return atomic_load(&producer->client->is_tainted);
}

/* --- what an error means ---------------------------------------------------------------------- */

enum verdict {
    VERDICT_FINE,
    VERDICT_REPEAT, /* the same call again */
    VERDICT_ABORT,
    VERDICT_UNKNOWN,
    VERDICT_LOST,
};

static enum verdict judge_fatal(struct kafka_producer *producer, struct th_err *err)
{
    char text[256] = "";
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(producer->client->rk, text, sizeof text);

    th_fail(err, kafka_code(code), "kafka: %s", text);
    producer->is_broken |= kafka_code(code) != TH_FENCED;
    return kafka_code(code) == TH_FENCED ? VERDICT_LOST : VERDICT_UNKNOWN;
}

/* In the order that librdkafka's documentation gives, but that somebody else's epoch is one
 * wherever it is met: 2.0.2 asks for an abort when it hears of it in answer to AddOffsetsToTxn.
 * Takes the error. */
static enum verdict judge(struct kafka_producer *producer, rd_kafka_error_t *error,
                          const char *what, struct th_err *err)
{
    enum verdict verdict = VERDICT_UNKNOWN; /* none of the tests: as fatal */
    char text[8];

    if (!error)
        return VERDICT_FINE;
    th_fail(err, kafka_code(rd_kafka_error_code(error)), "%s: %s", what,
            rd_kafka_error_string(error));
    if (rd_kafka_error_is_fatal(error) ||
        rd_kafka_fatal_error(producer->client->rk, text, sizeof text))
        verdict = judge_fatal(producer, err);
    else if (kafka_code(rd_kafka_error_code(error)) == TH_FENCED)
        verdict = VERDICT_LOST;
    else if (rd_kafka_error_txn_requires_abort(error))
        verdict = VERDICT_ABORT;
    else if (rd_kafka_error_is_retriable(error))
        verdict = VERDICT_REPEAT;
    rd_kafka_error_destroy(error);
    return verdict;
}

static bool is_late(const struct kafka_producer *producer)
{
    return now_us() >= producer->deadline_us;
}

/* --- rolling back ----------------------------------------------------------------------------- */

/* err says already why. Unflushed records make the abort of 2.0.2 fail now and then, which is no
 * sign of anything broken. After an error of a batch it goes on to purge the records of the
 * transactions that follow, and that a topic may not be written it remembers for minutes: so the
 * producer is to be replaced. */
static enum kafka_step roll_back(struct kafka_producer *producer)
{
    int64_t deadline_us = now_us() + ABORT_MS * TH_US_PER_MS;
    bool was_broken = producer->is_broken;
    enum verdict verdict;

    atomic_store(&producer->client->is_tainted, true);
    rd_kafka_flush(producer->client->rk, TRY_MS);
    do {
        verdict =
            judge(producer,
                  rd_kafka_abort_transaction(producer->client->rk, left_ms(deadline_us, TRY_MS)),
                  "abort", NULL);
    } while (verdict == VERDICT_REPEAT && now_us() < deadline_us);
    producer->is_broken = was_broken;
    if (verdict == VERDICT_LOST)
        return KAFKA_LOST;
    return verdict == VERDICT_FINE ? KAFKA_ROLLED_BACK : KAFKA_UNKNOWN;
}

/* What follows from a step that was not the commit. */
static enum kafka_step conclude(struct kafka_producer *producer, enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_FINE:
        return KAFKA_GOES_ON;
    case VERDICT_REPEAT: /* until the deadline, which has passed */
    case VERDICT_ABORT:
        return roll_back(producer);
    case VERDICT_LOST:
        return KAFKA_LOST;
    case VERDICT_UNKNOWN:
        break;
    }
    return KAFKA_UNKNOWN;
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum verdict produce(struct kafka_producer *producer, size_t index, struct th_err *err)
{
    const struct kafka_record *record = &producer->records[index];
    rd_kafka_resp_err_t code;

    do {
        code = kafka_client_produce(producer->client, record, tag_of(producer->round, index));
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_flush(producer->client->rk, left_ms(producer->deadline_us, TRY_MS));
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !is_late(producer));
    if (!code)
        return VERDICT_FINE;
    th_fail(err, kafka_code(code), "%s/%d: %s", record->topic, record->part,
            rd_kafka_err2str(code));
    return code == RD_KAFKA_RESP_ERR__FATAL ? judge_fatal(producer, err) : VERDICT_ABORT;
}

static enum verdict produce_all(struct kafka_producer *producer, struct th_err *err)
{
    for (size_t i = 0; i < producer->records_n; i++) {
        enum verdict verdict = produce(producer, i, err);
        if (verdict != VERDICT_FINE)
            return verdict;
    }
    return VERDICT_FINE;
}

/* flush says nothing of records that failed; the deliveries do. */
static enum verdict flush(struct kafka_producer *producer, struct th_err *err)
{
    char text[8];

    while (rd_kafka_flush(producer->client->rk, left_ms(producer->deadline_us, TRY_MS)) &&
           !is_late(producer) && !producer->failed)
        continue;
    if (rd_kafka_fatal_error(producer->client->rk, text, sizeof text))
        return judge_fatal(producer, err);
    if (!producer->failed && producer->delivered_n == producer->records_n)
        return VERDICT_FINE;
    th_fail(err, TH_UNAVAILABLE, "%zu of %zu records were not taken: %s",
            producer->records_n - producer->delivered_n, producer->records_n,
            producer->failed ? rd_kafka_err2str(producer->failed) : "no answer");
    return VERDICT_ABORT;
}

/* The coordinator answers a commit before the partitions have its markers, and takes no partition
 * for the next transaction until they have; librdkafka then asks again after 20 ms. It takes a few.
 */
static void let_settle(const struct kafka_producer *producer)
{
    int64_t left_us = producer->ended_us + MARKERS_US - now_us();

    if (producer->ended_us && left_us > 0)
        (void)usleep((useconds_t)left_us);
}

enum kafka_step kafka_producer_write(struct kafka_producer *producer, struct kafka_record *records,
                                     size_t n, int timeout_ms, struct th_err *err)
{
    let_settle(producer);
    producer->deadline_us = now_us() + timeout_ms * TH_US_PER_MS;
    producer->records = records;
    producer->records_n = n;
    producer->delivered_n = 0;
    producer->failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    producer->round++;

    enum verdict verdict =
        judge(producer, rd_kafka_begin_transaction(producer->client->rk), "begin", err);
    if (verdict != VERDICT_FINE) /* nothing was begun that could be rolled back */
        return verdict == VERDICT_LOST ? KAFKA_LOST : KAFKA_UNKNOWN;
    verdict = produce_all(producer, err);
    if (verdict == VERDICT_FINE)
        verdict = flush(producer, err);
    return conclude(producer, verdict);
}

enum kafka_step kafka_producer_offsets(struct kafka_producer *producer, const char *group,
                                       const rd_kafka_topic_partition_list_t *offsets,
                                       struct th_err *err)
{
    rd_kafka_consumer_group_metadata_t *metadata;
    enum verdict verdict;

    /* The call that follows may wait for ever, whatever its timeout, for a coordinator whose
     * connection is gone (librdkafka's issue 5456; met with 2.16). */
    if (kafka_producer_is_tainted(producer)) {
        th_fail(err, TH_UNAVAILABLE, "a connection was lost during a transaction");
        return KAFKA_UNKNOWN;
    }
    metadata = rd_kafka_consumer_group_metadata_new(group);
    do {
        verdict =
            judge(producer,
                  rd_kafka_send_offsets_to_transaction(producer->client->rk, offsets, metadata,
                                                       left_ms(producer->deadline_us, TRY_MS)),
                  "send_offsets", err);
    } while (verdict == VERDICT_REPEAT && !is_late(producer));
    rd_kafka_consumer_group_metadata_destroy(metadata);
    return conclude(producer, verdict);
}

/* What requires an abort here may have been committed all the same: EndTxn was sent. */
enum kafka_step kafka_producer_commit(struct kafka_producer *producer, struct th_err *err)
{
    int64_t begun_us = now_us();
    enum verdict verdict;

    do {
        verdict = judge(producer,
                        rd_kafka_commit_transaction(producer->client->rk,
                                                    left_ms(producer->deadline_us, TRY_MS)),
                        "commit", err);
        if (verdict == VERDICT_REPEAT)
            atomic_store(&producer->client->is_tainted, true);
    } while (verdict == VERDICT_REPEAT && !is_late(producer));
    producer->ended_us = now_us();
    if (producer->ended_us - begun_us > SLOW_US)
        atomic_store(&producer->client->is_tainted, true);
    if (verdict == VERDICT_FINE)
        return KAFKA_GOES_ON;
    return verdict == VERDICT_LOST ? KAFKA_LOST : KAFKA_UNKNOWN;
}
