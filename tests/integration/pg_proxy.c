#include "tests/integration/pg_proxy.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 256
#define NAME_MAX_ 64

enum plan {
    PLAN_NONE,
    PLAN_LOSE_BEFORE, /* the next statement does not reach the server */
    PLAN_LOSE_AFTER,  /* it does, its answer does not come back */
    PLAN_CUT,         /* the connection breaks some time after its first byte */
};

struct pair {
    struct pg_proxy *proxy;
    int client;
    int server;
    char name[NAME_MAX_];
    bool is_swallowing; /* the server's answer is lost; over when it is complete */
    pthread_t thread;
};

struct pg_proxy {
    char server_path[108];
    char own_path[108];
    int listener;
    pthread_t thread;
    atomic_bool is_stopping;
    atomic_bool is_pooler;

    pthread_mutex_t lock; /* guards what follows */
    enum plan plan;
    char plan_name[NAME_MAX_];
    unsigned long seed;
    struct pair *pairs[PAIRS_MAX];
    size_t pairs_n;
};

static void die(const char *what)
{
    fprintf(stderr, "pg_proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    return at;
}

/* --- what passes ---------------------------------------------------------------------------------
 */

/* In the first packet: …application_name\0NAME\0… */
static void read_name(struct pair *pair, const char *bytes, size_t n)
{
    static const char key[] = "application_name";
    const char *at = memmem(bytes, n, key, sizeof key);

    if (at)
        snprintf(pair->name, sizeof pair->name, "%s", at + sizeof key);
}

/* BackendKeyData: 'K', its length 12, pid, secret. */
static void falsify_key(char *bytes, size_t n)
{
    static const char head[] = {'K', 0, 0, 0, 12};
    char *at = memmem(bytes, n, head, sizeof head);

    if (at)
        at[8] = (char)(at[8] ^ 0x55);
}

/* ReadyForQuery ends an answer: 'Z', its length 5, the state. */
static bool ends_answer(const char *bytes, size_t n)
{
    static const char head[] = {'Z', 0, 0, 0, 5};
    return n >= 6 && memcmp(bytes + n - 6, head, sizeof head) == 0;
}

static enum plan take_plan(struct pair *pair, unsigned long *out_seed)
{
    struct pg_proxy *proxy = pair->proxy;
    enum plan plan = PLAN_NONE;

    pthread_mutex_lock(&proxy->lock);
    if (proxy->plan != PLAN_NONE && strcmp(proxy->plan_name, pair->name) == 0) {
        plan = proxy->plan;
        *out_seed = proxy->seed;
        proxy->plan = PLAN_NONE;
    }
    pthread_mutex_unlock(&proxy->lock);
    return plan;
}

static bool send_all(int to, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(to, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

/* Up to 2 ms: a statement of ours takes some tenths of one. */
static void wait_a_moment(unsigned long seed)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    nanosleep(&(struct timespec){.tv_nsec = (long)((seed >> 33) % 2000000)}, NULL);
}

/* False: the connection shall end. */
static bool from_client(struct pair *pair, char *bytes, size_t n, bool is_first)
{
    unsigned long seed = 0;

    if (is_first)
        read_name(pair, bytes, n);
    /* A prepared statement is executed by a packet that begins with Bind. */
    enum plan plan = !is_first && bytes[0] == 'B' ? take_plan(pair, &seed) : PLAN_NONE;
    switch (plan) {
    case PLAN_LOSE_BEFORE:
        return false;
    case PLAN_LOSE_AFTER:
        pair->is_swallowing = true;
        break;
    case PLAN_CUT:
        if (!send_all(pair->server, bytes, n))
            return false;
        wait_a_moment(seed);
        return false;
    case PLAN_NONE:
        break;
    }
    return send_all(pair->server, bytes, n);
}

static bool from_server(struct pair *pair, char *bytes, size_t n)
{
    if (pair->is_swallowing)
        return !ends_answer(bytes, n);
    if (atomic_load(&pair->proxy->is_pooler))
        falsify_key(bytes, n);
    return send_all(pair->client, bytes, n);
}

static void *run_pair(void *argument)
{
    struct pair *pair = argument;
    struct pollfd fds[2] = {{.fd = pair->client, .events = POLLIN},
                            {.fd = pair->server, .events = POLLIN}};
    char *bytes = malloc(65536);
    bool goes_on = bytes != NULL;
    bool is_first = true;

    while (goes_on && poll(fds, 2, -1) > 0) {
        int from = fds[1].revents ? 1 : 0;
        ssize_t n = read(fds[from].fd, bytes, 65536);
        if (n <= 0)
            break;
        goes_on = from == 1 ? from_server(pair, bytes, (size_t)n)
                            : from_client(pair, bytes, (size_t)n, is_first);
        is_first = is_first && from == 1;
    }
    free(bytes);
    shutdown(pair->client, SHUT_RDWR);
    shutdown(pair->server, SHUT_RDWR);
    return NULL;
}

/* --- connections ------------------------------------------------------------------------ */

static void start_pair(struct pg_proxy *proxy, int client)
{
    struct sockaddr_un at = address(proxy->server_path);
    struct pair *pair = calloc(1, sizeof *pair);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!pair || server < 0)
        die("connection");
    if (connect(server, (struct sockaddr *)&at, sizeof at) != 0) { /* as if nobody listened */
        close(client);
        close(server);
        free(pair);
        return;
    }
    pair->proxy = proxy;
    pair->client = client;
    pair->server = server;
    if (pthread_create(&pair->thread, NULL, run_pair, pair) != 0)
        die("thread");
    pthread_mutex_lock(&proxy->lock);
    if (proxy->pairs_n == PAIRS_MAX)
        die("too many connections");
    proxy->pairs[proxy->pairs_n++] = pair;
    pthread_mutex_unlock(&proxy->lock);
}

static void end_pair(struct pair *pair)
{
    shutdown(pair->client, SHUT_RDWR);
    shutdown(pair->server, SHUT_RDWR);
    pthread_join(pair->thread, NULL);
    close(pair->client);
    close(pair->server);
    free(pair);
}

static void *run(void *argument)
{
    struct pg_proxy *proxy = argument;

    while (!atomic_load(&proxy->is_stopping)) {
        int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            start_pair(proxy, client);
    }
    return NULL;
}

struct pg_proxy *pg_proxy_start(const char *socket_dir, int port)
{
    struct pg_proxy *proxy = calloc(1, sizeof *proxy);

    if (!proxy)
        die("memory");
    snprintf(proxy->server_path, sizeof proxy->server_path, "%s/.s.PGSQL.5432", socket_dir);
    snprintf(proxy->own_path, sizeof proxy->own_path, "%s/.s.PGSQL.%d", socket_dir, port);
    pthread_mutex_init(&proxy->lock, NULL);
    struct sockaddr_un at = address(proxy->own_path);
    proxy->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 || bind(proxy->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(proxy->listener, 64) != 0)
        die(proxy->own_path);
    if (pthread_create(&proxy->thread, NULL, run, proxy) != 0)
        die("thread");
    return proxy;
}

void pg_proxy_stop(struct pg_proxy *proxy)
{
    atomic_store(&proxy->is_stopping, true);
    shutdown(proxy->listener, SHUT_RDWR);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < proxy->pairs_n; i++)
        end_pair(proxy->pairs[i]);
    close(proxy->listener);
    unlink(proxy->own_path);
    pthread_mutex_destroy(&proxy->lock);
    free(proxy);
}

static void set_plan(struct pg_proxy *proxy, const char *name, enum plan plan, unsigned long seed)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->plan = plan;
    proxy->seed = seed;
    snprintf(proxy->plan_name, sizeof proxy->plan_name, "%s", name);
    pthread_mutex_unlock(&proxy->lock);
}

void pg_proxy_lose_answer(struct pg_proxy *proxy, const char *application_name, bool happens)
{
    set_plan(proxy, application_name, happens ? PLAN_LOSE_AFTER : PLAN_LOSE_BEFORE, 0);
}

void pg_proxy_cut_at_random(struct pg_proxy *proxy, const char *application_name,
                            unsigned long seed)
{
    set_plan(proxy, application_name, PLAN_CUT, seed);
}

void pg_proxy_pretend_pooler(struct pg_proxy *proxy)
{
    atomic_store(&proxy->is_pooler, true);
}
