/* Twilio's connector and the HTTP client against the sandbox, which shares no code with either: the
 * two have read the same documentation, and agree. */
#include "tests/unit/test.h"

#include "common/callback_token.h"
#include "common/http_outcome.h"
#include "connectors/http_client/http_client.h"
#include "connectors/twilio/twilio.h"
#include "tests/integration/sandbox_peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX 8192
#define PATIENCE_MS 10000

static struct sandbox sandbox;
static struct http_client *client;
static struct th_arena arena;
static char base_url[64];
static struct provider_account account;
static int listen_fd = -1; /* where callbacks come in */
static int listen_port;

static int listen_somewhere(int *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &size))
        return -1;
    *out_port = ntohs(address.sin_port);
    return fd;
}

static int set_up(void **unused)
{
    static const char *const options[] = {
        "--latency-ms", "0-5", "--callback-delay-ms", "10-30", "--price-delay-ms", "0", NULL};
    struct http_client_conf conf = {.in_flight_max = 8};

    (void)unused;
    sandbox_prepare(&sandbox);
    sandbox_start(&sandbox, options);
    (void)snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", sandbox.port);
    account =
        (struct provider_account){th_str(base_url), TH_STR(PEER_ACCOUNT), TH_STR(PEER_SECRET)};
    th_arena_init(&arena, 64 << 20);
    listen_fd = listen_somewhere(&listen_port);
    return listen_fd < 0 || http_client_open(&conf, &client, NULL) != TH_OK;
}

static int tear_down(void **unused)
{
    (void)unused;
    http_client_close(client);
    th_arena_fini(&arena);
    (void)close(listen_fd);
    sandbox_remove(&sandbox);
    return 0;
}

static struct http_reply perform(const struct http_req *req)
{
    static struct http_done done; /* the reply's body lives until the next poll */
    struct pollfd ready = {.fd = http_fd(client), .events = POLLIN};

    assert_int_equal(http_start(client, req, (struct http_permit){NULL, NULL}, 1, NULL), TH_OK);
    while (http_poll(client, &done, 1) == 0)
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    return done.reply;
}

static struct provider_outcome send_to(enum provider_channel channel, const char *to,
                                       const char *callback_url)
{
    struct provider_message msg = {
        .channel = channel,
        .to = th_str(to),
        .from = TH_STR("+14155550100"),
        .text = TH_STR("नमस्ते & <hello>"),
        .language = TH_STR("hi"),
        .callback_url = th_str(callback_url),
    };
    struct provider_outcome outcome;
    struct http_req req;
    struct th_err err = {0};

    if (twilio_ops.build(&account, &msg, &arena, &req, &err) != TH_OK)
        fail_msg("%s", err.text);
    struct http_reply reply = perform(&req);
    assert_int_equal(twilio_ops.parse(channel, &reply, &arena, &outcome), TH_OK);
    return outcome;
}

static struct provider_lookup look_up(enum provider_channel channel, struct th_str id)
{
    struct provider_lookup lookup;
    struct http_req req;

    assert_int_equal(twilio_ops.lookup_build(&account, channel, id, &arena, &req, NULL), TH_OK);
    struct http_reply reply = perform(&req);
    assert_int_equal(twilio_ops.lookup_parse(channel, &reply, &arena, &lookup), TH_OK);
    return lookup;
}

static struct provider_lookup search_for(enum provider_channel channel, const char *to)
{
    struct provider_search search = {
        .channel = channel,
        .to = th_str(to),
        .from = TH_STR("+14155550100"),
        .text = TH_STR("नमस्ते & <hello>"),
        .not_before_us = (int64_t)(time(NULL) - 60) * 1000000,
        .not_after_us = (int64_t)(time(NULL) + 60) * 1000000,
    };
    struct provider_lookup lookup;
    struct http_req req;

    assert_int_equal(twilio_ops.search_build(&account, &search, &arena, &req, NULL), TH_OK);
    struct http_reply reply = perform(&req);
    assert_int_equal(twilio_ops.search_parse(&search, &reply, &arena, &lookup), TH_OK);
    return lookup;
}

