/* twilio: what is asked, and what the answers mean */
#include "tests/unit/test.h"

#include "common/form.h"
#include "connectors/twilio/twilio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_SIZE (1 << 20)
#define SID        "SM00000000000000000000000000000001"
#define CALL_SID   "CA00000000000000000000000000000001"
#define SERVICE    "MG00000000000000000000000000000001"
#define PATH       "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001"
#define NOON_US    INT64_C(1795323705000000) /* Sun, 22 Nov 2026 05:01:45 UTC */

static const struct provider_account account = {
    {"https://api.twilio.com", 22}, {"AC00000000000000000000000000000001", 34}, {"token", 5}};

static const struct provider_message sms = {
    .channel = PROVIDER_SMS,
    .to = {"+919876543210", 13},
    .from = {"+14155550100", 12},
    .text = {"Your order 42 is ready", 22},
    .callback_url = {"https://h.example/webhooks/twilio/t0", 36},
};

static const struct provider_message call = {
    .channel = PROVIDER_CALL,
    .to = {"+919876543210", 13},
    .from = {"+14155550100", 12},
    .text = {"Ravi & Co. say \"<hi>\", it's 5", 29},
    .language = {"en", 2},
    .callback_url = {"https://h.example/t", 19},
};

static int set_up(void **state)
{
    struct th_arena *arena = malloc(sizeof *arena);

    if (!arena)
        return -1;
    th_arena_init(arena, ARENA_SIZE);
    *state = arena;
    return 0;
}

static int tear_down(void **state)
{
    th_arena_fini(*state);
    free(*state);
    return 0;
}

static void test_an_sms_is_asked_for(void **state)
{
    struct http_req req;

    assert_int_equal(twilio_ops.build(&account, &sms, *state, &req, NULL), TH_OK);
    assert_int_equal(req.method, HTTP_POST);
    assert_str_equal(req.url, TH_STR(PATH "/Messages.json"));
    assert_str_equal(req.content_type, TH_STR("application/x-www-form-urlencoded"));
    assert_str_equal(req.user, account.account);
    assert_str_equal(req.secret, account.secret);
    assert_str_equal(req.body,
                     TH_STR("To=%2B919876543210&From=%2B14155550100&Body=Your+order+42+is+ready"
                            "&StatusCallback=https%3A%2F%2Fh.example%2Fwebhooks%2Ftwilio%2Ft0"));
    assert_int_equal(http_req_check(&req, NULL), TH_OK);

    print_message("  a Messaging Service is another parameter; no URL, no callback\n");
    struct provider_message msg = sms;
    msg.from = TH_STR(SERVICE);
    msg.callback_url = TH_STR("");
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_OK);
    assert_str_equal(req.body, TH_STR("To=%2B919876543210&MessagingServiceSid=" SERVICE
                                      "&Body=Your+order+42+is+ready"));
}

static void test_a_call_is_asked_for(void **state)
{
    struct provider_message msg = call;
    struct http_req req;
    struct form form;
    struct th_str twiml;

    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Calls.json"));
    assert_int_equal(form_parse(req.body, *state, &form), TH_OK);
    assert_int_equal(form.n, 9);
    assert_true(form_get(&form, "Twiml", &twiml));
    assert_str_equal(twiml, TH_STR("<Response><Say voice=\"Polly.Aditi\" language=\"en-IN\">"
                                   "Ravi &amp; Co. say &quot;&lt;hi&gt;&quot;, it&apos;s 5"
                                   "</Say></Response>"));
    static const char *const events[] = {"initiated", "ringing", "answered", "completed"};
    for (size_t i = 0; i < TH_LEN(events); i++) {
        assert_str_equal(form.pairs[5 + i].name, TH_STR("StatusCallbackEvent"));
        assert_str_equal(form.pairs[5 + i].value, th_str(events[i]));
    }

    print_message("  Hindi, whatever the region\n");
    msg.language = TH_STR("HI-in");
    msg.text = TH_STR("नमस्ते");
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_OK);
    assert_int_equal(form_parse(req.body, *state, &form), TH_OK);
    assert_true(form_get(&form, "Twiml", &twiml));
    assert_str_equal(twiml, TH_STR("<Response><Say voice=\"Polly.Aditi\" language=\"hi-IN\">"
                                   "नमस्ते</Say></Response>"));
}

