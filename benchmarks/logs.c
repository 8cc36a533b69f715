/* The same figures of a log in Postgres and of one in Kafka.
 *
 *   bench_logs postgres [SECONDS]      makes a Postgres of its own and removes it
 *   bench_logs kafka PORT [SECONDS]    on the broker at 127.0.0.1:PORT, topics of a prefix of its
 * own
 *
 * SECONDS (2) for each figure. Each group is measured by a process that is new. One JSON object per
 * line: {"name","of","value","unit","against","against_value","ratio","better"}; of: the driver.
 */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/log_rates.h"
#include "connectors/kafka/kafka_log.h"
#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"

#define TAKEOVERS 5

static struct {
    const char *name;
    char conninfo[512];
    char brokers[32];
    char prefix[32];
    struct kafka_log_config kafka;
    struct cluster *cluster;
} driver;

static struct th_log *open_log(void);
static struct rates rates = {"bench_logs", open_log, 4, 2};

static void must(enum th_code code, const struct th_err *err)
{
    rates_must(&rates, code, err);
}

static struct th_log *open_log(void)
{
    struct th_err err = {0};
    struct th_log *log;

    if (*driver.brokers) {
        must(kafka_log_open(&driver.kafka, &log, &err), &err);
    } else {
        struct pg_log_config config = {.conninfo = driver.conninfo};
        must(pg_log_open(&config, &log, &err), &err);
    }
    return log;
}

static void make_postgres(void)
{
    struct th_err err = {0};
    int applied;

    driver.name = "postgres";
    driver.cluster = cluster_start_full();
    snprintf(driver.conninfo, sizeof driver.conninfo, "%s", cluster_conninfo(driver.cluster));
    must(pg_log_upgrade(driver.conninfo, &applied, &err), &err);
    must(pg_log_create(driver.conninfo, rates.partitions, &err), &err);
}

static void make_kafka(const char *port)
{
    driver.name = "kafka";
    rates.partitions = 32;
    snprintf(driver.brokers, sizeof driver.brokers, "127.0.0.1:%.5s", port);
    snprintf(driver.prefix, sizeof driver.prefix, "bench%d.", (int)getpid());
    driver.kafka = (struct kafka_log_config){.brokers = driver.brokers, .prefix = driver.prefix};
}

/* Its client must not be in the process that forks. */
static void create_kafka(void)
{
    struct th_err err = {0};

    must(kafka_log_create(&driver.kafka, rates.partitions, 1, &err), &err);
}

static void drop_kafka(void)
{
    struct th_err err = {0};

    must(kafka_log_drop(&driver.kafka, &err), &err);
}

/* against: NULL if there is nothing to compare it with. */
static void report(const char *name, double value, const char *unit, const char *against,
                   double against_value, const char *better)
{
    printf("{\"name\":\"%s\",\"of\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",", name, driver.name,
           value, unit);
    if (against)
        printf("\"against\":\"%s\",\"against_value\":%.1f,\"ratio\":%.2f,", against, against_value,
               value / against_value);
    else
        printf("\"against\":null,\"against_value\":null,\"ratio\":null,");
    printf("\"better\":\"%s\"}\n", better);
    fflush(stdout);
}

/* --- groups ----------------------------------------------------------------------------------- */

static pid_t begin_process(void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        run();
        fflush(stdout);
        _exit(0);
    }
    return pid;
}

static void in_process(void (*run)(void))
{
    pid_t pid = begin_process(run);
    int status = 0;

    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "bench_logs: a part failed\n");
        exit(1);
    }
}

static void measure_appends(void)
{
    struct th_log *log = open_log();

    report("append, one record a call", rates_append(&rates, log, 1, -1), "appends/s", NULL, 0,
           "more");
    report("append, batches of 100", rates_append(&rates, log, RATES_BATCH, -1) * RATES_BATCH,
           "events/s", NULL, 0, "more");
    report("append, batches of 100, 4 writers", rates_append_many(&rates, 4) * RATES_BATCH,
           "events/s", NULL, 0, "more");
    th_log_close(log);
}

