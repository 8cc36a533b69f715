/* The HTTP client when memory, descriptors and epoll fail: exactly one answer to what was started,
 * no request that is called "not sent" while the peer has it, and the next request is well. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "connectors/http_client/http_client.h"
#include "tests/integration/peer.h"
#include "tests/integration/tls_front.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS 60000
#define TARGET  "/Messages.json?To=%2B919876543210"

struct world {
    struct peer peer;
    struct tls_front front; /* of the same peer */
    bool is_tls;
    int asked; /* for the permit, of the request that runs */
    bool has_body;
};

static bool permit(void *arg)
{
    struct world *w = arg;

    w->asked++;
    return true;
}

static enum th_code start(struct world *w, struct http_client *client, uint64_t tag,
                          int32_t timeout_ms)
{
    char url[96];
    struct th_err err = {0};
    struct http_req req = {
        .method = w->has_body ? HTTP_POST : HTTP_GET,
        .user = TH_STR("AC01"),
        .secret = TH_STR("secret"),
        .n_headers = 1,
        .headers = {{TH_STR("X-Name"), TH_STR("value")}},
        .timeout_ms = timeout_ms,
    };

    (void)snprintf(url, sizeof url, "%s://127.0.0.1:%d%s#not-sent", w->is_tls ? "https" : "http",
                   w->is_tls ? w->front.port : w->peer.port, TARGET);
    req.url = th_str(url);
    if (w->has_body) {
        req.content_type = TH_STR("application/x-www-form-urlencoded");
        req.body = TH_STR("To=%2B919876543210");
    }
    w->asked = 0;
    return http_start(client, &req, (struct http_permit){permit, w}, tag, &err);
}

/* The one answer; its body is not looked at. */
static struct http_reply finish(struct http_client *client, uint64_t tag)
{
    struct pollfd ready = {.fd = http_fd(client), .events = POLLIN};
    struct http_done done[2];
    size_t n;

    do {
        fail_exempt(true);
        int is_ready = poll(&ready, 1, WAIT_MS);
        fail_exempt(false);
        if (is_ready != 1)
            fail_msg("nothing to do for a minute with %zu in flight", http_in_flight(client));
        n = http_poll(client, done, 2);
    } while (n == 0);
    assert_int_equal(n, 1);
    assert_int_equal(done[0].tag, tag);
    assert_int_equal(http_in_flight(client), 0);
    done[0].reply.body = (struct th_str){NULL, 0};
    return done[0].reply;
}

/* All of it was asked for, and the fragment is nobody else's concern. Without its query, for which
 * libcurl had found no memory, a list answers that nobody is on it. */
static void check_target(struct world *w, int before)
{
    if (atomic_load(&w->peer.n_headers) == before)
        return;
    struct peer_request last = peer_last(&w->peer);
    if (!strstr(last.first_line, " " TARGET " HTTP/1.1"))
        fail_msg("asked for: %s", last.first_line);
}

/* Its time is short because much of what fails leaves nothing to wait for but its end. A machine
 * that is busy with others may need longer. */
static bool is_slow(const struct http_reply *reply)
{
    return strstr(reply->error, "Timeout") != NULL;
}

static void ask(struct world *w, struct http_client *client)
{
    int before = atomic_load(&w->peer.n_headers);

    fail_arm();
    enum th_code code = start(w, client, 1, 2000);
    if (code != TH_OK) {
        fail_disarm();
        assert_true(code == TH_NOMEM || code == TH_IO);
        assert_true(fail_was_hit());
        assert_int_equal(http_in_flight(client), 0);
        assert_int_equal(atomic_load(&w->peer.n_headers), before);
        return;
    }
    struct http_reply reply = finish(client, 1);
    fail_disarm();
    assert_true(w->asked <= 1);
    if (!fail_was_hit() && reply.status != 200 && !is_slow(&reply))
        fail_msg("nothing failed, and yet: %s", reply.error);
    if (!reply.may_have_left)
        assert_int_equal(atomic_load(&w->peer.n_headers), before);
    if (reply.phase == HTTP_COMPLETE)
        assert_int_equal(reply.status, 200);
    check_target(w, before);
}

static void request(void *arg)
{
    struct world *w = arg;
    const struct http_client_conf conf = {
        .in_flight_max = 4, .low_speed_s = 30, .ca_file = w->front.ca_file};
    struct http_client *client = NULL;
    struct th_err err = {0};

    assert_int_equal(http_client_open(&conf, &client, &err), TH_OK);
    ask(w, client);
    assert_int_equal(start(w, client, 2, HTTP_TIMEOUT_MAX_MS), TH_OK);
    struct http_reply reply = finish(client, 2);
    if (reply.status != 200)
        fail_msg("the next request: %s", reply.error);
    http_client_close(client);
}

static void open_client(void *unused)
{
    (void)unused;
    const struct http_client_conf conf = {.in_flight_max = 4};
    struct http_client *client = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = http_client_open(&conf, &client, &err);
    fail_disarm();
    assert_true(code == TH_OK || (fail_was_hit() && (code == TH_NOMEM || code == TH_IO)));
    http_client_close(client);
}

static void test_a_client_is_opened(void **unused)
{
    (void)unused;
    fail_each("a client is opened", FAIL_ALL, open_client, NULL);
}

/* libcurl kept it for the next request, which was given up half begun. */
static void test_a_connection_that_broke_is_not_used_again(void **state)
{
    struct world *w = *state;

    w->has_body = true;
    fail_each("something is posted", FAIL_ALL, request, w);
}

static void test_a_query_is_never_left_out(void **state)
{
    struct world *w = *state;

    w->has_body = false;
    fail_each("something is asked for", FAIL_ALL, request, w);
}

/* A handshake asks for memory 4,500 times. */
static void test_what_is_said_over_tls(void **state)
{
    struct world *w = *state;

    w->has_body = true;
    w->is_tls = true;
    fail_each_stride("something is posted over TLS", FAIL_ALL, fail_stride(1, 211), request, w);
}

static int set_up(void **state)
{
    static struct world world;

    fail_exempt(true);
    peer_start(&world.peer, PEER_ANSWERS, PEER_OK);
    tls_front_start(&world.front, world.peer.port, -60, 3600);
    fail_exempt(false);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    tls_front_stop(&w->front);
    peer_stop(&w->peer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_is_opened),
        cmocka_unit_test(test_a_connection_that_broke_is_not_used_again),
        cmocka_unit_test(test_a_query_is_never_left_out),
        cmocka_unit_test(test_what_is_said_over_tls),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
