/* Readers get everything once, in order, from wherever they stand; listeners say when to look. */
#include <string.h>
#include <time.h>

#include "tests/conformance/fixture.h"

/* n records "PREFIX-i" in one call, so in one batch of the log if it has any. */
static void append_numbered(struct fixture *f, int part, const char *prefix, size_t n)
{
    struct log_output *outputs = take(f, n, sizeof *outputs);

    for (size_t i = 0; i < n; i++)
        outputs[i] = lane_output(part, numbered(f, prefix, i));
    SUCCEEDS(f, th_log_append(f->log, outputs, n, NULL, &f->err));
}

static struct th_log_reader *open_reader(struct fixture *f, int part, int64_t offset)
{
    struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, part, offset};
    struct th_log_reader *reader;

    SUCCEEDS(f, th_log_reader_open(f->log, &from, 1, &reader, &f->err));
    return reader;
}

static void test_a_reader_returns_what_is_new_and_no_more(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_reader *reader = open_reader(f, 0, 0);

    assert_int_equal(drain(f, reader, 1000).n, 0);
    append_numbered(f, 0, "a", 3);
    struct log_records some = drain(f, reader, 1000);
    assert_int_equal(some.n, 3);
    assert_int_equal(some.at[2].place.offset, 2);
    assert_int_equal(drain(f, reader, 1000).n, 0);
    append_numbered(f, 1, "another partition", 3);
    assert_int_equal(drain(f, reader, 1000).n, 0);
    append_numbered(f, 0, "b", 1);
    some = drain(f, reader, 1000);
    assert_int_equal(some.n, 1);
    assert_int_equal(some.at[0].place.offset, 3);
    assert_str_equal(some.at[0].value, TH_STR("b-0"));
    th_log_reader_close(reader);
}

static void test_reading_begins_inside_a_batch(void **state)
{
    struct fixture *f = FIXTURE(state);

    append_numbered(f, 0, "a", 10);
    append_numbered(f, 0, "b", 10);
    for (int64_t from = 0; from <= 20; from++) {
        struct th_log_reader *reader = open_reader(f, 0, from);
        struct log_records rest = drain(f, reader, 1000);

        assert_int_equal(rest.n, 20 - from);
        for (size_t i = 0; i < rest.n; i++) {
            size_t at = (size_t)from + i;
            assert_int_equal(rest.at[i].place.offset, at);
            assert_str_equal(rest.at[i].value, numbered(f, at < 10 ? "a" : "b", at % 10));
        }
        th_log_reader_close(reader);
    }
}

static void test_a_reader_stands_where_it_is_put(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_reader *reader = open_reader(f, 0, 0);

    append_numbered(f, 0, "a", 10);
    assert_int_equal(drain(f, reader, 1000).n, 10);
    th_log_reader_seek(reader, (struct log_place){TOPIC_DISPATCH_ATTEMPTS, 0, 4});
    struct log_records rest = drain(f, reader, 1000);
    assert_int_equal(rest.n, 6);
    assert_int_equal(rest.at[0].place.offset, 4);
    th_log_reader_seek(reader, (struct log_place){TOPIC_DISPATCH_ATTEMPTS, 0, 0});
    assert_int_equal(drain(f, reader, 1000).n, 10);
    th_log_reader_seek(reader, (struct log_place){TOPIC_DISPATCH_ATTEMPTS, 0, 9});
    assert_int_equal(drain(f, reader, 1000).n, 1);
    th_log_reader_close(reader);
}

static void test_a_place_beyond_the_end_waits_for_it(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_reader *reader = open_reader(f, 0, 3);

    append_numbered(f, 0, "a", 2);
    assert_int_equal(drain(f, reader, 1000).n, 0);
    append_numbered(f, 0, "b", 2);
    struct log_records rest = drain(f, reader, 1000);
    assert_int_equal(rest.n, 1);
    assert_str_equal(rest.at[0].value, TH_STR("b-1"));
    th_log_reader_close(reader);
}

