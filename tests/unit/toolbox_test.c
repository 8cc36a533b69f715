/* err, str, arena, buf */
#include "tests/unit/test.h"

#include "common/arena.h"
#include "common/buf.h"

#include <string.h>

static void test_wrapping_reads_from_outside_in(void **unused)
{
    (void)unused;
    struct th_err err = {0};

    assert_int_equal(th_fail(&err, TH_MALFORMED, "field %s: not E.164", "to"), TH_MALFORMED);
    assert_int_equal(th_wrap(&err, "partition %d offset %d", 3, 41), TH_MALFORMED);
    assert_string_equal(err.text, "partition 3 offset 41: field to: not E.164");
    assert_int_equal(th_fail(NULL, TH_FULL, "nobody listens"), TH_FULL);
}

static void test_a_long_error_is_cut(void **unused)
{
    (void)unused;
    struct th_err err = {0};
    char text[2 * TH_ERR_TEXT_MAX];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)th_fail(&err, TH_IO, "%s", text);
    (void)th_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.text), TH_ERR_TEXT_MAX - 1);
}

static void test_integers(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        bool is_number;
        int64_t value;
    } cases[] = {
        {"zero", "0", true, 0},
        {"the smallest", "-9223372036854775808", true, INT64_MIN},
        {"the largest", "9223372036854775807", true, INT64_MAX},
        {"one more than the largest", "9223372036854775808", false, 0},
        {"one less than the smallest", "-9223372036854775809", false, 0},
        {"nothing", "", false, 0},
        {"a sign alone", "-", false, 0},
        {"a plus", "+1", false, 0},
        {"something behind", "12 ", false, 0},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t value = 0;
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_str_int(th_str(cases[i].text), INT64_MIN, INT64_MAX, &value),
                         cases[i].is_number);
        assert_true(value == cases[i].value);
    }
    int64_t untouched = 7;
    assert_false(th_str_int(TH_STR("11"), 0, 10, &untouched));
    assert_int_equal(untouched, 7);
}

/* Several bytes are looked at together, so every distance to both ends is tried. */
static void assert_same_wherever_it_stands(const char *text, bool is_utf8)
{
    static const char *const paddings[] = {"x", "\xe0\xa4\xa8", "\xe0\xa4\xa8x"};

    for (size_t k = 0; k < TH_LEN(paddings); k++)
        for (size_t before = 0; before <= 40; before++)
            for (size_t after = 0; after <= 40; after++) {
                TH_AUTO(th_buf) struct th_buf buf = {0};
                for (size_t i = 0; i < before; i++)
                    th_buf_add(&buf, th_str(paddings[k]));
                th_buf_add(&buf, th_str(text));
                for (size_t i = 0; i < after; i++)
                    th_buf_add(&buf, th_str(paddings[k]));
                assert_int_equal(th_str_is_utf8(th_buf_str(&buf)), is_utf8);
            }
}

static void test_utf8(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        bool is_utf8;
    } cases[] = {
        {"nothing", "", true},
        {"Devanagari", "\xe0\xa4\xa8\xe0\xa4\xae", true},
        {"the last character", "\xf4\x8f\xbf\xbf", true},
        {"past the last character", "\xf4\x90\x80\x80", false},
        {"an overlong slash", "\xc0\xaf", false},
        {"an overlong three-byte form", "\xe0\x9f\xbf", false},
        {"a surrogate", "\xed\xa0\x80", false},
        {"a lone continuation", "\x80", false},
        {"a sequence cut short", "\xe0\xa4", false},
        {"Latin-1", "caf\xe9", false},
        {"an overlong form that looks Indian", "\xe0\x9f\x80", false},
        {"the first of three bytes", "\xe0\xa0\x80", true},
        {"a byte that never stands", "\xff", false},
        {"an Indian letter cut short", "\xe0\xa4\xa8\xe0\xa4", false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_str_is_utf8(th_str(cases[i].text)), cases[i].is_utf8);
        assert_same_wherever_it_stands(cases[i].text, cases[i].is_utf8);
    }
    assert_int_equal(th_str_char_size(TH_STR("\xe0\xa4\xa8\xe0\xa4\xae")), 3);
    assert_int_equal(th_str_char_size(TH_STR("")), 0);
    struct th_str rest = TH_STR("a\xc3\xa9\xe0\xa4\xa8\xf0\x9f\x98\x80\xff");
    assert_int_equal(th_str_take_char(&rest), 'a');
    assert_int_equal(th_str_take_char(&rest), 0xe9);
    assert_int_equal(th_str_take_char(&rest), 0x928);
    assert_int_equal(th_str_take_char(&rest), 0x1f600);
    assert_int_equal(th_str_take_char(&rest), 0xfffd);
    assert_int_equal(rest.n, 0);
    assert_int_equal(th_str_chars(TH_STR("a\xe0\xa4\xa8\xf0\x9f\x98\x80")), 3);
}

static void test_views(void **unused)
{
    (void)unused;
    struct th_str head;
    struct th_str tail;

    assert_true(th_str_cut(TH_STR("a=b=c"), '=', &head, &tail));
    assert_str_equal(head, TH_STR("a"));
    assert_str_equal(tail, TH_STR("b=c"));
    assert_false(th_str_cut(TH_STR("abc"), '=', &head, &tail));
    assert_str_equal(head, TH_STR("abc"));
    assert_int_equal(tail.n, 0);
    assert_str_equal(th_str_trim(TH_STR(" \t a b\r\n")), TH_STR("a b"));
    assert_true(th_str_cmp(TH_STR("a"), TH_STR("ab")) < 0);
    assert_true(th_str_starts(TH_STR("abc"), TH_STR("ab")));
    assert_true(th_str_eq_secret(TH_STR("key"), TH_STR("key")));
    assert_false(th_str_eq_secret(TH_STR("key"), TH_STR("kez")));
    assert_true(th_str_eq((struct th_str){NULL, 0}, TH_STR("")));
}

static void test_an_arena_is_bounded_and_reusable(void **unused)
{
    (void)unused;
    struct th_arena arena;
    th_arena_init(&arena, (size_t)256 * 1024);

    for (int round = 0; round < 3; round++) {
        assert_non_null(th_arena_alloc(&arena, (size_t)100 * 1024));
        assert_non_null(th_arena_alloc(&arena, (size_t)100 * 1024));
        assert_null(th_arena_alloc(&arena, (size_t)100 * 1024));
        assert_non_null(th_arena_alloc(&arena, 1024));
        th_arena_reset(&arena);
    }
    assert_null(th_arena_alloc(&arena, SIZE_MAX));
    assert_null(th_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_str_equal(th_arena_printf(&arena, "%d-%s", 7, "x"), TH_STR("7-x"));
    th_arena_fini(&arena);
}

static void test_a_buffer_grows(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};

    for (int i = 0; i < 1000; i++)
        th_buf_printf(&buf, "%04d", i);
    assert_int_equal(th_buf_status(&buf), TH_OK);
    assert_int_equal(buf.n, 4000);
    assert_memory_equal(buf.p + 3996, "0999", 4);
    assert_null(th_buf_reserve(&buf, SIZE_MAX));
    assert_int_equal(th_buf_status(&buf), TH_NOMEM);
    th_buf_clear(&buf);
    th_buf_add(&buf, TH_STR("again"));
    assert_str_equal(th_buf_str(&buf), TH_STR("again"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrapping_reads_from_outside_in),
        cmocka_unit_test(test_a_long_error_is_cut),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_an_arena_is_bounded_and_reusable),
        cmocka_unit_test(test_a_buffer_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
