/* token.h - TeleHub-Token: where a write lies, so that a read can wait for it. Opaque to callers.
 *
 * Wire: base64url of version 1 (1 byte), topic (1), partition (2, big endian), offset (8, big
 * endian), the log's id (36 characters). Not signed: who forges one waits, at most, for nothing.
 */
#ifndef TELEHUB_GATEWAY_TOKEN_H
#define TELEHUB_GATEWAY_TOKEN_H

#include "common/arena.h"
#include "common/eventlog/log.h"

/* Ends with a NUL; p is NULL without memory. */
struct th_str token_make(const char *log_id, struct log_place place, struct th_arena *arena);

/* Errors: TH_MALFORMED  no token
 *         TH_CONFLICT   of another log
 *         TH_NOMEM */
TH_MUST_USE
enum th_code token_parse(struct th_str text, const char *log_id, struct log_place *out_place);

#endif
