/* status.h - Twilio's words for the life of a message or call, as ranks and reasons. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_STATUS_H
#define TELEHUB_CONNECTORS_TWILIO_STATUS_H

#include "common/provider.h"

/* Fill in report->status from Twilio's word for it (report->channel is set), and what follows from
 * it: whether it is final, positive, and if not, why. error_code and sip_code are 0 when there is
 * none.
 * Errors: TH_UNSUPPORTED  a word that nobody knows, or one of inbound messages */
TH_MUST_USE
enum th_code twilio_status_read(struct provider_report *report, struct th_str word,
                                int64_t error_code, int64_t sip_code);

/* Does id look like one of Twilio's (or of who speaks its wire): letters and digits, at most 64? */
/* The number that "To" names, E.164: without the channel in front of it, and "" if it is none. */
struct th_str twilio_number_of(struct th_str to);

bool twilio_is_id(struct th_str id);

#endif
