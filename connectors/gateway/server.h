/* server.h - HTTP in: libmicrohttpd, and what stands between it and us.
 *
 * It reads a request (its headers checked, its body bounded), hands it to take, and sends the
 * answer when somebody has finished it. A request that is not answered at once is suspended; at its
 * deadline it is answered 503 whatever its owner is doing, and each is resumed exactly once.
 */
#ifndef TELEHUB_GATEWAY_SERVER_H
#define TELEHUB_GATEWAY_SERVER_H

#include "connectors/gateway/request.h"

struct server;
struct gateway_limits;

struct server_config {
    struct gateway *gateway;
    const char *address;
    uint16_t port;
    const struct gateway_limits *limits;

    /* Method and path are known, the body is not read yet: find the route and who is calling.
     * False: the answer is there. HTTP thread. */
    bool (*admit)(struct request *request);

    /* It is whole. The HTTP thread hands its ownership over: sooner or later somebody calls
     * server_finish, perhaps before take returns. */
    void (*take)(struct request *request);

    /* All that had come was taken: what take has put off can be done. HTTP thread; not called any
     * more when server_quiesce has returned in time. May be NULL. */
    void (*turned)(struct gateway *gateway);

    /* It was answered, with that status. Any thread. */
    void (*answered)(struct request *request, unsigned status);
};

/* Errors: TH_INVALID (address), TH_UNAVAILABLE (port is taken), TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code server_open(const struct server_config *config, struct server **out_server,
                         struct th_err *err);

uint16_t server_port(const struct server *server);

/* The answer is there; the owner gives the request up. */
void server_finish(struct server *server, struct request *request);

/* Requests that wait for somebody. */
unsigned server_waiting(struct server *server);

/* No new connections, and what comes over old ones is refused. Then wait until nobody owns a
 * request any more, at most wait_us. */
void server_quiesce(struct server *server, int64_t wait_us);

/* After server_quiesce, when no owner is left. Accepts NULL. */
void server_close(struct server *server);

#endif
