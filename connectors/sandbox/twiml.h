/* twiml.h - is an inline document one that a call can run, and what does it say?
 *
 * Pure. A well-formedness check of the part of XML that TwiML uses: elements, attributes, text,
 * comments, CDATA, the five named entities and numbered ones. No DTD (a document with one is
 * refused), hence no entity that expands.
 */
#ifndef TELEHUB_SANDBOX_TWIML_H
#define TELEHUB_SANDBOX_TWIML_H

#include "common/buf.h"

#define TWIML_DEPTH_MAX      16
#define TWIML_CHARACTERS_MAX 4000

/* Append the text of every <Say>, one line each, to *said.
 * Errors: TH_MALFORMED  not well-formed, or nested deeper than TWIML_DEPTH_MAX
 *         TH_INVALID    the root is not <Response>
 *         TH_NOT_FOUND  no <Say> with a text in it
 *         TH_NOMEM */
TH_MUST_USE
enum th_code twiml_say(struct th_str document, struct th_buf *said, struct th_err *err);

#endif
