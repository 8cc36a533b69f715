#include "tests/integration/peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX 65536

struct connection {
    struct peer *peer;
    int fd;
    size_t n; /* bytes in bytes */
    char bytes[REQUEST_MAX];
};

/* One more piece into the connection's bytes; false at its end or when the test is over. */
static bool receive(struct connection *conn)
{
    struct pollfd wait = {.fd = conn->fd, .events = POLLIN};

    while (!conn->peer->is_stopping) {
        if (poll(&wait, 1, 20) == 0)
            continue;
        ssize_t n = recv(conn->fd, conn->bytes + conn->n, sizeof conn->bytes - 1 - conn->n, 0);
        if (n <= 0)
            return false;
        conn->n += (size_t)n;
        conn->bytes[conn->n] = '\0';
        return true;
    }
    return false;
}

static void note_header(struct connection *conn)
{
    struct peer *peer = conn->peer;
    const char *field = strcasestr(conn->bytes, "\r\nAuthorization: ");

    (void)pthread_mutex_lock(&peer->mutex);
    if (field)
        (void)snprintf(peer->last.authorization, PEER_LINE_MAX, "%.*s",
                       (int)strcspn(field + 2, "\r"), field + 2);
    (void)snprintf(peer->last.first_line, PEER_LINE_MAX, "%.*s", (int)strcspn(conn->bytes, "\r"),
                   conn->bytes);
    (void)pthread_mutex_unlock(&peer->mutex);
    peer->n_headers++;
}

/* Read up to the end of a header; returns its size, 0 when the connection ended before. */
static size_t read_header(struct connection *conn)
{
    const char *end;

    while (!(end = strstr(conn->bytes, "\r\n\r\n"))) {
        if (!receive(conn))
            return 0;
    }
    note_header(conn);
    return (size_t)(end - conn->bytes) + 4;
}

static bool read_body(struct connection *conn, size_t header_size)
{
    const char *field = strcasestr(conn->bytes, "\r\nContent-Length: ");
    size_t body_size = field ? strtoul(field + 18, NULL, 10) : 0;
    size_t seen = conn->n - header_size;

    conn->peer->n_body += (long)seen;
    while (seen < body_size) {
        conn->n = header_size; /* of the body only its size counts */
        if (!receive(conn))
            return false;
        seen += conn->n - header_size;
        conn->peer->n_body += (long)(conn->n - header_size);
    }
    conn->peer->n_executed++;
    conn->n = 0;
    conn->bytes[0] = '\0';
    return true;
}

static bool say(struct connection *conn, const char *text, size_t n)
{
    while (n) {
        ssize_t sent = send(conn->fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        text += sent;
        n -= (size_t)sent;
    }
    return true;
}

static bool say_all(struct connection *conn, const char *text)
{
    return say(conn, text, strlen(text));
}

static void say_for_ever(struct connection *conn, const char *start, const char *again)
{
    bool is_heard = say_all(conn, start);

    while (is_heard && !conn->peer->is_stopping)
        is_heard = say_all(conn, again);
}

/* Hold the connection open and read nothing more, until the other side or the test is done. */
static void hold(struct connection *conn)
{
    conn->n = 0;
    while (receive(conn))
        conn->n = 0;
}

static void reset(struct connection *conn)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

static const char endless[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/* False ends the connection. */
static bool react(struct connection *conn, int request_no)
{
    const char *answer = conn->peer->answer;

    switch (conn->peer->conduct) {
    case PEER_ANSWERS:
        return say_all(conn, answer);
    case PEER_ANSWERS_ONCE:
        (void)say_all(conn, answer);
        return false;
    case PEER_EXECUTES_CLOSES:
    case PEER_HEADER_CLOSES:
        return request_no == 1 && say_all(conn, answer);
    case PEER_SILENT:
    case PEER_DEAF:
        hold(conn);
        return false;
    case PEER_PARTIAL:
        (void)say(conn, answer, strlen(answer) - 5);
        return false;
    case PEER_ENDLESS:
        say_for_ever(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", endless);
        return false;
    case PEER_ENDLESS_HEADER:
        say_for_ever(conn, "HTTP/1.1 200 OK\r\n", "X-More: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
        return false;
    case PEER_STALLS:
        (void)say(conn, answer, strlen(answer) - 5);
        hold(conn);
        return false;
    case PEER_RESETS:
        reset(conn);
        return false;
    }
    return false;
}

static void *serve(void *arg)
{
    struct connection *conn = arg;
    struct peer *peer = conn->peer;
    bool is_open = true;

    if (peer->conduct == PEER_DEAF) {
        while (!peer->is_stopping)
            (void)usleep(10000);
        is_open = false;
    }
    for (int request_no = 1; is_open; request_no++) {
        size_t header_size = read_header(conn);
        if (!header_size || (peer->conduct == PEER_HEADER_CLOSES && request_no == 2)) {
            reset(conn);
            break;
        }
        is_open = read_body(conn, header_size) && react(conn, request_no);
    }
    (void)close(conn->fd);
    free(conn);
    peer->n_threads--;
    return NULL;
}

static void *accept_all(void *arg)
{
    struct peer *peer = arg;
    struct pollfd wait = {.fd = peer->listen_fd, .events = POLLIN};

    while (!peer->is_stopping) {
        if (poll(&wait, 1, 20) <= 0)
            continue;
        struct connection *conn = calloc(1, sizeof *conn);
        pthread_t thread;
        assert(conn);
        conn->peer = peer;
        conn->fd = accept(peer->listen_fd, NULL, NULL);
        assert(conn->fd >= 0);
        peer->n_connections++;
        peer->n_threads++;
        int failed = pthread_create(&thread, NULL, serve, conn);
        assert(!failed);
        (void)pthread_detach(thread);
    }
    peer->n_threads--;
    return NULL;
}

void peer_start(struct peer *peer, enum peer_conduct conduct, const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    pthread_t thread;

    *peer = (struct peer){.conduct = conduct, .answer = answer};
    (void)pthread_mutex_init(&peer->mutex, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(peer->listen_fd >= 0);
    int failed = bind(peer->listen_fd, (struct sockaddr *)&address, sizeof address) ||
                 listen(peer->listen_fd, 256) ||
                 getsockname(peer->listen_fd, (struct sockaddr *)&address, &size);
    assert(!failed);
    peer->port = ntohs(address.sin_port);
    peer->n_threads = 1;
    failed = pthread_create(&thread, NULL, accept_all, peer);
    assert(!failed);
    (void)pthread_detach(thread);
}

void peer_stop(struct peer *peer)
{
    peer->is_stopping = true;
    while (peer->n_threads)
        (void)usleep(1000);
    (void)close(peer->listen_fd);
    (void)pthread_mutex_destroy(&peer->mutex);
}

struct peer_request peer_last(struct peer *peer)
{
    (void)pthread_mutex_lock(&peer->mutex);
    struct peer_request last = peer->last;
    (void)pthread_mutex_unlock(&peer->mutex);
    return last;
}
