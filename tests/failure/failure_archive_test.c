/* An archive on a disk that fills up, that fails, and without memory: what the manifest names is
 * there and whole, and the next writer goes on from it to the same archive. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "common/clock.h"
#include "common/eventlog/archive/archive_avro.h"
#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_verify.h"
#include "common/eventlog/memory_log.h"
#include "schemas/events.h"
#include "tests/unit/archive_world.h"

#define RECORDS 60

static struct archive_world world;
static struct log_record records_of[2][RECORDS];

static void set_up(void)
{
    archive_world_init(&world);
    world.origin.segment_raw = 3000;
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < RECORDS; i++)
            records_of[part][i] = archive_world_record(&world, TOPIC_SEND_EVENTS, part, i);
}

/* What is missing of two partitions' first records; how far each is, is the archive's own word. */
static enum th_code archive_first(size_t to, struct th_err *err)
{
    TH_AUTO(archive_writer) struct archive_writer *writer = NULL;

    TH_TRY(archive_writer_open(world.archive, &world.origin, &writer, err));
    for (int part = 0; part < 2; part++) {
        int64_t next =
            archive_manifest_next(archive_writer_manifest(writer), TOPIC_SEND_EVENTS, part);
        size_t from = 0;
        while (from < to && records_of[part][from].place.offset < next)
            from++;
        TH_TRY(archive_writer_begin(writer, TOPIC_SEND_EVENTS, part, 0, err));
        TH_TRY(archive_writer_add(writer, &records_of[part][from], to - from, err));
        TH_TRY(archive_writer_end(writer, err));
    }
    return archive_writer_publish(writer, err);
}

static enum th_code archive_rest(struct th_err *err)
{
    return archive_first(RECORDS, err);
}

static void check_all(void)
{
    struct archive_totals totals;
    struct th_log *log;
    struct th_err err = {0};

    assert_int_equal(archive_verify(world.archive, NULL, NULL, &totals, &err), TH_OK);
    assert_int_equal(totals.records, 2 * RECORDS);
    assert_int_equal(archive_log_open(world.archive, &log, &err), TH_OK);
    for (int part = 0; part < 2; part++)
        archive_world_expect(&world, log, (struct log_place){TOPIC_SEND_EVENTS, part, 0}, 0,
                             RECORDS, 4096);
    th_log_close(log);
}

static void write_badly(void *unused)
{
    struct archive_totals totals;
    struct th_err err = {0};

    (void)unused;
    set_up();
    fail_arm();
    enum th_code code = archive_rest(&err);
    fail_disarm();
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    if (code != TH_OK)
        assert_true(err.text[0] != '\0');
    enum th_code whole = archive_verify(world.archive, NULL, NULL, &totals, &err);
    assert_true(whole == TH_OK || whole == TH_NOT_FOUND); /* nothing half-true */
    assert_int_equal(archive_rest(&err), TH_OK);
    check_all();
    archive_world_fini(&world);
}

static void test_writing(void **unused)
{
    (void)unused;
    fail_each_stride("an archive is written", FAIL_ALL, fail_stride(1, 3), write_badly, NULL);
}

/* Short segments, continued twice before: whatever fails, what was there is there. */
static void continue_badly(void *unused)
{
    struct archive_totals totals;
    struct th_err err = {0};

    (void)unused;
    set_up();
    world.origin.segment_raw = (int64_t)4 * 1024 * 1024;
    for (size_t to = 15; to <= 45; to += 15)
        assert_int_equal(archive_first(to, &err), TH_OK);
    fail_arm();
    enum th_code code = archive_rest(&err);
    fail_disarm();
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    assert_int_equal(archive_verify(world.archive, NULL, NULL, &totals, &err), TH_OK);
    assert_true(totals.records >= (int64_t)2 * 45);
    assert_int_equal(archive_rest(&err), TH_OK);
    check_all();
    assert_int_equal(archive_verify(world.archive, NULL, NULL, &totals, &err), TH_OK);
    assert_int_equal(totals.segments, 2);
    archive_world_fini(&world);
}

