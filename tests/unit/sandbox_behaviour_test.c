/* The simulated provider's choices: magic numbers, rates, draws, timelines. */
#include "tests/unit/test.h"

#include "connectors/sandbox/behaviour.h"
#include "connectors/sandbox/settings.h"
#include "connectors/sandbox/timeline.h"
#include "connectors/sandbox/timers.h"

static void test_magic_numbers(void **unused)
{
    static const struct {
        const char *says;
        uint64_t number;
        uint32_t tries;
        bool is_magic;
        struct behaviour is;
    } cases[] = {
        {"an ordinary number is left to chance", 919876543210, 1, false, {0}},
        {"an unused magic suffix is ordinary", 919855500099, 1, false, {0}},
        {"03 is an unreachable handset",
         919855500003,
         1,
         true,
         {ANSWER_NORMAL, OUTCOME_30003, REPORT_NORMAL}},
        {"and so it stays on later tries",
         919855500003,
         4,
         true,
         {ANSWER_NORMAL, OUTCOME_30003, REPORT_NORMAL}},
        {"the country code does not matter",
         4455500029,
         1,
         true,
         {ANSWER_429, OUTCOME_DELIVERED, REPORT_NORMAL}},
        {"in the 001 row only the first try is odd",
         919855500162,
         1,
         true,
         {ANSWER_DROP_AFTER, OUTCOME_DELIVERED, REPORT_NORMAL}},
        {"and the second is good",
         919855500162,
         2,
         true,
         {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_NORMAL}},
        {"72 reorders callbacks",
         919855500072,
         1,
         true,
         {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_REORDERED}},
        {"Twilio's own invalid number",
         15005550001,
         1,
         true,
         {ANSWER_NORMAL, OUTCOME_INVALID, REPORT_NORMAL}},
        {"Twilio's own good number",
         15005550006,
         1,
         true,
         {ANSWER_NORMAL, OUTCOME_DELIVERED, REPORT_NORMAL}},
        {"Twilio has no test number 5", 15005550005, 1, false, {0}},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct behaviour is = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(behaviour_magic(cases[i].number, cases[i].tries, &is), cases[i].is_magic);
        assert_int_equal(is.answer, cases[i].is.answer);
        assert_int_equal(is.outcome, cases[i].is.outcome);
        assert_int_equal(is.report, cases[i].is.report);
    }
}

static void test_rates(void **unused)
{
    static const struct {
        const char *says;
        const char *text;
        enum th_code code;
        const char *prints;
    } cases[] = {
        {"nothing means that all goes well", "", TH_OK, ""},
        {"percentages may have decimals", "invalid=0.5,http_429=2.25", TH_OK,
         "http_429=2.2500,invalid=0.5000"},
        {"undelivered is spread over four codes", "undelivered=3", TH_OK,
         "undelivered_30003=0.7500,undelivered_30005=0.7500,undelivered_30006=0.7500,"
         "undelivered_30007=0.7500"},
        {"delivered may be given when all adds up", "delivered=99,busy=1", TH_OK,
         "delivered=99.0000,busy=1.0000"},
        {"and not when it does not", "delivered=92,busy=1", TH_INVALID, NULL},
        {"answers, outcomes and callbacks are three questions",
         "drop_after=100,busy=100,no_callback=100", TH_OK,
         "drop_after=100.0000,busy=100.0000,no_callback=100.0000"},
        {"one question has 100 % at most", "http_429=60,slow=60", TH_INVALID, NULL},
        {"an unknown name", "lost=1", TH_INVALID, NULL},
        {"a name alone", "busy", TH_INVALID, NULL},
        {"a negative rate", "busy=-1", TH_INVALID, NULL},
        {"more than all", "busy=101", TH_INVALID, NULL},
        {"the same twice", "busy=1,busy=2", TH_INVALID, NULL},
        {"five decimals", "busy=0.00001", TH_INVALID, NULL},
        {"the rest is no rate of its own", "normal=5", TH_INVALID, NULL},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct rates rates = {0};
        struct rates again = {0};
        TH_AUTO(th_buf) struct th_buf text = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(rates_parse(th_str(cases[i].text), &rates, NULL), cases[i].code);
        if (cases[i].code != TH_OK)
            continue;
        rates_print(&rates, &text);
        assert_str_equal(th_buf_str(&text), th_str(cases[i].prints));
        assert_int_equal(rates_parse(th_buf_str(&text), &again, NULL), TH_OK);
        assert_memory_equal(&rates, &again, sizeof rates);
    }
}