static char long_text[4 * 4001];

static void test_what_cannot_be_asked_for(void **state)
{
    static const struct {
        const char *says;
        enum provider_channel channel;
        const char *to;
        const char *from;
        const char *text;
        const char *language;
        enum th_code code;
    } cases[] = {
        {"a national number", PROVIDER_SMS, "9876543210", "+1", "x", "", TH_INVALID},
        {"a number with a space", PROVIDER_SMS, "+91 9876543210", "+1", "x", "", TH_INVALID},
        {"no sender", PROVIDER_SMS, "+919876543210", "", "x", "", TH_INVALID},
        {"no text", PROVIDER_SMS, "+919876543210", "+1", "", "", TH_INVALID},
        {"a text that is not UTF-8", PROVIDER_SMS, "+919876543210", "+1", "\xff", "", TH_INVALID},
        {"another channel", 1 << 5, "+919876543210", "+1", "x", "", TH_UNSUPPORTED},
        {"a call in no language", PROVIDER_CALL, "+919876543210", "+1", "x", "", TH_INVALID},
        {"a call in one without a voice", PROVIDER_CALL, "+919876543210", "+1", "x", "ta",
         TH_INVALID},
        {"a call in one that begins like another", PROVIDER_CALL, "+919876543210", "+1", "x", "hil",
         TH_INVALID},
        {"a call of spaces", PROVIDER_CALL, "+919876543210", "+1", " \n", "hi", TH_INVALID},
        {"a control character", PROVIDER_CALL, "+919876543210", "+1", "a\x01", "hi", TH_INVALID},
        {"a character that XML forbids", PROVIDER_CALL, "+919876543210", "+1", "\xef\xbf\xbf", "hi",
         TH_INVALID},
    };
    struct http_req req = {.n_headers = 77};

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_err err = {0};
        struct provider_message msg = {
            .channel = cases[i].channel,
            .to = th_str(cases[i].to),
            .from = th_str(cases[i].from),
            .text = th_str(cases[i].text),
            .language = th_str(cases[i].language),
        };
        print_message("  %s\n", cases[i].says);
        assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, &err), cases[i].code);
        assert_true(err.text[0] != '\0');
        assert_int_equal(req.n_headers, 77);
    }
    print_message("  an account id that would change the path, an empty secret\n");
    struct provider_account odd = account;
    odd.account = TH_STR("AC01/../AC02");
    assert_int_equal(twilio_ops.build(&odd, &sms, *state, &req, NULL), TH_INVALID);
    odd = account;
    odd.secret = TH_STR("");
    assert_int_equal(twilio_ops.build(&odd, &sms, *state, &req, NULL), TH_INVALID);
    print_message("  no memory\n");
    struct th_arena none;
    th_arena_init(&none, 0);
    assert_int_equal(twilio_ops.build(&account, &sms, &none, &req, NULL), TH_NOMEM);
    assert_int_equal(twilio_ops.build(&account, &call, &none, &req, NULL), TH_NOMEM);
    th_arena_fini(&none);
}

/* n Devanagari letters, three bytes each. */
static struct th_str letters(size_t n)
{
    static const char letter[] = {'\xe0', '\xa4', '\x85'};

    for (size_t i = 0; i < n; i++)
        memcpy(long_text + i * sizeof letter, letter, sizeof letter);
    return (struct th_str){long_text, 3 * n};
}

static void test_lengths_count_characters(void **state)
{
    struct provider_message msg = sms;
    struct http_req req;
    size_t frame =
        strlen("<Response><Say voice=\"Polly.Aditi\" language=\"hi-IN\"></Say></Response>");

    msg.text = letters(TWILIO_SMS_CHARS_MAX);
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_OK);
    msg.text = letters(TWILIO_SMS_CHARS_MAX + 1);
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_INVALID);
    msg.channel = PROVIDER_CALL;
    msg.language = TH_STR("hi");
    msg.text = letters(TWILIO_TWIML_CHARS_MAX - frame);
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_OK);
    msg.text = letters(TWILIO_TWIML_CHARS_MAX - frame + 1);
    assert_int_equal(twilio_ops.build(&account, &msg, *state, &req, NULL), TH_INVALID);
}

