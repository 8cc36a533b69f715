#include "tests/kafka/fault_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define PLANS_MAX       16
#define NAME_MAX_       256
#define FRAME_MAX       ((size_t)16 << 20)

enum { API_INIT_PRODUCER_ID = 22, API_END_TXN = 26 };

struct bytes {
    char *p;
    size_t n;
    size_t cap;
};

/* A client's connection and ours to the broker for it. */
struct pair {
    int client;
    int broker;
    char client_id[NAME_MAX_];
    struct bytes in; /* of the client: frames not yet looked at whole */
    bool is_held;    /* its next frame waits */
    bool is_muted;   /* what the broker says next is swallowed, and then it is cut */
};

struct plan {
    char id[NAME_MAX_];
    enum fault_fate fate;
    bool has_passed; /* FAULT_LOSE_ANSWER: the first was let through */
};

struct fault_proxy {
    int listener;
    int broker_port;
    int wake; /* eventfd */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all that follows */
    bool is_stopping;
    struct pair pairs[CONNECTIONS_MAX];
    size_t pairs_n;
    struct plan plans[PLANS_MAX];
    size_t plans_n;
};

static void must(bool is_so, const char *what)
{
    if (!is_so) {
        perror(what);
        abort();
    }
}

/* --- frames ----------------------------------------------------------------------------------- */

static unsigned take16(const char *p)
{
    return (unsigned)(uint8_t)p[0] << 8 | (uint8_t)p[1];
}

static size_t take32(const char *p)
{
    return (size_t)take16(p) << 16 | take16(p + 2);
}

struct request {
    unsigned api;
    unsigned version;
    char client_id[NAME_MAX_];
    char transactional_id[NAME_MAX_];
};

/* A string of 16-bit length at *at; false when it does not lie within n. */
static bool take_string(const char *p, size_t n, size_t *at, char out[NAME_MAX_])
{
    if (*at + 2 > n)
        return false;
    size_t size = take16(p + *at);
    if (size == 0xffff) /* null */
        size = 0;
    if (*at + 2 + size > n || size >= NAME_MAX_)
        return false;
    memcpy(out, p + *at + 2, size);
    out[size] = '\0';
    *at += 2 + size;
    return true;
}

/* p, n: a frame without its length. InitProducerId from version 2 on is "flexible": after the
 * header's tags, a length as a varint. */
static struct request parse(const char *p, size_t n)
{
    struct request request = {0};
    size_t at = 8;

    if (n < 10)
        return request;
    request.api = take16(p);
    request.version = take16(p + 2);
    if (!take_string(p, n, &at, request.client_id))
        return request;
    if (request.api == API_END_TXN ||
        (request.api == API_INIT_PRODUCER_ID && request.version < 2)) {
        (void)take_string(p, n, &at, request.transactional_id);
    } else if (request.api == API_INIT_PRODUCER_ID && at + 2 < n) {
        size_t size = (uint8_t)p[at + 1];
        if (size > 1 && at + 2 + size - 1 <= n && size <= 128)
            memcpy(request.transactional_id, p + at + 2, size - 1);
    }
    return request;
}

/* --- connections ------------------------------------------------------------------------------ */

static void cut(struct pair *pair)
{
    if (pair->client >= 0)
        close(pair->client);
    if (pair->broker >= 0)
        close(pair->broker);
    free(pair->in.p);
    *pair = (struct pair){.client = -1, .broker = -1};
}

