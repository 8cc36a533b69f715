/* http.h - an HTTP request, what became of it, and whoever performs it.
 *
 * Processors and providers know this file; the one implementation over the network lives in
 * connectors/http_client, and a simulation brings its own. What matters here is not the answer
 * but the certainty: after any failure a caller must know whether the peer can have acted.
 */
#ifndef TELEHUB_COMMON_HTTP_H
#define TELEHUB_COMMON_HTTP_H

#include "common/err.h"
#include "common/str.h"

#define HTTP_HEADERS_MAX        8
#define HTTP_URL_MAX            4096
#define HTTP_BODY_MAX           1048576
#define HTTP_REPLY_MAX          1048576 /* bytes of answer that are kept; more is an abort */
#define HTTP_CONNECT_TIMEOUT_MS 5000
#define HTTP_TIMEOUT_MS         15000
#define HTTP_TIMEOUT_MAX_MS     30000
#define HTTP_RETRY_AFTER_MAX_S  3600 /* what a peer asks beyond that is cut */
#define HTTP_ERROR_TEXT_MAX     160
#define HTTP_IN_FLIGHT_MAX      512

enum http_method {
    HTTP_GET,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
};

struct http_header {
    struct th_str name;
    struct th_str value;
};

/* Everything is borrowed until start returns. No view may hold CR, LF or NUL, but the body. */
struct http_req {
    enum http_method method;
    struct th_str url; /* absolute; https, or http to loopback; no user information */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t n_headers;
    struct th_str content_type; /* of the body; "" when there is none */
    struct th_str body;         /* of POST and PUT only */
    struct th_str user;         /* Basic authentication when not empty */
    struct th_str secret;       /* never shown in an error */
    int32_t connect_timeout_ms; /* 0: HTTP_CONNECT_TIMEOUT_MS */
    int32_t timeout_ms;         /* 0: HTTP_TIMEOUT_MS; at most HTTP_TIMEOUT_MAX_MS */
    bool fresh_connection;      /* never on a kept-alive one. Requests without a body never are, but
                                   for a GET that asks no permit: it is harmless to repeat */
};

/* Does req keep the rules above? Pure; asks nothing of the network.
 * Errors: TH_INVALID */
TH_MUST_USE
enum th_code http_req_check(const struct http_req *req, struct th_err *err);

/* An http or https URL whose host is 127.0.0.0/8, ::1 or "localhost"; what such a URL says is not
 * trusted to a name server. False for what is no URL. */
bool http_url_is_loopback(struct th_str url);

/* How far it came. */
enum http_phase {
    HTTP_NOT_STARTED, /* no connection yet */
    HTTP_CONNECTED,   /* a connection stands, and nothing has left */
    HTTP_BEGUN,       /* the first byte may have left */
    HTTP_ANSWERING,   /* something of the answer arrived */
    HTTP_COMPLETE,    /* all of the answer arrived */
};

struct http_reply {
    enum http_phase phase;
    bool may_have_left; /* the peer may hold a complete request: false is a proof, true a doubt */
    bool is_refused;    /* the permit said no */
    long status;        /* 0 when no answer began */
    struct th_str body; /* what arrived of it, <= HTTP_REPLY_MAX */
    int64_t retry_after_s; /* from Retry-After, in either form, cut at HTTP_RETRY_AFTER_MAX_S;
                              -1 none */
    int64_t started_us;    /* UTC: start was called */
    int64_t finished_us;   /* UTC */
    char error[HTTP_ERROR_TEXT_MAX]; /* "" when complete; no URL, number or secret in it */
};

/* May the request leave? Asked once, at the last moment at which "no" is still a proof: when a
 * connection stands, in front of the first byte; of a request without a body, inside start. It may
 * do what must precede the send (mark the permit used, write a journal). Runs inside start or poll
 * and must neither block nor call the client. A NULL function permits: look-ups ask nobody. */
struct http_permit {
    bool (*may_send)(void *arg);
    void *arg; /* stays valid until the reply was polled */
};

struct http_done {
    uint64_t tag;
    struct http_reply reply; /* its body lives until the next call of poll */
};

struct http_client;

/* What performs requests. One thread at a time; none of its own. */
struct http_client_ops {
    /* Take one request. Exactly one http_done with this tag will follow, whatever happens.
     * Errors: TH_FULL     as many are in flight as the client was opened for; nothing happened
     *         TH_INVALID  the request breaks a rule above; nothing happened
     *         TH_DENIED   the permit said no to a request without a body; nothing happened
     *         TH_NOMEM */
    enum th_code (*start)(struct http_client *client, const struct http_req *req,
                          struct http_permit permit, uint64_t tag, struct th_err *err);

    /* Do what is due without waiting, then give up to max finished requests. Call it after the
     * starts of a turn and whenever fd is readable; a full out_done means: call again. */
    size_t (*poll)(struct http_client *client, struct http_done *out_done, size_t max);

    /* Readable (EPOLLIN, level-triggered) while poll has something to do; belongs to the client. */
    int (*fd)(const struct http_client *client);

    /* Started and not yet polled. */
    size_t (*in_flight)(const struct http_client *client);

    /* What is in flight is cut off without a report. Accepts NULL. */
    void (*close)(struct http_client *client);
};

struct http_client {
    const struct http_client_ops *ops;
};

TH_MUST_USE
static inline enum th_code http_start(struct http_client *client, const struct http_req *req,
                                      struct http_permit permit, uint64_t tag, struct th_err *err)
{
    return client->ops->start(client, req, permit, tag, err);
}

static inline size_t http_poll(struct http_client *client, struct http_done *out_done, size_t max)
{
    return client->ops->poll(client, out_done, max);
}

static inline int http_fd(const struct http_client *client)
{
    return client->ops->fd(client);
}

static inline size_t http_in_flight(const struct http_client *client)
{
    return client->ops->in_flight(client);
}

static inline void http_client_close(struct http_client *client)
{
    if (client)
        client->ops->close(client);
}

TH_AUTO_DEFINE(http_client, struct http_client *, http_client_close)

#endif
