/* Archives: what is written is read, wherever it is cut; every damaged byte is found and named. */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/encode.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_verify.h"
#include "tests/unit/archive_world.h"
#include "tests/unit/test.h"

#define RECORDS 400

static struct archive_world world;
static struct th_err err;

static int set_up(void **unused)
{
    (void)unused;
    archive_world_init(&world);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    archive_world_fini(&world);
    return 0;
}

static struct archive_writer *open_writer(void)
{
    struct archive_writer *writer;

    assert_int_equal(archive_writer_open(world.archive, &world.origin, &writer, &err), TH_OK);
    return writer;
}

static struct th_log *open_log(void)
{
    struct th_log *log;

    assert_int_equal(archive_log_open(world.archive, &log, &err), TH_OK);
    return log;
}

/* Both partitions of one topic, and a reference topic. */
static void write_all(int to)
{
    struct archive_writer *writer = open_writer();

    assert_int_equal(archive_world_write(&world, writer, TOPIC_SEND_EVENTS, 0, 0, to, &err), TH_OK);
    assert_int_equal(archive_world_write(&world, writer, TOPIC_SEND_EVENTS, 1, 0, to, &err), TH_OK);
    assert_int_equal(archive_world_write(&world, writer, TOPIC_CONFIG, 0, 0, to, &err), TH_OK);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    archive_writer_close(writer);
}

static enum th_code verify(struct archive_totals *out)
{
    return archive_verify(world.archive, NULL, NULL, out, &err);
}

/* --- what is written is read --------------------------------------------------------------------
 */

static void test_what_is_written_is_read(void **unused)
{
    static const size_t sizes[] = {1, 100, 5000, 1 << 20};
    struct archive_totals totals;

    (void)unused;
    write_all(RECORDS);
    assert_int_equal(verify(&totals), TH_OK);
    assert_int_equal(totals.records, 3 * RECORDS);
    assert_true(totals.segments > 6); /* so that readers go from one to the next */
    struct th_log *log = open_log();
    assert_string_equal(th_log_id(log), ARCHIVE_WORLD_LOG);
    assert_int_equal(th_log_partitions(log, TOPIC_SEND_EVENTS), 2);
    for (size_t i = 0; i < TH_LEN(sizes); i++) {
        for (int part = 0; part < 2; part++)
            archive_world_expect(&world, log, (struct log_place){TOPIC_SEND_EVENTS, part, 0}, 0,
                                 RECORDS, sizes[i]);
        archive_world_expect(&world, log, (struct log_place){TOPIC_CONFIG, 0, 0}, 0, RECORDS,
                             sizes[i]);
    }
    th_log_close(log);
}

static void test_reading_begins_at_any_offset(void **unused)
{
    (void)unused;
    write_all(RECORDS);
    struct th_log *log = open_log();
    int64_t end;
    assert_int_equal(th_log_end(log, TOPIC_SEND_EVENTS, 0, &end, &err), TH_OK);
    for (int64_t offset = 0, i = 0; offset <= end + 1; offset++) {
        while (i < RECORDS && i * 3 / 2 < offset)
            i++;
        if (offset % 9 == 0 || offset >= end - 2)
            archive_world_expect(&world, log, (struct log_place){TOPIC_SEND_EVENTS, 0, offset},
                                 (int)i, RECORDS, 1 << 20);
    }
    th_log_close(log);
}

/* Partitions take turns, and a reader sent elsewhere forgets what it had in hand. */
static void test_partitions_take_turns(void **unused)
{
    struct log_place from[] = {{TOPIC_SEND_EVENTS, 0, 0}, {TOPIC_SEND_EVENTS, 1, 0}};
    struct th_log_reader *reader;
    struct log_records records;
    int64_t next[2] = {0, 0};
    int changes = 0;
    int last = 0;

    (void)unused;
    write_all(RECORDS);
    struct th_log *log = open_log();
    assert_int_equal(th_log_reader_open(log, from, 2, &reader, &err), TH_OK);
    for (int round = 0; round < 2; round++) {
        do {
            th_arena_reset(&world.arena);
            assert_int_equal(th_log_reader_read(reader, 999, &world.arena, &records, &err), TH_OK);
            for (size_t i = 0; i < records.n; i++) {
                struct log_place place = records.at[i].place;
                assert_true(place.offset >= next[place.part]);
                next[place.part] = place.offset + 1;
                changes += place.part != last;
                last = place.part;
            }
            if (round == 0 && next[0] > 100) {
                th_log_reader_seek(reader, (struct log_place){TOPIC_SEND_EVENTS, 0, 7});
                next[0] = 7;
                break;
            }
        } while (records.n > 0);
    }
    assert_true(changes > 4);
    assert_int_equal(next[0], (RECORDS - 1) * 3 / 2 + 1);
    th_log_reader_close(reader);
    th_log_close(log);
}