static void sweep(struct fault_proxy *proxy)
{
    size_t kept = 0;

    for (size_t i = 0; i < proxy->pairs_n; i++)
        if (proxy->pairs[i].client >= 0)
            proxy->pairs[kept++] = proxy->pairs[i];
    proxy->pairs_n = kept;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        p += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void no_delay(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void accept_one(struct fault_proxy *proxy)
{
    struct sockaddr_in to = loopback(proxy->broker_port);
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0)
        return;
    int broker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (broker < 0 || proxy->pairs_n == CONNECTIONS_MAX ||
        connect(broker, (struct sockaddr *)&to, sizeof to) != 0) {
        close(client);
        if (broker >= 0)
            close(broker);
        return;
    }
    no_delay(client);
    no_delay(broker);
    proxy->pairs[proxy->pairs_n++] = (struct pair){.client = client, .broker = broker};
}

/* --- fates ------------------------------------------------------------------------------------ */

static struct plan *plan_of(struct fault_proxy *proxy, const char *id)
{
    for (size_t i = 0; i < proxy->plans_n; i++)
        if (strcmp(proxy->plans[i].id, id) == 0)
            return &proxy->plans[i];
    return NULL;
}

static void end_plan(struct fault_proxy *proxy, struct plan *plan)
{
    *plan = proxy->plans[--proxy->plans_n];
}

enum verdict { PASS, WAIT, CUT };

static enum verdict judge(struct fault_proxy *proxy, struct pair *pair,
                          const struct request *request)
{
    struct plan *plan =
        request->transactional_id[0] ? plan_of(proxy, request->transactional_id) : NULL;

    if (!plan)
        return PASS;
    if (request->api == API_INIT_PRODUCER_ID) {
        if (plan->fate != FAULT_HOLD)
            end_plan(proxy, plan);
        return PASS;
    }
    switch (plan->fate) {
    case FAULT_NONE:
        break;
    case FAULT_HOLD:
        return WAIT;
    case FAULT_LOSE_REQUEST:
        return CUT;
    case FAULT_LOSE_ANSWER:
        if (plan->has_passed)
            return CUT;
        plan->has_passed = true;
        pair->is_muted = true;
        return PASS;
    }
    return PASS;
}

/* Every whole frame that lies there; a held one stops those behind it. */
static void forward_frames(struct fault_proxy *proxy, struct pair *pair)
{
    while (pair->client >= 0 && pair->in.n >= 4) {
        size_t size = take32(pair->in.p);
        if (size > FRAME_MAX) {
            cut(pair);
            return;
        }
        if (pair->in.n < 4 + size)
            return;
        struct request request = parse(pair->in.p + 4, size);
        memcpy(pair->client_id, request.client_id, sizeof pair->client_id);
        enum verdict verdict = judge(proxy, pair, &request);
        pair->is_held = verdict == WAIT;
        if (verdict == WAIT)
            return;
        if (verdict == CUT || !send_all(pair->broker, pair->in.p, 4 + size)) {
            cut(pair);
            return;
        }
        pair->in.n -= 4 + size;
        memmove(pair->in.p, pair->in.p + 4 + size, pair->in.n);
    }
}

static void read_client(struct fault_proxy *proxy, struct pair *pair)
{
    if (pair->in.cap - pair->in.n < 65536) {
        pair->in.cap = pair->in.cap * 2 + 65536;
        pair->in.p = realloc(pair->in.p, pair->in.cap);
        must(pair->in.p, "realloc");
    }
    ssize_t n = recv(pair->client, pair->in.p + pair->in.n, pair->in.cap - pair->in.n, 0);
    if (n <= 0) {
        cut(pair);
        return;
    }
    pair->in.n += (size_t)n;
    forward_frames(proxy, pair);
}

static void read_broker(struct pair *pair)
{
    static char buffer[1 << 16];
    ssize_t n = recv(pair->broker, buffer, sizeof buffer, 0);

    if (n <= 0 || pair->is_muted || !send_all(pair->client, buffer, (size_t)n))
        cut(pair);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void handle(struct fault_proxy *proxy, const struct pollfd *at, size_t pairs_n)
{
    eventfd_t count;

    if (at[0].revents)
        (void)eventfd_read(proxy->wake, &count);
    for (size_t i = 0; i < pairs_n; i++) {
        struct pair *pair = &proxy->pairs[i];
        if (pair->broker >= 0 && at[2 + 2 * i + 1].revents)
            read_broker(pair);
        if (pair->client >= 0 && at[2 + 2 * i].revents)
            read_client(proxy, pair);
        if (pair->client >= 0 && pair->is_held)
            forward_frames(proxy, pair);
    }
    if (at[1].revents)
        accept_one(proxy);
    sweep(proxy);
}

static void *run(void *arg)
{
    struct fault_proxy *proxy = arg;
    static struct pollfd at[2 + 2 * CONNECTIONS_MAX];

    for (;;) {
        pthread_mutex_lock(&proxy->lock);
        size_t n = proxy->pairs_n;
        bool is_stopping = proxy->is_stopping;
        at[0] = (struct pollfd){.fd = proxy->wake, .events = POLLIN};
        at[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (size_t i = 0; i < n; i++) {
            at[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client, .events = POLLIN};
            at[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].broker, .events = POLLIN};
        }
        pthread_mutex_unlock(&proxy->lock);
        if (is_stopping)
            return NULL;
        if (poll(at, 2 + 2 * n, 1000) <= 0)
            continue;
        pthread_mutex_lock(&proxy->lock);
        if (proxy->pairs_n == n) /* else some were cut meanwhile: look again */
            handle(proxy, at, n);
        else
            sweep(proxy);
        pthread_mutex_unlock(&proxy->lock);
    }
}

static void wake(struct fault_proxy *proxy)
{
    (void)eventfd_write(proxy->wake, 1);
}

struct fault_proxy *fault_proxy_start(int listen_port, int broker_port)
{
    struct sockaddr_in at = loopback(listen_port);
    struct fault_proxy *proxy = calloc(1, sizeof *proxy);
    int on = 1;

    must(proxy, "calloc");
    proxy->broker_port = broker_port;
    proxy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(proxy->wake >= 0 && proxy->listener >= 0, "socket");
    setsockopt(proxy->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(proxy->listener, (struct sockaddr *)&at, sizeof at) == 0, "bind");
    must(listen(proxy->listener, 128) == 0, "listen");
    pthread_mutex_init(&proxy->lock, NULL);
    must(pthread_create(&proxy->thread, NULL, run, proxy) == 0, "pthread_create");
    return proxy;
}

void fault_proxy_stop(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->is_stopping = true;
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < proxy->pairs_n; i++)
        cut(&proxy->pairs[i]);
    close(proxy->listener);
    close(proxy->wake);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

/* --- orders ----------------------------------------------------------------------------------- */

void fault_proxy_plan(struct fault_proxy *proxy, const char *transactional_id, enum fault_fate fate)
{
    pthread_mutex_lock(&proxy->lock);
    struct plan *plan = plan_of(proxy, transactional_id);
    if (!plan) {
        must(proxy->plans_n < PLANS_MAX, "too many plans");
        plan = &proxy->plans[proxy->plans_n++];
    }
    *plan = (struct plan){.fate = fate};
    snprintf(plan->id, sizeof plan->id, "%s", transactional_id);
    pthread_mutex_unlock(&proxy->lock);
}

void fault_proxy_let_go(struct fault_proxy *proxy, const char *transactional_id)
{
    pthread_mutex_lock(&proxy->lock);
    struct plan *plan = plan_of(proxy, transactional_id);
    if (plan)
        end_plan(proxy, plan);
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

/* Both ends are shut; the thread finds them so and closes them. */
size_t fault_proxy_cut(struct fault_proxy *proxy, const char *client_id)
{
    size_t n = 0;

    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->pairs_n; i++)
        if (strcmp(proxy->pairs[i].client_id, client_id) == 0) {
            shutdown(proxy->pairs[i].client, SHUT_RDWR);
            shutdown(proxy->pairs[i].broker, SHUT_RDWR);
            n++;
        }
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    return n;
}
