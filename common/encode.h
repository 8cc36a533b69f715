/* encode.h - bytes as text: hexadecimal, base64, base64url (RFC 4648).
 *
 * Pure. Decoders accept exactly what the encoders write (hexadecimal in either case): no white
 * space, no stray bits behind the last byte.
 */
#ifndef TELEHUB_COMMON_ENCODE_H
#define TELEHUB_COMMON_ENCODE_H

#include "common/buf.h"

/* 2 * bytes.n lower-case digits and a NUL. */
void th_hex(struct th_str bytes, char *out_text);

/* Exactly n bytes from 2 * n digits; false otherwise, and out_bytes is not to be used. */
TH_MUST_USE
bool th_hex_parse(struct th_str text, size_t n, uint8_t *out_bytes);

/* Append; base64 is padded, base64url is not. */
void th_base64_add(struct th_buf *out, struct th_str bytes);
void th_base64url_add(struct th_buf *out, struct th_str bytes);

/* Append the bytes that text stands for.
 * Errors: TH_MALFORMED (nothing was appended), TH_NOMEM */
TH_MUST_USE
enum th_code th_base64_parse(struct th_str text, struct th_buf *out);
TH_MUST_USE
enum th_code th_base64url_parse(struct th_str text, struct th_buf *out);

#endif
