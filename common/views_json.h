/* views_json.h - what the views say, as the API's JSON says it.
 *
 * One place writes each of these objects, so that a certificate from the log and one from the API
 * are the same bytes. Pure.
 */
#ifndef TELEHUB_COMMON_VIEWS_JSON_H
#define TELEHUB_COMMON_VIEWS_JSON_H

#include "common/json_out.h"
#include "common/views.h"

/* {"amount":"0.1250","currency":"INR","estimated":true}; key NULL in an array. */
void views_put_cost(struct th_json_out *out, const char *key, const struct th_money *money,
                    bool is_estimated);

void views_put_certificate(struct th_json_out *out, const struct view_certificate *certificate);

#endif
