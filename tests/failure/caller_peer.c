#include "tests/failure/caller_peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define REQUEST_MAX     8192
#define ANSWER_MAX      16384
#define RUNS            10000000L
#define FIRST_NUMBER    919000000000L

struct connection {
    int fd;
    size_t n;
    char bytes[REQUEST_MAX];
};

struct answer_text {
    size_t n;
    char bytes[ANSWER_MAX];
};

__attribute__((format(printf, 2, 3))) static void add(struct answer_text *text, const char *fmt,
                                                      ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text->bytes + text->n, sizeof text->bytes - text->n, fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof text->bytes - text->n);
    text->n += (size_t)n;
}

static long code_of(const struct caller_peer *peer, int place)
{
    return atomic_load(&peer->run) % RUNS * 100 + place;
}

void caller_peer_number(const struct caller_peer *peer, int place, char out[CALLER_PEER_TEXT])
{
    (void)snprintf(out, CALLER_PEER_TEXT, "+%ld", FIRST_NUMBER + code_of(peer, place));
}

void caller_peer_sid(const struct caller_peer *peer, int place, char out[CALLER_PEER_TEXT])
{
    (void)snprintf(out, CALLER_PEER_TEXT, "SM%032ld", code_of(peer, place));
}

/* The place that a number or an id behind name is of; -1: none of this run. */
static int place_behind(const struct caller_peer *peer, const char *request, const char *name,
                        long first)
{
    const char *at = strstr(request, name);
    long code = at ? strtol(at + strlen(name), NULL, 10) - first : -1;
    int place = (int)(code % 100);

    return code >= 0 && place < CALLER_PEER_PLACES && code == code_of(peer, place) ? place : -1;
}

static void add_record(const struct caller_peer *peer, int place, struct answer_text *body)
{
    char number[CALLER_PEER_TEXT];
    char sid[CALLER_PEER_TEXT];
    char date[CALLER_PEER_TEXT];
    time_t now = time(NULL);
    struct tm utc;

    caller_peer_number(peer, place, number);
    caller_peer_sid(peer, place, sid);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &utc));
    add(body,
        "{\"sid\":\"%s\",\"to\":\"%s\",\"from\":\"+14155550100\",\"status\":\"delivered\","
        "\"date_created\":\"%s\",\"date_updated\":\"%s\",\"direction\":\"outbound-api\","
        "\"body\":\"hello\",\"error_code\":null,\"price\":\"-0.00750\",\"price_unit\":\"USD\"}",
        sid, number, date, date);
}

static void add_list(const struct caller_peer *peer, int from, int until, const char *next,
                     struct answer_text *body)
{
    add(body, "{\"messages\":[");
    for (int place = from; place < until; place++) {
        add(body, place == from ? "" : ",");
        add_record(peer, place, body);
    }
    add(body, "],\"next_page_uri\":%s}", next);
}

static int read_list(const struct caller_peer *peer, const char *request, struct answer_text *body)
{
    int place = place_behind(peer, request, "To=%2B", FIRST_NUMBER);

    if (place >= 0)
        add_list(peer, place, place + 1, "null", body);
    else if (strstr(request, "Page=2"))
        add_list(peer, peer->listed_until, peer->listed_end, "null", body);
    else
        add_list(peer, peer->listed_from, peer->listed_until,
                 "\"/2010-04-01/Accounts/AC01/Messages.json?PageSize=250&Page=2\"", body);
    return 200;
}

static int execute(struct caller_peer *peer, const char *request, struct answer_text *body)
{
    int place = place_behind(peer, request, "To=%2B", FIRST_NUMBER);
    char sid[CALLER_PEER_TEXT] = "SM1";
    int status = place >= 0 ? peer->statuses[place] : 201;

    if (place >= 0) {
        atomic_fetch_add(&peer->heard[place], 1);
        caller_peer_sid(peer, place, sid);
    }
    if (status < 300)
        add(body, "{\"sid\":\"%s\",\"status\":\"queued\"}", sid);
    else
        add(body, "{\"code\":%d,\"message\":\"no\",\"status\":%d}", status == 400 ? 21211 : 20000,
            status);
    return status;
}

/* What a request must say of itself. */
static int refuse(const char *request, bool is_post, struct answer_text *body)
{
    if (!strstr(request, "\r\nAuthorization: Basic ")) {
        add(body, "{\"code\":20003,\"message\":\"who?\",\"status\":401}");
        return 401;
    }
    if (is_post && !strstr(request, "\r\nContent-Type: application/x-www-form-urlencoded\r\n")) {
        add(body, "{\"code\":21211,\"message\":\"what?\",\"status\":400}");
        return 400;
    }
    return 0;
}

