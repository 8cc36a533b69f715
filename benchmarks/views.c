/* How fast the log becomes views, against the rows that come out, upserted once by plain libpq on
 * the same server in the same run.
 *
 * bench_views [CAMPAIGNS]: so many of 2,000 sends each (default 50). Makes a Postgres of its own
 * and removes it. One JSON object per line: {"name","value","unit","against","against_value",
 * "ratio","better"}. CPU is that of this process and the server.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/clock.h"
#include "connectors/postgres/view_store.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/rebuild.h"
#include "tests/integration/log_cluster.h"
#include "tests/integration/views_story.h"

#define SLOTS 2

static struct log_cluster logs;

static double now(void)
{
    return (double)th_clock_monotonic_us(&th_clock_real) / 1e6;
}

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void must(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    fprintf(stderr, "bench_views: %s: %s\n", th_code_name(code), err->text);
    exit(1);
}

static void report(const char *name, double value, const char *unit, double peer,
                   const char *better)
{
    printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\"", name, value, unit);
    if (peer > 0)
        printf(",\"against\":\"libpq, the same rows of sends and attempts upserted once\","
               "\"against_value\":%.2f,\"ratio\":%.3f",
               peer, value / peer);
    else
        printf(",\"against\":null,\"against_value\":null,\"ratio\":null");
    printf(",\"better\":\"%s\"}\n", better);
    fflush(stdout);
}

/* --- what the server used ----------------------------------------------------------------------
 */

/* What stands behind the name in /proc/PID/stat, from the parent's pid (field 4) on. False: the
 * process is gone. */
#define STAT_FIELDS 14
static bool read_stat(long long pid, long long out[STAT_FIELDS])
{
    char path[64];
    char line[1024];

    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    FILE *stat = fopen(path, "r");
    if (!stat)
        return false;
    char *at = fgets(line, sizeof line, stat) ? strrchr(line, ')') : NULL;
    fclose(stat);
    if (!at)
        return false;
    at += strlen(") S");
    for (size_t i = 0; i < STAT_FIELDS; i++)
        out[i] = strtoll(at, &at, 10);
    return true;
}

/* utime, stime and those of children that ended, ticks. */
static double ticks_of(long long pid)
{
    long long n[STAT_FIELDS];

    return read_stat(pid, n) ? (double)(n[10] + n[11] + n[12] + n[13]) : 0;
}

