/* errors.h - Twilio's error codes and what they say about a next attempt.
 *
 * Pure. Titles are Twilio's own (its error dictionary); the classes are our reading of them.
 */
#ifndef TELEHUB_CONNECTORS_TWILIO_ERRORS_H
#define TELEHUB_CONNECTORS_TWILIO_ERRORS_H

#include "common/provider.h"

struct twilio_error {
    int first; /* code; a range where last differs */
    int last;
    enum provider_class error_class;
    const char *reason; /* stable slug */
};

/* The meaning of code; NULL for one that nobody knows. Twilio splits codes over time, so an
 * unknown one is not to be retried. */
const struct twilio_error *twilio_error_find(int64_t code);

/* Of a call that failed, by the final SIP response (RFC 3261, section 21); calls carry a Twilio
 * code rarely. 0 is no response. */
struct twilio_error twilio_error_of_sip(int64_t sip_code);

#endif
