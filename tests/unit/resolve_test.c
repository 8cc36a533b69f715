/* resolve.c: what settles an attempt whose outcome nobody knows, by what its provider offers. */
#include "tests/unit/desk.h"
#include "tests/unit/test.h"

#include "processors/dispatch/dispatch.h"

#include <string.h>

#define SECOND  INT64_C(1000000)
#define NUMBER  TH_STR("+919800000001")
#define WORDS   TH_STR("hello, three words")
#define KEY_S   3600
#define SETTLES 70 /* seconds: longer than the first wait for a search */

enum { LANE_KEY = 1, LANE_LOOK, LANE_NONE, LANE_SLOW };

static enum th_code search_build(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err)
{
    (void)account, (void)search, (void)arena, (void)out_req;
    return th_fail(err, TH_UNSUPPORTED, "the shell's business");
}

static const struct provider_ops wire_key = {
    .name = "key", .caps = {.reconciliation = PROVIDER_IDEMPOTENT, .key_life_s = KEY_S}};
static const struct provider_ops wire_look = {
    .name = "look", .caps = {.reconciliation = PROVIDER_LOOKUP}, .search_build = search_build};
static const struct provider_ops wire_none = {.name = "none",
                                              .caps = {.reconciliation = PROVIDER_NONE}};
static const struct provider_ops wire_slow = {
    .name = "slow",
    .caps = {.reconciliation = PROVIDER_LOOKUP, .settle_ms = SETTLES * 1000},
    .search_build = search_build};
static const struct provider_ops *const wires[] = {&wire_key, &wire_look, &wire_none, &wire_slow,
                                                   NULL};

static struct dispatch_config config;
static const struct attempt_ref attempt = {{.b = {1}}, 1};

static void open_with(struct desk *desk, int64_t callback_window_us)
{
    config = dispatch_config_default();
    config.wires = wires;
    if (callback_window_us)
        config.callback_window_sms_us = callback_window_us;
    desk_open(desk, &dispatch_core, &config);
    desk_lane(desk, "key", LANE_KEY, "key");
    desk_lane(desk, "look", LANE_LOOK, "look");
    desk_lane(desk, "none", LANE_NONE, "none");
    desk_lane(desk, "slow", LANE_SLOW, "slow");
}

static int set_up(void **state)
{
    struct desk *desk = malloc(sizeof *desk);

    assert_non_null(desk);
    open_with(desk, 0);
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    desk_close(*state);
    free(*state);
    return 0;
}

static void begin(struct desk *desk, int32_t lane)
{
    struct event event = {
        .type = EVENT_ATTEMPT_PLAN,
        .as.attempt_plan = {.send = attempt.send,
                            .n = attempt.n,
                            .lane = lane,
                            .channel = CHANNEL_SMS,
                            .to = {.as.string = NUMBER},
                            .contact = contact_hash(DESK_TENANT, NUMBER),
                            .sender = TH_STR("+911140000000"),
                            .text = {.as.string = WORDS},
                            .lang = TH_STR("en-IN")},
    };

    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
}

static const struct th_id campaign = {.b = {9}};

static void control(struct desk *desk, int64_t version, enum control_state to)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_CONTROLLED,
        .as.campaign_controlled = {.campaign = campaign, .version = version, .state = to}};

    desk_refer(desk, TOPIC_CAMPAIGN_CONTROL, &event);
}

/* One of a campaign, which must be started within two seconds. */
static void begin_paced(struct desk *desk, int32_t lane)
{
    struct event event = {
        .type = EVENT_ATTEMPT_PLAN,
        .as.attempt_plan = {.send = attempt.send,
                            .n = attempt.n,
                            .campaign = {true, campaign},
                            .lane = lane,
                            .channel = CHANNEL_SMS,
                            .to = {.as.string = NUMBER},
                            .contact = contact_hash(DESK_TENANT, NUMBER),
                            .sender = TH_STR("+911140000000"),
                            .text = {.as.string = WORDS},
                            .lang = TH_STR("en-IN"),
                            .send_at_us = desk->now_us,
                            .send_by_us = desk->now_us + 2 * SECOND},
    };

    control(desk, 1, CONTROL_STATE_RUNNING);
    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
}

