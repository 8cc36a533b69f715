/* Reading over segments: a reader far behind misses nothing, an empty read of a large log touches
 * few pages, damage and holes are found. */
#include "tests/unit/test.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/crc32c.h"
#include "connectors/postgres/pg_log_internal.h"
#include "tests/integration/log_cluster.h"

#define PARTITIONS 4

static struct log_cluster logs;
static struct th_log *log_;
static struct th_arena arena;
static struct th_err err;

static void open_log(bool has_no_ring)
{
    struct pg_log_config config = log_cluster_config(&logs);

    config.has_no_ring = has_no_ring;
    config.is_guest = true; /* nothing happens that the test does not do */
    config.probe_ms = 3600 * 1000;
    if (pg_log_open(&config, &log_, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static void append(int part, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, number);
    const struct log_output output = {TOPIC_DISPATCH_ATTEMPTS, part, TH_STR("pratham/1"),
                                      .value = {text, (size_t)size}};

    if (th_log_append(log_, &output, 1, NULL, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static void rotate(void)
{
    if (pg_log_rotate(log_, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static struct th_log_reader *open_reader(int part, int64_t offset)
{
    struct th_log_reader *reader = NULL;

    assert_int_equal(th_log_reader_open(log_,
                                        &(struct log_place){TOPIC_DISPATCH_ATTEMPTS, part, offset},
                                        1, &reader, &err),
                     TH_OK);
    return reader;
}

/* Read on until there is nothing; each record holds its own offset. Returns the offset after. */
static int64_t read_on(struct th_log_reader *reader, int64_t offset, size_t bytes_max)
{
    struct log_records records;
    int64_t number;

    do {
        th_arena_reset(&arena);
        if (th_log_reader_read(reader, bytes_max, &arena, &records, &err) != TH_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < records.n; i++, offset++) {
            assert_int_equal(records.at[i].place.offset, offset);
            assert_true(th_str_int(records.at[i].value, 0, INT64_MAX, &number));
            assert_int_equal(number, offset);
        }
    } while (records.n > 0);
    return offset;
}

/* --- rotations -----------------------------------------------------------------------------------
 */

static void test_a_reader_three_rotations_behind(void **unused)
{
    (void)unused;
    for (int has_no_ring = 0; has_no_ring < 2; has_no_ring++) {
        log_cluster_make(&logs, PARTITIONS);
        open_log(has_no_ring);
        int64_t n = 0;
        append(0, n++);
        struct th_log_reader *reader = open_reader(0, 0);
        struct th_log_reader *idle = open_reader(1, 0);
        assert_int_equal(read_on(reader, 0, 1 << 20), 1);
        assert_int_equal(read_on(idle, 0, 1 << 20), 0);

        print_message("  three rotations, records in each segment\n");
        for (int i = 0; i < 3; i++) {
            append(0, n++);
            append(0, n++);
            rotate();
        }
        assert_int_equal(read_on(reader, 1, 1 << 20), n);
        print_message("  two rotations without any record, then one\n");
        rotate();
        rotate();
        append(0, n++);
        assert_int_equal(read_on(reader, n - 1, 1 << 20), n);
        print_message("  the first record of a partition comes in a late segment\n");
        append(1, 0);
        assert_int_equal(read_on(idle, 0, 1 << 20), 1);
        print_message("  readers that begin anywhere, also beyond the end\n");
        for (int64_t from = 0; from <= n; from++) {
            struct th_log_reader *late = open_reader(0, from);
            assert_int_equal(read_on(late, from, 1), n);
            th_log_reader_close(late);
        }
        struct th_log_reader *beyond = open_reader(0, n + 3);
        assert_int_equal(read_on(beyond, n + 3, 1), n + 3);
        for (int i = 0; i < 5; i++) {
            append(0, n++);
            if (i == 1)
                rotate();
        }
        assert_int_equal(read_on(beyond, n - 2, 1), n);
        th_log_reader_close(beyond);
        th_log_reader_close(reader);
        th_log_reader_close(idle);
        th_log_close(log_);
    }
}

#define READERS 3

struct writer {
    pthread_t thread;
    atomic_bool is_over;
    int64_t n;
};

static void *run_writer(void *argument)
{
    struct writer *writer = argument;

    while (!atomic_load(&writer->is_over))
        append(0, writer->n++);
    return NULL;
}

static void test_rotation_under_load(void **unused)
{
    (void)unused;
    struct writer writer = {.n = 0};
    struct th_log_reader *readers[READERS];
    int64_t at[READERS] = {0};

    log_cluster_make(&logs, PARTITIONS);
    open_log(false);
    for (size_t i = 0; i < READERS; i++)
        readers[i] = open_reader(0, 0);
    assert_int_equal(pthread_create(&writer.thread, NULL, run_writer, &writer), 0);
    for (int i = 1; i <= 12; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        rotate();
        at[0] = read_on(readers[0], at[0], 1 << 20);
        if (i % 4 == 0) /* up to three rotations behind */
            at[1] = read_on(readers[1], at[1], 1000);
    }
    atomic_store(&writer.is_over, true);
    pthread_join(writer.thread, NULL);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(read_on(readers[i], at[i], 1 << 20), writer.n);
        th_log_reader_close(readers[i]);
    }
    print_message("  %" PRId64 " records, 12 rotations\n", writer.n);
    assert_true(writer.n > 100);
    th_log_close(log_);
}

/* --- a large log ------------------------------------------------------------------------ */

#define LARGE_BATCHES 350000 /* in each of three segments, over four partitions */

/* Batches of one record each: time 0, no key, the value "x". */
static const char tiny[] = {0, 0, 0, 0, 1, 'x'};

static void fill_segment(int seg, int64_t from)
{
    static const struct pg_statement sql_fill = {
        "INSERT INTO eventlog.batch (seg, topic_id, part, base_offset, n, codec, raw_len, crc32c,"
        " payload)"
        " SELECT $1::int4, $2::int2, p, $3::int8 + i, 1, 0, 6, $4::int4, $5::bytea"
        " FROM generate_series(0, 3) p, generate_series(0, $6::int8 / 4 - 1) i",
    };
    struct pg_params params = {0};
    struct th_str payload = {tiny, sizeof tiny};

    pg_add_int4(&params, seg);
    pg_add_int2(&params, TOPIC_DISPATCH_ATTEMPTS);
    pg_add_int8(&params, from);
    pg_add_int4(&params, (int32_t)crc32c(payload));
    pg_add_bytes(&params, payload);
    pg_add_int8(&params, LARGE_BATCHES);
    log_cluster_admin(&logs, &sql_fill, &params);
    pg_params_fini(&params);
}

/* The whole number behind the first occurrence of a name in a plan. */
static int64_t number_after(const char *plan, const char *name)
{
    const char *at = strstr(plan, name);

    if (!at) {
        fail_msg("no %s in %s", name, plan);
        return -1;
    }
    return strtoll(at + strlen(name), NULL, 10);
}

/* Explain the very statement that readers execute, with its generic plan, for four partitions. */
static int64_t buffers_of_read(int64_t next)
{
    struct pg *pg = NULL;
    char sql[2048];

    if (pg_open(&(struct pg_config){.conninfo = logs.conninfo, .is_generic_plan = true}, &pg,
                &err) != TH_OK)
        fail_msg("%s", err.text);
    snprintf(sql, sizeof sql, "PREPARE read AS %s", pg_sql_fetch.sql);
    assert_int_equal(pg_run(pg, sql, &err), TH_OK);
    snprintf(sql, sizeof sql,
             "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE read('{0,1,2,3}', '{%d,%d,%d,%d}',"
             " '{0,1,2,3}', '{3,3,3,3}', '{%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
             "}', 500000, 256)",
             TOPIC_DISPATCH_ATTEMPTS, TOPIC_DISPATCH_ATTEMPTS, TOPIC_DISPATCH_ATTEMPTS,
             TOPIC_DISPATCH_ATTEMPTS, next, next, next, next);
    PGresult *result = PQexec(pg_conn(pg), sql);
    const char *plan = PQgetvalue(result, 0, 0);
    int64_t buffers = number_after(plan, "\"Shared Hit Blocks\": ") +
                      number_after(plan, "\"Shared Read Blocks\": ");
    PQclear(result);
    pg_close(pg);
    return buffers;
}

static void test_a_tail_read_of_a_million_batches(void **unused)
{
    (void)unused;
    static const struct pg_statement sql_analyze = {"ANALYZE eventlog.batch"};
    int64_t end = 0;

    log_cluster_make(&logs, PARTITIONS);
    open_log(true);
    for (int seg = 1; seg <= 3; seg++) {
        if (seg > 1)
            rotate();
        fill_segment(seg, end);
        end += LARGE_BATCHES / PARTITIONS;
    }
    int64_t stored;
    assert_int_equal(th_log_end(log_, TOPIC_DISPATCH_ATTEMPTS, 2, &stored, &err), TH_OK);
    assert_int_equal(stored, end);
    for (int analyzed = 0; analyzed < 2; analyzed++) {
        int64_t buffers = buffers_of_read(end);
        print_message("  %" PRId64 " batches stored, statistics %s: an empty read touches %" PRId64
                      " buffers for 4 partitions\n",
                      end * PARTITIONS, analyzed ? "fresh" : "missing", buffers);
        assert_true(end * PARTITIONS >= 1000000);
        assert_true(buffers <= INT64_C(20) * PARTITIONS);
        log_cluster_admin(&logs, &sql_analyze, NULL);
    }

    print_message("  what comes then is read, by a reader at the end and by one from the middle\n");
    struct th_log_reader *tail = open_reader(1, end);
    struct th_log_reader *middle = open_reader(1, end - 1000);
    struct log_records records;
    assert_int_equal(th_log_reader_read(tail, 1000, &arena, &records, &err), TH_OK);
    assert_int_equal(records.n, 0);
    append(1, end);
    assert_int_equal(read_on(tail, end, 1000), end + 1);
    int64_t n = 0;
    do {
        th_arena_reset(&arena);
        assert_int_equal(th_log_reader_read(middle, 1 << 20, &arena, &records, &err), TH_OK);
        n += (int64_t)records.n;
    } while (records.n > 0);
    assert_int_equal(n, 1001);
    th_log_reader_close(tail);
    th_log_reader_close(middle);
    th_log_close(log_);
}

/* --- damage ----------------------------------------------------------------------------- */

static void damage(const char *says, const struct pg_statement *statement, const char *expected,
                   int64_t read_max)
{
    struct log_records records;

    print_message("  %s\n", says);
    log_cluster_make(&logs, PARTITIONS);
    open_log(true);
    for (int i = 0; i < 3; i++)
        append(0, i);
    rotate();
    for (int i = 3; i < 6; i++)
        append(0, i);
    log_cluster_admin(&logs, statement, NULL);

    struct th_log_reader *reader = open_reader(0, 0);
    enum th_code code;
    int64_t read = 0;
    do { /* what lies before the damage may still be handed out */
        th_arena_reset(&arena);
        code = th_log_reader_read(reader, 1, &arena, &records, &err);
        if (code == TH_OK && records.n == 0)
            fail_msg("the damage was not seen");
        read += code == TH_OK ? (int64_t)records.n : 0;
    } while (code == TH_OK);
    assert_int_equal(code, TH_CORRUPT);
    if (!strstr(err.text, expected))
        fail_msg("%s", err.text);
    assert_true(read <= read_max);
    assert_int_equal(th_log_reader_read(reader, 1, &arena, &records, &err), TH_CORRUPT);
    th_log_reader_close(reader);
    th_log_close(log_);
}

static void test_damage_stops_the_reader(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct pg_statement statement;
        const char *expected;
        int64_t read_max; /* records that may come before it */
    } cases[] = {
        {"one bit of a payload",
         {"UPDATE eventlog.batch SET payload = set_byte(payload, 4, get_byte(payload, 4) # 1)"
          " WHERE base_offset = 4"},
         "dispatch.attempts/0: batch at offset 4: checksum",
         4},
        {"a payload cut short",
         {"UPDATE eventlog.batch SET payload = substr(payload, 1, 5) WHERE base_offset = 1"},
         "offset 1: checksum",
         1},
        {"a count that is too large",
         {"UPDATE eventlog.batch SET n = 2 WHERE base_offset = 5"},
         "offset 5 is damaged",
         6},
        {"a batch that is gone",
         {"DELETE FROM eventlog.batch WHERE base_offset = 1"},
         "offset 1 is missing",
         1},
        {"the last batch of a segment is gone",
         {"DELETE FROM eventlog.batch WHERE base_offset = 2"},
         "offset 2 is missing",
         2},
        {"the first batch of a segment is gone",
         {"DELETE FROM eventlog.batch WHERE base_offset = 3"},
         "offset 3 is missing",
         3},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++)
        damage(cases[i].says, &cases[i].statement, cases[i].expected, cases[i].read_max);
}

/* --- the ring --------------------------------------------------------------------------- */

static void test_own_batches_come_from_memory(void **unused)
{
    (void)unused;
    log_cluster_make(&logs, PARTITIONS);
    open_log(false);
    struct th_log_reader *reader = open_reader(0, 0);
    int64_t n = 0;

    for (; n < 200; n++) {
        append(0, n);
        assert_int_equal(read_on(reader, n, 1000), n + 1);
    }
    struct pg_log_status status = pg_log_status(log_);
    assert_int_equal(status.appends, n);
    assert_int_equal(status.ring_batches, n);
    assert_int_equal(status.table_batches, 0);
    /* Of 400 reads, half of them empty: the first, and one for the notifier, which does not know
     * what it missed before it listened. */
    assert_in_range(status.probes, 1, 3);

    print_message("  a reader that begins before what the ring holds\n");
    th_log_reader_close(reader);
    th_log_close(log_); /* forgets everything */
    open_log(false);
    reader = open_reader(0, 0);
    for (; n < 210; n++)
        append(0, n);
    assert_int_equal(read_on(reader, 0, 1000), n);
    status = pg_log_status(log_);
    assert_true(status.table_batches >= 200);
    th_log_reader_close(reader);
    th_log_close(log_);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_three_rotations_behind),
        cmocka_unit_test(test_rotation_under_load),
        cmocka_unit_test(test_damage_stops_the_reader),
        cmocka_unit_test(test_own_batches_come_from_memory),
        cmocka_unit_test(test_a_tail_read_of_a_million_batches),
    };

    th_arena_init(&arena, (size_t)64 << 20);
    log_cluster_start(&logs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_cluster_stop(&logs);
    th_arena_fini(&arena);
    return failed;
}
