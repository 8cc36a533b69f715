/* window.c: no more attempts in flight than the rate needs. */
#include "processors/dispatch/window.h"
#include "tests/unit/test.h"

#define MIN_N  16
#define MAX_N  512
#define SECOND INT64_C(1000000)

/* A second in which so many want to be in flight at a time, and each place is used again cycles
 * times. */
static void play(struct window *window, int64_t second, int64_t wanted, int cycles)
{
    for (int cycle = 0; cycle < cycles; cycle++) {
        int64_t size = window_size(window, MIN_N, MAX_N);
        int64_t started = wanted < size ? wanted : size;

        for (int64_t i = 1; i <= started; i++)
            window_note_start(window, i, second * SECOND);
        if (started < wanted)
            window_note_full(window);
        for (int64_t i = 0; i < started; i++)
            window_note_landing(window, MIN_N, MAX_N);
    }
}

static void test_it_grows_while_somebody_waits_and_falls_to_what_is_used(void **unused)
{
    static const struct {
        const char *says;
        int64_t wanted;
        int cycles;
        int64_t size; /* after that second */
    } seconds[] = {
        {"nothing yet: the least", 0, 1, 16},
        {"few: the least is enough", 5, 50, 16},
        {"somebody waits: twice as many after a cycle", 1000, 1, 32},
        {"and again", 1000, 1, 64},
        {"all there may be after three more", 1000, 3, 512},
        {"never more than that", 1000, 20, 512},
        {"a second in which nobody waits leaves it", 100, 10, 512},
        {"the next one begins with what that had in flight", 100, 10, 100},
        {"fewer still", 3, 10, 100},
        {"the least again", 3, 10, 16},
    };
    struct window window = {0};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(seconds); i++) {
        print_message("  %s\n", seconds[i].says);
        play(&window, (int64_t)i + 1, seconds[i].wanted, seconds[i].cycles);
        assert_int_equal(window_size(&window, MIN_N, MAX_N), seconds[i].size);
    }
}

static void test_a_landing_widens_nothing_while_nobody_waits(void **unused)
{
    struct window window = {0};

    (void)unused;
    window_note_start(&window, 1, SECOND);
    for (int i = 0; i < 100; i++)
        window_note_landing(&window, MIN_N, MAX_N);
    assert_int_equal(window_size(&window, MIN_N, MAX_N), MIN_N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_grows_while_somebody_waits_and_falls_to_what_is_used),
        cmocka_unit_test(test_a_landing_widens_nothing_while_nobody_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
