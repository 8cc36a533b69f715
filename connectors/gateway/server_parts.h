/* server_parts.h - what the files of the server share; nobody else includes it.
 *
 *   server.c  opens, listens, cuts off whoever is slow, closes
 *   loop.c    a thread that drives one libmicrohttpd, and the requests that wait in it
 *   intake.c  a request comes in: headers, body, all that can be refused early
 *   reply.c   the answer goes out
 */
#ifndef TELEHUB_GATEWAY_SERVER_PARTS_H
#define TELEHUB_GATEWAY_SERVER_PARTS_H

#include <microhttpd.h>
#include <pthread.h>

#include "common/clock.h"
#include "connectors/gateway/connections.h"
#include "connectors/gateway/gateway.h"
#include "connectors/gateway/server.h"

struct server {
    struct server_config config;
    struct gateway_limits limits;
    uint16_t port;
    struct connections connections;
    uint64_t id_prefix; /* of requests' ids */
    atomic_uint_fast64_t id_next;
    atomic_bool is_closing;
    atomic_uint waiting_n; /* suspended, in all loops */
    struct loop *loops;
    unsigned loops_n;
    pthread_t ticker;
    bool has_ticker;
    atomic_bool is_over; /* for the ticker */
};

/* One thread and its libmicrohttpd. Requests are suspended and resumed by this thread alone. */
struct loop {
    struct server *server;
    struct MHD_Daemon *daemon;
    int epoll_fd; /* libmicrohttpd's */
    int wake_fd;  /* eventfd */
    pthread_t thread;
    bool has_thread;
    struct request *first, *last; /* suspended, in the order of their deadlines */
    struct request *taken;        /* being handed over at this moment */
    bool has_taken;               /* in this turn, and somebody still has it */
    bool has_closed;              /* a connection, in this turn of the thread */
    bool has_failed;              /* this turn: libmicrohttpd may not listen */
    atomic_uint owned_n;          /* requests that somebody still has to finish */

    pthread_mutex_t lock; /* guards all below */
    struct request *finished, *finished_last;
    bool has_news;  /* something below or finished has changed */
    bool is_asleep; /* wake_fd has to be written to */
    bool is_quiescing;
    bool is_hurrying; /* nothing is waited for any longer */
    bool is_over;
};

static inline int64_t server_now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

static inline struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

/* --- loop.c --- */

/* loop is zeroed; fd is a listening socket, which is taken.
 * Errors: TH_IO, TH_NOMEM; loop_close is called even then */
TH_MUST_USE
enum th_code loop_open(struct loop *loop, struct server *server, int fd, struct th_err *err);

/* Give the request to its owner, and suspend it unless it was finished at once. False: too many
 * wait already, nobody owns it. Sets request->phase. The loop's thread. */
bool loop_hand_over(struct loop *loop, struct request *request);

/* The owner gives the request up. Any thread. */
void loop_finish(struct loop *loop, struct request *request);

/* No new connections. Any thread. */
void loop_quiesce(struct loop *loop);

/* Whoever still waits is answered now. Any thread. */
void loop_hurry(struct loop *loop);

/* After the owners have finished everything. */
void loop_close(struct loop *loop);

/* --- intake.c: libmicrohttpd's callbacks; cls is the loop --- */

void *intake_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result intake_access(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **con_cls);
void intake_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode code);

/* --- server.c: the same --- */

enum MHD_Result server_may_connect(void *cls, const struct sockaddr *from, socklen_t size);
void server_on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code);

/* --- reply.c --- */

enum MHD_Result reply_send(struct server *server, struct request *request,
                           struct MHD_Connection *connection);

/* The request's owner may still be writing into it: this answer comes from elsewhere. */
enum MHD_Result reply_expired(struct server *server, struct request *request,
                              struct MHD_Connection *connection);

#endif