static void test_every_answer(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum provider_channel channel;
        const char *to;
        enum provider_result result;
        enum provider_class error_class;
        const char *reason;
        int64_t retry_after_us;
        enum provider_lookup_result found; /* by recipient, afterwards */
    } cases[] = {
        {"a message", PROVIDER_SMS, "+919855500000", PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "", -1,
         PROVIDER_FOUND},
        {"a call", PROVIDER_CALL, "+919955500000", PROVIDER_ACCEPTED, PROVIDER_CLASS_NONE, "", -1,
         PROVIDER_FOUND},
        {"unsubscribed", PROVIDER_SMS, "+919855500010", PROVIDER_REJECTED,
         PROVIDER_PERMANENT_SUPPRESS, "opted_out", -1, PROVIDER_ABSENT},
        {"a call that the provider blocks", PROVIDER_CALL, "+919955500010", PROVIDER_REJECTED,
         PROVIDER_PERMANENT, "blocked_by_provider", -1, PROVIDER_ABSENT},
        {"an invalid number", PROVIDER_SMS, "+919855500011", PROVIDER_REJECTED, PROVIDER_PERMANENT,
         "invalid_number", -1, PROVIDER_ABSENT},
        {"unreachable", PROVIDER_SMS, "+919855500012", PROVIDER_REJECTED, PROVIDER_PERMANENT,
         "unreachable_number", -1, PROVIDER_ABSENT},
        {"a country that is not enabled", PROVIDER_CALL, "+919955500013", PROVIDER_REJECTED,
         PROVIDER_ACCOUNT, "geo_permission", -1, PROVIDER_ABSENT},
        {"not a mobile", PROVIDER_SMS, "+919855500014", PROVIDER_REJECTED, PROVIDER_PERMANENT,
         "not_mobile", -1, PROVIDER_ABSENT},
        {"throttled", PROVIDER_SMS, "+919855500029", PROVIDER_THROTTLED, PROVIDER_TRANSIENT,
         "rate_limited", -1, PROVIDER_ABSENT},
        {"throttled for a second", PROVIDER_CALL, "+919955500030", PROVIDER_THROTTLED,
         PROVIDER_TRANSIENT, "rate_limited", 1000000, PROVIDER_ABSENT},
        {"500, not executed", PROVIDER_SMS, "+919855500050", PROVIDER_UNKNOWN, PROVIDER_TRANSIENT,
         "provider_error", -1, PROVIDER_ABSENT},
        {"500, executed: a search confirms it", PROVIDER_SMS, "+919855500051", PROVIDER_UNKNOWN,
         PROVIDER_TRANSIENT, "provider_error", -1, PROVIDER_FOUND},
        {"dropped, not executed", PROVIDER_SMS, "+919855500061", PROVIDER_UNKNOWN,
         PROVIDER_TRANSIENT, "answer_lost", -1, PROVIDER_ABSENT},
        {"dropped, executed: a search confirms it", PROVIDER_CALL, "+919955500062",
         PROVIDER_UNKNOWN, PROVIDER_TRANSIENT, "answer_lost", -1, PROVIDER_FOUND},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        struct provider_outcome outcome = send_to(cases[i].channel, cases[i].to, "");
        assert_string_equal(provider_result_text(outcome.result),
                            provider_result_text(cases[i].result));
        assert_string_equal(provider_class_text(outcome.error_class),
                            provider_class_text(cases[i].error_class));
        assert_str_equal(outcome.reason, th_str(cases[i].reason));
        assert_true(outcome.retry_after_us == cases[i].retry_after_us);

        struct provider_lookup lookup = search_for(cases[i].channel, cases[i].to);
        assert_int_equal(lookup.result, cases[i].found);
        if (lookup.result != PROVIDER_FOUND)
            continue;
        assert_int_equal(lookup.n_reports, 1); /* executed once, over kept-alive connections */
        if (outcome.provider_id.n)
            assert_str_equal(lookup.reports[0].provider_id, outcome.provider_id);
    }
}

/* One callback as it came over the wire. */
struct incoming {
    char bytes[REQUEST_MAX];
    char url[256];
    struct provider_callback callback;
};

