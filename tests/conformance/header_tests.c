/* Headers come back as they were written, whichever way a record took, and count as the rest of it
 * does. */
#include <string.h>

#include "common/eventlog/headers.h"
#include "tests/conformance/fixture.h"

#define HEADERS_MAX 6

struct list {
    const char *says;
    struct log_header at[HEADERS_MAX];
    size_t n;
};

static const struct list lists[] = {
    {.says = "none"},
    {"one", {{.name = {"trace", 5}, .value = {"00-4bf92f35-01", 14}}}, 1},
    {"several, in the order they were given",
     {{.name = {"z", 1}, .value = {"1", 1}},
      {.name = {"a", 1}, .value = {"2", 1}},
      {.name = {"m", 1}, .value = {"3", 1}}},
     3},
    {"null, which is not empty",
     {{.name = {"null", 4}, .is_null = true}, {.name = {"empty", 5}, .value = {"", 0}}},
     2},
    {"a name three times, with different values",
     {{.name = {"hop", 3}, .value = {"first", 5}},
      {.name = {"other", 5}, .value = {"between", 7}},
      {.name = {"hop", 3}, .value = {"second", 6}},
      {.name = {"hop", 3}, .is_null = true}},
     4},
    {"one without a name", {{.name = {"", 0}, .value = {"nameless", 8}}}, 1},
    {"bytes of any kind",
     {{.name = {"\xe0\xa4\xa8\xe0\xa4\xbe\xe0\xa4\xae", 9}, .value = {"\0\xff\xfe\0", 4}}},
     1},
    {"what Kafka's driver calls its own",
     {{.name = {"telehub.at_us", 13}, .value = {"\0\0\0\0\0\0\0\1", 8}},
      {.name = {"telehub.at_us", 13}, .value = {"x", 1}},
      {.name = {"last", 4}, .value = {"y", 1}}},
     3},
    {"ended by what Kafka's driver calls its own",
     {{.name = {"telehub.at_us", 13}, .value = {"\0\0\0\0\0\0\0\1", 8}}},
     1},
};

/* Encoded, in the fixture's arena. */
static struct th_str encoded(struct fixture *f, const struct log_header *headers, size_t n)
{
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct th_str copy;

    for (size_t i = 0; i < n; i++)
        log_headers_add(&buf, &headers[i]);
    SUCCEEDS(f, th_buf_status(&buf));
    SUCCEEDS(f, th_arena_copy(&f->arena, th_buf_str(&buf), &copy));
    return copy;
}

/* A record for each list, on lane partition 0. */
static struct log_output *outputs_of_lists(struct fixture *f)
{
    struct log_output *outputs = take(f, TH_LEN(lists), sizeof *outputs);

    for (size_t i = 0; i < TH_LEN(lists); i++) {
        outputs[i] = lane_output(0, numbered(f, "value", i));
        outputs[i].headers = encoded(f, lists[i].at, lists[i].n);
    }
    return outputs;
}

static void assert_list(struct th_str headers, const struct list *list)
{
    struct log_header is;

    for (size_t i = 0; i < list->n; i++) {
        const struct log_header *was = &list->at[i];
        assert_true(log_headers_next(&headers, &is));
        assert_str_equal(is.name, was->name);
        assert_str_equal(is.value, was->value);
        assert_int_equal(is.is_null, was->is_null);
    }
    assert_int_equal(headers.n, 0);
}

/* The partition holds the lists' records once, or several times one after the other. */
static void assert_lists(struct fixture *f, const struct log_output *outputs, size_t times)
{
    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0);

    assert_int_equal(all.n, times * TH_LEN(lists));
    for (size_t i = 0; i < all.n; i++) {
        const struct list *list = &lists[i % TH_LEN(lists)];
        const struct log_output *was = &outputs[i % TH_LEN(lists)];
        if (i < TH_LEN(lists))
            print_message("  %s\n", list->says);
        assert_str_equal(all.at[i].key, was->key);
        assert_str_equal(all.at[i].value, was->value);
        assert_str_equal(all.at[i].headers, was->headers);
        assert_list(all.at[i].headers, list);
    }
}