static void measure_commits(void)
{
    struct th_log *log = open_log();

    double one = rates_commit(&rates, log, 1, 4);
    report("transactions of 120 events, 1 slot, 4 partitions", one, "transactions/s", NULL, 0,
           "more");
    double wide = rates_commit(&rates, log, 1, rates.partitions);
    report("transactions of 120 events, 1 slot, all partitions", wide, "transactions/s",
           "the same, 4 partitions", one, "more");
    double four = rates_commit(&rates, log, 4, rates.partitions);
    report("transactions of 120 events, 4 slots, all partitions", four, "transactions/s", "1 slot",
           wide, "more");
    report("the same, its events", four * RATES_TXN_EVENTS, "events/s", NULL, 0, "more");
    th_log_close(log);
}

static void measure_ingest(void)
{
    struct th_log *log = open_log();

    report("ingest, 64 requests with keys a call", rates_ingest(&rates, log), "requests/s", NULL, 0,
           "more");
    report("from an append to a reader that waits", rates_wake_us(&rates, log), "us", NULL, 0,
           "less");
    th_log_close(log);
}

static void measure_read(void)
{
    struct th_log *log = open_log();

    rates_read(&rates, log); /* once to warm caches */
    struct rates_read read = rates_read(&rates, log);
    report("read, all partitions", read.records_s, "events/s", NULL, 0, "more");
    report("the same in bytes", read.mb_s, "MB/s", NULL, 0, "more");
    th_log_close(log);
}

/* --- what grows with the log ------------------------------------------------------------------ */

static uint64_t stored; /* how many records the log is to hold */

static uint64_t count(struct th_log *log)
{
    struct th_err err = {0};
    uint64_t n = 0;
    int64_t end;

    for (int part = 0; part < rates.partitions; part++) {
        must(th_log_end(log, TOPIC_DISPATCH_ATTEMPTS, part, &end, &err), &err);
        n += (uint64_t)end;
    }
    return n;
}

static void fill(void)
{
    struct log_output outputs[RATES_BATCH];
    struct th_log *log = open_log();
    struct th_err err = {0};
    uint64_t n = count(log);

    for (uint64_t i = 0; n < stored; i++, n += RATES_BATCH) {
        for (size_t k = 0; k < RATES_BATCH; k++)
            outputs[k] =
                (struct log_output){TOPIC_DISPATCH_ATTEMPTS, (int)(i % (uint64_t)rates.partitions),
                                    TH_STR("pratham/41"), .value = rates_text(k)};
        must(th_log_append(log, outputs, RATES_BATCH, NULL, &err), &err);
    }
    th_log_close(log);
}

static double peak_mb(void)
{
    char line[128];
    double kb = 0;
    FILE *status = fopen("/proc/self/status", "re");

    while (status && fgets(line, sizeof line, status))
        (void)sscanf(line, "VmHWM: %lf", &kb);
    if (status)
        fclose(status);
    return kb / 1024;
}

static void report_size(const char *what, double value, const char *unit, const char *better)
{
    char name[96];

    snprintf(name, sizeof name, "%s, %" PRIu64 " stored", what, stored);
    report(name, value, unit, NULL, 0, better);
}

/* At least for so long: few records are read in no time. */
static void measure_size(void)
{
    struct th_log *log = open_log();
    double start = rates_now();
    uint64_t n = 0;

    do
        n += rates_read(&rates, log).records;
    while (rates_now() - start < rates.seconds);
    report_size("read", (double)n / (rates_now() - start), "events/s", "more");
    report_size("append, batches of 100", rates_append(&rates, log, RATES_BATCH, -1) * RATES_BATCH,
                "events/s", "more");
    report_size("resident peak of who did both", peak_mb(), "MB", "less");
    th_log_close(log);
}

/* --- takeover --------------------------------------------------------------------------------- */

static int told[2]; /* a pipe: a byte for each commit */

