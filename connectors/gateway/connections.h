/* connections.h - who is connected, and who takes too long.
 *
 * libmicrohttpd's timeout counts idle time only: a client that drips a byte a second is never idle.
 * So each connection notes what it is doing since when, and connections_sweep cuts off whoever
 * exceeds an absolute limit. Any thread.
 */
#ifndef TELEHUB_GATEWAY_CONNECTIONS_H
#define TELEHUB_GATEWAY_CONNECTIONS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/err.h"

enum connection_state {
    CONNECTION_IDLE, /* between two requests */
    CONNECTION_HEADERS,
    CONNECTION_BODY,
    CONNECTION_ANSWERING, /* all was read: ours to hurry; libmicrohttpd's timeout guards the rest */
};

struct connection {
    struct connection *next, *prev; /* guarded by connections.lock */
    int fd;
    uint32_t address; /* IPv4, as in a struct in_addr; 0: unknown */
    atomic_int state;
    atomic_int_fast64_t since_us; /* CLOCK_MONOTONIC */
    atomic_int_fast64_t body_bytes;
    unsigned requests; /* touched by its HTTP thread only */
};

struct connection_limits {
    int64_t header_us;
    int64_t body_us;
    int64_t body_bytes_per_s;
    int64_t idle_us;
};

struct connections {
    pthread_mutex_t lock; /* guards first and the links; held while a socket is shut down, so that
                             its number cannot be another's by then */
    struct connection *first;
    unsigned count;
};

void connections_init(struct connections *all);
void connections_fini(struct connections *all);

/* NULL when there is no memory: then the connection has no absolute limits but libmicrohttpd's. */
struct connection *connections_add(struct connections *all, int fd, uint32_t address,
                                   int64_t now_us);

/* How many there are from that address. */
unsigned connections_from(struct connections *all, uint32_t address);

void connections_remove(struct connections *all, struct connection *one); /* accepts NULL */

/* one may be NULL. */
void connection_enter(struct connection *one, enum connection_state state, int64_t now_us);
void connection_read(struct connection *one, size_t bytes);

/* Pure: has it exceeded a limit? */
bool connection_is_late(const struct connection *one, const struct connection_limits *limits,
                        int64_t now_us);

/* Shut down who is late; how many were. */
unsigned connections_sweep(struct connections *all, const struct connection_limits *limits,
                           int64_t now_us);

#endif
