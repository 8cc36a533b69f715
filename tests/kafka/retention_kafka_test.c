/* The story of tests/integration/retained.h on a log in Kafka; the views lie in Postgres.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the broker (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <stdio.h>

#include "connectors/kafka/kafka_log.h"
#include "tests/integration/log_cluster.h"
#include "tests/integration/retained.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define PARTITIONS 8

static struct log_cluster views;
static struct test_broker broker;
static int trimmed; /* partitions that do not begin at 0 any more */

static struct kafka_log_config config(void)
{
    return (struct kafka_log_config){.brokers = broker.brokers, .prefix = "retained."};
}

static enum th_code open_log(void *unused, struct th_log **out_log, struct th_err *err)
{
    struct kafka_log_config with = config();

    (void)unused;
    return kafka_log_open(&with, out_log, err);
}

static void was_trimmed(void *unused, struct th_log *log)
{
    struct th_err err = {0};

    (void)unused;
    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int part = 0; part < th_log_partitions(log, (enum topic)t); part++) {
            int64_t start = 0;
            int64_t end = 0;
            if (th_log_start(log, (enum topic)t, part, &start, &err) != TH_OK ||
                th_log_end(log, (enum topic)t, part, &end, &err) != TH_OK)
                fail_msg("%s", err.text);
            trimmed += start > 0;
            assert_true(start == 0 || start < end);
        }
    assert_true(trimmed > 10);
}

static void test_views_made_of_the_archive_and_the_rest_equal_live(void **unused)
{
    const struct retained retained = {
        .open = open_log, .conninfo = views.conninfo, .was_trimmed = was_trimmed};

    (void)unused;
    retained_story(&retained);
}

static int start(void **unused)
{
    struct kafka_log_config with = config();
    struct th_err err = {0};

    (void)unused;
    log_cluster_start(&views);
    log_cluster_make(&views, 1);
    if (kafka_log_create(&with, PARTITIONS, 1, &err) != TH_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    log_cluster_stop(&views);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_made_of_the_archive_and_the_rest_equal_live),
    };

    int status = test_broker_start(&broker);
    if (status)
        return status;
    int failed = cmocka_run_group_tests(tests, start, stop);
    if (!failed)
        printf("Kafka %s: %d partitions were trimmed, views made anew are equal\n", broker.version,
               trimmed);
    test_broker_stop(&broker);
    return failed;
}
