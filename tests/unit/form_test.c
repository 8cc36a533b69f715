/* form: what providers post, and what strangers post instead */
#include "tests/unit/test.h"

#include "common/form.h"

#include <stdlib.h>
#include <string.h>

static void test_parse(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *body;
        enum th_code code;
        size_t n;
        const char *name; /* of the last pair */
        const char *value;
    } cases[] = {
        {"nothing", "", TH_OK, 0, NULL, NULL},
        {"one pair", "a=1", TH_OK, 1, "a", "1"},
        {"an empty value counts", "a=1&b=", TH_OK, 2, "b", ""},
        {"a name alone has an empty value", "a", TH_OK, 1, "a", ""},
        {"a name may be empty", "=1", TH_OK, 1, "", "1"},
        {"pieces of nothing do not count", "&&a=1&&", TH_OK, 1, "a", "1"},
        {"order and repetition are kept", "a=2&a=1", TH_OK, 2, "a", "1"},
        {"a plus is a space, an escaped one is not", "a=1+%2B", TH_OK, 1, "a", "1 +"},
        {"the second equals sign belongs to the value", "a=b=c", TH_OK, 1, "a", "b=c"},
        {"UTF-8", "a=%E0%A4%A8%e0%a4%ae", TH_OK, 1, "a", "नम"},
        {"UTF-8 as it is", "a=नम", TH_OK, 1, "a", "नम"},
        {"a broken escape", "a=%4", TH_MALFORMED, 0, NULL, NULL},
        {"an escape of no digits", "a=%zz", TH_MALFORMED, 0, NULL, NULL},
        {"a percent sign at the end", "a=%", TH_MALFORMED, 0, NULL, NULL},
        {"a NUL", "a=%00", TH_MALFORMED, 0, NULL, NULL},
        {"no UTF-8", "a=%ff", TH_MALFORMED, 0, NULL, NULL},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_arena arena;
        struct form form = {NULL, 0};

        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, 1 << 20);
        assert_int_equal(form_parse(th_str(cases[i].body), &arena, &form), cases[i].code);
        assert_int_equal(form.n, cases[i].n);
        if (form.n) {
            assert_str_equal(form.pairs[form.n - 1].name, th_str(cases[i].name));
            assert_str_equal(form.pairs[form.n - 1].value, th_str(cases[i].value));
        }
        th_arena_fini(&arena);
    }
}

static void test_bounds(void **unused)
{
    (void)unused;
    static char body[FORM_SIZE_MAX + 1];
    struct th_arena arena;
    struct form form;

    th_arena_init(&arena, 1 << 20);
    memset(body, 'x', sizeof body);
    assert_int_equal(form_parse((struct th_str){body, FORM_SIZE_MAX}, &arena, &form), TH_OK);
    assert_int_equal(form_parse((struct th_str){body, FORM_SIZE_MAX + 1}, &arena, &form), TH_FULL);
    size_t full_size = 2 * (size_t)FORM_PAIRS_MAX;
    for (size_t i = 1; i < full_size + 2; i += 2)
        body[i] = '&';
    assert_int_equal(form_parse((struct th_str){body, full_size}, &arena, &form), TH_OK);
    assert_int_equal(form.n, FORM_PAIRS_MAX);
    assert_int_equal(form_parse((struct th_str){body, full_size + 1}, &arena, &form), TH_FULL);
    th_arena_fini(&arena);
    th_arena_init(&arena, 0);
    assert_int_equal(form_parse(TH_STR("a=1"), &arena, &form), TH_NOMEM);
    th_arena_fini(&arena);
}

static void test_first_of_a_name(void **unused)
{
    (void)unused;
    struct th_arena arena;
    struct form form;
    struct th_str value;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(form_parse(TH_STR("A=1&a=2&a=3"), &arena, &form), TH_OK);
    assert_true(form_get(&form, "a", &value));
    assert_str_equal(value, TH_STR("2"));
    assert_false(form_get(&form, "b", &value));
    assert_int_equal(value.n, 0);
    th_arena_fini(&arena);
}

static void test_encode(void **unused)
{
    (void)unused;
    static const struct form_pair pairs[] = {
        {{"To", 2}, {"+919876543210", 13}},
        {{"Body", 4}, {"a b&c=d~e.f-g_h*i", 17}},
        {{"Empty", 5}, {NULL, 0}},
    };
    struct th_arena arena;
    struct th_str text;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(form_encode(pairs, TH_LEN(pairs), &arena, &text), TH_OK);
    assert_str_equal(text, TH_STR("To=%2B919876543210&Body=a+b%26c%3Dd%7Ee.f-g_h*i&Empty="));
    assert_int_equal(form_escape_url(TH_STR("a b/~*नम"), &arena, &text), TH_OK);
    assert_str_equal(text, TH_STR("a%20b%2F~%2A%E0%A4%A8%E0%A4%AE"));
    th_arena_fini(&arena);
}

/* What was parsed is encoded and parsed again to the same: for whatever bytes come. */
static void test_any_bytes(void **unused)
{
    (void)unused;
    static const char letters[] = "aA=&%+0f2E \xe0\xa4\xa8";
    struct th_arena arena;
    unsigned seed = 7;
    int n_parsed = 0;

    th_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 20000; round++) {
        char bytes[40];
        size_t size = (size_t)rand_r(&seed) % sizeof bytes;
        struct form form;
        struct form again;
        struct th_str text;

        for (size_t i = 0; i < size; i++)
            bytes[i] = letters[(size_t)rand_r(&seed) % (sizeof letters - 1)];
        char *fitting = malloc(size ? size : 1); /* so that ASan sees one byte too far */
        assert_non_null(fitting);
        memcpy(fitting, bytes, size);
        if (form_parse((struct th_str){fitting, size}, &arena, &form) == TH_OK) {
            n_parsed++;
            assert_int_equal(form_encode(form.pairs, form.n, &arena, &text), TH_OK);
            assert_int_equal(form_parse(text, &arena, &again), TH_OK);
            assert_int_equal(again.n, form.n);
            for (size_t i = 0; i < form.n; i++) {
                assert_str_equal(again.pairs[i].name, form.pairs[i].name);
                assert_str_equal(again.pairs[i].value, form.pairs[i].value);
            }
        }
        free(fitting);
        th_arena_reset(&arena);
    }
    print_message("  %d of 20000 were forms\n", n_parsed);
    assert_true(n_parsed > 1000);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),           cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_first_of_a_name), cmocka_unit_test(test_encode),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
