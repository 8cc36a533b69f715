/* Headers as bytes: what was written is read, and of any other bytes nothing. */
#include <string.h>

#include "common/eventlog/headers.h"
#include "tests/unit/test.h"

static void test_what_was_written_is_read(void **unused)
{
    static char large[70000];
    const struct log_header written[] = {
        {.name = TH_STR("trace"), .value = TH_STR("00-4bf92f35-01")},
        {.name = TH_STR("null"), .is_null = true},
        {.name = TH_STR("empty")},
        {.name = TH_STR("trace"), .value = TH_STR("again\0")},
        {.name = TH_STR(""), .value = {large, 126}},
        {.name = TH_STR("size of two bytes"), .value = {large, 127}},
        {.name = TH_STR("size of three"), .value = {large, sizeof large}},
    };
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct log_header read;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(written); i++) {
        size_t before = buf.n;
        log_headers_add(&buf, &written[i]);
        assert_int_equal(buf.n - before, log_header_size(&written[i]));
    }
    assert_int_equal(th_buf_status(&buf), TH_OK);
    assert_true(log_headers_are_whole(th_buf_str(&buf)));
    struct th_str rest = th_buf_str(&buf);
    for (size_t i = 0; i < TH_LEN(written); i++) {
        assert_true(log_headers_next(&rest, &read));
        assert_str_equal(read.name, written[i].name);
        assert_str_equal(read.value, written[i].value);
        assert_int_equal(read.is_null, written[i].is_null);
    }
    assert_int_equal(rest.n, 0);
    assert_false(log_headers_next(&rest, &read));
}

static void test_only_one_encoding_is_read(void **unused)
{
    static const struct {
        const char *says;
        struct th_str bytes;
        bool is_whole;
    } cases[] = {
        {"none", {"", 0}, true},
        {"null", {"\1a\0", 3}, true},
        {"empty", {"\1a\1", 3}, true},
        {"a value of one byte", {"\1a\2b", 4}, true},
        {"no name, no value", {"\0\0", 2}, true},
        {"no value's size", {"\1a", 2}, false},
        {"a name that is cut off", {"\2a", 2}, false},
        {"a value that is cut off", {"\1a\3b", 4}, false},
        {"one whole, and a byte more", {"\1a\0\1", 4}, false},
        {"a size that could be shorter", {"\x81\0a\0", 4}, false},
        {"a size that does not end", {"\x81", 1}, false},
        {"a size beyond 64 bits", {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12}, false},
        {"a size of nothing and a bit beyond 64",
         {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\2\0", 11},
         false},
        {"a size that is all there can be",
         {"\1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12},
         false},
        {"a name with a NUL", {"\2a\0\0", 4}, false},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(log_headers_are_whole(cases[i].bytes), cases[i].is_whole);
    }
}

/* Cut off anywhere they end with a whole header, or are damaged. */
static void test_cut_anywhere(void **unused)
{
    static const char bytes[] = "\1a\0\2bc\3xy\0\1";
    static const bool is_whole[sizeof bytes] = {[0] = true, [3] = true, [9] = true, [11] = true};

    (void)unused;
    for (size_t n = 0; n < sizeof bytes; n++) {
        char *copy = malloc(n + 1); /* so that a byte too far is seen */
        assert_non_null(copy);
        memcpy(copy, bytes, n);
        copy = realloc(copy, n ? n : 1);
        assert_int_equal(log_headers_are_whole((struct th_str){copy, n}), is_whole[n]);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_only_one_encoding_is_read),
        cmocka_unit_test(test_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
