/* http_server.h - HTTP in: libmicrohttpd, driven by the caller's own loop.
 *
 * One thread. The loop polls http_server_fd and calls http_server_run; handlers run inside that
 * call. A request that a handler does not answer at once waits, suspended, for a later
 * http_answer or http_drop, which each request gets exactly one of.
 */
#ifndef TELEHUB_SANDBOX_HTTP_SERVER_H
#define TELEHUB_SANDBOX_HTTP_SERVER_H

#include "common/buf.h"

#include <netinet/in.h>

#define HTTP_BODY_MAX        ((size_t)64 * 1024)
#define HTTP_CONNECTIONS_MAX 4000

struct http_server;
struct http_request;

/* request lives until it is answered or dropped. */
typedef void http_handler_fn(void *owner, struct http_request *request);

/* Listen and start. The address's port may be 0.
 * Errors: TH_UNAVAILABLE (the address is taken), TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code http_server_open(const struct sockaddr_in *address, http_handler_fn *handler,
                              void *owner, struct http_server **out_server, struct th_err *err);

/* Drops what still waits. Accepts NULL. */
void http_server_close(struct http_server *server);

TH_AUTO_DEFINE(http_server, struct http_server *, http_server_close)

uint16_t http_server_port(const struct http_server *server);

/* Readable when http_server_run has something to do. */
int http_server_fd(const struct http_server *server);
void http_server_run(struct http_server *server);

/* How long the loop may wait before it calls http_server_run anyway; -1: for ever. */
int http_server_wait_ms(struct http_server *server);

/* No new connections from now on. */
void http_server_quiesce(struct http_server *server);

struct th_str http_method(const struct http_request *request);
struct th_str http_path(const struct http_request *request); /* decoded, without the query */
struct th_str http_body(const struct http_request *request);

/* The value of a header or of a query parameter; p is NULL if there is none. */
struct th_str http_header(const struct http_request *request, const char *name);
struct th_str http_query(const struct http_request *request, const char *name);

/* Does the client speak from this machine's loopback? */
bool http_is_local(const struct http_request *request);

struct http_answer {
    unsigned status;
    const char *content_type;
    struct th_buf *body;    /* its memory is taken, the buffer is left empty */
    uint32_t retry_after_s; /* 0: no such header */
    uint32_t concurrent;    /* of the header Twilio-Concurrent-Requests; 0: none */
};

/* Answer. When there is no memory for it the connection is closed instead. */
void http_answer(struct http_request *request, const struct http_answer *answer);

/* Close the connection without an answer. */
void http_drop(struct http_request *request);

/* Fill *out with the next piece, up to about max bytes; leave it empty if some work was done but
 * nothing is to be said yet. False: that was the last piece. */
typedef bool http_piece_fn(void *source, size_t max, struct th_buf *out);

/* Answer 200 with what next gives, piece by piece; then free_source(source) is called, and so it
 * is when the client leaves early or nothing could be begun. */
void http_stream(struct http_request *request, const char *content_type, http_piece_fn *next,
                 void *source, void (*free_source)(void *source));

#endif
