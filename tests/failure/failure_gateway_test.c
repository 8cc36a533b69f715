/* The gateway without memory: each answer is true. A write that was answered 2xx is on the log
 * once; one that was not is there at most once, and the same request with the same key, when there
 * is memory again, makes it exactly once. */
#include "common/callback_token.h"
#include "common/digest.h"
#include "common/encode.h"
#include "common/eventlog/slot.h"
#include "tests/failure/fail.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct world world;

/* What the tests' views read is not under test, nor is who follows the reference topics. */
void __real_reference_follower_run(struct reference_follower *follower, int stop_fd);
void __wrap_reference_follower_run(struct reference_follower *follower, int stop_fd);
void __real_log_events(struct th_log *log, enum topic topic, world_event_fn *fn, void *arg);
void __wrap_log_events(struct th_log *log, enum topic topic, world_event_fn *fn, void *arg);

void __wrap_reference_follower_run(struct reference_follower *follower, int stop_fd)
{
    fail_exempt(true);
    __real_reference_follower_run(follower, stop_fd);
}

void __wrap_log_events(struct th_log *log, enum topic topic, world_event_fn *fn, void *arg)
{
    fail_exempt(true);
    __real_log_events(log, topic, fn, arg);
    fail_exempt(false);
}

struct write {
    const char *says;
    const char *method;
    const char *target;
    const char *type;
    const char *body; /* # is the number of the request, @ an audience */
    bool is_operators;
    enum topic topic;
    enum event_type event;
    const char *says_so; /* in an answer that is well */
    bool has_no_key;
};

static const struct write writes[] = {
    {"a send", "POST", "/api/v1/sends", NULL,
     "{\"channel\":\"sms\",\"to\":\"09876543210\",\"text\":\"Hello #\"}", false,
     TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED, "", false},
    {"an audience", "POST", "/api/v1/audiences", NULL, "{\"name\":\"class #\"}", false,
     TOPIC_CAMPAIGN_AUDIENCE, EVENT_AUDIENCE_CREATED, "", false},
    {"an opt-out", "POST", "/api/v1/opt-outs", NULL, "{\"phone\":\"+9198765#\"}", false,
     TOPIC_CONSENT_EVENTS, EVENT_OPTED_OUT, "", false},
    {"a campaign", "POST", "/api/v1/campaigns", NULL,
     "{\"name\":\"c#\",\"channel\":\"sms\",\"text\":\"Namaste\",\"audience\":\"@\"}", false,
     TOPIC_CAMPAIGN_COMMANDS, EVENT_CREATE_CAMPAIGN, "", false},
    {"a part of an audience", "PUT", "/api/v1/audiences/@/parts/#", "text/csv",
     "phone,name,lang\n98765#,Asha,hi\n+9198764#,\"Ravi \"\"R\"\"\",en\n", false,
     TOPIC_CAMPAIGN_AUDIENCE, EVENT_AUDIENCE_PART, "\"rows\":2", true},
    {"a tenant", "POST", "/api/v1/tenants", NULL, "{\"tenant\":\"ngo-#\",\"name\":\"N\"}", true,
     TOPIC_CONFIG, EVENT_TENANT_CREATED, "", false},
    {"an account", "POST", "/api/v1/providers", NULL,
     "{\"tenant\":\"pratham\",\"name\":\"p#\",\"wire\":\"twilio\",\"account\":\"AC1\","
     "\"base_url\":\"http://127.0.0.1:9\",\"secret\":\"token\",\"senders\":[\"+912071531234\"]}",
     true, TOPIC_CONFIG, EVENT_ACCOUNT_CONFIGURED, "", false},
};

static int requests;
static char audience[40];

static void fill_in(const char *pattern, int number, char *out, size_t size)
{
    size_t n = 0;

    for (; *pattern && n + sizeof audience < size; pattern++) {
        if (*pattern == '#')
            n += (size_t)snprintf(out + n, size - n, "%05d", number);
        else if (*pattern == '@')
            n += (size_t)snprintf(out + n, size - n, "%s", audience);
        else
            out[n++] = *pattern;
    }
    out[n] = '\0';
}

