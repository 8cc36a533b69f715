#include "tests/unit/test.h"

#include "common/duplicates.h"

#include <string.h>

#define N 10000

static bool is_found[N];

static void found(void *arg, int64_t ordinal)
{
    (void)arg;
    assert_in_range(ordinal, 0, N - 1);
    assert_false(is_found[ordinal]);
    is_found[ordinal] = true;
}

/* Ordinals 0 to N-1 in a shuffled order, hash = ordinal mod 3,000: the first 3,000 are originals.
 */
static void look_with(size_t entries_max)
{
    struct duplicates *d = NULL;
    struct th_err err = {0};

    for (size_t i = 0; i < N; i++)
        is_found[i] = false;
    assert_int_equal(duplicates_new("/tmp", entries_max, &d, &err), TH_OK);
    for (int64_t i = 0; i < N; i++) {
        int64_t ordinal = i * 7919 % N;
        assert_int_equal(duplicates_add(d, (uint64_t)(ordinal % 3000) << 40, ordinal, &err), TH_OK);
    }
    assert_int_equal(duplicates_find(d, found, NULL, &err), TH_OK);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(is_found[i], i >= 3000);
    duplicates_free(d);
}

static void test_the_smallest_ordinal_is_the_original(void **unused)
{
    (void)unused;
    look_with((size_t)2 * N); /* in memory */
    look_with(N);
    look_with(1000); /* ten pieces */
    look_with(37);   /* many small ones */
}

static void test_a_folder_that_is_not_there_is_an_error(void **unused)
{
    (void)unused;
    struct duplicates *d = NULL;
    struct th_err err = {0};

    assert_int_equal(duplicates_new("/nonexistent", 1, &d, &err), TH_OK);
    assert_int_equal(duplicates_add(d, 1, 1, &err), TH_OK);
    assert_int_equal(duplicates_add(d, 2, 2, &err), TH_IO);
    assert_non_null(strstr(err.text, "/nonexistent"));
    duplicates_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_smallest_ordinal_is_the_original),
        cmocka_unit_test(test_a_folder_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
