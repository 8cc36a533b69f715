/* Twilio's callbacks: statuses, errors and their classes, and what strangers post. */
#include "tests/unit/test.h"

#include "connectors/twilio/errors.h"
#include "connectors/twilio/twilio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMS  "MessageSid=SM00000000000000000000000000000001&MessageStatus="
#define CALL "CallSid=CA00000000000000000000000000000001&CallStatus="

static void test_statuses(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *body;
        enum provider_channel channel;
        enum provider_status status;
        int rank;
        bool is_final;
        bool is_positive;
        enum provider_class error_class;
        const char *reason;
    } cases[] = {
        {"accepted", SMS "accepted", PROVIDER_SMS, PROVIDER_SMS_QUEUED, 10, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"scheduled", SMS "scheduled", PROVIDER_SMS, PROVIDER_SMS_QUEUED, 10, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"queued", SMS "queued", PROVIDER_SMS, PROVIDER_SMS_QUEUED, 10, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"sending", SMS "sending", PROVIDER_SMS, PROVIDER_SMS_SENT, 20, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"sent", SMS "sent", PROVIDER_SMS, PROVIDER_SMS_SENT, 20, false, false, PROVIDER_CLASS_NONE,
         ""},
        {"some parts delivered", SMS "partially_delivered", PROVIDER_SMS,
         PROVIDER_SMS_ACCEPTED_BY_CARRIER, 30, false, false, PROVIDER_CLASS_NONE, ""},
        {"delivered", SMS "delivered", PROVIDER_SMS, PROVIDER_SMS_DELIVERED, 50, true, true,
         PROVIDER_CLASS_NONE, ""},
        {"delivered, with a code that means nothing then", SMS "delivered&ErrorCode=30003",
         PROVIDER_SMS, PROVIDER_SMS_DELIVERED, 50, true, true, PROVIDER_CLASS_NONE, ""},
        {"read", SMS "read", PROVIDER_SMS, PROVIDER_SMS_READ, 60, true, true, PROVIDER_CLASS_NONE,
         ""},
        {"undelivered without a code", SMS "undelivered", PROVIDER_SMS, PROVIDER_SMS_UNDELIVERED,
         41, true, false, PROVIDER_TRANSIENT_SLOW, "undelivered"},
        {"undelivered: handset off", SMS "undelivered&ErrorCode=30003", PROVIDER_SMS,
         PROVIDER_SMS_UNDELIVERED, 41, true, false, PROVIDER_TRANSIENT_SLOW, "unreachable_handset"},
        {"failed: opted out", SMS "failed&ErrorCode=21610", PROVIDER_SMS, PROVIDER_SMS_FAILED, 42,
         true, false, PROVIDER_PERMANENT_SUPPRESS, "opted_out"},
        {"failed with a code of next year", SMS "failed&ErrorCode=39999", PROVIDER_SMS,
         PROVIDER_SMS_FAILED, 42, true, false, PROVIDER_PERMANENT, "unknown_code"},
        {"failed with a code that is no number", SMS "failed&ErrorCode=oops", PROVIDER_SMS,
         PROVIDER_SMS_FAILED, 42, true, false, PROVIDER_TRANSIENT_SLOW, "failed"},
        {"cancelled", SMS "canceled", PROVIDER_SMS, PROVIDER_SMS_FAILED, 42, true, false,
         PROVIDER_PERMANENT, "cancelled"},
        {"by its older names", "SmsSid=SM01&SmsStatus=delivered", PROVIDER_SMS,
         PROVIDER_SMS_DELIVERED, 50, true, true, PROVIDER_CLASS_NONE, ""},
        {"call initiated", CALL "initiated", PROVIDER_CALL, PROVIDER_CALL_INITIATED, 10, false,
         false, PROVIDER_CLASS_NONE, ""},
        {"call queued", CALL "queued", PROVIDER_CALL, PROVIDER_CALL_QUEUED, 15, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"call ringing", CALL "ringing", PROVIDER_CALL, PROVIDER_CALL_RINGING, 20, false, false,
         PROVIDER_CLASS_NONE, ""},
        {"call answered", CALL "in-progress", PROVIDER_CALL, PROVIDER_CALL_ANSWERED, 30, false,
         false, PROVIDER_CLASS_NONE, ""},
        {"call completed", CALL "completed", PROVIDER_CALL, PROVIDER_CALL_COMPLETED, 50, true, true,
         PROVIDER_CLASS_NONE, ""},
        {"call busy", CALL "busy&SipResponseCode=486", PROVIDER_CALL, PROVIDER_CALL_BUSY, 40, true,
         false, PROVIDER_TRANSIENT_SLOW, "busy"},
        {"call declined", CALL "busy&SipResponseCode=603", PROVIDER_CALL, PROVIDER_CALL_BUSY, 40,
         true, false, PROVIDER_PERMANENT, "declined"},
        {"call not answered", CALL "no-answer&SipResponseCode=487", PROVIDER_CALL,
         PROVIDER_CALL_NO_ANSWER, 40, true, false, PROVIDER_TRANSIENT_SLOW, "no_answer"},
        {"call cancelled", CALL "canceled", PROVIDER_CALL, PROVIDER_CALL_CANCELLED, 40, true, false,
         PROVIDER_PERMANENT, "cancelled"},
        {"call failed: no such number", CALL "failed&SipResponseCode=404", PROVIDER_CALL,
         PROVIDER_CALL_FAILED, 40, true, false, PROVIDER_PERMANENT, "invalid_number"},
        {"call failed, and nobody says why", CALL "failed", PROVIDER_CALL, PROVIDER_CALL_FAILED, 40,
         true, false, PROVIDER_TRANSIENT_SLOW, "call_failed"},
        {"call failed with a code of Twilio's", CALL "failed&SipResponseCode=503&ErrorCode=13227",
         PROVIDER_CALL, PROVIDER_CALL_FAILED, 40, true, false, PROVIDER_ACCOUNT, "geo_permission"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_report report = {.channel = 0};
        struct th_arena arena;

        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, 1 << 20);
        assert_int_equal(twilio_ops.callback_parse(th_str(cases[i].body), &arena, &report, NULL),
                         TH_OK);
        assert_int_equal(report.channel, cases[i].channel);
        assert_int_equal(report.status, cases[i].status);
        assert_int_equal(provider_status_rank(report.status), cases[i].rank);
        assert_int_equal(report.is_final, cases[i].is_final);
        assert_int_equal(report.is_positive, cases[i].is_positive);
        assert_string_equal(provider_class_text(report.error_class),
                            provider_class_text(cases[i].error_class));
        assert_str_equal(report.reason, th_str(cases[i].reason));
        assert_false(report.has_price);
        th_arena_fini(&arena);
    }
}

