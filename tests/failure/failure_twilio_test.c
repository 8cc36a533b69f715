/* Twilio's translations without memory: each says what it would have said, or TH_NOMEM and nothing
 * else. What was executed never becomes "not executed", a true signature never a false one. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "common/digest.h"
#include "common/encode.h"
#include "connectors/twilio/twilio.h"

#define ARENA_MAX ((size_t)1 << 20)
#define SID       "SM00000000000000000000000000000001"
#define RECORD                                                                                     \
    "{\"sid\":\"" SID "\",\"to\":\"+919876543210\",\"from\":\"+14155550100\","                     \
    "\"status\":\"undelivered\",\"date_created\":\"Thu, 01 Oct 2026 10:00:00 +0000\","             \
    "\"date_updated\":\"Thu, 01 Oct 2026 10:00:05 +0000\",\"direction\":\"outbound-api\","         \
    "\"body\":\"a \\\"quoted\\\" word\",\"error_code\":30005,\"price\":\"-0.00750\","              \
    "\"price_unit\":\"USD\"}"
#define NEXT "/2010-04-01/Accounts/AC01/Messages.json?Page=1"
#define URL  "https://hub.example/webhooks/twilio/t"
#define FORM "MessageSid=" SID "&MessageStatus=delivered&To=%2B919876543210"

static const struct provider_account account = {
    .base_url = {"https://api.twilio.com", 22}, .account = {"AC01", 4}, .secret = {"hush", 4}};

struct op {
    const char *says;
    enum th_code (*run)(const struct op *op, struct th_arena *arena, struct th_buf *out);
    long status; /* of the reply */
    const char *text;
    enum provider_channel channel;
    unsigned round;
    enum th_code code; /* when nothing fails */
};

/* What an operation says when nothing fails. */
static enum th_code expected_code;
static struct th_buf expected;
static bool is_armed;

static void arm(void)
{
    if (is_armed)
        fail_arm();
}

/* --- saying what came out ------------------------------------------------------------------- */

static void put(struct th_buf *out, const char *name, struct th_str value)
{
    th_buf_printf(out, "%s=%.*s\n", name, TH_ARG(value));
}

static enum th_code say_request(enum th_code code, const struct http_req *req, struct th_buf *out)
{
    fail_disarm();
    if (code != TH_OK) {
        assert_int_equal(req->timeout_ms, 77); /* untouched */
        return code;
    }
    put(out, "url", req->url);
    put(out, "body", req->body);
    put(out, "user", req->user);
    put(out, "secret", req->secret);
    return TH_OK;
}

static void put_report(struct th_buf *out, const struct provider_report *report)
{
    put(out, "id", report->provider_id);
    put(out, "to", report->to);
    put(out, "code", report->provider_code);
    put(out, "reason", report->reason);
    th_buf_printf(out, "status=%d class=%d ts=%lld price=%d %lld\n", report->status,
                  report->error_class, (long long)report->provider_ts_us, report->has_price,
                  (long long)report->price.micros);
}

static enum th_code say_lookup(enum th_code code, const struct provider_lookup *lookup,
                               struct th_buf *out)
{
    fail_disarm();
    if (code != TH_OK) {
        assert_int_equal(lookup->n_reports, 77);
        return code;
    }
    th_buf_printf(out, "result=%d\n", lookup->result);
    for (size_t i = 0; i < lookup->n_reports; i++)
        put_report(out, &lookup->reports[i]);
    return TH_OK;
}

/* --- requests --------------------------------------------------------------------------------- */

static enum th_code build(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    const struct provider_message message = {
        .channel = op->channel,
        .to = TH_STR("+919876543210"),
        .from = TH_STR("+14155550100"),
        .text = th_str(op->text),
        .language = TH_STR("en"),
        .attempt = TH_STR("x:1"),
        .callback_url = TH_STR(URL),
    };
    struct http_req req = {.timeout_ms = 77};
    struct th_err err = {0};

    arm();
    return say_request(twilio_ops.build(&account, &message, arena, &req, &err), &req, out);
}

static enum th_code build_lookup(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct http_req req = {.timeout_ms = 77};
    struct th_err err = {0};

    arm();
    return say_request(
        twilio_ops.lookup_build(&account, op->channel, th_str(op->text), arena, &req, &err), &req,
        out);
}

static enum th_code build_list(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct http_req req = {.timeout_ms = 77};
    struct th_err err = {0};

    arm();
    return say_request(
        twilio_ops.list_build(&account, op->channel, th_str(op->text), arena, &req, &err), &req,
        out);
}

