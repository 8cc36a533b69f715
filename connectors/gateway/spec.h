/* spec.h - what campaigns and sends are asked to be, read from JSON.
 *
 * Errors of all: TH_INVALID with the place, TH_NOMEM. A member that is missing or null gets its
 * preset. Views live as long as the document, or in the request's arena.
 */
#ifndef TELEHUB_GATEWAY_SPEC_H
#define TELEHUB_GATEWAY_SPEC_H

#include "common/json.h"
#include "connectors/gateway/request.h"
#include "schemas/events.h"

#define SPEC_PACE_PRESET     100
#define SPEC_ATTEMPTS_PRESET 4

/* Required: "sms" or "call". */
TH_MUST_USE
enum th_code spec_channel(struct th_json value, enum channel *out_channel, struct th_err *err);

/* BCP 47 as far as its characters go; empty when missing. */
TH_MUST_USE
enum th_code spec_lang(struct th_json value, struct th_str *out_lang, struct th_err *err);

/* Names of accounts of the request's tenant that exist. */
TH_MUST_USE
enum th_code spec_accounts(struct request *request, struct th_json value,
                           struct string_array *out_accounts, struct th_err *err);

TH_MUST_USE
enum th_code spec_category(struct th_json value, enum category *out_category, struct th_err *err);
TH_MUST_USE
enum th_code spec_policy(struct th_json value, enum send_policy *out_policy, struct th_err *err);
TH_MUST_USE
enum th_code spec_attempts(struct th_json value, int32_t *out_attempts, struct th_err *err);

/* Required: "max", which is 0, or sends per minute. */
TH_MUST_USE
enum th_code spec_pace(struct th_json value, int32_t *out_pace, struct th_err *err);

/* The whole body of POST /campaigns. */
TH_MUST_USE
enum th_code spec_campaign(struct request *request, struct th_json root,
                           struct campaign_spec *out_spec, struct th_err *err);

/* Is lang such a tag? Pure. */
bool spec_lang_is_valid(struct th_str lang);

#endif
