/* A slot's cursors survive the journal; bytes that are not ours are refused, never believed. */
#include <string.h>

#include "connectors/kafka/kafka_breaks.h"
#include "connectors/kafka/kafka_cursors.h"
#include "tests/unit/test.h"

#define SEQ UINT64_C(0x0102030405060708)

static const struct log_cursor some[] = {
    {{TOPIC_SEND_REQUESTS, 3, INT64_MAX}, {NULL, 0}},
    {{TOPIC_DISPATCH_REQUESTS, LOG_PARTITIONS_MAX - 1, 0}, {"a\0note", 6}},
};

static struct th_str encode(struct th_buf *buf)
{
    kafka_cursors_encode(SEQ, some, TH_LEN(some), buf);
    assert_int_equal(th_buf_status(buf), TH_OK);
    return th_buf_str(buf);
}

static void test_what_was_written_is_read(void **unused)
{
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct kafka_cursors read;
    uint64_t seq;

    (void)unused;
    assert_int_equal(kafka_cursors_decode(encode(&buf), &seq, &read, NULL), TH_OK);
    assert_true(seq == SEQ);
    assert_int_equal(read.n, TH_LEN(some));
    for (size_t i = 0; i < read.n; i++) {
        assert_int_equal(read.at[i].next.topic, some[i].next.topic);
        assert_int_equal(read.at[i].next.part, some[i].next.part);
        assert_int_equal(read.at[i].next.offset, some[i].next.offset);
        assert_str_equal(read.at[i].note, some[i].note);
    }
    kafka_cursors_fini(&read);
}

/* Every beginning of it is too short, and one byte more is too long. */
static void test_a_cut_or_longer_record_is_refused(void **unused)
{
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct kafka_cursors read;
    uint64_t seq;
    struct th_str whole = encode(&buf);

    (void)unused;
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(kafka_cursors_decode((struct th_str){whole.p, n}, &seq, &read, NULL),
                         TH_CORRUPT);
    th_buf_add_char(&buf, '\0');
    assert_int_equal(kafka_cursors_decode(th_buf_str(&buf), &seq, &read, NULL), TH_CORRUPT);
}

static void test_what_cannot_be_is_refused(void **unused)
{
    static const struct {
        const char *says;
        size_t at;
        char byte;
    } cases[] = {
        {"another version", 0, 1},
        {"more cursors than there are bytes", 9, 0x7f},
        {"a topic that there is not", 11, 0x7f},
        {"a partition beyond all", 12, 0x7f},
        {"an offset below zero", 14, (char)0x80},
        {"a note that is longer than the rest", 22, 0x7f},
    };
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct kafka_cursors read;
    uint64_t seq;
    struct th_str whole = encode(&buf);

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char bytes[128];
        print_message("  %s\n", cases[i].says);
        assert_true(whole.n <= sizeof bytes);
        memcpy(bytes, whole.p, whole.n);
        bytes[cases[i].at] = cases[i].byte;
        assert_int_equal(kafka_cursors_decode((struct th_str){bytes, whole.n}, &seq, &read, NULL),
                         TH_CORRUPT);
    }
}

static void test_breaks_are_counted_for_ten_minutes(void **unused)
{
    static const struct {
        const char *says;
        int64_t every_us;
        size_t n;
        size_t too_often_from; /* the first that is too often, counted from 1; 0: none is */
    } cases[] = {
        {"five at once are fine", 0, 5, 0},
        {"the sixth is too many", 0, 6, 6},
        {"six in ten minutes", KAFKA_BREAKS_WITHIN / 5 - 1, 6, 6},
        {"six in more than that", KAFKA_BREAKS_WITHIN / 5, 100, 0},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct kafka_breaks breaks = {0};
        size_t first = 0;

        print_message("  %s\n", cases[i].says);
        for (size_t k = 1; k <= cases[i].n; k++)
            if (kafka_breaks_add(&breaks, (int64_t)k * cases[i].every_us) && !first)
                first = k;
        assert_int_equal(first, cases[i].too_often_from);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_a_cut_or_longer_record_is_refused),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_breaks_are_counted_for_ten_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