static void test_what_a_call_says(void **unused)
{
    (void)unused;
    struct provider_report report;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(
        twilio_ops.callback_parse(
            TH_STR("CallSid=CA00000000000000000000000000000001&CallStatus=completed&Duration=1"
                   "&CallDuration=42&SequenceNumber=3"
                   "&Timestamp=Sun%2C+22+Nov+2026+05%3A01%3A45+%2B0000"),
            &arena, &report, NULL),
        TH_OK);
    assert_str_equal(report.provider_id, TH_STR("CA00000000000000000000000000000001"));
    assert_int_equal(report.duration_s, 42);
    assert_int_equal(report.sequence, 3);
    assert_true(report.provider_ts_us == INT64_C(1795323705000000));

    print_message("  what is missing or nonsense is unknown\n");
    assert_int_equal(twilio_ops.callback_parse(TH_STR(CALL "completed&CallDuration=-1"
                                                           "&SequenceNumber=x&Timestamp=now"),
                                               &arena, &report, NULL),
                     TH_OK);
    assert_int_equal(report.duration_s, -1);
    assert_int_equal(report.sequence, -1);
    assert_true(report.provider_ts_us == 0);
    th_arena_fini(&arena);
}

static void test_what_is_no_status_callback(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *body;
        enum th_code code;
    } cases[] = {
        {"nothing", "", TH_MALFORMED},
        {"no form", "%", TH_MALFORMED},
        {"an id without a status", "MessageSid=SM01", TH_MALFORMED},
        {"a status without an id", "MessageStatus=sent", TH_MALFORMED},
        {"an empty id", "MessageSid=&MessageStatus=sent", TH_MALFORMED},
        {"an id that is a path", "MessageSid=SM01/../x&MessageStatus=sent", TH_MALFORMED},
        {"an id that is too long",
         "MessageSid=SM00000000000000000000000000000000000000000000000000000000000000000"
         "&MessageStatus=sent",
         TH_MALFORMED},
        {"a status that nobody knows", SMS "teleported", TH_UNSUPPORTED},
        {"a message that came in", SMS "received", TH_UNSUPPORTED},
        {"a status of the other channel", CALL "delivered", TH_UNSUPPORTED},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_report report;
        struct th_arena arena;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, 1 << 20);
        assert_int_equal(twilio_ops.callback_parse(th_str(cases[i].body), &arena, &report, &err),
                         cases[i].code);
        assert_true(err.text[0] != '\0');
        th_arena_fini(&arena);
    }
}

