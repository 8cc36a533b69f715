/* Events copied on the Kafka log while copiers and brokers are ended at random: one node, or with
 * --nodes 3 a cluster of three, of which chance ends the leader of a partition that is written, or
 * the coordinator of a slot's transactions or of its offsets.
 *
 * TELEHUB_TEST_KAFKA_VERSION chooses the brokers (3.9.1 by default). Skipped, saying so, where no
 * Kafka can be had. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_log.h"
#include "tests/copy/copy.h"
#include "tests/kafka/test_broker.h"
#include "tests/kafka/test_nodes.h"

#define INNER_PARTITIONS 4 /* of Kafka's own topics: server.properties.in */
#define FIND_TRIES       20

struct kafka {
    struct test_broker broker;
    struct test_nodes nodes;
    bool has_nodes;
    int fallen; /* node */
    char name[64];
    char what[96];
};

static struct kafka_log_config config_of(const struct kafka *kafka)
{
    return (struct kafka_log_config){
        .brokers = kafka->has_nodes ? kafka->nodes.brokers : kafka->broker.brokers,
        .commit_timeout_ms = 4000,
        .resolve_retry_ms = 20,
    };
}

static enum th_code create(void *arg, struct th_err *err)
{
    const struct kafka *kafka = arg;
    struct kafka_log_config config = config_of(kafka);

    return kafka_log_create(&config, COPY_PARTITIONS, kafka->has_nodes ? TEST_NODES : 1, err);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    struct kafka_log_config config = config_of(arg);

    return kafka_log_open(&config, out_log, err);
}

/* --- which node ------------------------------------------------------------------------------- */

/* Where a transactional id, or a group, has its coordinator: Java's hash of its name. */
static int inner_partition(const char *name)
{
    uint32_t hash = 0;

    for (; *name; name++)
        hash = 31 * hash + (uint8_t)*name;
    return (int)((hash & INT32_MAX) % INNER_PARTITIONS);
}

/* The leader of one of these partitions, and what that makes it. */
static int find_node(struct kafka *kafka, uint64_t chance)
{
    char slot[32];
    const char *topic = "th.send.outcomes";
    const char *role = "leader of partition";
    int part = (int)(chance / 3 % COPY_PARTITIONS);

    snprintf(slot, sizeof slot, "th.retry.%d", (int)(chance / 3 % COPY_SLOTS));
    if (chance % 3) {
        bool is_group = chance % 3 == 2;
        topic = is_group ? "__consumer_offsets" : "__transaction_state";
        role = is_group ? "coordinator of offsets by partition"
                        : "coordinator of transactions by partition";
        part = inner_partition(slot);
    }
    int node = test_nodes_leader(&kafka->nodes, topic, part);
    snprintf(kafka->what, sizeof kafka->what, "node %d, %s %d of %s,", node, role, part, topic);
    return node;
}

static const char *fell(void *arg, bool is_hard, uint64_t chance)
{
    struct kafka *kafka = arg;

    if (!kafka->has_nodes) {
        test_broker_end(&kafka->broker, is_hard);
        return "the broker";
    }
    kafka->fallen = 0;
    for (int tries = 0; tries < FIND_TRIES && kafka->fallen == 0; tries++)
        kafka->fallen = find_node(kafka, chance); /* none while one is being elected */
    if (kafka->fallen == 0) {
        fprintf(stderr, "no leader can be found: %s\n", kafka->what);
        exit(1);
    }
    test_nodes_end(&kafka->nodes, kafka->fallen, is_hard);
    return kafka->what;
}

static void raise_it(void *arg)
{
    struct kafka *kafka = arg;

    if (kafka->has_nodes)
        test_nodes_restart(&kafka->nodes, kafka->fallen);
    else
        test_broker_restart(&kafka->broker);
}

/* --- the program ------------------------------------------------------------------------------ */

static bool wants_nodes(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2)
        if (strcmp(argv[i], "--nodes") == 0)
            return strcmp(argv[i + 1], "3") == 0;
    return false;
}

static int start(struct kafka *kafka)
{
    int status =
        kafka->has_nodes ? test_nodes_start(&kafka->nodes) : test_broker_start(&kafka->broker);

    snprintf(kafka->name, sizeof kafka->name, "Kafka %s%s",
             kafka->has_nodes ? kafka->nodes.version : kafka->broker.version,
             kafka->has_nodes ? ", three nodes" : "");
    return status;
}

static void stop(struct kafka *kafka)
{
    if (kafka->has_nodes)
        test_nodes_stop(&kafka->nodes);
    else
        test_broker_stop(&kafka->broker);
}

int main(int argc, char **argv)
{
    static const char *const own[] = {"--nodes", NULL};
    static struct kafka kafka;
    struct copy_plan plan = copy_plan_of(argc, argv, own, " [--nodes 3]");

    kafka.has_nodes = wants_nodes(argc, argv);
    int status = start(&kafka);
    if (status)
        return status;
    const struct copy_world world = {
        .name = kafka.name,
        .arg = &kafka,
        .create = create,
        .open = open_it,
        .fell = fell,
        .raise = raise_it,
        .rest_ms = kafka.has_nodes ? 30 : 3,
    };
    status = plan.takeovers ? copy_takeovers(&world, &plan) : copy_run(&world, &plan);
    stop(&kafka);
    return status;
}
