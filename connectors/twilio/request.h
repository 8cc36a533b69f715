/* request.h - what is asked of Twilio, as HTTP requests. Pure; contracts as in provider_ops. */
#ifndef TELEHUB_CONNECTORS_TWILIO_REQUEST_H
#define TELEHUB_CONNECTORS_TWILIO_REQUEST_H

#include "common/provider.h"

enum th_code twilio_build(const struct provider_account *account,
                          const struct provider_message *msg, struct th_arena *arena,
                          struct http_req *out_req, struct th_err *err);

enum th_code twilio_lookup_build(const struct provider_account *account,
                                 enum provider_channel channel, struct th_str provider_id,
                                 struct th_arena *arena, struct http_req *out_req,
                                 struct th_err *err);

enum th_code twilio_list_build(const struct provider_account *account,
                               enum provider_channel channel, struct th_str next,
                               struct th_arena *arena, struct http_req *out_req,
                               struct th_err *err);

enum th_code twilio_search_build(const struct provider_account *account,
                                 const struct provider_search *search, struct th_arena *arena,
                                 struct http_req *out_req, struct th_err *err);

/* Round 0 asks for the balance; a sub-account has none, then round 1 asks for its state. */
enum th_code twilio_check_build(const struct provider_account *account, unsigned round,
                                struct th_arena *arena, struct http_req *out_req,
                                struct th_err *err);

/* Is sender a Messaging Service, which picks a number of its own? */
bool twilio_is_service(struct th_str sender);

#endif
