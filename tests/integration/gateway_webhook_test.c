/* Callbacks: the token is ours, the signature the provider's, and 204 means that it is in the log.
 */
#include <stdio.h>
#include <string.h>

#include "common/callback_token.h"
#include "common/digest.h"
#include "common/encode.h"
#include "common/eventlog/memory_log.h"
#include "common/form.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#define BODY "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered"

static struct world world;
static struct th_str callback_key;

static void add_account(const char *tenant, const char *name, const char *secret, const char *idem)
{
    char body[400];

    (void)snprintf(body, sizeof body,
                   "{\"tenant\":\"%s\",\"name\":\"%s\",\"wire\":\"twilio\",\"base_url\":\"http://"
                   "127.0.0.1:9\",\"account\":\"AC1\",\"secret\":\"%s\",\"senders\":[\"+"
                   "912071531234\"]}",
                   tenant, name, secret);
    const struct call call = {"POST", "/api/v1/providers", WORLD_OPERATOR_KEY, idem, .body = body};
    struct http_answer answer = world_call(&world, &call);
    assert_int_equal(answer.status, 201);
    answer_free(&answer);
}

static int start(void **unused)
{
    const struct world_options options = world_options_default();
    struct th_err err = {0};

    (void)unused;
    world_start(&world, &options);
    add_account(WORLD_TENANT, "main", "token-of-main", "a");
    add_account("other", "theirs", "token-of-theirs", "b");
    return secrets_callback_key(world.secrets, &callback_key, &err) == TH_OK ? 0 : -1;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

struct hook {
    const char *tenant; /* in the token */
    uint32_t lane;
    const char *key;    /* that signs the token; NULL: ours */
    const char *secret; /* that signs the request; NULL: not signed */
    const char *wire;
    const char *body;
    const char *query; /* behind the target */
};

static void make_target(const struct hook *hook, char *out, size_t size)
{
    struct callback_token token = {.send.b = {1, 2, 3}, .lane = hook->lane, .attempt_no = 2};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];

    token.tenant_size = (uint8_t)strlen(hook->tenant);
    memcpy(token.tenant, hook->tenant, token.tenant_size);
    assert_int_equal(
        callback_token_make(&token, hook->key ? th_str(hook->key) : callback_key, text), TH_OK);
    (void)snprintf(out, size, "/webhooks/%s/%s%s", hook->wire, text, hook->query);
}

/* Twilio's: HMAC-SHA1 over the URL and, by name, each field's name and value. */
static void sign(const struct hook *hook, const char *target, struct th_buf *out)
{
    uint8_t mac[TH_SHA1_SIZE];
    struct th_buf text = {0};
    struct th_arena arena;
    struct form form;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(form_parse(th_str(hook->body), &arena, &form), TH_OK);
    th_buf_printf(&text, "http://127.0.0.1:%u%s", world.port, target);
    for (size_t i = 0; i < form.n; i++) { /* the tests' fields are in order */
        th_buf_add(&text, form.pairs[i].name);
        th_buf_add(&text, form.pairs[i].value);
    }
    th_hmac_sha1(th_str(hook->secret), th_buf_str(&text), mac);
    th_buf_add(out, TH_STR("X-Twilio-Signature: "));
    th_base64_add(out, (struct th_str){(const char *)mac, sizeof mac});
    th_buf_add(out, TH_STR("\r\n"));
    th_buf_add_char(out, 0);
    th_buf_fini(&text);
    th_arena_fini(&arena);
}

static struct http_answer deliver(const struct hook *hook)
{
    char target[400];
    struct th_buf headers = {0};

    make_target(hook, target, sizeof target);
    if (hook->secret)
        sign(hook, target, &headers);
    const struct call call = {"POST", target, .type = "application/x-www-form-urlencoded",
                              .headers = headers.p, .body = hook->body};
    struct http_answer answer = world_call(&world, &call);
    th_buf_fini(&headers);
    return answer;
}

struct seen {
    size_t n;
    int part;
    int32_t lane;
    int32_t attempt_no;
    enum channel channel;
    char body[400];
    char key[80];
    char tenant[64];
};

static void see(void *arg, const struct event *event, const struct log_record *record)
{
    struct seen *seen = arg;
    const struct callback_received *callback = &event->as.callback_received;

    seen->n++;
    seen->part = record->place.part;
    seen->lane = callback->lane;
    seen->attempt_no = callback->n;
    seen->channel = callback->channel;
    (void)snprintf(seen->body, sizeof seen->body, "%.*s", TH_ARG(callback->body.as.string));
    (void)snprintf(seen->key, sizeof seen->key, "%.*s", TH_ARG(record->key));
    (void)snprintf(seen->tenant, sizeof seen->tenant, "%.*s", TH_ARG(callback->meta.tenant));
}

