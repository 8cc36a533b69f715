/* dispatch.c: what becomes of an attempt whose outcome nobody knows. */
#include "tests/unit/desk.h"
#include "tests/unit/test.h"

#include "processors/dispatch/dispatch.h"

#include <string.h>

#define SECOND INT64_C(1000000)
#define OTHER  TH_STR("+919800000002")

/* --- a wire ------------------------------------------------------------------------------------
 */

static enum th_code search_build(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err)
{
    (void)account, (void)search, (void)arena, (void)out_req;
    return th_fail(err, TH_UNSUPPORTED, "the shell's business");
}

/* A callback of this wire is the id alone, and says delivered. */
static enum th_code callback_parse(struct th_str body, struct th_arena *arena,
                                   struct provider_report *out, struct th_err *err)
{
    (void)arena, (void)err;
    *out = (struct provider_report){.channel = PROVIDER_SMS,
                                    .provider_id = body,
                                    .status = PROVIDER_SMS_DELIVERED,
                                    .is_final = true,
                                    .is_positive = true};
    return TH_OK;
}

/* Of this one it is the status of a call in a word. */
static enum th_code call_parse(struct th_str body, struct th_arena *arena,
                               struct provider_report *out, struct th_err *err)
{
    (void)arena, (void)err;
    for (int s = PROVIDER_CALL_INITIATED; s <= PROVIDER_CALL_CANCELLED; s++)
        if (th_str_eq(body, th_str(provider_status_text((enum provider_status)s))))
            *out = (struct provider_report){
                .channel = PROVIDER_CALL,
                .provider_id = TH_STR("CA1"),
                .status = (enum provider_status)s,
                .is_final = provider_status_is_final((enum provider_status)s),
                .is_positive = provider_status_is_positive((enum provider_status)s)};
    return TH_OK;
}

static const struct provider_ops calling = {.name = "calling", .callback_parse = call_parse};
static const struct provider_ops searchable = {.name = "searchable",
                                               .caps = {.reconciliation = PROVIDER_CALLBACK},
                                               .callback_parse = callback_parse,
                                               .search_build = search_build};
static const struct provider_ops closed = {.name = "closed", .callback_parse = callback_parse};
static const struct provider_ops *const wires[] = {&searchable, &closed, &calling, NULL};

/* --- one attempt -------------------------------------------------------------------------------
 */

static struct dispatch_config config;

static struct th_id send_id(int number)
{
    struct th_id id = {.b = {1}};

    id.b[8] = (uint8_t)number;
    return id;
}

static void plan(struct desk *desk, int number, struct th_str to, int32_t lane)
{
    struct event event = {
        .type = EVENT_ATTEMPT_PLAN,
        .as.attempt_plan = {.send = send_id(number),
                            .n = 1,
                            .lane = lane,
                            .channel = CHANNEL_SMS,
                            .to = {.as.string = to},
                            .contact = contact_hash(DESK_TENANT, to),
                            .sender = TH_STR("+911140000000"),
                            .text = {.as.string = TH_STR("hello")}},
    };

    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
    assert_int_equal(desk->effects_n, 1);
}

static void end_call(struct desk *desk, int number, enum provider_result result, const char *id)
{
    struct answer answer = {
        .type = ANSWER_CALL_ENDED,
        .as.call_ended = {.attempt = {send_id(number), 1},
                          .outcome = {.result = result,
                                      .error_class = result == PROVIDER_ACCEPTED
                                                         ? PROVIDER_CLASS_NONE
                                                         : PROVIDER_TRANSIENT,
                                      .provider_id = th_str(id),
                                      .reason = TH_STR("answer_lost"),
                                      .retry_after_us = -1}},
    };

    desk_reply(desk, &answer);
}

static bool is_search(const struct desk *desk, int number)
{
    const struct effect *effect = &desk->effects[0];

    if (desk->effects_n == 0)
        return false;
    assert_int_equal(desk->effects_n, 1);
    assert_int_equal(effect->type, EFFECT_LOOKUP);
    assert_true(th_id_eq(effect->as.lookup.attempt.send, send_id(number)));
    assert_int_equal(effect->as.lookup.provider_id.n, 0);
    assert_str_equal(effect->as.lookup.sender, TH_STR("+911140000000"));
    return true;
}

