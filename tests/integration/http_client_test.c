/* http_client against a server that answers badly, twice, slowly, or not at all.
 *
 * What is at stake in each row: was the peer able to act, and does the reply say so? */
#include "tests/unit/test.h"

#include "common/http_outcome.h"
#include "connectors/http_client/http_client.h"
#include "tests/integration/peer.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECRET     "s3cr3t-t0ken"
#define REPLY_KEPT 512

/* A reply whose body outlives the client. */
struct result {
    uint64_t tag;
    struct http_reply reply;
    char body[REPLY_KEPT];
};

static struct http_client *open_client(size_t in_flight_max)
{
    struct http_client *client = NULL;
    struct th_err err = {0};
    struct http_client_conf conf = {.in_flight_max = in_flight_max, .low_speed_s = 1};

    if (http_client_open(&conf, &client, &err) != TH_OK)
        fail_msg("%s", err.text);
    return client;
}

static struct http_req post(const struct peer *peer, char *url, size_t size)
{
    (void)snprintf(url, size, "http://127.0.0.1:%d/2010-04-01/Messages.json", peer->port);
    return (struct http_req){
        .method = HTTP_POST,
        .url = th_str(url),
        .content_type = TH_STR("application/x-www-form-urlencoded"),
        .body = TH_STR("To=%2B919876543210&Body=hello"),
        .user = TH_STR("AC01"),
        .secret = TH_STR(SECRET),
        .timeout_ms = 1500,
    };
}

/* Waits on the fd alone, as a slot's loop does: that poll is called only when it is readable is
 * part of what is tested. */
static size_t wait_for(struct http_client *client, struct http_done *done, size_t max)
{
    struct pollfd ready = {.fd = http_fd(client), .events = POLLIN};

    for (;;) {
        if (poll(&ready, 1, 10000) != 1)
            fail_msg("nothing to do for 10 s with %zu in flight", http_in_flight(client));
        size_t n = http_poll(client, done, max);
        if (n)
            return n;
    }
}

static struct result run_one(struct http_client *client, const struct http_req *req,
                             struct http_permit permit)
{
    static uint64_t tag;
    struct th_err err = {0};
    struct http_done done;
    struct result result = {0};

