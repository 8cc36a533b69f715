/* samples.c, top.c: figures are read back, and become a screen. */
#include "tests/unit/test.h"

#include "processors/cli/top.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct th_arena arena;

static struct samples read_samples(const char *text)
{
    struct samples samples;

    assert_int_equal(samples_read(th_str(text), &arena, &samples), TH_OK);
    return samples;
}

static void test_lines(void **state)
{
    static const struct {
        const char *says;
        const char *line;
        size_t n;
        double value;
        const char *label; /* value of the label "a"; NULL: it has none */
    } cases[] = {
        {"a bare one", "up 1", 1, 1, NULL},
        {"with a label", "up{a=\"x\"} 2.5", 1, 2.5, "x"},
        {"the second label", "up{b=\"y\",a=\"x\"} -3", 1, -3, "x"},
        {"no labels in its braces", "up{} 4", 1, 4, NULL},
        {"an escaped quote", "up{a=\"x\\\"}\"} 5", 1, 5, "x\\\"}"},
        {"an exponent", "up 1e-3", 1, 0.001, NULL},
        {"a comment is passed over", "# HELP up Whether", 0, 0, NULL},
        {"an empty line is passed over", "", 0, 0, NULL},
        {"a label that does not end is passed over", "up{a=\"x} 1", 0, 0, NULL},
        {"braces that do not end are passed over", "up{a=\"x\" 1", 0, 0, NULL},
        {"no number is passed over", "up one", 0, 0, NULL},
        {"an empty number is passed over", "up ", 0, 0, NULL},
        {"more than a number is passed over", "up 1 2x", 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct samples samples = read_samples(cases[i].line);

        if (samples.n != cases[i].n)
            fail_msg("%s: %zu samples", cases[i].says, samples.n);
        if (samples.n == 0)
            continue;
        struct th_str label = sample_label(&samples.at[0], "a");
        if (fabs(samples.at[0].value - cases[i].value) > 1e-12)
            fail_msg("%s: %g", cases[i].says, samples.at[0].value);
        if (!cases[i].label != !label.p || !th_str_eq(label, th_str(cases[i].label)))
            fail_msg("%s: label %.*s", cases[i].says, TH_ARG(label));
    }
}

static void test_a_quantile_is_of_what_was_counted_between_the_readings(void **state)
{
    struct samples before = read_samples("t_bucket{p=\"a\",le=\"0.001\"} 100\n"
                                         "t_bucket{p=\"a\",le=\"0.01\"} 100\n"
                                         "t_bucket{p=\"a\",le=\"+Inf\"} 100\n");
    struct samples now = read_samples("t_bucket{p=\"a\",le=\"0.001\"} 101\n"
                                      "t_bucket{p=\"a\",le=\"0.01\"} 199\n"
                                      "t_bucket{p=\"a\",le=\"+Inf\"} 200\n"
                                      "t_bucket{p=\"b\",le=\"+Inf\"} 7\n");
    struct th_str a = TH_STR("a");

    (void)state;
    assert_true(fabs(samples_quantile(&before, &now, "t", "p", a, 0.01) - 0.001) < 1e-9);
    assert_true(fabs(samples_quantile(&before, &now, "t", "p", a, 0.5) - 0.01) < 1e-9);
    assert_true(isinf(samples_quantile(&before, &now, "t", "p", a, 1.0)));
    assert_true(isinf(samples_quantile(&before, &now, "t", "p", TH_STR("b"), 0.5)));
    assert_true(samples_quantile(&now, &now, "t", "p", a, 0.5) < 0);
    assert_true(samples_quantile(&before, &now, "t", "p", TH_STR("c"), 0.5) < 0);
}

static const char text_before[] =
    "telehub_http_requests_total{route=\"/webhooks/{wire}/{token}\",status=\"2xx\"} 1000\n"
    "telehub_http_requests_total{route=\"/api/v1/sends\",status=\"4xx\"} 0\n"
    "telehub_inputs_total{processor=\"retry\",slot=\"0\"} 0\n"
    "telehub_commits_total{processor=\"retry\",slot=\"0\"} 0\n"
    "telehub_batch_inputs_sum{processor=\"retry\"} 0\n"
    "telehub_batch_inputs_count{processor=\"retry\"} 0\n"
    "telehub_view_events_total{slot=\"0\"} 0\n";

static const char text_now[] =
    "telehub_http_requests_total{route=\"/webhooks/{wire}/{token}\",status=\"2xx\"} 5000\n"
    "telehub_http_requests_total{route=\"/api/v1/sends\",status=\"4xx\"} 1\n"
    "telehub_slot_open{processor=\"retry\",slot=\"0\"} 1\n"
    "telehub_slot_open{processor=\"retry\",slot=\"1\"} 0\n"
    "telehub_slot_open{processor=\"materialize\",slot=\"0\"} 1\n"
    "telehub_inputs_total{processor=\"retry\",slot=\"0\"} 2469\n"
    "telehub_commits_total{processor=\"retry\",slot=\"0\"} 200\n"
    "telehub_batch_inputs_sum{processor=\"retry\"} 2400\n"
    "telehub_batch_inputs_count{processor=\"retry\"} 200\n"
    "telehub_commit_seconds_bucket{processor=\"retry\",le=\"0.002\"} 150\n"
    "telehub_commit_seconds_bucket{processor=\"retry\",le=\"0.005\"} 200\n"
    "telehub_commit_seconds_bucket{processor=\"retry\",le=\"+Inf\"} 200\n"
    "telehub_lag_records{processor=\"retry\",slot=\"0\",topic=\"send.requests\"} 12\n"
    "telehub_view_events_total{slot=\"0\"} 3000000\n"
    "telehub_view_batches_total{slot=\"0\"} 20\n"
    "telehub_lane_circuit{lane=\"1\",tenant=\"pratham\",account=\"sandbox\"} 2\n"
    "telehub_dispatch_in_flight{slot=\"1\",lane=\"1\"} 37\n"
    "telehub_dispatch_window{slot=\"0\",lane=\"\"} 64\n"
    "telehub_dispatch_window{slot=\"1\",lane=\"\"} 64\n"
    "telehub_dispatch_held{slot=\"0\",lane=\"\"} 0\n"
    "telehub_dispatch_held{slot=\"1\",lane=\"\"} 1\n"
    "telehub_retry_live{slot=\"0\",lane=\"\"} 1000\n"
    "telehub_in_doubt 3\n"
    "telehub_dead_letters_unsettled 1\n";

static void test_the_screen_says_what_goes_on(void **state)
{
    static const char expected[] =
        "requests   2,000/s, of them callbacks 2,000/s, refused 0.5/s, failed 0/s; half -, 99 % -\n"
        "sends      1,000 live, 0 ask for a release, 0 found their lane full, 0 plans wait\n"
        "in flight  37, of a window of 128; starts wait: callbacks are unread, or prices not asked "
        "for\n"
        "in doubt   3 recipients;  dead letters 1: see telehub dlq list\n"
        "\n"
        "processor    slots   inputs/s  commits/s inputs each    half in    99 % in    behind\n"
        "retry         1/2       1,234        100          12     < 2 ms     < 5 ms        12\n"
        "materialize   1/1   1,500,000         10     150,000                               0\n"
        "\n"
        "lane 1    sandbox              pratham              circuit open       in flight 37\n";
    struct samples before = read_samples(text_before);
    struct samples now = read_samples(text_now);
    struct th_buf out = {0};

    (void)state;
    top_draw(&(struct top){&before, &now, 2}, &out);
    assert_int_equal(th_buf_status(&out), TH_OK);
    th_buf_add_char(&out, '\0');
    assert_string_equal(out.p, expected);
    th_buf_fini(&out);
}

static void test_nothing_running_is_no_crash(void **state)
{
    struct samples none = read_samples("");
    struct th_buf out = {0};

    (void)state;
    top_draw(&(struct top){&none, &none, 0}, &out);
    top_json(&(struct top){&none, &none, 0}, &out);
    assert_int_equal(th_buf_status(&out), TH_OK);
    assert_true(out.n > 0);
    th_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_a_quantile_is_of_what_was_counted_between_the_readings),
        cmocka_unit_test(test_the_screen_says_what_goes_on),
        cmocka_unit_test(test_nothing_running_is_no_crash),
    };

    th_arena_init(&arena, (size_t)1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    th_arena_fini(&arena);
    return failed;
}
