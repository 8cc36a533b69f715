/* Bodies and whole requests, damaged at random: the gateway answers each as what it is, or closes
 * the connection; it never breaks, and goes on serving others. Seeded: a failure can be repeated.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#define BODIES   400 /* of each route */
#define REQUESTS 750
#define AT_ONCE  50
#define TEXT_MAX 4096

static struct world world;

static int start(void **unused)
{
    struct world_options options = world_options_default();

    (void)unused;
    options.limits.keep_alive_requests = 1000000;
    world_start(&world, &options);
    return 0;
}

/* What is cut short is cut off soon. */
static int start_hasty(void **unused)
{
    struct world_options options = world_options_default();

    (void)unused;
    options.limits.header_us = 300 * TH_US_PER_MS;
    options.limits.body_us = 300 * TH_US_PER_MS;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

static uint64_t state = 20261122;

static size_t draw(size_t below)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(state >> 33) % below;
}

struct text {
    char p[TEXT_MAX + 1];
    size_t n;
};

static void insert(struct text *text, size_t at, const char *from, size_t n)
{
    if (text->n + n > TEXT_MAX)
        return;
    memmove(text->p + at + n, text->p + at, text->n - at);
    memcpy(text->p + at, from, n);
    text->n += n;
}

static void damage_once(struct text *text)
{
    static const char *const pieces[] = {"\"",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         ",",
                                         ":",
                                         "null",
                                         "-1",
                                         "1e999",
                                         "99999999999999999999",
                                         "\\u0000",
                                         "\\ud800",
                                         "\xff",
                                         "\xf0\x9f\x98\x80",
                                         "\n",
                                         "\r\n",
                                         "\x1f",
                                         "{{",
                                         "true",
                                         "%00",
                                         ";"};
    size_t at = text->n ? draw(text->n) : 0;
    size_t rest = text->n - at;
    size_t n = rest ? 1 + draw(rest < 12 ? rest : 12) : 0;
    const char *piece = pieces[draw(TH_LEN(pieces))];
    char copy[16];

    switch (draw(5)) {
    case 0:
        if (text->n)
            text->p[at] = (char)draw(256);
        break;
    case 1:
        memmove(text->p + at, text->p + at + n, text->n - at - n);
        text->n -= n;
        break;
    case 2:
        memcpy(copy, text->p + at, n);
        insert(text, at, copy, n);
        break;
    case 3:
        insert(text, at, piece, strlen(piece));
        break;
    default:
        text->n = at;
        break;
    }
}

static struct text damaged(const char *from)
{
    struct text text;

    text.n = strlen(from);
    memcpy(text.p, from, text.n + 1);
    for (size_t times = 1 + draw(2); times; times--)
        damage_once(&text);
    return text;
}

/* --- bodies
 * ------------------------------------------------------------------------------------------ */

static const struct {
    const char *method;
    const char *target;
    bool is_operator;
    const char *type;
    const char *body;
} bodies[] = {
    {"POST", "/api/v1/sends", false, "application/json",
     "{\"channel\":\"sms\",\"to\":\"+919876543210\",\"text\":\"Hello\",\"lang\":\"hi\","
     "\"category\":"
     "\"transactional\",\"max_attempts\":3,\"expires_in_s\":60,\"providers\":[]}"},
    {"POST", "/api/v1/audiences", false, "application/json", "{\"name\":\"Class 8\"}"},
    {"POST", "/api/v1/audiences/0190a0a0-0000-7000-8000-000000000000/seal", false,
     "application/json",
     "{\"parts\":[{\"part\":0,\"rows\":2,\"rejected_total\":1,\"sha256\":"
     "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}]}"},
    {"POST", "/api/v1/campaigns", false, "application/json",
     "{\"name\":\"Fees\",\"channel\":\"sms\",\"audience\":\"0190a0a0-0000-7000-8000-000000000000\","
     "\"text\":\"[hi]\\na {b}\\n[en]\\nc\",\"pace\":\"max\",\"window\":{\"from\":\"09:00\",\"to\":"
     "\"21:00\"},\"policy\":\"at_most_once\",\"allow_duplicates\":false}"},
    {"POST", "/api/v1/opt-outs", false, "application/json",
     "{\"phone\":\"+919876543210\",\"source\":\"cli\"}"},
    {"POST", "/api/v1/tenants", true, "application/json",
     "{\"tenant\":\"t\",\"name\":\"T\",\"country\":\"IN\",\"zone\":\"Asia/Kolkata\",\"currency\":"
     "\"INR\"}"},
    {"POST", "/api/v1/providers", true, "application/json",
     "{\"tenant\":\"pratham\",\"name\":\"a\",\"wire\":\"twilio\",\"base_url\":\"http://"
     "127.0.0.1:9\","
     "\"account\":\"AC\",\"secret\":\"s\",\"senders\":[\"+911\"],\"weight\":1,\"sms_estimate\":{"
     "\"amount\":\"0.12\",\"currency\":\"INR\"}}"},
    {"PUT", "/api/v1/audiences/%s/parts/0", false, "text/csv",
     "phone,lang,name\n+919876543210,hi,\"A, b\"\n98765 43211,,c\n12,en,d\n"},
};

