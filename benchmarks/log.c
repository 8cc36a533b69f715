/* What the Postgres log does in a second, against plain libpq on the same server in the same run:
 * of INSERT and COPY whichever is faster.
 *
 * bench_log [SECONDS]: so long for each figure (default 2). Makes a Postgres of its own and removes
 * it. One JSON object per line: {"name","value","unit","against","against_value","ratio","better"}.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "benchmarks/log_rates.h"
#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"

#define PARTITIONS 4
#define SLOTS      4

static char conninfo[512];
static struct th_log *open_ringed(void);
static struct rates rates = {"bench_log", open_ringed, PARTITIONS, 2};

static void must(enum th_code code, const struct th_err *err)
{
    rates_must(&rates, code, err);
}

struct peer {
    const char *name;
    double value;
};

static void report(const char *name, double value, const char *unit, struct peer peer,
                   const char *better)
{
    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"%s\",\"against\":\"%s\","
           "\"against_value\":%.0f,\"ratio\":%.2f,\"better\":\"%s\"}\n",
           name, value, unit, peer.name, peer.value, value / peer.value, better);
    fflush(stdout);
}

/* --- the peer: one table, rows by unnest or by COPY, one transaction each time ---------- */

static const struct pg_statement sql_raw_insert = {
    "INSERT INTO raw.raw (key, value) SELECT * FROM unnest($1::text[], $2::bytea[])",
};

static struct pg *open_raw(void)
{
    struct th_err err = {0};
    struct pg *pg;

    must(pg_open(&(struct pg_config){.conninfo = conninfo, .is_generic_plan = true}, &pg, &err),
         &err);
    return pg;
}

static void raw_insert(struct pg *pg, struct pg_params *params, size_t n)
{
    struct th_err err = {0};

    pg_params_clear(params);
    pg_array_begin(params, PG_TEXT);
    for (size_t i = 0; i < n; i++)
        pg_item_bytes(params, TH_STR("pratham/41"));
    pg_array_begin(params, PG_BYTEA);
    for (size_t i = 0; i < n; i++)
        pg_item_bytes(params, rates_text(i));
    must(pg_execute(pg, &sql_raw_insert, params, NULL, &err), &err);
}

static void raw_copy(struct pg *pg, struct pg_params *params, size_t n)
{
    struct th_err err = {0};
    struct th_str bytes;

    pg_params_clear(params);
    pg_copy_begin(params);
    for (size_t i = 0; i < n; i++) {
        pg_copy_row(params, 2);
        pg_item_bytes(params, TH_STR("pratham/41"));
        pg_item_bytes(params, rates_text(i));
    }
    must(pg_copy_end(params, &bytes, &err), &err);
    must(pg_copy(pg, "COPY raw.raw (key, value) FROM STDIN (FORMAT binary)", bytes, &err), &err);
}

struct raw_writer {
    pthread_t thread;
    void (*write)(struct pg *pg, struct pg_params *params, size_t n);
    size_t batch;
    double transactions; /* per second */
};

static void *run_raw_writer(void *argument)
{
    struct raw_writer *writer = argument;
    struct pg *pg = open_raw();
    struct pg_params params = {0};
    uint64_t n = 0;
    double start = rates_now();

    while (rates_now() - start < rates.seconds) {
        writer->write(pg, &params, writer->batch);
        n++;
    }
    writer->transactions = (double)n / (rates_now() - start);
    pg_params_fini(&params);
    pg_close(pg);
    return NULL;
}

