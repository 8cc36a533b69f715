/* signature.h - X-Twilio-Signature, checked. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_SIGNATURE_H
#define TELEHUB_CONNECTORS_TWILIO_SIGNATURE_H

#include "common/provider.h"

/* The contract is provider_ops.callback_verify's; secret is the account's Auth Token. */
TH_MUST_USE
enum th_code twilio_signature_verify(const struct provider_callback *callback, struct th_str secret,
                                     struct th_arena *arena);

#endif