static void test_continuing(void **unused)
{
    (void)unused;
    fail_each_stride("short segments are continued", FAIL_ALL, fail_stride(1, 3), continue_badly,
                     NULL);
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum th_code read_all(int *out_n, struct th_err *err)
{
    struct log_place from[] = {{TOPIC_SEND_EVENTS, 0, 0}, {TOPIC_SEND_EVENTS, 1, 10}};
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_log *log;

    TH_TRY(archive_log_open(world.archive, &log, err));
    enum th_code code = th_log_reader_open(log, from, TH_LEN(from), &reader, err);
    if (code != TH_OK) {
        th_log_close(log);
        return code;
    }
    th_arena_init(&arena, (size_t)1024 * 1024);
    do {
        records.n = 0;
        th_arena_reset(&arena);
        code = th_log_reader_read(reader, 2000, &arena, &records, err);
        *out_n += (int)records.n;
    } while (code == TH_OK && records.n > 0);
    /* Where it failed it goes on: it stands where it stood. */
    fail_disarm();
    for (size_t n = 1; n > 0; n = records.n) {
        th_arena_reset(&arena);
        assert_int_equal(th_log_reader_read(reader, 2000, &arena, &records, err), TH_OK);
        *out_n += (int)records.n;
    }
    th_log_reader_close(reader);
    th_log_close(log);
    th_arena_fini(&arena);
    return code;
}

static void read_badly(void *unused)
{
    struct th_err err = {0};
    int n = 0;

    (void)unused;
    set_up();
    assert_int_equal(archive_rest(&err), TH_OK);
    fail_arm();
    enum th_code code = read_all(&n, &err);
    fail_disarm();
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    assert_true(n == 0 || n == 2 * RECORDS - 6);
    archive_world_fini(&world);
}

static void test_reading(void **unused)
{
    (void)unused;
    fail_each("an archive is read", FAIL_ALL, read_badly, NULL);
}

static void verify_badly(void *unused)
{
    struct archive_totals totals;
    struct th_err err = {0};

    (void)unused;
    set_up();
    assert_int_equal(archive_rest(&err), TH_OK);
    fail_arm();
    enum th_code code = archive_verify(world.archive, NULL, NULL, &totals, &err);
    fail_disarm();
    if (fail_was_hit())
        assert_int_not_equal(code, TH_CORRUPT); /* a disk that fails is no damage */
    else
        assert_int_equal(code, TH_OK);
    archive_world_fini(&world);
}

static void test_verifying(void **unused)
{
    (void)unused;
    fail_each("an archive is verified", FAIL_ALL, verify_badly, NULL);
}

/* --- Avro files ---------------------------------------------------------------------------------
 */

#define EVENTS 40

static struct th_virtual_clock clock_of_log;
static struct th_log *events_log;

/* Of two schemas, over two days. */
static void make_events(void)
{
    struct memory_log_options options = {
        .partitions = 2, .bytes_max = 1 << 20, .clock = &clock_of_log.clock, .seed = 3};
    struct th_err err = {0};

    th_virtual_clock_init(&clock_of_log, INT64_C(1767225600000000));
    assert_int_equal(memory_log_new(&options, &events_log, &err), TH_OK);
    for (int i = 0; i < EVENTS; i++) {
        TH_AUTO(th_buf) struct th_buf value = {0};
        struct event event = {.type = i % 2 ? EVENT_TENANT_CREATED : EVENT_KEY_ISSUED};
        *event_meta_mut(&event) = (struct meta){.tenant = TH_STR("pratham"), .actor = TH_STR("t")};
        assert_int_equal(event_encode(&event, &value), TH_OK);
        struct log_output output = {.topic = TOPIC_SEND_EVENTS,
                                    .part = i % 2,
                                    .key = TH_STR("t/x"),
                                    .value = th_buf_str(&value)};
        assert_int_equal(th_log_append(events_log, &output, 1, NULL, &err), TH_OK);
        th_virtual_clock_advance(&clock_of_log, TH_US_PER_DAY / 20);
    }
}

static enum th_code export(const char *dir, struct th_err *err) {
    TH_AUTO(archive_avro) struct archive_avro *avro = NULL; struct archive_plan plan = {0};
    struct archive_taken taken;

    TH_TRY(archive_avro_open(dir, th_log_id(events_log), AVRO_CODEC_DEFLATE, &avro, err));
    struct archive_sink sink = archive_avro_sink(avro);
    return archive_take_into(events_log, &sink, &plan, &taken, err);
}

/* What a run that failed left, and the next one completed, are the files of one without trouble. */
static void export_badly(void *unused)
{
    struct th_err err = {0};
    char clean[100];
    char command[300];

    (void)unused;
    archive_world_init(&world);
    snprintf(clean, sizeof clean, "%s/clean", world.dir);
    fail_arm();
    enum th_code code = export(world.archive, &err);
    fail_disarm();
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    assert_int_equal(export(world.archive, &err), TH_OK);
    assert_int_equal(export(clean, &err), TH_OK);
    snprintf(command, sizeof command, "diff -r '%s' '%s'", world.archive, clean);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): folders that we made */
    archive_world_fini(&world);
}

static void test_exporting(void **unused)
{
    (void)unused;
    make_events();
    fail_each_stride("events are exported", FAIL_ALL, fail_stride(3, 5), export_badly, NULL);
    th_log_close(events_log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),   cmocka_unit_test(test_continuing),
        cmocka_unit_test(test_reading),   cmocka_unit_test(test_verifying),
        cmocka_unit_test(test_exporting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
