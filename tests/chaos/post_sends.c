/* post_sends - many clients of POST /api/v1/sends at once, who remember what they were told.
 *
 *   post_sends PORT KEY_FILE REQUESTS [option]...
 *     --connections N   at a time, each with one request under way (64)
 *     --seconds S       begin no new request after so long
 *     --first N         number of the first request (0): its key, its recipient and its text
 *     --patience S      how long one request is repeated before its client gives up (60)
 *     --out FILE        a line for each request: number id status tries
 *     --again FILE      repeat the requests of such a file instead, and compare the ids
 *
 * Every request has an Idempotency-Key of its own and is repeated with it, after a pause, when the
 * answer is 409, 429 or 5xx or does not come. Prints one JSON object. Exit status: 0; 1 when a
 * request was given up or refused, or (--again) an id was another one; 2 wrong use.
 *
 * Plain sockets, not libcurl, which would cost more than the server that is measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define ID_SIZE         37
#define PAUSE_S         0.05
#define ANSWER_WAIT_S   30

struct task {
    uint64_t number;
    char id[ID_SIZE];      /* as first told; empty: not yet */
    unsigned short status; /* of the last answer; 0: the connection was lost */
    unsigned short tries;
    bool is_done;
};

struct client {
    int fd; /* -1: not connected */
    struct task *task;
    double began_at;  /* the request */
    double asked_at;  /* this try of it */
    double resume_at; /* > 0: pausing until then */
    size_t out_n;
    size_t out_at;
    size_t in_n;
    char out[1024];
    char in[8192];
};

