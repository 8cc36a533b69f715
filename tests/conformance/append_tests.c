/* What is appended lies where it should, once, in order, and without gaps. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/conformance/fixture.h"

static void test_appended_records_come_back(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_output outputs[] = {
        lane_output(2, TH_STR("first")),
        lane_output(0, TH_STR("elsewhere")),
        lane_output(2, TH_STR("second")),
        {.topic = TOPIC_CONFIG, .part = -1, .key = TH_STR("t"), .value = TH_STR("reference")},
    };
    struct log_place places[TH_LEN(outputs)];

    SUCCEEDS(f, th_log_append(f->log, outputs, TH_LEN(outputs), places, &f->err));
    assert_int_equal(places[0].topic, TOPIC_DISPATCH_ATTEMPTS);
    assert_int_equal(places[0].part, 2);
    assert_nth(f, places[0].offset, 0);
    assert_int_equal(places[1].part, 0);
    assert_nth(f, places[1].offset, 0);
    assert_int_equal(places[2].part, 2);
    assert_nth(f, places[2].offset, 1);
    assert_int_equal(places[3].topic, TOPIC_CONFIG);
    assert_int_equal(places[3].part, 0);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 2, (const char *const[]){"first", "second"}, 2);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"elsewhere"}, 1);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 1, NULL, 0);
    assert_holds(f, TOPIC_CONFIG, 0, (const char *const[]){"reference"}, 1);

    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 2);
    assert_str_equal(all.at[0].key, TH_STR("t/lane"));
    assert_true(all.at[0].at_us > 0);
}

static void test_what_was_acknowledged_outlives_a_restart(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_output output = lane_output(0, TH_STR("kept"));
    char id[64];

    snprintf(id, sizeof id, "%s", th_log_id(f->log));
    assert_int_equal(strlen(id), 36);
    SUCCEEDS(f, th_log_append(f->log, &output, 1, NULL, &f->err));
    reopen(f);
    assert_string_equal(th_log_id(f->log), id);
    SUCCEEDS(f, th_log_append(f->log, &output, 1, NULL, &f->err));
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"kept", "kept"}, 2);
}

/* Kafka's own vectors: UtilsTest.testMurmur2. */
static void test_a_key_lies_where_kafka_puts_it(void **state)
{
    static const struct {
        const char *key;
        int32_t murmur2;
    } vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    struct fixture *f = FIXTURE(state);

    assert_int_equal(th_log_partitions(f->log, TOPIC_SEND_REQUESTS), CONFORMANCE_PARTITIONS);
    assert_int_equal(th_log_partitions(f->log, TOPIC_CONSENT_EVENTS), 1);
    for (size_t i = 0; i < TH_LEN(vectors); i++) {
        struct log_output output = keyed_output(th_str(vectors[i].key), TH_STR("v"));
        int part = (int)(((uint32_t)vectors[i].murmur2 & INT32_MAX) % CONFORMANCE_PARTITIONS);
        struct log_place place;

        print_message("  %s lies on %d\n", vectors[i].key, part);
        SUCCEEDS(f, th_log_append(f->log, &output, 1, &place, &f->err));
        assert_int_equal(place.part, part);
        struct log_records all = read_all(f, TOPIC_SEND_REQUESTS, part);
        assert_str_equal(all.at[place.offset].key, th_str(vectors[i].key));
    }
}

