#include "tests/unit/test.h"

#include "common/eventlog/timers.h"
#include "tests/unit/failing_malloc.h"

static struct th_id id_of(uint8_t last)
{
    return (struct th_id){.b = {[15] = last}};
}

static void test_nothing_is_due_when_there_is_nothing(void **unused)
{
    struct timers timers = {0};
    struct timer timer;

    (void)unused;
    assert_int_equal(timers_next_us(&timers), INT64_MAX);
    assert_false(timers_pop(&timers, INT64_MAX, &timer));
    timers_fini(&timers);
}

static void test_what_is_due_comes_in_order_and_ties_by_id(void **unused)
{
    static const struct {
        int64_t due_us;
        uint8_t id;
    } added[] = {{30, 1}, {10, 9}, {10, 2}, {20, 5}, {10, 2}},
      popped[] = {{10, 2}, {10, 2}, {10, 9}, {20, 5}};
    struct timers timers = {0};
    struct timer timer;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(added); i++)
        assert_int_equal(timers_add(&timers, added[i].due_us, id_of(added[i].id)), TH_OK);
    assert_false(timers_pop(&timers, 9, &timer));
    for (size_t i = 0; i < TH_LEN(popped); i++) {
        assert_true(timers_pop(&timers, 20, &timer));
        assert_int_equal(timer.due_us, popped[i].due_us);
        assert_true(th_id_eq(timer.id, id_of(popped[i].id)));
    }
    assert_false(timers_pop(&timers, 29, &timer));
    assert_int_equal(timers_next_us(&timers), 30);
    timers_clear(&timers);
    assert_int_equal(timers_next_us(&timers), INT64_MAX);
    timers_fini(&timers);
}

/* --- against a bag ------------------------------------------------------------------------------
 */

#define BAG_MAX 3000

static struct timer bag[BAG_MAX];
static size_t bag_n;

static size_t earliest_in_bag(void)
{
    size_t best = 0;

    for (size_t i = 1; i < bag_n; i++)
        if (bag[i].due_us < bag[best].due_us ||
            (bag[i].due_us == bag[best].due_us && th_id_cmp(bag[i].id, bag[best].id) < 0))
            best = i;
    return best;
}

static void test_it_is_what_searching_a_bag_would_be(void **unused)
{
    struct timers timers = {0};
    uint64_t seed = 1;
    struct timer timer;

    (void)unused;
    bag_n = 0;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t due_us = (int64_t)(seed >> 40) % 1000 - 100;
        struct th_id id = id_of((uint8_t)(seed >> 33));
        bool fails = seed >> 60 == 0;

        mallocs_left = fails ? 0 : -1;
        if (seed >> 63 && bag_n < BAG_MAX) {
            enum th_code code = timers_add(&timers, due_us, id);
            assert_true(code == TH_OK || (fails && code == TH_NOMEM));
            if (code == TH_OK)
                bag[bag_n++] = (struct timer){due_us, id};
        } else if (timers_pop(&timers, due_us, &timer)) {
            size_t best = earliest_in_bag();
            assert_int_equal(timer.due_us, bag[best].due_us);
            assert_true(th_id_eq(timer.id, bag[best].id));
            bag[best] = bag[--bag_n];
        } else {
            assert_true(bag_n == 0 || bag[earliest_in_bag()].due_us > due_us);
        }
        mallocs_left = -1;
        assert_int_equal(timers.n, bag_n);
    }
    assert_true(bag_n > 10);
    timers_fini(&timers);
}

static void test_without_memory_a_timer_is_refused(void **unused)
{
    struct timers timers = {0};

    (void)unused;
    mallocs_left = 0;
    assert_int_equal(timers_add(&timers, 1, id_of(1)), TH_NOMEM);
    mallocs_left = -1;
    assert_int_equal(timers_next_us(&timers), INT64_MAX);
    assert_int_equal(timers_add(&timers, 1, id_of(1)), TH_OK);
    timers_fini(&timers);
}

static void test_many_that_no_longer_apply_are_stale(void **unused)
{
    struct timers timers = {0};

    (void)unused;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(timers_add(&timers, i, id_of(1)), TH_OK);
    assert_false(timers_are_stale(&timers, 0)); /* too few to be worth it */
    for (int i = 0; i < 39000; i++)
        assert_int_equal(timers_add(&timers, i, id_of(1)), TH_OK);
    assert_true(timers_are_stale(&timers, 19999));
    assert_false(timers_are_stale(&timers, 20000));
    timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_due_when_there_is_nothing),
        cmocka_unit_test(test_what_is_due_comes_in_order_and_ties_by_id),
        cmocka_unit_test(test_it_is_what_searching_a_bag_would_be),
        cmocka_unit_test(test_many_that_no_longer_apply_are_stale),
        cmocka_unit_test(test_without_memory_a_timer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
