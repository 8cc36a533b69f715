/* What archiving does in a second: a log written into an archive, the archive verified, and read
 * again with every event decoded. Beside them the same bytes written plainly and made durable, and
 * the same events decoded from memory.
 *
 * bench_archive [CAMPAIGNS]: of 2,000 sends each, the log that is archived (default 25). Works in
 * TMPDIR. One JSON object per line:
 * {"name","value","unit","against","against_value","ratio","better"}.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/archive_verify.h"
#include "common/eventlog/memory_log.h"
#include "schemas/events.h"
#include "tests/integration/views_story.h"

#define CAMPAIGNS   25
#define READ_BYTES  ((size_t)1024 * 1024)
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define PARTS_MAX   ((size_t)TOPIC_COUNT * 8)
#define MB          1e6

static void must(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    (void)fprintf(stderr, "bench_archive: %s: %s\n", th_code_name(code), err->text);
    exit(1);
}

static double now_s(void)
{
    return (double)th_clock_monotonic_us(&th_clock_real) / 1e6;
}

/* Resident now, bytes. */
static double resident(void)
{
    long pages = 0;
    long ignored;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%ld %ld", &ignored, &pages) != 2) /* NOLINT(cert-err34-c) */
        pages = 0;
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* peer NULL: there is nothing to compare it with. */
static void report(const char *name, double value, const char *unit, const char *peer,
                   double peer_value, const char *better)
{
    printf("{\"name\":\"%s\",\"value\":%.1f,\"unit\":\"%s\"", name, value, unit);
    if (peer)
        printf(",\"against\":\"%s\",\"against_value\":%.1f,\"ratio\":%.3f", peer, peer_value,
               value / peer_value);
    else
        printf(",\"against\":null,\"against_value\":null,\"ratio\":null");
    printf(",\"better\":\"%s\"}\n", better);
    (void)fflush(stdout);
}

/* --- reading, decoding ------------------------------------------------------------------------ */

struct sums {
    double events;
    double bytes;
    double seconds;
    double grown; /* resident bytes, at most, above where it began */
};

static struct th_log_reader *read_all(struct th_log *log)
{
    struct log_place from[PARTS_MAX];
    struct th_log_reader *reader;
    struct th_err err = {0};
    size_t n = 0;

    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; p < th_log_partitions(log, (enum topic)t) && n < PARTS_MAX; p++)
            from[n++] = (struct log_place){(enum topic)t, p, 0};
    must(th_log_reader_open(log, from, n, &reader, &err), &err);
    return reader;
}

static struct sums read_log(struct th_log *log, bool is_decoded)
{
    struct sums sums = {0};
    struct log_records records;
    struct th_arena arena;
    struct event event;
    struct th_err err = {0};
    double before = resident();
    double begun = now_s();
    struct th_log_reader *reader = read_all(log);

    th_arena_init(&arena, ARENA_BYTES);
    do {
        th_arena_reset(&arena);
        must(th_log_reader_read(reader, READ_BYTES, &arena, &records, &err), &err);
        for (size_t i = 0; i < records.n; i++) {
            sums.bytes += (double)(records.at[i].key.n + records.at[i].value.n);
            if (is_decoded)
                must(event_decode(records.at[i].value, &arena, &event, &err), &err);
        }
        sums.events += (double)records.n;
        double grown = resident() - before;
        sums.grown = grown > sums.grown ? grown : sums.grown;
    } while (records.n > 0);
    sums.seconds = now_s() - begun;
    th_arena_fini(&arena);
    th_log_reader_close(reader);
    return sums;
}

/* --- the peer of writing ---------------------------------------------------------------------- */

struct plain {
    int fd;
    char path[300];
};

