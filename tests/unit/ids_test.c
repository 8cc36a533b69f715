#include "tests/unit/test.h"

#include "common/ids.h"

#include <string.h>

static const char *text_of(struct th_id id)
{
    static char text[TH_ID_TEXT_LEN + 1];

    th_id_text(id, text);
    return text;
}

/* RFC 9562, appendix A.6. */
static void test_a_v7_is_the_one_of_the_rfc(void **unused)
{
    (void)unused;
    const uint8_t random[TH_ID_RANDOM_LEN] = {0x0c, 0xc3, 0x18, 0xc4, 0xdc,
                                              0x0c, 0x0c, 0x07, 0x39, 0x8f};
    struct th_id id = th_id_v7(0x017f22e279b0, random);

    assert_string_equal(text_of(id), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_true(th_id_ms(id) == 0x017f22e279b0);
}

static void test_random_ids_differ_and_carry_their_time(void **unused)
{
    (void)unused;
    struct th_id a;
    struct th_id b;

    assert_int_equal(th_id_random(1793620800123, &a, NULL), TH_OK);
    assert_int_equal(th_id_random(1793620800124, &b, NULL), TH_OK);
    assert_true(th_id_cmp(a, b) < 0);
    assert_true(th_id_ms(a) == 1793620800123);
    assert_int_equal(a.b[6] >> 4, 7);
    assert_int_equal(a.b[8] >> 6, 2);
    assert_int_equal(th_id_random(1793620800123, &b, NULL), TH_OK);
    assert_false(th_id_eq(a, b));
}

/* The expected ids were computed with Python's hashlib. */
/* They are drawn many at a time. */
static void test_a_thousand_random_ids_differ(void **unused)
{
    static struct th_id ids[1000];

    (void)unused;
    for (size_t i = 0; i < TH_LEN(ids); i++) {
        assert_int_equal(th_id_random(1793620800123, &ids[i], NULL), TH_OK);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(ids[k].b, ids[i].b, sizeof ids[i].b);
    }
}

static void test_derived_ids(void **unused)
{
    (void)unused;
    struct th_id derived =
        th_id_derive(TH_PARTS(TH_STR("send"), TH_STR("pratham"), TH_STR("c1"), TH_STR("")));
    struct th_id send = th_id_send(
        1793620800123, TH_PARTS(TH_STR("send"), TH_STR("pratham"), TH_STR("c1"), TH_STR("")));

    assert_string_equal(text_of(derived), "c3a574b6-0e60-8649-bddc-39d23515f04f");
    assert_string_equal(text_of(send), "01a19c21-727b-8649-bddc-39d23515f04f");
    assert_true(th_id_ms(send) == 1793620800123);
}

static void test_parts_do_not_run_into_each_other(void **unused)
{
    (void)unused;
    const struct th_id ids[] = {
        th_id_derive(TH_PARTS(TH_STR("ab"), TH_STR("c"))),
        th_id_derive(TH_PARTS(TH_STR("a"), TH_STR("bc"))),
        th_id_derive(TH_PARTS(TH_STR("abc"))),
        th_id_derive(TH_PARTS(TH_STR("abc"), TH_STR(""))),
    };

    for (size_t i = 0; i < TH_LEN(ids); i++)
        for (size_t k = i + 1; k < TH_LEN(ids); k++) {
            assert_false(th_id_eq(ids[i], ids[k]));
            assert_true(th_id_hash(ids[i]) != th_id_hash(ids[k]));
        }
}

static void test_reading(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        bool is_id;
    } cases[] = {
        {"lower case", "c3a574b6-0e60-8649-bddc-39d23515f04f", true},
        {"upper case", "C3A574B6-0E60-8649-BDDC-39D23515F04F", true},
        {"all zeros", "00000000-0000-0000-0000-000000000000", true},
        {"nothing", "", false},
        {"no dashes", "c3a574b60e608649bddc39d23515f04f", false},
        {"a dash in the wrong place", "c3a574b60-e60-8649-bddc-39d23515f04f", false},
        {"a digit where a dash belongs", "c3a574b600e60-8649-bddc-39d23515f04f", false},
        {"a letter that is no digit", "g3a574b6-0e60-8649-bddc-39d23515f04f", false},
        {"braces", "{c3a574b6-0e60-8649-bddc-39d23515f04f}", false},
        {"one character more", "c3a574b6-0e60-8649-bddc-39d23515f04f0", false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_id id = {.b = {1}};
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_id_parse(th_str(cases[i].text), &id), cases[i].is_id);
        if (cases[i].is_id)
            assert_int_equal(strcasecmp(text_of(id), cases[i].text), 0);
        else
            assert_int_equal(id.b[0], 1);
    }
    assert_true(th_id_is_zero((struct th_id){0}));
    assert_false(th_id_is_zero((struct th_id){.b = {[15] = 1}}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_v7_is_the_one_of_the_rfc),
        cmocka_unit_test(test_random_ids_differ_and_carry_their_time),
        cmocka_unit_test(test_a_thousand_random_ids_differ),
        cmocka_unit_test(test_derived_ids),
        cmocka_unit_test(test_parts_do_not_run_into_each_other),
        cmocka_unit_test(test_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
