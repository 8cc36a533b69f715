#include "tests/integration/gateway_world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "connectors/twilio/twilio.h"

#define WAIT_MS 15000

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void must(enum th_code code, const struct th_err *err)
{
    if (code != TH_OK) {
        (void)fprintf(stderr, "%s: %s\n", th_code_name(code), err->text);
        abort();
    }
}

/* --- the world -----------------------------------------------------------------------------------
 */

static void *follow(void *arg)
{
    struct world *world = arg;
    struct reference_follower *follower = NULL;
    struct th_err err = {0};

    must(reference_follower_open(world->log, world->reference, &follower, &err), &err);
    reference_follower_run(follower, world->stop_fd);
    reference_follower_close(follower);
    return NULL;
}

struct world_options world_options_default(void)
{
    struct world_options options = {.limits = gateway_limits_default()};

    options.limits.threads = 2; /* what they share is played too */
    return options;
}

static void open_log(struct world *world, struct th_log *given)
{
    const struct memory_log_options options = {
        .partitions = 4, .bytes_max = (size_t)256 << 20, .clock = &th_clock_real, .seed = 1};
    struct th_err err = {0};

    world->log = given;
    world->owns_log = !given;
    if (!given)
        must(memory_log_new(&options, &world->log, &err), &err);
}

static void make_tenant(const struct world *world, const char *slug, char *out_key, size_t size)
{
    char body[128];

    (void)snprintf(body, sizeof body, "{\"tenant\":\"%s\",\"name\":\"A name\"}", slug);
    struct http_answer answer = world_call(world, &(struct call){.method = "POST",
                                                                 .target = "/api/v1/tenants",
                                                                 .key = WORLD_OPERATOR_KEY,
                                                                 .idem = slug,
                                                                 .body = body});
    if (answer.status != 201)
        (void)fprintf(stderr, "%d %s\n", answer.status, answer.body);
    MUST(answer.status == 201);
    (void)snprintf(out_key, size, "%s", answer_member(&answer, "key"));
    MUST(strlen(out_key) > 40);
    answer_free(&answer);
}

void world_start(struct world *world, const struct world_options *options)
{
    static const struct provider_ops *const wires[] = {&twilio_ops, NULL};
    struct th_err err = {0};

    *world = (struct world){.dir = "/tmp/gateway_test.XXXXXX"};
    MUST(mkdtemp(world->dir));
    open_log(world, options->log);
    MUST(world->reference = reference_new());
    must(secrets_open(world->dir, &world->secrets, &err), &err);
    must(th_metrics_new(&world->metrics, &err), &err);
    gateway_views_init(&world->views, world->log);
    MUST((world->stop_fd = eventfd(0, EFD_CLOEXEC)) >= 0);
    MUST(pthread_create(&world->follower, NULL, follow, world) == 0);
    struct gateway_config config = {
        .log = world->log,
        .reference = world->reference,
        .views = options->has_no_views ? NULL : &world->views.views,
        .secrets = world->secrets,
        .clock = &th_clock_real,
        .metrics = world->metrics,
        .providers = wires,
        .http = options->http,
        .address = "127.0.0.1",
        .operator_key = TH_STR(WORLD_OPERATOR_KEY),
        .limits = options->limits,
    };
    must(gateway_open(&config, &world->gateway, &err), &err);
    world->port = gateway_port(world->gateway);
    if (options->has_no_tenants)
        return;
    make_tenant(world, WORLD_TENANT, world->key, sizeof world->key);
    make_tenant(world, "other", world->other_key, sizeof world->other_key);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    char child[512];

    for (struct dirent *entry = folder ? readdir(folder) : NULL; entry; entry = readdir(folder)) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) != 0)
            remove_folder(child);
    }
    if (folder)
        (void)closedir(folder);
    (void)rmdir(path);
}

void world_stop(struct world *world)
{
    uint64_t one = 1;

    gateway_close(world->gateway);
    MUST(write(world->stop_fd, &one, sizeof one) == sizeof one);
    (void)pthread_join(world->follower, NULL);
    (void)close(world->stop_fd);
    th_metrics_free(world->metrics);
    secrets_close(world->secrets);
    reference_free(world->reference);
    if (world->owns_log)
        th_log_close(world->log);
    remove_folder(world->dir);
}

/* --- the client
 * ------------------------------------------------------------------------------------ */

int world_connect(const struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(world->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    MUST(fd >= 0);
    /* Head and body are two writes: the second must not wait for the first one's ACK. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

void connection_send(int fd, const void *bytes, size_t n)
{
    const char *from = bytes;

    while (n) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* the server may have refused already; its answer is what counts */
        from += sent;
        n -= (size_t)sent;
    }
}