static void tell_search(struct desk *desk, int number, enum provider_lookup_result result, size_t n)
{
    struct provider_report reports[2] = {
        {.channel = PROVIDER_SMS, .provider_id = TH_STR("SM1"), .status = PROVIDER_SMS_SENT},
        {.channel = PROVIDER_SMS, .provider_id = TH_STR("SM2"), .status = PROVIDER_SMS_SENT},
    };
    struct answer answer = {
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {.attempt = {send_id(number), 1}, .lookup = {result, reports, n, -1}},
    };

    desk_reply(desk, &answer);
}

static int set_up_with(void **state)
{
    struct desk *desk = malloc(sizeof *desk);

    assert_non_null(desk);
    desk_open(desk, &dispatch_core, &config);
    desk_lane(desk, "main", 1, "searchable");
    desk_lane(desk, "other", 2, "closed");
    desk_lane(desk, "third", 3, "calling");
    *state = desk;
    return 0;
}

static int set_up(void **state)
{
    config = dispatch_config_default();
    config.wires = wires;
    return set_up_with(state);
}

static int tear_down(void **state)
{
    desk_close(*state);
    free(*state);
    return 0;
}

/* --- the tests ---------------------------------------------------------------------------------
 */

static void test_what_a_search_proves(void **unused)
{
    static const struct {
        const char *says;
        int32_t lane;
        int64_t rival_us; /* another attempt at the same number, before (< 0) or after; 0: none */
        enum provider_lookup_result result;
        size_t found;
        bool is_searched;
        bool is_accepted;
    } cases[] = {
        {"one record, and nobody else's: it is this attempt's", 1, 0, PROVIDER_FOUND, 1, true,
         true},
        {"no record refutes nothing", 1, 0, PROVIDER_ABSENT, 0, true, false},
        {"two records prove nothing", 1, 0, PROVIDER_FOUND, 2, true, false},
        {"the provider does not answer", 1, 0, PROVIDER_ASK_AGAIN, 0, true, false},
        {"or will not", 1, 0, PROVIDER_ASK_REFUSED, 0, true, false},
        {"somebody else called the number a minute before: no search can tell", 1, -60 * SECOND,
         PROVIDER_FOUND, 1, false, false},
        {"or half a minute later", 1, 30 * SECOND, PROVIDER_FOUND, 1, false, false},
        {"an hour before is another matter", 1, -3600 * SECOND, PROVIDER_FOUND, 1, true, true},
        {"a wire that cannot be searched waits for a callback", 2, 0, PROVIDER_FOUND, 1, false,
         false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t rival_us = cases[i].rival_us;

        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        if (rival_us < 0) {
            plan(desk, 2, TH_STR("+919800000001"), cases[i].lane);
            end_call(desk, 2, PROVIDER_ACCEPTED, "SM0");
            desk_wait(desk, -rival_us);
        }
        plan(desk, 1, TH_STR("+919800000001"), cases[i].lane);
        end_call(desk, 1, PROVIDER_UNKNOWN, "");
        if (rival_us > 0) {
            desk_wait(desk, rival_us);
            plan(desk, 2, TH_STR("+919800000001"), cases[i].lane);
            end_call(desk, 2, PROVIDER_ACCEPTED, "SM0");
        }
        desk_wait(desk, 60 * SECOND - (rival_us > 0 ? rival_us : 0));
        assert_int_equal(is_search(desk, 1), cases[i].is_searched);
        if (cases[i].is_searched)
            tell_search(desk, 1, cases[i].result, cases[i].found);
        const struct event *resolved = desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0);
        assert_int_equal(resolved != NULL, cases[i].is_accepted);
        if (resolved) {
            assert_int_equal(resolved->as.attempt_resolved.outcome, ATTEMPT_OUTCOME_ACCEPTED);
            assert_int_equal(resolved->as.attempt_resolved.how, RESOLVED_HOW_LOOKUP);
            assert_str_equal(resolved->as.attempt_resolved.provider_id, TH_STR("SM1"));
            assert_non_null(desk_heard(desk, EVENT_ATTEMPT_REPORTED, 0));
        }
        tear_down(&state);
    }
}