static void test_an_archive_goes_on_where_it_stopped(void **unused)
{
    struct archive_totals totals;

    (void)unused;
    for (int from = 0; from < RECORDS; from += 50) {
        struct archive_writer *writer = open_writer();
        const struct archive_manifest *manifest = archive_writer_manifest(writer);
        int64_t next = archive_manifest_next(manifest, TOPIC_CONFIG, 0);
        assert_int_equal(next, from == 0 ? 0 : (from - 1) * 3 / 2 + 1);
        assert_int_equal(
            archive_world_write(&world, writer, TOPIC_CONFIG, 0, from, from + 50, &err), TH_OK);
        assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
        archive_writer_close(writer);
    }
    assert_int_equal(verify(&totals), TH_OK);
    assert_int_equal(totals.records, RECORDS);
    struct th_log *log = open_log();
    archive_world_expect(&world, log, (struct log_place){TOPIC_CONFIG, 0, 0}, 0, RECORDS, 4096);
    th_log_close(log);
}

/* --- short segments are continued ---------------------------------------------------------------
 */

/* One run: so many records more of config. */
static void run_once(int from, int to)
{
    struct archive_writer *writer = open_writer();

    assert_int_equal(archive_world_write(&world, writer, TOPIC_CONFIG, 0, from, to, &err), TH_OK);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    assert_int_equal(archive_writer_segments(writer), to > from);
    archive_writer_close(writer);
}

static void expect_config(int records)
{
    struct th_log *log = open_log();

    archive_world_expect(&world, log, (struct log_place){TOPIC_CONFIG, 0, 0}, 0, records, 4096);
    th_log_close(log);
}

static void expect_segments(int64_t segments, int64_t records)
{
    struct archive_totals totals;

    assert_int_equal(verify(&totals), TH_OK);
    assert_int_equal(totals.segments, segments);
    assert_int_equal(totals.records, records);
}

static void test_many_runs_make_one_segment(void **unused)
{
    char command[200];

    (void)unused;
    world.origin.segment_raw = (int64_t)64 * 1024 * 1024;
    for (int run = 0; run < 30; run++)
        run_once(run * 10, run * 10 + 10);
    expect_segments(1, 300);
    expect_config(300);
    run_once(300, 300); /* nothing came: nothing is written */

    /* Who has read the manifest before still finds the file that it names. */
    struct th_log *before = open_log();
    run_once(300, 310);
    archive_world_expect(&world, before, (struct log_place){TOPIC_CONFIG, 0, 0}, 0, 300, 4096);
    th_log_close(before);
    expect_segments(1, 310);
    expect_config(310);
    snprintf(command, sizeof command,
             "cd '%s/config/0' && test $(ls | wc -l) = 2 && test -e 00000000000000000000-30.seg",
             world.archive);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */

    /* In one run a partition may be begun twice; what the manifest on the disk names stays. */
    struct archive_writer *writer = open_writer();
    for (int from = 310; from < 330; from += 10)
        assert_int_equal(
            archive_world_write(&world, writer, TOPIC_CONFIG, 0, from, from + 10, &err), TH_OK);
    archive_writer_close(writer); /* it was never published */
    expect_segments(1, 310);
    run_once(310, 320);
    expect_segments(1, 320);
    expect_config(320);
}

static void test_a_segment_is_not_continued_for_ever(void **unused)
{
    struct archive_writer *writer;

    (void)unused;
    world.origin.segment_raw = 20000;
    run_once(0, 10);
    run_once(10, 20);
    expect_segments(1, 20);
    run_once(20, 25); /* it has more than an eighth */
    run_once(25, 30);
    expect_segments(2, 30);

    writer = open_writer();
    struct log_record late = archive_world_record(&world, TOPIC_CONFIG, 0, 30);
    late.at_us += ARCHIVE_SEGMENT_US;
    assert_int_equal(archive_writer_begin(writer, TOPIC_CONFIG, 0, 0, &err), TH_OK);
    assert_int_equal(archive_writer_add(writer, &late, 1, &err), TH_OK);
    assert_int_equal(archive_writer_end(writer, &err), TH_OK);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    archive_writer_close(writer);
    expect_segments(3, 31);
}

