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
#define RULES_MAX       16
#define LATES_MAX       64
#define NAME_MAX_       256
#define FRAME_MAX       ((size_t)16 << 20)
#define ANSWER_MS       10000

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

struct rule {
    struct fault_rule is;
    char client_id[NAME_MAX_];
    unsigned seen;
};

/* A request taken away, with the connection that it would have come through. */
struct late {
    char client_id[NAME_MAX_];
    int broker;
    char *frame; /* with its length */
    size_t n;
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
    struct rule rules[RULES_MAX];
    size_t rules_n;
    struct late lates[LATES_MAX];
    size_t lates_n;
    size_t struck;
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
    char client_id[NAME_MAX_];
};

/* p, n: a frame without its length: API key, version, a number to tell answers by, the client. */
static struct request parse(const char *p, size_t n)
{
    struct request request = {0};

    if (n < 10)
        return request;
    size_t size = take16(p + 8);
    request.api = take16(p);
    if (size != 0xffff && 10 + size <= n && size < NAME_MAX_)
        memcpy(request.client_id, p + 10, size);
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

static bool is_for(const struct rule *rule, const struct request *request)
{
    return rule->is.apis & FAULT_BIT(request->api & 63) &&
           strcmp(rule->client_id, request->client_id) == 0;
}

static bool is_end_of(const struct rule *rule, const struct request *request)
{
    return rule->is.until_init && request->api == FAULT_API_INIT_PRODUCER_ID &&
           strcmp(rule->client_id, request->client_id) == 0;
}

static bool strikes(const struct rule *rule)
{
    unsigned nth = rule->seen - rule->is.skip;

    return rule->seen > rule->is.skip && (rule->is.times == 0 || nth <= rule->is.times);
}

/* Each request is counted once by every rule that is for it. NULL: it passes. */
static const struct rule *judge(struct fault_proxy *proxy, const struct request *request)
{
    const struct rule *striking = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < proxy->rules_n; i++)
        if (!is_end_of(&proxy->rules[i], request))
            proxy->rules[kept++] = proxy->rules[i];
    proxy->rules_n = kept;
    for (size_t i = 0; i < proxy->rules_n; i++) {
        struct rule *rule = &proxy->rules[i];
        if (!is_for(rule, request))
            continue;
        rule->seen++;
        if (!striking && strikes(rule))
            striking = rule;
    }
    proxy->struck += striking != NULL;
    return striking;
}

/* A held frame was counted when it came. */
static bool is_still_held(const struct fault_proxy *proxy, const struct request *request)
{
    for (size_t i = 0; i < proxy->rules_n; i++)
        if (proxy->rules[i].is.fate == FAULT_HOLD && is_for(&proxy->rules[i], request))
            return true;
    return false;
}

/* The client keeps a connection behind which nobody is. */
static void take_away(struct fault_proxy *proxy, struct pair *pair, size_t n)
{
    must(proxy->lates_n < LATES_MAX, "too many late requests");
    struct late *late = &proxy->lates[proxy->lates_n++];
    *late = (struct late){.broker = pair->broker, .frame = malloc(n), .n = n};
    must(late->frame, "malloc");
    memcpy(late->frame, pair->in.p, n);
    memcpy(late->client_id, pair->client_id, sizeof late->client_id);
    pair->broker = -1;
}

static void put32(char *p, size_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(value >> (8 * (3 - i)));
}

/* Up to version 2: length, the request's number, time to wait, and the error. */
static bool refuse(const struct pair *pair, int error)
{
    char answer[14] = {0};

    put32(answer, sizeof answer - 4);
    memcpy(answer + 4, pair->in.p + 8, 4);
    answer[12] = (char)(error >> 8);
    answer[13] = (char)error;
    return send_all(pair->client, answer, sizeof answer);
}

