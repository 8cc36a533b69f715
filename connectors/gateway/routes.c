#include "connectors/gateway/routes.h"

#include <assert.h>
#include <string.h>

#include "connectors/gateway/api.h"
#include "connectors/gateway/registry.h"

#define JSON_BODY_MAX   ((size_t)1024 * 1024)
#define CSV_BODY_MAX    ((size_t)400 * 1000) /* a part is one record of the log */
#define FORM_BODY_MAX   ((size_t)FORM_SIZE_MAX)
#define SCHEMA_BODY_MAX ((size_t)256 * 1024) /* a schema within JSON is longer by its escapes */

const char *const route_methods[] = {"GET", "POST", "PUT", "DELETE", NULL};

#define V1  "/api/v1"
#define REG REGISTRY_BASE

/* Schemas are part of the program and hold nothing of anybody: whoever reaches the gateway may read
 * them, with the credentials that a tool insists on or without. */
#define REGISTRY_GET  WHO_ANYBODY, KEY_NONE, BODY_NONE, LANE_API, true
#define REGISTRY_POST WHO_ANYBODY, KEY_NONE, BODY_SCHEMA, LANE_API, false

/* clang-format off */
const struct route routes[] = {
    {"POST",   V1 "/tenants",                    WHO_OPERATOR, KEY_REQUIRED, BODY_JSON, LANE_API, false, tenant_create},
    {"GET",    V1 "/tenants",                    WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, true,  tenant_list},
    {"POST",   V1 "/tenants/{tenant}/keys",      WHO_OPERATOR, KEY_REQUIRED, BODY_NONE, LANE_API, false, key_issue},
    {"POST",   V1 "/providers",                  WHO_OPERATOR, KEY_REQUIRED, BODY_JSON, LANE_API, false, provider_add},
    {"GET",    V1 "/providers",                  WHO_TENANT_OR_OPERATOR, KEY_NONE, BODY_NONE, LANE_API, true, provider_list},
    {"POST",   V1 "/providers/{name}/enable",    WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, provider_enable},
    {"POST",   V1 "/providers/{name}/disable",   WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, provider_disable},
    {"POST",   V1 "/providers/{name}/check",     WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, provider_check_run},
    {"POST",   V1 "/audiences",                  WHO_TENANT,   KEY_REQUIRED, BODY_JSON, LANE_API, true,  audience_create},
    {"GET",    V1 "/audiences/{id}",             WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, audience_get},
    {"PUT",    V1 "/audiences/{id}/parts/{n}",   WHO_TENANT,   KEY_NONE,     BODY_CSV,  LANE_API, false, audience_put_part},
    {"POST",   V1 "/audiences/{id}/seal",        WHO_TENANT,   KEY_OPTIONAL, BODY_JSON, LANE_API, false, audience_seal},
    {"POST",   V1 "/campaigns",                  WHO_TENANT,   KEY_REQUIRED, BODY_JSON, LANE_API, false, campaign_create},
    {"GET",    V1 "/campaigns",                  WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, campaign_list},
    {"GET",    V1 "/campaigns/{id}",             WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, campaign_get},
    {"POST",   V1 "/campaigns/{id}/start",       WHO_TENANT,   KEY_REQUIRED, BODY_OPTIONAL_JSON, LANE_API, false, campaign_start},
    {"POST",   V1 "/campaigns/{id}/pause",       WHO_TENANT,   KEY_OPTIONAL, BODY_NONE, LANE_API, false, campaign_pause},
    {"POST",   V1 "/campaigns/{id}/resume",      WHO_TENANT,   KEY_REQUIRED, BODY_NONE, LANE_API, false, campaign_resume},
    {"POST",   V1 "/campaigns/{id}/cancel",      WHO_TENANT,   KEY_OPTIONAL, BODY_NONE, LANE_API, false, campaign_cancel},
    {"POST",   V1 "/campaigns/{id}/pace",        WHO_TENANT,   KEY_REQUIRED, BODY_JSON, LANE_API, false, campaign_pace},
    {"GET",    V1 "/campaigns/{id}/progress",    WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, campaign_progress},
    {"GET",    V1 "/campaigns/{id}/certificate", WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, campaign_certificate},
    {"GET",    V1 "/campaigns/{id}/recipients",  WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, campaign_recipients},
    {"GET",    V1 "/commands/{id}",              WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, command_get},
    {"POST",   V1 "/sends",                      WHO_TENANT,   KEY_REQUIRED, BODY_JSON, LANE_API, true,  send_create},
    {"GET",    V1 "/sends/{id}",                 WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, send_get},
    {"GET",    V1 "/sends/{id}/why",             WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, send_why},
    {"POST",   V1 "/opt-outs",                   WHO_TENANT,   KEY_OPTIONAL, BODY_JSON, LANE_API, false, opt_out},
    {"DELETE", V1 "/opt-outs",                   WHO_TENANT,   KEY_OPTIONAL, BODY_JSON, LANE_API, false, opt_in},
    {"GET",    V1 "/opt-outs",                   WHO_TENANT,   KEY_NONE,     BODY_NONE, LANE_API, false, opt_out_list},
    {"POST",   V1 "/stop",                       WHO_TENANT,   KEY_OPTIONAL, BODY_NONE, LANE_API, false, stop_set},
    {"DELETE", V1 "/stop",                       WHO_TENANT,   KEY_OPTIONAL, BODY_NONE, LANE_API, false, stop_release},
    {"GET",    V1 "/dead-letters",               WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, dead_letter_list},
    {"GET",    V1 "/dead-letters/{id}",          WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, dead_letter_get},
    {"POST",   V1 "/dead-letters/{id}/replay",   WHO_OPERATOR, KEY_REQUIRED, BODY_NONE, LANE_API, false, dead_letter_replay},
    {"POST",   V1 "/dead-letters/{id}/discard",  WHO_OPERATOR, KEY_REQUIRED, BODY_NONE, LANE_API, false, dead_letter_discard},
    {"GET",    REG "/subjects",                                   REGISTRY_GET,  registry_subjects},
    {"POST",   REG "/subjects/{subject}",                         REGISTRY_POST, registry_look_up},
    {"DELETE", REG "/subjects/{subject}",                         REGISTRY_GET,  registry_no_write},
    {"GET",    REG "/subjects/{subject}/versions",                REGISTRY_GET,  registry_versions},
    {"POST",   REG "/subjects/{subject}/versions",                REGISTRY_POST, registry_register},
    {"GET",    REG "/subjects/{subject}/versions/{version}",      REGISTRY_GET,  registry_version},
    {"DELETE", REG "/subjects/{subject}/versions/{version}",      REGISTRY_GET,  registry_no_write},
    {"GET",    REG "/subjects/{subject}/versions/{version}/schema", REGISTRY_GET, registry_version_schema},
    {"GET",    REG "/subjects/{subject}/versions/{version}/referencedby", REGISTRY_GET, registry_version_referrers},
    {"GET",    REG "/schemas/ids/{id}",                           REGISTRY_GET,  registry_schema},
    {"GET",    REG "/schemas/ids/{id}/schema",                    REGISTRY_GET,  registry_schema_text},
    {"GET",    REG "/schemas/ids/{id}/subjects",                  REGISTRY_GET,  registry_schema_subjects},
    {"GET",    REG "/schemas/ids/{id}/versions",                  REGISTRY_GET,  registry_schema_versions},
    {"GET",    REG "/schemas/types",                              REGISTRY_GET,  registry_types},
    {"GET",    REG "/config",                                     REGISTRY_GET,  registry_config},
    {"PUT",    REG "/config",                                     REGISTRY_POST, registry_no_write},
    {"GET",    REG "/config/{subject}",                           REGISTRY_GET,  registry_subject_config},
    {"PUT",    REG "/config/{subject}",                           REGISTRY_POST, registry_no_write},
    {"GET",    REG "/mode",                                       REGISTRY_GET,  registry_mode},
    {"GET",    REG "/mode/{subject}",                             REGISTRY_GET,  registry_subject_mode},
    {"POST",   REG "/compatibility/subjects/{subject}/versions",  REGISTRY_POST, registry_compatible_all},
    {"POST",   REG "/compatibility/subjects/{subject}/versions/{version}", REGISTRY_POST, registry_compatible},
    {"POST",   "/webhooks/{wire}/{token}",       WHO_PROVIDER, KEY_NONE,     BODY_FORM, LANE_CALLBACK, true, webhook_receive},
    {"GET",    "/health",                        WHO_ANYBODY,  KEY_NONE,     BODY_NONE, LANE_API, false, health_all},
    {"GET",    "/health/live",                   WHO_ANYBODY,  KEY_NONE,     BODY_NONE, LANE_API, true,  health_live},
    {"GET",    "/health/ready",                  WHO_ANYBODY,  KEY_NONE,     BODY_NONE, LANE_API, false, health_ready},
    {"GET",    "/metrics",                       WHO_OPERATOR, KEY_NONE,     BODY_NONE, LANE_API, false, metrics_show},
    {.method = NULL},
};
/* clang-format on */

