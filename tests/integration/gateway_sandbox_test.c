/* The gateway and the sandbox: an account is checked over the wire, and a callback that the sandbox
 * signed, which shares no code with us, is believed. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/callback_token.h"
#include "connectors/http_client/http_client.h"
#include "connectors/twilio/twilio.h"
#include "tests/integration/gateway_world.h"
#include "tests/integration/sandbox_peer.h"
#include "tests/unit/test.h"

static struct world world;
static struct sandbox sandbox;
static struct http_client *http; /* the gateway's, for checks */

static void add_account(const char *name, const char *secret)
{
    char body[400];

    (void)snprintf(body, sizeof body,
                   "{\"tenant\":\"" WORLD_TENANT
                   "\",\"name\":\"%s\",\"wire\":\"twilio\",\"base_url\":\"http://127.0.0.1:%u\","
                   "\"account\":\"" PEER_ACCOUNT
                   "\",\"secret\":\"%s\",\"senders\":[\"+912071531234\"]}",
                   name, sandbox.port, secret);
    const struct call call = {"POST", "/api/v1/providers", WORLD_OPERATOR_KEY, name, .body = body};
    struct http_answer answer = world_call(&world, &call);
    assert_int_equal(answer.status, 201);
    answer_free(&answer);
}

static int start(void **unused)
{
    static const char *const sandbox_options[] = {NULL};
    struct world_options options = world_options_default();
    struct th_err err = {0};

    (void)unused;
    sandbox_prepare(&sandbox);
    sandbox_start(&sandbox, sandbox_options);
    if (http_client_open(&(struct http_client_conf){.in_flight_max = 4}, &http, &err) != TH_OK)
        return -1;
    options.http = http;
    world_start(&world, &options);
    add_account("good", PEER_SECRET);
    add_account("bad", "ffffffffffffffffffffffffffffffff");
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    http_client_close(http);
    sandbox_remove(&sandbox);
    return 0;
}

static struct http_answer check(const char *name)
{
    char target[128];

    (void)snprintf(target, sizeof target, "/api/v1/providers/%s/check?tenant=" WORLD_TENANT, name);
    const struct call call = {.method = "POST", .target = target, .key = WORLD_OPERATOR_KEY};
    return world_call(&world, &call);
}

static void test_check(void **unused)
{
    (void)unused;
    struct http_answer answer = check("good");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"name\":\"good\",\"healthy\":true"));
    answer_free(&answer);
    print_message("  credentials that are wrong\n");
    answer = check("bad");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"healthy\":false"));
    assert_null(strstr(answer.body, "ffffffff"));
    answer_free(&answer);
}

/* --- a callback
 * ------------------------------------------------------------------------------------ */

static void make_callback_url(char *out, size_t size)
{
    struct callback_token token = {.send.b = {7}, .lane = 1, .attempt_no = 1};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];
    struct th_str key;
    struct th_err err = {0};

    token.tenant_size = sizeof WORLD_TENANT - 1;
    memcpy(token.tenant, WORLD_TENANT, token.tenant_size);
    assert_int_equal(secrets_callback_key(world.secrets, &key, &err), TH_OK);
    assert_int_equal(callback_token_make(&token, key, text), TH_OK);
    (void)snprintf(out, size, "http://127.0.0.1:%u/webhooks/twilio/%s", world.port, text);
}

/* Send one message through the sandbox, as dispatch would. */
static void send_message(const char *callback_url)
{
    char base_url[64];
    (void)snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", sandbox.port);
    const struct provider_account account = {.base_url = th_str(base_url),
                                             .account = TH_STR(PEER_ACCOUNT),
                                             .secret = TH_STR(PEER_SECRET)};
    const struct provider_message message = {
        .channel = PROVIDER_SMS,
        .to = TH_STR("+919855500000"),
        .from = TH_STR("+912071531234"),
        .text = TH_STR("Hello"),
        .attempt = TH_STR("a:1"),
        .callback_url = th_str(callback_url),
    };
    struct http_client *client = NULL;
    struct http_done done;
    struct http_req req = {0};
    struct th_arena arena;
    struct th_err err = {0};

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(
        http_client_open(&(struct http_client_conf){.in_flight_max = 1}, &client, &err), TH_OK);
    assert_int_equal(twilio_ops.build(&account, &message, &arena, &req, &err), TH_OK);
    assert_int_equal(http_start(client, &req, (struct http_permit){0}, 1, &err), TH_OK);
    while (http_poll(client, &done, 1) == 0) {
        struct pollfd ready = {.fd = http_fd(client), .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 10000), 1);
    }
    assert_int_equal(done.reply.status, 201);
    http_client_close(client);
    th_arena_fini(&arena);
}

struct seen {
    size_t all;
    size_t delivered;
};

static void see(void *arg, const struct event *event, const struct log_record *record)
{
    struct seen *seen = arg;
    const struct callback_received *callback = &event->as.callback_received;

    (void)record;
    assert_int_equal(callback->lane, 1);
    assert_int_equal(callback->send.b[0], 7);
    seen->all++;
    seen->delivered += memmem(callback->body.as.string.p, callback->body.as.string.n,
                              "MessageStatus=delivered", 23) != NULL;
}

static void test_callback(void **unused)
{
    struct seen seen = {0};
    char url[400];

    (void)unused;
    make_callback_url(url, sizeof url);
    send_message(url);
    for (int ms = 0; ms < 10000 && !seen.delivered; ms += 20) {
        (void)usleep(20000);
        seen = (struct seen){0};
        log_events(world.log, TOPIC_PROVIDER_CALLBACKS, see, &seen);
    }
    print_message("  %zu callbacks\n", seen.all);
    assert_int_equal(seen.delivered, 1);
}

/* Last: nobody answers. */
static void test_check_of_the_dead(void **unused)
{
    (void)unused;
    (void)sandbox_stop(&sandbox, SIGKILL);
    struct http_answer answer = check("good");
    assert_true(answer.status == 503 ||
                (answer.status == 200 && strstr(answer.body, "\"healthy\":false")));
    answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_callback),
        cmocka_unit_test(test_check_of_the_dead),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
