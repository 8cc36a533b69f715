/* signature.h - the header X-Twilio-Signature.
 *
 * Base64 of HMAC-SHA1, keyed by the account's token, over the URL as it is requested and then each
 * field's name and value, sorted by bytes, an exact repeat counted once.
 */
#ifndef TELEHUB_SANDBOX_SIGNATURE_H
#define TELEHUB_SANDBOX_SIGNATURE_H

#include "connectors/sandbox/fields.h"

/* Append the signature to *out. fields is empty for a GET.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code signature_add(struct th_str secret, struct th_str url, const struct fields *fields,
                           struct th_buf *out);

#endif
