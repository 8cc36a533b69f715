#include "connectors/gateway/gateway.h"

#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/log_line.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/write.h"

#define OPERATOR_KEY_MIN 16
#define QUIESCE_US       (5 * TH_US_PER_SEC)

/* --- settings ----------------------------------------------------------------------------------
 */

const struct th_conf_key gateway_conf_keys[] = {
    {"http_threads", TH_CONF_INT, "1", "1", "64", "threads", NULL,
     "Threads that speak HTTP; one is good for tens of thousands of requests a second."},
    {"http_workers", TH_CONF_INT, "8", "1", "64", "threads", NULL,
     "Threads that answer questions from the views."},
    {"http_connections", TH_CONF_INT, "4000", "10", "60000", "connections", NULL,
     "Connections at one time."},
    {"http_connections_per_address", TH_CONF_INT, "200", "0", "60000", "connections", NULL,
     "Connections from one address, but for this machine's own; 0: no limit."},
    {"http_header_timeout", TH_CONF_DURATION, "5s", "10ms", "10min", NULL, NULL,
     "For all headers of a request."},
    {"http_body_timeout", TH_CONF_DURATION, "20s", "10ms", "10min", NULL, NULL,
     "For all of a request's body."},
    {"http_body_rate", TH_CONF_SIZE, "1kB", "0B", "1MB", NULL, NULL,
     "A body may not come slower than this, per second."},
    {"http_keep_alive", TH_CONF_DURATION, "60s", "1s", "1h", NULL, NULL,
     "An idle connection is closed after this."},
    {"http_keep_alive_requests", TH_CONF_INT, "1000", "1", "1000000000", "requests", NULL,
     "Requests over one connection."},
    {"http_deadline", TH_CONF_DURATION, "10s", "10ms", "10min", NULL, NULL,
     "A request that waits for the log or the views is answered 503 after this."},
    {"http_waiting", TH_CONF_INT, "2000", "1", "60000", "requests", NULL,
     "Requests that wait at one time."},
    {"http_token_wait", TH_CONF_DURATION, "5s", "0ms", "1min", NULL, NULL,
     "How long a read with a TeleHub-Token waits for the views."},
    {"ingest_pending", TH_CONF_SIZE, "64MB", "64kB", "1GB", NULL, NULL,
     "Bytes that may wait for the log before requests are refused."},
    {"ingest_age", TH_CONF_DURATION, "2s", "10ms", "1min", NULL, NULL,
     "How long a request may wait for the log before others are refused."},
    {.name = NULL},
};

struct gateway_limits gateway_limits_of(const struct th_conf *conf)
{
    return (struct gateway_limits){
        .threads = (unsigned)th_conf_int(conf, "http_threads"),
        .workers = (unsigned)th_conf_int(conf, "http_workers"),
        .connections = (unsigned)th_conf_int(conf, "http_connections"),
        .connections_per_address = (unsigned)th_conf_int(conf, "http_connections_per_address"),
        .header_us = th_conf_duration_us(conf, "http_header_timeout"),
        .body_us = th_conf_duration_us(conf, "http_body_timeout"),
        .body_bytes_per_s = (int64_t)th_conf_size(conf, "http_body_rate"),
        .keep_alive_us = th_conf_duration_us(conf, "http_keep_alive"),
        .keep_alive_requests = (unsigned)th_conf_int(conf, "http_keep_alive_requests"),
        .deadline_us = th_conf_duration_us(conf, "http_deadline"),
        .waiting_max = (unsigned)th_conf_int(conf, "http_waiting"),
        .token_wait_us = th_conf_duration_us(conf, "http_token_wait"),
        .pending_bytes_max = th_conf_size(conf, "ingest_pending"),
        .pending_age_us = th_conf_duration_us(conf, "ingest_age"),
    };
}

struct gateway_limits gateway_limits_default(void)
{
    return (struct gateway_limits){
        .threads = 1,
        .workers = 8,
        .connections = 4000,
        .connections_per_address = 200,
        .header_us = 5 * TH_US_PER_SEC,
        .body_us = 20 * TH_US_PER_SEC,
        .body_bytes_per_s = 1024,
        .keep_alive_us = 60 * TH_US_PER_SEC,
        .keep_alive_requests = 1000,
        .deadline_us = 10 * TH_US_PER_SEC,
        .waiting_max = 2000,
        .token_wait_us = 5 * TH_US_PER_SEC,
        .pending_bytes_max = (size_t)64 * 1024 * 1024,
        .pending_age_us = 2 * TH_US_PER_SEC,
    };
}

int64_t gateway_now_us(const struct gateway *gateway)
{
    return th_clock_realtime_us(gateway->config.clock);
}

int64_t gateway_monotonic_us(const struct gateway *gateway)
{
    (void)gateway;
    return th_clock_monotonic_us(&th_clock_real);
}