static struct http_reply answer(long status, const char *body)
{
    return (struct http_reply){
        .phase = HTTP_COMPLETE,
        .may_have_left = true,
        .status = status,
        .body = th_str(body),
        .retry_after_s = -1,
    };
}

static void test_what_answers_mean(void **state)
{
    static const struct {
        const char *says;
        long status;
        const char *body;
        enum provider_result result;
        enum provider_class error_class;
        const char *code;
        const char *reason;
        bool is_accepted_without_id;
        bool is_account_refused;
    } cases[] = {
        {"created", 201, "{\"sid\":\"" SID "\",\"status\":\"queued\"}", PROVIDER_ACCEPTED,
         PROVIDER_CLASS_NONE, "", "", false, false},
        {"200 will do", 200, "{\"sid\":\"" SID "\"}", PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "",
         "", false, false},
        {"created, but no JSON", 201, "<Response/>", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "accepted_without_id", true, false},
        {"created, but no id", 201, "{\"sid\":null}", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "accepted_without_id", true, false},
        {"created, but an id that is a path", 201, "{\"sid\":\"../x\"}", PROVIDER_UNKNOWN,
         PROVIDER_TRANSIENT, "", "accepted_without_id", true, false},
        {"created, but empty", 201, "", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "accepted_without_id", true, false},
        {"created, but an array", 201, "[]", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "accepted_without_id", true, false},
        {"an invalid number", 400, "{\"code\":21211,\"message\":\"m\",\"status\":400}",
         PROVIDER_REJECTED, PROVIDER_PERMANENT, "21211", "invalid_number", false, false},
        {"the sender's queue is full: not executed, try again", 400, "{\"code\":21611}",
         PROVIDER_REJECTED, PROVIDER_TRANSIENT, "21611", "sender_queue_full", false, false},
        {"opted out", 400, "{\"code\":21610}", PROVIDER_REJECTED, PROVIDER_PERMANENT_SUPPRESS,
         "21610", "opted_out", false, false},
        {"a code of next year is not retried", 400, "{\"code\":29999}", PROVIDER_REJECTED,
         PROVIDER_PERMANENT, "29999", "unknown_code", false, false},
        {"no code is not retried", 400, "oops", PROVIDER_REJECTED, PROVIDER_PERMANENT, "",
         "unknown_code", false, false},
        {"harmless of a hang-up, of a send it is our bug", 400, "{\"code\":21220}",
         PROVIDER_REJECTED, PROVIDER_BUG, "21220", "call_already_ended", false, false},
        {"wrong credentials", 401, "{\"code\":20003}", PROVIDER_REJECTED, PROVIDER_ACCOUNT, "20003",
         "authentication_failed", false, true},
        {"401 is the account's, whatever the code says", 401, "{\"code\":21211}", PROVIDER_REJECTED,
         PROVIDER_ACCOUNT, "21211", "authentication_failed", false, true},
        {"forbidden", 403, "", PROVIDER_REJECTED, PROVIDER_ACCOUNT, "", "access_denied", false,
         true},
        {"forbidden for one number only", 403, "{\"code\":21610}", PROVIDER_REJECTED,
         PROVIDER_PERMANENT_SUPPRESS, "21610", "opted_out", false, false},
        {"not found", 404, "{\"code\":20404}", PROVIDER_REJECTED, PROVIDER_BUG, "20404",
         "not_found", false, false},
        {"another method", 405, "", PROVIDER_REJECTED, PROVIDER_BUG, "", "request_refused", false,
         false},
        {"a redirect", 302, "", PROVIDER_REJECTED, PROVIDER_BUG, "", "request_refused", false,
         false},
        {"too many", 429, "{\"code\":20429}", PROVIDER_THROTTLED, PROVIDER_TRANSIENT, "20429",
         "rate_limited", false, false},
        {"a conflict proves nothing", 409, "", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "unclear_answer", false, false},
        {"an error of theirs proves nothing", 500, "{\"code\":20500}", PROVIDER_UNKNOWN,
         PROVIDER_TRANSIENT, "20500", "provider_error", false, false},
        {"nor does an overload", 503, "", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "",
         "provider_error", false, false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].body);
        struct provider_outcome outcome;

        print_message("  %s\n", cases[i].says);
        reply.retry_after_s = 7;
        assert_int_equal(twilio_ops.parse(PROVIDER_SMS, &reply, *state, &outcome), TH_OK);
        assert_string_equal(provider_result_text(outcome.result),
                            provider_result_text(cases[i].result));
        assert_string_equal(provider_class_text(outcome.error_class),
                            provider_class_text(cases[i].error_class));
        assert_str_equal(outcome.provider_code, th_str(cases[i].code));
        assert_str_equal(outcome.reason, th_str(cases[i].reason));
        assert_int_equal(outcome.is_accepted_without_id, cases[i].is_accepted_without_id);
        assert_int_equal(outcome.is_account_refused, cases[i].is_account_refused);
        assert_true(outcome.retry_after_us == 7000000);
        assert_str_equal(outcome.provider_id,
                         outcome.result == PROVIDER_ACCEPTED ? TH_STR(SID) : TH_STR(""));
    }
}

