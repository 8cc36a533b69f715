#include "tests/kafka/test_broker.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test_broker *running; /* for atexit */

static int script(const char *command, const struct test_broker *broker, const char *version,
                  bool is_secure)
{
    char line[512];

    snprintf(line, sizeof line, "%s/tests/kafka/broker %s %s%s%s%s", TELEHUB_SOURCE_DIR, command,
             broker->folder, version ? " --version " : "", version ? version : "",
             is_secure ? " --secure" : "");
    int status = system(line); /* a constant, a folder that mkdtemp named, and the developer's own
                                  choice of version */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void stop_running(void)
{
    if (running)
        test_broker_stop(running);
}

static int read_env(struct test_broker *broker)
{
    char path[128];
    char line[128];

    snprintf(path, sizeof path, "%s/env", broker->folder);
    FILE *env = fopen(path, "r");
    if (!env)
        return 1;
    while (fgets(line, sizeof line, env)) {
        (void)sscanf(line, "KAFKA_VERSION=%15s", broker->version);
        (void)sscanf(line, "KAFKA_CLUSTER=%31s", broker->cluster);
        (void)sscanf(line, "KAFKA_PORT=%d", &broker->port);
        (void)sscanf(line, "KAFKA_PROXIED_PORT=%d", &broker->proxied_port);
        (void)sscanf(line, "KAFKA_PROXY_PORT=%d", &broker->proxy_port);
        (void)sscanf(line, "KAFKA_TLS_PORT=%d", &broker->tls_port);
        (void)sscanf(line, "KAFKA_MUTUAL_PORT=%d", &broker->mutual_port);
        (void)sscanf(line, "KAFKA_LOGIN_PORT=%d", &broker->login_port);
        (void)sscanf(line, "KAFKA_OPEN_LOGIN_PORT=%d", &broker->open_login_port);
    }
    fclose(env);
    snprintf(broker->brokers, sizeof broker->brokers, "127.0.0.1:%d", broker->port);
    return broker->port && broker->proxied_port && broker->proxy_port ? 0 : 1;
}

static int start(struct test_broker *broker, bool is_secure)
{
    *broker = (struct test_broker){.folder = "/tmp/telehub-kafka.XXXXXX"};
    if (!mkdtemp(broker->folder)) {
        perror("mkdtemp");
        return 1;
    }
    running = broker;
    atexit(stop_running);
    int status = script("start", broker, getenv("TELEHUB_TEST_KAFKA_VERSION"), is_secure);
    if (status == 0)
        status = read_env(broker);
    if (status == 0)
        printf("Apache Kafka %s, cluster %s\n", broker->version, broker->cluster);
    return status;
}

int test_broker_start(struct test_broker *broker)
{
    return start(broker, false);
}

int test_broker_start_secure(struct test_broker *broker)
{
    return start(broker, true);
}

void test_broker_stop(struct test_broker *broker)
{
    char line[128];

    running = NULL;
    (void)script("stop", broker, NULL, false);
    snprintf(line, sizeof line, "rm -rf %s", broker->folder);
    (void)!system(line);
}

static void must(int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "broker: %s did not succeed\n", what);
    exit(1);
}

void test_broker_end(struct test_broker *broker, bool is_hard)
{
    const char *how = is_hard ? "kill" : "stop";

    must(script(how, broker, NULL, false), how);
}

void test_broker_restart(struct test_broker *broker)
{
    must(script("restart", broker, NULL, false), "restart");
}