static struct seen callbacks(void)
{
    struct seen seen = {0};

    log_events(world.log, TOPIC_PROVIDER_CALLBACKS, see, &seen);
    return seen;
}

static void test_delivered(void **unused)
{
    const struct hook hook = {WORLD_TENANT, 1, NULL, "token-of-main", "twilio", BODY, ""};

    (void)unused;
    struct http_answer answer = deliver(&hook);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body_n, 0);
    answer_free(&answer);
    struct seen seen = callbacks();
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.part, 1);
    assert_int_equal(seen.lane, 1);
    assert_int_equal(seen.attempt_no, 2);
    assert_int_equal(seen.channel, CHANNEL_SMS);
    assert_string_equal(seen.body, BODY);
    assert_string_equal(seen.key, "pratham/main");
    assert_string_equal(seen.tenant, "pratham");

    print_message("  a query belongs to what is signed\n");
    const struct hook with_query = {WORLD_TENANT, 1,    NULL,      "token-of-main",
                                    "twilio",     BODY, "?a=b%20c"};
    answer = deliver(&with_query);
    assert_int_equal(answer.status, 204);
    answer_free(&answer);
}

static const struct {
    const char *says;
    struct hook hook;
    int status;
} refused[] = {
    {"not signed", {WORLD_TENANT, 1, NULL, NULL, "twilio", BODY, ""}, 401},
    {"signed with another secret", {WORLD_TENANT, 1, NULL, "guess", "twilio", BODY, ""}, 401},
    {"another account's secret",
     {WORLD_TENANT, 1, NULL, "token-of-theirs", "twilio", BODY, ""},
     401},
    {"a token that we did not sign",
     {WORLD_TENANT, 1, "another key of 16 bytes", "token-of-main", "twilio", BODY, ""},
     403},
    {"another tenant's lane", {WORLD_TENANT, 2, NULL, "token-of-theirs", "twilio", BODY, ""}, 403},
    {"a lane that is not there", {WORLD_TENANT, 9, NULL, "token-of-main", "twilio", BODY, ""}, 403},
    {"a wire that nobody speaks", {WORLD_TENANT, 1, NULL, "token-of-main", "plivo", BODY, ""}, 404},
};

static void test_refused(void **unused)
{
    size_t before = callbacks().n;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(refused); i++) {
        print_message("  %s\n", refused[i].says);
        struct http_answer answer = deliver(&refused[i].hook);
        assert_int_equal(answer.status, refused[i].status);
        assert_null(strstr(answer.body, "token"));
        assert_null(strstr(answer.body, "signature"));
        answer_free(&answer);
    }
    assert_int_equal(callbacks().n, before);
}

/* A new secret: for a while the provider signs with the old one. */
static void test_rotation(void **unused)
{
    struct hook hook = {WORLD_TENANT, 1, NULL, "token-of-main", "twilio", BODY, ""};

    (void)unused;
    add_account(WORLD_TENANT, "main", "second", "c");
    struct http_answer answer = deliver(&hook);
    assert_int_equal(answer.status, 204);
    answer_free(&answer);
    hook.secret = "second";
    answer = deliver(&hook);
    assert_int_equal(answer.status, 204);
    answer_free(&answer);
    add_account(WORLD_TENANT, "main", "third", "d");
    hook.secret = "token-of-main";
    answer = deliver(&hook);
    assert_int_equal(answer.status, 401);
    answer_free(&answer);
}

static void test_log_down(void **unused)
{
    const struct hook hook = {WORLD_TENANT, 1, NULL, "third", "twilio", BODY, ""};

    (void)unused;
    size_t before = callbacks().n;
    memory_log_set_down(world.log, MEMORY_DOWN_APPEND);
    struct http_answer answer = deliver(&hook);
    assert_int_equal(answer.status, 503);
    answer_free(&answer);
    memory_log_set_down(world.log, 0);
    assert_int_equal(callbacks().n, before);
}

/* What is signed but says nothing that we know is answered well, and not kept. */
static void test_unknown_status(void **unused)
{
    const struct hook hook = {
        WORLD_TENANT,
        1,
        NULL,
        "third",
        "twilio",
        "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=pondering",
        ""};

    (void)unused;
    size_t before = callbacks().n;
    struct http_answer answer = deliver(&hook);
    assert_int_equal(answer.status, 204);
    answer_free(&answer);
    assert_int_equal(callbacks().n, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivered),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rotation),       cmocka_unit_test(test_log_down),
        cmocka_unit_test(test_unknown_status),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
