#include "connectors/sandbox/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_S           120
#define PIECE_SIZE       ((size_t)64 * 1024)
#define REQUEST_MAGIC    0x74727173U         /* "trqs" */
#define CONNECTION_BYTES ((size_t)12 * 1024) /* cleared before each request */

enum request_state { READING, HANDED_OUT, ANSWERED, DROPPED };

struct http_request {
    uint32_t magic;
    enum request_state state;
    struct http_server *server;
    struct MHD_Connection *connection;
    struct MHD_Response *response; /* owned until it is queued */
    unsigned status;
    bool is_suspended;
    bool is_handling; /* its handler is on the stack */
    bool is_too_big;
    struct th_str method;
    struct th_str path; /* MHD's memory, valid as long as the request */
    struct th_buf body;
    struct http_request *next; /* among those that wait, or the spare ones */
    struct http_request *previous;
};

struct http_server {
    struct MHD_Daemon *daemon;
    int fd; /* MHD's epoll */
    uint16_t port;
    bool is_running_again; /* a stream had nothing to say: call it again soon */
    http_handler_fn *handler;
    void *owner;
    struct http_request *waiting;
    struct http_request *spare;
};

struct stream {
    struct http_server *server;
    http_piece_fn *next;
    void *source;
    void (*free_source)(void *source);
    struct th_buf piece;
    size_t sent; /* of piece */
    bool is_over;
};

static struct http_request *new_request(struct http_server *server)
{
    struct http_request *request = server->spare;

    if (request)
        server->spare = request->next;
    else
        request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    struct th_buf body = request->body;
    th_buf_clear(&body);
    *request = (struct http_request){.magic = REQUEST_MAGIC, .server = server, .body = body};
    return request;
}

static void unlink_waiting(struct http_request *request)
{
    if (request->previous)
        request->previous->next = request->next;
    else if (request->server->waiting == request)
        request->server->waiting = request->next;
    if (request->next)
        request->next->previous = request->previous;
    request->next = NULL;
    request->previous = NULL;
}

static void link_waiting(struct http_request *request)
{
    request->next = request->server->waiting;
    if (request->next)
        request->next->previous = request;
    request->server->waiting = request;
}

/* What libmicrohttpd 0.9.75 lets pass and RFC 9112, section 6.3, calls request smuggling. */
struct header_check {
    int content_lengths;
    int transfer_encodings;
};

static enum MHD_Result check_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct header_check *check = cls;

    (void)kind;
    (void)value;
    check->content_lengths += strcasecmp(name, "Content-Length") == 0;
    check->transfer_encodings += strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

static bool is_framing_clear(struct MHD_Connection *connection)
{
    struct header_check check = {0};

    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, check_header, &check);
    return check.content_lengths + check.transfer_encodings <= 1;
}

static enum MHD_Result queue(struct http_request *request)
{
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, request->response);

    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

static enum MHD_Result hand_out(struct http_request *request)
{
    if (request->is_too_big || request->body.is_failed)
        return MHD_NO;
    request->state = HANDED_OUT;
    request->is_handling = true;
    request->server->handler(request->server->owner, request);
    request->is_handling = false;
    if (request->state == HANDED_OUT) {
        request->is_suspended = true;
        link_waiting(request);
        MHD_suspend_connection(request->connection);
        return MHD_YES;
    }
    return request->state == ANSWERED ? queue(request) : MHD_NO;
}

static void take_body(struct http_request *request, const char *data, size_t n)
{
    if (request->body.n + n > HTTP_BODY_MAX)
        request->is_too_big = true;
    else
        th_buf_add(&request->body, (struct th_str){data, n});
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *data_size, void **request_cls)
{
    struct http_server *server = cls;
    struct http_request *request = *request_cls;

    (void)version;
    if (!request) {
        request = is_framing_clear(connection) ? new_request(server) : NULL;
        if (!request)
            return MHD_NO;
        request->connection = connection;
        request->method = th_str(method);
        request->path = th_str(url);
        *request_cls = request;
        return MHD_YES;
    }
    assert(request->magic == REQUEST_MAGIC);
    if (request->state == ANSWERED)
        return queue(request);
    if (request->state == DROPPED)
        return MHD_NO;
    if (*data_size) {
        take_body(request, data, *data_size);
        *data_size = 0;
        return MHD_YES;
    }
    return hand_out(request);
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **request_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct http_server *server = cls;
    struct http_request *request = *request_cls;

    (void)connection;
    (void)why;
    if (!request)
        return;
    assert(request->magic == REQUEST_MAGIC);
    if (request->response)
        MHD_destroy_response(request->response);
    request->response = NULL;
    request->next = server->spare;
    server->spare = request;
    *request_cls = NULL;
}

static enum th_code listen_on(const struct sockaddr_in *address, int *out_fd, uint16_t *out_port,
                              struct th_err *err)
{
    struct sockaddr_in bound = *address;
    socklen_t size = sizeof bound;
    int one = 1;

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return th_fail(err, TH_IO, "socket: %s", strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&bound, size) != 0 || listen(fd, 1024) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        int error = errno;
        (void)close(fd);
        return th_fail(err, TH_UNAVAILABLE, "listening on port %u: %s", ntohs(address->sin_port),
                       strerror(error));
    }
    *out_fd = fd;
    *out_port = ntohs(bound.sin_port);
    return TH_OK;
}

