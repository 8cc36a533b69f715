#include "tests/unit/test.h"

#include "processors/campaign/pace.h"

/* The releases of ten minutes, made as a campaign makes them: a group whenever it may. */
static size_t releases(int32_t per_min, int64_t pause_from_us, int64_t pause_to_us, int64_t *out,
                       size_t max)
{
    int64_t last = 0;
    size_t n = 0;

    for (int64_t now = 1000000; now < INT64_C(600000000); now += 50000) {
        if (now >= pause_from_us && now < pause_to_us)
            continue;
        int32_t group = pace_group(per_min);
        int64_t at = pace_send_at(per_min, last, group, now);
        if (at > now + 5000000)
            continue;
        for (int32_t i = 0; i < group && n < max; i++)
            out[n++] = at;
        last = at;
    }
    return n;
}

/* A release may reach the provider up to 3 s after its send_at: take the worst for each window,
 * the first ones as late and the last ones as early as they can be. */
static size_t worst_window(const int64_t *at, size_t n)
{
    size_t worst = 0;

    for (size_t i = 0, k = 0; i < n; i++) {
        while (at[i] - at[k] >= INT64_C(60000000) + PACE_START_US + PACE_WAY_US)
            k++;
        worst = i - k + 1 > worst ? i - k + 1 : worst;
    }
    return worst;
}

static void test_no_minute_sees_more_than_the_pace(void **unused)
{
    (void)unused;
    static int64_t at[2000000];
    static const int32_t paces[] = {1, 7, 100, 1000, 60000, 200000};

    for (size_t i = 0; i < TH_LEN(paces); i++) {
        size_t n = releases(paces[i], INT64_C(100000000), INT64_C(130000000), at, TH_LEN(at));
        size_t worst = worst_window(at, n);
        print_message("  %d a minute: %zu releases in 10 min, at most %zu in any minute\n",
                      paces[i], n, worst);
        assert_true(worst <= (size_t)paces[i]);
        assert_true(n >= (size_t)paces[i] * 9 / 2); /* and it does not dawdle either */
    }
}

static void test_time_lost_is_not_made_up_for(void **unused)
{
    (void)unused;
    int64_t before = pace_send_at(100, 0, 1, 1000000);
    int64_t after = pace_send_at(100, before, 1, before + INT64_C(3600000000));

    assert_true(after == before + INT64_C(3600000000));
    assert_true(pace_send_at(100, after, 1, after) == after + pace_spacing_us(100));
}

/* The release at each moment keeps the distance of the pace that holds then: of no minute, not even
 * of the one in which it changes, the greatest of its paces is exceeded. */
static void test_no_minute_sees_more_than_its_greatest_pace(void **unused)
{
    static const struct {
        const char *says;
        int32_t paces[6]; /* half a minute each */
    } cases[] = {
        {"lower", {600, 100, 100, 100, 100, 100}},
        {"higher", {100, 100, 100, 600, 600, 600}},
        {"up and down", {100, 6000, 100, 6000, 100, 1}},
        {"down and up", {6000, 10, 6000, 10, 6000, 6000}},
    };
    static struct {
        int64_t at;
        int32_t pace;
    } releases[100000];

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t last = 0;
        size_t n = 0;

        print_message("  %s\n", cases[i].says);
        for (int64_t now = 1000000; now < INT64_C(180000000); now += 10000) {
            int32_t pace = cases[i].paces[now / 30000000];
            int32_t group = pace_group(pace);
            int64_t at = pace_send_at(pace, last, group, now);
            if (at > now + 5000000)
                continue;
            for (int32_t k = 0; k < group; k++, n++) {
                assert_true(n < TH_LEN(releases));
                releases[n].at = at;
                releases[n].pace = pace;
            }
            last = at;
        }
        for (size_t from = 0; from < n; from++) {
            int32_t greatest = 0;
            for (size_t k = from; k < n && releases[k].at - releases[from].at <
                                               INT64_C(60000000) + PACE_START_US + PACE_WAY_US;
                 k++) {
                greatest = releases[k].pace > greatest ? releases[k].pace : greatest;
                assert_true(k - from + 1 <= (size_t)greatest);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_minute_sees_more_than_the_pace),
        cmocka_unit_test(test_no_minute_sees_more_than_its_greatest_pace),
        cmocka_unit_test(test_time_lost_is_not_made_up_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
