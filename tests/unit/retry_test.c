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
static void request_until(struct desk *desk, int number, enum channel channel, int64_t expires_us)
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
                              .send_at_us = desk->now_us,
                              .expires_at_us = expires_us},
    };

    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
}

static void request(struct desk *desk, int number, enum channel channel)
{
    request_until(desk, number, channel, 0);
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

/* --- what a failure asks for: the policy, row by row -------------------------------------------
 */

#define MINUTES INT64_C(60000000)

enum follows { ENDS, RETRIES_HERE, FAILS_OVER };

/* main (lane 1) has the greater share, so it comes first and spare (lane 2) is the other. */
static void test_what_a_failure_asks_for(void **unused)
{
    static const struct {
        const char *says;
        enum channel channel;
        enum error_class class;
        bool is_report; /* the provider took it, and tells later that nobody was reached */
        int failures;   /* of that kind, in a row */
        enum follows follows;
        int64_t from_us; /* the next attempt is due between these, after the last failure */
        int64_t to_us;
        const char *ends; /* as */
    } cases[] = {
        {"transient: the same provider, soon", CHANNEL_SMS, ERROR_CLASS_TRANSIENT, false, 1,
         RETRIES_HERE, SECOND, 3 * SECOND, NULL},
        {"transient, three times: the next provider", CHANNEL_SMS, ERROR_CLASS_TRANSIENT, false, 3,
         FAILS_OVER, 0, 0, NULL},
        {"four times: exhausted", CHANNEL_SMS, ERROR_CLASS_TRANSIENT, false, 4, ENDS, 0, 0,
         "exhausted"},
        {"the account's fault: the next provider, at once", CHANNEL_SMS, ERROR_CLASS_ACCOUNT, false,
         1, FAILS_OVER, 0, 0, NULL},
        {"permanent: the end", CHANNEL_SMS, ERROR_CLASS_PERMANENT, false, 1, ENDS, 0, 0,
         "the_reason"},
        {"content: the end", CHANNEL_SMS, ERROR_CLASS_CONTENT, false, 1, ENDS, 0, 0, "the_reason"},
        {"our mistake: the end", CHANNEL_SMS, ERROR_CLASS_BUG, false, 1, ENDS, 0, 0, "the_reason"},
        {"a call that was taken and failed on the way: the same provider, soon", CHANNEL_CALL,
         ERROR_CLASS_TRANSIENT, true, 1, RETRIES_HERE, SECOND, 3 * SECOND, NULL},
        {"busy: the same provider, a quarter of an hour later", CHANNEL_CALL,
         ERROR_CLASS_TRANSIENT_SLOW, true, 1, RETRIES_HERE, 11 * MINUTES, 19 * MINUTES, NULL},
        {"busy again: the same provider, half an hour later", CHANNEL_CALL,
         ERROR_CLASS_TRANSIENT_SLOW, true, 2, RETRIES_HERE, 22 * MINUTES, 38 * MINUTES, NULL},
        {"busy three times: the end, and no other provider", CHANNEL_CALL,
         ERROR_CLASS_TRANSIENT_SLOW, true, 3, ENDS, 0, 0, "the_reason"},
        {"refused for now: the same provider, much later", CHANNEL_SMS, ERROR_CLASS_TRANSIENT_SLOW,
         false, 1, RETRIES_HERE, 11 * MINUTES, 19 * MINUTES, NULL},
        {"declined: an answer from a human", CHANNEL_CALL, ERROR_CLASS_PERMANENT, true, 1, ENDS, 0,
         0, "the_reason"},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int32_t lane = 0;

        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        request(desk, 1, cases[i].channel);
        for (int32_t n = 1; n <= cases[i].failures; n++) {
            const struct event *planned = desk_heard(desk, EVENT_SEND_PLANNED, 0);
            assert_non_null(planned);
            lane = planned->as.send_planned.lane;
            if (cases[i].is_report)
                tell_report(desk, 1, n, cases[i].channel, cases[i].class, TH_STR(""));
            else
                tell_result(desk, 1, n, ATTEMPT_OUTCOME_REJECTED, cases[i].class, TH_STR(""));
            for (int k = 0;
                 n < cases[i].failures && k < 4 && !desk_heard(desk, EVENT_SEND_PLANNED, 0); k++)
                desk_wait(desk, desk->ops->next_due_us(desk->core) - desk->now_us);
        }
        const struct event *ended = desk_heard(desk, EVENT_SEND_ENDED, 0);
        const struct event *next = desk_heard(desk, EVENT_RETRY_SCHEDULED, 0);
        assert_int_equal(ended != NULL, cases[i].follows == ENDS);
        assert_int_equal(next != NULL, cases[i].follows != ENDS);
        if (ended)
            assert_str_equal(ended->as.send_ended.reason, th_str(cases[i].ends));
        if (next) {
            int64_t wait_us = next->as.retry_scheduled.due_at_us - desk->now_us;
            assert_int_equal(next->as.retry_scheduled.next_lane == lane,
                             cases[i].follows == RETRIES_HERE);
            assert_in_range(wait_us, cases[i].from_us, cases[i].to_us);
        }
        tear_down(&state);
    }
}

static void test_a_test_account_is_asked_again_at_once(void **state)
{
    struct desk *desk = *state;

    desk_account(desk, "main", 1, "sim", ACCOUNT_MODE_TEST);
    desk_account(desk, "spare", 2, "sim", ACCOUNT_MODE_TEST);
    request(desk, 1, CHANNEL_CALL);
    tell_report(desk, 1, 1, CHANNEL_CALL, ERROR_CLASS_TRANSIENT_SLOW, TH_STR(""));
    int64_t due_us = desk_heard(desk, EVENT_RETRY_SCHEDULED, 0)->as.retry_scheduled.due_at_us;
    assert_in_range(due_us - desk->now_us, SECOND, 3 * SECOND);
}

static void test_a_busy_send_that_expires_meanwhile_ends_as_busy(void **state)
{
    struct desk *desk = *state;

    request_until(desk, 1, CHANNEL_CALL, desk->now_us + 10 * MINUTES);
    tell_report(desk, 1, 1, CHANNEL_CALL, ERROR_CLASS_TRANSIENT_SLOW, TH_STR(""));
    assert_str_equal(desk_heard(desk, EVENT_SEND_ENDED, 0)->as.send_ended.reason,
                     TH_STR("the_reason"));
}

/* --- no lane -----------------------------------------------------------------------------------
 */

static void set_circuit(struct desk *desk, int32_t lane, enum circuit circuit)
{
    struct event event = {
        .type = EVENT_LANE_HEALTH_CHANGED,
        .as.lane_health_changed = {.lane = lane, .circuit = circuit, .health_permille = 1000}};

    desk_refer(desk, TOPIC_LANE_HEALTH, &event);
}

/* What waits for a lane costs nothing until one opens: no release, no event. */
static void test_a_send_without_a_lane_waits_for_one(void **state)
{
    struct desk *desk = *state;
    enum send_stand stand;
    int32_t n;

    set_circuit(desk, 1, CIRCUIT_OPEN);
    set_circuit(desk, 2, CIRCUIT_OPEN);
    request_until(desk, 1, CHANNEL_SMS, desk->now_us + 60 * MINUTES);
    request(desk, 2, CHANNEL_SMS);
    assert_true(retry_look(desk->core, send_id(2), &stand, &n));
    assert_int_equal(stand, SEND_LANELESS);
    print_message("  nothing happens for half an hour\n");
    for (int i = 0; i < 30; i++) {
        desk_wait(desk, MINUTES);
        assert_int_equal(desk->said_n, 0);
    }
    print_message("  a restart changes nothing\n");
    desk_reopen(desk, &config);
    desk_wait(desk, MINUTES);
    assert_int_equal(desk->said_n, 0);
    print_message("  one that expires meanwhile ends\n");
    desk_wait(desk, 30 * MINUTES);
    assert_str_equal(desk_heard(desk, EVENT_SEND_ENDED, 0)->as.send_ended.reason,
                     TH_STR("expired"));
    print_message("  a lane opens: the other goes\n");
    set_circuit(desk, 2, CIRCUIT_CLOSED);
    for (int i = 0; i < 4 && !desk_heard(desk, EVENT_SEND_PLANNED, 0); i++)
        desk_wait(desk, SECOND);
    assert_non_null(desk_heard(desk, EVENT_SEND_PLANNED, 0));
    assert_int_equal(desk_heard(desk, EVENT_SEND_PLANNED, 0)->as.send_planned.lane, 2);
}

static void answer_recipient(const struct effect *asked, struct th_arena *arena, struct answer *out)
{
    static const struct audience_row row = {.phone = {.as.string = {"+919800000001", 13}}};

    (void)arena;
    assert_int_equal(asked->type, EFFECT_READ_RECIPIENT);
    *out =
        (struct answer){.type = ANSWER_RECIPIENT_READ,
                        .as.recipient_read = {.send = asked->as.read_recipient.send, .row = row}};
}

static void define_as(struct desk *desk, enum send_policy policy)
{
    static const struct text_section texts[] = {{.text = {.as.string = {"hello", 5}}}};
    struct event event = {.type = EVENT_CAMPAIGN_DEFINED,
                          .as.campaign_defined = {.campaign = send_id(99),
                                                  .run = 1,
                                                  .spec = {.channel = CHANNEL_SMS,
                                                           .texts = {texts, 1},
                                                           .window_to_min = 1440,
                                                           .attempts_max = 4,
                                                           .policy = policy}}};

    desk_refer(desk, TOPIC_CAMPAIGN_CONTROL, &event);
}

static void define(struct desk *desk)
{
    define_as(desk, SEND_POLICY_AT_MOST_ONCE);
}

static void control(struct desk *desk, int64_t version, enum control_state to)
{
    struct event event = {
        .type = EVENT_CAMPAIGN_CONTROLLED,
        .as.campaign_controlled = {.campaign = send_id(99), .version = version, .state = to}};

    desk_refer(desk, TOPIC_CAMPAIGN_CONTROL, &event);
}

static void test_a_campaign_without_a_lane_asks_for_one_release_and_ends_with_it(void **state)
{
    struct desk *desk = *state;
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {.send = send_id(1),
                              .channel = CHANNEL_SMS,
                              .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                         .as.campaign_origin = {.campaign = send_id(99), .run = 1}},
                              .send_at_us = desk->now_us},
    };

    desk->answer = answer_recipient;
    define(desk);
    control(desk, 1, CONTROL_STATE_RUNNING);
    set_circuit(desk, 1, CIRCUIT_OPEN);
    set_circuit(desk, 2, CIRCUIT_OPEN);
    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
    print_message("  its release is used up, and no other is asked for while nothing is open\n");
    assert_int_equal(desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved.settled, 1);
    desk_wait(desk, 10 * MINUTES);
    assert_null(desk_heard(desk, EVENT_RELEASE_WANTED, 0));
    print_message("  a lane opens: one release is asked for\n");
    set_circuit(desk, 1, CIRCUIT_CLOSED);
    desk_wait(desk, SECOND);
    assert_int_equal(desk_heard(desk, EVENT_RELEASE_WANTED, 0)->as.release_wanted.sends.n, 1);
    print_message("  another waits; the campaign is cancelled: it ends\n");
    set_circuit(desk, 1, CIRCUIT_OPEN);
    event.as.send_requested.send = send_id(2);
    event.as.send_requested.send_at_us = desk->now_us;
    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
    control(desk, 2, CONTROL_STATE_CANCELLED);
    desk_wait(desk, SECOND);
    assert_int_equal(retry_live(desk->core), 0);
}