enum th_code http_server_open(const struct sockaddr_in *address, http_handler_fn *handler,
                              void *owner, struct http_server **out_server, struct th_err *err)
{
    TH_AUTO(http_server) struct http_server *server = calloc(1, sizeof *server);
    int fd = -1;

    if (!server)
        return th_fail(err, TH_NOMEM, "http server");
    server->handler = handler;
    server->owner = owner;
    TH_TRY(listen_on(address, &fd, &server->port, err));
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_END);
    if (!server->daemon) {
        (void)close(fd);
        return th_fail(err, TH_IO, "libmicrohttpd did not start");
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return th_fail(err, TH_IO, "libmicrohttpd has no epoll");
    server->fd = info->epoll_fd;
    *out_server = TH_TAKE(server);
    return TH_OK;
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    /* Stopping a daemon that has suspended connections is an error of the caller. */
    while (server->waiting)
        http_drop(server->waiting);
    if (server->daemon) {
        (void)MHD_run(server->daemon);
        MHD_stop_daemon(server->daemon);
    }
    while (server->spare) {
        struct http_request *request = server->spare;
        server->spare = request->next;
        th_buf_fini(&request->body);
        free(request);
    }
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

int http_server_fd(const struct http_server *server)
{
    return server->fd;
}

void http_server_run(struct http_server *server)
{
    server->is_running_again = false;
    (void)MHD_run(server->daemon);
}

int http_server_wait_ms(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait;

    if (server->is_running_again)
        return 0;
    if (MHD_get_timeout(server->daemon, &wait) != MHD_YES)
        return -1;
    return wait > 60000 ? 60000 : (int)wait;
}

void http_server_quiesce(struct http_server *server)
{
    MHD_socket fd = MHD_quiesce_daemon(server->daemon);

    if (fd != MHD_INVALID_SOCKET)
        (void)close(fd);
}

struct th_str http_method(const struct http_request *request)
{
    return request->method;
}

struct th_str http_path(const struct http_request *request)
{
    return request->path;
}

struct th_str http_body(const struct http_request *request)
{
    return th_buf_str(&request->body);
}

struct th_str http_header(const struct http_request *request, const char *name)
{
    return th_str(MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name));
}

struct th_str http_query(const struct http_request *request, const char *name)
{
    return th_str(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name));
}

bool http_is_local(const struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    if (!info || info->client_addr->sa_family != AF_INET)
        return false;
    struct sockaddr_in client;
    memcpy(&client, info->client_addr, sizeof client);
    return ntohl(client.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* The decision about the request has been made; let libmicrohttpd come back for it. */
static void settle(struct http_request *request, enum request_state state)
{
    assert(request->magic == REQUEST_MAGIC && request->state == HANDED_OUT);
    request->state = state;
    if (!request->is_suspended)
        return;
    assert(!request->is_handling);
    request->is_suspended = false;
    unlink_waiting(request);
    MHD_resume_connection(request->connection);
}

static void add_number_header(struct MHD_Response *response, const char *name, uint32_t value)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%" PRIu32, value);
    (void)MHD_add_response_header(response, name, text);
}

void http_answer(struct http_request *request, const struct http_answer *answer)
{
    struct th_buf *body = answer->body;
    char *bytes = body->p ? body->p : strdup("");
    struct MHD_Response *response =
        body->is_failed || !bytes
            ? NULL
            : MHD_create_response_from_buffer(body->n, bytes, MHD_RESPMEM_MUST_FREE);

    if (!response) {
        free(bytes);
        *body = (struct th_buf){0};
        http_drop(request);
        return;
    }
    *body = (struct th_buf){0};
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (answer->retry_after_s)
        add_number_header(response, MHD_HTTP_HEADER_RETRY_AFTER, answer->retry_after_s);
    if (answer->concurrent)
        add_number_header(response, "Twilio-Concurrent-Requests", answer->concurrent);
    request->response = response;
    request->status = answer->status;
    settle(request, ANSWERED);
}

void http_drop(struct http_request *request)
{
    settle(request, DROPPED);
}

static void free_stream(void *cls)
{
    struct stream *stream = cls;

    stream->free_source(stream->source);
    th_buf_fini(&stream->piece);
    free(stream);
}

static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
    struct stream *stream = cls;

    (void)pos;
    if (stream->sent == stream->piece.n) {
        th_buf_clear(&stream->piece);
        stream->sent = 0;
        if (stream->is_over)
            return MHD_CONTENT_READER_END_OF_STREAM;
        stream->is_over = !stream->next(stream->source, PIECE_SIZE, &stream->piece);
        if (stream->piece.is_failed)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = stream->piece.n - stream->sent;
    if (n == 0) {
        if (stream->is_over)
            return MHD_CONTENT_READER_END_OF_STREAM;
        stream->server->is_running_again = true;
        return 0;
    }
    if (n > max)
        n = max;
    memcpy(to, stream->piece.p + stream->sent, n);
    stream->sent += n;
    return (ssize_t)n;
}

void http_stream(struct http_request *request, const char *content_type, http_piece_fn *next,
                 void *source, void (*free_source)(void *source))
{
    struct stream *stream = calloc(1, sizeof *stream);
    struct MHD_Response *response = NULL;

    if (stream) {
        *stream = (struct stream){
            .server = request->server, .next = next, .source = source, .free_source = free_source};
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_SIZE, read_stream,
                                                     stream, free_stream);
    }
    if (!response) {
        free(stream);
        free_source(source);
        http_drop(request);
        return;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    request->response = response;
    request->status = MHD_HTTP_OK;
    settle(request, ANSWERED);
}
