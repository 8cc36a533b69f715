/* answer.h - what Twilio's answers mean. Pure; contracts as in provider_ops. */
#ifndef TELEHUB_CONNECTORS_TWILIO_ANSWER_H
#define TELEHUB_CONNECTORS_TWILIO_ANSWER_H

#include "common/provider.h"

enum th_code twilio_parse(enum provider_channel channel, const struct http_reply *reply,
                          struct th_arena *arena, struct provider_outcome *out_outcome);

enum th_code twilio_lookup_parse(enum provider_channel channel, const struct http_reply *reply,
                                 struct th_arena *arena, struct provider_lookup *out_lookup);

enum th_code twilio_list_parse(enum provider_channel channel, const struct http_reply *reply,
                               struct th_arena *arena, struct provider_page *out_page);

enum th_code twilio_search_parse(const struct provider_search *search,
                                 const struct http_reply *reply, struct th_arena *arena,
                                 struct provider_lookup *out_lookup);

enum th_code twilio_check_parse(unsigned round, const struct http_reply *reply,
                                struct th_arena *arena, struct provider_check *out_check);

#endif
