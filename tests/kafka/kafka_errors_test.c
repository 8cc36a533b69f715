/* The error table of kafka_producer.h: at each step of a transaction, what each kind of error
 * means. Answers with errors come from the mock cluster inside librdkafka, which knows nothing of
 * transactions: nothing else is shown by it. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_producer.h"

#include <librdkafka/rdkafka_mock.h> /* wants rdkafka.h before itself */

#define GROUP      "errors"
#define TOPIC      "errors"
#define TIMEOUT_MS 3000
#define ERRORS_MAX 8

/* API keys of the requests that a transaction makes. */
enum api {
    API_PRODUCE = 0,
    API_FIND_COORDINATOR = 10,
    API_INIT_PRODUCER_ID = 22,
    API_ADD_PARTITIONS = 24,
    API_ADD_OFFSETS = 25,
    API_END_TXN = 26,
    API_TXN_OFFSETS = 28,
};

#define E(name) RD_KAFKA_RESP_ERR_##name

static rd_kafka_mock_cluster_t *mock;

/* The next requests of that kind are answered so. */
static void inject(enum api api, const rd_kafka_resp_err_t *errors)
{
    size_t n = 0;

    while (n < ERRORS_MAX && errors[n])
        n++;
    rd_kafka_mock_push_request_errors_array(mock, (int16_t)api, n, errors);
}

/* A transactional id of its own each time. */
static enum th_code open_producer(struct kafka_producer **out_producer, struct th_err *err)
{
    static int opened;
    char id[32];
    const struct kafka_log_config config = {
        .brokers = rd_kafka_mock_cluster_bootstraps(mock),
        .transaction_timeout_ms = 30000,
        .socket_timeout_ms = 5000,
    };

    snprintf(id, sizeof id, "errors.%d", ++opened);
    return kafka_producer_open(&config, id, TIMEOUT_MS, out_producer, err);
}

static enum kafka_step offsets(struct kafka_producer *producer, struct th_err *err)
{
    TH_AUTO(kafka_list)
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, TOPIC, 0)->offset = 1;
    return kafka_producer_offsets(producer, GROUP, list, err);
}

/* How far a transaction came, and what its last step said. */
enum stage { AT_WRITE, AT_OFFSETS, AT_COMMIT };

struct ending {
    enum stage stage;
    enum kafka_step step;
};

static struct ending run(struct kafka_producer *producer, struct th_err *err)
{
    struct kafka_record record = {.topic = TOPIC, .key = TH_STR("k"), .value = TH_STR("v")};
    struct ending ending = {AT_WRITE, kafka_producer_write(producer, &record, 1, TIMEOUT_MS, err)};

    if (ending.step == KAFKA_GOES_ON)
        ending = (struct ending){AT_OFFSETS, offsets(producer, err)};
    if (ending.step == KAFKA_GOES_ON)
        ending = (struct ending){AT_COMMIT, kafka_producer_commit(producer, err)};
    return ending;
}