static void test_headers_come_back_as_they_were_written(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_output *outputs = outputs_of_lists(f);

    SUCCEEDS(f, th_log_append(f->log, outputs, TH_LEN(lists), NULL, &f->err));
    assert_lists(f, outputs, 1);
    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0);
    for (size_t i = 0; i < all.n; i++)
        assert_true(all.at[i].at_us > INT64_C(1700000000000000)); /* no header says when */
    reopen(f);
    assert_lists(f, outputs, 1);
}

/* By a slot's transaction, by one that keeps other times, by requests. */
static void test_headers_come_back_whichever_way_they_went(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct log_output *outputs = outputs_of_lists(f);
    struct th_log_session *session = open_session(f, f->log);
    const struct log_cursor cursor = {.next = {TOPIC_SEND_REQUESTS, 0, 1}};
    struct log_txn txn = {outputs, TH_LEN(lists), &cursor, 1, NULL};
    int64_t times[TH_LEN(lists)];
    struct log_claim claims[] = {
        {.outputs = outputs, .outputs_n = 3, .status = 202},
        {.tenant = TH_STR("ngo"),
         .route = TH_STR("POST /sends"),
         .key = TH_STR("k"),
         .outputs = outputs + 3,
         .outputs_n = TH_LEN(lists) - 3,
         .status = 202},
    };
    bool is_answered;

    for (size_t i = 0; i < TH_LEN(times); i++)
        times[i] = INT64_C(1600000000000000) + (int64_t)i;
    SUCCEEDS(f, th_log_commit_start(session, &txn, &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    txn.at_us = times;
    SUCCEEDS(f, th_log_commit_start(session, &txn, &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    th_log_session_close(session, true);
    SUCCEEDS(f, th_log_ingest(f->log, claims, TH_LEN(claims), &f->arena, &f->err));
    assert_int_equal(claims[1].outcome, LOG_CLAIM_STORED);
    assert_lists(f, outputs, 3);
    reopen(f);
    assert_lists(f, outputs, 3);
    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0);
    for (size_t i = 0; i < TH_LEN(lists); i++)
        assert_int_equal(all.at[TH_LEN(lists) + i].at_us, times[i]);
}

/* So many of the same as a record with nothing else may have. */
static struct th_str as_many_as_may_be(struct fixture *f, const struct log_header *header)
{
    size_t size = log_header_size(header);
    size_t fit = LOG_RECORD_SIZE_MAX / size;
    size_t n = fit < LOG_HEADERS_MAX ? fit : LOG_HEADERS_MAX;
    char *bytes = take(f, n, size);

    for (size_t i = 0; i < n; i++)
        log_header_put(bytes + i * size, header);
    return (struct th_str){bytes, n * size};
}

static void test_the_largest_headers(void **state)
{
    static const struct {
        const char *says;
        struct log_header header;
    } cases[] = {
        {"of nothing each", {.is_null = true}},
        {"whose sizes take a byte more in Kafka",
         {.name = {"0123456789012345678901234567890123456789012345678901234567890123", 64},
          .value = {"0123456789012345678901234567890123456789012345678901234567890123", 64}}},
    };
    struct fixture *f = FIXTURE(state);
    char *much = take(f, 1, LOG_RECORD_SIZE_MAX);
    struct log_output outputs[TH_LEN(cases) + 1];

    memset(much, 'x', LOG_RECORD_SIZE_MAX);
    struct log_header large = {.name = TH_STR("n"), .value = {much, LOG_RECORD_SIZE_MAX / 2}};
    size_t rest = LOG_RECORD_SIZE_MAX - log_header_size(&large);
    outputs[0] = (struct log_output){
        TOPIC_DISPATCH_ATTEMPTS, 0, TH_STR("k"), {much, rest - 1}, encoded(f, &large, 1)};
    assert_int_equal(log_output_size(&outputs[0]), LOG_RECORD_SIZE_MAX);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        outputs[i + 1] = (struct log_output){.topic = TOPIC_DISPATCH_ATTEMPTS,
                                             .headers = as_many_as_may_be(f, &cases[i].header)};
    }
    SUCCEEDS(f, th_log_append(f->log, outputs, TH_LEN(outputs), NULL, &f->err));
    reopen(f);
    struct log_records all = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0);
    assert_int_equal(all.n, TH_LEN(outputs));
    for (size_t i = 0; i < all.n; i++) {
        assert_str_equal(all.at[i].value, outputs[i].value);
        assert_str_equal(all.at[i].headers, outputs[i].headers);
    }
}

static void test_headers_that_are_not_allowed_leave_nothing(void **state)
{
    static char much[LOG_RECORD_SIZE_MAX + 1];
    const struct {
        const char *says;
        struct log_output bad;
    } cases[] = {
        {"with key and value they are too large",
         {TOPIC_SEND_REQUESTS,
          -1,
          TH_STR("k"),
          {much, LOG_RECORD_SIZE_MAX - 4},
          TH_STR("\1a\1\1b\0")}},
        {"they alone are too large",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), TH_STR("v"), {much, LOG_RECORD_SIZE_MAX + 1}}},
        {"they are too many",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), TH_STR("v"), {much, 2 * (LOG_HEADERS_MAX + 1)}}},
        {"they end within a name",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), TH_STR("v"), TH_STR("\4abc")}},
        {"they end within a value",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), TH_STR("v"), TH_STR("\1a\3b")}},
        {"a name holds a NUL",
         {TOPIC_SEND_REQUESTS, -1, TH_STR("k"), TH_STR("v"), TH_STR("\3a\0b\0")}},
    };
    struct fixture *f = FIXTURE(state);

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        const struct log_output outputs[] = {lane_output(0, TH_STR("good")), cases[i].bad};
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_log_append(f->log, outputs, 2, NULL, &f->err), TH_INVALID);
    }
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, NULL, 0);
}