static void test_choices_have_their_rates(void **unused)
{
    enum { TRIALS = 200000 };
    struct rates rates;
    unsigned refused = 0;
    unsigned busy = 0;
    unsigned both = 0;

    (void)unused;
    assert_int_equal(rates_parse(TH_STR("http_429=10,busy=20,late_callback=30"), &rates, NULL),
                     TH_OK);
    for (unsigned i = 0; i < TRIALS; i++) {
        struct trial trial = {.seed = 7, .number = 919000000000 + i, .tries = 1};
        struct behaviour is = behaviour_choose(&trial, &rates);
        struct behaviour again = behaviour_choose(&trial, &rates);

        assert_memory_equal(&is, &again, sizeof is);
        refused += is.answer == ANSWER_429;
        busy += is.outcome == OUTCOME_BUSY;
        both += is.answer == ANSWER_429 && is.outcome == OUTCOME_BUSY;
    }
    assert_in_range(refused, TRIALS * 0.095, TRIALS * 0.105);
    assert_in_range(busy, TRIALS * 0.195, TRIALS * 0.205);
    assert_in_range(both, TRIALS * 0.018, TRIALS * 0.022); /* independent */
}

static void test_draws(void **unused)
{
    struct trial trial = {.seed = 1, .number = 919876543210, .tries = 1};
    struct trial second = {.seed = 1, .number = 919876543210, .tries = 2};
    struct trial reseeded = {.seed = 2, .number = 919876543210, .tries = 1};
    uint32_t seen = 0;

    (void)unused;
    assert_int_equal(behaviour_draw(&trial, FOR_LATENCY, 5, 5), 5);
    assert_int_not_equal(behaviour_draw(&trial, FOR_LATENCY, 0, PPM),
                         behaviour_draw(&second, FOR_LATENCY, 0, PPM));
    assert_int_not_equal(behaviour_draw(&trial, FOR_LATENCY, 0, PPM),
                         behaviour_draw(&reseeded, FOR_LATENCY, 0, PPM));
    assert_int_not_equal(behaviour_draw(&trial, FOR_LATENCY, 0, PPM),
                         behaviour_draw(&trial, FOR_DELAY, 0, PPM));
    for (uint32_t i = 0; i < 1000; i++) {
        struct trial other = {.seed = 1, .number = i, .tries = 1};
        uint32_t drawn = behaviour_draw(&other, FOR_LATENCY, 5, 8);
        assert_in_range(drawn, 5, 8);
        seen |= 1U << drawn;
    }
    assert_int_equal(seen, 1U << 5 | 1U << 6 | 1U << 7 | 1U << 8);
}