/* --- reached after all: a final no is taken back -----------------------------------------------
 */

static void tell_answered(struct desk *desk, int32_t n)
{
    struct event event = {
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.send = send_id(1),
                                .n = n,
                                .lane = 1,
                                .channel = CHANNEL_CALL,
                                .status = TH_STR("completed"),
                                .rank = 50,
                                .is_final = true,
                                .is_positive = true},
    };

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

static void release(struct desk *desk, int64_t after_us)
{
    struct event event = {.type = EVENT_SEND_RELEASED,
                          .as.send_released = {.send = send_id(1),
                                               .campaign = send_id(99),
                                               .release = 2,
                                               .send_at_us = desk->now_us + after_us,
                                               .send_by_us = desk->now_us + after_us + 2 * SECOND}};

    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
}

/* A call of a campaign whose first attempt was reported as failed, and how far it has come since.
 */
static void bring_to_defined(struct desk *desk, enum send_stand stand)
{
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {.send = send_id(1),
                              .channel = CHANNEL_CALL,
                              .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                         .as.campaign_origin = {.campaign = send_id(99), .run = 1}},
                              .send_at_us = desk->now_us},
    };
    enum send_stand now;
    int32_t n;

    desk->answer = answer_recipient;
    control(desk, 1, CONTROL_STATE_RUNNING);
    desk_event(desk, TOPIC_SEND_REQUESTS, &event);
    tell_report(desk, 1, 1, CHANNEL_CALL, ERROR_CLASS_TRANSIENT, TH_STR(""));
    if (stand == SEND_PARKED)
        control(desk, 2, CONTROL_STATE_PAUSED);
    if (stand == SEND_LANELESS) {
        set_circuit(desk, 1, CIRCUIT_OPEN);
        set_circuit(desk, 2, CIRCUIT_OPEN);
    }
    if (stand != SEND_WAITING)
        desk_wait(desk, 3 * SECOND);
    if (stand != SEND_WAITING && stand != SEND_PARKED && stand != SEND_ASKED)
        release(desk, stand == SEND_RELEASED ? 10 * SECOND : 0);
    if (stand == SEND_UNKNOWN)
        tell_result(desk, 1, 2, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, TH_STR(""));
    if (stand == SEND_ACCEPTED)
        tell_result(desk, 1, 2, ATTEMPT_OUTCOME_ACCEPTED, ERROR_CLASS_NONE, TH_STR(""));
    assert_true(retry_look(desk->core, send_id(1), &now, &n));
    assert_int_equal(now, stand);
}

