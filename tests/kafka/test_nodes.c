#include "tests/kafka/test_nodes.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define METADATA_MS 10000

static struct test_nodes *running; /* for atexit */

static int run(const char *line)
{
    int status = system(line); /* a constant, a folder that mkdtemp named, and the developer's own
                                  choice of version */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void stop_running(void)
{
    if (running)
        test_nodes_stop(running);
}

static int read_env(struct test_nodes *nodes)
{
    char path[128];
    char line[128];
    int ports[TEST_NODES] = {0};

    snprintf(path, sizeof path, "%s/env", nodes->folder);
    FILE *env = fopen(path, "r");
    if (!env)
        return 1;
    while (fgets(line, sizeof line, env)) {
        (void)sscanf(line, "KAFKA_VERSION=%15s", nodes->version);
        (void)sscanf(line, "KAFKA_CLUSTER=%31s", nodes->cluster);
        (void)sscanf(line, "KAFKA_PORTS=%d,%d,%d", &ports[0], &ports[1], &ports[2]);
    }
    fclose(env);
    snprintf(nodes->brokers, sizeof nodes->brokers, "127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d",
             ports[0], ports[1], ports[2]);
    return ports[TEST_NODES - 1] ? 0 : 1;
}

int test_nodes_start(struct test_nodes *nodes)
{
    const char *version = getenv("TELEHUB_TEST_KAFKA_VERSION");
    char line[512];

    *nodes = (struct test_nodes){.folder = "/tmp/telehub-kafka.XXXXXX"};
    if (!mkdtemp(nodes->folder)) {
        perror("mkdtemp");
        return 1;
    }
    running = nodes;
    atexit(stop_running);
    snprintf(line, sizeof line, "%s/tests/kafka/nodes start %s%s%s", TELEHUB_SOURCE_DIR,
             nodes->folder, version ? " --version " : "", version ? version : "");
    int status = run(line);
    if (status == 0)
        status = read_env(nodes);
    if (status == 0)
        printf("Apache Kafka %s, three nodes, cluster %s\n", nodes->version, nodes->cluster);
    return status;
}

void test_nodes_stop(struct test_nodes *nodes)
{
    char line[512];

    running = NULL;
    snprintf(line, sizeof line, "%s/tests/kafka/nodes stop %s; rm -rf %s", TELEHUB_SOURCE_DIR,
             nodes->folder, nodes->folder);
    (void)run(line);
}

static void must(const struct test_nodes *nodes, int node, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, "%s/tests/kafka/broker %s %s/%d", TELEHUB_SOURCE_DIR, command,
             nodes->folder, node);
    if (run(line) == 0)
        return;
    fprintf(stderr, "node %d: %s did not succeed\n", node, command);
    exit(1);
}

void test_nodes_end(struct test_nodes *nodes, int node, bool is_hard)
{
    must(nodes, node, is_hard ? "kill" : "stop");
}

void test_nodes_restart(struct test_nodes *nodes, int node)
{
    must(nodes, node, "restart");
}

static int leader_of(const struct rd_kafka_metadata *metadata, int part)
{
    for (int i = 0; metadata->topic_cnt == 1 && i < metadata->topics[0].partition_cnt; i++)
        if (metadata->topics[0].partitions[i].id == part)
            return metadata->topics[0].partitions[i].leader;
    return 0;
}

static int ask(rd_kafka_t *rk, const char *topic_name, int part)
{
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, topic_name, NULL);
    int leader = 0;

    if (rd_kafka_metadata(rk, 0, topic, &metadata, METADATA_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        leader = leader_of(metadata, part);
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return leader;
}

/* In a process of its own, so that the caller goes on without threads. */
static int ask_and_end(const struct test_nodes *nodes, const char *topic, int part)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    if (rd_kafka_conf_set(conf, "bootstrap.servers", nodes->brokers, why, sizeof why) != 0 ||
        rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why) != 0)
        return 0;
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    return rk ? ask(rk, topic, part) : 0;
}

int test_nodes_leader(const struct test_nodes *nodes, const char *topic, int part)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int leader = ask_and_end(nodes, topic, part);
        _exit(leader > 0 && leader <= TEST_NODES ? leader : 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 0;
}
