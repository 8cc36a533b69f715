#include "connectors/gateway/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_line.h"
#include "connectors/gateway/connections.h"
#include "connectors/gateway/gateway.h"
#include "connectors/gateway/problem.h"
#include "connectors/gateway/routes.h"

#define CONNECTION_MEMORY 65536
#define TICK_US           50000
#define BACKLOG           1024

/* A body above its route's bound but within this is read and thrown away, so that the client is
 * there to read our answer; beyond it the connection is simply closed. */
#define BODY_DRAINED_MAX ((int64_t)2 * 1024 * 1024)

struct server {
    struct server_config config;
    struct gateway_limits limits;
    struct MHD_Daemon *daemon;
    uint16_t port;
    struct connections connections;
    uint64_t id_prefix;
    atomic_uint_fast64_t id_next;
    atomic_bool is_closing;
    pthread_t ticker;
    bool has_ticker;

    pthread_mutex_t lock; /* guards the list, which is in order of deadlines */
    pthread_cond_t empty;
    struct request *first, *last;
    unsigned waiting_n;
    unsigned owned_n; /* requests that somebody still has to finish */
    bool is_over;     /* for the ticker */
};

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* --- waiting --------------------------------------------------------------------------------- */

static bool list_add(struct server *server, struct request *request)
{
    pthread_mutex_lock(&server->lock);
    bool has_room = server->waiting_n < server->limits.waiting_max && !server->is_closing;
    if (has_room) {
        request->deadline_us = now_us() + server->limits.deadline_us;
        request->next = NULL;
        request->prev = server->last;
        if (server->last)
            server->last->next = request;
        else
            server->first = request;
        server->last = request;
        server->waiting_n++;
        server->owned_n++;
    }
    pthread_mutex_unlock(&server->lock);
    return has_room;
}

/* Under server->lock. */
static void list_remove(struct server *server, struct request *request)
{
    if (request->next)
        request->next->prev = request->prev;
    else
        server->last = request->prev;
    if (request->prev)
        request->prev->next = request->next;
    else
        server->first = request->next;
    server->waiting_n--;
}

/* Whoever changes the phase from WAITING resumes the connection; so it happens exactly once. Under
 * server->lock, so that the list holds exactly those that wait. */
static bool resume_as(struct server *server, struct request *request, enum request_phase phase)
{
    int waiting = REQUEST_WAITING;

    if (!atomic_compare_exchange_strong(&request->phase, &waiting, (int)phase))
        return false;
    list_remove(server, request);
    MHD_resume_connection(request->connection);
    return true;
}

void server_finish(struct server *server, struct request *request)
{
    pthread_mutex_lock(&server->lock);
    (void)resume_as(server, request, REQUEST_ANSWERED);
    if (--server->owned_n == 0)
        pthread_cond_broadcast(&server->empty);
    pthread_mutex_unlock(&server->lock);
    request_unref(request);
}

static void expire(struct server *server, int64_t now)
{
    pthread_mutex_lock(&server->lock);
    while (server->first && server->first->deadline_us <= now)
        (void)resume_as(server, server->first, REQUEST_EXPIRED);
    pthread_mutex_unlock(&server->lock);
}

static void *tick(void *arg)
{
    struct server *server = arg;
    const struct connection_limits limits = {
        .header_us = server->limits.header_us,
        .body_us = server->limits.body_us,
        .body_bytes_per_s = server->limits.body_bytes_per_s,
        .idle_us = server->limits.keep_alive_us,
    };
    bool is_over = false;

    while (!is_over) {
        (void)usleep(TICK_US);
        expire(server, now_us());
        unsigned late = connections_sweep(&server->connections, &limits, now_us());
        if (late)
            th_log(TH_LOG_INFO, "gateway.slow_clients", TH_F("cut", late));
        pthread_mutex_lock(&server->lock);
        is_over = server->is_over;
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

unsigned server_waiting(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    unsigned n = server->waiting_n;
    pthread_mutex_unlock(&server->lock);
    return n;
}

/* --- answers --------------------------------------------------------------------------------- */

static enum MHD_Result send_answer(struct server *server, struct request *request,
                                   struct MHD_Connection *connection)
{
    struct connection *mine = connection_of(connection);

    if (request->answer.is_failed)
        return MHD_NO; /* no memory: the connection is closed */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        request->answer.n, request->answer.p, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    if (request->answer.n)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->answer_type);
    for (size_t i = 0; i < request->headers_n; i++)
        (void)MHD_add_response_header(response, request->headers[i].name,
                                      request->headers[i].value.p);
    if (request->must_close || (mine && mine->requests >= server->limits.keep_alive_requests) ||
        server->is_closing)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, request->status, response);
    MHD_destroy_response(response);
    if (server->config.answered)
        server->config.answered(request, request->status);
    return result;
}