static void commit_on(struct th_log_session *session, int64_t n)
{
    struct th_err err = {0};
    struct log_output outputs[RATES_BATCH];
    const struct log_cursor cursor = {.next = {TOPIC_DISPATCH_REQUESTS, 0, n}};
    const struct log_txn txn = {outputs, RATES_BATCH, &cursor, 1, NULL};
    enum log_commit outcome;
    bool is_answered;

    for (size_t i = 0; i < RATES_BATCH; i++)
        outputs[i] = (struct log_output){TOPIC_DISPATCH_ATTEMPTS, (int)(i % 4),
                                         TH_STR("pratham/41"), .value = rates_text(i)};
    must(th_log_commit_start(session, &txn, &err), &err);
    while ((outcome = th_log_commit_poll(session, NULL, &is_answered, &err)) == LOG_COMMIT_PENDING)
        poll(&(struct pollfd){th_log_session_fd(session), POLLIN, 0}, 1, 1000);
    must(outcome == LOG_COMMITTED ? TH_OK : TH_ABORTED, &err);
    if (write(told[1], "", 1) != 1)
        exit(1);
}

static void own_slot(int64_t commits)
{
    struct th_log *log = open_log();
    struct th_log_session *session;
    struct th_err err = {0};

    must(th_log_session_open(log, LOG_APP_RETRY, 0, &session, &err), &err);
    for (int64_t n = 1; n <= commits; n++)
        commit_on(session, n);
    th_log_session_close(session, true);
    th_log_close(log);
}

static void own_for_ever(void)
{
    own_slot(INT64_MAX);
}

static void own_once(void)
{
    own_slot(1);
}

/* Seconds from the kill of an owner in mid-work to the first commit of a process that is new. */
static double takeover_s(int nth)
{
    char byte;

    if (pipe(told) != 0)
        exit(1);
    pid_t owner = begin_process(own_for_ever);
    for (int i = 0; i < 100 + nth * 37; i++)
        if (read(told[0], &byte, 1) != 1)
            exit(1);
    kill(owner, SIGKILL);
    double start = rates_now();
    waitpid(owner, NULL, 0);
    in_process(own_once);
    double took = rates_now() - start;
    close(told[0]);
    close(told[1]);
    return took;
}

static void measure_takeover(void)
{
    double worst = 0;

    for (int i = 0; i < TAKEOVERS; i++) {
        double took = takeover_s(i);
        if (took > worst)
            worst = took;
    }
    report("takeover after kill -9, slowest of 5", worst * 1000, "ms", NULL, 0, "less");
}

/* ------------------------------------------------------------------------------------------------
 */

static void measure_sizes(void)
{
    static const uint64_t sizes[] = {10000, 1000000, 4000000};

    for (size_t i = 0; i < TH_LEN(sizes); i++) {
        stored = sizes[i];
        in_process(fill);
        in_process(measure_size);
    }
}

static void in_processes_appends(void)
{
    in_process(measure_appends);
}

static void in_processes_commits(void)
{
    in_process(measure_commits);
}

static void in_processes_ingest(void)
{
    in_process(measure_ingest);
}

static void in_processes_read(void)
{
    in_process(measure_read);
}

static const struct {
    const char *name;
    void (*measure)(void);
} groups[] = {
    {"sizes", measure_sizes},          {"appends", in_processes_appends},
    {"commits", in_processes_commits}, {"ingest", in_processes_ingest},
    {"read", in_processes_read},       {"takeover", measure_takeover},
};

static void measure(const char *only)
{
    if (*driver.brokers)
        in_process(create_kafka);
    for (size_t i = 0; i < TH_LEN(groups); i++)
        if (!only || strcmp(only, groups[i].name) == 0)
            groups[i].measure();
    if (*driver.brokers)
        in_process(drop_kafka);
}

int main(int argc, char **argv)
{
    bool is_kafka = argc >= 3 && strcmp(argv[1], "kafka") == 0;

    if (!is_kafka && (argc < 2 || strcmp(argv[1], "postgres") != 0)) {
        fprintf(stderr, "usage: bench_logs postgres [SECONDS [GROUP]]\n"
                        "       bench_logs kafka PORT [SECONDS [GROUP]]\n");
        return 2;
    }
    int at = is_kafka ? 3 : 2;
    if (argc > at)
        rates.seconds = strtod(argv[at], NULL);
    if (is_kafka)
        make_kafka(argv[2]);
    else
        make_postgres();
    measure(argc > at + 1 ? argv[at + 1] : NULL);
    if (driver.cluster)
        cluster_stop(driver.cluster);
    return 0;
}