/* The same keys and values, one file, made durable; bytes per second. */
static double write_plainly(struct th_log *log, const char *dir)
{
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};
    struct plain plain;
    double bytes = 0;
    double begun = now_s();
    struct th_log_reader *reader = read_all(log);

    snprintf(plain.path, sizeof plain.path, "%s/plain", dir);
    plain.fd = open(plain.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    FILE *file = plain.fd >= 0 ? fdopen(plain.fd, "w") : NULL;
    if (!file)
        exit(1);
    th_arena_init(&arena, ARENA_BYTES);
    do {
        th_arena_reset(&arena);
        must(th_log_reader_read(reader, READ_BYTES, &arena, &records, &err), &err);
        for (size_t i = 0; i < records.n; i++) {
            struct th_str key = records.at[i].key;
            struct th_str value = records.at[i].value;
            if (fwrite(key.p, 1, key.n, file) != key.n ||
                fwrite(value.p, 1, value.n, file) != value.n)
                exit(1);
            bytes += (double)(key.n + value.n);
        }
    } while (records.n > 0);
    if (fflush(file) != 0 || fsync(fileno(file)) != 0)
        exit(1);
    (void)fclose(file);
    (void)unlink(plain.path);
    th_arena_fini(&arena);
    th_log_reader_close(reader);
    return bytes / (now_s() - begun);
}

/* --- the figures ------------------------------------------------------------------------------ */

struct peak {
    double before;
    double grown;
};

static void note_peak(void *arg, const struct archive_taken *taken)
{
    struct peak *peak = arg;
    double grown = resident() - peak->before;

    (void)taken;
    peak->grown = grown > peak->grown ? grown : peak->grown;
}

static void measure_write(struct th_log *log, const char *dir)
{
    struct peak peak = {0};
    struct archive_plan plan = {.progress = note_peak, .arg = &peak};
    struct archive_taken taken;
    struct archive_totals totals;
    struct th_err err = {0};

    double plain = write_plainly(log, dir);
    peak.before = resident();
    double begun = now_s();
    must(archive_take(log, dir, 0, &plan, &taken, &err), &err);
    double seconds = now_s() - begun;
    report("archive, write", (double)taken.records / seconds, "events/s", "the bytes, plainly",
           plain * (double)taken.records / (double)taken.bytes, "more");
    report("archive, write, bytes", (double)taken.bytes / seconds / MB, "MB/s",
           "the bytes, plainly", plain / MB, "more");
    report("archive, write, resident growth", peak.grown / MB, "MB", "the log's bytes",
           (double)taken.bytes / MB, "less");
    begun = now_s();
    must(archive_verify(dir, NULL, NULL, &totals, &err), &err);
    seconds = now_s() - begun;
    report("archive, verify", (double)totals.records / seconds, "events/s", NULL, 0, "more");
    report("archive, size", (double)totals.bytes / MB, "MB", "the log's bytes",
           (double)taken.bytes / MB, "less");
}

static void measure_read(struct th_log *log, const char *dir)
{
    struct th_log *archive;
    struct th_err err = {0};

    struct sums memory = read_log(log, true);
    must(archive_log_open(dir, &archive, &err), &err);
    struct sums plain = read_log(archive, false);
    struct sums decoded = read_log(archive, true);
    th_log_close(archive);
    if (decoded.events != memory.events || decoded.bytes != memory.bytes)
        exit(1);
    report("archive, read", plain.events / plain.seconds, "events/s", NULL, 0, "more");
    report("archive, read and decoded", decoded.events / decoded.seconds, "events/s",
           "read from memory and decoded", memory.events / memory.seconds, "more");
    report("archive, read and decoded, bytes", decoded.bytes / decoded.seconds / MB, "MB/s",
           "read from memory and decoded", memory.bytes / memory.seconds / MB, "more");
    report("archive, read, resident growth", decoded.grown / MB, "MB", "the log's bytes",
           decoded.bytes / MB, "less");
}

int main(int argc, char **argv)
{
    struct memory_log_options options = {.partitions = 4,
                                         .bytes_max = (size_t)8 * 1024 * 1024 * 1024,
                                         .clock = &th_clock_real,
                                         .seed = 1};
    const char *room = getenv("TMPDIR");
    int campaigns = argc > 1 ? (int)strtol(argv[1], NULL, 10) : CAMPAIGNS;
    struct th_log *log;
    struct th_err err = {0};
    char dir[256];
    char command[300];

    snprintf(dir, sizeof dir, "%s/bench-archive.XXXXXX", room ? room : "/tmp");
    if (campaigns < 1 || !mkdtemp(dir))
        return 2;
    must(memory_log_new(&options, &log, &err), &err);
    for (int i = 0; i < campaigns; i++)
        story_append(log, "pratham", (uint64_t)i);
    measure_write(log, dir);
    measure_read(log, dir);
    th_log_close(log);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1; /* NOLINT(cert-env33-c): a folder that we made */
}
