/* callback_token.h - which attempt a callback belongs to, signed by us into the URL that the
 * provider calls.
 *
 * A callback is routed by it without a look-up, also when the answer to the request was lost, and
 * a stolen provider secret alone touches nobody's attempt. Pure. Target th_ids (libcrypto).
 *
 * Wire: base64url without padding of
 *     version 1 (1 byte), lane (4, big endian), send id (16), n (2, big endian), tenant (1..63),
 *     the first 16 bytes of HMAC-SHA-256 over all of that.
 */
#ifndef TELEHUB_COMMON_CALLBACK_TOKEN_H
#define TELEHUB_COMMON_CALLBACK_TOKEN_H

#include "common/err.h"
#include "common/ids.h"
#include "common/str.h"

#define CALLBACK_TOKEN_TENANT_MAX 63
#define CALLBACK_TOKEN_KEY_MIN    16
#define CALLBACK_TOKEN_TEXT_MAX   136 /* characters, without the NUL */

struct callback_token {
    struct th_id send;
    uint32_t lane; /* its number */
    uint16_t attempt_no;
    uint8_t tenant_size; /* 1 .. CALLBACK_TOKEN_TENANT_MAX */
    char tenant[CALLBACK_TOKEN_TENANT_MAX];
};

/* Errors: TH_INVALID  no tenant, or key shorter than CALLBACK_TOKEN_KEY_MIN
 *         TH_NOMEM */
TH_MUST_USE
enum th_code callback_token_make(const struct callback_token *token, struct th_str key,
                                 char out_text[CALLBACK_TOKEN_TEXT_MAX + 1]);

/* Constant-time in what the text holds.
 * Errors: TH_MALFORMED  no token of ours
 *         TH_DENIED     not signed with key
 *         TH_INVALID    key too short
 *         TH_NOMEM */
TH_MUST_USE
enum th_code callback_token_parse(struct th_str text, struct th_str key,
                                  struct callback_token *out_token);

#endif
