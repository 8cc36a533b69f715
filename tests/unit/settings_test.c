/* settings.c: the table and its owners agree, and .env.example is what the table prints. */
#include "tests/unit/test.h"

#include "connectors/gateway/gateway.h"
#include "processors/main/settings.h"

#include <stdio.h>
#include <string.h>

static struct th_conf *presets(void)
{
    struct th_conf *conf = NULL;
    struct th_err err = {0};

    assert_int_equal(settings_new(&conf, &err), TH_OK);
    return conf;
}

static void test_example(void **state)
{
    TH_AUTO(th_conf) struct th_conf *conf = presets();
    TH_AUTO(th_buf) struct th_buf text = {0};
    TH_AUTO(th_buf) struct th_buf file = {0};
    FILE *example = fopen(TELEHUB_SOURCE_DIR "/.env.example", "re");
    char bytes[4096];
    size_t n;

    (void)state;
    print_message("  .env.example is what telehub run --print-env prints\n");
    assert_non_null(example);
    while ((n = fread(bytes, 1, sizeof bytes, example)) > 0)
        th_buf_add(&file, (struct th_str){bytes, n});
    (void)fclose(example);
    th_conf_print_example(conf, &text);
    assert_str_equal(th_buf_str(&text), th_buf_str(&file));
}

static void test_presets(void **state)
{
    TH_AUTO(th_conf) struct th_conf *conf = presets();
    struct campaign_config campaign = settings_campaign(conf);
    struct retry_config retry = settings_retry(conf);
    struct dispatch_config dispatch = settings_dispatch(conf);
    struct campaign_config wanted_campaign = CAMPAIGN_CONFIG_DEFAULT;
    struct retry_config wanted_retry = retry_config_default();
    struct dispatch_config wanted_dispatch = dispatch_config_default();

    (void)state;
    print_message("  the presets are what the cores document\n");
    assert_int_equal(campaign.look_ahead, wanted_campaign.look_ahead);
    assert_int_equal(campaign.look_ahead_us, wanted_campaign.look_ahead_us);
    assert_int_equal(campaign.ask_again_us, wanted_campaign.ask_again_us);
    assert_int_equal(retry.backoff_base_us, wanted_retry.backoff_base_us);
    assert_int_equal(retry.backoff_cap_us, wanted_retry.backoff_cap_us);
    assert_int_equal(retry.slow_wait_us, wanted_retry.slow_wait_us);
    assert_int_equal(retry.tries_per_lane, wanted_retry.tries_per_lane);
    assert_int_equal(retry.report_wait_us, wanted_retry.report_wait_us);
    assert_int_equal(retry.room_wait_us, wanted_retry.room_wait_us);
    assert_int_equal(retry.behind_wait_us, wanted_retry.behind_wait_us);
    assert_int_equal(retry.lane_plans_min, wanted_retry.lane_plans_min);
    assert_int_equal(retry.lane_plans_free, wanted_retry.lane_plans_free);
    assert_int_equal(retry.part_plans_max, wanted_retry.part_plans_max);
    assert_int_equal(dispatch.send_window_ms, wanted_dispatch.send_window_ms);
    assert_int_equal(dispatch.call_timeout_ms, wanted_dispatch.call_timeout_ms);
    assert_int_equal(dispatch.window_min, wanted_dispatch.window_min);
    assert_int_equal(dispatch.window_max, wanted_dispatch.window_max);
    assert_int_equal(dispatch.callback_window_sms_us, wanted_dispatch.callback_window_sms_us);
    assert_int_equal(dispatch.callback_window_call_us, wanted_dispatch.callback_window_call_us);
    assert_int_equal(dispatch.search_wait_us, wanted_dispatch.search_wait_us);
    assert_int_equal(dispatch.price_wait_us, wanted_dispatch.price_wait_us);
    assert_int_equal(dispatch.price_tries, wanted_dispatch.price_tries);
    assert_int_equal(dispatch.report_wait_us, wanted_dispatch.report_wait_us);
    assert_int_equal(dispatch.behind_wait_us, wanted_dispatch.behind_wait_us);
    assert_int_equal(dispatch.probe_wait_us, wanted_dispatch.probe_wait_us);
    assert_int_equal(dispatch.circuit_calls, wanted_dispatch.circuit_calls);
}

static void test_gateway(void **state)
{
    TH_AUTO(th_conf) struct th_conf *conf = presets();
    struct gateway_limits limits = gateway_limits_of(conf);
    struct gateway_limits wanted = gateway_limits_default();

    (void)state;
    print_message("  so are the gateway's\n");
    assert_int_equal(limits.threads, wanted.threads);
    assert_int_equal(limits.connections, wanted.connections);
    assert_int_equal(limits.deadline_us, wanted.deadline_us);
    assert_int_equal(limits.token_wait_us, wanted.token_wait_us);
    assert_int_equal(limits.pending_bytes_max, wanted.pending_bytes_max);
}

static void test_database(void **state)
{
    TH_AUTO(th_conf) struct th_conf *conf = presets();
    struct th_err err = {0};
    char conninfo[512];

    (void)state;
    print_message("  without a setting the database is the private cluster\n");
    settings_database(conf, "/var/lib/telehub", conninfo, sizeof conninfo);
    assert_non_null(strstr(conninfo, "/var/lib/telehub/postgres/run"));
    assert_int_equal(th_conf_set(conf, "database", TH_STR("dbname=other"), &err), TH_OK);
    settings_database(conf, "/var/lib/telehub", conninfo, sizeof conninfo);
    assert_string_equal(conninfo, "dbname=other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_gateway),
        cmocka_unit_test(test_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