#define LARGE ((size_t)50000)
#define MANY  8

static void test_reads_are_bounded_by_headers_too(void **state)
{
    struct fixture *f = FIXTURE(state);
    const struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct log_header large = {.name = TH_STR("large"), .value = {take(f, 1, LARGE), LARGE}};
    struct log_output outputs[MANY];
    struct th_log_reader *reader;
    struct log_records records;
    size_t seen = 0;

    for (size_t i = 0; i < MANY; i++) {
        outputs[i] = lane_output(0, numbered(f, "v", i));
        outputs[i].headers = encoded(f, &large, 1);
    }
    SUCCEEDS(f, th_log_append(f->log, outputs, MANY, NULL, &f->err));
    SUCCEEDS(f, th_log_reader_open(f->log, &from, 1, &reader, &f->err));
    do {
        SUCCEEDS(f, th_log_reader_read(reader, 2 * LARGE, &f->arena, &records, &f->err));
        assert_true(records.n <= 3);
        seen += records.n;
    } while (records.n > 0);
    assert_int_equal(seen, MANY);
    th_log_reader_close(reader);
}

const struct CMUnitTest conformance_header_tests[] = {
    cmocka_unit_test(test_headers_come_back_as_they_were_written),
    cmocka_unit_test(test_headers_come_back_whichever_way_they_went),
    cmocka_unit_test(test_the_largest_headers),
    cmocka_unit_test(test_headers_that_are_not_allowed_leave_nothing),
    cmocka_unit_test(test_reads_are_bounded_by_headers_too),
};
const size_t conformance_header_tests_n = TH_LEN(conformance_header_tests);