static void test_a_damaged_segment_is_not_continued(void **unused)
{
    struct archive_totals totals;
    char command[200];

    (void)unused;
    world.origin.segment_raw = 1 << 20;
    run_once(0, 10);
    snprintf(command, sizeof command,
             "printf X | dd of='%s/config/0/00000000000000000000.seg' bs=1 seek=200 conv=notrunc "
             "status=none",
             world.archive);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    run_once(10, 20);
    assert_int_equal(verify(&totals), TH_CORRUPT);
    assert_non_null(strstr(err.text, "config/0/00000000000000000000.seg: byte"));
    struct th_log *log = open_log();
    struct log_record next = archive_world_record(&world, TOPIC_CONFIG, 0, 10);
    archive_world_expect(&world, log, next.place, 10, 20, 4096);
    th_log_close(log);
}

/* The manifest as the first format had it: its lines without the last word. */
static void forget_turns(void)
{
    TH_AUTO(th_buf) struct th_buf old = {0};
    TH_AUTO(th_buf) struct th_buf now = {0};
    struct archive_input input;
    struct th_str rest;
    struct th_str line;
    uint8_t sha256[TH_SHA256_SIZE];
    char hex[2 * TH_SHA256_SIZE + 1];
    char path[200];
    int lines = 0;

    assert_int_equal(archive_input_open(&input, world.archive, ARCHIVE_MANIFEST, &err), TH_OK);
    assert_int_equal(archive_input_read(&input, 0, (size_t)input.size, &now, &err), TH_OK);
    archive_input_close(&input);
    for (rest = th_buf_str(&now); th_str_cut(rest, '\n', &line, &rest) && rest.n > 0; lines++) {
        size_t at = old.n;
        line.n -= 9; /* the sum */
        if (lines == 0)
            th_buf_printf(&old, "telehub-archive 1 %s", ARCHIVE_WORLD_LOG);
        else if (line.n > 8 && memcmp(line.p, "segment ", 8) == 0)
            th_buf_printf(&old, "%.*s", (int)line.n - 2, line.p);
        else
            th_buf_printf(&old, "%.*s", TH_ARG(line));
        th_buf_printf(&old, " %08x\n", crc32c((struct th_str){old.p + at, old.n - at}));
    }
    th_sha256(th_buf_str(&old), sha256);
    th_hex((struct th_str){(const char *)sha256, sizeof sha256}, hex);
    size_t at = old.n;
    th_buf_printf(&old, "end %d %s", lines, hex);
    th_buf_printf(&old, " %08x\n", crc32c((struct th_str){old.p + at, old.n - at}));
    snprintf(path, sizeof path, "%s/" ARCHIVE_MANIFEST, world.archive);
    assert_int_equal(archive_replace(path, th_buf_str(&old), &err), TH_OK);
}

static void test_an_archive_of_the_first_format_goes_on(void **unused)
{
    (void)unused;
    world.origin.segment_raw = 1 << 20;
    run_once(0, 10);
    forget_turns();
    expect_segments(1, 10);
    run_once(10, 20);
    expect_segments(1, 20);
    expect_config(20);
}

/* What was not published is not in the archive, and the next writer throws its files away. */
static void test_what_is_not_published_does_not_count(void **unused)
{
    struct archive_totals totals;
    struct stat st;
    char path[200];

    (void)unused;
    struct archive_writer *writer = open_writer();
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    assert_int_equal(archive_world_write(&world, writer, TOPIC_CONFIG, 0, 0, 90, &err), TH_OK);
    archive_writer_close(writer);
    assert_int_equal(verify(&totals), TH_OK);
    assert_int_equal(totals.records, 0);

    world.origin.segment_raw = 1 << 20; /* boundaries lie elsewhere now */
    writer = open_writer();
    assert_int_equal(archive_world_write(&world, writer, TOPIC_CONFIG, 0, 0, 90, &err), TH_OK);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    archive_writer_close(writer);
    assert_int_equal(verify(&totals), TH_OK);
    assert_int_equal(totals.segments, 1);
    snprintf(path, sizeof path, "%s/config/0", world.archive);
    assert_int_equal(stat(path, &st), 0);
    struct th_log *log = open_log();
    archive_world_expect(&world, log, (struct log_place){TOPIC_CONFIG, 0, 0}, 0, 90, 4096);
    th_log_close(log);
    snprintf(path, sizeof path, "test $(ls '%s/config/0' | wc -l) = 1", world.archive);
    assert_int_equal(system(path), 0); /* NOLINT(cert-env33-c) */
}