static const struct provider_search search = {
    .channel = PROVIDER_SMS,
    .to = {"+919876543210", 13},
    .from = {"+14155550100", 12},
    .text = {"a \"quoted\" word", 15},
    .not_after_us = INT64_MAX,
};

static enum th_code build_search(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct http_req req = {.timeout_ms = 77};
    struct th_err err = {0};

    (void)op;
    arm();
    return say_request(twilio_ops.search_build(&account, &search, arena, &req, &err), &req, out);
}

static enum th_code build_check(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct http_req req = {.timeout_ms = 77};
    struct th_err err = {0};

    arm();
    return say_request(twilio_ops.check_build(&account, op->round, arena, &req, &err), &req, out);
}

/* --- replies ---------------------------------------------------------------------------------- */

static struct http_reply reply_of(const struct op *op)
{
    return (struct http_reply){.phase = HTTP_COMPLETE,
                               .may_have_left = true,
                               .status = op->status,
                               .body = th_str(op->text),
                               .retry_after_s = -1};
}

static enum th_code parse(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_outcome outcome = {.retry_after_us = 77};
    struct http_reply reply = reply_of(op);

    arm();
    enum th_code code = twilio_ops.parse(op->channel, &reply, arena, &outcome);
    fail_disarm();
    if (code != TH_OK) {
        assert_int_equal(outcome.retry_after_us, 77);
        return code;
    }
    th_buf_printf(out, "result=%d class=%d without_id=%d refused=%d\n", outcome.result,
                  outcome.error_class, outcome.is_accepted_without_id, outcome.is_account_refused);
    put(out, "id", outcome.provider_id);
    put(out, "code", outcome.provider_code);
    put(out, "reason", outcome.reason);
    return TH_OK;
}

static enum th_code parse_lookup(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_lookup lookup = {.n_reports = 77};
    struct http_reply reply = reply_of(op);

    arm();
    return say_lookup(twilio_ops.lookup_parse(op->channel, &reply, arena, &lookup), &lookup, out);
}

static enum th_code parse_search(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_lookup lookup = {.n_reports = 77};
    struct http_reply reply = reply_of(op);

    arm();
    return say_lookup(twilio_ops.search_parse(&search, &reply, arena, &lookup), &lookup, out);
}

static enum th_code parse_list(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_page page = {.n_reports = 77};
    struct http_reply reply = reply_of(op);

    arm();
    enum th_code code = twilio_ops.list_parse(op->channel, &reply, arena, &page);
    fail_disarm();
    if (code != TH_OK) {
        assert_int_equal(page.n_reports, 77);
        return code;
    }
    th_buf_printf(out, "result=%d\n", page.result);
    put(out, "next", page.next);
    for (size_t i = 0; i < page.n_reports; i++)
        put_report(out, &page.reports[i]);
    return TH_OK;
}

static enum th_code parse_check(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_check check = {.sentence = TH_STR("untouched")};
    struct http_reply reply = reply_of(op);

    arm();
    enum th_code code = twilio_ops.check_parse(op->round, &reply, arena, &check);
    fail_disarm();
    if (code != TH_OK) {
        assert_str_equal(check.sentence, TH_STR("untouched"));
        return code;
    }
    th_buf_printf(out, "healthy=%d next=%d\n", check.is_healthy, check.has_next);
    put(out, "sentence", check.sentence);
    return TH_OK;
}

/* --- callbacks -------------------------------------------------------------------------------- */

static enum th_code verify(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    TH_AUTO(th_buf) struct th_buf signature = {0};
    struct provider_callback callback = {
        .url = TH_STR(URL),
        .content_type = TH_STR("application/x-www-form-urlencoded"),
        .body = TH_STR(FORM),
    };
    uint8_t mac[TH_SHA1_SIZE];

    (void)out;
    th_hmac_sha1(th_str(op->text),
                 TH_STR(URL "MessageSid" SID "MessageStatus"
                            "delivered"
                            "To+919876543210"),
                 mac);
    th_base64_add(&signature, (struct th_str){(const char *)mac, sizeof mac});
    callback.signature = th_buf_str(&signature);
    arm();
    enum th_code code = twilio_ops.callback_verify(&callback, TH_STR("hush"), arena);
    fail_disarm();
    return code;
}

static enum th_code parse_callback(const struct op *op, struct th_arena *arena, struct th_buf *out)
{
    struct provider_report report = {.sequence = 77};
    struct th_err err = {0};

    arm();
    enum th_code code = twilio_ops.callback_parse(th_str(op->text), arena, &report, &err);
    fail_disarm();
    if (code == TH_OK)
        put_report(out, &report);
    else
        assert_int_equal(report.sequence, 77);
    return code;
}

