#include "connectors/gateway/server_parts.h"

#include <endian.h>
#include <string.h>

#include "common/encode.h"
#include "connectors/gateway/problem.h"
#include "connectors/gateway/routes.h"

/* A body above its route's bound but within this is read and thrown away, so that the client is
 * there to read our answer; beyond it the connection is simply closed. */
#define BODY_DRAINED_MAX ((int64_t)2 * 1024 * 1024)

struct headers {
    struct request *request;
    struct header_check check;
};

/* Headers live as long as the connection, which a worker may outlive: those that are asked for
 * later are copied. */
static void keep(struct request *request, struct th_str *to, struct th_str value)
{
    if (th_arena_copy(&request->arena, value, to) == TH_OK)
        return;
    *to = (struct th_str){0};
    request->has_no_memory = true;
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

/* The process, then a number. */
static void name_request(struct server *server, struct request *request)
{
    uint64_t process = htobe64(server->id_prefix);
    uint32_t number = htobe32((uint32_t)atomic_fetch_add(&server->id_next, 1));
    char bytes[REQUEST_ID_LEN / 2];

    memcpy(bytes, &process, sizeof process);
    memcpy(bytes + sizeof process, &number, sizeof number);
    th_hex((struct th_str){bytes, sizeof bytes}, request->id);
}

/* The raw target comes before anything else; the request begins here. */
void *intake_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct server *server = ((struct loop *)cls)->server;
    struct request *request = request_new(server->config.gateway);
    int64_t now_us = server_now_us();
    struct connection *mine = connection_of(connection);
    struct th_str text = th_str(target);

    if (mine && atomic_load(&mine->state) == CONNECTION_IDLE)
        connection_enter(mine, CONNECTION_HEADERS, now_us);
    if (!request)
        return NULL;
    request->begun_us = now_us;
    request->connection = connection;
    request->is_target_too_long = text.n > TARGET_MAX;
    if (text.n > TARGET_MAX)
        text.n = TARGET_MAX;
    keep(request, &request->target, text);
    name_request(server, request);
    return request;
}

static enum MHD_Result refuse(struct server *server, struct request *request,
                              struct MHD_Connection *connection)
{
    request->must_close = true;
    return reply_send(server, request, connection);
}

static bool read_target(struct request *request)
{
    struct th_str query;

    (void)th_str_cut(request->target, '?', &request->path, &query);
    enum th_code code = form_parse(query, &request->arena, &request->query);
    request->has_no_memory = request->has_no_memory || code == TH_NOMEM;
    return code == TH_OK;
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
    connection_enter(mine, CONNECTION_BODY, server_now_us());
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
    bool is_read = read_target(request);
    /* A header that is missing now means something else than what was sent. */
    if (request->has_no_memory) {
        (void)problem(request, PROBLEM_UNAVAILABLE, "there is no memory left");
        return refuse(server, request, connection);
    }
    if (!is_read) {
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

static enum MHD_Result hand_over(struct loop *loop, struct request *request,
                                 struct MHD_Connection *connection)
{
    connection_enter(connection_of(connection), CONNECTION_ANSWERING, server_now_us());
    if (request->is_too_long) {
        (void)problem(request, PROBLEM_TOO_LARGE, "at most %zu bytes",
                      route_body_max(request->route));
        return refuse(loop->server, request, connection);
    }
    if (!loop_hand_over(loop, request)) {
        (void)problem(request, PROBLEM_OVERLOADED, "too many requests wait");
        return reply_send(loop->server, request, connection);
    }
    return request->phase == REQUEST_ANSWERED ? reply_send(loop->server, request, connection)
                                              : MHD_YES;
}

enum MHD_Result intake_access(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **con_cls)
{
    struct loop *loop = cls;
    struct request *request = *con_cls;

    (void)url;
    if (!request)
        return MHD_NO;
    switch (request->phase) {
    case REQUEST_ANSWERED:
        return reply_send(loop->server, request, connection);
    case REQUEST_EXPIRED:
        return reply_expired(loop->server, request, connection);
    case REQUEST_WAITING:
        return MHD_YES;
    case REQUEST_RUNNING:
        break;
    }
    if (!request->is_begun)
        return begin(loop->server, request, connection, method, version);
    if (*size)
        return read_body(request, connection, data, size);
    return hand_over(loop, request, connection);
}

void intake_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode code)
{
    struct request *request = *con_cls;

    (void)cls;
    (void)code;
    connection_enter(connection_of(connection), CONNECTION_IDLE, server_now_us());
    *con_cls = NULL;
    if (request)
        request_unref(request);
}