static void test_who_may_write(void **unused)
{
    struct archive_writer *writer = open_writer();
    struct archive_writer *second;

    (void)unused;
    assert_int_equal(archive_writer_open(world.archive, &world.origin, &second, &err), TH_CONFLICT);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    archive_writer_close(writer);
    world.origin.log_id = "ffffffff-89ab-4cde-8f01-23456789abcd";
    assert_int_equal(archive_writer_open(world.archive, &world.origin, &second, &err), TH_CONFLICT);
    assert_non_null(strstr(err.text, ARCHIVE_WORLD_LOG));
    world.origin.log_id = ARCHIVE_WORLD_LOG;
    world.partitions[TOPIC_SEND_EVENTS] = 3;
    assert_int_equal(archive_writer_open(world.archive, &world.origin, &second, &err), TH_CONFLICT);
}

static void test_what_a_log_begins_behind_is_said(void **unused)
{
    struct archive_writer *writer = open_writer();
    struct log_record record = archive_world_record(&world, TOPIC_CONFIG, 0, 80);
    struct log_place place = {TOPIC_CONFIG, 0, 0};
    struct th_log_reader *reader;
    struct log_records records;

    (void)unused;
    assert_int_equal(archive_writer_begin(writer, TOPIC_CONFIG, 0, 100, &err), TH_OK);
    assert_int_equal(archive_writer_add(writer, &record, 1, &err), TH_OK);
    assert_int_equal(archive_writer_add(writer, &record, 1, &err), TH_CORRUPT); /* once more */
    assert_int_equal(archive_writer_end(writer, &err), TH_OK);
    assert_int_equal(archive_writer_publish(writer, &err), TH_OK);
    archive_writer_close(writer);
    struct th_log *log = open_log();
    assert_int_equal(archive_log_start(log, TOPIC_CONFIG, 0), 100);
    assert_int_equal(th_log_reader_open(log, &place, 1, &reader, &err), TH_OK);
    assert_int_equal(th_log_reader_read(reader, 100, &world.arena, &records, &err), TH_NOT_FOUND);
    th_log_reader_seek(reader, (struct log_place){TOPIC_CONFIG, 0, 100});
    assert_int_equal(th_log_reader_read(reader, 100, &world.arena, &records, &err), TH_OK);
    assert_int_equal(records.n, 1);
    th_log_reader_close(reader);
    assert_int_equal(
        th_log_append(log, &(struct log_output){.topic = TOPIC_CONFIG, .part = -1}, 1, NULL, &err),
        TH_UNSUPPORTED);
    th_log_close(log);
}

/* --- damage -------------------------------------------------------------------------------------
 */

static struct {
    char paths[64][200];
    size_t n;
} files;

static int keep_file(const char *path, const struct stat *st, int kind)
{
    (void)st;
    if (kind == FTW_F && !strstr(path, "/lock")) {
        assert_true(files.n < TH_LEN(files.paths));
        snprintf(files.paths[files.n++], sizeof files.paths[0], "%s", path);
    }
    return 0;
}

static void list_files(void)
{
    files.n = 0;
    assert_int_equal(ftw(world.archive, keep_file, 4), 0);
}

static void flip(const char *path, off_t at, unsigned char with)
{
    unsigned char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= with;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}

/* The text names the file, and bytes among which this one is; true if it names it alone. */
static bool names(const char *path, off_t at)
{
    intmax_t one;
    intmax_t from;
    intmax_t to;

    const char *text = strstr(err.text, path);
    assert_non_null(text);
    text += strlen(path);
    if (sscanf(text, ": byte %jd is damaged", &one) == 1) { /* NOLINT(cert-err34-c) */
        assert_int_equal(one, at);
        return true;
    }
    if (sscanf(text, ": bytes %jd to %jd", &from, &to) == 2) { /* NOLINT(cert-err34-c) */
        assert_in_range(at, from, to);
        return false;
    }
    fail_msg("no bytes are named: %s", err.text);
    return false;
}

static void test_every_damaged_byte_is_named(void **unused)
{
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    struct archive_totals totals;
    struct stat st;
    long n = 0;
    long exact = 0;

    (void)unused;
    write_all(30);
    list_files();
    assert_true(files.n >= 4);
    for (size_t f = 0; f < files.n; f++) {
        assert_int_equal(stat(files.paths[f], &st), 0);
        for (off_t at = 0; at < st.st_size; at++) {
            unsigned char with = flips[at % (off_t)TH_LEN(flips)];
            flip(files.paths[f], at, with);
            if (verify(&totals) != TH_CORRUPT && err.code != TH_UNSUPPORTED)
                fail_msg("%s: byte %jd was changed, and nobody noticed", files.paths[f],
                         (intmax_t)at);
            exact += names(files.paths[f], at);
            n++;
            flip(files.paths[f], at, with);
        }
    }
    print_message("  %ld bytes damaged, %ld named exactly\n", n, exact);
    assert_true(exact > n * 9 / 10);
    assert_int_equal(verify(&totals), TH_OK);
}