/* The repeat has a release, from then on and for two seconds; or without a limit. */
static void release(struct desk *desk, int64_t after_us, bool has_limit)
{
    int64_t at = desk->now_us + after_us;
    struct event event = {
        .type = EVENT_REPEAT_RELEASED,
        .as.repeat_released = {.send = attempt.send,
                               .n = attempt.n,
                               .campaign = {true, campaign},
                               .lane = LANE_KEY,
                               .release = 7,
                               .send_at_us = at,
                               .send_by_us = has_limit ? at + 2 * SECOND : 0},
    };

    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
}

static void tell(struct desk *desk, enum answer_type type, enum provider_result result,
                 bool is_taken)
{
    struct answer answer = {
        .type = type,
        .as.call_ended = {.attempt = attempt,
                          .outcome = {.result = result,
                                      .error_class = result == PROVIDER_ACCEPTED
                                                         ? PROVIDER_CLASS_NONE
                                                         : PROVIDER_TRANSIENT,
                                      .is_accepted_without_id = is_taken,
                                      .provider_id =
                                          result == PROVIDER_ACCEPTED ? TH_STR("SM1") : TH_STR(""),
                                      .reason = TH_STR("answer_lost"),
                                      .retry_after_us = -1}},
    };

    desk_reply(desk, &answer);
}

static void lose(struct desk *desk, int32_t lane)
{
    begin(desk, lane);
    tell(desk, ANSWER_CALL_ENDED, PROVIDER_UNKNOWN, false);
    assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
}

static void find(struct desk *desk, enum provider_lookup_result result)
{
    struct provider_report report = {
        .channel = PROVIDER_SMS, .provider_id = TH_STR("SM1"), .status = PROVIDER_SMS_SENT};
    struct answer answer = {
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {.attempt = attempt,
                            .lookup = {result, &report, result == PROVIDER_FOUND, -1}},
    };

    desk_reply(desk, &answer);
}

/* Exactly after the wait it asks, and not before. */
static const struct effect *asks_after(struct desk *desk, int64_t wait_s, enum effect_type type)
{
    desk_wait(desk, (wait_s - 1) * SECOND);
    assert_int_equal(desk->effects_n, 0);
    desk_wait(desk, SECOND);
    assert_int_equal(desk->effects_n, 1);
    assert_int_equal(desk->effects[0].type, type);
    return &desk->effects[0];
}

static void assert_resolved(const struct desk *desk, enum attempt_outcome outcome,
                            enum resolved_how how)
{
    const struct event *resolved = desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0);

    assert_non_null(resolved);
    assert_int_equal(resolved->as.attempt_resolved.outcome, outcome);
    assert_int_equal(resolved->as.attempt_resolved.how, how);
}

static void test_a_believed_no_takes_three(void **unused)
{
    static const int64_t waits_s[] = {60, 30, 90};
    static const struct {
        const char *says;
        enum provider_lookup_result told[3];
        size_t n;
        bool is_taken;
        bool is_resolved;
        enum attempt_outcome outcome;
    } cases[] = {
        {"found: the provider has it", {PROVIDER_FOUND}, 1, false, true, ATTEMPT_OUTCOME_ACCEPTED},
        {"found the third time only: likewise",
         {PROVIDER_ABSENT, PROVIDER_ABSENT, PROVIDER_FOUND},
         3,
         false,
         true,
         ATTEMPT_OUTCOME_ACCEPTED},
        {"absent twice says nothing yet",
         {PROVIDER_ABSENT, PROVIDER_ABSENT},
         2,
         false,
         false,
         ATTEMPT_OUTCOME_UNKNOWN},
        {"absent three times: it was not executed",
         {PROVIDER_ABSENT, PROVIDER_ABSENT, PROVIDER_ABSENT},
         3,
         false,
         true,
         ATTEMPT_OUTCOME_NOT_EXECUTED},
        {"whatever says that it is absent, a 2xx said that it was taken",
         {PROVIDER_ABSENT, PROVIDER_ABSENT, PROVIDER_ABSENT},
         3,
         true,
         false,
         ATTEMPT_OUTCOME_UNKNOWN},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        begin(desk, LANE_LOOK);
        tell(desk, ANSWER_CALL_ENDED, PROVIDER_UNKNOWN, cases[i].is_taken);
        for (size_t k = 0; k < cases[i].n; k++) {
            assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
            (void)asks_after(desk, waits_s[k], EFFECT_LOOKUP);
            find(desk, cases[i].told[k]);
        }
        if (cases[i].is_resolved)
            assert_resolved(desk, cases[i].outcome, RESOLVED_HOW_LOOKUP);
        else
            assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
        tear_down(&state);
    }
}

