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

#include "common/clock.h"
#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"

#define EVENT_SIZE 80 /* value of a record, with its key about that of a decision event */
#define PARTITIONS 4
#define SLOTS      4
#define TXN_EVENTS 120
#define BATCH      100
#define CLAIMS     64

static char conninfo[512];
static double seconds = 2;

static double now(void)
{
    return (double)th_clock_monotonic_us(&th_clock_real) / 1e6;
}

static void must(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    fprintf(stderr, "bench_log: %s: %s\n", th_code_name(code), err->text);
    exit(1);
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

/* --- events: text that compresses as ours do -------------------------------------------- */

static char texts[1024][EVENT_SIZE];

static void make_texts(void)
{
    uint64_t seed = 1;

    for (size_t i = 0; i < TH_LEN(texts); i++) {
        char text[EVENT_SIZE + 1];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof text, "%016" PRIx64 " %08" PRIx64 " campaign=7 state=planned lane=3",
                 seed, seed * seed);
        memset(texts[i], 0, EVENT_SIZE);
        memcpy(texts[i], text, strlen(text));
    }
}

static struct th_str text_of(size_t i)
{
    return (struct th_str){texts[i % TH_LEN(texts)], EVENT_SIZE};
}

static struct log_output event_of(size_t i, int part)
{
    return (struct log_output){TOPIC_DISPATCH_ATTEMPTS, part, TH_STR("pratham/41"), text_of(i)};
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
        pg_item_bytes(params, text_of(i));
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
        pg_item_bytes(params, text_of(i));
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
    double start = now();

