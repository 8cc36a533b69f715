/* routes.h - what is served, as data: method, path, who may, and who does it.
 *
 * A test holds this table against schemas/openapi.yaml, both ways.
 */
#ifndef TELEHUB_GATEWAY_ROUTES_H
#define TELEHUB_GATEWAY_ROUTES_H

#include "connectors/gateway/request.h"

enum route_who {
    WHO_ANYBODY,
    WHO_TENANT,
    WHO_OPERATOR,
    WHO_TENANT_OR_OPERATOR,
    WHO_PROVIDER, /* signed; the handler checks */
};

enum route_key {
    KEY_NONE, /* an Idempotency-Key means nothing here */
    KEY_OPTIONAL,
    KEY_REQUIRED, /* what creates, sends or spends */
};

enum route_body {
    BODY_NONE,
    BODY_OPTIONAL_JSON,
    BODY_JSON,
    BODY_CSV,
    BODY_FORM,
    BODY_SCHEMA, /* JSON under the names that clients of a schema registry give it */
};

enum route_lane {
    LANE_API,
    LANE_CALLBACK,
};

#define ROUTE_LANES (LANE_CALLBACK + 1)

struct route {
    const char *method;
    const char *path; /* "/api/v1/campaigns/{id}/start" */
    enum route_who who;
    enum route_key key;
    enum route_body body;
    enum route_lane lane;
    bool is_quick; /* run in the HTTP thread: neither blocks nor takes long */
    enum handled (*run)(struct request *request);
};

#define ROUTES_MAX 80 /* with the end */

/* Ends at .method == NULL. */
extern const struct route routes[];

enum route_found {
    ROUTE_FOUND,
    ROUTE_NO_PATH,
    ROUTE_NO_METHOD,
};

/* path is raw, without the query; none of our paths needs an escape, so one with "%" is unknown.
 * Pure. out_params: REQUEST_PARAMS_MAX views into path. out_allow: of ROUTE_NO_METHOD, the methods
 * there are, a bit for each of route_methods. */
enum route_found route_find(struct th_str method, struct th_str path,
                            const struct route **out_route, struct th_str *out_params,
                            unsigned *out_allow);

/* "GET", "POST", "PUT", "DELETE", NULL. */
extern const char *const route_methods[];

/* Bytes of body that the route takes. */
size_t route_body_max(const struct route *route);

#endif