/* The request's owner may still be writing into it: this answer comes from elsewhere. */
static enum MHD_Result send_expired(struct server *server, struct request *request,
                                    struct MHD_Connection *connection)
{
    static const char body[] =
        "{\"type\":\"urn:telehub:problem:outcome_unknown\",\"title\":\"It may have been stored, or "
        "not\",\"status\":503,\"detail\":\"no answer in time; repeat it with the same "
        "Idempotency-Key\",\"request_id\":\"\"}";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof body - 1, (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);

    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                  "application/problem+json");
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "2");
    enum MHD_Result result = MHD_queue_response(connection, 503, response);
    MHD_destroy_response(response);
    if (server->config.answered)
        server->config.answered(request, 503);
    return result;
}

/* --- reading --------------------------------------------------------------------------------- */

struct headers {
    struct request *request;
    struct header_check check;
};

/* Headers live as long as the connection, which a worker may outlive: those that are asked for
 * later are copied. */
static void keep(struct request *request, struct th_str *to, struct th_str value)
{
    if (th_arena_copy(&request->arena, value, to) != TH_OK)
        *to = (struct th_str){0};
}

static void keep_signature(struct request *request, struct th_str name, struct th_str value)
{
    if (request->signatures_n == REQUEST_SIGNATURES_MAX)
        return;
    struct form_pair *pair = &request->signatures[request->signatures_n++];
    keep(request, &pair->name, name);
    keep(request, &pair->value, value);
}

static void keep_header(struct request *request, struct th_str name, struct th_str value)
{
    if (header_is(name, "Authorization")) {
        keep(request, &request->authorization, value);
    } else if (header_is(name, "Idempotency-Key")) {
        request->has_idempotency_key = true;
        keep(request, &request->idempotency_key, value);
    } else if (header_is(name, "TeleHub-Token")) {
        keep(request, &request->token, value);
    } else if (header_is(name, "Accept")) {
        keep(request, &request->accept, value);
    } else if (header_is(name, "Content-Type")) {
        keep(request, &request->content_type, value);
    } else if (name.n > 10 && header_is((struct th_str){name.p + name.n - 10, 10}, "-Signature")) {
        keep_signature(request, name, value);
    }
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                 size_t key_size, const char *value, size_t value_size)
{
    struct headers *headers = cls;
    struct th_str name = {key, key_size};
    struct th_str text = {value, value ? value_size : 0};

    (void)kind;
    header_check_add(&headers->check, name, text);
    if (!headers->check.wrong)
        keep_header(headers->request, name, text);
    return headers->check.wrong ? MHD_NO : MHD_YES;
}

/* The raw target comes before anything else; the request begins here. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct server *server = cls;
    struct request *request = request_new(server->config.gateway);
    struct connection *mine = connection_of(connection);
    struct th_str text = th_str(target);

    if (mine && atomic_load(&mine->state) == CONNECTION_IDLE)
        connection_enter(mine, CONNECTION_HEADERS, now_us());
    if (!request)
        return NULL;
    request->begun_us = now_us();
    request->connection = connection;
    request->is_target_too_long = text.n > TARGET_MAX;
    if (text.n > TARGET_MAX)
        text.n = TARGET_MAX;
    keep(request, &request->target, text);
    (void)snprintf(request->id, sizeof request->id, "%016" PRIx64 "%08" PRIx64, server->id_prefix,
                   (uint64_t)atomic_fetch_add(&server->id_next, 1) & 0xffffffff);
    return request;
}

static enum MHD_Result refuse(struct server *server, struct request *request,
                              struct MHD_Connection *connection)
{
    request->must_close = true;
    return send_answer(server, request, connection);
}

static bool read_target(struct request *request)
{
    struct th_str query;

    (void)th_str_cut(request->target, '?', &request->path, &query);
    return form_parse(query, &request->arena, &request->query) == TH_OK;
}

/* Content-Length is known; does the body have a place here? */
static bool body_fits(const struct request *request, const struct header_check *check)
{
    return check->content_length <= (int64_t)route_body_max(request->route);
}