    if (http_start(client, req, permit, ++tag, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(http_in_flight(client), 1);
    assert_int_equal(wait_for(client, &done, 1), 1);
    assert_int_equal(http_in_flight(client), 0);
    assert_true(done.tag == tag);
    result.tag = done.tag;
    result.reply = done.reply;
    size_t n = done.reply.body.n < REPLY_KEPT - 1 ? done.reply.body.n : REPLY_KEPT - 1;
    if (n)
        memcpy(result.body, done.reply.body.p, n);
    assert_true(done.reply.finished_us >= done.reply.started_us);
    assert_null(strstr(done.reply.error, SECRET));
    assert_int_equal(done.reply.error[0] == '\0', done.reply.phase == HTTP_COMPLETE);
    return result;
}

static const struct http_permit always = {NULL, NULL};

static void test_conducts(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum peer_conduct conduct;
        const char *answer;
        enum http_outcome outcome;
        enum http_phase phase;
        long status;
        int n_executed; /* what the peer saw whole */
    } cases[] = {
        {"an answer is an answer", PEER_ANSWERS, PEER_OK, HTTP_OUTCOME_SUCCESS, HTTP_COMPLETE, 200,
         1},
        {"a redirect is not followed", PEER_ANSWERS,
         "HTTP/1.1 307 Away\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
         HTTP_OUTCOME_REJECTED, HTTP_COMPLETE, 307, 1},
        {"a refusal is a definite no", PEER_ANSWERS,
         "HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", HTTP_OUTCOME_REJECTED, HTTP_COMPLETE,
         400, 1},
        {"a 500 proves nothing", PEER_ANSWERS, "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
         HTTP_OUTCOME_UNKNOWN, HTTP_COMPLETE, 500, 1},
        {"an answer behind 100 Continue counts", PEER_ANSWERS,
         "HTTP/1.1 100 Continue\r\n\r\n" PEER_OK, HTTP_OUTCOME_SUCCESS, HTTP_COMPLETE, 200, 1},
        {"no answer in time", PEER_SILENT, "", HTTP_OUTCOME_UNKNOWN, HTTP_BEGUN, 0, 1},
        {"a peer that reads nothing may still read", PEER_DEAF, "", HTTP_OUTCOME_UNKNOWN,
         HTTP_BEGUN, 0, 0},
        {"a partial answer", PEER_PARTIAL, PEER_OK, HTTP_OUTCOME_UNKNOWN, HTTP_ANSWERING, 200, 1},
        {"a body without end is cut off", PEER_ENDLESS, "", HTTP_OUTCOME_UNKNOWN, HTTP_ANSWERING,
         200, 1},
        {"a header without end is cut off", PEER_ENDLESS_HEADER, "", HTTP_OUTCOME_UNKNOWN,
         HTTP_ANSWERING, 0, 1},
        {"a body that stalls is cut off", PEER_STALLS, PEER_OK, HTTP_OUTCOME_UNKNOWN,
         HTTP_ANSWERING, 200, 1},
        {"a reset after the request", PEER_RESETS, "", HTTP_OUTCOME_UNKNOWN, HTTP_BEGUN, 0, 1},
        {"no HTTP at all", PEER_ANSWERS, "hello\r\n\r\n", HTTP_OUTCOME_UNKNOWN, HTTP_BEGUN, 0, 1},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(http_client) struct http_client *client = open_client(4);
        struct peer peer;
        char url[100];

        print_message("  %s\n", cases[i].says);
        peer_start(&peer, cases[i].conduct, cases[i].answer);
        struct http_req req = post(&peer, url, sizeof url);
        struct result result = run_one(client, &req, always);
        assert_string_equal(http_outcome_text(http_outcome(&result.reply, false)),
                            http_outcome_text(cases[i].outcome));
        assert_int_equal(result.reply.phase, cases[i].phase);
        if (cases[i].status)
            assert_int_equal(result.reply.status, cases[i].status);
        assert_true(result.reply.body.n <= HTTP_REPLY_MAX);
        assert_int_equal(peer.n_executed, cases[i].n_executed);
        assert_true(peer.n_headers <= 1);
        peer_stop(&peer);
    }
}

static void test_body_and_credentials_arrive(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(1);
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_ANSWERS, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    struct result result = run_one(client, &req, always);
    assert_string_equal(result.body, "{\"sid\":\"SM01\"}");
    assert_string_equal(peer_last(&peer).authorization,
                        "Authorization: Basic QUMwMTpzM2NyM3QtdDBrZW4=");
    assert_string_equal(peer_last(&peer).first_line, "POST /2010-04-01/Messages.json HTTP/1.1");
    assert_int_equal(peer.n_body, req.body.n);
    peer_stop(&peer);
}

/* libcurl takes the death of a kept-alive connection without an answer for a stale connection and
 * posts again. The peer executed the first one. */
static void test_executed_then_closed_is_not_sent_again(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_EXECUTES_CLOSES, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    struct result first = run_one(client, &req, always);
    struct result second = run_one(client, &req, always);

    assert_int_equal(http_outcome(&first.reply, false), HTTP_OUTCOME_SUCCESS);
    assert_int_equal(http_outcome(&second.reply, false), HTTP_OUTCOME_UNKNOWN);
    assert_true(second.reply.may_have_left);
    (void)usleep(300000); /* a second sending would arrive now */
    assert_int_equal(http_poll(client, &(struct http_done){0}, 1), 0);
    assert_int_equal(peer.n_executed, 2);
    assert_int_equal(peer.n_headers, 2); /* it may connect again, but nothing follows */
    peer_stop(&peer);
}

struct asked {
    int n;
    bool answer;
};

static bool ask(void *arg)
{
    struct asked *asked = arg;

    asked->n++;
    return asked->answer;
}

/* The connection dies between header and body: whatever libcurl does then, the body is handed out
 * once, and the reply is right about it. */
static void test_connection_dies_behind_the_header(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct peer peer;
    char url[100];

    for (int round = 0; round < 20; round++) {
        struct asked asked = {0, true};
        peer_start(&peer, PEER_HEADER_CLOSES, PEER_OK);
        struct http_req req = post(&peer, url, sizeof url);
        (void)run_one(client, &req, always);
        struct result second = run_one(client, &req, (struct http_permit){ask, &asked});
        enum http_outcome outcome = http_outcome(&second.reply, false);

        assert_true(asked.n <= 1);
        assert_true(peer.n_executed <= 2);
        if (outcome == HTTP_OUTCOME_NOT_SENT)
            assert_int_equal(peer.n_executed, 1);
        if (outcome == HTTP_OUTCOME_SUCCESS)
            assert_int_equal(peer.n_executed, 2);
        peer_stop(&peer);
    }
}

static void test_stale_connection_costs_nobody_anything(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_ANSWERS_ONCE, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    for (int i = 0; i < 5; i++) {
        struct result result = run_one(client, &req, always);
        assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
        (void)usleep(20000); /* its end must arrive, or the race of the test above is on */
    }
    assert_int_equal(peer.n_executed, 5);
    assert_int_equal(peer.n_connections, 5);
    peer_stop(&peer);
}

static void test_refused_at_the_last_moment(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct asked asked = {0, false};
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_ANSWERS, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    struct result result = run_one(client, &req, (struct http_permit){ask, &asked});
    assert_true(result.reply.is_refused);
    assert_false(result.reply.may_have_left);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_NOT_SENT);
    assert_int_equal(asked.n, 1);
    (void)usleep(100000);
    assert_int_equal(peer.n_body, 0);
    assert_int_equal(peer.n_executed, 0);

