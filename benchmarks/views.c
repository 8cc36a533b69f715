/* How fast the log becomes views, against plain upserts on the same server in the same run.
 *
 * bench_views [CAMPAIGNS]: so many of 2,000 sends each (default 50). Makes a Postgres of its own
 * and removes it. One JSON object per line: {"name","value","unit","against","against_value",
 * "ratio"}.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/clock.h"
#include "connectors/postgres/view_store.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/rebuild.h"
#include "tests/integration/log_cluster.h"
#include "tests/integration/views_story.h"

#define SLOTS          2
#define PEER_ROWS      200000
#define PEER_ROWS_TEXT "200000"

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

static void report(const char *name, double value, const char *unit, const char *against,
                   double peer)
{
    printf("{\"name\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",\"against\":\"%s\","
           "\"against_value\":%.2f,\"ratio\":%.2f}\n",
           name, value, unit, against, peer, peer > 0 ? value / peer : 0);
    fflush(stdout);
}

/* --- the peer: rows of nine columns, upserted 5,000 at a time
 * ------------------------------------- */

static void run(const char *sql)
{
    struct th_err err = {0};

    must(pg_run(logs.admin, sql, &err), &err);
}

static double upserts_per_s(void)
{
    run("CREATE TABLE IF NOT EXISTS public.peer (id uuid PRIMARY KEY, a text, b text, c int, d int,"
        " e timestamptz, f timestamptz, g text, h bigint) WITH (fillfactor = 70)");
    run("CREATE INDEX IF NOT EXISTS peer_c ON public.peer (c)");
    run("SET synchronous_commit = off");
    double begun = now();
    run("DO $$ BEGIN FOR k IN 0 .. " PEER_ROWS_TEXT " / 5000 - 1 LOOP"
        " INSERT INTO public.peer SELECT (lpad(to_hex(i), 32, '0'))::uuid, 'pratham', 'sms', i % 7,"
        " i, now(), now(), 'reached', i FROM generate_series(k * 5000, k * 5000 + 4999) i"
        " ON CONFLICT (id) DO UPDATE SET a = excluded.a, b = excluded.b, c = excluded.c,"
        " d = excluded.d, e = excluded.e, f = excluded.f, g = excluded.g, h = excluded.h;"
        " COMMIT; END LOOP; END $$");
    return PEER_ROWS / (now() - begun);
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
    int gen;

    if (argc > 1 && !th_str_int(th_str(argv[1]), 1, 10000, &campaigns))
        return 2;
    log_cluster_start(&logs);
    log_cluster_make(&logs, 4);
    struct pg_log_config log_config = log_cluster_config(&logs);
    must(pg_log_open(&log_config, &log, &err), &err);
    for (uint64_t i = 0; i < (uint64_t)campaigns; i++)
        story_append(log, "pratham", i);

    double peer = upserts_per_s();
    double begun = now();
    double begun_cpu = cpu_s();
    events = fold_all(log, &rows);
    double took = now() - begun;
    report("materialize", (double)events / took, "events/s", "plain upserts, rows/s", peer);
    report("materialize_rows", (double)rows / took, "rows/s", "plain upserts, rows/s", peer);
    report("materialize_cpu", (cpu_s() - begun_cpu) * 1e6 / (double)events,
           "us/event in this process", "wall time", took * 1e6 / (double)events);

    struct view_generations *gens;
    must(pg_view_generations_open(logs.conninfo, &gens, &err), &err);
    begun = now();
    must(view_rebuild(log, gens, &gen, &events, &err), &err);
    report("rebuild", (double)events / (now() - begun), "events/s", "plain upserts, rows/s", peer);
    pg_view_generations_close(gens);
    th_log_close(log);
    log_cluster_stop(&logs);
    return 0;
}