/* --- a request's way ---------------------------------------------------------------------------
 */

/* The route has run: what is left? */
static void go_on(struct request *request, enum handled handled)
{
    struct gateway *gateway = request->gateway;

    if (handled == HANDLED_STORE) {
        switch (ingest_submit(gateway->lanes[request->route->lane], request)) {
        case INGEST_ADMITTED:
            return;
        case INGEST_OVERLOADED:
            (void)problem(request, PROBLEM_OVERLOADED, "the log is slow; try again");
            break;
        case INGEST_IN_FLIGHT:
            (void)problem(request, PROBLEM_IN_FLIGHT,
                          "a request with this Idempotency-Key is being worked on");
            break;
        }
    }
    server_finish(gateway->server, request);
}

static void stored(struct request *request, enum th_code failure)
{
    (void)write_answer(request, failure);
    server_finish(request->gateway->server, request);
}

static void turned(struct gateway *gateway)
{
    for (int lane = 0; lane < ROUTE_LANES; lane++)
        ingest_kick(gateway->lanes[lane]);
}

static void work(struct request *request)
{
    struct gateway *gateway = request->gateway;

    go_on(request, request->route->run(request));
    turned(gateway);
}

void gateway_take(struct request *request)
{
    struct gateway *gateway = request->gateway;

    if (request->route->is_quick) {
        go_on(request, request->route->run(request));
    } else if (!workers_submit(gateway->workers, request)) {
        (void)problem(request, PROBLEM_OVERLOADED, "too many questions at once");
        server_finish(gateway->server, request);
    }
}

static bool admit(struct request *request)
{
    enum handled handled;

    return auth_admit(request, &handled);
}

/* --- figures -------------------------------------------------------------------------------------
 */

static const struct th_metric_def requests_def = {
    .name = "telehub_http_requests_total",
    .help = "Requests answered, by route and class of status",
    .kind = TH_METRIC_COUNTER,
    .labels = {"route", "status"},
};

static const struct th_metric_def seconds_def = {
    .name = "telehub_http_seconds",
    .help = "From the request line to the answer",
    .kind = TH_METRIC_HISTOGRAM,
    .scale = 1e-6,
    .bounds = {500, 1000, 2000, 5000, 10000, 15000, 25000, 50000, 100000, 250000, 1000000, 5000000,
               10000000},
};

static const struct th_metric_def refused_def = {
    .name = "telehub_callbacks_refused_total",
    .help = "Callbacks whose token or signature is not ours or the provider's",
    .kind = TH_METRIC_COUNTER,
};

static const struct th_metric_def ingest_seconds_def = {
    .name = "telehub_ingest_seconds",
    .help = "How long the log took for a call that stores requests",
    .kind = TH_METRIC_HISTOGRAM,
    .labels = {"lane"},
    .scale = 1e-6,
    .bounds = {500, 1000, 2000, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 5000000},
};

static const struct th_metric_def ingest_claims_def = {
    .name = "telehub_ingest_claims",
    .help = "Requests that one call of the log stored",
    .kind = TH_METRIC_HISTOGRAM,
    .labels = {"lane"},
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
};

static const struct th_metric_def ingest_failures_def = {
    .name = "telehub_ingest_failures_total",
    .help = "Calls of the log that failed, so that requests were answered 503",
    .kind = TH_METRIC_COUNTER,
    .labels = {"lane"},
};

static struct th_series *lane_series(struct th_family *family, const char *lane)
{
    return family ? th_family_series(family, &(struct th_str){lane, strlen(lane)}) : NULL;
}

static struct th_series *series_of(struct gateway *gateway, const struct route *route,
                                   unsigned status_class)
{
    char class_text[4] = {(char)('0' + status_class), 'x', 'x', 0};
    struct th_str labels[2] = {route ? th_str(route->path) : TH_STR("none"), {class_text, 3}};
    size_t index = route ? (size_t)(route - routes) : ROUTES_MAX - 1;

    struct th_series *series = gateway->answered[index][status_class];
    if (series)
        return series;
    series = th_family_series(gateway->requests, labels);
    gateway->answered[index][status_class] = series;
    return series;
}

static void answered(struct request *request, unsigned status)
{
    struct gateway *gateway = request->gateway;

    if (!gateway->requests)
        return;
    th_count(series_of(gateway, request->route, status / 100 % STATUS_CLASSES), 1);
    th_observe(gateway->seconds, gateway_monotonic_us(gateway) - request->begun_us);
}

static enum th_code open_metrics(struct gateway *gateway, struct th_err *err)
{
    struct th_metrics *metrics = gateway->config.metrics;
    struct th_family *family = NULL;