static void test_timelines(void **unused)
{
    static const struct {
        const char *says;
        enum channel channel;
        enum outcome outcome;
        const char *statuses;
    } cases[] = {
        {"a message is queued, sent, delivered", CHANNEL_SMS, OUTCOME_DELIVERED,
         "queued sent delivered "},
        {"or undelivered", CHANNEL_SMS, OUTCOME_30005, "queued sent undelivered "},
        {"one that fails is never sent", CHANNEL_SMS, OUTCOME_FAILED, "queued failed "},
        {"a message cannot be busy", CHANNEL_SMS, OUTCOME_BUSY, "queued sent delivered "},
        {"a call is talked on", CHANNEL_CALL, OUTCOME_DELIVERED,
         "initiated ringing in-progress completed "},
        {"a busy one rings in vain", CHANNEL_CALL, OUTCOME_BUSY, "initiated ringing busy "},
        {"so does one that nobody takes", CHANNEL_CALL, OUTCOME_NO_ANSWER,
         "initiated ringing no-answer "},
        {"one that fails does not ring", CHANNEL_CALL, OUTCOME_CALL_FAILED, "initiated failed "},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct timeline timeline = timeline_of(cases[i].channel, cases[i].outcome);
        TH_AUTO(th_buf) struct th_buf text = {0};

        print_message("  %s\n", cases[i].says);
        for (unsigned k = 0; k < timeline.n; k++)
            th_buf_printf(&text, "%s ", timeline.at[k].status);
        assert_str_equal(th_buf_str(&text), th_str(cases[i].statuses));
        assert_int_equal(timeline.at[timeline.n - 1].percent, 100);
        assert_int_equal(timeline.at[timeline.n - 1].event, EVENT_FINAL);
    }

    struct timeline call = timeline_of(CHANNEL_CALL, OUTCOME_DELIVERED);
    struct timeline sms = timeline_of(CHANNEL_SMS, OUTCOME_DELIVERED);
    assert_string_equal(timeline_status(&call, CHANNEL_CALL, 1, false), "queued");
    assert_string_equal(timeline_status(&call, CHANNEL_CALL, 2, false), "ringing");
    assert_string_equal(timeline_status(&sms, CHANNEL_SMS, 0, true), "accepted");
    assert_string_equal(timeline_status(&sms, CHANNEL_SMS, 3, true), "delivered");
    assert_int_equal(timeline_events_parse(TH_STR("sent,final"), CHANNEL_SMS),
                     EVENT_SENT | EVENT_FINAL);
    assert_int_equal(timeline_events_parse(TH_STR("ringing"), CHANNEL_SMS), 0);
}

static void test_settings(void **unused)
{
    static const struct {
        const char *says;
        const char *name;
        const char *value;
        enum th_code code;
    } cases[] = {
        {"a range", "latency-ms", "5-200", TH_OK},
        {"a range of one", "latency_ms", "7", TH_OK},
        {"a range upside down", "latency-ms", "9-5", TH_INVALID},
        {"a price", "sms-price", "0.0025", TH_OK},
        {"a negative price", "sms-price", "-1", TH_INVALID},
        {"a currency", "currency", "INR", TH_OK},
        {"a currency in small letters", "currency", "inr", TH_INVALID},
        {"rates", "rates", "busy=3", TH_OK},
        {"events of messages", "message-events", "queued,sent,final", TH_OK},
        {"no events", "message-events", "", TH_INVALID},
        {"more retries than the counter holds", "callback-retries", "101", TH_INVALID},
        {"a setting that does not exist", "colour", "red", TH_NOT_FOUND},
    };
    struct settings settings;

    (void)unused;
    settings_init(&settings);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(
            settings_set(&settings, th_str(cases[i].name), th_str(cases[i].value), NULL),
            cases[i].code);
    }
    assert_int_equal(settings.latency_ms.min, 7);
    assert_int_equal(settings.latency_ms.max, 7);
    assert_int_equal(settings.sms_price_micro, 2500);
    assert_string_equal(settings.currency, "INR");
}

static void test_timers_come_in_order(void **unused)
{
    struct timers timers = {0};
    uint64_t x = 1;
    uint64_t what;
    int64_t last = 0;

    (void)unused;
    for (uint64_t i = 0; i < 5000; i++) {
        x = x * 6364136223846793005U + 1442695040888963407U;
        assert_int_equal(timers_add(&timers, (int64_t)(x >> 50), x >> 50), TH_OK);
    }
    assert_false(timers_pop(&timers, -1, &what));
    for (size_t i = 0; i < 5000; i++) {
        int64_t next = timers_next_us(&timers);
        assert_true(timers_pop(&timers, next, &what));
        assert_int_equal(what, next);
        assert_true(next >= last);
        last = next;
    }
    assert_true(timers_next_us(&timers) == INT64_MAX);
    timers_fini(&timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_magic_numbers),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_choices_have_their_rates),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_timelines),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_timers_come_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