static struct th_str header_of(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? (struct th_str){at + strlen(name), strcspn(at + strlen(name), "\r")} : TH_STR("");
}

/* Take one callback, at the latest after PATIENCE_MS, and answer 204. */
static void take_callback(struct incoming *in)
{
    struct pollfd ready = {.fd = listen_fd, .events = POLLIN};
    const char *body = NULL;
    int64_t body_size = 0;
    size_t n = 0;

    if (poll(&ready, 1, PATIENCE_MS) != 1)
        fail_msg("no callback came");
    int fd = accept(listen_fd, NULL, NULL);
    assert_true(fd >= 0);
    while (!body || in->bytes + n < body + body_size) {
        ssize_t got = recv(fd, in->bytes + n, sizeof in->bytes - 1 - n, 0);
        assert_true(got > 0);
        n += (size_t)got;
        in->bytes[n] = '\0';
        body = strstr(in->bytes, "\r\n\r\n");
        body = body ? body + 4 : NULL;
        (void)th_str_int(header_of(in->bytes, "\r\nContent-Length: "), 0, REQUEST_MAX, &body_size);
    }
    static const char answer[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    assert_int_equal(send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL), sizeof answer - 1);
    (void)close(fd);

    assert_true(th_str_starts(th_str(in->bytes), TH_STR("POST ")));
    (void)snprintf(in->url, sizeof in->url, "http://127.0.0.1:%d%.*s", listen_port,
                   (int)strcspn(in->bytes + 5, " "), in->bytes + 5);
    in->callback = (struct provider_callback){
        .url = th_str(in->url),
        .content_type = header_of(in->bytes, "\r\nContent-Type: "),
        .body = {body, (size_t)body_size},
        .signature = header_of(in->bytes, "\r\nX-Twilio-Signature: "),
    };
}

static const struct th_str token_key = {"0123456789abcdef", 16};

static void make_callback_url(uint16_t attempt_no, char *out_url, size_t size)
{
    struct callback_token token = {
        .lane = 3, .attempt_no = attempt_no, .tenant_size = 7, .tenant = "pratham"};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];

    assert_int_equal(callback_token_make(&token, token_key, text), TH_OK);
    (void)snprintf(out_url, size, "http://127.0.0.1:%d/webhooks/twilio/%s", listen_port, text);
}

static void check_callback(struct incoming *in, uint16_t attempt_no,
                           struct provider_report *out_report)
{
    struct callback_token token;
    const char *text = strrchr(in->url, '/') + 1;

    assert_int_equal(callback_token_parse(th_str(text), token_key, &token), TH_OK);
    assert_int_equal(token.attempt_no, attempt_no);
    assert_int_equal(twilio_ops.callback_verify(&in->callback, account.secret, &arena), TH_OK);
    assert_int_equal(twilio_ops.callback_verify(&in->callback, TH_STR("another"), &arena),
                     TH_DENIED);
    assert_int_equal(twilio_ops.callback_parse(in->callback.body, &arena, out_report, NULL), TH_OK);
}