static void test_what_an_error_means(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum api api;
        rd_kafka_resp_err_t errors[ERRORS_MAX];
        struct ending ends;
    } cases[] = {
        {"records: a leader that moved is found again",
         API_PRODUCE,
         {E(NOT_LEADER_FOR_PARTITION), E(NOT_LEADER_FOR_PARTITION)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"records: too few replicas for a moment",
         API_PRODUCE,
         {E(NOT_ENOUGH_REPLICAS)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"records: refused for good is rolled back",
         API_PRODUCE,
         {E(TOPIC_AUTHORIZATION_FAILED)},
         {AT_WRITE, KAFKA_ROLLED_BACK}},
        {"records: too large is rolled back",
         API_PRODUCE,
         {E(MSG_SIZE_TOO_LARGE)},
         {AT_WRITE, KAFKA_ROLLED_BACK}},
        {"records: a rival's epoch",
         API_PRODUCE,
         {E(INVALID_PRODUCER_EPOCH)},
         {AT_WRITE, KAFKA_LOST}},
        {"partitions: another transaction of ours still ends",
         API_ADD_PARTITIONS,
         {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"partitions: a topic that may not be written is rolled back",
         API_ADD_PARTITIONS,
         {E(TOPIC_AUTHORIZATION_FAILED)},
         {AT_WRITE, KAFKA_ROLLED_BACK}},
        {"partitions: a rival", API_ADD_PARTITIONS, {E(PRODUCER_FENCED)}, {AT_WRITE, KAFKA_LOST}},
        {"partitions: the id may not be used",
         API_ADD_PARTITIONS,
         {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
         {AT_WRITE, KAFKA_UNKNOWN}},
        {"group: its coordinator moved",
         API_ADD_OFFSETS,
         {E(NOT_COORDINATOR_FOR_GROUP)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"group: may not be used is rolled back",
         API_ADD_OFFSETS,
         {E(GROUP_AUTHORIZATION_FAILED)},
         {AT_OFFSETS, KAFKA_ROLLED_BACK}},
        {"group: a rival", API_ADD_OFFSETS, {E(PRODUCER_FENCED)}, {AT_OFFSETS, KAFKA_LOST}},
        {"group: not in a transaction",
         API_ADD_OFFSETS,
         {E(INVALID_TXN_STATE)},
         {AT_OFFSETS, KAFKA_UNKNOWN}},
        {"offsets: the coordinator loads",
         API_TXN_OFFSETS,
         {E(COORDINATOR_LOAD_IN_PROGRESS), E(COORDINATOR_NOT_AVAILABLE)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"offsets: another generation is rolled back",
         API_TXN_OFFSETS,
         {E(ILLEGAL_GENERATION)},
         {AT_OFFSETS, KAFKA_ROLLED_BACK}},
        {"offsets: an unknown member is rolled back",
         API_TXN_OFFSETS,
         {E(UNKNOWN_MEMBER_ID)},
         {AT_OFFSETS, KAFKA_ROLLED_BACK}},
        {"offsets: a fenced member is rolled back",
         API_TXN_OFFSETS,
         {E(FENCED_INSTANCE_ID)},
         {AT_OFFSETS, KAFKA_ROLLED_BACK}},
        {"offsets: a rival's epoch",
         API_TXN_OFFSETS,
         {E(INVALID_PRODUCER_EPOCH)},
         {AT_OFFSETS, KAFKA_LOST}},
        {"end: the coordinator is away for a moment",
         API_END_TXN,
         {E(COORDINATOR_NOT_AVAILABLE), E(COORDINATOR_LOAD_IN_PROGRESS), E(NOT_COORDINATOR)},
         {AT_COMMIT, KAFKA_GOES_ON}},
        {"end: a rival", API_END_TXN, {E(PRODUCER_FENCED)}, {AT_COMMIT, KAFKA_LOST}},
        {"end: a rival's epoch", API_END_TXN, {E(INVALID_PRODUCER_EPOCH)}, {AT_COMMIT, KAFKA_LOST}},
        {"end: the broker forgot the producer",
         API_END_TXN,
         {E(INVALID_PRODUCER_ID_MAPPING)},
         {AT_COMMIT, KAFKA_UNKNOWN}},
        {"end: not in a transaction, which a repeated one may hear",
         API_END_TXN,
         {E(INVALID_TXN_STATE)},
         {AT_COMMIT, KAFKA_UNKNOWN}},
        {"end: the id may not be used any more",
         API_END_TXN,
         {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)},
         {AT_COMMIT, KAFKA_UNKNOWN}},
        {"end: what the library would roll back may have been committed",
         API_END_TXN,
         {E(UNKNOWN)},
         {AT_COMMIT, KAFKA_UNKNOWN}},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct kafka_producer *producer = NULL;
        struct th_err err = {0};

        assert_int_equal(open_producer(&producer, &err), TH_OK);
        inject(cases[i].api, cases[i].errors);
        struct ending ending = run(producer, &err);
        print_message("  %s%s%s\n", cases[i].says, err.code ? ": " : "", err.text);
        assert_int_equal(ending.stage, cases[i].ends.stage);
        assert_int_equal(ending.step, cases[i].ends.step);
        if (ending.step == KAFKA_ROLLED_BACK)
            assert_true(kafka_producer_is_tainted(producer));
        if (ending.step == KAFKA_GOES_ON && !kafka_producer_is_tainted(producer)) {
            ending = run(producer, &err);
            assert_int_equal(ending.stage, AT_COMMIT);
            assert_int_equal(ending.step, KAFKA_GOES_ON);
        }
        kafka_producer_close(producer);
        rd_kafka_mock_clear_request_errors(mock, (int16_t)cases[i].api);
    }
}

static void test_what_an_error_means_to_who_begins(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        rd_kafka_resp_err_t errors[ERRORS_MAX];
        enum th_code code;
    } cases[] = {
        {"the coordinator loads", {E(COORDINATOR_LOAD_IN_PROGRESS)}, TH_OK},
        {"the predecessor's transaction still ends",
         {E(CONCURRENT_TRANSACTIONS), E(CONCURRENT_TRANSACTIONS)},
         TH_OK},
        {"somebody was faster", {E(PRODUCER_FENCED)}, TH_FENCED},
        {"somebody was faster, as older brokers say it", {E(INVALID_PRODUCER_EPOCH)}, TH_FENCED},
        {"the id may not be used", {E(TRANSACTIONAL_ID_AUTHORIZATION_FAILED)}, TH_DENIED},
        {"the cluster may not be used", {E(CLUSTER_AUTHORIZATION_FAILED)}, TH_DENIED},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct kafka_producer *producer = NULL;
        struct th_err err = {0};

        inject(API_INIT_PRODUCER_ID, cases[i].errors);
        enum th_code code = open_producer(&producer, &err);
        print_message("  %s%s%s\n", cases[i].says, err.code ? ": " : "", err.text);
        assert_int_equal(code, cases[i].code);
        kafka_producer_close(producer);
        rd_kafka_mock_clear_request_errors(mock, API_INIT_PRODUCER_ID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_an_error_means),
        cmocka_unit_test(test_what_an_error_means_to_who_begins),
    };
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);

    mock = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    if (!mock || rd_kafka_mock_topic_create(mock, TOPIC, 2, 1)) {
        fprintf(stderr, "no mock cluster\n");
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rd_kafka_mock_cluster_destroy(mock);
    rd_kafka_destroy(rk);
    return failed;
}