/* Bytes, or 0 when the connection is closed or nothing came in time. */
static size_t receive(int fd, char *to, size_t max, int wait_ms, bool *out_closed)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    if (poll(&poller, 1, wait_ms) <= 0)
        return 0;
    ssize_t n = recv(fd, to, max, 0);
    *out_closed = n <= 0;
    return n > 0 ? (size_t)n : 0;
}

static void read_head(int fd, struct http_answer *answer, int wait_ms)
{
    size_t n = 0;

    /* Byte by byte, so that nothing of the next answer is taken. */
    while (n + 1 < sizeof answer->head && !strstr(answer->head, "\r\n\r\n")) {
        if (!receive(fd, answer->head + n, 1, wait_ms, &answer->is_closed))
            return;
        answer->head[++n] = 0;
    }
    (void)sscanf(answer->head, "HTTP/1.1 %d", &answer->status);
}

struct http_answer connection_receive(int fd, int wait_ms)
{
    struct http_answer answer = {0};

    MUST(answer.body = calloc(1, ANSWER_MAX + 1));
    do {
        answer.status = 0;
        memset(answer.head, 0, sizeof answer.head);
        read_head(fd, &answer, wait_ms);
    } while (answer.status == 100);
    size_t expected = (size_t)atol(answer_header(&answer, "Content-Length"));
    while (answer.body_n < expected && answer.body_n < ANSWER_MAX) {
        size_t n = receive(fd, answer.body + answer.body_n, expected - answer.body_n, wait_ms,
                           &answer.is_closed);
        if (!n)
            break;
        answer.body_n += n;
    }
    return answer;
}

static void send_call(int fd, const struct call *call)
{
    char head[16384];
    size_t body_n = call->body ? (call->body_n ? call->body_n : strlen(call->body)) : 0;
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n", call->method,
                     call->target);

    if (call->key)
        n += snprintf(head + n, sizeof head - (size_t)n, "Authorization: Bearer %s\r\n", call->key);
    if (call->idem)
        n += snprintf(head + n, sizeof head - (size_t)n, "Idempotency-Key: %s\r\n", call->idem);
    if (call->headers)
        n += snprintf(head + n, sizeof head - (size_t)n, "%s", call->headers);
    if (call->body || call->type)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Type: %s\r\n",
                      call->type ? call->type : "application/json");
    n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n\r\n", body_n);
    MUST((size_t)n < sizeof head);
    connection_send(fd, head, (size_t)n);
    connection_send(fd, call->body, body_n);
}

struct http_answer connection_call(int fd, const struct call *call)
{
    send_call(fd, call);
    return connection_receive(fd, WAIT_MS);
}

struct http_answer world_call(const struct world *world, const struct call *call)
{
    int fd = world_connect(world);
    struct http_answer answer = connection_call(fd, call);

    (void)close(fd);
    return answer;
}

void answer_free(struct http_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

const char *answer_header(const struct http_answer *answer, const char *name)
{
    static _Thread_local char value[512];
    size_t n = strlen(name);

    value[0] = 0;
    for (const char *line = strstr(answer->head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            (void)sscanf(line + 2 + n + 1, " %511[^\r]", value);
            break;
        }
    return value;
}

const char *answer_member(const struct http_answer *answer, const char *name)
{
    static _Thread_local char value[512];
    char wanted[80];

    value[0] = 0;
    (void)snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *at = answer->body ? strstr(answer->body, wanted) : NULL;
    if (at)
        (void)sscanf(at + strlen(wanted), "%511[^\"]", value);
    return value;
}

/* --- the log
 * ----------------------------------------------------------------------------------------- */

void log_events(struct th_log *log, enum topic topic, world_event_fn *fn, void *arg)
{
    struct log_place places[LOG_PARTITIONS_MAX];
    int parts = th_log_partitions(log, topic);
    struct th_log_reader *reader = NULL;
    struct th_arena arena;
    struct th_err err = {0};

    for (int p = 0; p < parts; p++)
        places[p] = (struct log_place){.topic = topic, .part = p};
    must(th_log_reader_open(log, places, (size_t)parts, &reader, &err), &err);
    th_arena_init(&arena, (size_t)64 << 20);
    for (;;) {
        struct log_records records = {0};
        th_arena_reset(&arena);
        must(th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err), &err);
        if (!records.n)
            break;
        for (size_t i = 0; i < records.n; i++) {
            struct event event;
            must(event_decode(records.at[i].value, &arena, &event, &err), &err);
            fn(arg, &event, &records.at[i]);
        }
    }
    th_arena_fini(&arena);
    th_log_reader_close(reader);
}

struct counting {
    enum event_type type;
    size_t n;
};

static void count(void *arg, const struct event *event, const struct log_record *record)
{
    struct counting *counting = arg;

    (void)record;
    counting->n += event->type == counting->type;
}

size_t world_count(const struct world *world, enum topic topic, enum event_type type)
{
    struct counting counting = {.type = type};

    log_events(world->log, topic, count, &counting);
    return counting.n;
}
