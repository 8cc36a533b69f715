/* A thousand clients that send a byte now and then, and two hundred that stop in the middle of a
 * body: who behaves is served meanwhile, and the crowd is cut off. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#define DRIPPING   1000
#define HALF_OPEN  200
#define GOOD       ((size_t)300)
#define FILES      4096
#define DRIP_US    100000
#define PATIENCE_S 60 /* until all of the crowd are cut off; the limit is 3 s */

static struct world world;
static int crowd[DRIPPING + HALF_OPEN];
static atomic_bool is_over;

static int start(void **unused)
{
    struct world_options options = world_options_default();
    struct rlimit files;

    (void)unused;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < FILES) { /* both ends are in this process */
        files.rlim_cur = FILES;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    }
    options.limits.header_us = 3 * TH_US_PER_SEC;
    options.limits.body_us = 3 * TH_US_PER_SEC;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

/* A byte of a header to each, again and again: none of them is ever idle for long. */
static void *drip(void *unused)
{
    (void)unused;
    while (!atomic_load(&is_over)) {
        for (size_t i = 0; i < DRIPPING; i++)
            (void)send(crowd[i], "a", 1, MSG_NOSIGNAL);
        (void)usleep(DRIP_US);
    }
    return NULL;
}

static void gather(void)
{
    static const char head[] = "GET /health/live HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    static const char half[] = "POST /api/v1/sends HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                               "%s\r\nContent-Type: application/json\r\nIdempotency-Key: half-%zu"
                               "\r\nContent-Length: 200\r\n\r\n{\"channel\":";
    char text[512];

    for (size_t i = 0; i < TH_LEN(crowd); i++) {
        crowd[i] = world_connect(&world);
        if (i < DRIPPING) {
            connection_send(crowd[i], head, sizeof head - 1);
            continue;
        }
        int n = snprintf(text, sizeof text, half, world.key, i);
        connection_send(crowd[i], text, (size_t)n);
    }
}

/* Has the gateway hung up on it? What it says before that does not matter. */
static bool is_cut(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    char text[1024];

    for (;;) {
        if (poll(&one, 1, PATIENCE_S * 1000) != 1)
            return false;
        if (recv(fd, text, sizeof text, 0) <= 0)
            return true;
    }
}

static void check_good_ones(const char *when)
{
    int fd = world_connect(&world);

    print_message("  %zu good requests %s\n", GOOD, when);
    for (size_t i = 0; i < GOOD; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s-%zu", *when == 'w' ? "while" : "after", i);
        const struct call call = {"POST", "/api/v1/sends", world.key, key,
                                  .body = "{\"channel\":\"sms\",\"to\":\"+919000000001\","
                                          "\"text\":\"School opens at 9\"}"};
        struct http_answer answer = connection_call(fd, &call);
        assert_int_equal(answer.status, 202);
        answer_free(&answer);
    }
    (void)close(fd);
}

static void test_crowd(void **unused)
{
    size_t before = world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED);
    pthread_t dripper;
    size_t cut = 0;

    (void)unused;
    gather();
    assert_int_equal(pthread_create(&dripper, NULL, drip, NULL), 0);
    check_good_ones("while the crowd stands there");
    print_message("  all of the crowd are cut off\n");
    for (size_t i = 0; i < TH_LEN(crowd); i++)
        cut += is_cut(crowd[i]);
    atomic_store(&is_over, true);
    (void)pthread_join(dripper, NULL);
    for (size_t i = 0; i < TH_LEN(crowd); i++)
        (void)close(crowd[i]);
    assert_int_equal(cut, TH_LEN(crowd));
    check_good_ones("afterwards");
    print_message("  nothing that was half sent is in the log\n");
    assert_int_equal(world_count(&world, TOPIC_SEND_REQUESTS, EVENT_SEND_REQUESTED),
                     before + 2 * GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crowd)};

    return cmocka_run_group_tests_name("a crowd of slow clients", tests, start, stop);
}