static void test_no_answer_to_the_question_is_no_no(void **state)
{
    struct desk *desk = *state;

    lose(desk, LANE_LOOK);
    desk_wait(desk, 60 * SECOND);
    for (int i = 0; i < 20; i++) {
        find(desk, i % 2 ? PROVIDER_ASK_AGAIN : PROVIDER_ASK_REFUSED);
        assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
        desk_wait(desk, 90 * SECOND);
        assert_int_equal(desk->effects_n, 1);
    }
}

static void test_quarantine_is_as_long_as_the_provider_needs(void **state)
{
    struct desk *desk = *state;
    int64_t least_s = (config.send_window_ms + config.call_timeout_ms) / 1000 + SETTLES;

    lose(desk, LANE_SLOW);
    (void)asks_after(desk, least_s, EFFECT_LOOKUP);
}

static void test_a_repeat_is_the_same_request(void **state)
{
    struct desk *desk = *state;
    const struct effect_call *call;

    lose(desk, LANE_KEY);
    call = &asks_after(desk, 60, EFFECT_REPEAT)->as.call;
    assert_memory_equal(&call->attempt, &attempt, sizeof attempt);
    assert_str_equal(call->to, NUMBER);
    assert_str_equal(call->sender, TH_STR("+911140000000"));
    assert_str_equal(call->text, WORDS);
    assert_str_equal(call->lang, TH_STR("en-IN"));
    assert_int_equal(call->contact, contact_hash(DESK_TENANT, NUMBER));
    assert_int_equal(call->send_by_us, 0);
    tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_ACCEPTED, false);
    assert_resolved(desk, ATTEMPT_OUTCOME_ACCEPTED, RESOLVED_HOW_IDEMPOTENT_REPLAY);
}

/* Said once on each of the two topics, and nothing is sent. */
static void assert_wanted(const struct desk *desk)
{
    const struct event *wanted = desk_heard(desk, EVENT_REPEAT_WANTED, 0);

    assert_non_null(wanted);
    assert_memory_equal(&wanted->as.repeat_wanted.send, &attempt.send, sizeof attempt.send);
    assert_int_equal(wanted->as.repeat_wanted.n, attempt.n);
    assert_non_null(desk_heard(desk, EVENT_REPEAT_WANTED, 1));
    assert_null(desk_heard(desk, EVENT_REPEAT_WANTED, 2));
    assert_int_equal(desk->effects_n, 0);
}

static void lose_paced(struct desk *desk)
{
    begin_paced(desk, LANE_KEY);
    tell(desk, ANSWER_CALL_ENDED, PROVIDER_UNKNOWN, false);
    desk_wait(desk, 60 * SECOND);
    assert_wanted(desk);
}