    if (!metrics)
        return TH_OK;
    TH_TRY(th_metrics_family(metrics, &requests_def, &gateway->requests, err));
    TH_TRY(th_metrics_family(metrics, &seconds_def, &family, err));
    gateway->seconds = th_family_only(family);
    TH_TRY(th_metrics_family(metrics, &refused_def, &family, err));
    gateway->callbacks_refused = th_family_only(family);
    TH_TRY(th_metrics_family(metrics, &ingest_seconds_def, &gateway->ingest_seconds, err));
    TH_TRY(th_metrics_family(metrics, &ingest_claims_def, &gateway->ingest_claims, err));
    return th_metrics_family(metrics, &ingest_failures_def, &gateway->ingest_failures, err);
}

/* --- open and close
 * -------------------------------------------------------------------------------- */

static enum th_code open_lanes(struct gateway *gateway, struct th_err *err)
{
    static const char *const names[ROUTE_LANES] = {"gw-writer", "gw-callbacks"};
    static const char *const labels[ROUTE_LANES] = {"api", "callbacks"};

    for (int lane = 0; lane < ROUTE_LANES; lane++) {
        struct ingest_config config = {
            .log = gateway->config.log,
            .pending_bytes_max = gateway->config.limits.pending_bytes_max,
            .pending_age_us = gateway->config.limits.pending_age_us,
            .name = names[lane],
            .seconds = lane_series(gateway->ingest_seconds, labels[lane]),
            .claims = lane_series(gateway->ingest_claims, labels[lane]),
            .failures = lane_series(gateway->ingest_failures, labels[lane]),
            .done = stored,
        };
        TH_TRY(ingest_open(&config, &gateway->lanes[lane], err));
    }
    return TH_OK;
}

static enum th_code name_public_url(struct gateway *gateway, struct th_err *err)
{
    struct th_str url = th_str(gateway->config.public_url);

    if (!url.n) {
        (void)snprintf(gateway->public_url, sizeof gateway->public_url, "http://%s:%u",
                       gateway->config.address, gateway_port(gateway));
        return TH_OK;
    }
    if (url.n >= PUBLIC_URL_MAX || url.p[url.n - 1] == '/' ||
        (!th_str_starts(url, TH_STR("https://")) && !th_str_starts(url, TH_STR("http://"))))
        return th_fail(
            err, TH_INVALID,
            "the public URL must begin with http:// or https:// and end without a slash");
    memcpy(gateway->public_url, url.p, url.n + 1);
    return TH_OK;
}

static enum th_code open_parts(struct gateway *gateway, struct th_err *err)
{
    struct server_config server = {
        .gateway = gateway,
        .address = gateway->config.address,
        .port = gateway->config.port,
        .limits = &gateway->config.limits,
        .admit = admit,
        .take = gateway_take,
        .turned = turned,
        .answered = answered,
    };

    gateway->columns = columns_new();
    if (!gateway->columns)
        return th_fail(err, TH_NOMEM, "gateway");
    TH_TRY(secrets_callback_key(gateway->config.secrets, &gateway->callback_key, err));
    TH_TRY(open_metrics(gateway, err));
    TH_TRY(open_lanes(gateway, err));
    TH_TRY(workers_open(gateway->config.limits.workers, work, &gateway->workers, err));
    TH_TRY(server_open(&server, &gateway->server, err));
    return name_public_url(gateway, err);
}

enum th_code gateway_open(const struct gateway_config *config, struct gateway **out_gateway,
                          struct th_err *err)
{
    if (config->operator_key.n < OPERATOR_KEY_MIN)
        return th_fail(err, TH_INVALID, "the operator's key must have at least %d bytes",
                       OPERATOR_KEY_MIN);
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return th_fail(err, TH_NOMEM, "gateway");
    gateway->config = *config;
    pthread_mutex_init(&gateway->config_lock, NULL);
    pthread_mutex_init(&gateway->http_lock, NULL);
    th_sha256(config->operator_key, gateway->operator_sha256);
    gateway->config.operator_key = (struct th_str){0};
    enum th_code code = open_parts(gateway, err);
    if (code != TH_OK) {
        gateway_close(gateway);
        return code;
    }
    *out_gateway = gateway;
    return TH_OK;
}

uint16_t gateway_port(const struct gateway *gateway)
{
    return server_port(gateway->server);
}

void gateway_close(struct gateway *gateway)
{
    if (!gateway)
        return;
    /* Those who own requests end before the server does: each finishes what it has. */
    if (gateway->server)
        server_quiesce(gateway->server, QUIESCE_US);
    workers_close(gateway->workers);
    for (int lane = 0; lane < ROUTE_LANES; lane++)
        ingest_close(gateway->lanes[lane]);
    server_close(gateway->server);
    request_free_spare();
    columns_free(gateway->columns);
    pthread_mutex_destroy(&gateway->config_lock);
    pthread_mutex_destroy(&gateway->http_lock);
    free(gateway);
}
