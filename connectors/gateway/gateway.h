/* gateway.h - the door: commands and callbacks in, answers out, over HTTP.
 *
 * schemas/openapi.yaml says what it serves. A write is answered when it is durable, not before; a
 * read comes from the views. The gateway knows the log, the reference, the views, secrets and the
 * providers through interfaces only, so that tests can give it any of them.
 *
 * Threads: its own (libmicrohttpd's, writers, workers, a ticker). Whatever the config points to
 * must outlive it and be usable from any thread, but for http, which is used by one at a time.
 */
#ifndef TELEHUB_GATEWAY_GATEWAY_H
#define TELEHUB_GATEWAY_GATEWAY_H

#include "common/clock.h"
#include "common/conf.h"
#include "common/eventlog/log.h"
#include "common/eventlog/reference.h"
#include "common/metrics.h"
#include "common/provider.h"
#include "common/secrets.h"
#include "common/views.h"

struct gateway;

/* Settings; their table is gateway_conf_keys. Times in microseconds. */
struct gateway_limits {
    unsigned threads;                 /* that speak HTTP */
    unsigned workers;                 /* that ask the views */
    unsigned connections;             /* in all */
    unsigned connections_per_address; /* but for loopback's; 0: no limit */
    int64_t header_us;                /* for all headers of a request */
    int64_t body_us;                  /* for all of its body */
    int64_t body_bytes_per_s;         /* and no slower than this, after the first second */
    int64_t keep_alive_us;            /* an idle connection is closed */
    unsigned keep_alive_requests;
    int64_t deadline_us;   /* a request that waits is answered 503 */
    unsigned waiting_max;  /* requests that wait at one time */
    int64_t token_wait_us; /* how long a read waits for the views to reach its token */
    size_t pending_bytes_max;
    int64_t pending_age_us; /* of the oldest request that is not yet handed to the log */
};

struct gateway_limits gateway_limits_default(void);

/* The keys of the settings above, and the limits that a configuration holds. */
extern const struct th_conf_key gateway_conf_keys[];
struct gateway_limits gateway_limits_of(const struct th_conf *conf);

/* Is a part of this process well? For /health; any thread. */
struct gateway_check {
    const char *name;
    bool (*is_well)(void *arg);
    void *arg;
};

struct gateway_config {
    struct th_log *log;
    struct reference *reference; /* somebody follows the log into it */
    struct views *views;         /* NULL: questions are answered 503 */
    struct secrets *secrets;
    const struct th_clock *clock;
    struct th_metrics *metrics; /* NULL: none are counted or shown */
    void (*measure)(void *arg); /* before they are shown, by a worker; or NULL */
    void *measure_arg;
    const struct provider_ops *const *providers; /* ends at NULL */
    struct http_client *http;                    /* for checks of accounts; NULL: 503 */
    const struct gateway_check *checks;          /* ends at .name == NULL; NULL: none */
    const char *address;                         /* IPv4 to listen on, "127.0.0.1" */
    uint16_t port;                               /* 0: any */
    const char *public_url; /* what providers call, without a slash at the end; NULL: the address
                               that it listens on */
    struct th_str operator_key; /* 16 bytes or more; copied */
    struct gateway_limits limits;
};

/* Errors: TH_INVALID      address, public URL, operator's key
 *         TH_UNAVAILABLE  the port is taken
 *         TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code gateway_open(const struct gateway_config *config, struct gateway **out_gateway,
                          struct th_err *err);

uint16_t gateway_port(const struct gateway *gateway);

/* Answer what can be answered, refuse the rest with 503, stop. Accepts NULL. */
void gateway_close(struct gateway *gateway);
TH_AUTO_DEFINE(gateway, struct gateway *, gateway_close)

#endif