static void test_every_report(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum provider_channel channel;
        const char *to;
        enum provider_status status;
        enum provider_class error_class;
        const char *reason;
    } cases[] = {
        {"delivered", PROVIDER_SMS, "+918855500000", PROVIDER_SMS_DELIVERED, PROVIDER_CLASS_NONE,
         ""},
        {"handset off", PROVIDER_SMS, "+918855500003", PROVIDER_SMS_UNDELIVERED,
         PROVIDER_TRANSIENT_SLOW, "unreachable_handset"},
        {"blocked", PROVIDER_SMS, "+918855500004", PROVIDER_SMS_UNDELIVERED,
         PROVIDER_PERMANENT_SUPPRESS, "blocked"},
        {"failed", PROVIDER_SMS, "+918855500009", PROVIDER_SMS_FAILED, PROVIDER_TRANSIENT_SLOW,
         "unknown_error"},
        {"answered", PROVIDER_CALL, "+918955500000", PROVIDER_CALL_COMPLETED, PROVIDER_CLASS_NONE,
         ""},
        {"busy", PROVIDER_CALL, "+918955500020", PROVIDER_CALL_BUSY, PROVIDER_TRANSIENT_SLOW,
         "busy"},
        {"not answered", PROVIDER_CALL, "+918955500021", PROVIDER_CALL_NO_ANSWER,
         PROVIDER_TRANSIENT_SLOW, "no_answer"},
        {"no such number", PROVIDER_CALL, "+918955500022", PROVIDER_CALL_FAILED, PROVIDER_PERMANENT,
         "invalid_number"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct provider_report report = {.is_final = false};
        uint16_t attempt_no = (uint16_t)(i + 1);
        struct incoming in;
        char url[256];

        print_message("  %s\n", cases[i].says);
        make_callback_url(attempt_no, url, sizeof url);
        struct provider_outcome outcome = send_to(cases[i].channel, cases[i].to, url);
        assert_int_equal(outcome.result, PROVIDER_ACCEPTED);
        while (!report.is_final) {
            take_callback(&in);
            check_callback(&in, attempt_no, &report);
            assert_str_equal(report.provider_id, outcome.provider_id);
        }
        assert_string_equal(provider_status_text(report.status),
                            provider_status_text(cases[i].status));
        assert_string_equal(provider_class_text(report.error_class),
                            provider_class_text(cases[i].error_class));
        assert_str_equal(report.reason, th_str(cases[i].reason));
        assert_int_equal(report.is_positive, cases[i].error_class == PROVIDER_CLASS_NONE);
        if (cases[i].channel == PROVIDER_CALL)
            assert_true(report.provider_ts_us > 0 && report.sequence >= 0);

        struct provider_lookup lookup = look_up(cases[i].channel, outcome.provider_id);
        assert_int_equal(lookup.result, PROVIDER_FOUND);
        assert_string_equal(provider_status_text(lookup.reports[0].status),
                            provider_status_text(cases[i].status));
        if (report.is_positive) {
            assert_true(lookup.reports[0].has_price);
            assert_string_equal(lookup.reports[0].price.currency, "USD");
            assert_true(lookup.reports[0].price.micros > 0);
        }
    }
}

static void test_the_account(void **unused)
{
    (void)unused;
    struct provider_account stranger = account;
    struct provider_check check;
    struct http_req req;

    assert_int_equal(twilio_ops.check_build(&account, 0, &arena, &req, NULL), TH_OK);
    struct http_reply reply = perform(&req);
    assert_int_equal(twilio_ops.check_parse(0, &reply, &arena, &check), TH_OK);
    print_message("  %.*s\n", TH_ARG(check.sentence));
    assert_true(check.is_healthy);

    stranger.secret = TH_STR("guessed");
    assert_int_equal(twilio_ops.check_build(&stranger, 0, &arena, &req, NULL), TH_OK);
    reply = perform(&req);
    assert_int_equal(twilio_ops.check_parse(0, &reply, &arena, &check), TH_OK);
    print_message("  %.*s\n", TH_ARG(check.sentence));
    assert_false(check.is_healthy);

    struct provider_account kept = account;
    account = stranger;
    struct provider_outcome outcome = send_to(PROVIDER_SMS, "+919755500000", "");
    account = kept;
    assert_int_equal(outcome.result, PROVIDER_REJECTED);
    assert_true(outcome.is_account_refused);
    assert_str_equal(outcome.reason, TH_STR("authentication_failed"));

    struct provider_lookup lookup =
        look_up(PROVIDER_SMS, TH_STR("SM00000000000000000000000000000000"));
    assert_int_equal(lookup.result, PROVIDER_ABSENT);
}

static void test_nobody_was_called_twice(void **unused)
{
    (void)unused;
    struct answer answer;

    sandbox_ask(&sandbox, "/ledger/summary", NULL, &answer);
    assert_int_equal(answer.status, 200);
    print_message("  %.*s\n", TH_ARG(th_buf_str(&answer.body)));
    th_buf_add_char(&answer.body, '\0');
    bool is_once = strstr(answer.body.p, "\"recipients_executed_again\":0,");
    answer_fini(&answer);
    assert_true(is_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_answer),
        cmocka_unit_test(test_every_report),
        cmocka_unit_test(test_the_account),
        cmocka_unit_test(test_nobody_was_called_twice),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