static void test_a_late_repeat_wants_a_release(void **state)
{
    struct desk *desk = *state;

    lose_paced(desk);
    print_message("  until it has one it neither asks again nor is made\n");
    for (int i = 0; i < 5; i++) {
        desk_wait(desk, 90 * SECOND);
        assert_int_equal(desk->said_n, 0);
        assert_int_equal(desk->effects_n, 0);
    }
    print_message("  it is made in the time of the release\n");
    release(desk, 5 * SECOND, true);
    assert_int_equal(desk->effects_n, 0);
    const struct effect_call *call = &asks_after(desk, 5, EFFECT_REPEAT)->as.call;
    assert_int_equal(call->send_by_us, desk->now_us + 2 * SECOND);
    assert_memory_equal(&call->attempt, &attempt, sizeof attempt);
    print_message("  it fails: the next one wants a release again\n");
    tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_UNKNOWN, false);
    desk_wait(desk, 90 * SECOND);
    assert_wanted(desk);
    release(desk, 0, true);
    desk_wait(desk, 0);
    assert_int_equal(desk->effects_n, 1);
    tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_ACCEPTED, false);
    assert_resolved(desk, ATTEMPT_OUTCOME_ACCEPTED, RESOLVED_HOW_IDEMPOTENT_REPLAY);
}

static void test_a_release_that_nobody_waits_for_changes_nothing(void **unused)
{
    static const struct {
        const char *says;
        bool is_lost;
        enum provider_result told; /* of the call, or of the repeat */
    } cases[] = {
        {"the call is under way", false, PROVIDER_UNKNOWN},
        {"a callback came before", true, PROVIDER_ACCEPTED},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        if (cases[i].is_lost)
            lose_paced(desk);
        else
            begin_paced(desk, LANE_KEY);
        if (cases[i].told == PROVIDER_ACCEPTED)
            tell(desk, ANSWER_CALL_ENDED, PROVIDER_ACCEPTED, false);
        release(desk, 0, true);
        assert_int_equal(desk->said_n, 0);
        desk_wait(desk, SECOND);
        assert_int_equal(desk->effects_n, 0);
        tear_down(&state);
    }
}

/* Between one repeat and the next the campaign may have been given a pace. */
static void test_a_release_without_a_limit_is_for_what_leaves_at_once(void **state)
{
    struct desk *desk = *state;

    lose_paced(desk);
    for (int i = 0; i < 4; i++) {
        release(desk, 0, false);
        desk_wait(desk, 0);
        assert_int_equal(desk->effects_n, 1);
        assert_int_equal(desk->effects[0].as.call.send_by_us, desk->now_us + DISPATCH_AT_ONCE_US);
        tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_UNKNOWN, false);
        desk_wait(desk, 90 * SECOND);
        assert_wanted(desk);
    }
}

static void test_what_else_forbids_a_repeat_the_last_look_tells(void **unused)
{
    static const struct {
        const char *says;
        enum control_state to;
        bool is_wanted; /* a release, when it is forbidden */
    } cases[] = {
        {"paused before it was due", CONTROL_STATE_PAUSED, false},
        {"cancelled before it was due", CONTROL_STATE_CANCELLED, false},
        {"paused while it waits", CONTROL_STATE_PAUSED, true},
        {"cancelled while it waits", CONTROL_STATE_CANCELLED, true},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        begin_paced(desk, LANE_KEY);
        tell(desk, ANSWER_CALL_ENDED, PROVIDER_UNKNOWN, false);
        if (cases[i].is_wanted)
            desk_wait(desk, 60 * SECOND);
        control(desk, 2, cases[i].to);
        desk_wait(desk, 90 * SECOND);
        assert_null(desk_heard(desk, EVENT_REPEAT_WANTED, 0));
        assert_int_equal(desk->effects_n, 1);
        assert_true(desk->effects[0].as.call.send_by_us < desk->now_us); /* late in any case */
        tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_NOT_SENT, false);
        assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
        desk_wait(desk, config.callback_window_sms_us);
        for (int k = 0; k < 3 && desk->effects_n; k++) {
            tell(desk, ANSWER_REPEAT_ENDED, PROVIDER_NOT_SENT, false);
            if (!desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0))
                desk_wait(desk, 90 * SECOND);
        }
        assert_resolved(desk, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY);
        tear_down(&state);
    }
}

static void test_who_took_over_still_waits_for_the_release(void **state)
{
    struct desk *desk = *state;

    lose_paced(desk);
    desk_reopen(desk, &config);
    desk_wait(desk, 60 * SECOND);
    assert_null(desk_heard(desk, EVENT_REPEAT_WANTED, 0));
    assert_int_equal(desk->effects_n, 0);
    release(desk, 0, true);
    desk_wait(desk, 0);
    assert_int_equal(desk->effects_n, 1);
    assert_int_equal(desk->effects[0].type, EFFECT_REPEAT);
}

