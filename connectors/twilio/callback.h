/* callback.h - Twilio's status callbacks of messages and calls. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_CALLBACK_H
#define TELEHUB_CONNECTORS_TWILIO_CALLBACK_H

#include "common/provider.h"

/* The contract is provider_ops.callback_parse's. */
TH_MUST_USE
enum th_code twilio_callback_parse(struct th_str body, struct th_arena *arena,
                                   struct provider_report *out_report, struct th_err *err);

#endif