static void test_a_search_is_repeated_and_then_the_callback_is_waited_for(void **state)
{
    static const int64_t waits_s[] = {60, 30, 90};
    struct desk *desk = *state;
    enum attempt_stand stand;
    int64_t began_us = desk->now_us;

    plan(desk, 1, TH_STR("+919800000001"), 1);
    end_call(desk, 1, PROVIDER_UNKNOWN, "");
    for (size_t i = 0; i < TH_LEN(waits_s); i++) {
        print_message("  search %zu, %d s later\n", i + 1, (int)waits_s[i]);
        desk_wait(desk, (waits_s[i] - 1) * SECOND);
        assert_false(is_search(desk, 1));
        desk_wait(desk, SECOND);
        assert_true(is_search(desk, 1));
        tell_search(desk, 1, PROVIDER_ABSENT, 0);
    }
    print_message("  no fourth one; the end of the callback window\n");
    desk_wait(desk, began_us + config.callback_window_sms_us - desk->now_us - SECOND);
    assert_int_equal(desk->effects_n, 0);
    assert_true(dispatch_look(desk->core, (struct attempt_ref){send_id(1), 1}, &stand));
    desk_wait(desk, SECOND);
    const struct event *resolved = desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0);
    assert_non_null(resolved);
    assert_int_equal(resolved->as.attempt_resolved.outcome, ATTEMPT_OUTCOME_IN_DOUBT);
}

static void test_a_restart_searches_anew_and_remembers_who_else_was_called(void **state)
{
    struct desk *desk = *state;

    plan(desk, 1, TH_STR("+919800000001"), 1);
    end_call(desk, 1, PROVIDER_UNKNOWN, "");
    plan(desk, 2, OTHER, 1);
    end_call(desk, 2, PROVIDER_ACCEPTED, "SM0");
    plan(desk, 3, OTHER, 1);
    end_call(desk, 3, PROVIDER_UNKNOWN, "");
    desk_reopen(desk, &config);
    desk_wait(desk, 60 * SECOND);
    print_message("  a search whose answer died with its process is asked again\n");
    assert_true(is_search(desk, 1));
    desk_reopen(desk, &config);
    desk_wait(desk, SECOND);
    print_message("  the one is searched for, the other cannot be told from its neighbour\n");
    assert_true(is_search(desk, 1));
    tell_search(desk, 1, PROVIDER_FOUND, 1);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
}

static void test_who_dies_while_it_asks_is_followed_by_one_who_asks_again(void **state)
{
    struct desk *desk = *state;

    plan(desk, 1, TH_STR("+919800000001"), 1);
    end_call(desk, 1, PROVIDER_UNKNOWN, "");
    desk_wait(desk, 60 * SECOND);
    assert_true(is_search(desk, 1));
    desk_reopen(desk, &config);
    desk_wait(desk, SECOND);
    assert_true(is_search(desk, 1));
    tell_search(desk, 1, PROVIDER_FOUND, 1);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0));
}

static void test_who_is_asked_for_late_is_given_up_with_the_last_answer(void **state)
{
    struct desk *desk;

    print_message("  the callback window was over before the first question\n");
    config.callback_window_sms_us = 8 * SECOND;
    tear_down(state);
    assert_int_equal(set_up_with(state), 0);
    desk = *state;
    plan(desk, 1, TH_STR("+919800000001"), 1);
    desk_wait(desk, 20 * SECOND);
    end_call(desk, 1, PROVIDER_UNKNOWN, "");
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 400 && !is_search(desk, 1); k++)
            desk_wait(desk, SECOND);
        assert_true(is_search(desk, 1));
        tell_search(desk, 1, PROVIDER_ABSENT, 0);
    }
    desk_wait(desk, 0);
    const struct event *resolved = desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0);
    assert_non_null(resolved);
    assert_int_equal(resolved->as.attempt_resolved.outcome, ATTEMPT_OUTCOME_IN_DOUBT);
}

