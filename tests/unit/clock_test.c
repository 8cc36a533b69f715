/* clock, clock_watch */
#include "tests/unit/test.h"

#include "common/clock_watch.h"

#define SEC TH_US_PER_SEC

static void test_real_clocks_go_forward(void **unused)
{
    (void)unused;
    int64_t monotonic_us = th_clock_monotonic_us(&th_clock_real);

    assert_true(th_clock_monotonic_us(&th_clock_real) >= monotonic_us);
    assert_true(th_clock_boottime_us(&th_clock_real) >= monotonic_us);
    assert_true(th_clock_realtime_us(&th_clock_real) > INT64_C(1700000000) * SEC);
}

static void test_a_virtual_clock_obeys(void **unused)
{
    (void)unused;
    struct th_virtual_clock clock;

    th_virtual_clock_init(&clock, 1000);
    assert_int_equal(th_clock_realtime_us(&clock.clock), 1000);
    th_virtual_clock_advance(&clock, 5);
    assert_int_equal(th_clock_realtime_us(&clock.clock), 1005);
    assert_int_equal(th_clock_monotonic_us(&clock.clock), 5);
    th_virtual_clock_set_realtime(&clock, 7);
    assert_int_equal(th_clock_realtime_us(&clock.clock), 7);
    assert_int_equal(th_clock_boottime_us(&clock.clock), 5);
}

/* One step: the wall clock is set off by jump_s, then wait_s pass. */
struct step {
    int64_t jump_us;
    int64_t wait_us;
    int64_t off_us; /* what is believed, against an undisturbed clock */
    bool is_suspect;
};

static const struct {
    const char *says;
    struct step steps[6]; /* up to the first without a wait */
} stories[] = {
    {"an undisturbed clock is believed", {{0, SEC, 0, false}, {0, 3600 * SEC, 0, false}}},
    {"slewing is followed", {{SEC, SEC, SEC, false}, {2 * SEC, SEC, 3 * SEC, false}}},
    {"a forward jump waits for a minute",
     {{3600 * SEC, SEC, 0, true},
      {0, 58 * SEC, 0, true},
      {0, SEC, 3600 * SEC, false},
      {0, SEC, 3600 * SEC, false}}},
    {"so does a backward jump",
     {{-3600 * SEC, SEC, 0, true}, {0, 58 * SEC, 0, true}, {0, SEC, -3600 * SEC, false}}},
    {"a second jump begins the minute anew",
     {{3600 * SEC, 50 * SEC, 0, true},
      {60 * SEC, 50 * SEC, 0, true},
      {0, 9 * SEC, 0, true},
      {0, 2 * SEC, 3660 * SEC, false}}},
    {"a clock that comes back is believed at once",
     {{3600 * SEC, 10 * SEC, 0, true}, {-3599 * SEC, SEC, SEC, false}}},
    {"slewing after a jump stays steady",
     {{3600 * SEC, 30 * SEC, 0, true}, {SEC, 29 * SEC, 0, true}, {0, SEC, 3601 * SEC, false}}},
};

static void test_jumps(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(stories); i++) {
        struct clock_watch watch;
        const int64_t start_us = INT64_C(1793620800) * SEC;
        int64_t elapsed_us = 5 * SEC;
        int64_t off_us = 0;

        print_message("  %s\n", stories[i].says);
        clock_watch_init(&watch, start_us + elapsed_us, elapsed_us);
        for (const struct step *step = stories[i].steps; step->wait_us; step++) {
            off_us += step->jump_us;
            (void)clock_watch_now_us(&watch, start_us + elapsed_us + off_us, elapsed_us);
            elapsed_us += step->wait_us;
            int64_t now_us = clock_watch_now_us(&watch, start_us + elapsed_us + off_us, elapsed_us);
            assert_int_equal(now_us - start_us - elapsed_us, step->off_us);
            assert_int_equal(watch.is_suspect, step->is_suspect);
        }
    }
}

static void test_an_operator_can_adopt_a_jump(void **unused)
{
    (void)unused;
    struct clock_watch watch;

    clock_watch_init(&watch, 0, 0);
    assert_int_equal(clock_watch_now_us(&watch, 100 * SEC, SEC), SEC);
    clock_watch_adopt(&watch);
    assert_false(watch.is_suspect);
    assert_int_equal(clock_watch_now_us(&watch, 101 * SEC, 2 * SEC), 101 * SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_clocks_go_forward),
        cmocka_unit_test(test_a_virtual_clock_obeys),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_an_operator_can_adopt_a_jump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