static void test_what_no_answer_means(void **state)
{
    static const struct {
        const char *says;
        struct http_reply reply;
        enum provider_result result;
        const char *reason;
        bool is_accepted_without_id;
    } cases[] = {
        {"no connection",
         {.phase = HTTP_NOT_STARTED, .retry_after_s = -1},
         PROVIDER_NOT_SENT,
         "connection_failed",
         false},
        {"the permit said no",
         {.phase = HTTP_CONNECTED, .is_refused = true, .retry_after_s = -1},
         PROVIDER_NOT_SENT,
         "not_permitted",
         false},
        {"lost after it left",
         {.phase = HTTP_BEGUN, .may_have_left = true, .retry_after_s = -1},
         PROVIDER_UNKNOWN,
         "answer_lost",
         false},
        {"lost after 201",
         {.phase = HTTP_ANSWERING, .may_have_left = true, .status = 201, .retry_after_s = -1},
         PROVIDER_UNKNOWN,
         "accepted_without_id",
         true},
        {"lost after 400: no proof before it is whole",
         {.phase = HTTP_ANSWERING, .may_have_left = true, .status = 400, .retry_after_s = -1},
         PROVIDER_UNKNOWN,
         "answer_lost",
         false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_outcome outcome;
        print_message("  %s\n", cases[i].says);
        assert_int_equal(twilio_ops.parse(PROVIDER_CALL, &cases[i].reply, *state, &outcome), TH_OK);
        assert_string_equal(provider_result_text(outcome.result),
                            provider_result_text(cases[i].result));
        assert_str_equal(outcome.reason, th_str(cases[i].reason));
        assert_int_equal(outcome.is_accepted_without_id, cases[i].is_accepted_without_id);
        assert_true(outcome.retry_after_us == -1);
    }
}

static void test_look_up(void **state)
{
    struct http_req req;
    struct provider_lookup lookup;
    struct provider_report *report;

    assert_int_equal(
        twilio_ops.lookup_build(&account, PROVIDER_SMS, TH_STR(SID), *state, &req, NULL), TH_OK);
    assert_int_equal(req.method, HTTP_GET);
    assert_str_equal(req.url, TH_STR(PATH "/Messages/" SID ".json"));
    assert_int_equal(http_req_check(&req, NULL), TH_OK);
    assert_int_equal(
        twilio_ops.lookup_build(&account, PROVIDER_CALL, TH_STR(CALL_SID), *state, &req, NULL),
        TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Calls/" CALL_SID ".json"));
    assert_int_equal(
        twilio_ops.lookup_build(&account, PROVIDER_SMS, TH_STR("a/b"), *state, &req, NULL),
        TH_INVALID);

    print_message("  a message that failed, priced\n");
    struct http_reply reply =
        answer(200, "{\"sid\":\"" SID "\",\"status\":\"undelivered\",\"error_code\":30005,"
                    "\"price\":\"-0.00750\",\"price_unit\":\"USD\","
                    "\"date_updated\":\"Sun, 22 Nov 2026 05:01:45 +0000\"}");
    assert_int_equal(twilio_ops.lookup_parse(PROVIDER_SMS, &reply, *state, &lookup), TH_OK);
    assert_int_equal(lookup.result, PROVIDER_FOUND);
    assert_int_equal(lookup.n_reports, 1);
    report = lookup.reports;
    assert_int_equal(report->status, PROVIDER_SMS_UNDELIVERED);
    assert_str_equal(report->provider_code, TH_STR("30005"));
    assert_str_equal(report->reason, TH_STR("unknown_handset"));
    assert_true(report->has_price);
    assert_true(report->price.micros == 7500);
    assert_string_equal(report->price.currency, "USD");
    assert_true(report->provider_ts_us == NOON_US);

    print_message("  a call that ended, not priced yet\n");
    reply = answer(200, "{\"sid\":\"" CALL_SID "\",\"status\":\"completed\",\"duration\":\"42\","
                        "\"price\":null,\"price_unit\":\"USD\","
                        "\"end_time\":\"Sun, 22 Nov 2026 05:01:45 +0000\","
                        "\"date_updated\":\"Sun, 22 Nov 2026 05:09:00 +0000\"}");
    assert_int_equal(twilio_ops.lookup_parse(PROVIDER_CALL, &reply, *state, &lookup), TH_OK);
    report = lookup.reports;
    assert_int_equal(report->status, PROVIDER_CALL_COMPLETED);
    assert_true(report->is_positive);
    assert_int_equal(report->duration_s, 42);
    assert_false(report->has_price);
    assert_true(report->provider_ts_us == NOON_US);
}

static void test_look_up_without_an_answer(void **state)
{
    static const struct {
        const char *says;
        long status;
        const char *body;
        enum provider_lookup_result result;
    } cases[] = {
        {"unknown id", 404, "{\"code\":20404}", PROVIDER_ABSENT},
        {"credentials", 401, "", PROVIDER_ASK_REFUSED},
        {"a bad request", 400, "", PROVIDER_ASK_REFUSED},
        {"too many", 429, "", PROVIDER_ASK_AGAIN},
        {"an error of theirs", 502, "", PROVIDER_ASK_AGAIN},
        {"no JSON", 200, "<html>", PROVIDER_ASK_AGAIN},
        {"no status", 200, "{\"sid\":\"" SID "\"}", PROVIDER_ASK_AGAIN},
        {"a status that nobody knows", 200, "{\"sid\":\"" SID "\",\"status\":\"lost\"}",
         PROVIDER_ASK_AGAIN},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].body);
        struct provider_lookup lookup;
        print_message("  %s\n", cases[i].says);
        assert_int_equal(twilio_ops.lookup_parse(PROVIDER_SMS, &reply, *state, &lookup), TH_OK);
        assert_int_equal(lookup.result, cases[i].result);
        assert_int_equal(lookup.n_reports, 0);
    }
}

