/* status.h - Twilio's words for the life of a message or call, as ranks and reasons. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_STATUS_H
#define TELEHUB_CONNECTORS_TWILIO_STATUS_H

#include "common/provider.h"

/* Errors: TH_UNSUPPORTED  a word that nobody knows, or one of inbound messages */
TH_MUST_USE
enum th_code twilio_status_find(enum provider_channel channel, struct th_str word,
                                enum provider_status *out_status);

/* Fill in what follows from report->status: whether it is final, positive, and if not, why.
 * error_code and sip_code are 0 when there is none. */
void twilio_status_explain(struct provider_report *report, int64_t error_code, int64_t sip_code);

/* Does id look like one of Twilio's (or of who speaks its wire): letters and digits, at most 64? */
bool twilio_is_id(struct th_str id);

#endif