static struct {
    uint16_t port;
    char bearer[256];
    size_t connections;
    double seconds;
    double patience;
    uint64_t first;
    const char *out;
    const char *again;
    struct task *tasks;
    size_t tasks_n;
    size_t next;
    size_t open;
    float *latencies; /* ms, of the requests that were accepted at once */
    size_t latencies_n;
    uint64_t accepted, replayed, refused, given_up, changed, lost, unavailable;
    int epoll;
    double start;
    double end; /* when the last request ended */
    struct client clients[CONNECTIONS_MAX];
} all = {.connections = 64, .seconds = 1e9, .patience = 60};

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what)
{
    (void)fprintf(stderr, "post_sends: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- one client ------------------------------------------------------------------------------- */

static void watch(struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    if (epoll_ctl(all.epoll, operation, client->fd, &event) != 0)
        die("epoll_ctl");
}

static void hang_up(struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd);
    client->fd = -1;
}

/* Not waiting for the connection: a refusal shows at the first write. */
static bool connect_client(struct client *client)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(all.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;

    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        die("socket");
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(client->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
        hang_up(client);
        return false;
    }
    watch(client, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return true;
}

/* The same number makes the same bytes, as a repeat must. */
static void write_request(struct client *client)
{
    char body[256];
    uint64_t n = client->task->number;
    int body_n = snprintf(body, sizeof body,
                          "{\"channel\":\"sms\",\"to\":\"+91900%07" PRIu64
                          "\",\"text\":\"Your class %" PRIu64 " begins at nine.\"}",
                          n, n);
    int out_n = snprintf(client->out, sizeof client->out,
                         "POST /api/v1/sends HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                         "Authorization: Bearer %s\r\nIdempotency-Key: chaos-%" PRIu64
                         "\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                         all.port, all.bearer, n, body_n, body);

    client->out_n = (size_t)out_n;
    client->out_at = 0;
    client->in_n = 0;
}

static bool flush_request(struct client *client)
{
    while (client->out_at < client->out_n) {
        ssize_t n = send(client->fd, client->out + client->out_at, client->out_n - client->out_at,
                         MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        client->out_at += (size_t)n;
    }
    watch(client, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static void ask_later(struct client *client)
{
    client->resume_at = now() + PAUSE_S;
}

static void lose(struct client *client)
{
    all.lost++;
    client->task->status = 0;
    hang_up(client);
    ask_later(client);
}

static void ask(struct client *client)
{
    client->resume_at = 0;
    client->asked_at = now();
    client->task->tries++;
    write_request(client);
    if (client->fd < 0) {
        if (!connect_client(client))
            lose(client);
        return; /* writes when it is connected */
    }
    if (!flush_request(client))
        lose(client);
}

static void take_next(struct client *client)
{
    client->task = NULL;
    if (all.next >= all.tasks_n || now() - all.start > all.seconds)
        return;
    client->task = &all.tasks[all.next++];
    client->began_at = now();
    all.open++;
    ask(client);
}

static void finish(struct client *client)
{
    client->task->is_done = true;
    all.open--;
    all.end = now();
    take_next(client);
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool read_id(const char *body, char out[ID_SIZE])
{
    const char *at = strstr(body, "\"id\":");

    if (!at)
        return false;
    at += strlen("\"id\":");
    while (*at == ' ')
        at++;
    if (*at++ != '"' || strcspn(at, "\"") != ID_SIZE - 1)
        return false;
    memcpy(out, at, ID_SIZE - 1);
    out[ID_SIZE - 1] = '\0';
    return true;
}

static void take_success(struct client *client, const char *body)
{
    struct task *task = client->task;
    char id[ID_SIZE];

    if (!read_id(body, id)) {
        all.refused++;
        (void)fprintf(stderr, "post_sends: %d without an id: %s\n", task->status, body);
    } else if (*task->id && strcmp(task->id, id) != 0) {
        all.changed++;
        (void)fprintf(stderr, "post_sends: request %" PRIu64 " was %s and is %s\n", task->number,
                      task->id, id);
    } else {
        memcpy(task->id, id, sizeof id);
        if (task->status == 202)
            all.accepted++;
        else
            all.replayed++;
        if (task->tries == 1)
            all.latencies[all.latencies_n++] = (float)((now() - client->began_at) * 1e3);
    }
    finish(client);
}

static void take_answer(struct client *client, const char *body)
{
    struct task *task = client->task;
    int status = task->status;

    if (status == 202 || status == 200) {
        take_success(client, body);
    } else if (status == 409 || status == 429 || status >= 500) {
        all.unavailable++;
        ask_later(client);
    } else {
        all.refused++;
        (void)fprintf(stderr, "post_sends: %d: %s\n", status, body);
        finish(client);
    }
}

/* The header that we need, from bytes that end with NUL; -1: none. */
static long header_number(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

/* Whether the answer is whole; it is then taken. */
static bool parse_answer(struct client *client)
{
    client->in[client->in_n] = '\0';
    char *end = strstr(client->in, "\r\n\r\n");
    if (!end)
        return false;
    *end = '\0';
    long length = header_number(client->in, "\r\nContent-Length:");
    size_t head_n = (size_t)(end - client->in) + 4;
    if (length < 0)
        length = 0;
    if (client->in_n < head_n + (size_t)length) {
        *end = '\r';
        return false;
    }
    long status = client->in_n > 12 ? strtol(client->in + 9, NULL, 10) : 0;
    bool closes = strcasestr(client->in, "\r\nConnection: close") != NULL;
    client->task->status = (unsigned short)status;
    if (closes)
        hang_up(client);
    client->in_n = 0;
    take_answer(client, end + 4);
    return true;
}

static void on_readable(struct client *client)
{
    ssize_t n =
        recv(client->fd, client->in + client->in_n, sizeof client->in - 1 - client->in_n, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (client->task && client->resume_at == 0)
            lose(client);
        else
            hang_up(client);
        return;
    }
    client->in_n += (size_t)n;
    if (!client->task || (!parse_answer(client) && client->in_n == sizeof client->in - 1))
        hang_up(client);
}

static void on_event(struct client *client, uint32_t events)
{
    if (client->fd >= 0 && events & EPOLLOUT && client->out_at < client->out_n &&
        !flush_request(client)) {
        lose(client);
        return;
    }
    if (client->fd >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(client);
}

/* --- the run ---------------------------------------------------------------------------------- */

static void sweep(struct client *client)
{
    double t = now();

    if (!client->task)
        return;
    if (client->resume_at > 0 && t - client->began_at > all.patience) {
        all.given_up++;
        finish(client);
    } else if (client->resume_at > 0 && t >= client->resume_at) {
        ask(client);
    } else if (client->resume_at == 0 && t - client->asked_at > ANSWER_WAIT_S) {
        lose(client);
    }
}

static void run(void)
{
    struct epoll_event events[256];
    double swept = 0;

    all.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (all.epoll < 0)
        die("epoll_create1");
    all.start = now();
    for (size_t i = 0; i < all.connections; i++) {
        all.clients[i].fd = -1;
        take_next(&all.clients[i]);
    }
    while (all.open > 0) {
        int n = epoll_wait(all.epoll, events, 256, 10);
        for (int i = 0; i < n; i++)
            on_event(events[i].data.ptr, events[i].events);
        if (now() - swept < 0.01)
            continue;
        swept = now();
        for (size_t i = 0; i < all.connections; i++)
            sweep(&all.clients[i]);
    }
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;

    return (x > y) - (x < y);
}

static double percentile(double p)
{
    size_t at = (size_t)((double)all.latencies_n * p);

    if (all.latencies_n == 0)
        return 0;
    return (double)all.latencies[at < all.latencies_n ? at : all.latencies_n - 1];
}

static void report(void)
{
    double seconds = all.end - all.start;

    qsort(all.latencies, all.latencies_n, sizeof *all.latencies, by_size);
    printf("{\"requests\":%zu,\"accepted\":%" PRIu64 ",\"replayed\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"given_up\":%" PRIu64 ",\"changed\":%" PRIu64
           ",\"lost\":%" PRIu64 ",\"unavailable\":%" PRIu64
           ",\"seconds\":%.3f,\"per_s\":%.0f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n",
           all.next, all.accepted, all.replayed, all.refused, all.given_up, all.changed, all.lost,
           all.unavailable, seconds,
           seconds > 0 ? (double)(all.accepted + all.replayed) / seconds : 0, percentile(0.5),
           percentile(0.99));
}

static void write_out(void)
{
    FILE *file = fopen(all.out, "we");

    if (!file)
        die(all.out);
    for (size_t i = 0; i < all.next; i++) {
        const struct task *task = &all.tasks[i];
        (void)fprintf(file, "%" PRIu64 " %s %u %u\n", task->number, *task->id ? task->id : "-",
                      task->status, task->tries);
    }
    if (fclose(file) != 0)
        die(all.out);
}

static void read_again(void)
{
    FILE *file = fopen(all.again, "re");
    char line[128];

    if (!file)
        die(all.again);
    size_t n = 0;
    while (n < all.tasks_n && fgets(line, sizeof line, file)) {
        struct task *task = &all.tasks[n];
        char *at;
        task->number = strtoull(line, &at, 10);
        if (*at == ' ' && strcspn(at + 1, " ") == ID_SIZE - 1)
            memcpy(task->id, at + 1, ID_SIZE - 1);
        n++;
    }
    (void)fclose(file);
    all.tasks_n = n;
}

static void read_key(const char *path)
{
    FILE *file = fopen(path, "re");

    if (!file || !fgets(all.bearer, sizeof all.bearer, file))
        die(path);
    (void)fclose(file);
    all.bearer[strcspn(all.bearer, "\r\n")] = '\0';
}

static bool take_option(const char *name, const char *value)
{
    if (strcmp(name, "--connections") == 0)
        all.connections = strtoull(value, NULL, 10);
    else if (strcmp(name, "--seconds") == 0)
        all.seconds = strtod(value, NULL);
    else if (strcmp(name, "--patience") == 0)
        all.patience = strtod(value, NULL);
    else if (strcmp(name, "--first") == 0)
        all.first = strtoull(value, NULL, 10);
    else if (strcmp(name, "--out") == 0)
        all.out = value;
    else if (strcmp(name, "--again") == 0)
        all.again = value;
    else
        return false;
    return all.connections >= 1 && all.connections <= CONNECTIONS_MAX;
}

static bool parse_arguments(int argc, char **argv)
{
    if (argc < 4 || argc % 2 != 0)
        return false;
    for (int i = 4; i < argc; i += 2)
        if (!take_option(argv[i], argv[i + 1]))
            return false;
    all.port = (uint16_t)strtoul(argv[1], NULL, 10);
    all.tasks_n = strtoull(argv[3], NULL, 10);
    return all.port != 0 && all.tasks_n > 0 && all.tasks_n <= 10000000;
}

int main(int argc, char **argv)
{
    if (!parse_arguments(argc, argv)) {
        (void)fprintf(stderr, "usage: post_sends PORT KEY_FILE REQUESTS [--connections N] "
                              "[--seconds S] [--first N] [--patience S] [--out FILE] "
                              "[--again FILE]\n");
        return 2;
    }
    read_key(argv[2]);
    all.tasks = calloc(all.tasks_n + 1, sizeof *all.tasks);
    all.latencies = calloc(all.tasks_n + 1, sizeof *all.latencies);
    if (!all.tasks || !all.latencies)
        die("memory");
    for (size_t i = 0; i < all.tasks_n; i++)
        all.tasks[i].number = all.first + i;
    if (all.again)
        read_again();
    run();
    report();
    if (all.out)
        write_out();
    free(all.tasks);
    free(all.latencies);
    return all.refused || all.given_up || all.changed ? 1 : 0;
}
