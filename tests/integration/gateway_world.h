/* gateway_world.h - a gateway on a log of this process, and a client that speaks HTTP over a raw
 * socket, so that it can also say what no client should.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_GATEWAY_WORLD_H
#define TELEHUB_TESTS_INTEGRATION_GATEWAY_WORLD_H

#include <pthread.h>

#include "connectors/gateway/gateway.h"
#include "tests/integration/gateway_views.h"

#define WORLD_OPERATOR_KEY "operator-key-of-the-tests"
#define WORLD_TENANT       "pratham"
#define ANSWER_MAX         ((size_t)1024 * 1024)

struct world {
    struct th_log *log; /* given, or made */
    bool owns_log;
    struct reference *reference;
    struct secrets *secrets;
    struct gateway_views views;
    struct th_metrics *metrics;
    struct gateway *gateway;
    uint16_t port;
    char dir[64];
    char key[80];       /* of WORLD_TENANT */
    char other_key[80]; /* of another tenant, "other" */
    pthread_t follower;
    int stop_fd;
};

struct world_options {
    struct gateway_limits limits;
    struct th_log *log;       /* NULL: a memory log */
    struct http_client *http; /* may be NULL */
    bool has_no_views;
    bool has_no_tenants;
};

struct world_options world_options_default(void);

/* Start all of it and create the two tenants over HTTP. Ends the test on failure. */
void world_start(struct world *world, const struct world_options *options);
void world_stop(struct world *world);

/* --- the client ------------------------------------------------------------------------------- */

struct http_answer {
    int status; /* 0: the connection was closed without one */
    char head[8192];
    char *body; /* ends with a NUL */
    size_t body_n;
    bool is_closed; /* by the server, after it */
};

void answer_free(struct http_answer *answer);

/* A header of the answer, or "". Static storage of the calling thread. */
const char *answer_header(const struct http_answer *answer, const char *name);

/* A string member of a JSON body, however deep, by its first occurrence; "" if there is none. */
const char *answer_member(const struct http_answer *answer, const char *name);

struct call {
    const char *method;
    const char *target;
    const char *key;     /* bearer; NULL: none */
    const char *idem;    /* Idempotency-Key; NULL: none */
    const char *type;    /* Content-Type; NULL: JSON if there is a body */
    const char *headers; /* more, each with CRLF; NULL: none */
    const char *body;    /* NULL: none */
    size_t body_n;       /* 0: strlen */
};

/* One request on a connection of its own. */
struct http_answer world_call(const struct world *world, const struct call *call);

/* A connection, and whole requests on it. */
int world_connect(const struct world *world);
struct http_answer connection_call(int fd, const struct call *call);

/* Bytes as they are, and what comes back: until an answer is whole or the connection is closed;
 * wait_ms at most between two pieces. */
void connection_send(int fd, const void *bytes, size_t n);
struct http_answer connection_receive(int fd, int wait_ms);

/* --- the log ------------------------------------------------------------------------------------
 */

/* Every event of a topic, partition by partition. */
typedef void world_event_fn(void *arg, const struct event *event, const struct log_record *record);
void log_events(struct th_log *log, enum topic topic, world_event_fn *fn, void *arg);

size_t world_count(const struct world *world, enum topic topic, enum event_type type);

#endif