    asked.answer = true;
    result = run_one(client, &req, (struct http_permit){ask, &asked});
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    assert_int_equal(asked.n, 2);
    assert_int_equal(peer.n_executed, 1);
    peer_stop(&peer);
}

static void test_requests_without_a_body(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct asked asked = {0, false};
    struct th_err err = {0};
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_EXECUTES_CLOSES, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    req.method = HTTP_GET;
    req.body = TH_STR("");
    req.content_type = TH_STR("");
    print_message("  a look-up goes over a connection that stands, and again when that dies\n");
    struct result result = run_one(client, &req, always);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    result = run_one(client, &req, always);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    assert_int_equal(peer.n_connections, 2);
    assert_int_equal(peer.n_executed, 3);
    assert_string_equal(peer_last(&peer).first_line, "GET /2010-04-01/Messages.json HTTP/1.1");

    print_message("  what asks a permit is asked before anything is done\n");
    assert_int_equal(http_start(client, &req, (struct http_permit){ask, &asked}, 1, &err),
                     TH_DENIED);
    assert_int_equal(http_in_flight(client), 0);
    assert_int_equal(peer.n_connections, 2);

    print_message("  anything else would not survive a repetition: its connection is fresh\n");
    req.method = HTTP_DELETE;
    result = run_one(client, &req, always);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    result = run_one(client, &req, always);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    assert_int_equal(peer.n_connections, 4);
    assert_int_equal(peer.n_executed, 5);
    assert_string_equal(peer_last(&peer).first_line, "DELETE /2010-04-01/Messages.json HTTP/1.1");
    req.method = HTTP_POST;
    (void)run_one(client, &req, always);
    assert_string_equal(peer_last(&peer).first_line, "POST /2010-04-01/Messages.json HTTP/1.1");
    req.method = HTTP_PUT;
    req.body = TH_STR("{}");
    (void)run_one(client, &req, always);
    assert_string_equal(peer_last(&peer).first_line, "PUT /2010-04-01/Messages.json HTTP/1.1");
    peer_stop(&peer);
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void test_no_connection_is_a_proof(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(4);
    struct asked asked = {0, true};
    struct http_permit permit = {ask, &asked};
    struct peer peer;
    char url[100];

    print_message("  nobody listens\n");
    peer.port = free_port();
    struct http_req req = post(&peer, url, sizeof url);
    struct result result = run_one(client, &req, permit);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_NOT_SENT);
    assert_int_equal(result.reply.phase, HTTP_NOT_STARTED);
    assert_non_null(strstr(result.reply.error, "refused"));

    print_message("  the name does not exist\n");
    req.url = TH_STR("https://nobody.invalid/");
    result = run_one(client, &req, permit);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_NOT_SENT);

    print_message("  the handshake never ends\n");
    peer_start(&peer, PEER_DEAF, "");
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer.port);
    req.url = th_str(url);
    req.timeout_ms = 300;
    result = run_one(client, &req, permit);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_NOT_SENT);
    assert_int_equal(result.reply.phase, HTTP_NOT_STARTED);
    peer_stop(&peer);

    print_message("  the other side speaks no TLS\n");
    peer_start(&peer, PEER_ANSWERS, PEER_OK);
    (void)snprintf(url, sizeof url, "https://127.0.0.1:%d/", peer.port);
    req.url = th_str(url);
    result = run_one(client, &req, permit);
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_NOT_SENT);
    peer_stop(&peer);
    assert_int_equal(asked.n, 0);
}

