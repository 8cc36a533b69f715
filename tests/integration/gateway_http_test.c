/* The gateway and clients that no client should be: requests that hide another, clients that drip,
 * a log that does not answer, too much at once. Raw sockets throughout. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/eventlog/memory_log.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

static struct world world;

static int start(void **unused)
{
    struct world_options options = world_options_default();

    (void)unused;
    options.limits.header_us = 600 * TH_US_PER_MS;
    options.limits.body_us = 900 * TH_US_PER_MS;
    options.limits.keep_alive_us = 1200 * TH_US_PER_MS;
    options.limits.deadline_us = 700 * TH_US_PER_MS;
    options.limits.keep_alive_requests = 3;
    world_start(&world, &options);
    return 0;
}

/* With the usual limits: a busy machine must not make a client slow. */
static int start_patient(void **unused)
{
    const struct world_options options = world_options_default();

    (void)unused;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

static void send_text(int fd, const char *text)
{
    connection_send(fd, text, strlen(text));
}

/* --- requests that could be read as two
 * ------------------------------------------------------------ */

/* What a row's bytes would hide, were they believed. */
#define AS_TENANT                                                                                  \
    "Authorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: p\r\n"
#define HIDDEN "GET /health/live HTTP/1.1\r\nHost: b\r\n\r\n"

static const struct {
    const char *says;
    const char *bytes;
    int status;
} probes[] = {
    {"length and chunked at once",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400},
    {"two lengths that differ",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: "
     "0\r\n\r\nabc" HIDDEN,
     400},
    {"two lengths that agree",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: "
     "3\r\n\r\nabc" HIDDEN,
     400},
    {"a blank before the colon",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc" HIDDEN, 400},
    {"a length on a folded line",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\n" AS_TENANT
     "Content-Length:\r\n 3\r\n\r\nabc" HIDDEN,
     400},
    {"a length and another on a folded line",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\n" AS_TENANT
     "Content-Length: 3\r\n 0\r\n\r\nabc" HIDDEN,
     400},
    {"an encoding on a folded line that looks like another header",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-A: b\r\n "
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400},
    {"an encoding behind a line feed alone",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-A: b\nTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400},
    {"a carriage return alone",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-A: b\rTransfer-Encoding: "
     "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400},
    {"a blank before the first header",
     "GET /health/live HTTP/1.1\r\n X-A: b\r\nHost: a\r\n\r\n" HIDDEN, 400},
    {"an encoding in HTTP/1.0",
     "POST /api/v1/sends HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     401},
    {"an encoding that is not chunked",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc" HIDDEN, 400},
    {"two encodings in one line",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, "
     "chunked\r\n\r\n0\r\n\r\n" HIDDEN,
     400},
    {"a control character in a value",
     "GET /health/live HTTP/1.1\r\nHost: a\r\nX-A: b\x01"
     "c\r\n\r\n" HIDDEN,
     400},
    {"a name with a bracket", "GET /health/live HTTP/1.1\r\nHost: a\r\nX(A): b\r\n\r\n" HIDDEN,
     400},
    {"no host", "GET /health/live HTTP/1.1\r\nX-A: b\r\n\r\n" HIDDEN, 400},
    {"two hosts", "GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" HIDDEN, 400},
    {"a method that is not served", "TRACE /health/live HTTP/1.1\r\nHost: a\r\n\r\n" HIDDEN, 400},
    {"a length with a sign",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc" HIDDEN, 400},
    {"a body that nobody may send",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n" HIDDEN, 401},
};

/* What libmicrohttpd itself refuses, in its own words. */
static const struct {
    const char *says;
    const char *bytes;
} refused[] = {
    {"a negative length",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\nabc" HIDDEN},
    {"a list of lengths",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc" HIDDEN},
    {"a hexadecimal length",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\nabc" HIDDEN},
    {"a length beyond 64 bits", "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                "18446744073709551619\r\n\r\nabc" HIDDEN},
    {"a NUL in the name of the length",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length@: 3\r\n\r\nabc" HIDDEN},
    {"a chunk beyond 64 bits",
     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\n" AS_TENANT
     "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" HIDDEN},
    {"a negative chunk", "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\n" AS_TENANT
                         "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n" HIDDEN},
    {"a chunk of 0x3", "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\n" AS_TENANT
                       "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" HIDDEN},
};

/* "%s" is the tenant's key; '@' stands for a NUL. */
static void send_probe(int fd, const char *format)
{
    struct th_buf text = {0};
    const char *key = strstr(format, "%s");

    th_buf_add(&text, (struct th_str){format, key ? (size_t)(key - format) : strlen(format)});
    if (key) {
        th_buf_add(&text, th_str(world.key));
        th_buf_add(&text, th_str(key + 2));
    }
    for (char *at = text.p; (at = memchr(at, '@', (size_t)(text.p + text.n - at)));)
        *at = '\0';
    connection_send(fd, text.p, text.n);
    th_buf_fini(&text);
}

static void expect_end(int fd)
{
    struct http_answer answer = connection_receive(fd, 3000);

    assert_int_equal(answer.status, 0);
    assert_true(answer.is_closed);
    answer_free(&answer);
}

/* One answer, then the end: nothing behind the probe is taken for a request. */
static void test_probes(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(probes); i++) {
        int fd = world_connect(&world);
        print_message("  %s\n", probes[i].says);
        send_probe(fd, probes[i].bytes);
        struct http_answer answer = connection_receive(fd, 3000);
        assert_int_equal(answer.status, probes[i].status);
        assert_string_equal(answer_header(&answer, "Connection"), "close");
        answer_free(&answer);
        expect_end(fd);
        (void)close(fd);
    }
}

/* However often it says so: what is hidden is never answered with 200. */
static void test_refused_by_the_library(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(refused); i++) {
        int fd = world_connect(&world);
        bool is_closed = false;
        print_message("  %s\n", refused[i].says);
        send_probe(fd, refused[i].bytes);
        while (!is_closed) {
            struct http_answer answer = connection_receive(fd, 3000);
            assert_true(answer.status == 0 || answer.status == 400 || answer.status == 413);
            is_closed = answer.is_closed;
            assert_true(answer.status || is_closed);
            answer_free(&answer);
        }
        (void)close(fd);
    }
}

static void test_many_headers(void **unused)
{
    char head[8192] = "GET /health/live HTTP/1.1\r\nHost: a\r\n";
    size_t n = strlen(head);

    (void)unused;
    for (int i = 0; i < 64; i++)
        n += (size_t)snprintf(head + n, sizeof head - n, "X-%d: a\r\n", i);
    (void)snprintf(head + n, sizeof head - n, "\r\n");
    int fd = world_connect(&world);
    connection_send(fd, head, strlen(head));
    struct http_answer answer = connection_receive(fd, 3000);
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "too many headers"));
    answer_free(&answer);
    (void)close(fd);
}

static void test_large_headers_and_targets(void **unused)
{
    static char text[24000];
    static char target[5000];

    (void)unused;
    int n = snprintf(text, sizeof text, "X-A: ");
    memset(text + n, 'a', 20000);
    memcpy(text + n + 20000, "\r\n", 3);
    struct call call;
    int fd = world_connect(&world);
    send_text(fd, "GET /health/live HTTP/1.1\r\nHost: a\r\n");
    connection_send(fd, text, strlen(text));
    send_text(fd, "\r\n");
    struct http_answer answer = connection_receive(fd, 3000);
    assert_int_equal(answer.status, 431);
    answer_free(&answer);
    (void)close(fd);

    memset(target, 'a', sizeof target - 1);
    target[0] = '/';
    call = (struct call){.method = "GET", .target = target};
    answer = world_call(&world, &call);
    assert_int_equal(answer.status, 414);
    answer_free(&answer);
}

/* --- bodies
 * ---------------------------------------------------------------------------------------- */

#define SEND "{\"channel\":\"sms\",\"to\":\"+919876543210\",\"text\":\"Hello\"}"

static void send_head(int fd, const char *idem, const char *more)
{
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                     "%s\r\nIdempotency-Key: %s\r\nContent-Type: application/json\r\n%s\r\n",
                     world.key, idem, more);

    connection_send(fd, head, (size_t)n);
}

static void test_chunked(void **unused)
{
    char chunks[256];
    int n = snprintf(chunks, sizeof chunks, "5\r\n%.5s\r\n%zx\r\n%s\r\n0\r\n\r\n", SEND,
                     strlen(SEND) - 5, &SEND[5]);
    int fd = world_connect(&world);

    (void)unused;
    send_head(fd, "chunked", "Transfer-Encoding: chunked\r\n");
    connection_send(fd, chunks, (size_t)n);
    struct http_answer answer = connection_receive(fd, 3000);
    assert_int_equal(answer.status, 202);
    answer_free(&answer);
    (void)close(fd);
}

static void test_large_bodies(void **unused)
{
    static char body[1500 * 1024];
    struct call call = {"POST", "/api/v1/sends", world.key, "large", .body = body};

    (void)unused;
    memset(body, ' ', sizeof body - 1);
    call.body_n = sizeof body - 1;
    struct http_answer answer = world_call(&world, &call);
    assert_int_equal(answer.status, 413);
    answer_free(&answer);

    print_message("  a hundred megabytes are refused before they are sent\n");
    int fd = world_connect(&world);
    send_head(fd, "huge", "Content-Length: 104857600\r\n");
    answer = connection_receive(fd, 3000);
    assert_int_equal(answer.status, 413);
    answer_free(&answer);
    (void)close(fd);
}

/* --- clients that take their time
 * ---------------------------------------------------------------------- */

/* Send one byte every 50 ms until the other side has closed; how long that took. */
static int64_t drip(int fd, const char *bytes)
{
    int64_t began_us = th_clock_monotonic_us(&th_clock_real);

    for (size_t i = 0;; i++) {
        connection_send(fd, &bytes[i % strlen(bytes)], 1);
        struct http_answer answer = connection_receive(fd, 50);
        bool is_over = answer.is_closed || answer.status;
        answer_free(&answer);
        int64_t took_us = th_clock_monotonic_us(&th_clock_real) - began_us;
        if (is_over || took_us > 5 * TH_US_PER_SEC)
            return took_us;
    }
}

static void test_slow_headers(void **unused)
{
    int fd = world_connect(&world);

    (void)unused;
    send_text(fd, "GET /health/live HTTP/1.1\r\nHost: a\r\nX-A: ");
    int64_t took_us = drip(fd, "abc");
    assert_in_range(took_us, 500 * TH_US_PER_MS, 2500 * TH_US_PER_MS);
    (void)close(fd);
}

static void test_slow_body(void **unused)
{
    int fd = world_connect(&world);

    (void)unused;
    send_head(fd, "slow", "Content-Length: 1000\r\n");
    int64_t took_us = drip(fd, " ");
    assert_in_range(took_us, 800 * TH_US_PER_MS, 2500 * TH_US_PER_MS);
    (void)close(fd);
}

/* The second request's headers have the time of their own, and the wait between two its own. */
static void test_kept_alive(void **unused)
{
    const struct call live = {.method = "GET", .target = "/health/live"};
    int fd = world_connect(&world);

    (void)unused;
    struct http_answer answer = connection_call(fd, &live);
    assert_int_equal(answer.status, 200);
    answer_free(&answer);
    (void)usleep(800 * 1000);
    answer = connection_call(fd, &live);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Connection"), "");
    answer_free(&answer);
    answer = connection_call(fd, &live);
    assert_int_equal(answer.status, 200);
    print_message("  the third is the last by the limit\n");
    assert_string_equal(answer_header(&answer, "Connection"), "close");
    answer_free(&answer);
    (void)close(fd);

    print_message("  an idle connection is closed\n");
    fd = world_connect(&world);
    answer = connection_call(fd, &live);
    answer_free(&answer);
    answer = connection_receive(fd, 4000);
    assert_true(answer.is_closed);
    answer_free(&answer);
    (void)close(fd);
}

/* --- a log in trouble
 * ------------------------------------------------------------------------------- */

static void test_log_down(void **unused)
{
    struct call call = {"POST", "/api/v1/sends", world.key, "down", .body = SEND};

    (void)unused;
    memory_log_set_down(world.log, MEMORY_DOWN_APPEND);
    struct http_answer answer = world_call(&world, &call);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(answer.body, "outcome_unknown"));
    assert_true(atoi(answer_header(&answer, "Retry-After")) >= 1);
    answer_free(&answer);
    memory_log_set_down(world.log, 0);
    answer = world_call(&world, &call);
    assert_int_equal(answer.status, 202);
    answer_free(&answer);
}

/* Stored, but the answer was lost: the repeat gives what was stored, and there is one record. */
static void test_answer_lost(void **unused)
{
    struct call call = {"POST", "/api/v1/sends", world.key, "lost", .body = SEND};
    size_t before = world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED);

    (void)unused;
    memory_log_set_down(world.log, MEMORY_DOWN_APPEND_LOST);
    struct http_answer answer = world_call(&world, &call);
    assert_int_equal(answer.status, 503);
    answer_free(&answer);
    memory_log_set_down(world.log, 0);
    answer = world_call(&world, &call);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer_header(&answer, "Idempotency-Replayed"), "true");
    answer_free(&answer);
    assert_int_equal(world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED), before + 1);
}

/* A question that takes longer than the deadline is answered 503 in time, and its worker may end
 * when it will. */
static void test_deadline(void **unused)
{
    const struct call send = {"POST", "/api/v1/sends", world.key, "token", .body = SEND};
    char header[128];
    char target[80];

    (void)unused;
    struct http_answer answer = world_call(&world, &send);
    (void)snprintf(header, sizeof header, "TeleHub-Token: %s\r\n",
                   answer_header(&answer, "TeleHub-Token"));
    (void)snprintf(target, sizeof target, "/api/v1/sends/%s", answer_member(&answer, "id"));
    answer_free(&answer);
    world.views.is_behind = true; /* for 5 s; the deadline of these tests is 0.7 s */
    int64_t began_us = th_clock_monotonic_us(&th_clock_real);
    const struct call get = {"GET", target, world.key, .headers = header};
    answer = world_call(&world, &get);
    int64_t took_us = th_clock_monotonic_us(&th_clock_real) - began_us;
    world.views.is_behind = false;
    assert_int_equal(answer.status, 503);
    assert_in_range(took_us, 600 * TH_US_PER_MS, 3 * TH_US_PER_SEC);
    answer_free(&answer);
}

/* --- many at once
 * ------------------------------------------------------------------------------------ */

#define CONNECTIONS 64
#define PER_THREAD  20

struct sender {
    pthread_t thread;
    int number;
    int accepted;
    char ids[PER_THREAD][40];
};

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    int fd = -1;

    for (int i = 0; i < PER_THREAD; i++) {
        char idem[32];
        const struct call call = {"POST", "/api/v1/sends", world.key, idem, .body = SEND};
        (void)snprintf(idem, sizeof idem, "many-%d-%d", sender->number, i);
        if (i % 3 == 0) {
            if (fd >= 0)
                (void)close(fd);
            fd = world_connect(&world);
        }
        struct http_answer answer = connection_call(fd, &call);
        if (answer.status == 202)
            (void)snprintf(sender->ids[sender->accepted++], 40, "%s", answer_member(&answer, "id"));
        answer_free(&answer);
    }
    (void)close(fd);
    return NULL;
}

struct tally {
    struct sender *senders;
    int found[CONNECTIONS][PER_THREAD];
};

static void tally_one(void *arg, const struct event *event, const struct log_record *record)
{
    struct tally *tally = arg;
    char id[TH_ID_TEXT_LEN + 1];

    (void)record;
    th_id_text(event->as.send_requested.send, id);
    for (int s = 0; s < CONNECTIONS; s++)
        for (int i = 0; i < tally->senders[s].accepted; i++)
            tally->found[s][i] += strcmp(tally->senders[s].ids[i], id) == 0;
}

static void test_many_at_once(void **unused)
{
    static struct sender senders[CONNECTIONS];
    static struct tally tally = {.senders = senders};
    int accepted = 0;

    (void)unused;
    for (int i = 0; i < CONNECTIONS; i++) {
        senders[i].number = i;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        (void)pthread_join(senders[i].thread, NULL);
        accepted += senders[i].accepted;
    }
    assert_int_equal(accepted, CONNECTIONS * PER_THREAD);
    log_events(world.log, TOPIC_SEND_REQUESTS, tally_one, &tally);
    for (int s = 0; s < CONNECTIONS; s++)
        for (int i = 0; i < senders[s].accepted; i++)
            assert_int_equal(tally.found[s][i], 1);
}

/* The same request from many at once: one record, one id, and a 409 or that id for everybody else.
 */
static void *send_same(void *arg)
{
    struct sender *sender = arg;
    const struct call call = {"POST", "/api/v1/sends", world.key, "same", .body = SEND};
    struct http_answer answer = world_call(&world, &call);

    sender->accepted = answer.status;
    (void)snprintf(sender->ids[0], 40, "%s", answer_member(&answer, "id"));
    answer_free(&answer);
    return NULL;
}

static void test_same_key_at_once(void **unused)
{
    static struct sender senders[CONNECTIONS];
    size_t before = world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED);
    const char *id = NULL;
    int first = 0;

    (void)unused;
    for (int i = 0; i < CONNECTIONS; i++)
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_same, &senders[i]), 0);
    for (int i = 0; i < CONNECTIONS; i++)
        (void)pthread_join(senders[i].thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        assert_true(senders[i].accepted == 202 || senders[i].accepted == 200 ||
                    senders[i].accepted == 409);
        first += senders[i].accepted == 202;
        if (senders[i].accepted == 409)
            continue;
        if (id)
            assert_string_equal(id, senders[i].ids[0]);
        id = senders[i].ids[0];
    }
    assert_int_equal(first, 1);
    assert_int_equal(world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED), before + 1);
}

