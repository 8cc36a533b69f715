/* twilio.h - Twilio's wire: Programmable Messaging and Voice, REST API 2010-04-01.
 *
 * Pure translation, see common/provider.h. Messages and Calls know no idempotency key, and lists
 * cannot be filtered by a reference of ours; but the status callback URL is ours per request. So
 * the class is PROVIDER_CALLBACK, and a search by recipient may confirm but never refute.
 */
#ifndef TELEHUB_CONNECTORS_TWILIO_H
#define TELEHUB_CONNECTORS_TWILIO_H

#include "common/provider.h"

#define TWILIO_SMS_CHARS_MAX   1600 /* longer is answered with 21617 */
#define TWILIO_TWIML_CHARS_MAX 4000 /* of the whole document */

extern const struct provider_ops twilio_ops;

#endif
