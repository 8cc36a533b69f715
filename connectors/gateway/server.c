#include "connectors/gateway/server_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log_line.h"

#define TICK_US      50000
#define BACKLOG      1024
#define LOOK_WAIT_US 1000

/* --- connections ----------------------------------------------------------------------------- */

static uint32_t address_of(const struct sockaddr *from)
{
    struct sockaddr_in address;

    if (!from || from->sa_family != AF_INET)
        return 0;
    memcpy(&address, from, sizeof address);
    return address.sin_addr.s_addr;
}

void server_on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct loop *loop = cls;
    struct server *server = loop->server;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        loop->has_closed = true;
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
                                      info ? address_of(info->client_addr) : 0, server_now_us());
}

/* This machine's own are not counted: a proxy in front of us speaks for everybody, and the sandbox
 * for thousands. */
enum MHD_Result server_may_connect(void *cls, const struct sockaddr *from, socklen_t size)
{
    struct server *server = ((struct loop *)cls)->server;
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

static void *tick(void *arg)
{
    struct server *server = arg;
    const struct connection_limits limits = {
        .header_us = server->limits.header_us,
        .body_us = server->limits.body_us,
        .body_bytes_per_s = server->limits.body_bytes_per_s,
        .idle_us = server->limits.keep_alive_us,
    };

    while (!atomic_load(&server->is_over)) {
        (void)usleep(TICK_US);
        unsigned late = connections_sweep(&server->connections, &limits, server_now_us());
        if (late)
            th_log(TH_LOG_INFO, "gateway.slow_clients", TH_F("cut", late));
    }
    return NULL;
}

static enum th_code open_loops(struct server *server, int fd, struct th_err *err)
{
    server->loops = calloc(server->limits.threads, sizeof *server->loops);
    if (!server->loops)
        return th_fail(err, TH_NOMEM, "HTTP server");
    for (unsigned i = 0; i < server->limits.threads; i++) {
        int own = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* each loop closes its own */
        if (own < 0)
            return th_fail(err, TH_IO, "a socket: %s", strerror(errno));
        server->loops_n++;
        TH_TRY(loop_open(&server->loops[i], server, own, err));
    }
    return TH_OK;
}

static enum th_code open_parts(struct server *server, struct th_err *err)
{
    int fd = -1;

    TH_TRY(listen_on(&server->config, &fd, &server->port, err));
    enum th_code code = open_loops(server, fd, err);
    (void)close(fd);
    if (code != TH_OK)
        return code;
    server->has_ticker = pthread_create(&server->ticker, NULL, tick, server) == 0;
    if (!server->has_ticker)
        return th_fail(err, TH_IO, "no thread for the ticker");
    (void)pthread_setname_np(server->ticker, "gw-ticker");
    return TH_OK;
}

enum th_code server_open(const struct server_config *config, struct server **out_server,
                         struct th_err *err)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server)
        return th_fail(err, TH_NOMEM, "HTTP server");
    server->config = *config;
    server->limits = *config->limits;
    server->config.limits = &server->limits;
    connections_init(&server->connections);
    if (getrandom(&server->id_prefix, sizeof server->id_prefix, 0) != sizeof server->id_prefix)
        server->id_prefix = (uint64_t)th_clock_realtime_us(&th_clock_real);
    enum th_code code = open_parts(server, err);
    if (code != TH_OK) {
        server_close(server);
        return code;
    }
    *out_server = server;
    return TH_OK;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

void server_finish(struct server *server, struct request *request)
{
    (void)server;
    loop_finish(request->loop, request);
}

unsigned server_waiting(struct server *server)
{
    return atomic_load(&server->waiting_n);
}

static unsigned owned(const struct server *server)
{
    unsigned n = 0;

    for (unsigned i = 0; i < server->loops_n; i++)
        n += atomic_load(&server->loops[i].owned_n);
    return n;
}

void server_quiesce(struct server *server, int64_t wait_us)
{
    int64_t until_us = server_now_us() + wait_us;

    atomic_store(&server->is_closing, true);
    for (unsigned i = 0; i < server->loops_n; i++)
        loop_quiesce(&server->loops[i]);
    while (owned(server) && server_now_us() < until_us)
        (void)usleep(LOOK_WAIT_US);
    for (unsigned i = 0; i < server->loops_n; i++)
        loop_hurry(&server->loops[i]);
}

void server_close(struct server *server)
{
    if (!server)
        return;
    atomic_store(&server->is_closing, true);
    for (unsigned i = 0; i < server->loops_n; i++)
        loop_close(&server->loops[i]);
    free(server->loops);
    atomic_store(&server->is_over, true);
    if (server->has_ticker)
        (void)pthread_join(server->ticker, NULL);
    connections_fini(&server->connections);
    free(server);
}
