/* bare_ingest - the same work as POST /api/v1/sends with nothing durable: libmicrohttpd reads the
 * request, jansson the body, and the answer is 202 with an id. What the gateway is compared with.
 *
 *   bare_ingest [THREADS, default 2]
 *
 * Prints its port on standard output and serves until standard input ends.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX 4096

struct request {
    size_t n;
    char body[BODY_MAX];
};

static atomic_uint_fast64_t served;

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, char *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);

    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* What any server of this route would look at. */
static bool is_send(const char *body, size_t n)
{
    json_error_t error;
    json_t *root = json_loadb(body, n, 0, &error);
    bool is_good = json_is_string(json_object_get(root, "channel")) &&
                   json_is_string(json_object_get(root, "to")) &&
                   json_is_string(json_object_get(root, "text"));

    json_decref(root);
    return is_good;
}

static enum MHD_Result conclude(struct MHD_Connection *connection, const struct request *request)
{
    char body[128];
    char wrong[] = "{\"title\":\"not a send\"}";

    if (!MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization") ||
        !MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key") ||
        !is_send(request->body, request->n))
        return answer(connection, MHD_HTTP_BAD_REQUEST, wrong);
    (void)snprintf(body, sizeof body, "{\"id\":\"00000000-0000-8000-8000-%012llx\"}",
                   (unsigned long long)atomic_fetch_add(&served, 1));
    return answer(connection, MHD_HTTP_ACCEPTED, body);
}

static enum MHD_Result on_request(void *unused, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **context)
{
    struct request *request = *context;

    (void)unused;
    (void)url;
    (void)method;
    (void)version;
    if (!request) {
        *context = calloc(1, sizeof *request);
        return *context ? MHD_YES : MHD_NO;
    }
    if (*data_n > 0) {
        size_t n = *data_n < BODY_MAX - request->n ? *data_n : BODY_MAX - request->n;
        memcpy(request->body + request->n, data, n);
        request->n += n;
        *data_n = 0;
        return MHD_YES;
    }
    return conclude(connection, request);
}

static void on_end(void *unused, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code)
{
    (void)unused;
    (void)connection;
    (void)code;
    free(*context);
    *context = NULL;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request, NULL,
        MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_NOTIFY_COMPLETED, on_end,
        NULL, MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_END);
    char wait;

    if (!daemon)
        return 1;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    printf("%u\n", info ? info->port : 0);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &wait, 1) > 0)
        continue;
    MHD_stop_daemon(daemon);
    return 0;
}
