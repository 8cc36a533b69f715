/* json_text.h - text as a JSON string.
 *
 * Pure.
 */
#ifndef TELEHUB_SANDBOX_JSON_TEXT_H
#define TELEHUB_SANDBOX_JSON_TEXT_H

#include "common/buf.h"

/* Append text, which is UTF-8, in quotes. */
void json_text_add(struct th_buf *out, struct th_str text);

/* Append text in quotes, or null if its p is NULL. */
void json_text_or_null_add(struct th_buf *out, struct th_str text);

#endif
