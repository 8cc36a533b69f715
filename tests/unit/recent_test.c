/* recent.c: one alone at a number is told from two. */
#include "tests/unit/test.h"

#include "processors/dispatch/recent.h"

#define MINUTE INT64_C(60000000)
#define START  INT64_C(1800000000000000)

static void test_who_is_alone(void **unused)
{
    static const struct {
        const char *says;
        struct {
            uint64_t party;
            uint64_t attempt; /* 0: no more */
            int64_t at_us;
        } notes[3];
        bool is_alone; /* attempt 1 at party 1 */
    } cases[] = {
        {"nobody else", {{1, 1, 0}}, true},
        {"the same again is nobody else", {{1, 1, 0}, {1, 1, MINUTE}}, true},
        {"another number", {{1, 1, 0}, {2, 2, 0}}, true},
        {"another attempt, later", {{1, 1, 0}, {1, 2, MINUTE}}, false},
        {"another attempt, before", {{1, 2, 0}, {1, 1, MINUTE}}, false},
        {"long before", {{1, 2, 0}, {1, 1, 20 * MINUTE}}, true},
        {"two long before", {{1, 2, 0}, {1, 3, MINUTE}, {1, 1, 20 * MINUTE}}, true},
        {"long after: its place is taken, so nothing is known",
         {{1, 1, 0}, {1, 2, 60 * MINUTE}},
         false},
        {"a number of the same place counts as the same",
         {{1, 1, 0}, {1 + (1U << 20), 2, 0}},
         false},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf saved = {0};
        struct recent *recent = recent_new();
        struct recent *copy = recent_new();

        print_message("  %s\n", cases[i].says);
        for (size_t k = 0; k < 3 && cases[i].notes[k].attempt; k++)
            recent_note(recent, cases[i].notes[k].party, cases[i].notes[k].attempt,
                        (int)(cases[i].notes[k].attempt % 2), START + cases[i].notes[k].at_us);
        assert_int_equal(recent_is_alone(recent, 1, 1, 1), cases[i].is_alone);
        for (int piece = 0; piece < 2; piece++)
            assert_int_equal(recent_save(recent, piece, &saved), TH_OK);
        assert_int_equal(recent_load(copy, th_buf_str(&saved)), TH_OK);
        assert_int_equal(recent_is_alone(copy, 1, 1, 1), cases[i].is_alone);
        recent_free(recent);
        recent_free(copy);
    }
}

static void test_damaged_bytes_are_refused(void **unused)
{
    struct recent *recent = recent_new();
    char bytes[12] = {(char)0xff, (char)0xff, (char)0xff, (char)0xff};

    (void)unused;
    assert_int_equal(recent_load(recent, (struct th_str){bytes, 11}), TH_CORRUPT);
    assert_int_equal(recent_load(recent, (struct th_str){bytes, 12}), TH_CORRUPT);
    recent_free(recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_alone),
        cmocka_unit_test(test_damaged_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
