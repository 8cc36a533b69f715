#include "connectors/gateway/server_parts.h"

static void add_headers(const struct request *request, struct MHD_Response *response)
{
    if (request->answer.n)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, request->answer_type);
    for (size_t i = 0; i < request->headers_n; i++)
        (void)MHD_add_response_header(response, request->headers[i].name,
                                      request->headers[i].value.p);
}

enum MHD_Result reply_send(struct server *server, struct request *request,
                           struct MHD_Connection *connection)
{
    const struct connection *mine = connection_of(connection);

    if (request->answer.is_failed)
        return MHD_NO; /* no memory: the connection is closed */
    struct MHD_Response *response = MHD_create_response_from_buffer(
        request->answer.n, request->answer.p, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return MHD_NO;
    add_headers(request, response);
    if (request->must_close || (mine && mine->requests >= server->limits.keep_alive_requests) ||
        atomic_load(&server->is_closing))
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(connection, request->status, response);
    MHD_destroy_response(response);
    if (server->config.answered)
        server->config.answered(request, request->status);
    return result;
}

enum MHD_Result reply_expired(struct server *server, struct request *request,
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
