/* secrets.h - credentials as files that only this user may read: never on the log, never in a view.
 *
 *   DIR/TENANT/NAME.VERSION   the secret of a provider account; a version is written once
 *   DIR/callback.key          signs the tokens in our callback URLs; made at the first start
 *
 * Values are bytes without white space at their ends, 1 to SECRET_SIZE_MAX of them. Any thread;
 * what was read once is kept in memory, and wiped when the table is closed. Target th_secrets.
 */
#ifndef TELEHUB_COMMON_SECRETS_H
#define TELEHUB_COMMON_SECRETS_H

#include "common/arena.h"
#include "common/err.h"
#include "common/str.h"

#define SECRET_SIZE_MAX      4096
#define SECRET_NAME_MAX      63
#define SECRETS_CACHED_MAX   1024 /* beyond that files are read each time */
#define SECRETS_CALLBACK_KEY 32   /* bytes */

struct secrets;

/* dir is made with mode 0700 when it is not there.
 * Errors: TH_DENIED  others than the owner may look into it; TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code secrets_open(const char *dir, struct secrets **out_secrets, struct th_err *err);

/* Accepts NULL. */
void secrets_close(struct secrets *secrets);
TH_AUTO_DEFINE(secrets, struct secrets *, secrets_close)

/* May it be a tenant's or an account's name here: [a-z0-9._-], 1 to SECRET_NAME_MAX, not beginning
 * with a dot. Pure. */
bool secret_name_is_valid(struct th_str name);

/* Durable when it returns. The same value again is fine.
 * Errors: TH_INVALID   a name, or a value that is empty, too long or not one line
 *         TH_CONFLICT  that version holds another value
 *         TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code secrets_put(struct secrets *secrets, struct th_str tenant, struct th_str name,
                         int32_t version, struct th_str value, struct th_err *err);

/* *out_value lives in arena, followed by a NUL. No error quotes it.
 * Errors: TH_NOT_FOUND
 *         TH_DENIED   others than the owner may read the file: it is not used
 *         TH_INVALID, TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code secrets_get(struct secrets *secrets, struct th_str tenant, struct th_str name,
                         int32_t version, struct th_arena *arena, struct th_str *out_value,
                         struct th_err *err);

/* The key of callback tokens; drawn and stored when there is none. Of two processes that do so at
 * once both get the same. Valid as long as secrets.
 * Errors: TH_DENIED, TH_CORRUPT (not SECRETS_CALLBACK_KEY bytes), TH_IO, TH_UNAVAILABLE */
TH_MUST_USE
enum th_code secrets_callback_key(struct secrets *secrets, struct th_str *out_key,
                                  struct th_err *err);

#endif
