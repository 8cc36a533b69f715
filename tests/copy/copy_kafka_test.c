/* Events copied on the Kafka log while copiers and the broker are ended at random.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the broker (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <stdio.h>
#include <stdlib.h>

#include "connectors/kafka/kafka_log.h"
#include "tests/copy/copy.h"
#include "tests/kafka/test_broker.h"

static enum th_code create(void *arg, struct th_err *err)
{
    struct test_broker *broker = arg;
    const struct kafka_log_config config = {.brokers = broker->brokers};

    return kafka_log_create(&config, COPY_PARTITIONS, 1, err);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct test_broker *broker = arg;
    const struct kafka_log_config config = {
        .brokers = broker->brokers,
        .commit_timeout_ms = 4000,
        .resolve_retry_ms = 20,
    };

    return kafka_log_open(&config, out_log, err);
}

static const char *fell(void *arg, bool is_hard, uint64_t chance)
{
    (void)chance;
    test_broker_end(arg, is_hard);
    return "the broker";
}

static void raise_it(void *arg)
{
    test_broker_restart(arg);
}

int main(int argc, char **argv)
{
    static struct test_broker broker;
    struct copy_plan plan = copy_plan_of(argc, argv, NULL, "");
    char name[64];
    int status = test_broker_start(&broker);

    if (status)
        return status;
    snprintf(name, sizeof name, "Kafka %s", broker.version);
    const struct copy_world world = {
        .name = name,
        .arg = &broker,
        .create = create,
        .open = open_it,
        .fell = fell,
        .raise = raise_it,
    };
    status = plan.takeovers ? copy_takeovers(&world, &plan) : copy_run(&world, &plan);
    test_broker_stop(&broker);
    return status;
}