static void test_a_callback_that_came_first_is_believed(void **state)
{
    struct desk *desk = *state;
    struct event callback = {.type = EVENT_CALLBACK_RECEIVED,
                             .as.callback_received = {.lane = 1,
                                                      .send = send_id(1),
                                                      .n = 1,
                                                      .channel = CHANNEL_SMS,
                                                      .wire = TH_STR("searchable"),
                                                      .body = {.as.string = TH_STR("SM9")}}};

    plan(desk, 1, TH_STR("+919800000001"), 1);
    end_call(desk, 1, PROVIDER_UNKNOWN, "");
    desk_wait(desk, 60 * SECOND);
    assert_true(is_search(desk, 1));
    desk_event(desk, TOPIC_PROVIDER_CALLBACKS, &callback);
    const struct event *resolved = desk_heard(desk, EVENT_ATTEMPT_RESOLVED, 0);
    assert_non_null(resolved);
    assert_int_equal(resolved->as.attempt_resolved.how, RESOLVED_HOW_CALLBACK);
    print_message("  the search's answer, which may be about another, changes nothing\n");
    tell_search(desk, 1, PROVIDER_FOUND, 1);
    assert_int_equal(desk->said_n, 0);
}

static void test_who_must_not_be_contacted_again_is_named(void **unused)
{
    static const struct {
        const char *says;
        enum provider_class class;
        const char *phone;
    } cases[] = {
        {"refused for good: the event names the number", PROVIDER_PERMANENT_SUPPRESS,
         "+919800000001"},
        {"refused as no number: nobody is named", PROVIDER_PERMANENT, ""},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct answer answer = {
            .type = ANSWER_CALL_ENDED,
            .as.call_ended = {.attempt = {send_id(1), 1},
                              .outcome = {.result = PROVIDER_REJECTED,
                                          .error_class = cases[i].class,
                                          .reason = TH_STR("opted_out"),
                                          .retry_after_us = -1}},
        };

        print_message("  %s\n", cases[i].says);
        set_up(&state);
        plan(state, 1, TH_STR("+919800000001"), 1);
        desk_reply(state, &answer);
        const struct event *result = desk_heard(state, EVENT_ATTEMPT_RESULT, 0);
        assert_str_equal(result->as.attempt_result.phone.as.string, th_str(cases[i].phone));
        tear_down(&state);
    }
}

static void call_back(struct desk *desk, const char *body)
{
    struct event event = {.type = EVENT_CALLBACK_RECEIVED,
                          .as.callback_received = {.lane = 3,
                                                   .send = send_id(1),
                                                   .n = 1,
                                                   .channel = CHANNEL_CALL,
                                                   .wire = TH_STR("calling"),
                                                   .body = {.as.string = th_str(body)}}};

    desk_event(desk, TOPIC_PROVIDER_CALLBACKS, &event);
}