static void test_reads_are_bounded_and_lose_nothing(void **state)
{
    static const size_t bounds[] = {1, 10, 100, 1000};
    struct fixture *f = FIXTURE(state);

    append_numbered(f, 0, "a", 50);
    append_numbered(f, 0, "b", 50);
    for (size_t b = 0; b < TH_LEN(bounds); b++) {
        struct th_log_reader *reader = open_reader(f, 0, 0);
        int64_t next = 0;

        print_message("  %zu bytes at a time\n", bounds[b]);
        while (next < 100) {
            struct log_records some;
            size_t bytes = 0;
            SUCCEEDS(f, th_log_reader_read(reader, bounds[b], &f->arena, &some, &f->err));
            assert_true(some.n > 0);
            for (size_t i = 0; i < some.n; i++, next++) {
                assert_int_equal(some.at[i].place.offset, next);
                bytes += some.at[i].key.n + some.at[i].value.n;
            }
            assert_true(some.n == 1 || bytes <= 2 * bounds[b]);
        }
        assert_int_equal(drain(f, reader, 1000).n, 0);
        th_log_reader_close(reader);
    }
}

static void test_a_full_partition_does_not_starve_another(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_place from[] = {{TOPIC_DISPATCH_ATTEMPTS, 0, 0},
                               {TOPIC_DISPATCH_ATTEMPTS, 1, 0},
                               {TOPIC_SEND_REQUESTS, 0, 0},
                               {TOPIC_DISPATCH_ATTEMPTS, 3, 0}};
    struct th_log_reader *reader;
    size_t seen[CONFORMANCE_PARTITIONS] = {0};
    size_t n = 0;

    append_numbered(f, 0, "much", 2000);
    append_numbered(f, 3, "more", 2000);
    append_numbered(f, 1, "little", 5);
    SUCCEEDS(f, th_log_reader_open(f->log, from, TH_LEN(from), &reader, &f->err));
    for (int i = 0; i < 16; i++) {
        struct log_records some;
        SUCCEEDS(f, th_log_reader_read(reader, 200, &f->arena, &some, &f->err));
        for (size_t k = 0; k < some.n; k++) {
            assert_int_equal(some.at[k].place.offset, seen[some.at[k].place.part]++);
            n++;
        }
    }
    assert_int_equal(seen[1], 5);
    assert_true(seen[0] > 0);
    assert_true(seen[3] > 0);
    assert_true(n < 4005); /* else the bound did nothing and this test proves nothing */
    assert_int_equal(n + drain(f, reader, 10000).n, 4005);
    th_log_reader_close(reader);
}

static void test_a_reader_that_fails_stands_where_it_stood(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_reader *reader = open_reader(f, 0, 0);
    struct log_records some = {.n = 77};
    struct th_arena small;

    append_numbered(f, 0, "a", 100);
    th_arena_init(&small, 2000);
    assert_int_equal(th_log_reader_read(reader, 100000, &small, &some, &f->err), TH_NOMEM);
    assert_int_equal(some.n, 77);
    th_arena_fini(&small);
    some = drain(f, reader, 100000);
    assert_int_equal(some.n, 100);
    assert_int_equal(some.at[0].place.offset, 0);
    th_log_reader_close(reader);
}

static void test_a_reader_of_nothing_or_of_one_thing_twice(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_place twice[] = {{TOPIC_CONFIG, 0, 0}, {TOPIC_CONFIG, 0, 5}};
    struct log_place absent = {TOPIC_CONFIG, 1, 0};
    struct log_place negative = {TOPIC_CONFIG, 0, -1};
    struct th_log_reader *reader;

    assert_int_equal(th_log_reader_open(f->log, twice, 0, &reader, &f->err), TH_INVALID);
    assert_int_equal(th_log_reader_open(f->log, twice, 2, &reader, &f->err), TH_INVALID);
    assert_int_equal(th_log_reader_open(f->log, &absent, 1, &reader, &f->err), TH_INVALID);
    assert_int_equal(th_log_reader_open(f->log, &negative, 1, &reader, &f->err), TH_INVALID);
}

static void test_a_reader_survives_many_rounds(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_reader *reader = open_reader(f, 0, 0);
    int64_t next = 0;

    for (size_t round = 0; round < 50; round++) {
        append_numbered(f, 0, "r", round % 7);
        struct log_records some = drain(f, reader, 64);
        for (size_t i = 0; i < some.n; i++, next++)
            assert_int_equal(some.at[i].place.offset, next);
        assert_int_equal(some.n, round % 7);
    }
    th_log_reader_close(reader);
}