static void test_missing_and_extra_bytes_are_found(void **unused)
{
    struct archive_totals totals;
    struct stat st;

    (void)unused;
    write_all(12);
    list_files();
    for (size_t f = 0; f < files.n; f++) {
        char copy[220];
        char command[600];
        snprintf(copy, sizeof copy, "%s/copy", world.dir);
        snprintf(command, sizeof command, "cp '%s' '%s'", files.paths[f], copy);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        snprintf(command, sizeof command, "cp '%s' '%s'", copy, files.paths[f]);
        assert_int_equal(stat(files.paths[f], &st), 0);
        for (off_t size = 0; size <= st.st_size + 1; size += size < 300 ? 1 : 97) {
            if (size == st.st_size)
                continue;
            assert_int_equal(truncate(files.paths[f], size), 0);
            if (verify(&totals) != TH_CORRUPT)
                fail_msg("%s: cut to %jd of %jd", files.paths[f], (intmax_t)size,
                         (intmax_t)st.st_size);
            assert_non_null(strstr(err.text, files.paths[f]));
            assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        }
        assert_int_equal(unlink(files.paths[f]), 0);
        assert_int_equal(verify(&totals),
                         strstr(files.paths[f], "MANIFEST") ? TH_NOT_FOUND : TH_CORRUPT);
        assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
        assert_int_equal(verify(&totals), TH_OK);
    }
}

/* A reader is told as well, and stands where it stood. */
static void test_a_reader_meets_damage(void **unused)
{
    struct log_place place = {TOPIC_CONFIG, 0, 0};
    struct th_log_reader *reader;
    struct log_records records;
    char path[200];

    (void)unused;
    write_all(30);
    snprintf(path, sizeof path, "%s/config/0/%020d.seg", world.archive, 0);
    flip(path, 200, 4);
    struct th_log *log = open_log();
    assert_int_equal(th_log_reader_open(log, &place, 1, &reader, &err), TH_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(th_log_reader_read(reader, 100, &world.arena, &records, &err), TH_CORRUPT);
        assert_true(names(path, 200));
    }
    flip(path, 200, 4);
    assert_int_equal(th_log_reader_read(reader, 1, &world.arena, &records, &err), TH_OK);
    assert_int_equal(records.at[0].place.offset, 0);
    th_log_reader_close(reader);
    th_log_close(log);
}

/* Any single byte of any length: the table's undoing is exact. */
static void test_one_changed_byte_is_located(void **unused)
{
    char bytes[600];
    size_t index;
    uint8_t with;

    (void)unused;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i);
    for (size_t at = 0; at < sizeof bytes; at++) {
        struct th_str all = {bytes, sizeof bytes};
        uint32_t was = crc32c(all);
        bytes[at] ^= (char)(1 + at % 255);
        assert_true(crc32c_locate(sizeof bytes, crc32c(all), was, &index, &with));
        assert_int_equal(index, at);
        assert_int_equal(with, 1 + at % 255);
        bytes[at] ^= (char)(1 + at % 255);
    }
    assert_false(crc32c_locate(sizeof bytes, 7, 7, &index, &with));
    assert_false(crc32c_locate(sizeof bytes, 0x12345678, 0x9abcdef0, &index, &with));
}

/* What others make of it: each segment is a stream of LZ4 frames. */
static void test_lz4_reads_segments(void **unused)
{
    char command[300];

    (void)unused;
    if (system("command -v lz4 >/dev/null") != 0) /* NOLINT(cert-env33-c) */
        skip();
    write_all(RECORDS);
    snprintf(command, sizeof command, "for f in '%s'/*/*/*.seg; do lz4 -qt \"$f\" || exit 1; done",
             world.archive);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_written_is_read),
        CASE(test_reading_begins_at_any_offset),
        CASE(test_partitions_take_turns),
        CASE(test_an_archive_goes_on_where_it_stopped),
        CASE(test_many_runs_make_one_segment),
        CASE(test_a_segment_is_not_continued_for_ever),
        CASE(test_a_damaged_segment_is_not_continued),
        CASE(test_an_archive_of_the_first_format_goes_on),
        CASE(test_what_is_not_published_does_not_count),
        CASE(test_who_may_write),
        CASE(test_what_a_log_begins_behind_is_said),
        CASE(test_every_damaged_byte_is_named),
        CASE(test_missing_and_extra_bytes_are_found),
        CASE(test_a_reader_meets_damage),
        CASE(test_one_changed_byte_is_located),
        CASE(test_lz4_reads_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
