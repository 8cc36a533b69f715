/* record.h - a message or call as Twilio's JSON describes it. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_RECORD_H
#define TELEHUB_CONNECTORS_TWILIO_RECORD_H

#include "common/json_scan.h"
#include "common/provider.h"

/* record: the JSON of one object.
 * Errors: TH_MALFORMED    no object, no id, or no status
 *         TH_UNSUPPORTED  a status that nobody knows
 *         TH_NOMEM */
TH_MUST_USE
enum th_code twilio_record_read(enum provider_channel channel, struct th_str record,
                                struct th_arena *arena, struct provider_report *out_report);

/* Was it made through the API for that recipient, by that sender, in that time, with that text?
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code twilio_record_matches(const struct provider_search *search, struct th_str record,
                                   struct th_arena *arena, bool *out_does_match);

/* A member that is a string; "" when it is missing, null or something else.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code twilio_text(struct th_json_member member, struct th_arena *arena,
                         struct th_str *out_text);

/* A member that is a positive number; 0 when it is missing, null or something else. */
int64_t twilio_number(struct th_json_member member);

#endif
