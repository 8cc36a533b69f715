/* request.h - one request on its way: what was asked, by whom, and what is answered.
 *
 * Owned by one thread at a time: the HTTP thread that reads it, then perhaps a worker, then perhaps
 * a writer. Whoever owns it last calls request_finish. The connection can be answered without it
 * (at its deadline, 503), so it is counted: it is freed when connection and owner have both let go.
 */
#ifndef TELEHUB_GATEWAY_REQUEST_H
#define TELEHUB_GATEWAY_REQUEST_H

#include <stdatomic.h>

#include "common/arena.h"
#include "common/buf.h"
#include "common/eventlog/log.h"
#include "common/form.h"
#include "connectors/gateway/header_check.h"

#define REQUEST_PARAMS_MAX     2
#define REQUEST_HEADERS_MAX    6 /* of an answer */
#define REQUEST_OUTPUTS_MAX    4
#define REQUEST_ERRORS_MAX     50
#define REQUEST_ID_LEN         24
#define REQUEST_SIGNATURES_MAX 4
#define TARGET_MAX             4096 /* bytes of path and query */

struct MHD_Connection;
struct gateway;
struct loop;
struct route;

enum caller {
    CALLER_NOBODY,
    CALLER_TENANT,
    CALLER_OPERATOR,
};

enum request_phase {
    REQUEST_RUNNING, /* in the HTTP thread */
    REQUEST_WAITING, /* suspended */
    REQUEST_ANSWERED,
    REQUEST_EXPIRED, /* suspended for too long; its answer is the server's own */
};

/* What a handler has left to do. */
enum handled {
    HANDLED_ANSWERED, /* the answer is there */
    HANDLED_STORE,    /* claim goes to the log; the answer is what becomes of it */
};

struct answer_header {
    const char *name;
    struct th_str value; /* ends with a NUL, in the arena or static */
};

/* RFC 9457's errors[], one thing that is wrong. */
struct problem_error {
    struct th_str pointer; /* "#/name"; empty: none */
    struct th_str code;
    struct th_str detail;
    int64_t row; /* of a CSV; 0: none */
    struct th_str column;
};

struct request {
    unsigned magic;
    atomic_uint refs;
    enum request_phase phase; /* of the HTTP thread alone */
    struct gateway *gateway;
    struct loop *loop;                 /* of the HTTP thread that it came from */
    struct MHD_Connection *connection; /* valid while not answered */
    struct request *next, *prev;       /* among those that wait */
    int64_t deadline_us;
    struct request *queued; /* next in a worker's or writer's queue, among the finished or the
                               spare ones */

    struct th_arena arena;
    struct th_buf body;
    int64_t begun_us;     /* CLOCK_MONOTONIC */
    struct th_str target; /* raw: path and query */
    struct th_str path;
    struct th_str method;
    struct form query;
    const struct route *route;
    struct th_str params[REQUEST_PARAMS_MAX];
    char id[REQUEST_ID_LEN + 1];
    bool is_begun;    /* headers were looked at */
    bool is_too_long; /* the body; it is read to its end and then refused */
    size_t drained;   /* bytes of a body that is too long */
    bool is_target_too_long;
    bool has_no_memory; /* something of it could not be kept: it is answered 503, nothing else */

    /* Headers that somebody asks for; empty when missing. */
    struct th_str authorization;
    struct th_str idempotency_key;
    struct th_str token;
    struct th_str accept;
    struct th_str content_type;
    struct form_pair signatures[REQUEST_SIGNATURES_MAX]; /* headers called "…-Signature" */
    size_t signatures_n;
    bool has_idempotency_key;

    enum caller caller;
    struct th_str tenant; /* of CALLER_TENANT */
    struct th_str actor;  /* "api:KEY", "operator" */
    char country[3];      /* the tenant's; "" unknown */

    /* What goes to the log. */
    struct log_claim claim;
    struct log_output outputs[REQUEST_OUTPUTS_MAX];
    size_t outputs_size;
    struct th_str event_id; /* text */
    int64_t queued_us;
    uint64_t key_hash;
    struct request *in_flight; /* next in the bucket of keys being worked on */

    unsigned status;
    const char *answer_type;
    struct th_buf answer;
    struct answer_header headers[REQUEST_HEADERS_MAX];
    size_t headers_n;
    bool must_close;
    struct problem_error *errors; /* room for REQUEST_ERRORS_MAX once there is one */
    size_t errors_n;
};

/* NULL when there is no memory. */
struct request *request_new(struct gateway *gateway);
void request_ref(struct request *request);
void request_unref(struct request *request);

/* Spare ones are kept for the next of this thread; give them all back. */
void request_free_spare(void);

/* A parameter of the query; false, and empty, if it was not given. */
bool request_query(const struct request *request, const char *name, struct th_str *out_value);

/* Answer with what is in request->answer. */
enum handled request_answer(struct request *request, unsigned status);

/* The same with JSON that does not have to be written first. */
enum handled request_answer_json(struct request *request, unsigned status, struct th_str json);

/* value must end with a NUL. Too many are a bug. */
void request_header(struct request *request, const char *name, struct th_str value);

#endif
