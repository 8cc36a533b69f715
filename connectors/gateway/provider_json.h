/* provider_json.h - an account as answers show it: never its secret. */
#ifndef TELEHUB_GATEWAY_PROVIDER_JSON_H
#define TELEHUB_GATEWAY_PROVIDER_JSON_H

#include "common/eventlog/reference.h"
#include "common/json_out.h"

void provider_put(struct th_json_out *out, const struct ref_lane *lane);

#endif
