/* An archive on a disk that fills up, that fails, and without memory: what the manifest names is
 * there and whole, and the next writer goes on from it to the same archive. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "common/eventlog/archive/archive_log.h"
#include "common/eventlog/archive/archive_verify.h"
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

/* What is missing of two partitions; how far each is, is the archive's own word. */
static enum th_code archive_rest(struct th_err *err)
{
    TH_AUTO(archive_writer) struct archive_writer *writer = NULL;

    TH_TRY(archive_writer_open(world.archive, &world.origin, &writer, err));
    for (int part = 0; part < 2; part++) {
        int64_t next =
            archive_manifest_next(archive_writer_manifest(writer), TOPIC_SEND_EVENTS, part);
        size_t from = 0;
        while (from < RECORDS && records_of[part][from].place.offset < next)
            from++;
        TH_TRY(archive_writer_begin(writer, TOPIC_SEND_EVENTS, part, 0, err));
        TH_TRY(archive_writer_add(writer, &records_of[part][from], RECORDS - from, err));
        TH_TRY(archive_writer_end(writer, err));
    }
    return archive_writer_publish(writer, err);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_verifying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