/* CPU seconds of the server: the postmaster, its children, and those that ended. */
static double server_cpu_s(void)
{
    long long n[STAT_FIELDS];
    char path[96];
    long long pid;

    if (!read_stat(pg_backend_pid(logs.admin), n))
        return 0;
    double ticks = ticks_of(n[0]);
    snprintf(path, sizeof path, "/proc/%lld/task/%lld/children", n[0], n[0]);
    FILE *children = fopen(path, "r");
    while (children && fscanf(children, "%lld", &pid) == 1)
        ticks += ticks_of(pid);
    if (children)
        fclose(children);
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

/* --- the peer: the same rows, each upserted once, 5,000 at a time ------------------------------
 */

#define PEER_ROWS "5000"

static const struct {
    const char *make;
    const char *declare;
    struct pg_statement upsert;
} peers[] = {
    {"CREATE TABLE peer.sends (LIKE view_g1.sends, PRIMARY KEY (send)) WITH (fillfactor = 70);"
     "CREATE INDEX ON peer.sends (campaign, part, row)",
     "DECLARE rows CURSOR FOR SELECT send, tenant, campaign, part, row, channel, requested_at,"
     " changed_at, outcome, reason, attempts, lane, planned_at, attempt_outcome, attempt_at,"
     " status, status_rank, status_is_final, status_reason, status_provider_at, status_at,"
     " reached_at, run, moved_on, ended_attempt, places FROM view_g1.sends ORDER BY send",
     {"INSERT INTO peer.sends (send, tenant, campaign, part, row, channel, requested_at,"
      " changed_at, outcome, reason, attempts, lane, planned_at, attempt_outcome, attempt_at,"
      " status, status_rank, status_is_final, status_reason, status_provider_at, status_at,"
      " reached_at, run, moved_on, ended_attempt, places)"
      " SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int4[], $5::int4[],"
      " $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::int4[],"
      " $12::int4[], $13::timestamptz[], $14::text[], $15::timestamptz[], $16::text[],"
      " $17::int4[], $18::bool[], $19::text[], $20::timestamptz[], $21::timestamptz[],"
      " $22::timestamptz[], $23::int4[], $24::int4[], $25::int4[], $26::bytea[])"
      " ON CONFLICT (send) DO UPDATE SET outcome = excluded.outcome"}},
    {"CREATE TABLE peer.attempts (LIKE view_g1.attempts, PRIMARY KEY (send, n))"
     " WITH (fillfactor = 70); CREATE INDEX ON peer.attempts (campaign, started_at)",
     "DECLARE rows CURSOR FOR SELECT send, n, tenant, campaign, lane, channel, phone, sender,"
     " segments, started_at, state, outcome, outcome_at, provider_id, http_status, call_us,"
     " status, status_rank, status_is_final, status_is_positive, status_provider_at, status_at,"
     " duration_s, estimate_micros, estimate_currency, price_micros, price_currency, priced_at"
     " FROM view_g1.attempts ORDER BY send, n",
     {"INSERT INTO peer.attempts (send, n, tenant, campaign, lane, channel, phone, sender,"
      " segments, started_at, state, outcome, outcome_at, provider_id, http_status, call_us,"
      " status, status_rank, status_is_final, status_is_positive, status_provider_at, status_at,"
      " duration_s, estimate_micros, estimate_currency, price_micros, price_currency, priced_at)"
      " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::uuid[], $5::int4[],"
      " $6::text[], $7::text[], $8::text[], $9::int4[], $10::timestamptz[], $11::text[],"
      " $12::text[], $13::timestamptz[], $14::text[], $15::int4[], $16::int8[], $17::text[],"
      " $18::int4[], $19::bool[], $20::bool[], $21::timestamptz[], $22::timestamptz[],"
      " $23::int4[], $24::int8[], $25::text[], $26::int8[], $27::text[], $28::timestamptz[])"
      " ON CONFLICT (send, n) DO UPDATE SET outcome = excluded.outcome"}},
};

static void run(const char *sql)
{
    struct th_err err = {0};

    must(pg_run(logs.admin, sql, &err), &err);
}

/* Columns as they came from the server, as arrays. */
static void add_result(struct pg_params *params, const PGresult *result)
{
    pg_params_clear(params);
    for (int c = 0; c < PQnfields(result); c++) {
        pg_array_begin(params, (enum pg_type)PQftype(result, c));
        for (int i = 0; i < PQntuples(result); i++)
            if (PQgetisnull(result, i, c))
                pg_item_null(params);
            else
                pg_item_bytes(params, (struct th_str){PQgetvalue(result, i, c),
                                                      (size_t)PQgetlength(result, i, c)});
    }
}

struct cost {
    double wall_s;
    double cpu_s; /* of this process and the server */
};

/* What it takes to upsert the rows, without reading them. */
static struct cost upsert_rows(size_t which)
{
    struct pg_params params = {0};
    struct th_err err = {0};
    struct cost cost = {0};
    int rows = 1;

    run(peers[which].make);
    run("BEGIN");
    run(peers[which].declare);
    struct pg *writer;
    must(pg_open(&(struct pg_config){.conninfo = logs.conninfo,
                                     .is_generic_plan = true,
                                     .is_unsynced = true},
                 &writer, &err),
         &err);
    while (rows > 0) {
        PGresult *result = PQexecParams(pg_conn(logs.admin), "FETCH " PEER_ROWS " FROM rows", 0,
                                        NULL, NULL, NULL, NULL, 1);
        rows = PQntuples(result);
        double begun = now();
        double begun_cpu = cpu_s() + server_cpu_s();
        add_result(&params, result);
        if (rows > 0)
            must(pg_execute(writer, &peers[which].upsert, &params, NULL, &err), &err);
        cost.cpu_s += cpu_s() + server_cpu_s() - begun_cpu;
        cost.wall_s += now() - begun;
        PQclear(result);
    }
    run("COMMIT");
    pg_params_fini(&params);
    pg_close(writer);
    return cost;
}

static struct cost upsert_all(void)
{
    struct cost sum = {0};

    run("CREATE SCHEMA peer AUTHORIZATION telehub; SET ROLE telehub");
    for (size_t i = 0; i < TH_LEN(peers); i++) {
        struct cost cost = upsert_rows(i);
        sum.wall_s += cost.wall_s;
        sum.cpu_s += cost.cpu_s;
    }
    run("RESET ROLE");
    return sum;
}

/* --- folding
 * ----------------------------------------------------------------------------------------- */

struct fold {
    struct th_log *log;
    int slot;
    uint64_t events;
    uint64_t rows;
};

static void *fold(void *arg)
{
    struct fold *f = arg;
    struct materialize_config config = {.log = f->log,
                                        .open_store = pg_view_store_open_current,
                                        .context = logs.conninfo,
                                        .slot = f->slot,
                                        .slots = SLOTS};
    struct materialize *m;
    struct th_err err = {0};

    must(materialize_new(&config, &m, &err), &err);
    must(materialize_drain(m, &err), &err);
    f->events = materialize_status(m).events;
    f->rows = materialize_status(m).rows;
    materialize_free(m);
    return NULL;
}

static uint64_t fold_all(struct th_log *log, uint64_t *out_rows)
{
    struct fold folds[SLOTS];
    pthread_t threads[SLOTS];
    uint64_t events = 0;

    *out_rows = 0;
    for (int i = 0; i < SLOTS; i++) {
        folds[i] = (struct fold){.log = log, .slot = i};
        if (pthread_create(&threads[i], NULL, fold, &folds[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < SLOTS; i++) {
        pthread_join(threads[i], NULL);
        events += folds[i].events;
        *out_rows += folds[i].rows;
    }
    return events;
}

int main(int argc, char **argv)
{
    int64_t campaigns = 50;
    struct th_log *log;
    struct th_err err = {0};
    uint64_t rows;
    uint64_t events;
    uint64_t rebuilt;
    int gen;

    if (argc > 1 && !th_str_int(th_str(argv[1]), 1, 10000, &campaigns))
        return 2;
    log_cluster_start(&logs);
    log_cluster_make(&logs, 4);
    struct pg_log_config log_config = log_cluster_config(&logs);
    must(pg_log_open(&log_config, &log, &err), &err);
    for (uint64_t i = 0; i < (uint64_t)campaigns; i++)
        story_append(log, "pratham", i);

    double begun = now();
    double begun_cpu = cpu_s() + server_cpu_s();
    events = fold_all(log, &rows);
    struct cost live = {now() - begun, cpu_s() + server_cpu_s() - begun_cpu};

    struct view_generations *gens;
    must(pg_view_generations_open(logs.conninfo, &gens, &err), &err);
    begun = now();
    begun_cpu = cpu_s() + server_cpu_s();
    must(view_rebuild(log, gens, &gen, &rebuilt, &err), &err);
    struct cost again = {now() - begun, cpu_s() + server_cpu_s() - begun_cpu};

    const struct cost peer = upsert_all();
    double n = (double)events;
    report("materialize, a backlog", n / live.wall_s, "events/s", n / peer.wall_s, "more");
    report("materialize, a backlog, CPU", live.cpu_s * 1e6 / n, "CPU us/event",
           peer.cpu_s * 1e6 / n, "less");
    report("materialize, rows written", (double)rows / n, "rows/event", 0, "less");
    report("rebuild", (double)rebuilt / again.wall_s, "events/s", n / peer.wall_s, "more");
    report("rebuild, CPU", again.cpu_s * 1e6 / (double)rebuilt, "CPU us/event",
           peer.cpu_s * 1e6 / n, "less");
    pg_view_generations_close(gens);
    th_log_close(log);
    log_cluster_stop(&logs);
    return 0;
}