/* While the attempt is open, each report is told on if it says more than those before. */
static void test_which_report_is_news(void **unused)
{
    static const struct {
        const char *says;
        const char *first;
        const char *second;
        bool is_news;
    } cases[] = {
        {"the end, after the beginning", "ringing", "completed", true},
        {"the beginning, after the end", "completed", "ringing", false},
        {"somebody was reached, and that again", "completed", "completed", false},
        {"nobody answered, and that again", "no_answer", "no_answer", false},
        {"nobody was reached, for two reasons", "no_answer", "busy", false},
        {"nobody answered, and then: somebody did", "no_answer", "completed", true},
        {"somebody answered, and then: nobody did", "completed", "no_answer", false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        plan(state, 1, TH_STR("+919800000001"), 3);
        end_call(state, 1, PROVIDER_ACCEPTED, "CA1");
        call_back(state, cases[i].first);
        assert_non_null(desk_heard(state, EVENT_ATTEMPT_REPORTED, 0));
        call_back(state, cases[i].second);
        assert_int_equal(desk_heard(state, EVENT_ATTEMPT_REPORTED, 0) != NULL, cases[i].is_news);
        call_back(state, cases[i].second);
        assert_null(desk_heard(state, EVENT_ATTEMPT_REPORTED, 0));
        tear_down(&state);
    }
}

/* Each step tells how many callbacks are unread, and brings one more plan. */
static void test_nothing_starts_while_many_callbacks_are_unread(void **state)
{
    static const struct {
        const char *says;
        int64_t unread;
        bool is_held;
    } steps[] = {
        {"nothing is unread", 0, false},    {"no more than may be", 4000, false},
        {"one more", 4001, true},           {"less, and still many", 1001, true},
        {"a quarter is left", 1000, false}, {"more again, and not too many", 4000, false},
        {"a flood", 31000, true},           {"all are read", 0, false},
    };
    struct desk *desk = *state;
    size_t held_n = 0;

    for (size_t i = 0; i < TH_LEN(steps); i++) {
        int number = 10 + (int)i;
        struct event event = {.type = EVENT_ATTEMPT_PLAN,
                              .as.attempt_plan = {.send = send_id(number),
                                                  .n = 1,
                                                  .lane = 1,
                                                  .channel = CHANNEL_SMS,
                                                  .to = {.as.string = TH_STR("+919800000001")},
                                                  .sender = TH_STR("+911140000000"),
                                                  .text = {.as.string = TH_STR("hello")}}};

        print_message("  %s\n", steps[i].says);
        desk->unread[TOPIC_PROVIDER_CALLBACKS] = steps[i].unread;
        desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
        assert_int_equal(dispatch_is_held(desk->core), steps[i].is_held);
        held_n = steps[i].is_held ? held_n + 1 : 0;
        if (held_n == 0)
            assert_non_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
        for (int k = 0; k < 3 && held_n > 0; k++) { /* however long, and it never sleeps */
            assert_int_equal(desk->said_n, 0);
            assert_true(desk->ops->next_due_us(desk->core) <= desk->now_us + SECOND);
            desk_wait(desk, SECOND);
        }
        assert_int_equal(dispatch_waiting(desk->core), held_n);
    }
}

/* Answers, callbacks and hand-backs go on; by the clock alone the rest starts when it may. */
static void test_what_is_held_is_handed_back_or_goes_on_by_itself(void **state)
{
    struct desk *desk = *state;
    struct event event = {.type = EVENT_ATTEMPT_PLAN,
                          .as.attempt_plan = {.send = send_id(2),
                                              .n = 1,
                                              .lane = 1,
                                              .channel = CHANNEL_SMS,
                                              .to = {.as.string = TH_STR("+919800000002")},
                                              .sender = TH_STR("+911140000000"),
                                              .text = {.as.string = TH_STR("hello")},
                                              .send_by_us = desk->now_us + 2 * SECOND}};

    plan(desk, 1, TH_STR("+919800000001"), 1);
    desk->unread[TOPIC_PROVIDER_CALLBACKS] = 5000;
    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    event.as.attempt_plan.send = send_id(3);
    event.as.attempt_plan.send_by_us = 0;
    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    print_message("  an answer is taken, and starts nobody\n");
    end_call(desk, 1, PROVIDER_ACCEPTED, "SM1");
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_RESULT, 0));
    assert_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
    print_message("  whose time is over goes back\n");
    desk_wait(desk, 2 * SECOND);
    assert_str_equal(desk_heard(desk, EVENT_ATTEMPT_RETURNED, 0)->as.attempt_returned.reason,
                     TH_STR("late"));
    assert_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
    print_message("  the callbacks are read, and nothing else comes: it starts\n");
    desk->unread[TOPIC_PROVIDER_CALLBACKS] = 0;
    desk_wait(desk, desk->ops->next_due_us(desk->core) - desk->now_us);
    assert_non_null(desk_heard(desk, EVENT_ATTEMPT_STARTED, 0));
    assert_int_equal(dispatch_waiting(desk->core), 0);
}

