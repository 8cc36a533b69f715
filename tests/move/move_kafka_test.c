/* From a database to Kafka and back to another database, killed at random moments on both ways.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the broker (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <stdio.h>

#include "connectors/kafka/kafka_log.h"
#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"
#include "tests/kafka/test_broker.h"
#include "tests/move/killed.h"
#include "tests/move/story.h"
#include "tests/unit/test.h"

#define CHAPTERS         8
#define KILLS            4
#define LIFE_MS          150
#define CONNINFO_MAX     512
#define KAFKA_PARTITIONS 8

static struct cluster *cluster;
static char first[CONNINFO_MAX];
static char last[CONNINFO_MAX];
static char brokers[32];

static enum th_code open_database(void *conninfo, struct th_log **out_log, struct th_err *err)
{
    const struct pg_log_config config = {.conninfo = conninfo, .is_guest = true};

    return pg_log_open(&config, out_log, err);
}

/* A transaction of one that was killed hides what comes behind it until its time is over. */
static struct kafka_log_config kafka_config(void)
{
    return (struct kafka_log_config){.brokers = brokers,
                                     .prefix = "move.",
                                     .transaction_timeout_ms = 6000,
                                     .socket_timeout_ms = 3000,
                                     .commit_timeout_ms = 4000};
}

static enum th_code open_kafka(void *unused, struct th_log **out_log, struct th_err *err)
{
    (void)unused;
    struct kafka_log_config config = kafka_config();

    return kafka_log_open(&config, out_log, err);
}

static struct th_log *opened(open_log *open, void *arg)
{
    struct th_log *log = NULL;
    struct th_err err = {0};

    if (open(arg, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static void make_database(char *conninfo, int partitions)
{
    struct th_err err = {0};
    int applied;

    if (pg_log_upgrade(conninfo, &applied, &err) != TH_OK ||
        pg_log_create(conninfo, partitions, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static int make_logs(void **unused)
{
    (void)unused;
    struct kafka_log_config config = kafka_config();
    struct th_err err = {0};

    snprintf(first, sizeof first, "%s", cluster_conninfo(cluster));
    cluster_database(cluster, "back", last);
    make_database(first, 4);
    make_database(last, 3);
    if (kafka_log_create(&config, KAFKA_PARTITIONS, 1, &err) != TH_OK)
        fail_msg("%s", err.text);
    struct th_log *log = opened(open_database, first);
    story_write(log, CHAPTERS);
    th_log_close(log);
    return 0;
}

static void is_copied(struct th_log *from, struct th_log *to)
{
    story_is_copied(from, to, STORY_SLOTS);
    th_log_close(to);
    th_log_close(from);
}

static void test_from_a_database_to_kafka(void **unused)
{
    (void)unused;
    const struct killed_copy copy = {.source = open_database,
                                     .source_arg = first,
                                     .target = open_kafka,
                                     .slots = STORY_SLOTS,
                                     .kills = KILLS,
                                     .life_ms = LIFE_MS,
                                     .seed = 1};

    killed_copy_run(&copy);
    is_copied(opened(open_database, first), opened(open_kafka, NULL));
}

static void test_and_back(void **unused)
{
    (void)unused;
    const struct killed_copy copy = {.source = open_kafka,
                                     .target = open_database,
                                     .target_arg = last,
                                     .slots = STORY_SLOTS,
                                     .kills = KILLS,
                                     .life_ms = LIFE_MS,
                                     .seed = 2};

    killed_copy_run(&copy);
    is_copied(opened(open_kafka, NULL), opened(open_database, last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_a_database_to_kafka),
        cmocka_unit_test(test_and_back),
    };
    struct test_broker broker = {0};

    int status = test_broker_start(&broker);
    if (status)
        return status;
    printf("Kafka %s\n", broker.version);
    snprintf(brokers, sizeof brokers, "127.0.0.1:%d", broker.port);
    cluster = cluster_start();
    int failed = cmocka_run_group_tests(tests, make_logs, NULL);
    cluster_stop(cluster);
    test_broker_stop(&broker);
    return failed;
}
