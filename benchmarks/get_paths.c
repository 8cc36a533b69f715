/* get_paths - asks for what stands in a file, so many times a second.
 *
 *   get_paths PORT KEY_FILE PATHS PER_S SECONDS
 *
 * PATHS: one path a line, asked for in turn, over and over, on CONNECTIONS connections that stay
 * open. Requests are due at fixed moments, and the time of each counts from when it was due: a
 * server that stalls is not spared the requests that came meanwhile. Prints one JSON object, with
 * the times of all and of each kind: paths that differ in an id alone are of one kind. Exit status:
 * 1 when an answer was not 200.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 16
#define ANSWER_MAX  (1 << 20)
#define KINDS_MAX   16
#define KIND_LEN    64
#define ID_LEN      36

static struct {
    uint16_t port;
    char bearer[256];
    char **paths;
    uint8_t *kind_of; /* each path's place in kinds */
    size_t paths_n;
    char kinds[KINDS_MAX][KIND_LEN];
    size_t kinds_n;
    double per_s;
    double start;
    size_t requests_n;
    atomic_size_t next;
    atomic_size_t failed;
    float *latencies_ms;
} all;

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "get_paths: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void sleep_until(double at)
{
    struct timespec t = {.tv_sec = (time_t)at};

    t.tv_nsec = (long)((at - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* --- one connection --------------------------------------------------------------------------- */

static int connect_to_server(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(all.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

/* Where the answer ends, once its head is there; 0: not known yet. */
static size_t answer_size(const char *in)
{
    const char *body = strstr(in, "\r\n\r\n");
    const char *length = strcasestr(in, "\r\nContent-Length:");

    if (!body || !length || length > body)
        return 0;
    return (size_t)(body + 4 - in) + strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

/* True: it was 200. */
static bool ask(int fd, const char *path, char *in)
{
    char out[1024];
    size_t in_n = 0;
    size_t size = 0;
    int n = snprintf(out, sizeof out,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n\r\n",
                     path, all.port, all.bearer);

    if (n < 0 || (size_t)n >= sizeof out || send(fd, out, (size_t)n, MSG_NOSIGNAL) != n)
        die(path);
    while (size == 0 || in_n < size) {
        ssize_t got = recv(fd, in + in_n, ANSWER_MAX - 1 - in_n, 0);
        if (got <= 0)
            die(path);
        in_n += (size_t)got;
        in[in_n] = '\0';
        size = size ? size : answer_size(in);
    }
    return strncmp(in, "HTTP/1.1 200", strlen("HTTP/1.1 200")) == 0;
}

static void *run(void *unused)
{
    char *in = malloc(ANSWER_MAX);
    int fd = connect_to_server();
    size_t i;

    (void)unused;
    if (!in)
        die("memory");
    while ((i = atomic_fetch_add(&all.next, 1)) < all.requests_n) {
        double due = all.start + (double)i / all.per_s;
        sleep_until(due);
        if (!ask(fd, all.paths[i % all.paths_n], in) && atomic_fetch_add(&all.failed, 1) == 0)
            (void)fprintf(stderr, "get_paths: %s: %.300s\n", all.paths[i % all.paths_n], in);
        all.latencies_ms[i] = (float)((now() - due) * 1e3);
    }
    (void)close(fd);
    free(in);
    return NULL;
}

/* --- all ---------------------------------------------------------------------------------------
 */

/* The path without its query, "ID" in place of each id. */
static void name_kind(const char *path, char out[KIND_LEN])
{
    size_t n = 0;

    while (*path && *path != '?' && n + sizeof "/ID" < KIND_LEN) {
        size_t len = strcspn(path + 1, "/?");
        n += (size_t)snprintf(out + n, KIND_LEN - n, "/%.*s", len == ID_LEN ? 2 : (int)len,
                              len == ID_LEN ? "ID" : path + 1);
        n = n < KIND_LEN ? n : KIND_LEN - 1;
        path += 1 + len;
    }
    out[n] = '\0';
}

static uint8_t find_kind(const char *path)
{
    char name[KIND_LEN];
    size_t i = 0;

    name_kind(path, name);
    while (i < all.kinds_n && strcmp(all.kinds[i], name) != 0)
        i++;
    if (i == KINDS_MAX)
        die("too many kinds of paths");
    if (i == all.kinds_n)
        memcpy(all.kinds[all.kinds_n++], name, sizeof name);
    return (uint8_t)i;
}

static void read_paths(const char *file)
{
    FILE *from = fopen(file, "r");
    char line[512];
    size_t cap = 0;

    if (!from)
        die(file);
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = '\0';
        if (all.paths_n == cap) {
            cap = cap ? 2 * cap : 1024;
            all.paths = realloc(all.paths, cap * sizeof *all.paths);
            all.kind_of = realloc(all.kind_of, cap);
        }
        if (!all.paths || !all.kind_of || !(all.paths[all.paths_n] = strdup(line)))
            die("memory");
        all.kind_of[all.paths_n++] = find_kind(line);
    }
    (void)fclose(from);
    if (all.paths_n == 0)
        die("no paths");
}

static void read_bearer(const char *file)
{
    FILE *from = fopen(file, "r");

    if (!from || !fgets(all.bearer, sizeof all.bearer, from))
        die(file);
    (void)fclose(from);
    all.bearer[strcspn(all.bearer, "\n")] = '\0';
}

static int cmp_latency(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Of n latencies, which are sorted. */
static void print_times(float *ms, size_t n)
{
    qsort(ms, n, sizeof *ms, cmp_latency);
    printf("\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f", (double)ms[n / 2],
           (double)ms[n * 99 / 100], (double)ms[n - 1]);
}

static void print_kinds(void)
{
    float *ms = calloc(all.requests_n, sizeof *ms);
    bool is_first = true;

    if (!ms)
        die("memory");
    for (size_t kind = 0; kind < all.kinds_n; kind++) {
        size_t n = 0;
        for (size_t i = 0; i < all.requests_n; i++)
            if (all.kind_of[i % all.paths_n] == kind)
                ms[n++] = all.latencies_ms[i];
        if (n == 0)
            continue;
        printf("%s{\"path\":\"%s\",\"n\":%zu,", is_first ? "" : ",", all.kinds[kind], n);
        print_times(ms, n);
        printf("}");
        is_first = false;
    }
    free(ms);
}

static void print_all(double took_s)
{
    printf("{\"per_s\":%.0f,\"failed\":%zu,\"kinds\":[", (double)all.requests_n / took_s,
           atomic_load(&all.failed));
    print_kinds();
    printf("],");
    print_times(all.latencies_ms, all.requests_n);
    printf("}\n");
}

int main(int argc, char **argv)
{
    pthread_t threads[CONNECTIONS];

    if (argc != 6)
        return 2;
    all.port = (uint16_t)strtoul(argv[1], NULL, 10);
    read_bearer(argv[2]);
    read_paths(argv[3]);
    all.per_s = strtod(argv[4], NULL);
    all.requests_n = (size_t)(all.per_s * strtod(argv[5], NULL));
    all.latencies_ms = calloc(all.requests_n + 1, sizeof *all.latencies_ms);
    if (!all.latencies_ms || all.requests_n == 0)
        die("memory");
    all.start = now() + 0.1;
    for (int i = 0; i < CONNECTIONS; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            die("pthread_create");
    for (int i = 0; i < CONNECTIONS; i++)
        (void)pthread_join(threads[i], NULL);
    print_all(now() - all.start);
    return atomic_load(&all.failed) > 0;
}