static struct http_answer call(const struct write *write, int number)
{
    char body[512];
    char target[128];
    char idem[32];

    fill_in(write->body, number, body, sizeof body);
    fill_in(write->target, number, target, sizeof target);
    snprintf(idem, sizeof idem, "request-%d", number);
    const struct call what = {.method = write->method,
                              .target = target,
                              .key = write->is_operators ? WORLD_OPERATOR_KEY : world.key,
                              .idem = idem,
                              .type = write->type,
                              .body = body};
    fail_exempt(true);
    struct http_answer answer = world_call(&world, &what);
    fail_exempt(false);
    return answer;
}

static bool is_done(const struct http_answer *answer)
{
    return answer->status >= 200 && answer->status < 300;
}

/* When a connection broke the first may still be worked on. */
static struct http_answer call_until_done(const struct write *write, int number)
{
    struct http_answer answer = call(write, number);

    while (answer.status == 409 && strstr(answer.body, "idempotency_in_flight")) {
        answer_free(&answer);
        (void)usleep(1000);
        answer = call(write, number);
    }
    return answer;
}

static void write_one(void *arg)
{
    const struct write *write = arg;
    int number = ++requests;
    size_t before = world_count(&world, write->topic, write->event);

    fail_arm();
    struct http_answer answer = call(write, number);
    fail_disarm();
    size_t after = world_count(&world, write->topic, write->event);
    if (is_done(&answer)) {
        assert_int_equal(after, before + 1);
        if (!strstr(answer.body, write->says_so))
            fail_msg("%d %s", answer.status, answer.body);
    } else {
        assert_true(fail_was_hit());
        if (answer.status != 0 && answer.status < 500)
            fail_msg("%d %s", answer.status, answer.body);
        assert_true(after <= before + 1);
    }
    answer_free(&answer);

    answer = call_until_done(write, number);
    if (!is_done(&answer))
        fail_msg("again: %d %s", answer.status, answer.body);
    answer_free(&answer);
    if (write->has_no_key) /* of repeated parts the last one counts */
        assert_int_equal(world_count(&world, write->topic, write->event), after + 1);
    else
        assert_int_equal(world_count(&world, write->topic, write->event), before + 1);
}

static void test_writes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(writes); i++) {
        struct write write = writes[i];
        fail_each(writes[i].says, FAIL_MEMORY, write_one, &write);
    }
}

/* --- callbacks: answered 204 when they are on the log, and never before
 * --------------------------- */

#define BODY   "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered"
#define SIGNED "MessageSidSM0123456789abcdef0123456789abcdefMessageStatusdelivered"

struct hook {
    char target[256];
    struct th_buf header;
};

/* Twilio's: HMAC-SHA1 over the URL and, by name, each field's name and value. */
static void make_hook(struct hook *hook)
{
    struct callback_token token = {.lane = 1, .attempt_no = 1};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];
    TH_AUTO(th_buf) struct th_buf bytes = {0};
    uint8_t mac[TH_SHA1_SIZE];
    struct th_str key;
    struct th_err err = {0};

    assert_int_equal(secrets_callback_key(world.secrets, &key, &err), TH_OK);
    token.tenant_size = (uint8_t)strlen(WORLD_TENANT);
    memcpy(token.tenant, WORLD_TENANT, token.tenant_size);
    assert_int_equal(callback_token_make(&token, key, text), TH_OK);
    (void)snprintf(hook->target, sizeof hook->target, "/webhooks/twilio/%s", text);
    th_buf_printf(&bytes, "http://127.0.0.1:%u%s%s", world.port, hook->target, SIGNED);
    th_hmac_sha1(TH_STR("token"), th_buf_str(&bytes), mac);
    th_buf_add(&hook->header, TH_STR("X-Twilio-Signature: "));
    th_base64_add(&hook->header, (struct th_str){(const char *)mac, sizeof mac});
    th_buf_add(&hook->header, (struct th_str){"\r\n", 3});
}

