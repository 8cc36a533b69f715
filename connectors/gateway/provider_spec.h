/* provider_spec.h - an account as POST /providers describes it. */
#ifndef TELEHUB_GATEWAY_PROVIDER_SPEC_H
#define TELEHUB_GATEWAY_PROVIDER_SPEC_H

#include "common/json.h"
#include "connectors/gateway/request.h"
#include "schemas/events.h"

struct provider_spec {
    struct th_str tenant;
    struct th_str secret;
    struct account_configured account; /* but meta, lane and secret_version */
};

/* Views live as long as the document, or in the request's arena. Errors: TH_INVALID with the place,
 * TH_NOMEM */
TH_MUST_USE
enum th_code provider_spec_read(struct request *request, struct th_json root,
                                struct provider_spec *out_spec, struct th_err *err);

#endif