static void bring_to(struct desk *desk, enum send_stand stand)
{
    define(desk);
    bring_to_defined(desk, stand);
}

static void assert_reached(const struct desk *desk, const char *reason)
{
    const struct event *ended = desk_heard(desk, EVENT_SEND_ENDED, 0);

    assert_non_null(ended);
    assert_true(ended->as.send_ended.is_reached);
    assert_int_equal(ended->as.send_ended.n, 1);
    assert_str_equal(ended->as.send_ended.reason, th_str(reason));
    assert_null(desk_heard(desk, EVENT_SEND_ENDED, 1));
    assert_null(desk_heard(desk, EVENT_SEND_PLANNED, 0));
    assert_null(desk_heard(desk, EVENT_RELEASE_WANTED, 0));
    assert_int_equal(desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved.ended, 1);
    assert_int_equal(retry_live(desk->core), 0);
}

static void test_who_was_reached_after_all_is_not_called_again(void **unused)
{
    static const struct {
        const char *says;
        enum send_stand stand;
        int64_t settled; /* releases used up */
        int64_t accepted;
    } cases[] = {
        {"it waits for its back-off", SEND_WAITING, 0, 0},
        {"it has asked for a release", SEND_ASKED, 0, 0},
        {"its campaign is paused", SEND_PARKED, 0, 0},
        {"no lane can take it", SEND_LANELESS, 0, 0},
        {"it has a release, whose time has not come", SEND_RELEASED, 1, 0},
        {"the next attempt was taken, and its report is awaited", SEND_ACCEPTED, 0, -1},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        bring_to(desk, cases[i].stand);
        tell_answered(desk, 1);
        assert_reached(desk, "completed");
        const struct sends_moved *moved = &desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved;
        assert_int_equal(moved->settled, cases[i].settled);
        assert_int_equal(moved->accepted, cases[i].accepted);
        assert_int_equal(moved->awaiting_report, cases[i].accepted);
        assert_int_equal(moved->unknown, 0);
        tell_answered(desk, 1); /* once more: nothing */
        assert_int_equal(desk->said_n, 0);
        if (cases[i].stand == SEND_ASKED) {
            release(desk, 0); /* that was on its way is used up */
            assert_int_equal(desk->said_n, 1);
            assert_int_equal(desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved.settled, 1);
        }
        desk_wait(desk, 60 * MINUTES);
        assert_int_equal(desk->said_n, 0);
        tear_down(&state);
    }
}

