/* twiml.h - what a call says, as a TwiML document. Pure. */
#ifndef TELEHUB_CONNECTORS_TWILIO_TWIML_H
#define TELEHUB_CONNECTORS_TWILIO_TWIML_H

#include "common/arena.h"

/* A document that says text once with a voice of that language ("hi", "en", "en-IN").
 * Errors: TH_INVALID  no voice for the language; nothing to say; not UTF-8, or a character that
 *                     XML cannot hold; longer than TWILIO_TWIML_CHARS_MAX as a document
 *         TH_NOMEM */
TH_MUST_USE
enum th_code twiml_say(struct th_str text, struct th_str language, struct th_arena *arena,
                       struct th_str *out_document, struct th_err *err);

#endif