static void test_prices(void **state)
{
    static const struct {
        const char *says;
        const char *price;
        const char *unit;
        bool has_price;
        int64_t micros;
    } cases[] = {
        {"a charge", "\"-0.03000\"", "\"USD\"", true, 30000},
        {"a charge without a sign", "\"0.03\"", "\"INR\"", true, 30000},
        {"a unit in lower case", "\"-1\"", "\"usd\"", true, 1000000},
        {"free", "\"0\"", "\"USD\"", true, 0},
        {"not yet", "null", "\"USD\"", false, 0},
        {"no unit", "\"-0.03\"", "null", false, 0},
        {"a unit that is none", "\"-0.03\"", "\"U1D\"", false, 0},
        {"no number", "\"free\"", "\"USD\"", false, 0},
        {"more than fits", "\"-99999999999999999999\"", "\"USD\"", false, 0},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_lookup lookup;
        char body[300];
        print_message("  %s\n", cases[i].says);
        (void)snprintf(body, sizeof body,
                       "{\"sid\":\"" SID "\",\"status\":\"delivered\",\"price\":%s,"
                       "\"price_unit\":%s}",
                       cases[i].price, cases[i].unit);
        struct http_reply reply = answer(200, body);
        assert_int_equal(twilio_ops.lookup_parse(PROVIDER_SMS, &reply, *state, &lookup), TH_OK);
        assert_int_equal(lookup.result, PROVIDER_FOUND);
        assert_int_equal(lookup.reports->has_price, cases[i].has_price);
        assert_true(lookup.reports->price.micros == cases[i].micros);
    }
}

#define ITEM(sid, to, from, text, created)                                                         \
    "{\"sid\":\"" sid "\",\"status\":\"sent\",\"direction\":\"outbound-api\",\"to\":\"" to         \
    "\",\"from\":\"" from "\",\"body\":\"" text "\",\"date_created\":\"" created " +0000\"}"