static void tell_returned(struct desk *desk, const char *reason)
{
    struct event event = {
        .type = EVENT_ATTEMPT_RETURNED,
        .as.attempt_returned = {.send = send_id(1), .n = 2, .lane = 1, .reason = th_str(reason)}};

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

static void tell_resolved(struct desk *desk, enum attempt_outcome outcome)
{
    struct event event = {
        .type = EVENT_ATTEMPT_RESOLVED,
        .as.attempt_resolved = {.send = send_id(1), .n = 2, .lane = 1, .outcome = outcome}};

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

static void tell_stuck(struct desk *desk)
{
    struct event event = {.type = EVENT_SEND_STUCK,
                          .as.send_stuck = {.send = send_id(1), .n = 2, .reason = TH_STR("toy")}};

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

/* What is with dispatch cannot be stopped for certain: the send ends when that has ended. */
static void test_proof_is_kept_while_an_attempt_is_in_the_air(void **unused)
{
    enum end { RETURNED, RESULT, RESOLVED, REPORT, ANSWERED, STUCK };
    static const struct {
        const char *says;
        enum send_stand stand;
        enum end end; /* of attempt 2 */
        enum attempt_outcome outcome;
        const char *reason;
    } cases[] = {
        {"it is handed back late", SEND_PLANNED, RETURNED, 0, "late"},
        {"it is handed back for a pause", SEND_PLANNED, RETURNED, 0, "paused"},
        {"it is handed back for an opt-out", SEND_PLANNED, RETURNED, 0, "opted_out"},
        {"it is accepted", SEND_PLANNED, RESULT, ATTEMPT_OUTCOME_ACCEPTED, NULL},
        {"it is refused", SEND_PLANNED, RESULT, ATTEMPT_OUTCOME_REJECTED, NULL},
        {"it is throttled", SEND_PLANNED, RESULT, ATTEMPT_OUTCOME_THROTTLED, NULL},
        {"it was not sent", SEND_PLANNED, RESULT, ATTEMPT_OUTCOME_NOT_SENT, NULL},
        {"it is reported as failed", SEND_PLANNED, REPORT, 0, NULL},
        {"it reaches the person as well", SEND_PLANNED, ANSWERED, 0, NULL},
        {"its record cannot be understood", SEND_PLANNED, STUCK, 0, NULL},
        {"unknown, it is found", SEND_UNKNOWN, RESOLVED, ATTEMPT_OUTCOME_ACCEPTED, NULL},
        {"unknown, it was not executed", SEND_UNKNOWN, RESOLVED, ATTEMPT_OUTCOME_NOT_EXECUTED,
         NULL},
        {"unknown, it stays in doubt", SEND_UNKNOWN, RESOLVED, ATTEMPT_OUTCOME_IN_DOUBT, NULL},
        {"unknown, it is reported as failed", SEND_UNKNOWN, REPORT, 0, NULL},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        bool is_unknown = cases[i].stand == SEND_UNKNOWN;

        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        bring_to(desk, SEND_PLANNED);
        tell_answered(desk, 1);
        assert_int_equal(desk->said_n, 1);
        assert_int_equal(desk_heard(desk, EVENT_SEND_REACHED, 0)->as.send_reached.n, 1);
        tell_answered(desk, 1); /* once more: nothing */
        assert_int_equal(desk->said_n, 0);
        desk_reopen(desk, &config);
        if (is_unknown)
            tell_result(desk, 1, 2, ATTEMPT_OUTCOME_UNKNOWN, ERROR_CLASS_TRANSIENT, TH_STR(""));
        assert_int_equal(retry_live(desk->core), 1);
        switch (cases[i].end) {
        case RETURNED:
            tell_returned(desk, cases[i].reason);
            break;
        case RESULT:
            tell_result(desk, 1, 2, cases[i].outcome, ERROR_CLASS_TRANSIENT, TH_STR(""));
            break;
        case RESOLVED:
            tell_resolved(desk, cases[i].outcome);
            break;
        case REPORT:
            tell_report(desk, 1, 2, CHANNEL_CALL, ERROR_CLASS_TRANSIENT, TH_STR(""));
            break;
        case ANSWERED:
            tell_answered(desk, 2);
            break;
        case STUCK:
            tell_stuck(desk);
            break;
        }
        const struct sends_moved moved = desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved;
        assert_reached(desk, "reached_before");
        assert_int_equal(moved.settled, is_unknown ? 0 : 1);
        assert_int_equal(moved.unknown, is_unknown ? -1 : 0);
        assert_int_equal(moved.accepted, 0);
        assert_int_equal(moved.suppressed, 0);
        tear_down(&state);
    }
}

static void want_repeat(struct desk *desk, int32_t n)
{
    struct event event = {
        .type = EVENT_REPEAT_WANTED,
        .as.repeat_wanted = {
            .send = send_id(1), .n = n, .campaign = {true, send_id(99)}, .lane = 1}};

    desk_event(desk, TOPIC_SEND_OUTCOMES, &event);
}

static void test_a_repeat_asks_for_a_release(void **unused)
{
    static const struct {
        const char *says;
        enum send_stand stand;
        int32_t n;
        enum control_state control;
        bool is_reached; /* by the attempt before */
        bool is_asked;
    } cases[] = {
        {"the outcome is unknown", SEND_UNKNOWN, 2, CONTROL_STATE_RUNNING, false, true},
        {"in a pause too: campaign answers after it", SEND_UNKNOWN, 2, CONTROL_STATE_PAUSED, false,
         true},
        {"it is cancelled", SEND_UNKNOWN, 2, CONTROL_STATE_CANCELLED, false, false},
        {"the attempt before reached the person", SEND_UNKNOWN, 2, CONTROL_STATE_RUNNING, true,
         false},
        {"of an attempt that was left behind", SEND_UNKNOWN, 1, CONTROL_STATE_RUNNING, false,
         false},
        {"a callback came first", SEND_ACCEPTED, 2, CONTROL_STATE_RUNNING, false, false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        enum send_stand stand;
        int32_t n;
        bring_to(desk, cases[i].stand);
        if (cases[i].is_reached)
            tell_answered(desk, 1);
        if (cases[i].control != CONTROL_STATE_RUNNING)
            control(desk, 2, cases[i].control);
        want_repeat(desk, cases[i].n);
        const struct event *wanted = desk_heard(desk, EVENT_RELEASE_WANTED, 0);
        assert_true((wanted != NULL) == cases[i].is_asked);
        assert_true((desk_heard(desk, EVENT_SEND_NOTED, 0) != NULL) == cases[i].is_asked);
        if (wanted)
            assert_int_equal(wanted->as.release_wanted.sends.n, 1);
        assert_null(desk_heard(desk, EVENT_SENDS_MOVED, 0));
        assert_true(retry_look(desk->core, send_id(1), &stand, &n));
        assert_int_equal(stand, cases[i].stand);
        tear_down(&state);
    }
}

/* Else the campaign may be over before it hears of the ask, and nobody answers it. */
static void test_who_asks_and_ends_in_one_batch_has_asked_first(void **state)
{
    struct desk *desk = *state;
    struct event events[] = {
        {.type = EVENT_REPEAT_WANTED,
         .as.repeat_wanted =
             {.send = send_id(1), .n = 2, .campaign = {true, send_id(99)}, .lane = 1}},
        {.type = EVENT_ATTEMPT_RESOLVED,
         .as.attempt_resolved =
             {.send = send_id(1), .n = 2, .lane = 1, .outcome = ATTEMPT_OUTCOME_IN_DOUBT}},
    };
    enum event_type told[2] = {EVENT_SENDS_MOVED, EVENT_SENDS_MOVED};
    size_t n = 0;

    bring_to(desk, SEND_UNKNOWN);
    desk_events(desk, TOPIC_SEND_OUTCOMES, events, TH_LEN(events));
    assert_non_null(desk_heard(desk, EVENT_SEND_ENDED, 0));
    for (size_t i = 0; i < desk->said_n; i++)
        if (desk->said[i].topic == TOPIC_CAMPAIGN_PROGRESS) {
            assert_true(n < TH_LEN(told));
            told[n++] = desk->said[i].event.type;
        }
    assert_int_equal(n, 2);
    assert_int_equal(told[0], EVENT_RELEASE_WANTED);
    assert_int_equal(told[1], EVENT_SENDS_MOVED);
}

static void test_a_release_for_a_repeat_is_used_up_at_once(void **unused)
{
    static const struct {
        const char *says;
        enum send_stand stand;
        enum control_state control;
        bool is_reached;
        bool is_passed_on;
    } cases[] = {
        {"the outcome is unknown", SEND_UNKNOWN, CONTROL_STATE_RUNNING, false, true},
        {"paused: dispatch knows, or will ask again", SEND_UNKNOWN, CONTROL_STATE_PAUSED, false,
         true},
        {"it is cancelled", SEND_UNKNOWN, CONTROL_STATE_CANCELLED, false, false},
        {"the attempt before reached the person", SEND_UNKNOWN, CONTROL_STATE_RUNNING, true, false},
        {"a callback came first", SEND_ACCEPTED, CONTROL_STATE_RUNNING, false, false},
        {"another attempt is to follow", SEND_WAITING, CONTROL_STATE_RUNNING, false, false},
    };
    void *state;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        set_up(&state);
        struct desk *desk = state;
        bring_to(desk, cases[i].stand);
        want_repeat(desk, 2);
        if (cases[i].is_reached)
            tell_answered(desk, 1);
        if (cases[i].control != CONTROL_STATE_RUNNING)
            control(desk, 2, cases[i].control);
        release(desk, 10 * SECOND);
        const struct sends_moved *moved = &desk_heard(desk, EVENT_SENDS_MOVED, 0)->as.sends_moved;
        assert_int_equal(moved->settled, 1);
        assert_int_equal(moved->unknown, 0);
        assert_int_equal(moved->accepted, 0);
        const struct event *passed = desk_heard(desk, EVENT_REPEAT_RELEASED, 0);
        assert_true((passed != NULL) == cases[i].is_passed_on);
        if (passed) {
            assert_int_equal(passed->as.repeat_released.n, 2);
            assert_int_equal(passed->as.repeat_released.release, 2);
            assert_int_equal(passed->as.repeat_released.send_at_us, desk->now_us + 10 * SECOND);
            assert_int_equal(passed->as.repeat_released.send_by_us, desk->now_us + 12 * SECOND);
        }
        assert_null(desk_heard(desk, EVENT_SEND_PLANNED, 0));
        tear_down(&state);
    }
}

/* The provider said yes to it: what is noted of its repeats does not make that forgotten. */
static void test_who_was_taken_stays_so_through_repeats(void **state)
{
    struct desk *desk = *state;
    struct event taken = {.type = EVENT_ATTEMPT_RESULT,
                          .as.attempt_result = {.send = send_id(1),
                                                .n = 2,
                                                .lane = 1,
                                                .outcome = ATTEMPT_OUTCOME_UNKNOWN,
                                                .accepted_without_id = true,
                                                .retry_after_us = -1}};
    struct event doubt = {
        .type = EVENT_ATTEMPT_RESOLVED,
        .as.attempt_resolved = {
            .send = send_id(1), .n = 2, .lane = 1, .outcome = ATTEMPT_OUTCOME_IN_DOUBT}};

    define_as(desk, SEND_POLICY_AT_LEAST_ONCE);
    bring_to_defined(desk, SEND_PLANNED);
    desk_event(desk, TOPIC_SEND_OUTCOMES, &taken);
    want_repeat(desk, 2);
    release(desk, 0);
    assert_non_null(desk_heard(desk, EVENT_REPEAT_RELEASED, 0));
    desk_event(desk, TOPIC_SEND_OUTCOMES, &doubt);
    assert_null(desk_heard(desk, EVENT_RETRY_SCHEDULED, 0));
    assert_non_null(desk_heard(desk, EVENT_SEND_ENDED, 0));
}

static void test_what_is_left_behind_decides_nothing_else(void **state)
{
    struct desk *desk = *state;

    bring_to(desk, SEND_ASKED);
    print_message("  the report that it failed comes again\n");
    tell_report(desk, 1, 1, CHANNEL_CALL, ERROR_CLASS_TRANSIENT, TH_STR(""));
    assert_int_equal(desk->said_n, 0);
    print_message("  a report of an attempt that nobody planned\n");
    tell_answered(desk, 2);
    assert_int_equal(desk->said_n, 0);
    tell_answered(desk, 0);
    assert_int_equal(desk->said_n, 0);
    assert_int_equal(retry_live(desk->core), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_number_that_must_not_be_contacted_again_is_opted_out),
        cmocka_unit_test_setup_teardown(test_an_opt_out_is_written_once, set_up, tear_down),
        cmocka_unit_test(test_what_a_failure_asks_for),
        cmocka_unit_test_setup_teardown(test_a_test_account_is_asked_again_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_busy_send_that_expires_meanwhile_ends_as_busy,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_send_without_a_lane_waits_for_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_campaign_without_a_lane_asks_for_one_release_and_ends_with_it, set_up,
            tear_down),
        cmocka_unit_test(test_who_was_reached_after_all_is_not_called_again),
        cmocka_unit_test(test_proof_is_kept_while_an_attempt_is_in_the_air),
        cmocka_unit_test(test_a_repeat_asks_for_a_release),
        cmocka_unit_test_setup_teardown(test_who_asks_and_ends_in_one_batch_has_asked_first, set_up,
                                        tear_down),
        cmocka_unit_test(test_a_release_for_a_repeat_is_used_up_at_once),
        cmocka_unit_test_setup_teardown(test_who_was_taken_stays_so_through_repeats, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_left_behind_decides_nothing_else, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
