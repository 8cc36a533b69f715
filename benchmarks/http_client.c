/* bench_http_client - what a request costs the thread that makes it, CPU only: POSTs of a message
 * to a server on another thread that answers all of them alike, at several numbers in flight.
 *
 *   bench_http_client [REQUESTS, default 100000]
 *
 * One JSON object per number in flight. Exit status 1 when a request failed.
 */
#include "connectors/http_client/http_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS    100000
#define EVENTS_MAX  64
#define REQUEST_MAX 4096 /* one recv holds a whole one */
#define WAIT_MS     1000

static const char request_body[] =
    "To=%2B919800000001&From=%2B15557122661&Body=Dear+parent%2C+the+school+is+closed+tomorrow."
    "&StatusCallback=http%3A%2F%2F127.0.0.1%3A18080%2Fwebhooks%2Ftwilio%2FAAECAwQFBgcICQoLDA0O";

static const char answer_body[] =
    "{\"account_sid\":\"AC0123456789abcdef0123456789abcdef\",\"api_version\":\"2010-04-01\","
    "\"body\":\"Dear parent, the school is closed tomorrow.\",\"date_sent\":null,"
    "\"direction\":\"outbound-api\",\"error_code\":null,\"error_message\":null,"
    "\"from\":\"+15557122661\",\"num_media\":\"0\",\"num_segments\":\"1\",\"price\":null,"
    "\"price_unit\":null,\"messaging_service_sid\":null,"
    "\"sid\":\"SM0123456789abcdef0123456789abcdef\",\"status\":\"queued\",\"to\":\"+"
    "919800000001\"}";

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_http_client: %s\n", what);
    exit(1);
}

/* --- the server ------------------------------------------------------------------------------- */

static void take_connection(int epoll_fd, int listener)
{
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN,
                                .data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};

    if (event.data.fd < 0)
        die("accept");
    (void)setsockopt(event.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
}

static void *serve(void *arg)
{
    int listener = *(const int *)arg;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS_MAX] = {{.events = EPOLLIN, .data.fd = listener}};
    char request[REQUEST_MAX];
    char answer[sizeof answer_body + 256];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 201 Created\r\nDate: Mon, 23 Nov 2026 01:01:01 GMT\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                        sizeof answer_body - 1, answer_body);

    (void)epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &events[0]);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                take_connection(epoll_fd, listener);
            else if (recv(fd, request, sizeof request, 0) <= 0)
                (void)close(fd);
            else if (send(fd, answer, (size_t)size, MSG_NOSIGNAL) != size)
                die("an answer did not leave whole");
        }
    }
    return NULL;
}

static uint16_t begin_server(void)
{
    static int listener;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    pthread_t thread;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&here, &size) != 0 ||
        pthread_create(&thread, NULL, serve, &listener) != 0)
        die("no server");
    return ntohs(here.sin_port);
}

/* --- the client ------------------------------------------------------------------------------- */

static bool permit(void *unused)
{
    (void)unused;
    return true;
}

static double cpu_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fill(struct http_client *client, const struct http_req *req, size_t in_flight,
                 size_t *left)
{
    const struct http_permit may = {permit, NULL};
    struct th_err err = {0};

    while (*left && http_in_flight(client) < in_flight) {
        if (http_start(client, req, may, *left, &err) != TH_OK)
            die(err.text);
        --*left;
    }
}

static void send_all(struct http_client *client, const struct http_req *req, size_t in_flight,
                     size_t n)
{
    struct http_done done[EVENTS_MAX];
    size_t left = n;

    while (left || http_in_flight(client)) {
        fill(client, req, in_flight, &left);
        size_t polled = http_poll(client, done, EVENTS_MAX);
        for (size_t i = 0; i < polled; i++)
            if (done[i].reply.status != 201)
                die(done[i].reply.error);
        struct pollfd fd = {.fd = http_fd(client), .events = POLLIN};
        if (!polled)
            (void)poll(&fd, 1, WAIT_MS);
    }
}

static void measure(uint16_t port, size_t in_flight, size_t n)
{
    const struct http_client_conf conf = {.in_flight_max = in_flight};
    struct http_client *client;
    struct th_err err = {0};
    char url[128];

    (void)snprintf(url, sizeof url,
                   "http://127.0.0.1:%u/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef"
                   "/Messages.json",
                   port);
    const struct http_req req = {
        .method = HTTP_POST,
        .url = th_str(url),
        .content_type = TH_STR("application/x-www-form-urlencoded"),
        .body = th_str(request_body),
        .user = TH_STR("AC0123456789abcdef0123456789abcdef"),
        .secret = TH_STR("0123456789abcdef0123456789abcdef"),
    };
    if (http_client_open(&conf, &client, &err) != TH_OK)
        die(err.text);
    send_all(client, &req, in_flight, n / 10 + in_flight); /* connections stand */
    double before_us = cpu_us();
    send_all(client, &req, in_flight, n);
    (void)printf("{\"name\":\"a request out, %zu in flight\",\"value\":%.1f,\"unit\":"
                 "\"CPU us/request\",\"against\":null,\"against_value\":null,\"ratio\":null,"
                 "\"better\":\"less\"}\n",
                 in_flight, (cpu_us() - before_us) / (double)n);
    http_client_close(client);
}

int main(int argc, char **argv)
{
    static const size_t in_flights[] = {1, 16, 64, 256, HTTP_IN_FLIGHT_MAX};
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : REQUESTS;

    if (argc > 2 || n == 0) {
        (void)fprintf(stderr, "usage: bench_http_client [REQUESTS]\n");
        return 1;
    }
    uint16_t port = begin_server();
    for (size_t i = 0; i < sizeof in_flights / sizeof *in_flights; i++)
        measure(port, in_flights[i], n);
    return 0;
}