/* --- listeners -------------------------------------------------------------------------- */

#define HINT_MS 5000 /* a hint comes in milliseconds; this is when we stop hoping */

static struct th_log_listener *open_listener(struct fixture *f, struct th_log *log,
                                             enum topic topic)
{
    struct th_log_listener *listener;

    SUCCEEDS(f, th_log_listener_open(log, UINT32_C(1) << topic, &listener, &f->err));
    th_log_listener_clear(listener);
    assert_false(is_readable(th_log_listener_fd(listener), 0));
    return listener;
}

static void assert_woken(struct th_log_listener *listener)
{
    assert_true(is_readable(th_log_listener_fd(listener), HINT_MS));
    th_log_listener_clear(listener);
    assert_false(is_readable(th_log_listener_fd(listener), 0));
}

static void test_a_listener_wakes_for_its_own_process(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_listener *attempts = open_listener(f, f->log, TOPIC_DISPATCH_ATTEMPTS);
    struct th_log_listener *requests = open_listener(f, f->log, TOPIC_SEND_REQUESTS);
    struct th_log_session *session = open_session(f, f->log);
    struct log_output output = keyed_output(TH_STR("t/s"), TH_STR("v"));
    struct log_claim claim = {.tenant = TH_STR("t"),
                              .route = TH_STR("r"),
                              .key = TH_STR("k"),
                              .status = 202,
                              .outputs = &output,
                              .outputs_n = 1};

    append_numbered(f, 0, "append", 1);
    assert_woken(attempts);
    assert_int_equal(commit_small(f, session, "commit", 1, NULL), LOG_COMMITTED);
    assert_woken(attempts);
    SUCCEEDS(f, th_log_ingest(f->log, &claim, 1, &f->arena, &f->err));
    assert_woken(requests);
    th_log_session_close(session, true);
    th_log_listener_close(attempts);
    th_log_listener_close(requests);
}

static void test_a_listener_of_some_partitions(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_listener *listener = open_listener(f, f->log, TOPIC_DISPATCH_ATTEMPTS);

    th_log_listener_narrow(listener, 1, 2);
    append_numbered(f, 1, "mine", 1);
    assert_woken(listener);
    append_numbered(f, 0, "another's", 1);
    if (is_readable(th_log_listener_fd(listener), 0)) { /* once, when it begins to hear others */
        th_log_listener_clear(listener);
        append_numbered(f, 0, "another's", 1);
    }
    if (f->with->open_other) /* the memory log hints at everything */
        assert_false(is_readable(th_log_listener_fd(listener), 0));
    th_log_listener_close(listener);
}

static void test_a_listener_wakes_for_another_process(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log *other;

    if (!f->with->open_other) {
        leave_out(); /* no other process can see this log */
        return;
    }
    SUCCEEDS(f, f->with->open_other(f->with->arg, &other, &f->err));
    struct th_log_listener *listener = open_listener(f, other, TOPIC_DISPATCH_ATTEMPTS);
    append_numbered(f, 0, "a", 1);
    assert_woken(listener);
    append_numbered(f, 0, "b", 1);
    assert_woken(listener);
    th_log_listener_close(listener);
    f->with->close(f->with->arg, other);
}

const struct CMUnitTest conformance_read_tests[] = {
    cmocka_unit_test(test_a_reader_returns_what_is_new_and_no_more),
    cmocka_unit_test(test_reading_begins_inside_a_batch),
    cmocka_unit_test(test_a_reader_stands_where_it_is_put),
    cmocka_unit_test(test_a_place_beyond_the_end_waits_for_it),
    cmocka_unit_test(test_reads_are_bounded_and_lose_nothing),
    cmocka_unit_test(test_a_full_partition_does_not_starve_another),
    cmocka_unit_test(test_a_reader_that_fails_stands_where_it_stood),
    cmocka_unit_test(test_a_reader_of_nothing_or_of_one_thing_twice),
    cmocka_unit_test(test_a_reader_survives_many_rounds),
    cmocka_unit_test(test_a_listener_wakes_for_its_own_process),
    cmocka_unit_test(test_a_listener_of_some_partitions),
    cmocka_unit_test(test_a_listener_wakes_for_another_process),
};
const size_t conformance_read_tests_n = TH_LEN(conformance_read_tests);