/* --- all of them ------------------------------------------------------------------------------ */

static const struct op ops[] = {
    {"a message is written", build, 0, "hello", PROVIDER_SMS, 0, TH_OK},
    {"a call is written", build, 0, "a < b", PROVIDER_CALL, 0, TH_OK},
    {"a look-up is written", build_lookup, 0, SID, PROVIDER_SMS, 0, TH_OK},
    {"the list is asked for", build_list, 0, "", PROVIDER_SMS, 0, TH_OK},
    {"its next page", build_list, 0, NEXT, PROVIDER_SMS, 0, TH_OK},
    {"somebody else's page", build_list, 0, "/2010-04-01/Accounts/AC02/Messages.json?Page=1",
     PROVIDER_SMS, 0, TH_INVALID},
    {"a search is written", build_search, 0, "", PROVIDER_SMS, 0, TH_OK},
    {"a check is written", build_check, 0, "", PROVIDER_SMS, 0, TH_OK},
    {"accepted", parse, 201, "{\"sid\":\"" SID "\"}", PROVIDER_SMS, 0, TH_OK},
    {"accepted, in escapes", parse, 201, "{\"sid\":\"SM\\u00300\"}", PROVIDER_SMS, 0, TH_OK},
    {"accepted, but by what name", parse, 201, "{\"sid\":\"\\u00e9\"}", PROVIDER_SMS, 0, TH_OK},
    {"refused", parse, 400, "{\"code\":21211,\"status\":400}", PROVIDER_SMS, 0, TH_OK},
    {"credentials refused", parse, 401, "{\"code\":20003,\"status\":401}", PROVIDER_SMS, 0, TH_OK},
    {"throttled", parse, 429, "{\"code\":20429,\"status\":429}", PROVIDER_SMS, 0, TH_OK},
    {"broken", parse, 500, "{\"code\":20500,\"status\":500}", PROVIDER_CALL, 0, TH_OK},
    {"a look-up is answered", parse_lookup, 200, RECORD, PROVIDER_SMS, 0, TH_OK},
    {"a look-up of what cannot be read", parse_lookup, 200, "{\"sid\":\"\\u00e9\"}", PROVIDER_SMS,
     0, TH_OK},
    {"a search is answered", parse_search, 200, "{\"messages\":[" RECORD "," RECORD "]}",
     PROVIDER_SMS, 0, TH_OK},
    {"a search finds nothing", parse_search, 200, "{\"messages\":[]}", PROVIDER_SMS, 0, TH_OK},
    {"a page is answered", parse_list, 200,
     "{\"messages\":[" RECORD "," RECORD "],\"next_page_uri\":\"" NEXT "\"}", PROVIDER_SMS, 0,
     TH_OK},
    {"the balance", parse_check, 200, "{\"balance\":\"12.5\",\"currency\":\"USD\"}", PROVIDER_SMS,
     0, TH_OK},
    {"the state", parse_check, 200, "{\"status\":\"active\"}", PROVIDER_SMS, 1, TH_OK},
    {"refused credentials", parse_check, 401, "", PROVIDER_SMS, 0, TH_OK},
    {"a true signature", verify, 0, "hush", PROVIDER_SMS, 0, TH_OK},
    {"a false signature", verify, 0, "guessed", PROVIDER_SMS, 0, TH_DENIED},
    {"a callback", parse_callback, 0, FORM "&ErrorCode=30005", PROVIDER_SMS, 0, TH_OK},
    {"a callback that is none", parse_callback, 0, "a=b", PROVIDER_SMS, 0, TH_MALFORMED},
};

static enum th_code run(const struct op *op, struct th_buf *out)
{
    struct th_arena arena;

    th_arena_init(&arena, ARENA_MAX);
    enum th_code code = op->run(op, &arena, out);
    th_arena_fini(&arena);
    return code;
}

static void play(void *arg)
{
    TH_AUTO(th_buf) struct th_buf said = {0};
    enum th_code code = run(arg, &said);

    if (code == TH_NOMEM) {
        assert_true(fail_was_hit());
        return;
    }
    assert_int_equal(code, expected_code);
    assert_str_equal(th_buf_str(&said), th_buf_str(&expected));
}

static void test_translations(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(ops); i++) {
        struct op op = ops[i];

        is_armed = false;
        th_buf_clear(&expected);
        expected_code = run(&op, &expected);
        assert_int_equal(expected_code, op.code);
        is_armed = true;
        fail_each(op.says, FAIL_MEMORY, play, &op);
    }
    th_buf_fini(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_translations)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