/* The headers are there: all that can be refused without the body is refused now. */
static enum MHD_Result begin(struct server *server, struct request *request,
                             struct MHD_Connection *connection, const char *method,
                             const char *version)
{
    struct headers headers = {.request = request};
    struct connection *mine = connection_of(connection);

    request->is_begun = true;
    if (mine)
        mine->requests++;
    connection_enter(mine, CONNECTION_BODY, now_us());
    keep(request, &request->method, th_str(method));
    header_check_begin(&headers.check, th_str(method), th_str(version));
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_header, &headers);
    const char *wrong = header_check_end(&headers.check);
    if (wrong) {
        (void)problem(request,
                      headers.check.status == 431 ? PROBLEM_HEADERS_TOO_LARGE : PROBLEM_BAD_REQUEST,
                      "%s", wrong);
        return refuse(server, request, connection);
    }
    if (request->is_target_too_long) {
        (void)problem(request, PROBLEM_TARGET_TOO_LONG, "at most %d bytes", TARGET_MAX);
        return refuse(server, request, connection);
    }
    if (!read_target(request)) {
        (void)problem(request, PROBLEM_BAD_REQUEST, "the query cannot be read");
        return refuse(server, request, connection);
    }
    if (!server->config.admit(request))
        return refuse(server, request, connection);
    request->is_too_long = !body_fits(request, &headers.check);
    if (headers.check.content_length > BODY_DRAINED_MAX) {
        (void)problem(request, PROBLEM_TOO_LARGE, "at most %zu bytes",
                      route_body_max(request->route));
        return refuse(server, request, connection);
    }
    return MHD_YES;
}

static enum MHD_Result read_body(struct request *request, struct MHD_Connection *connection,
                                 const char *data, size_t *size)
{
    size_t n = *size;

    connection_read(connection_of(connection), n);
    *size = 0;
    if (request->is_too_long || request->body.n + n > route_body_max(request->route)) {
        request->is_too_long = true;
        request->drained += n;
        return request->drained > (size_t)BODY_DRAINED_MAX ? MHD_NO : MHD_YES;
    }
    th_buf_add(&request->body, (struct th_str){data, n});
    return th_buf_status(&request->body) == TH_OK ? MHD_YES : MHD_NO;
}

static enum MHD_Result hand_over(struct server *server, struct request *request,
                                 struct MHD_Connection *connection)
{
    connection_enter(connection_of(connection), CONNECTION_ANSWERING, now_us());
    if (request->is_too_long) {
        (void)problem(request, PROBLEM_TOO_LARGE, "at most %zu bytes",
                      route_body_max(request->route));
        return refuse(server, request, connection);
    }
    request_ref(request); /* the owner's */
    atomic_store(&request->phase, REQUEST_WAITING);
    if (!list_add(server, request)) {
        atomic_store(&request->phase, REQUEST_RUNNING);
        request_unref(request);
        (void)problem(request, PROBLEM_OVERLOADED, "too many requests wait");
        return send_answer(server, request, connection);
    }
    MHD_suspend_connection(connection);
    server->config.take(request);
    return MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **con_cls)
{
    struct server *server = cls;
    struct request *request = *con_cls;

    (void)url;
    if (!request)
        return MHD_NO;
    switch ((enum request_phase)atomic_load(&request->phase)) {
    case REQUEST_ANSWERED:
        return send_answer(server, request, connection);
    case REQUEST_EXPIRED:
        return send_expired(server, request, connection);
    case REQUEST_WAITING:
        return MHD_YES;
    case REQUEST_RUNNING:
        break;
    }
    if (!request->is_begun)
        return begin(server, request, connection, method, version);
    if (*size)
        return read_body(request, connection, data, size);
    return hand_over(server, request, connection);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct request *request = *con_cls;

    (void)cls;
    (void)code;
    connection_enter(connection_of(connection), CONNECTION_IDLE, now_us());
    *con_cls = NULL;
    if (request)
        request_unref(request);
}

static uint32_t address_of(const struct sockaddr *from)
{
    struct sockaddr_in address;

    if (!from || from->sa_family != AF_INET)
        return 0;
    memcpy(&address, from, sizeof address);
    return address.sin_addr.s_addr;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = cls;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        connections_remove(&server->connections, *socket_context);
        *socket_context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info)
        return;
    int fd = info->connect_fd;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *socket_context = connections_add(&server->connections, fd,
                                      info ? address_of(info->client_addr) : 0, now_us());
}