/* The whole frame at the beginning: true when the one behind it may be looked at. */
static bool forward_one(struct fault_proxy *proxy, struct pair *pair, size_t n)
{
    struct request request = parse(pair->in.p + 4, n - 4);
    const struct rule *rule = NULL;

    memcpy(pair->client_id, request.client_id, sizeof pair->client_id);
    if (!pair->is_held)
        rule = judge(proxy, &request);
    pair->is_held =
        pair->is_held ? is_still_held(proxy, &request) : rule && rule->is.fate == FAULT_HOLD;
    if (pair->is_held)
        return false;
    if (rule && rule->is.fate == FAULT_LATE) {
        take_away(proxy, pair, n);
        return false;
    }
    if (rule && rule->is.fate == FAULT_REFUSE) {
        if (refuse(pair, rule->is.error))
            return true;
        cut(pair);
        return false;
    }
    pair->is_muted = pair->is_muted || (rule && rule->is.fate == FAULT_LOSE_ANSWER);
    if ((rule && rule->is.fate == FAULT_LOSE_REQUEST) || !send_all(pair->broker, pair->in.p, n)) {
        cut(pair);
        return false;
    }
    return true;
}

/* Every whole frame that lies there; a held one stops those behind it. */
static void forward_frames(struct fault_proxy *proxy, struct pair *pair)
{
    while (pair->broker >= 0 && pair->in.n >= 4) {
        size_t n = 4 + take32(pair->in.p);
        if (n > FRAME_MAX) {
            cut(pair);
            return;
        }
        if (pair->in.n < n || !forward_one(proxy, pair, n))
            return;
        pair->in.n -= n;
        memmove(pair->in.p, pair->in.p + n, pair->in.n);
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
    pair->in.n = pair->broker < 0 ? 0 : pair->in.n + (size_t)n;
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
    for (size_t i = 0; i < proxy->lates_n; i++) {
        close(proxy->lates[i].broker);
        free(proxy->lates[i].frame);
    }
    close(proxy->listener);
    close(proxy->wake);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

/* --- orders ----------------------------------------------------------------------------------- */

void fault_proxy_add(struct fault_proxy *proxy, const struct fault_rule *rule)
{
    pthread_mutex_lock(&proxy->lock);
    must(proxy->rules_n < RULES_MAX, "too many rules");
    struct rule *added = &proxy->rules[proxy->rules_n++];
    *added = (struct rule){.is = *rule};
    snprintf(added->client_id, sizeof added->client_id, "%s", rule->client_id);
    pthread_mutex_unlock(&proxy->lock);
}

void fault_proxy_let_go(struct fault_proxy *proxy, const char *client_id)
{
    size_t kept = 0;

    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->rules_n; i++)
        if (strcmp(proxy->rules[i].client_id, client_id) != 0)
            proxy->rules[kept++] = proxy->rules[i];
    proxy->rules_n = kept;
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

static struct late take_late(struct fault_proxy *proxy, const char *client_id)
{
    struct late late = {.broker = -1};

    pthread_mutex_lock(&proxy->lock);
    for (size_t i = 0; i < proxy->lates_n; i++)
        if (strcmp(proxy->lates[i].client_id, client_id) == 0) {
            late = proxy->lates[i];
            proxy->lates[i] = proxy->lates[--proxy->lates_n];
            break;
        }
    pthread_mutex_unlock(&proxy->lock);
    return late;
}

/* An answer to EndTxn, up to its version 2: length, number, time to wait, and then the error. */
static int answer_of(int broker)
{
    char answer[16];
    size_t n = 0;

    while (n < 14) {
        struct pollfd at = {.fd = broker, .events = POLLIN};
        if (poll(&at, 1, ANSWER_MS) <= 0)
            return -1;
        ssize_t got = recv(broker, answer + n, sizeof answer - n, 0);
        if (got <= 0)
            return -1;
        n += (size_t)got;
    }
    return (int)take16(answer + 12);
}

int fault_proxy_deliver(struct fault_proxy *proxy, const char *client_id)
{
    struct late late = take_late(proxy, client_id);
    int error = -1;

    if (late.broker < 0)
        return -1;
    if (send_all(late.broker, late.frame, late.n))
        error = answer_of(late.broker);
    close(late.broker);
    free(late.frame);
    return error;
}

size_t fault_proxy_struck(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    size_t n = proxy->struck;
    pthread_mutex_unlock(&proxy->lock);
    return n;
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