static bool is_expected(int status)
{
    static const int expected[] = {200, 201, 202, 400, 404, 409, 413, 422};

    for (size_t i = 0; i < TH_LEN(expected); i++)
        if (status == expected[i])
            return true;
    return false;
}

static void make_audience(char *out, size_t size)
{
    const struct call call = {"POST", "/api/v1/audiences", world.key, "hostile",
                              .body = "{\"name\":\"a\"}"};
    struct http_answer answer = world_call(&world, &call);

    (void)snprintf(out, size, "%s", answer_member(&answer, "id"));
    answer_free(&answer);
}

static void test_bodies(void **unused)
{
    char audience[40];
    char target[160];
    char idem[32];
    int fd = world_connect(&world);

    (void)unused;
    make_audience(audience, sizeof audience);
    for (size_t k = 0; k < TH_LEN(bodies); k++) {
        size_t accepted = 0;
        /* The only target with a place for the audience is the last one. */
        (void)snprintf(target, sizeof target, "%.*s%s%s", (int)strcspn(bodies[k].target, "%"),
                       bodies[k].target, strchr(bodies[k].target, '%') ? audience : "",
                       strchr(bodies[k].target, '%') ? strchr(bodies[k].target, '%') + 2 : "");
        for (int i = 0; i < BODIES; i++) {
            struct text body = damaged(bodies[k].body);
            const struct call call = {bodies[k].method,
                                      target,
                                      bodies[k].is_operator ? WORLD_OPERATOR_KEY : world.key,
                                      idem,
                                      .type = bodies[k].type,
                                      .body = body.p,
                                      .body_n = body.n};
            (void)snprintf(idem, sizeof idem, "hostile-%zu-%d", k, i);
            if (!body.n)
                continue;
            struct http_answer answer = connection_call(fd, &call);
            if (!is_expected(answer.status))
                print_message("%s: %d %s\n%.*s\n", target, answer.status, answer.body, (int)body.n,
                              body.p);
            assert_true(is_expected(answer.status));
            accepted += answer.status < 300;
            bool is_closed = strcmp(answer_header(&answer, "Connection"), "close") == 0;
            answer_free(&answer);
            if (is_closed) {
                (void)close(fd);
                fd = world_connect(&world);
            }
        }
        print_message("  %s: %zu of %d were still something\n", target, accepted, BODIES);
    }
    (void)close(fd);
}

/* --- whole requests
 * ------------------------------------------------------------------------------------ */

static void test_requests(void **unused)
{
    char request[1024];
    size_t answered = 0;
    size_t accepted = 0;

    (void)unused;
    (void)snprintf(
        request, sizeof request,
        "POST /api/v1/sends?a=b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
        "Idempotency-Key: raw\r\nContent-Type: application/json\r\nContent-Length: 58\r\n"
        "\r\n{\"channel\":\"sms\",\"to\":\"+919876543210\",\"text\":\"Hello you!\"}",
        world.key);
    for (int i = 0; i < REQUESTS; i += AT_ONCE) {
        int fds[AT_ONCE];
        for (int k = 0; k < AT_ONCE; k++) {
            struct text text = damaged(request);
            fds[k] = world_connect(&world);
            connection_send(fds[k], text.p, text.n);
            (void)shutdown(fds[k], SHUT_WR);
        }
        for (int k = 0; k < AT_ONCE; k++) {
            struct http_answer answer = connection_receive(fds[k], 5000);
            assert_true(answer.status < 500 || answer.status == 505); /* libmicrohttpd's own */
            assert_true(answer.status || answer.is_closed);
            answered += answer.status != 0;
            accepted += answer.status == 200 || answer.status == 202;
            answer_free(&answer);
            (void)close(fds[k]);
        }
    }
    print_message("  %zu of %d were answered, %zu accepted\n", answered, REQUESTS, accepted);
    const struct call live = {.method = "GET", .target = "/health/ready"};
    struct http_answer answer = world_call(&world, &live);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
}

/* Every record that came of it can be read. */
static void see(void *arg, const struct event *event, const struct log_record *record)
{
    size_t *n = arg;

    (void)record;
    assert_true(event_meta(event)->tenant.n > 0);
    ++*n;
}

static void test_log_is_whole(void **unused)
{
    static const enum topic topics[] = {TOPIC_SEND_REQUESTS, TOPIC_CAMPAIGN_AUDIENCE,
                                        TOPIC_CAMPAIGN_COMMANDS, TOPIC_CONFIG,
                                        TOPIC_CONSENT_EVENTS};
    size_t n = 0;

    (void)unused;
    for (size_t i = 0; i < TH_LEN(topics); i++)
        log_events(world.log, topics[i], see, &n);
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest of_bodies[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_log_is_whole),
    };
    const struct CMUnitTest of_requests[] = {
        cmocka_unit_test(test_requests),
    };

    int failed = cmocka_run_group_tests_name("bodies", of_bodies, start, stop);
    return failed + cmocka_run_group_tests_name("requests", of_requests, start_hasty, stop);
}