static void test_what_is_not_allowed_leaves_nothing(void **state)
{
    static char much[LOG_RECORD_SIZE_MAX + 1];
    const struct {
        const char *says;
        struct log_output bad;
    } cases[] = {
        {"a key that is too long",
         {TOPIC_SEND_REQUESTS, -1, {much, LOG_KEY_SIZE_MAX + 1}, .value = TH_STR("v")}},
        {"key and value that are too large together",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), .value = {much, LOG_RECORD_SIZE_MAX}}},
        {"a lane's record without a partition",
         {TOPIC_DISPATCH_ATTEMPTS, -1, TH_STR("k"), .value = TH_STR("v")}},
        {"a lane's record beyond the partitions",
         {TOPIC_DISPATCH_ATTEMPTS, CONFORMANCE_PARTITIONS, TH_STR("k"), .value = TH_STR("v")}},
        {"a keyed record beyond the partitions",
         {TOPIC_SEND_REQUESTS, 1000, TH_STR("k"), .value = TH_STR("v")}},
        {"a reference record with a partition",
         {TOPIC_CONFIG, 1, TH_STR("k"), .value = TH_STR("v")}},
        {"a topic that there is not",
         {(enum topic)TOPIC_COUNT, -1, TH_STR("k"), .value = TH_STR("v")}},
    };
    struct fixture *f = FIXTURE(state);

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        const struct log_output outputs[] = {lane_output(0, TH_STR("good")), cases[i].bad};
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_log_append(f->log, outputs, 2, NULL, &f->err), TH_INVALID);
    }
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, NULL, 0);
}

static void test_the_largest_and_the_smallest_record(void **state)
{
    struct fixture *f = FIXTURE(state);
    char *much = take(f, 1, LOG_RECORD_SIZE_MAX);

    for (size_t i = 0; i < LOG_RECORD_SIZE_MAX; i++)
        much[i] = (char)(i * 2654435761u >> 13);
    const struct log_output outputs[] = {
        {TOPIC_DISPATCH_ATTEMPTS,
         0,
         {much, LOG_KEY_SIZE_MAX},
         .value = {much, LOG_RECORD_SIZE_MAX - LOG_KEY_SIZE_MAX}},
        {TOPIC_DISPATCH_ATTEMPTS, 0, {NULL, 0}, .value = {NULL, 0}},
        {TOPIC_DISPATCH_ATTEMPTS, 0, TH_STR("a\0b"), .value = TH_STR("\0")},
    };
    SUCCEEDS(f, th_log_append(f->log, outputs, TH_LEN(outputs), NULL, &f->err));
    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0);
    assert_int_equal(all.n, TH_LEN(outputs));
    for (size_t i = 0; i < all.n; i++) {
        assert_str_equal(all.at[i].key, outputs[i].key);
        assert_str_equal(all.at[i].value, outputs[i].value);
    }
}

/* --- many writers ----------------------------------------------------------------------- */

#define WRITERS       4
#define WRITER_ROUNDS 60
#define WRITER_RUN    3 /* records of a round, one after another in one partition */

#define OTHERS_SEEN_MS 251 /* after that a reader has what others committed (log.h) */

/* "WRITER ROUND PLACE" is a record's value. Writers 0 and 1 append, the others commit as slots. */
struct writer {
    struct th_log *log;
    int number;
    struct th_err err;
    bool is_failed;
};

static atomic_int writers_left;

static enum th_code write_round(struct writer *w, struct th_log_session *session, int round)
{
    char values[WRITER_RUN][32];
    struct log_output outputs[WRITER_RUN];
    struct log_cursor cursor = {.next = {TOPIC_SEND_OUTCOMES, w->number, round}};

    for (int i = 0; i < WRITER_RUN; i++) {
        snprintf(values[i], sizeof values[i], "%d %d %d", w->number, round, i);
        outputs[i] = lane_output((w->number + round) % 2, th_str(values[i]));
    }
    if (!session)
        return th_log_append(w->log, outputs, WRITER_RUN, NULL, &w->err);

    const struct log_txn txn = {outputs, WRITER_RUN, &cursor, 1, NULL};
    bool is_answered;
    for (;;) {
        TH_TRY(th_log_commit_start(session, &txn, &w->err));
        enum log_commit outcome = finish(session, NULL, &is_answered, &w->err);
        if (outcome != LOG_ABORTED)
            return outcome == LOG_COMMITTED ? TH_OK : TH_FENCED;
    }
}

static enum th_code write_rounds(struct writer *w)
{
    struct th_log_session *session = NULL;
    enum th_code code = TH_OK;

    if (w->number >= 2)
        TH_TRY(th_log_session_open(w->log, LOG_APP_DISPATCH, w->number, &session, &w->err));
    for (int round = 0; round < WRITER_ROUNDS && code == TH_OK; round++)
        code = write_round(w, session, round);
    th_log_session_close(session, true);
    return code;
}