static void test_retry_after(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *fields;
        int64_t seconds;
    } cases[] = {
        {"none", "", -1},
        {"seconds", "Retry-After: 7\r\n", 7},
        {"any case, any space", "retry-AFTER:  7 \r\n", 7},
        {"a date against the answer's own clock",
         "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n",
         30},
        {"a date that is over", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 0},
        {"a week is cut", "Retry-After: 604800\r\n", HTTP_RETRY_AFTER_MAX_S},
        {"more than a number holds", "Retry-After: 99999999999999999999\r\n", -1},
        {"nonsense", "Retry-After: soon\r\n", -1},
        {"negative", "Retry-After: -5\r\n", -1},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(http_client) struct http_client *client = open_client(1);
        char answer[300];
        struct peer peer;
        char url[100];

        print_message("  %s\n", cases[i].says);
        (void)snprintf(answer, sizeof answer,
                       "HTTP/1.1 429 Too Many\r\n%sContent-Length: 0\r\n\r\n", cases[i].fields);
        peer_start(&peer, PEER_ANSWERS, answer);
        struct http_req req = post(&peer, url, sizeof url);
        struct result result = run_one(client, &req, always);
        assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_THROTTLED);
        assert_int_equal(result.reply.retry_after_s, cases[i].seconds);
        peer_stop(&peer);
    }
}

static void test_requests_that_are_refused_at_once(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(1);
    static const struct {
        const char *says;
        struct http_req req;
    } cases[] = {
        {"no URL", {.url = {NULL, 0}}},
        {"another protocol", {.url = {"ftp://127.0.0.1/", 16}}},
        {"plain http to the world", {.url = {"http://example.org/", 19}}},
        {"plain http to a name that begins like loopback",
         {.url = {"http://127.0.0.1.example.org/", 29}}},
        {"user information", {.url = {"https://u:p@example.org/", 24}}},
        {"a host behind a backslash", {.url = {"https://example.org\\@127.0.0.1/", 31}}},
        {"a line break in the URL", {.url = {"https://example.org/\r\nX: y", 26}}},
        {"a space in the URL", {.url = {"https://example.org/a b", 23}}},
        {"no host", {.url = {"https:///path", 13}}},
        {"a port that is none", {.url = {"https://example.org:99999/", 26}}},
        {"a body with GET", {.url = {"https://example.org/", 20}, .body = {"x", 1}}},
        {"a header that breaks the line",
         {.url = {"https://example.org/", 20},
          .headers = {{{"X-A", 3}, {"1\r\nX-B: 2", 9}}},
          .n_headers = 1}},
        {"a header without a name",
         {.url = {"https://example.org/", 20}, .headers = {{{"", 0}, {"1", 1}}}, .n_headers = 1}},
        {"too many headers", {.url = {"https://example.org/", 20}, .n_headers = 9}},
        {"a timeout beyond the limit",
         {.url = {"https://example.org/", 20}, .timeout_ms = HTTP_TIMEOUT_MAX_MS + 1}},
        {"a user with a colon", {.url = {"https://example.org/", 20}, .user = {"a:b", 3}}},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_err err = {0};
        print_message("  %s\n", cases[i].says);
        assert_int_equal(http_start(client, &cases[i].req, always, 1, &err), TH_INVALID);
        assert_int_equal(http_in_flight(client), 0);
    }
    assert_true(http_url_is_loopback(TH_STR("http://127.1.2.3:80/x")));
    assert_true(http_url_is_loopback(TH_STR("https://localhost")));
    assert_true(http_url_is_loopback(TH_STR("http://[::1]:8080/")));
    assert_false(http_url_is_loopback(TH_STR("http://[::2]:8080/")));
    assert_false(http_url_is_loopback(TH_STR("https://api.twilio.com")));
    assert_false(http_url_is_loopback(TH_STR("127.0.0.1")));
}