/* This machine's own are not counted: a proxy in front of us speaks for everybody, and the sandbox
 * for thousands. */
static enum MHD_Result may_connect(void *cls, const struct sockaddr *from, socklen_t size)
{
    struct server *server = cls;
    uint32_t address = address_of(from);

    (void)size;
    if (!server->limits.connections_per_address || ntohl(address) >> 24 == IN_LOOPBACKNET)
        return MHD_YES;
    return connections_from(&server->connections, address) < server->limits.connections_per_address
               ? MHD_YES
               : MHD_NO;
}

/* --- open and close ----------------------------------------------------------------------------
 */

static enum th_code listen_on(const struct server_config *config, int *out_fd, uint16_t *out_port,
                              struct th_err *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(config->port)};
    socklen_t size = sizeof address;
    int on = 1;

    if (inet_pton(AF_INET, config->address, &address.sin_addr) != 1)
        return th_fail(err, TH_INVALID, "'%s' is no IPv4 address to listen on", config->address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return th_fail(err, TH_IO, "a socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        enum th_code code = th_fail(err, TH_UNAVAILABLE, "listening on %s:%u: %s", config->address,
                                    config->port, strerror(errno));
        (void)close(fd);
        return code;
    }
    *out_fd = fd;
    *out_port = ntohs(address.sin_port);
    return TH_OK;
}

TH_PRINTF(2, 0) static void on_mhd_log(void *cls, const char *format, va_list args)
{
    char text[256];

    (void)cls;
    (void)vsnprintf(text, sizeof text, format, args);
    th_log(TH_LOG_DEBUG, "gateway.http", TH_F("detail", (const char *)text));
}

static struct MHD_Daemon *start(struct server *server, int fd)
{
    const struct gateway_limits *limits = &server->limits;

    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG,
        0, may_connect, server, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_THREAD_POOL_SIZE, limits->threads,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_CONNECTION_LIMIT, limits->connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(limits->keep_alive_us / TH_US_PER_SEC + 1), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
}

enum th_code server_open(const struct server_config *config, struct server **out_server,
                         struct th_err *err)
{
    struct server *server = calloc(1, sizeof *server);
    int fd = -1;

    if (!server)
        return th_fail(err, TH_NOMEM, "HTTP server");
    server->config = *config;
    server->limits = *config->limits;
    server->config.limits = &server->limits;
    connections_init(&server->connections);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->empty, NULL);
    if (getrandom(&server->id_prefix, sizeof server->id_prefix, 0) != sizeof server->id_prefix)
        server->id_prefix = (uint64_t)th_clock_realtime_us(&th_clock_real);
    enum th_code code = listen_on(config, &fd, &server->port, err);
    if (code == TH_OK) {
        server->daemon = start(server, fd);
        if (!server->daemon) {
            (void)close(fd);
            code = th_fail(err, TH_IO, "libmicrohttpd did not start");
        }
    }
    if (code == TH_OK) {
        server->has_ticker = pthread_create(&server->ticker, NULL, tick, server) == 0;
        if (!server->has_ticker)
            code = th_fail(err, TH_IO, "no thread for the ticker");
    }
    if (code != TH_OK) {
        server_close(server);
        return code;
    }
    (void)pthread_setname_np(server->ticker, "gw-ticker");
    *out_server = server;
    return TH_OK;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

void server_quiesce(struct server *server, int64_t wait_us)
{
    struct timespec until;

    if (!server->daemon)
        return;
    server->is_closing = true;
    MHD_socket fd = MHD_quiesce_daemon(server->daemon);
    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(wait_us / TH_US_PER_SEC) + 1;
    pthread_mutex_lock(&server->lock);
    while (server->owned_n)
        if (pthread_cond_timedwait(&server->empty, &server->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&server->lock);
    expire(server, INT64_MAX);
}

void server_close(struct server *server)
{
    if (!server)
        return;
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    pthread_mutex_lock(&server->lock);
    server->is_over = true;
    pthread_mutex_unlock(&server->lock);
    if (server->has_ticker)
        (void)pthread_join(server->ticker, NULL);
    connections_fini(&server->connections);
    pthread_cond_destroy(&server->empty);
    pthread_mutex_destroy(&server->lock);
    free(server);
}