    while (now() - start < seconds) {
        writer->write(pg, &params, writer->batch);
        n++;
    }
    writer->transactions = (double)n / (now() - start);
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

/* --- appends ---------------------------------------------------------------------------- */

/* Transactions a second of one writer; part -1: each partition in turn. */
static double append_rate(struct th_log *log, size_t batch, int part)
{
    struct log_output outputs[BATCH];
    struct th_err err = {0};
    uint64_t n = 0;
    double start = now();

    while (now() - start < seconds) {
        for (size_t i = 0; i < batch; i++)
            outputs[i] = event_of(i, part < 0 ? (int)(n % PARTITIONS) : part);
        must(th_log_append(log, outputs, batch, NULL, &err), &err);
        n++;
    }
    return (double)n / (now() - start);
}

struct append_writer {
    pthread_t thread;
    struct th_log *log;
    int part;
    double appends;
};

static void *run_append_writer(void *argument)
{
    struct append_writer *writer = argument;
    writer->appends = append_rate(writer->log, BATCH, writer->part);
    return NULL;
}

/* Writers as in processes of their own, each with its partition. */
static double append_rate_of_many(void)
{
    struct append_writer all[SLOTS] = {0};
    double rate = 0;

    for (int i = 0; i < SLOTS; i++) {
        all[i].log = open_log(false);
        all[i].part = i;
        if (pthread_create(&all[i].thread, NULL, run_append_writer, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < SLOTS; i++) {
        pthread_join(all[i].thread, NULL);
        th_log_close(all[i].log);
        rate += all[i].appends;
    }
    return rate;
}

/* --- slots' transactions ---------------------------------------------------------------- */

struct slot_writer {
    pthread_t thread;
    struct th_log *log;
    int slot;
    double transactions;
};

static void *run_slot_writer(void *argument)
{
    struct slot_writer *writer = argument;
    struct th_log_session *session;
    struct log_output outputs[TXN_EVENTS];
    struct th_err err = {0};
    int64_t n = 0;

    must(th_log_session_open(writer->log, LOG_APP_DISPATCH, writer->slot, &session, &err), &err);
    for (size_t i = 0; i < TXN_EVENTS; i++)
        outputs[i] = event_of(i, (int)(i % PARTITIONS));
    double start = now();
    while (now() - start < seconds) {
        const struct log_cursor cursor = {
            .next = {TOPIC_DISPATCH_REQUESTS, writer->slot, (n + 1) * TXN_EVENTS}};
        const struct log_txn txn = {outputs, TXN_EVENTS, &cursor, 1};
        enum log_commit outcome;
        bool is_answered;
        must(th_log_commit_start(session, &txn, &err), &err);
        while ((outcome = th_log_commit_poll(session, NULL, &is_answered, &err)) ==
               LOG_COMMIT_PENDING)
            poll(&(struct pollfd){th_log_session_fd(session), POLLIN, 0}, 1, 1000);
        if (outcome != LOG_COMMITTED)
            must(TH_ABORTED, &err);
        n++;
    }
    writer->transactions = (double)n / (now() - start);
    th_log_session_close(session, true);
    return NULL;
}

static double slot_rate(struct th_log *log, int slots)
{
    struct slot_writer all[SLOTS] = {0};
    double rate = 0;

    for (int i = 0; i < slots; i++) {
        all[i].log = log;
        all[i].slot = i;
        if (pthread_create(&all[i].thread, NULL, run_slot_writer, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < slots; i++) {
        pthread_join(all[i].thread, NULL);
        rate += all[i].transactions;
    }
    return rate;
}

/* --- ingest ----------------------------------------------------------------------------- */

static double ingest_rate(struct th_log *log)
{
    static struct log_claim claims[CLAIMS];
    static struct log_output outputs[CLAIMS];
    static char keys[CLAIMS][32];
    struct th_arena arena;
    struct th_err err = {0};
    uint64_t n = 0;
    double start = now();

    th_arena_init(&arena, (size_t)16 << 20);
    while (now() - start < seconds) {
        for (size_t i = 0; i < CLAIMS; i++, n++) {
            snprintf(keys[i], sizeof keys[i], "k-%" PRIu64, n);
            outputs[i] = (struct log_output){TOPIC_SEND_REQUESTS, -1, th_str(keys[i]), text_of(i)};
            claims[i] = (struct log_claim){.tenant = TH_STR("pratham"),
                                           .route = TH_STR("POST /api/v1/sends"),
                                           .key = th_str(keys[i]),
                                           .status = 202,
                                           .body = TH_STR("{\"id\":\"01234567\"}"),
                                           .outputs = &outputs[i],
                                           .outputs_n = 1};
        }
        th_arena_reset(&arena);
        must(th_log_ingest(log, claims, CLAIMS, &arena, &err), &err);
    }
    double rate = (double)n / (now() - start);
    th_arena_fini(&arena);
    return rate;
}

/* --- reading ---------------------------------------------------------------------------- */

/* Keys and values of all partitions, from the first record on; MB a second. */
static double read_rate(struct th_log *log, uint64_t *out_records)
{
    struct log_place from[PARTITIONS];
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};
    uint64_t bytes = 0;

    for (int i = 0; i < PARTITIONS; i++)
        from[i] = (struct log_place){TOPIC_DISPATCH_ATTEMPTS, i, 0};
    must(th_log_reader_open(log, from, PARTITIONS, &reader, &err), &err);
    th_arena_init(&arena, (size_t)64 << 20);
    *out_records = 0;
    double start = now();
    do {
        th_arena_reset(&arena);
        must(th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err), &err);
        for (size_t i = 0; i < records.n; i++)
            bytes += records.at[i].key.n + records.at[i].value.n;
        *out_records += records.n;
    } while (records.n > 0);
    double rate = (double)bytes / 1e6 / (now() - start);
    th_arena_fini(&arena);
    th_log_reader_close(reader);
    return rate;
}

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
    double start = now();

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
    double rate = (double)bytes / 1e6 / (now() - start);
    pg_params_fini(&params);
    pg_close(pg);
    return rate;
}

/* Latency of one record from its append to a reader of this process that waits for it: µs. */
static double wake_us(struct th_log *log)
{
    struct log_place from = {TOPIC_PROVIDER_CALLBACKS, 0, 0};
    const struct log_output output = {TOPIC_PROVIDER_CALLBACKS, 0, TH_STR("k"), TH_STR("v")};
    struct th_log_listener *listener;
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};
    int n = 0;

    must(th_log_reader_open(log, &from, 1, &reader, &err), &err);
    must(th_log_listener_open(log, 1u << TOPIC_PROVIDER_CALLBACKS, &listener, &err), &err);
    th_arena_init(&arena, (size_t)1 << 20);
    double start = now();
    for (; n < 1000; n++) {
        must(th_log_append(log, &output, 1, NULL, &err), &err);
        poll(&(struct pollfd){th_log_listener_fd(listener), POLLIN, 0}, 1, 1000);
        th_log_listener_clear(listener);
        th_arena_reset(&arena);
        must(th_log_reader_read(reader, 1000, &arena, &records, &err), &err);
    }
    double us = (now() - start) / n * 1e6;
    th_log_listener_close(listener);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    return us;
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
    uint64_t records;

    struct peer single = raw_best(1, 1, 1);
    report("log.append.single", append_rate(log, 1, -1), "appends/s", single, "more");
    report("log.append.batch100", append_rate(log, BATCH, -1) * BATCH, "events/s",
           raw_best(1, BATCH, BATCH), "more");
    report("log.append.batch100.4writers", append_rate_of_many() * BATCH, "events/s",
           raw_best(SLOTS, BATCH, BATCH), "more");
    report("log.commit.1slot", slot_rate(log, 1), "transactions/s", raw_best(1, TXN_EVENTS, 1),
           "more");
    double four = slot_rate(log, SLOTS);
    struct peer raw_four = raw_best(SLOTS, TXN_EVENTS, 1);
    report("log.commit.4slots", four, "transactions/s", raw_four, "more");
    raw_four.value *= TXN_EVENTS;
    report("log.commit.4slots.events", four * TXN_EVENTS, "events/s", raw_four, "more");
    struct pg *held = hold_snapshot();
    slot_rate(log, SLOTS); /* what it does comes with time */
    report("log.commit.4slots.held", slot_rate(log, SLOTS), "transactions/s",
           (struct peer){"the same without a transaction that holds a snapshot", four}, "more");
    pg_close(held);
    report("log.ingest.64", ingest_rate(log), "requests/s", raw_best(1, CLAIMS, CLAIMS), "more");
    report("log.wake", wake_us(log), "us", (struct peer){single.name, 1e6 / single.value}, "less");
    th_log_close(log);

    log = open_log(true);
    read_rate(log, &records); /* once to warm the cache, as the peer's table is warm */
    double rate = read_rate(log, &records);
    report("log.read", rate, "MB/s",
           (struct peer){"libpq, 1 connection, SELECT of 10000 rows a page", raw_read_rate()},
           "more");
    th_log_close(log);
}

int main(int argc, char **argv)
{
    struct th_err err = {0};
    int applied;

    if (argc > 1)
        seconds = strtod(argv[1], NULL);
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
    make_texts();
    measure();
    cluster_stop(cluster);
    return 0;
}