static_assert(TH_LEN(routes) <= ROUTES_MAX, "whoever keeps something for each has room");

size_t route_body_max(const struct route *route)
{
    switch (route->body) {
    case BODY_NONE:
    case BODY_OPTIONAL_JSON:
    case BODY_JSON:
        return JSON_BODY_MAX;
    case BODY_CSV:
        return CSV_BODY_MAX;
    case BODY_FORM:
        return FORM_BODY_MAX;
    case BODY_SCHEMA:
        return SCHEMA_BODY_MAX;
    }
    return 0;
}

/* Does path fit the pattern? Its "{…}" take one piece each, which is not empty. */
static bool fits(const char *pattern, struct th_str path, struct th_str *out_params)
{
    size_t params = 0;
    size_t at = 0;

    while (*pattern) {
        if (*pattern != '{') {
            if (at == path.n || path.p[at++] != *pattern++)
                return false;
            continue;
        }
        size_t from = at;
        while (at < path.n && path.p[at] != '/')
            at++;
        if (at == from || params == REQUEST_PARAMS_MAX)
            return false;
        out_params[params++] = (struct th_str){path.p + from, at - from};
        pattern = strchr(pattern, '}') + 1;
    }
    return at == path.n;
}

static unsigned method_bit(struct th_str method)
{
    for (unsigned i = 0; route_methods[i]; i++)
        if (th_str_eq(method, th_str(route_methods[i])))
            return 1U << i;
    return 0;
}

static unsigned methods_of(struct th_str path)
{
    struct th_str params[REQUEST_PARAMS_MAX];
    unsigned methods = 0;

    for (const struct route *route = routes; route->method; route++)
        if (fits(route->path, path, params))
            methods |= method_bit(th_str(route->method));
    return methods;
}

enum route_found route_find(struct th_str method, struct th_str path,
                            const struct route **out_route, struct th_str *out_params,
                            unsigned *out_allow)
{
    struct th_str params[REQUEST_PARAMS_MAX] = {0};

    *out_allow = 0;
    for (const struct route *route = routes; route->method; route++) {
        if (!fits(route->path, path, params) || !th_str_eq(method, th_str(route->method)))
            continue;
        *out_allow = method_bit(method);
        *out_route = route;
        for (size_t i = 0; i < REQUEST_PARAMS_MAX; i++)
            out_params[i] = params[i];
        return ROUTE_FOUND;
    }
    *out_allow = methods_of(path);
    return *out_allow ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}