#define AT_NOON  "Sun, 22 Nov 2026 05:01:45"
#define AT_NIGHT "Sun, 22 Nov 2026 23:01:45"

static void test_search(void **state)
{
    struct provider_search search = {
        .channel = PROVIDER_SMS,
        .to = sms.to,
        .from = sms.from,
        .text = TH_STR("hello"),
        .not_before_us = NOON_US - 1000000,
        .not_after_us = NOON_US + 1000000,
    };
    struct provider_lookup lookup;
    struct http_req req;

    assert_int_equal(twilio_ops.search_build(&account, &search, *state, &req, NULL), TH_OK);
    assert_str_equal(
        req.url, TH_STR(PATH "/Messages.json?To=%2B919876543210&From=%2B14155550100&PageSize=50"));
    assert_int_equal(http_req_check(&req, NULL), TH_OK);

    struct http_reply reply = answer(
        200,
        "{\"messages\":[" ITEM("SM01", "+919876543210", "+14155550100", "hello", AT_NIGHT) "," ITEM(
            "SM02", "+919876543210", "+14155550100", "hello",
            AT_NOON) "," ITEM("SM03", "+919876543211", "+14155550100", "hello",
                              AT_NOON) "," ITEM("SM04", "+919876543210", "+14155550101", "hello",
                                                AT_NOON) "," ITEM("SM05", "+919876543210",
                                                                  "+14155550100", "other",
                                                                  AT_NOON) "," ITEM("SM06",
                                                                                    "+919876543210",
                                                                                    "+14155550100",
                                                                                    "Trial - hello",
                                                                                    AT_NOON) ","
                                                                                             "{\"si"
                                                                                             "d\":"
                                                                                             "\"SM0"
                                                                                             "7\"},"
                                                                                             "null,"
                                                                                             "7]}");
    assert_int_equal(twilio_ops.search_parse(&search, &reply, *state, &lookup), TH_OK);
    assert_int_equal(lookup.result, PROVIDER_FOUND);
    assert_int_equal(lookup.n_reports, 2);
    assert_str_equal(lookup.reports[0].provider_id, TH_STR("SM02"));
    assert_str_equal(lookup.reports[1].provider_id, TH_STR("SM06"));

    print_message("  found nothing\n");
    reply = answer(200, "{\"messages\":[]}");
    assert_int_equal(twilio_ops.search_parse(&search, &reply, *state, &lookup), TH_OK);
    assert_int_equal(lookup.result, PROVIDER_ABSENT);
    print_message("  no list is no answer\n");
    reply = answer(200, "{\"calls\":[]}");
    assert_int_equal(twilio_ops.search_parse(&search, &reply, *state, &lookup), TH_OK);
    assert_int_equal(lookup.result, PROVIDER_ASK_AGAIN);

    print_message("  calls, by a service's number of its own choice\n");
    search.channel = PROVIDER_CALL;
    search.from = TH_STR("");
    assert_int_equal(twilio_ops.search_build(&account, &search, *state, &req, NULL), TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Calls.json?To=%2B919876543210&PageSize=50"));
}

static void test_list(void **state)
{
    struct provider_page page;
    struct http_req req;
    struct th_err err = {0};

    assert_int_equal(twilio_ops.list_build(&account, PROVIDER_SMS, TH_STR(""), *state, &req, NULL),
                     TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Messages.json?PageSize=250"));
    assert_int_equal(req.method, HTTP_GET);
    assert_int_equal(twilio_ops.list_build(&account, PROVIDER_CALL, TH_STR(""), *state, &req, NULL),
                     TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Calls.json?PageSize=250"));

    print_message("  what cannot be read is left out\n");
    struct http_reply reply =
        answer(200, "{\"messages\":[{\"sid\":\"SM2\",\"status\":\"delivered\",\"price\":\"-0.5\","
                    "\"price_unit\":\"INR\"},{\"sid\":7},null,{\"sid\":\"SM1\",\"status\":"
                    "\"failed\",\"error_code\":30005}],\"next_page_uri\":\"/next\\u0041\"}");
    assert_int_equal(twilio_ops.list_parse(PROVIDER_SMS, &reply, *state, &page), TH_OK);
    assert_int_equal(page.result, PROVIDER_FOUND);
    assert_int_equal(page.n_reports, 2);
    assert_str_equal(page.reports[0].provider_id, TH_STR("SM2"));
    assert_true(page.reports[0].has_price);
    assert_true(page.reports[0].price.micros == 500000);
    assert_str_equal(page.reports[1].provider_code, TH_STR("30005"));
    assert_str_equal(page.next, TH_STR("/nextA"));

    print_message("  the last page\n");
    reply = answer(200, "{\"messages\":[],\"next_page_uri\":null}");
    assert_int_equal(twilio_ops.list_parse(PROVIDER_SMS, &reply, *state, &page), TH_OK);
    assert_int_equal(page.result, PROVIDER_FOUND);
    assert_int_equal(page.n_reports, 0);
    assert_str_equal(page.next, TH_STR(""));

    print_message("  no list\n");
    reply = answer(429, "{\"code\":20429}");
    assert_int_equal(twilio_ops.list_parse(PROVIDER_SMS, &reply, *state, &page), TH_OK);
    assert_int_equal(page.result, PROVIDER_ASK_AGAIN);

    print_message("  the next page is one of this list, wherever the provider points\n");
    static const char mine[] = "/2010-04-01/Accounts/AC00000000000000000000000000000001/"
                               "Messages.json?PageSize=250&PageToken=P";
    static const char *const others[] = {
        ("https://elsewhere.example/2010-04-01/Accounts/AC00000000000000000000000000000001/"
         "Messages.json?Page=1"),
        "/2010-04-01/Accounts/AC00000000000000000000000000000002/Messages.json?Page=1",
        "/2010-04-01/Accounts/AC00000000000000000000000000000001/Calls.json?Page=1",
        "//elsewhere.example/",
    };
    assert_int_equal(
        twilio_ops.list_build(&account, PROVIDER_SMS, th_str(mine), *state, &req, NULL), TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Messages.json?PageSize=250&PageToken=P"));
    for (size_t i = 0; i < TH_LEN(others); i++)
        assert_int_equal(
            twilio_ops.list_build(&account, PROVIDER_SMS, th_str(others[i]), *state, &req, &err),
            TH_INVALID);
}

static void test_check(void **state)
{
    static const struct {
        const char *says;
        unsigned round;
        long status;
        const char *body;
        bool is_healthy;
        bool has_next;
        const char *sentence;
    } cases[] = {
        {"money left", 0, 200, "{\"balance\":\"0.05\",\"currency\":\"USD\"}", true, false,
         "credentials accepted, balance 0.05 USD"},
        {"money owed", 0, 200, "{\"balance\":\"-1.00\",\"currency\":\"USD\"}", false, false,
         "credentials accepted, balance -1.00 USD: nothing left"},
        {"nonsense", 0, 200, "{}", false, false,
         "the account answered something that cannot be read"},
        {"terminal escapes are not shown", 0, 200, "{\"balance\":\"\\u001b[2J\"}", false, false,
         "the account answered something that cannot be read"},
        {"no JSON", 0, 200, "hello", false, false,
         "the provider answered something that is no JSON"},
        {"a sub-account", 0, 404, "{\"code\":20404}", false, true,
         "the provider answered HTTP 404"},
        {"an active sub-account", 1, 200, "{\"status\":\"active\"}", true, false,
         "credentials accepted, the account is active"},
        {"a suspended one", 1, 200, "{\"status\":\"suspended\"}", false, false,
         "credentials accepted, the account is suspended"},
        {"no such account", 1, 404, "", false, false, "the provider answered HTTP 404"},
        {"wrong credentials", 0, 401, "", false, false,
         "the provider refuses the credentials (HTTP 401)"},
    };
    struct provider_check check;
    struct http_req req;

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct http_reply reply = answer(cases[i].status, cases[i].body);
        print_message("  %s\n", cases[i].says);
        assert_int_equal(twilio_ops.check_parse(cases[i].round, &reply, *state, &check), TH_OK);
        assert_int_equal(check.is_healthy, cases[i].is_healthy);
        assert_int_equal(check.has_next, cases[i].has_next);
        assert_str_equal(check.sentence, th_str(cases[i].sentence));
    }
    struct http_reply lost = {.phase = HTTP_NOT_STARTED, .error = "Couldn't connect to server"};
    assert_int_equal(twilio_ops.check_parse(0, &lost, *state, &check), TH_OK);
    assert_str_equal(check.sentence, TH_STR("no answer: Couldn't connect to server"));

    assert_int_equal(twilio_ops.check_build(&account, 0, *state, &req, NULL), TH_OK);
    assert_str_equal(req.url, TH_STR(PATH "/Balance.json"));
    assert_int_equal(twilio_ops.check_build(&account, 1, *state, &req, NULL), TH_OK);
    assert_str_equal(req.url, TH_STR(PATH ".json"));
    assert_int_equal(twilio_ops.check_build(&account, 2, *state, &req, NULL), TH_INVALID);
}

/* Answers with a few bytes changed: no crash, and never an id that is none. */
static void test_mutated_answers(void **state)
{
    static const char *const seeds[] = {
        "{\"sid\":\"" SID "\",\"status\":\"undelivered\",\"error_code\":30005,"
        "\"price\":\"-0.00750\",\"price_unit\":\"USD\",\"duration\":\"4\"}",
        "{\"messages\":[" ITEM("SM02", "+919876543210", "+14155550100", "hello", AT_NOON) "]}",
        "{\"code\":21211,\"message\":\"m\",\"status\":400}",
    };
    static const long statuses[] = {200, 201, 400, 404, 429, 500};
    static const char bytes[] = "\"{}[]:,0-eE\\u\xff\x00 n";
    const struct provider_search search = {
        .channel = PROVIDER_SMS, .to = sms.to, .not_after_us = INT64_MAX};
    unsigned seed = 5;
    int n_accepted = 0;

    for (int round = 0; round < 30000; round++) {
        struct th_str from = th_str(seeds[round % (int)TH_LEN(seeds)]);
        size_t size = from.n;
        char *body = malloc(size);
        struct provider_outcome outcome;
        struct provider_lookup lookup;
        struct provider_check check;

        assert_non_null(body);
        memcpy(body, from.p, size);
        for (int k = rand_r(&seed) % 3; k > 0; k--)
            body[(size_t)rand_r(&seed) % size] = bytes[(size_t)rand_r(&seed) % (sizeof bytes - 1)];
        if (rand_r(&seed) % 8 == 0)
            size = (size_t)rand_r(&seed) % size;
        struct http_reply reply = answer(statuses[(size_t)rand_r(&seed) % TH_LEN(statuses)], NULL);
        reply.body = (struct th_str){body, size};
        assert_int_equal(twilio_ops.parse(PROVIDER_SMS, &reply, *state, &outcome), TH_OK);
        assert_int_equal(outcome.provider_id.n > 0, outcome.result == PROVIDER_ACCEPTED);
        assert_int_equal(outcome.reason.n > 0, outcome.result != PROVIDER_ACCEPTED);
        n_accepted += outcome.result == PROVIDER_ACCEPTED;
        assert_int_equal(twilio_ops.lookup_parse(PROVIDER_SMS, &reply, *state, &lookup), TH_OK);
        assert_int_equal(lookup.n_reports > 0, lookup.result == PROVIDER_FOUND);
        assert_int_equal(twilio_ops.search_parse(&search, &reply, *state, &lookup), TH_OK);
        assert_int_equal(lookup.n_reports > 0, lookup.result == PROVIDER_FOUND);
        assert_int_equal(twilio_ops.check_parse(0, &reply, *state, &check), TH_OK);
        free(body);
        th_arena_reset(*state);
    }
    print_message("  %d of 30000 accepted\n", n_accepted);
    assert_true(n_accepted > 500 && n_accepted < 10000);
}

static void test_capabilities(void **state)
{
    (void)state;
    assert_string_equal(twilio_ops.name, "twilio");
    assert_int_equal(twilio_ops.caps.channels, PROVIDER_SMS | PROVIDER_CALL);
    assert_int_equal(twilio_ops.caps.max_batch, 1);
    assert_int_equal(twilio_ops.caps.reconciliation, PROVIDER_CALLBACK);
    assert_true(twilio_ops.caps.has_signed_callbacks && twilio_ops.caps.has_polled_price);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_sms_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_call_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lengths_count_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_answers_mean, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_no_answer_means, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_look_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_look_up_without_an_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_search, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mutated_answers, set_up, tear_down),
        cmocka_unit_test(test_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
