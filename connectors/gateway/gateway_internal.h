/* gateway_internal.h - what the parts of the gateway share. */
#ifndef TELEHUB_GATEWAY_INTERNAL_H
#define TELEHUB_GATEWAY_INTERNAL_H

#include <pthread.h>

#include "connectors/gateway/columns.h"
#include "connectors/gateway/gateway.h"
#include "connectors/gateway/ingest.h"
#include "connectors/gateway/problem.h"
#include "connectors/gateway/routes.h"
#include "connectors/gateway/server.h"
#include "connectors/gateway/workers.h"

#define PUBLIC_URL_MAX 512
#define STATUS_CLASSES 6 /* 1xx … 5xx, by the first digit */

struct gateway {
    struct gateway_config config;
    char public_url[PUBLIC_URL_MAX];
    uint8_t operator_sha256[32];
    struct th_str callback_key;
    struct server *server;
    struct workers *workers;
    struct ingest *lanes[ROUTE_LANES];
    struct columns *columns;
    pthread_mutex_t config_lock; /* held by who changes tenants and accounts: one at a time */
    pthread_mutex_t http_lock;   /* guards config.http */
    struct th_family *requests;  /* by route and class of status; NULL: not counted */
    _Atomic(struct th_series *) answered[ROUTES_MAX][STATUS_CLASSES]; /* found once; or NULL */
    struct th_series *seconds;
    struct th_series *callbacks_refused;
    struct th_family *ingest_seconds; /* by lane, as the two following */
    struct th_family *ingest_claims;
    struct th_family *ingest_failures;
};

/* The request's headers are there and its path is known: whose is it, and may they? Answers when
 * something is missing. */
bool auth_admit(struct request *request, enum handled *out_handled);

/* The request is whole: run its route here or in a worker. Called in the HTTP thread. */
void gateway_take(struct request *request);

int64_t gateway_now_us(const struct gateway *gateway);       /* UTC */
int64_t gateway_monotonic_us(const struct gateway *gateway); /* CLOCK_MONOTONIC */

#endif