static int react(struct caller_peer *peer, const char *request, struct answer_text *body)
{
    bool is_post = strncmp(request, "POST ", 5) == 0;

    if (strncmp(request, "FLUSH ", 6) == 0)
        return 200;
    int refused = refuse(request, is_post, body);
    if (refused)
        return refused;
    if (is_post)
        return execute(peer, request, body);
    int place = place_behind(peer, request, "/Messages/SM", 0);
    if (place < 0)
        return read_list(peer, request, body);
    add_record(peer, place, body);
    return 200;
}

/* In one piece, so that nobody waits for the acknowledgement of the first. */
static void answer(struct caller_peer *peer, struct connection *conn)
{
    static struct answer_text body; /* one thread */
    static struct answer_text whole;

    body = (struct answer_text){0};
    int status = react(peer, conn->bytes, &body);
    whole.n = 0;
    add(&whole,
        "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        status, body.n, body.bytes);
    (void)!send(conn->fd, whole.bytes, whole.n, MSG_NOSIGNAL);
}

/* 0: there is no whole request yet. */
static size_t size_of_request(const struct connection *conn)
{
    const char *end = strstr(conn->bytes, "\r\n\r\n");
    const char *field = strcasestr(conn->bytes, "\r\nContent-Length: ");

    if (!end)
        return 0;
    size_t size = (size_t)(end - conn->bytes) + 4;
    if (field && field < end)
        size += strtoul(field + 18, NULL, 10);
    return size <= conn->n ? size : 0;
}

/* False: the connection is at its end. */
static bool receive(struct caller_peer *peer, struct connection *conn)
{
    size_t size;
    ssize_t n = recv(conn->fd, conn->bytes + conn->n, sizeof conn->bytes - 1 - conn->n, 0);

    if (n <= 0)
        return false;
    conn->n += (size_t)n;
    conn->bytes[conn->n] = '\0';
    while ((size = size_of_request(conn)) > 0) {
        answer(peer, conn);
        conn->n -= size;
        memmove(conn->bytes, conn->bytes + size, conn->n + 1);
    }
    return true;
}

static void greet(struct caller_peer *peer, struct connection *conns, size_t *n_conns)
{
    struct connection *conn = &conns[*n_conns];

    assert(*n_conns < CONNECTIONS_MAX);
    conn->fd = accept(peer->listen_fd, NULL, NULL);
    assert(conn->fd >= 0);
    conn->n = 0;
    conn->bytes[0] = '\0';
    ++*n_conns;
    atomic_fetch_add(&peer->n_open, 1);
}

static void *serve(void *arg)
{
    static struct connection conns[CONNECTIONS_MAX]; /* one peer */
    struct caller_peer *peer = arg;
    struct pollfd ready[CONNECTIONS_MAX + 1];
    size_t n = 0;

    while (!atomic_load(&peer->is_stopping)) {
        ready[0] = (struct pollfd){.fd = peer->listen_fd, .events = POLLIN};
        for (size_t i = 0; i < n; i++)
            ready[i + 1] = (struct pollfd){.fd = conns[i].fd, .events = POLLIN};
        if (poll(ready, n + 1, 20) <= 0)
            continue;
        for (size_t i = n; i-- > 0;) {
            if (!ready[i + 1].revents || receive(peer, &conns[i]))
                continue;
            (void)close(conns[i].fd);
            conns[i] = conns[--n];
            atomic_fetch_sub(&peer->n_open, 1);
        }
        if (ready[0].revents)
            greet(peer, conns, &n);
    }
    while (n > 0)
        (void)close(conns[--n].fd);
    return NULL;
}

void caller_peer_start(struct caller_peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(peer->listen_fd >= 0);
    int failed = bind(peer->listen_fd, (struct sockaddr *)&address, size) ||
                 listen(peer->listen_fd, CONNECTIONS_MAX) ||
                 getsockname(peer->listen_fd, (struct sockaddr *)&address, &size) ||
                 pthread_create(&peer->thread, NULL, serve, peer);
    assert(!failed);
    peer->port = ntohs(address.sin_port);
}

void caller_peer_stop(struct caller_peer *peer)
{
    atomic_store(&peer->is_stopping, true);
    (void)pthread_join(peer->thread, NULL);
    (void)close(peer->listen_fd);
}

void caller_peer_next(struct caller_peer *peer)
{
    atomic_fetch_add(&peer->run, 1);
    for (int place = 0; place < CALLER_PEER_PLACES; place++)
        atomic_store(&peer->heard[place], 0);
}

/* Connections are accepted in their order, so that when this one is answered all were; and each
 * ends when all of it was read. */
void caller_peer_settle(struct caller_peer *peer)
{
    static const char flush[] = "FLUSH / HTTP/1.1\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer->port)};
    char bytes[256];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int failed = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address);
    assert(!failed);
    ssize_t n = send(fd, flush, sizeof flush - 1, MSG_NOSIGNAL);
    assert(n == (ssize_t)sizeof flush - 1);
    n = recv(fd, bytes, sizeof bytes, 0);
    assert(n > 0);
    (void)close(fd);
    while (atomic_load(&peer->n_open) > 0)
        (void)usleep(200);
}
