/* How fast an archive and a log are replayed: what is read and decoded, and what is written to a
 * new log in a database, in events and bytes a second.
 *
 * bench_replay [CAMPAIGNS]: so many of 2,000 sends each (default 50). Makes a Postgres of its own,
 * a log in it and its archive, and removes all of it. One JSON object per line: {"name","value",
 * "unit","against","against_value","ratio","better"}. Bytes are those of keys and values, before
 * compression.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/replay.h"
#include "common/eventlog/scan.h"
#include "connectors/postgres/pg_log.h"
#include "schemas/events.h"
#include "tests/integration/cluster.h"
#include "tests/integration/views_story.h"

#define SLOTS        2
#define PARTITIONS   4
#define READ_BYTES   ((size_t)512 * 1024)
#define ARENA        ((size_t)64 << 20)
#define CONNINFO_MAX 512

static double now(void)
{
    return (double)th_clock_monotonic_us(&th_clock_real) / 1e6;
}

static void must(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    fprintf(stderr, "bench_replay: %s: %s\n", th_code_name(code), err->text);
    exit(1);
}

static void report(const char *name, double events, double bytes, double took_s)
{
    static const char rest[] = ",\"against\":null,\"against_value\":null,\"ratio\":null,"
                               "\"better\":\"more\"}";

    printf("{\"name\":\"%s\",\"value\":%.0f,\"unit\":\"events/s\"%s\n", name, events / took_s,
           rest);
    printf("{\"name\":\"%s, bytes\",\"value\":%.1f,\"unit\":\"MB/s\"%s\n", name,
           bytes / took_s / 1e6, rest);
    fflush(stdout);
}

/* --- logs --------------------------------------------------------------------------------------
 */

static struct th_log *make_log(char *conninfo)
{
    const struct pg_log_config config = {.conninfo = conninfo, .is_guest = true};
    struct th_log *log = NULL;
    struct th_err err = {0};
    int applied;

    must(pg_log_upgrade(conninfo, &applied, &err), &err);
    must(pg_log_create(conninfo, PARTITIONS, &err), &err);
    must(pg_log_open(&config, &log, &err), &err);
    return log;
}

/* --- reading and decoding ----------------------------------------------------------------------
 */

static void decode_all(const struct log_records *records, struct th_arena *arena, double *bytes)
{
    for (size_t i = 0; i < records->n; i++) {
        struct event event;
        struct th_err err = {0};

        th_arena_reset(arena);
        must(event_decode(records->at[i].value, arena, &event, &err), &err);
        *bytes += (double)(records->at[i].key.n + records->at[i].value.n);
    }
}

static void measure_decode(const char *name, struct th_log *log)
{
    struct log_scan *scan = NULL;
    struct log_records records;
    struct log_place behind;
    struct th_arena arena, look;
    struct th_err err = {0};
    double events = 0;
    double bytes = 0;
    double begun = now();

    th_arena_init(&arena, ARENA);
    th_arena_init(&look, ARENA);
    must(log_scan_open(log, (struct log_place){0}, &scan, &err), &err);
    do {
        th_arena_reset(&arena);
        must(log_scan_next(scan, READ_BYTES, &arena, &records, &behind, &err), &err);
        decode_all(&records, &look, &bytes);
        events += (double)records.n;
    } while (records.n > 0);
    report(name, events, bytes, now() - begun);
    log_scan_close(scan);
    th_arena_fini(&look);
    th_arena_fini(&arena);
}

/* --- replaying ---------------------------------------------------------------------------------
 */

static void measure_replay(const char *name, struct th_log *source, struct th_log *target)
{
    const struct log_replay replay = {.source = source, .target = target, .slots = SLOTS};
    struct log_replayed replayed;
    struct th_err err = {0};
    double begun = now();

    must(log_replay_run(&replay, &replayed, &err), &err);
    report(name, (double)replayed.records, (double)replayed.bytes, now() - begun);
}

int main(int argc, char **argv)
{
    char folder[] = "/tmp/telehub-replay.XXXXXX";
    char conninfo[CONNINFO_MAX], from_log[CONNINFO_MAX], from_archive[CONNINFO_MAX];
    struct archive_taken taken;
    struct th_log *archive = NULL;
    struct th_err err = {0};
    int64_t campaigns = 50;

    if (argc > 1 && !th_str_int(th_str(argv[1]), 1, 10000, &campaigns))
        return 2;
    struct cluster *cluster = cluster_start_full();
    snprintf(conninfo, sizeof conninfo, "%s", cluster_conninfo(cluster));
    cluster_database(cluster, "from_log", from_log);
    cluster_database(cluster, "from_archive", from_archive);
    struct th_log *log = make_log(conninfo);
    for (uint64_t i = 0; i < (uint64_t)campaigns; i++)
        story_append(log, "pratham", i);
    if (!mkdtemp(folder))
        return 1;
    must(archive_take(log, folder, 0, &(struct archive_plan){0}, &taken, &err), &err);
    must(archive_log_open(folder, &archive, &err), &err);

    measure_decode("replay, an archive read and decoded", archive);
    measure_decode("replay, a log in Postgres read and decoded", log);
    struct th_log *target = make_log(from_archive);
    measure_replay("replay, an archive into a log in Postgres", archive, target);
    th_log_close(target);
    target = make_log(from_log);
    measure_replay("replay, a log into a log, both in one Postgres", log, target);
    th_log_close(target);
    th_log_close(archive);
    th_log_close(log);
    cluster_shell("rm -rf '%s'", folder);
    cluster_stop(cluster);
    return 0;
}