static void test_only_acceptance_of_a_repeat_proves_anything(void **state)
{
    static const enum provider_result results[] = {PROVIDER_REJECTED, PROVIDER_THROTTLED,
                                                   PROVIDER_UNKNOWN, PROVIDER_NOT_SENT};
    struct desk *desk = *state;

    lose(desk, LANE_KEY);
    desk_wait(desk, 60 * SECOND);
    for (size_t i = 0; i < TH_LEN(results); i++) {
        tell(desk, ANSWER_REPEAT_ENDED, results[i], false);
        assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
        assert_null(desk_heard(desk, EVENT_ATTEMPT_RESULT, 0));
        desk_wait(desk, 90 * SECOND);
        assert_int_equal(desk->effects[0].type, EFFECT_REPEAT);
    }
}

static void test_a_repeat_ends_before_the_key_does(void **state)
{
    struct desk *desk = *state;

    lose(desk, LANE_KEY);
    desk_wait(desk, KEY_S * SECOND);
    assert_int_equal(desk->effects_n, 0);
    desk_wait(desk, config.callback_window_sms_us);
    assert_resolved(desk, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY);
}

static void test_who_took_over_asks_after_a_quarantine_of_its_own(void **state)
{
    struct desk *desk = *state;

    lose(desk, LANE_KEY);
    desk_wait(desk, 50 * SECOND);
    desk_reopen(desk, &config);
    assert_str_equal(asks_after(desk, 60, EFFECT_REPEAT)->as.call.text, WORDS);
}

static void test_an_outage_longer_than_the_window_still_asks(void **state)
{
    static const struct {
        const char *says;
        int32_t lane;
        enum effect_type type;
    } cases[] = {
        {"asked for by name", LANE_LOOK, EFFECT_LOOKUP},
        {"made again", LANE_KEY, EFFECT_REPEAT},
    };
    struct desk *desk = *state;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        desk_close(desk);
        open_with(desk, 100 * SECOND);
        lose(desk, cases[i].lane);
        desk->now_us += 1000 * SECOND;
        desk_reopen(desk, &config);
        assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
        (void)asks_after(desk, 60, cases[i].type);
    }
}

static void test_where_nobody_can_tell_it_is_in_doubt_soon(void **state)
{
    struct desk *desk = *state;

    lose(desk, LANE_NONE);
    desk_wait(desk, 59 * SECOND);
    assert_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
    desk_wait(desk, SECOND);
    assert_resolved(desk, ATTEMPT_OUTCOME_IN_DOUBT, RESOLVED_HOW_POLICY);
    assert_int_equal(desk->effects_n, 0);
}

int main(void)
{
#define DESK_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_believed_no_takes_three),
        DESK_TEST(test_no_answer_to_the_question_is_no_no),
        DESK_TEST(test_quarantine_is_as_long_as_the_provider_needs),
        DESK_TEST(test_a_repeat_is_the_same_request),
        DESK_TEST(test_a_late_repeat_wants_a_release),
        cmocka_unit_test(test_a_release_that_nobody_waits_for_changes_nothing),
        DESK_TEST(test_a_release_without_a_limit_is_for_what_leaves_at_once),
        cmocka_unit_test(test_what_else_forbids_a_repeat_the_last_look_tells),
        DESK_TEST(test_who_took_over_still_waits_for_the_release),
        DESK_TEST(test_only_acceptance_of_a_repeat_proves_anything),
        DESK_TEST(test_a_repeat_ends_before_the_key_does),
        DESK_TEST(test_who_took_over_asks_after_a_quarantine_of_its_own),
        DESK_TEST(test_an_outage_longer_than_the_window_still_asks),
        DESK_TEST(test_where_nobody_can_tell_it_is_in_doubt_soon),
    };
#undef DESK_TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