static void *run_writer(void *arg)
{
    struct writer *w = arg;

    w->is_failed = write_rounds(w) != TH_OK;
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

/* The next record of a partition must continue the run that its writer has begun, or begin the
 * writer's next round: no hole, no repetition, nobody else's record within a run. */
struct order {
    bool leaves_numbers_out;
    int64_t next_offset;
    int next_round[WRITERS];
    int writer;
    int next_in_run; /* 0: between runs */
};

static void check_next(struct order *order, const struct log_record *record)
{
    int writer, round, place;
    char text[32];

    assert_true(order->leaves_numbers_out ? record->place.offset >= order->next_offset
                                          : record->place.offset == order->next_offset);
    order->next_offset = record->place.offset + 1;
    assert_true(record->value.n < sizeof text);
    snprintf(text, sizeof text, "%.*s", TH_ARG(record->value));
    assert_int_equal(sscanf(text, "%d %d %d", &writer, &round, &place), 3);
    assert_int_equal(place, order->next_in_run);
    if (order->next_in_run)
        assert_int_equal(writer, order->writer);
    assert_int_equal(round, order->next_round[writer]);
    order->writer = writer;
    order->next_in_run = (place + 1) % WRITER_RUN;
    if (order->next_in_run == 0)
        order->next_round[writer] += 2; /* every other round goes to the other partition */
}

/* All that is there now; returns how many. */
static size_t check_all(struct fixture *f, struct th_log_reader *reader, struct order orders[2])
{
    struct log_records records;
    size_t n = 0;

    do {
        SUCCEEDS(f, th_log_reader_read(reader, 4096, &f->arena, &records, &f->err));
        for (size_t i = 0; i < records.n; i++)
            check_next(&orders[records.at[i].place.part], &records.at[i]);
        n += records.n;
        th_arena_reset(&f->arena);
    } while (records.n);
    return n;
}

static void test_writers_at_once_leave_no_gap(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_place from[] = {{TOPIC_DISPATCH_ATTEMPTS, 0, 0}, {TOPIC_DISPATCH_ATTEMPTS, 1, 0}};
    struct order orders[2] = {{.leaves_numbers_out = f->with->leaves_numbers_out},
                              {.leaves_numbers_out = f->with->leaves_numbers_out}};
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct th_log *other = NULL;
    struct th_log_reader *reader;
    size_t n = 0;

    if (f->with->open_other)
        SUCCEEDS(f, f->with->open_other(f->with->arg, &other, &f->err));
    SUCCEEDS(f, th_log_reader_open(f->log, from, TH_LEN(from), &reader, &f->err));
    atomic_store(&writers_left, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = other && i % 2 ? other : f->log, .number = i};
        for (int part = 0; part < 2; part++)
            orders[part].next_round[i] = (i + part) % 2;
        assert_int_equal(pthread_create(&threads[i], NULL, run_writer, &writers[i]), 0);
    }
    while (atomic_load(&writers_left) > 0)
        n += check_all(f, reader, orders);
    poll(NULL, 0, OTHERS_SEEN_MS);
    n += check_all(f, reader, orders);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        if (writers[i].is_failed)
            fail_msg("writer %d: %s", i, writers[i].err.text);
    }
    assert_int_equal(n, WRITERS * WRITER_ROUNDS * WRITER_RUN);
    th_log_reader_close(reader);
    if (other)
        f->with->close(f->with->arg, other);
}

const struct CMUnitTest conformance_append_tests[] = {
    cmocka_unit_test(test_appended_records_come_back),
    cmocka_unit_test(test_what_was_acknowledged_outlives_a_restart),
    cmocka_unit_test(test_a_key_lies_where_kafka_puts_it),
    cmocka_unit_test(test_what_is_not_allowed_leaves_nothing),
    cmocka_unit_test(test_the_largest_and_the_smallest_record),
    cmocka_unit_test(test_writers_at_once_leave_no_gap),
};
const size_t conformance_append_tests_n = TH_LEN(conformance_append_tests);