static void deliver(void *arg)
{
    const struct hook *hook = arg;
    const struct call what = {.method = "POST",
                              .target = hook->target,
                              .type = "application/x-www-form-urlencoded",
                              .headers = hook->header.p,
                              .body = BODY};
    size_t before = world_count(&world, TOPIC_PROVIDER_CALLBACKS, EVENT_CALLBACK_RECEIVED);

    fail_arm();
    fail_exempt(true);
    struct http_answer answer = world_call(&world, &what);
    fail_exempt(false);
    fail_disarm();
    size_t after = world_count(&world, TOPIC_PROVIDER_CALLBACKS, EVENT_CALLBACK_RECEIVED);
    assert_true(is_done(&answer) || fail_was_hit());
    if (is_done(&answer))
        assert_int_equal(after, before + 1);
    else /* a provider repeats what was answered 5xx, and what was not answered; not a 4xx */
        assert_true(answer.status == 0 || answer.status >= 500);
    answer_free(&answer);
}

static void test_callbacks(void **unused)
{
    (void)unused;
    struct hook hook = {.header = {0}};

    make_hook(&hook);
    fail_each("a callback", FAIL_MEMORY | FAIL_FILES, deliver, &hook);
    th_buf_fini(&hook.header);
}

static const char *const targets[] = {"/api/v1/providers", "/health/live", "/metrics",
                                      "/registry/schemas/ids/257"};

static void read_one(void *arg)
{
    const char *target = *(const char *const *)arg;
    const struct call what = {.method = "GET", .target = target, .key = world.key};

    fail_arm();
    fail_exempt(true);
    struct http_answer answer = world_call(&world, &what);
    fail_exempt(false);
    fail_disarm();
    if (answer.status != 0 && answer.status < 500 && answer.status >= 400 && fail_was_hit()) {
        struct http_answer again = world_call(&world, &what);
        assert_int_equal(answer.status, again.status); /* as without trouble */
        answer_free(&again);
    }
    answer_free(&answer);
}

static void read_twice(void *arg)
{
    const struct call live = {.method = "GET", .target = "/health/live"};

    read_one(arg);
    struct http_answer answer = world_call(&world, &live);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
}

/* When no more connections could be accepted, and those that there were had been closed, nobody
 * was heard any more. */
static void test_it_listens_when_there_are_descriptors_again(void **unused)
{
    const char *target = "/metrics";

    (void)unused;
    fail_each("descriptors run out", FAIL_ALL, read_twice, &target);
}

static void test_reads(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(targets); i++) {
        const char *target = targets[i];
        fail_each(target, FAIL_MEMORY, read_one, &target);
    }
}

static void open_and_close(void *unused)
{
    (void)unused;
    const struct gateway_config config = {
        .log = world.log,
        .reference = world.reference,
        .secrets = world.secrets,
        .clock = &th_clock_real,
        .address = "127.0.0.1",
        .operator_key = TH_STR(WORLD_OPERATOR_KEY),
        .providers = (const struct provider_ops *const[]){NULL},
        .limits = gateway_limits_default(),
    };
    struct gateway *gateway = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = gateway_open(&config, &gateway, &err);
    fail_disarm();
    assert_true(code == TH_OK ||
                (fail_was_hit() && (code == TH_NOMEM || code == TH_IO || code == TH_UNAVAILABLE)));
    gateway_close(gateway);
}

static void test_opening(void **unused)
{
    (void)unused;
    fail_each("a gateway is opened", FAIL_MEMORY | FAIL_EVENT | FAIL_CONNECT, open_and_close, NULL);
}

static int start(void **unused)
{
    struct world_options options = world_options_default();

    (void)unused;
    options.limits.deadline_us = 2 * TH_US_PER_SEC;
    world_start(&world, &options);
    struct http_answer answer = call(&writes[1], ++requests);
    (void)snprintf(audience, sizeof audience, "%s", answer_member(&answer, "id"));
    answer_free(&answer);
    answer = call(&writes[TH_LEN(writes) - 1], ++requests); /* lane 1, for callbacks */
    assert_int_equal(answer.status, 201);
    answer_free(&answer);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_callbacks),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_it_listens_when_there_are_descriptors_again),
        cmocka_unit_test(test_opening),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