/* Every code that the table of Twilio's errors classifies, written down a second time: class by
 * class, as one reads it in the list. */
static const struct {
    enum provider_class error_class;
    const char *codes;
} classes[] = {
    {PROVIDER_TRANSIENT, "20429 21611 14107 30001 30017 30020 30021 30410 30022 63009 63010 63012 "
                         "63023 63017 63018"},
    {PROVIDER_TRANSIENT_SLOW, "30003 30008 30023 30027 63029 63032 63049"},
    {PROVIDER_PERMANENT, "21211 21217 21421 21401 21214 21612 21216 13225 21202 13224 21614 30005 "
                         "30006 63003 63024"},
    {PROVIDER_PERMANENT_SUPPRESS, "21610 30004 63014 63033"},
    {PROVIDER_CONTENT,
     "21212 21603 21606 21601 21605 21617 21620 21623 30019 63019 63034 11751 21654 21655 21656 "
     "21703 21704 21705 30007 30010 30018 30024 30032 30034 63005 63006 63021 63030 63013 63016 "
     "63026 63027 63028 63040 63041"},
    {PROVIDER_ACCOUNT, "20003 20005 21472 30002 20006 20403 20010 20008 21215 21408 13227 21219 "
                       "21608 21210 21264 21203 63001 63002 63007 63008 63020 63022 63038 63051 "
                       "63112"},
    {PROVIDER_BUG, "20404 21205 21402 21609 21626 21602 21604 21619 13223 13210 13222 13226 13258 "
                   "11200 11237 12100 12101 12102 12200 12300 32100 32113"},
    {PROVIDER_CLASS_NONE, "21220"},
};

static void test_every_error_code(void **unused)
{
    (void)unused;
    size_t n = 0;

    for (size_t i = 0; i < TH_LEN(classes); i++) {
        struct th_str rest = th_str(classes[i].codes);
        while (rest.n) {
            struct th_str word;
            int64_t code = 0;
            (void)th_str_cut(rest, ' ', &word, &rest);
            assert_true(th_str_int(word, 1, 99999, &code));
            const struct twilio_error *error = twilio_error_find(code);
            if (!error || error->error_class != classes[i].error_class || !*error->reason)
                fail_msg("%d is not %s", (int)code, provider_class_text(classes[i].error_class));
            n++;
        }
    }
    print_message("  %zu codes\n", n);

    static const int unknown[] = {0, 1, 11199, 11238, 13209, 13259, 21613, 30000, 32114, 63000};
    for (size_t i = 0; i < TH_LEN(unknown); i++)
        assert_null(twilio_error_find(unknown[i]));
}

