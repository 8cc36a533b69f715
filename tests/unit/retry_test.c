/* retry.c: what follows from what a provider said. */
#include "tests/unit/desk.h"
#include "tests/unit/test.h"

#include "processors/retry/retry.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define PHONE  TH_STR("+919800000001")

static struct retry_config config;

static struct th_id send_id(int number)
{
    struct th_id id = {.b = {1}};

    id.b[8] = (uint8_t)number;
    return id;
}

/* A send from the API, which is planned at once if anything can take it. */
static void request(struct desk *desk, int number, enum channel channel)
{
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {.send = send_id(number),
                              .channel = channel,
                              .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT,
                                         .as.send_content = {.to = {.as.string = PHONE},
                                                             .text = {.as.string = TH_STR("hello")},
                                                             .category = CATEGORY_TRANSACTIONAL,
                                                             .attempts_max = 4}},
                              .send_at_us = desk->now_us},
    };

    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
}

static int set_up(void **state)
{
    struct desk *desk = malloc(sizeof *desk);

    config = retry_config_default();
    assert_non_null(desk);
    desk_open(desk, &retry_core, &config);
    desk_lane(desk, "main", 1, "sim");
    desk_lane(desk, "spare", 2, "sim");
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    desk_close(*state);
    free(*state);
    return 0;
}

static void tell_result(struct desk *desk, int number, int32_t n, enum attempt_outcome outcome,
                        enum error_class class, struct th_str phone)
{
    struct event event = {
        .type = EVENT_ATTEMPT_RESULT,
        .as.attempt_result = {.send = send_id(number),
                              .n = n,
                              .lane = 1,
                              .outcome = outcome,
                              .error_class = class,
                              .reason = TH_STR("the_reason"),
                              .retry_after_us = -1,
                              .phone = {.as.string = phone}},
    };

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

static void tell_report(struct desk *desk, int number, int32_t n, enum channel channel,
                        enum error_class class, struct th_str phone)
{
    struct event event = {
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.send = send_id(number),
                                .n = n,
                                .lane = 1,
                                .channel = channel,
                                .status = TH_STR("failed"),
                                .rank = 42,
                                .is_final = true,
                                .error_class = class,
                                .reason = TH_STR("the_reason"),
                                .phone = {.as.string = phone}},
    };

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

/* --- opted out by a provider -------------------------------------------------------------------
 */

static void test_a_number_that_must_not_be_contacted_again_is_opted_out(void **unused)
{
    static const struct {
        const char *says;
        bool is_report;
        bool is_live; /* retry still knows the send */
        enum error_class class;
        const char *phone;
        bool is_opted_out;
    } cases[] = {
        {"the provider refuses a number that unsubscribed", false, true,
         ERROR_CLASS_PERMANENT_SUPPRESS, "+919800000001", true},
        {"the carrier reports a block, after retry has forgotten the message", true, false,
         ERROR_CLASS_PERMANENT_SUPPRESS, "+919800000001", true},
        {"an event of an older version names nobody", true, false, ERROR_CLASS_PERMANENT_SUPPRESS,
         "", false},
        {"a number that is only wrong is not opted out", false, true, ERROR_CLASS_PERMANENT, "",
         false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        if (cases[i].is_live)
            request(desk, 1, CHANNEL_SMS);
        if (cases[i].is_report)
            tell_report(desk, 1, 1, CHANNEL_SMS, cases[i].class, th_str(cases[i].phone));
        else
            tell_result(desk, 1, 1, ATTEMPT_OUTCOME_REJECTED, cases[i].class,
                        th_str(cases[i].phone));
        const struct event *out = desk_heard(desk, EVENT_OPTED_OUT, 0);
        assert_int_equal(out != NULL, cases[i].is_opted_out);
        assert_int_equal(desk_heard(desk, EVENT_SEND_ENDED, 0) != NULL, cases[i].is_live);
        if (out) {
            assert_int_equal(out->as.opted_out.contact, contact_hash(DESK_TENANT, PHONE));
            assert_str_equal(out->as.opted_out.phone.as.string, PHONE);
            assert_str_equal(out->as.opted_out.source, TH_STR("provider"));
            assert_true(out->as.opted_out.meta.cause.is_set);
            assert_int_equal(desk->said[0].topic, TOPIC_CONSENT_EVENTS);
        }
        tear_down(&state);
    }
}

static void test_an_opt_out_is_written_once(void **state)
{
    struct desk *desk = *state;

    tell_report(desk, 1, 1, CHANNEL_SMS, ERROR_CLASS_PERMANENT_SUPPRESS, PHONE);
    struct event out = *desk_heard(desk, EVENT_OPTED_OUT, 0);
    struct event in = {.type = EVENT_OPTED_IN,
                       .as.opted_in = {.contact = out.as.opted_out.contact,
                                       .phone = {.as.string = PHONE},
                                       .source = TH_STR("api")}};
    out.as.opted_out = (struct opted_out){.contact = out.as.opted_out.contact,
                                          .phone = {.as.string = PHONE},
                                          .source = TH_STR("provider")};
    print_message("  the report comes again before the opt-out was read back\n");
    tell_report(desk, 1, 1, CHANNEL_SMS, ERROR_CLASS_PERMANENT_SUPPRESS, PHONE);
    assert_null(desk_heard(desk, EVENT_OPTED_OUT, 0));
    print_message("  and after that, when a send to the number is suppressed\n");
    desk_refer(desk, TOPIC_CONSENT_EVENTS, &out);
    desk_wait(desk, 60 * SECOND);
    tell_report(desk, 1, 1, CHANNEL_SMS, ERROR_CLASS_PERMANENT_SUPPRESS, PHONE);
    assert_null(desk_heard(desk, EVENT_OPTED_OUT, 0));
    request(desk, 2, CHANNEL_SMS);
    assert_str_equal(desk_heard(desk, EVENT_SEND_SUPPRESSED, 0)->as.send_suppressed.reason,
                     TH_STR("opted_out"));
    print_message("  who opted in and is refused again is opted out again\n");
    desk_refer(desk, TOPIC_CONSENT_EVENTS, &in);
    request(desk, 3, CHANNEL_SMS);
    assert_non_null(desk_heard(desk, EVENT_SEND_PLANNED, 0));
    tell_result(desk, 3, 1, ATTEMPT_OUTCOME_REJECTED, ERROR_CLASS_PERMANENT_SUPPRESS, PHONE);
    assert_non_null(desk_heard(desk, EVENT_OPTED_OUT, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_that_must_not_be_contacted_again_is_opted_out),
        cmocka_unit_test_setup_teardown(test_an_opt_out_is_written_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
