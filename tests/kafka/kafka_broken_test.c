/* A producer that breaks for good again and again: `telehub run` says so and ends with the status
 * that asks its supervisor for a new process, which then does what was left undone. The program
 * itself, on a real broker and a real database; the proxy between them answers one request with an
 * error that no producer survives. Skipped, saying so, where no Kafka can be had. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "connectors/kafka/kafka_log.h"
#include "tests/integration/cluster.h"
#include "tests/kafka/fault_proxy.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define INVALID_TXN_STATE 48 /* Kafka's code: librdkafka's producer is never usable again */
#define OWNER             "th.retry.0"
#define STATUS_BROKEN     70
#define WAIT_S            120 /* for what must happen */
#define LOOK_US           20000
#define OUTPUT_MAX        65536

static struct test_broker broker;
static struct fault_proxy *proxy;
static struct cluster *cluster;
static char folder[] = "/tmp/telehub-broken.XXXXXX";

/* --- the program ------------------------------------------------------------------------------ */

static void become(const char *role)
{
    char log[64], output[64];

    snprintf(log, sizeof log, "kafka://127.0.0.1:%d", broker.proxy_port);
    snprintf(output, sizeof output, "%s/output", folder);
    int fd = open(output, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        setenv("TELEHUB_DIR", folder, 1) || setenv("TELEHUB_LOG", log, 1) ||
        setenv("TELEHUB_DATABASE", cluster_conninfo(cluster), 1) ||
        setenv("TELEHUB_PARTITIONS", "2", 1) || setenv("TELEHUB_SLOTS", "1", 1) ||
        setenv("TELEHUB_REPLICATION", "1", 1))
        _exit(126);
    execl(TELEHUB, TELEHUB, role ? "run" : "upgrade", role, (char *)NULL);
    _exit(127);
}

/* role NULL: telehub upgrade. */
static pid_t begin(const char *role)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        become(role);
    assert_true(pid > 0);
    return pid;
}

static const char *output(void)
{
    static char text[OUTPUT_MAX];
    char path[64];

    snprintf(path, sizeof path, "%s/output", folder);
    FILE *file = fopen(path, "re");
    text[file ? fread(text, 1, sizeof text - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
    return text;
}

static int64_t now_s(void)
{
    return th_clock_monotonic_us(&th_clock_real) / TH_US_PER_SEC;
}

/* Its exit status. */
static int ended(pid_t pid)
{
    int status;

    for (int64_t until = now_s() + WAIT_S; now_s() < until; usleep(LOOK_US))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    fail_msg("it does not end; it said:\n%s", output());
    return -1;
}

static void until_says(const char *words)
{
    for (int64_t until = now_s() + WAIT_S; now_s() < until; usleep(LOOK_US))
        if (strstr(output(), words))
            return;
    fail_msg("it never says %s, but:\n%s", words, output());
}

/* --- the log ---------------------------------------------------------------------------------- */

static struct th_log *open_log(void)
{
    const struct kafka_log_config config = {.brokers = broker.brokers};
    struct th_err err = {0};
    struct th_log *log;

    if (kafka_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

/* Nobody can understand it, so its reader writes a dead letter: a transaction. */
static void ask_for_a_transaction(struct th_log *log)
{
    const struct log_output request = {
        .topic = TOPIC_SEND_REQUESTS, .key = TH_STR("k"), .value = TH_STR("junk")};
    struct th_err err = {0};

    if (th_log_append(log, &request, 1, NULL, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static int64_t dead_letters(struct th_log *log)
{
    int64_t n = 0, end;
    struct th_err err = {0};

    for (int part = 0; part < th_log_partitions(log, TOPIC_DEAD_LETTERS); part++) {
        if (th_log_end(log, TOPIC_DEAD_LETTERS, part, &end, &err) != TH_OK)
            fail_msg("%s", err.text);
        n += end;
    }
    return n;
}

/* --- ------------------------------------------------------------------------------------------ */

static void test_a_producer_that_does_not_mend_ends_the_process(void **unused)
{
    const struct fault_rule rule = {.client_id = OWNER,
                                    .apis = FAULT_BIT(FAULT_API_ADD_OFFSETS),
                                    .fate = FAULT_REFUSE,
                                    .error = INVALID_TXN_STATE};
    struct th_log *log;

    (void)unused;
    int status = ended(begin(NULL));
    if (status != 0)
        fail_msg("upgrade: %d: %s", status, output());
    log = open_log();
    pid_t pid = begin("retry");
    until_says("id=slot.open core=retry");
    fault_proxy_add(proxy, &rule);
    ask_for_a_transaction(log);
    status = ended(pid);
    print_message("  %zu transactions refused\n", fault_proxy_struck(proxy));
    if (status != STATUS_BROKEN)
        fail_msg("it ends with %d:\n%s", status, output());
    assert_non_null(
        strstr(output(), "the Kafka producer " OWNER " broke more than 5 times in 10 minutes"));
    assert_int_equal(dead_letters(log), 0);
    th_log_close(log);
}

static void test_the_next_process_does_what_was_left(void **unused)
{
    struct th_log *log = open_log();

    (void)unused;
    fault_proxy_let_go(proxy, OWNER);
    pid_t pid = begin("retry");
    for (int64_t until = now_s() + WAIT_S; now_s() < until && dead_letters(log) == 0;)
        usleep(LOOK_US);
    assert_true(dead_letters(log) > 0);
    kill(pid, SIGTERM);
    assert_int_equal(ended(pid), 0);
    th_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_producer_that_does_not_mend_ends_the_process),
        cmocka_unit_test(test_the_next_process_does_what_was_left),
    };
    char line[96];
    int status = test_broker_start(&broker);

    if (status)
        return status;
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    cluster = cluster_start();
    proxy = fault_proxy_start(broker.proxy_port, broker.proxied_port);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fault_proxy_stop(proxy);
    cluster_stop(cluster);
    test_broker_stop(&broker);
    snprintf(line, sizeof line, "rm -rf %s", folder);
    return system(line) ? 1 : failed;
}