static void test_every_sip_code(void **unused)
{
    (void)unused;
    static const struct {
        int code;
        enum provider_class error_class;
        const char *reason;
    } cases[] = {
        {404, PROVIDER_PERMANENT, "invalid_number"}, {484, PROVIDER_PERMANENT, "invalid_number"},
        {604, PROVIDER_PERMANENT, "invalid_number"}, {480, PROVIDER_TRANSIENT_SLOW, "no_answer"},
        {408, PROVIDER_TRANSIENT_SLOW, "no_answer"}, {487, PROVIDER_TRANSIENT_SLOW, "no_answer"},
        {486, PROVIDER_TRANSIENT_SLOW, "busy"},      {600, PROVIDER_TRANSIENT_SLOW, "busy"},
        {603, PROVIDER_PERMANENT, "declined"},       {403, PROVIDER_ACCOUNT, "carrier_refused"},
        {407, PROVIDER_ACCOUNT, "carrier_refused"},  {500, PROVIDER_TRANSIENT, "carrier_error"},
        {503, PROVIDER_TRANSIENT, "carrier_error"},  {599, PROVIDER_TRANSIENT, "carrier_error"},
        {0, PROVIDER_TRANSIENT_SLOW, "call_failed"}, {488, PROVIDER_TRANSIENT_SLOW, "call_failed"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct twilio_error error = twilio_error_of_sip(cases[i].code);
        print_message("  %d %s\n", cases[i].code, cases[i].reason);
        assert_int_equal(error.error_class, cases[i].error_class);
        assert_string_equal(error.reason, cases[i].reason);
    }
}

/* Change a few bytes of a good callback; ASan and UBSan watch, and what is accepted is sound. */
static void test_mutations(void **unused)
{
    (void)unused;
    static const char *const seeds[] = {
        SMS "undelivered&ErrorCode=30003&To=%2B919876543210",
        "CallSid=CA01&CallStatus=completed&CallDuration=42&SequenceNumber=3&SipResponseCode=200"
        "&Timestamp=Sun%2C+22+Nov+2026+05%3A01%3A45+%2B0000",
        CALL "failed&SipResponseCode=404",
    };
    static const char letters[] = "&=%+09afCS\xff\x00-";
    unsigned seed = 11;
    int n_accepted = 0;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    for (int round = 0; round < 30000; round++) {
        struct th_str from = th_str(seeds[round % (int)TH_LEN(seeds)]);
        size_t size = from.n;
        char *body = malloc(size);
        struct provider_report report;

        assert_non_null(body);
        memcpy(body, from.p, size);
        for (int k = rand_r(&seed) % 4; k >= 0; k--)
            body[(size_t)rand_r(&seed) % size] =
                letters[(size_t)rand_r(&seed) % (sizeof letters - 1)];
        if (rand_r(&seed) % 4 == 0)
            size = (size_t)rand_r(&seed) % size;
        if (twilio_ops.callback_parse((struct th_str){body, size}, &arena, &report, NULL) ==
            TH_OK) {
            n_accepted++;
            assert_true(report.provider_id.n > 0 && report.provider_id.n <= 64);
            assert_true(report.status != PROVIDER_STATUS_NONE);
            assert_true(report.duration_s >= -1 && report.sequence >= -1);
            assert_int_equal(report.is_final, provider_status_is_final(report.status));
            assert_int_equal(report.reason.n > 0, report.is_final && !report.is_positive);
        }
        struct provider_callback callback = {
            TH_STR("https://h.example/x"), TH_STR("application/x-www-form-urlencoded"),
            (struct th_str){body, size}, TH_STR("M1g4pc2XWXdgKCpmw7oHcgcFhl8=")};
        assert_int_not_equal(twilio_ops.callback_verify(&callback, TH_STR("token"), &arena), TH_OK);
        free(body);
        th_arena_reset(&arena);
    }
    print_message("  %d of 30000 were callbacks\n", n_accepted);
    assert_true(n_accepted > 1000 && n_accepted < 29000);
    th_arena_fini(&arena);
}

static void test_whom_it_is_about(void **unused)
{
    static const struct {
        const char *says;
        const char *to;
        const char *phone;
    } cases[] = {
        {"a number", "&To=%2B919876543210", "+919876543210"},
        {"of WhatsApp", "&To=whatsapp%3A%2B919876543210", "+919876543210"},
        {"an id in place of a number", "&To=whatsapp%3AUS.1234", ""},
        {"nothing", "", ""},
        {"no number", "&To=%2B91x", ""},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_report report;
        struct th_arena arena;
        char body[200];

        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, 1 << 20);
        (void)snprintf(body, sizeof body, SMS "failed&ErrorCode=21610%s", cases[i].to);
        assert_int_equal(twilio_ops.callback_parse(th_str(body), &arena, &report, NULL), TH_OK);
        assert_str_equal(report.to, th_str(cases[i].phone));
        th_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),         cmocka_unit_test(test_whom_it_is_about),
        cmocka_unit_test(test_what_a_call_says), cmocka_unit_test(test_what_is_no_status_callback),
        cmocka_unit_test(test_every_error_code), cmocka_unit_test(test_every_sip_code),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
