/* The server under the gateway, alone: many connections that have something to say in the same
 * instant. libmicrohttpd 0.9.75's own threads take 128 events at a time, and after exactly 128 wait
 * for a 129th before they look at any of them: so the server drives libmicrohttpd itself. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "connectors/gateway/gateway.h"
#include "connectors/gateway/routes.h"
#include "connectors/gateway/server.h"
#include "tests/unit/test.h"

#define CLIENTS_MAX 512
#define PATIENCE_MS 20000 /* far below the timeout of an idle connection, which would wake it */

static struct {
    struct server *server;
    sem_t is_held;  /* the HTTP thread stands in admit */
    sem_t released; /* let it go on */

    pthread_mutex_t lock; /* guards the requests that wait to be finished together */
    struct request *kept[CLIENTS_MAX];
    unsigned kept_n;
    unsigned keep_n; /* so many are finished together; 0: each at once */
} world;

static const struct route route = {.method = "GET", .path = "/", .body = BODY_NONE};

static bool admit(struct request *request)
{
    request->route = &route;
    if (!th_str_eq(request->path, TH_STR("/hold")))
        return true;
    (void)sem_post(&world.is_held);
    (void)sem_wait(&world.released);
    /* Answered on the spot and closed: nothing is left that would wake the thread once more. */
    (void)request_answer_json(request, 200, TH_STR("{}"));
    return false;
}

static void take(struct request *request)
{
    (void)request_answer_json(request, 200, TH_STR("{}"));
    pthread_mutex_lock(&world.lock);
    bool is_kept = world.kept_n < world.keep_n;
    if (is_kept)
        world.kept[world.kept_n++] = request;
    pthread_mutex_unlock(&world.lock);
    if (!is_kept)
        server_finish(world.server, request);
}

static int client_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server_port(world.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void ask(int fd, const char *path)
{
    char text[128];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);

    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

/* The answers fit into one piece. */
static bool is_answered(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    char text[1024];

    if (poll(&one, 1, PATIENCE_MS) != 1)
        return false;
    ssize_t n = recv(fd, text, sizeof text, 0);
    return n > 12 && memcmp(text, "HTTP/1.1 200", 12) == 0;
}

/* One connection holds the only HTTP thread while all others send; then it is let go, and finds so
 * many events at once. */
static void check_at_once(const int *fds, size_t n)
{
    unsigned answered = 0;
    int holder = client_open();

    ask(holder, "/hold");
    (void)sem_wait(&world.is_held);
    for (size_t i = 0; i < n; i++)
        ask(fds[i], "/");
    (void)sem_post(&world.released);
    for (size_t i = 0; i < n; i++)
        answered += is_answered(fds[i]);
    (void)close(holder);
    assert_int_equal(answered, n);
}

static int start(void **unused)
{
    struct gateway_limits limits = gateway_limits_default();
    struct server_config config = {
        .address = "127.0.0.1", .limits = &limits, .admit = admit, .take = take};
    struct th_err err = {0};

    (void)unused;
    limits.threads = 1;
    limits.keep_alive_requests = 1000000;
    pthread_mutex_init(&world.lock, NULL);
    (void)sem_init(&world.is_held, 0, 0);
    (void)sem_init(&world.released, 0, 0);
    if (server_open(&config, &world.server, &err) != TH_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    server_quiesce(world.server, TH_US_PER_SEC);
    server_close(world.server);
    request_free_spare();
    pthread_mutex_destroy(&world.lock);
    return 0;
}

static const size_t crowds[] = {64, 127, 128, 129, 255, 256, 257, 384, 512};

static void test_ready_at_once(void **unused)
{
    int fds[CLIENTS_MAX];

    (void)unused;
    for (size_t i = 0; i < TH_LEN(crowds); i++) {
        print_message("  %zu connections are ready at once\n", crowds[i]);
        for (size_t k = 0; k < crowds[i]; k++) {
            fds[k] = client_open();
            ask(fds[k], "/");
            assert_true(is_answered(fds[k]));
        }
        for (int round = 0; round < 3; round++)
            check_at_once(fds, crowds[i]);
        for (size_t k = 0; k < crowds[i]; k++)
            (void)close(fds[k]);
    }
}

/* The log tells many at once that they are stored. */
static void test_finished_at_once(void **unused)
{
    int fds[CLIENTS_MAX];

    (void)unused;
    for (size_t i = 0; i < TH_LEN(crowds); i++) {
        size_t n = crowds[i];
        unsigned answered = 0;

        print_message("  %zu requests are finished at once\n", n);
        pthread_mutex_lock(&world.lock);
        world.kept_n = 0;
        world.keep_n = (unsigned)n;
        pthread_mutex_unlock(&world.lock);
        for (size_t k = 0; k < n; k++) {
            fds[k] = client_open();
            ask(fds[k], "/");
        }
        while (server_waiting(world.server) < n)
            (void)usleep(1000);
        pthread_mutex_lock(&world.lock);
        world.keep_n = 0;
        pthread_mutex_unlock(&world.lock);
        for (size_t k = 0; k < n; k++)
            server_finish(world.server, world.kept[k]);
        for (size_t k = 0; k < n; k++) {
            answered += is_answered(fds[k]);
            (void)close(fds[k]);
        }
        assert_int_equal(answered, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_at_once),
        cmocka_unit_test(test_finished_at_once),
    };

    return cmocka_run_group_tests_name("the server alone", tests, start, stop);
}