/* Ended, and its price is about to be asked for. */
static void end_attempt(struct desk *desk)
{
    plan(desk, 1, TH_STR("+919800000001"), 3);
    end_call(desk, 1, PROVIDER_ACCEPTED, "CA1");
    call_back(desk, "completed");
}

static void tell_put_off(struct desk *desk, bool is_put_off)
{
    struct answer answer = {
        .type = ANSWER_LOOKUP_ENDED,
        .as.lookup_ended = {.attempt = {send_id(1), 1},
                            .lookup = {.result = PROVIDER_ASK_AGAIN, .retry_after_us = -1},
                            .is_put_off = is_put_off}};

    desk_reply(desk, &answer);
}

static bool does_start(struct desk *desk, int number)
{
    struct event event = {.type = EVENT_ATTEMPT_PLAN,
                          .as.attempt_plan = {.send = send_id(number),
                                              .n = 1,
                                              .lane = 1,
                                              .channel = CHANNEL_SMS,
                                              .to = {.as.string = TH_STR("+919800000002")},
                                              .sender = TH_STR("+911140000000"),
                                              .text = {.as.string = TH_STR("hello")}}};

    desk_event(desk, TOPIC_DISPATCH_REQUESTS, &event);
    return desk_heard(desk, EVENT_ATTEMPT_STARTED, 0);
}

static void test_nothing_starts_while_prices_cannot_be_asked_for(void **unused)
{
    static const struct {
        const char *says;
        int32_t open_max;
        bool is_put_off;
        int64_t after_us;
        bool is_held;
    } cases[] = {
        {"the provider has no price yet, and more are open than may be", 0, false, 0, false},
        {"there was no room to ask, and not too many are open", 1, true, 0, false},
        {"there was no room to ask, and more are open than may be", 0, true, 0, true},
        {"the same, most of a second later", 0, true, SECOND - 1, true},
        {"the same, a second later", 0, true, SECOND, false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        config = dispatch_config_default();
        config.wires = wires;
        config.open_max = cases[i].open_max;
        set_up_with(&state);
        struct desk *desk = state;
        end_attempt(desk);
        desk_wait(desk, config.price_wait_us);
        assert_int_equal(desk->effects[0].type, EFFECT_LOOKUP);
        tell_put_off(desk, cases[i].is_put_off);
        desk->now_us += cases[i].after_us;
        assert_int_equal(does_start(desk, 2), !cases[i].is_held);
        tear_down(&state);
    }
}

/* A look-up that was not made is none: the next comes as soon as the first did. */
static void test_what_was_put_off_is_asked_again_soon(void **state)
{
    struct desk *desk = *state;

    end_attempt(desk);
    for (int i = 0; i < 20; i++) {
        desk_wait(desk, config.price_wait_us);
        assert_int_equal(desk->effects_n, 1);
        assert_int_equal(desk->effects[0].type, EFFECT_LOOKUP);
        tell_put_off(desk, true);
        assert_null(desk_heard(desk, EVENT_ATTEMPT_PRICED, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_search_proves),
        cmocka_unit_test(test_who_must_not_be_contacted_again_is_named),
        cmocka_unit_test(test_which_report_is_news),
        cmocka_unit_test_setup_teardown(test_nothing_starts_while_many_callbacks_are_unread, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_held_is_handed_back_or_goes_on_by_itself,
                                        set_up, tear_down),
        cmocka_unit_test(test_nothing_starts_while_prices_cannot_be_asked_for),
        cmocka_unit_test_setup_teardown(test_what_was_put_off_is_asked_again_soon, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_search_is_repeated_and_then_the_callback_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_restart_searches_anew_and_remembers_who_else_was_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_who_dies_while_it_asks_is_followed_by_one_who_asks_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_is_asked_for_late_is_given_up_with_the_last_answer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_callback_that_came_first_is_believed, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
