#include "tests/unit/test.h"

#include "common/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const struct th_metric_def attempts = {
    .name = "telehub_attempts_total",
    .help = "Attempts, by \\ lane\nand outcome.",
    .kind = TH_METRIC_COUNTER,
    .labels = {"lane", "outcome"},
};

static const struct th_metric_def in_flight = {
    .name = "telehub_in_flight", .help = "Now.", .kind = TH_METRIC_GAUGE};

static const struct th_metric_def commit = {
    .name = "telehub_commit_seconds",
    .help = "How long a commit takes.",
    .kind = TH_METRIC_HISTOGRAM,
    .labels = {"slot"},
    .scale = 1e-6,
    .bounds = {1000, 5000, 2500000},
};

static struct th_family *family_of(struct th_metrics *metrics, const struct th_metric_def *def)
{
    struct th_family *family = NULL;

    assert_int_equal(th_metrics_family(metrics, def, &family, NULL), TH_OK);
    return family;
}

static struct th_metrics *new_metrics(void)
{
    struct th_metrics *metrics = NULL;

    assert_int_equal(th_metrics_new(&metrics, NULL), TH_OK);
    return metrics;
}

static void test_what_is_printed(void **unused)
{
    (void)unused;
    TH_AUTO(th_metrics) struct th_metrics *metrics = new_metrics();
    TH_AUTO(th_buf) struct th_buf out = {0};
    struct th_family *family = family_of(metrics, &attempts);
    struct th_series *gauge = th_family_only(family_of(metrics, &in_flight));
    struct th_series *slot = th_family_series(family_of(metrics, &commit), &TH_STR("0"));

    th_count(th_family_series(family, (struct th_str[]){TH_STR("a"), TH_STR("ok")}), 2);
    th_count(th_family_series(family, (struct th_str[]){TH_STR("a\"\\\nb"), TH_STR("")}), 1);
    th_count(th_family_series(family, (struct th_str[]){TH_STR("a"), TH_STR("ok")}), 3);
    th_gauge_set(gauge, 10);
    th_gauge_add(gauge, -12);
    th_observe(slot, 1000);
    th_observe(slot, 1001);
    th_observe(slot, 3000000);
    th_metrics_print(metrics, &out);
    assert_str_equal(th_buf_str(&out),
                     TH_STR("# HELP telehub_attempts_total Attempts, by \\\\ lane\\nand outcome.\n"
                            "# TYPE telehub_attempts_total counter\n"
                            "telehub_attempts_total{lane=\"a\",outcome=\"ok\"} 5\n"
                            "telehub_attempts_total{lane=\"a\\\"\\\\\\nb\",outcome=\"\"} 1\n"
                            "# HELP telehub_in_flight Now.\n"
                            "# TYPE telehub_in_flight gauge\n"
                            "telehub_in_flight -2\n"
                            "# HELP telehub_commit_seconds How long a commit takes.\n"
                            "# TYPE telehub_commit_seconds histogram\n"
                            "telehub_commit_seconds_bucket{slot=\"0\",le=\"0.001\"} 1\n"
                            "telehub_commit_seconds_bucket{slot=\"0\",le=\"0.005\"} 2\n"
                            "telehub_commit_seconds_bucket{slot=\"0\",le=\"2.5\"} 2\n"
                            "telehub_commit_seconds_bucket{slot=\"0\",le=\"+Inf\"} 3\n"
                            "telehub_commit_seconds_sum{slot=\"0\"} 3.002001\n"
                            "telehub_commit_seconds_count{slot=\"0\"} 3\n"));
}

static void test_series_are_bounded(void **unused)
{
    (void)unused;
    TH_AUTO(th_metrics) struct th_metrics *metrics = new_metrics();
    TH_AUTO(th_buf) struct th_buf out = {0};
    struct th_family *family = family_of(metrics, &attempts);

    for (int i = 0; i < TH_METRIC_SERIES_MAX + 50; i++) {
        char lane[16];
        (void)snprintf(lane, sizeof lane, "%d", i);
        th_count(th_family_series(family, (struct th_str[]){th_str(lane), TH_STR("ok")}), 1);
    }
    th_metrics_print(metrics, &out);
    th_buf_add_char(&out, '\0');
    assert_non_null(strstr(out.p, "{lane=\"199\",outcome=\"ok\"} 1\n"));
    assert_null(strstr(out.p, "{lane=\"200\""));
    assert_non_null(strstr(out.p, "{lane=\"other\",outcome=\"other\"} 50\n"));
    /* A family is registered once, whoever asks. */
    assert_ptr_equal(family_of(metrics, &attempts), family);
}

static void test_long_and_broken_values_are_cut(void **unused)
{
    (void)unused;
    TH_AUTO(th_metrics) struct th_metrics *metrics = new_metrics();
    TH_AUTO(th_buf) struct th_buf out = {0};
    struct th_family *family = family_of(metrics, &attempts);
    static const char na[] = {'\xe0', '\xa4', '\xa8'};
    char value[100];

    memset(value, 'x', sizeof value);
    memcpy(value + TH_METRIC_LABEL_MAX - 1, na, sizeof na); /* does not fit as a whole */
    th_count(th_family_series(family, (struct th_str[]){{value, sizeof value}, TH_STR("a\xff")}),
             1);
    th_metrics_print(metrics, &out);
    assert_true(th_str_is_utf8(th_buf_str(&out)));
    th_buf_add_char(&out, '\0');
    assert_non_null(strstr(out.p, "x\",outcome=\"a\"} 1\n"));
}

static void test_nothing_is_counted_without_a_series(void **unused)
{
    (void)unused;
    th_count(NULL, 1);
    th_gauge_set(NULL, 1);
    th_gauge_add(NULL, 1);
    th_observe(NULL, 1);
}

static void *count_often(void *argument)
{
    struct th_family *family = argument;

    for (int i = 0; i < 20000; i++) {
        char lane[16];
        (void)snprintf(lane, sizeof lane, "%d", i % 7);
        th_count(th_family_series(family, (struct th_str[]){th_str(lane), TH_STR("ok")}), 1);
    }
    return NULL;
}

static void test_no_count_of_a_thread_is_lost(void **unused)
{
    (void)unused;
    TH_AUTO(th_metrics) struct th_metrics *metrics = new_metrics();
    TH_AUTO(th_buf) struct th_buf out = {0};
    struct th_family *family = family_of(metrics, &attempts);
    pthread_t threads[4];
    struct th_str line;
    int64_t sum = 0;
    int lines = 0;

    for (size_t i = 0; i < TH_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_often, family), 0);
    for (size_t i = 0; i < TH_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    th_metrics_print(metrics, &out);
    struct th_str rest = th_buf_str(&out);
    while (th_str_cut(rest, '\n', &line, &rest)) {
        int64_t n;
        struct th_str name;
        struct th_str value;
        if (line.p[0] == '#' || !th_str_cut(line, ' ', &name, &value))
            continue;
        assert_true(th_str_int(value, 1, INT64_MAX, &n));
        sum += n;
        lines++;
    }
    assert_int_equal(lines, 7);
    assert_int_equal(sum, 80000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_printed),
        cmocka_unit_test(test_series_are_bounded),
        cmocka_unit_test(test_long_and_broken_values_are_cut),
        cmocka_unit_test(test_nothing_is_counted_without_a_series),
        cmocka_unit_test(test_no_count_of_a_thread_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