#define MANY      1000
#define MANY_WIDE 64

static void test_a_thousand_requests_over_64_connections(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(MANY_WIDE);
    struct asked asked = {0, true};
    struct http_done done[10]; /* fewer than finish at once: the rest must not be lost */
    static bool is_done[MANY];
    struct peer peer;
    char url[100];
    uint64_t n_started = 0;
    size_t n_done = 0;

    memset(is_done, 0, sizeof is_done);
    peer_start(&peer, PEER_ANSWERS, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    while (n_done < MANY) {
        enum th_code code = TH_OK;
        while (n_started < MANY && code == TH_OK) {
            code = http_start(client, &req, (struct http_permit){ask, &asked}, n_started, NULL);
            n_started += code == TH_OK;
        }
        assert_true(code == TH_OK || code == TH_FULL);
        size_t n = wait_for(client, done, TH_LEN(done));
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(done[i].reply.status, 200);
            assert_str_equal(done[i].reply.body, TH_STR("{\"sid\":\"SM01\"}"));
            assert_false(is_done[done[i].tag]);
            is_done[done[i].tag] = true;
        }
        n_done += n;
    }
    assert_int_equal(http_in_flight(client), 0);
    assert_int_equal(peer.n_executed, MANY);
    assert_int_equal(asked.n, MANY);
    print_message("  %d connections\n", peer.n_connections);
    assert_true(peer.n_connections <= MANY_WIDE);
    peer_stop(&peer);
}

/* A body of several of libcurl's buffers goes out once and whole. */
static void test_a_long_body(void **unused)
{
    (void)unused;
    TH_AUTO(http_client) struct http_client *client = open_client(1);
    static char body[300000];
    struct asked asked = {0, true};
    struct peer peer;
    char url[100];

    memset(body, 'x', sizeof body);
    peer_start(&peer, PEER_ANSWERS, PEER_OK);
    struct http_req req = post(&peer, url, sizeof url);
    req.body = (struct th_str){body, sizeof body};
    struct result result = run_one(client, &req, (struct http_permit){ask, &asked});
    assert_int_equal(http_outcome(&result.reply, false), HTTP_OUTCOME_SUCCESS);
    assert_int_equal(peer.n_body, sizeof body);
    assert_int_equal(asked.n, 1);
    peer_stop(&peer);
}

static void test_close_with_requests_in_flight(void **unused)
{
    (void)unused;
    struct http_client *client = open_client(8);
    struct peer peer;
    char url[100];

    peer_start(&peer, PEER_SILENT, "");
    struct http_req req = post(&peer, url, sizeof url);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(http_start(client, &req, always, i, NULL), TH_OK);
    assert_int_equal(http_start(client, &req, always, 9, NULL), TH_FULL);
    for (int i = 0; i < 100 && peer.n_executed < 8; i++) {
        struct http_done done;
        assert_int_equal(http_poll(client, &done, 1), 0);
        (void)usleep(5000);
    }
    assert_int_equal(peer.n_executed, 8);
    http_client_close(client);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conducts),
        cmocka_unit_test(test_body_and_credentials_arrive),
        cmocka_unit_test(test_executed_then_closed_is_not_sent_again),
        cmocka_unit_test(test_connection_dies_behind_the_header),
        cmocka_unit_test(test_stale_connection_costs_nobody_anything),
        cmocka_unit_test(test_refused_at_the_last_moment),
        cmocka_unit_test(test_requests_without_a_body),
        cmocka_unit_test(test_no_connection_is_a_proof),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_requests_that_are_refused_at_once),
        cmocka_unit_test(test_a_thousand_requests_over_64_connections),
        cmocka_unit_test(test_a_long_body),
        cmocka_unit_test(test_close_with_requests_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
