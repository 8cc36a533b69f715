/* client.h - the gateway, as a command sees it: one request after the other.
 *
 * A write carries an Idempotency-Key that is new for each invocation, so it may be repeated while
 * the answer is missing (503, 409 of a repeat, a connection that broke): at most CLIENT_PATIENCE_S
 * long. The newest TeleHub-Token goes with every later request, so that a command reads what it
 * wrote.
 */
#ifndef TELEHUB_PROCESSORS_CLI_CLIENT_H
#define TELEHUB_PROCESSORS_CLI_CLIENT_H

#include "common/buf.h"
#include "processors/cli/cli.h"

#define CLIENT_PATIENCE_S 30
#define CLIENT_REPLY_MAX  ((size_t)8 * 1024 * 1024)
#define CLIENT_PATH_MAX   2048
#define CLIENT_TOKEN_MAX  512

struct client;

enum client_as {
    CLIENT_TENANT,
    CLIENT_OPERATOR,
};

struct client_ask {
    const char *method; /* "GET" */
    const char *path;   /* "/api/v1/…", with its query */
    enum client_as as;
    const char *content_type; /* NULL: application/json */
    const char *accept;       /* NULL: application/json */
    struct th_str body;       /* p NULL: none */
    bool is_independent; /* need not see what was written before: nothing waits for the views */
};

struct client_reply {
    long status;
    struct th_buf body; /* freed by client_reply_fini; reused by the next call */
    char next_cursor[CLIENT_TOKEN_MAX];
};

static inline void client_reply_auto(struct client_reply *reply)
{
    th_buf_fini(&reply->body);
}

/* Reads where the gateway is and the keys.
 * Errors: TH_NOT_FOUND  nothing runs there, or no key: the text says what to do
 *         TH_CONFLICT   several tenants, and none was named; TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code client_open(const struct cli *cli, struct client **out_client, struct th_err *err);
void client_close(struct client *client);
TH_AUTO_DEFINE(client, struct client *, client_close)

const char *client_url(const struct client *client);

/* The tenant whose key is used. Errors: as client_open's. */
TH_MUST_USE
enum th_code client_tenant(struct client *client, const char **out_tenant, struct th_err *err);

/* Errors: TH_UNAVAILABLE  no definite answer in time
 *         TH_INVALID, TH_DENIED, TH_NOT_FOUND, TH_CONFLICT, TH_FULL: refused; the text is the
 *         gateway's sentence */
TH_MUST_USE
enum th_code client_ask(struct client *client, const struct client_ask *ask,
                        struct client_reply *reply, struct th_err *err);

/* Any URL, line by line, e.g. a provider's ledger. on_line may fail; the line is borrowed. */
TH_MUST_USE
enum th_code client_lines(const char *url,
                          enum th_code (*on_line)(void *arg, struct th_str line,
                                                  struct th_err *err),
                          void *arg, struct th_err *err);

/* Append s as it may stand in a path or query. */
void client_escape(struct th_buf *out, struct th_str s);

#endif