/* Transactions a second of so many writers, of so many rows each. */
static double raw_rate(int writers, size_t batch,
                       void (*write)(struct pg *pg, struct pg_params *params, size_t n))
{
    struct raw_writer all[SLOTS] = {0};
    double rate = 0;

    for (int i = 0; i < writers; i++) {
        all[i].batch = batch;
        all[i].write = write;
        if (pthread_create(&all[i].thread, NULL, run_raw_writer, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < writers; i++) {
        pthread_join(all[i].thread, NULL);
        rate += all[i].transactions;
    }
    return rate;
}

/* The faster way for such transactions, each counted as so many. Its name lasts. */
static struct peer raw_best(int writers, size_t batch, double each)
{
    static char names[16][64];
    static size_t names_n;
    double insert = raw_rate(writers, batch, raw_insert) * each;
    double copy = raw_rate(writers, batch, raw_copy) * each;
    char *name = names[names_n++ % TH_LEN(names)];

    snprintf(name, sizeof names[0], "libpq, %d connection%s, %s of %zu row%s", writers,
             writers > 1 ? "s" : "", insert < copy ? "COPY" : "INSERT", batch,
             batch > 1 ? "s" : "");
    return (struct peer){name, insert < copy ? copy : insert};
}

static struct th_log *open_log(bool has_no_ring)
{
    struct pg_log_config config = {.conninfo = conninfo, .has_no_ring = has_no_ring};
    struct th_log *log;
    struct th_err err = {0};

    must(pg_log_open(&config, &log, &err), &err);
    return log;
}

static struct th_log *open_ringed(void)
{
    return open_log(false);
}

/* --- reading ---------------------------------------------------------------------------- */

/* The same from the plain table: pages of 10 000 rows by key, as a reader would fetch them. */
static double raw_read_rate(void)
{
    static const struct pg_statement sql_page = {
        "SELECT id, key, value FROM raw.raw WHERE id > $1::int8 ORDER BY id LIMIT 10000",
    };
    struct pg *pg = open_raw();
    struct pg_params params = {0};
    struct th_err err = {0};
    uint64_t bytes = 0;
    int64_t last = 0;
    double start = rates_now();

    for (;;) {
        PGresult *result = NULL;
        pg_params_clear(&params);
        pg_add_int8(&params, last);
        must(pg_execute(pg, &sql_page, &params, &result, &err), &err);
        int rows = PQntuples(result);
        for (int i = 0; i < rows; i++) {
            struct pg_row row = pg_row(result, i);
            last = pg_next_int8(&row);
            bytes += pg_next_bytes(&row).n;
            bytes += pg_next_bytes(&row).n;
        }
        PQclear(result);
        if (rows == 0)
            break;
    }
    double rate = (double)bytes / 1e6 / (rates_now() - start);
    pg_params_fini(&params);
    pg_close(pg);
    return rate;
}

/* --- a report that somebody forgot ------------------------------------------------------ */

/* A transaction that keeps its snapshot: nothing that dies meanwhile can be vacuumed. */
static struct pg *hold_snapshot(void)
{
    struct pg *pg;
    struct th_err err = {0};

    must(pg_open(&(struct pg_config){.conninfo = conninfo, .idle_transaction_ms = 3600000}, &pg,
                 &err),
         &err);
    must(pg_run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM eventlog.meta",
                &err),
         &err);
    return pg;
}

/* --- all -------------------------------------------------------------------------------- */

static void measure(void)
{
    struct th_log *log = open_log(false);

    struct peer single = raw_best(1, 1, 1);
    report("log.append.single", rates_append(&rates, log, 1, -1), "appends/s", single, "more");
    report("log.append.batch100", rates_append(&rates, log, RATES_BATCH, -1) * RATES_BATCH,
           "events/s", raw_best(1, RATES_BATCH, RATES_BATCH), "more");
    report("log.append.batch100.4writers", rates_append_many(&rates, SLOTS) * RATES_BATCH,
           "events/s", raw_best(SLOTS, RATES_BATCH, RATES_BATCH), "more");
    report("log.commit.1slot", rates_commit(&rates, log, 1, PARTITIONS), "transactions/s",
           raw_best(1, RATES_TXN_EVENTS, 1), "more");
    double four = rates_commit(&rates, log, SLOTS, PARTITIONS);
    struct peer raw_four = raw_best(SLOTS, RATES_TXN_EVENTS, 1);
    report("log.commit.4slots", four, "transactions/s", raw_four, "more");
    raw_four.value *= RATES_TXN_EVENTS;
    report("log.commit.4slots.events", four * RATES_TXN_EVENTS, "events/s", raw_four, "more");
    struct pg *held = hold_snapshot();
    rates_commit(&rates, log, SLOTS, PARTITIONS); /* what it does comes with time */
    report("log.commit.4slots.held", rates_commit(&rates, log, SLOTS, PARTITIONS), "transactions/s",
           (struct peer){"the same without a transaction that holds a snapshot", four}, "more");
    pg_close(held);
    report("log.ingest.64", rates_ingest(&rates, log), "requests/s",
           raw_best(1, RATES_CLAIMS, RATES_CLAIMS), "more");
    report("log.wake", rates_wake_us(&rates, log), "us",
           (struct peer){single.name, 1e6 / single.value}, "less");
    th_log_close(log);

    log = open_log(true);
    rates_read(&rates, log); /* once to warm the cache, as the peer's table is warm */
    struct rates_read read = rates_read(&rates, log);
    report("log.read", read.mb_s, "MB/s",
           (struct peer){"libpq, 1 connection, SELECT of 10000 rows a page", raw_read_rate()},
           "more");
    th_log_close(log);
}

int main(int argc, char **argv)
{
    struct th_err err = {0};
    int applied;

    if (argc > 1)
        rates.seconds = strtod(argv[1], NULL);
    struct cluster *cluster = cluster_start_full();
    snprintf(conninfo, sizeof conninfo, "%s", cluster_conninfo(cluster));
    must(pg_log_upgrade(conninfo, &applied, &err), &err);
    must(pg_log_create(conninfo, PARTITIONS, &err), &err);
    struct pg *pg = open_raw();
    must(pg_run(pg,
                "CREATE SCHEMA raw; CREATE TABLE raw.raw (id bigserial PRIMARY KEY, key text"
                " NOT NULL, value bytea NOT NULL)",
                &err),
         &err);
    pg_close(pg);
    measure();
    cluster_stop(cluster);
    return 0;
}
