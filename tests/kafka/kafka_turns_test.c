/* Two processes that ingest with idempotency keys share the one writer by turns: each key is stored
 * once, whoever comes first, and neither is refused. On a real broker; skipped, saying so, where no
 * Kafka can be had. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_log.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define KEYS    40 /* each is claimed by both */
#define WRITERS 2

static struct test_broker broker;

struct writer {
    struct th_log *log;
    enum log_claim_outcome outcomes[KEYS];
    enum th_code code; /* of the first call that failed; then it ended */
    struct th_err err;
};

static void *ingest_all(void *arg)
{
    struct writer *writer = arg;
    const struct log_output output = {
        .topic = TOPIC_SEND_REQUESTS, .part = -1, .key = TH_STR("k"), .value = TH_STR("v")};
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    for (int i = 0; i < KEYS && writer->code == TH_OK; i++) {
        char key[16];
        struct log_claim claim = {.tenant = TH_STR("t"),
                                  .route = TH_STR("r"),
                                  .status = 202,
                                  .outputs = &output,
                                  .outputs_n = 1};

        snprintf(key, sizeof key, "key-%d", i);
        claim.key = th_str(key);
        writer->code = th_log_ingest(writer->log, &claim, 1, &arena, &writer->err);
        writer->outcomes[i] = claim.outcome;
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
    return NULL;
}

static size_t count_records(struct th_log *log)
{
    struct th_arena arena;
    size_t n = 0;

    th_arena_init(&arena, 1 << 20);
    for (int part = 0; part < th_log_partitions(log, TOPIC_SEND_REQUESTS); part++) {
        const struct log_place from = {TOPIC_SEND_REQUESTS, part, 0};
        struct th_log_reader *reader;
        struct log_records records = {0};
        assert_int_equal(th_log_reader_open(log, &from, 1, &reader, NULL), TH_OK);
        do {
            assert_int_equal(th_log_reader_read(reader, 1 << 20, &arena, &records, NULL), TH_OK);
            n += records.n;
        } while (records.n > 0);
        th_log_reader_close(reader);
    }
    th_arena_fini(&arena);
    return n;
}

static void test_two_take_turns(void **unused)
{
    const struct kafka_log_config config = {.brokers = broker.brokers, .prefix = "turns."};
    struct writer writers[WRITERS] = {0};
    pthread_t threads[WRITERS];
    struct th_err err = {0};

    (void)unused;
    if (kafka_log_create(&config, 2, 1, &err) != TH_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < WRITERS; i++)
        if (kafka_log_open(&config, &writers[i].log, &err) != TH_OK)
            fail_msg("%s", err.text);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ingest_all, &writers[i]), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].code != TH_OK)
            fail_msg("writer %d: %s", i, writers[i].err.text);
    for (int k = 0; k < KEYS; k++) {
        enum log_claim_outcome a = writers[0].outcomes[k];
        enum log_claim_outcome b = writers[1].outcomes[k];
        assert_true((a == LOG_CLAIM_STORED && b == LOG_CLAIM_REPLAYED) ||
                    (a == LOG_CLAIM_REPLAYED && b == LOG_CLAIM_STORED));
    }
    assert_int_equal(count_records(writers[0].log), KEYS);
    for (int i = 0; i < WRITERS; i++)
        th_log_close(writers[i].log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_take_turns),
    };
    int status = test_broker_start(&broker);

    if (status)
        return status;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_broker_stop(&broker);
    return failed;
}