/* A proxy and the sandbox speak from this machine for everybody: they are not counted. */
static void test_many_from_loopback(void **unused)
{
    const struct call live = {.method = "GET", .target = "/health/live"};
    int fds[300];

    (void)unused;
    for (size_t i = 0; i < TH_LEN(fds); i++)
        fds[i] = world_connect(&world);
    for (size_t i = 0; i < TH_LEN(fds); i++) {
        struct http_answer answer = connection_call(fds[i], &live);
        assert_int_equal(answer.status, 200);
        answer_free(&answer);
        (void)close(fds[i]);
    }
}

/* --- the end
 * ------------------------------------------------------------------------------------------- */

/* A gateway that is closed while requests wait answers what it can and hangs on nothing. */
static void test_closing(void **unused)
{
    const struct world_options options = world_options_default();
    const struct call call = {"POST", "/api/v1/sends", NULL, "closing", .body = SEND};
    struct call mine = call;
    struct world other;
    int fds[8];

    (void)unused;
    world_start(&other, &options);
    mine.key = other.key;
    for (size_t i = 0; i < TH_LEN(fds); i++) {
        fds[i] = world_connect(&other);
        struct http_answer answer = connection_call(fds[i], &mine);
        assert_true(answer.status == 202 || answer.status == 200);
        answer_free(&answer);
    }
    print_message("  one in the middle of its headers, one of its body\n");
    send_text(fds[0], "GET /health/live HT");
    send_text(fds[1], "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    int64_t began_us = th_clock_monotonic_us(&th_clock_real);
    world_stop(&other);
    assert_true(th_clock_monotonic_us(&th_clock_real) - began_us < 5 * TH_US_PER_SEC);
    for (size_t i = 0; i < TH_LEN(fds); i++)
        (void)close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probes),       cmocka_unit_test(test_refused_by_the_library),
        cmocka_unit_test(test_many_headers), cmocka_unit_test(test_large_headers_and_targets),
        cmocka_unit_test(test_chunked),      cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_slow_headers), cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_kept_alive),   cmocka_unit_test(test_log_down),
        cmocka_unit_test(test_answer_lost),  cmocka_unit_test(test_deadline),
    };

    const struct CMUnitTest many[] = {
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_same_key_at_once),
        cmocka_unit_test(test_many_from_loopback),
        cmocka_unit_test(test_closing),
    };

    int failed = cmocka_run_group_tests_name("strange clients", tests, start, stop);
    return failed + cmocka_run_group_tests_name("many clients", many, start_patient, stop);
}
