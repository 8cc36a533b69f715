/* peer.h - a TCP server for tests that does exactly what a row of a table says, and counts.
 *
 * It shares no code with what it tests: raw sockets, one thread per connection.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_PEER_H
#define TELEHUB_TESTS_INTEGRATION_PEER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum peer_conduct {
    PEER_ANSWERS,         /* answer, keep the connection */
    PEER_ANSWERS_ONCE,    /* answer, then close: the kept-alive connection is dead */
    PEER_EXECUTES_CLOSES, /* answer the first of a connection; read the second whole, then close */
    PEER_HEADER_CLOSES,   /* the same, but the second is cut off once its header was read */
    PEER_SILENT,          /* read the request whole, never answer */
    PEER_DEAF,            /* accept, read nothing, say nothing */
    PEER_PARTIAL,         /* answer, but close in the middle of the body */
    PEER_ENDLESS,         /* a body that never ends */
    PEER_ENDLESS_HEADER,  /* a header that never ends */
    PEER_STALLS,          /* a few bytes of body, then nothing */
    PEER_RESETS,          /* read the request whole, then reset the connection */
};

#define PEER_LINE_MAX 200

/* What was said in a header. */
struct peer_request {
    char first_line[PEER_LINE_MAX];
    char authorization[PEER_LINE_MAX]; /* the whole field */
};

struct peer {
    enum peer_conduct conduct;
    const char *answer; /* from the status line on; static */
    int listen_fd;
    int port;
    atomic_int n_connections;
    atomic_int n_headers;  /* requests whose header arrived */
    atomic_int n_executed; /* requests that arrived whole, body and all */
    atomic_long n_body;    /* bytes of bodies that arrived */
    atomic_int n_threads;
    atomic_bool is_stopping;
    pthread_mutex_t mutex; /* guards what follows */
    struct peer_request last;
};

#define PEER_OK                                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n"              \
    "{\"sid\":\"SM01\"}"

void peer_start(struct peer *peer, enum peer_conduct conduct, const char *answer);
void peer_stop(struct peer *peer);

/* Of the request whose header arrived last. */
struct peer_request peer_last(struct peer *peer);

#endif
