/* installation.h - the folder that an installation lives in.
 *
 *   url              where the gateway answers; for commands
 *   keys/operator    the operator's key; keys/TENANT those of tenants (mode 0600)
 *   secrets/         credentials of provider accounts, the key of callback tokens
 *   journal/         what each session let go to a provider
 *   telehub.conf      settings
 *   telehub.pid      locked by the process that runs
 *   postgres/        the private cluster, where deploy/up made one
 */
#ifndef TELEHUB_PROCESSORS_MAIN_INSTALLATION_H
#define TELEHUB_PROCESSORS_MAIN_INSTALLATION_H

#include "common/err.h"

#define OPERATOR_KEY_SIZE 64

/* Take the one place of a running process; *out_fd holds it until it is closed.
 * Errors: TH_CONFLICT  another process runs there; TH_IO */
TH_MUST_USE
enum th_code installation_lock(const char *dir, int *out_fd, struct th_err *err);

/* The operator's key; drawn when there is none. Errors: TH_IO, TH_DENIED, TH_UNAVAILABLE */
TH_MUST_USE
enum th_code installation_operator_key(const char *dir, char out_key[OPERATOR_KEY_SIZE],
                                       struct th_err *err);

/* Write DIR/NAME whole, so that nobody reads half of it. */
TH_MUST_USE
enum th_code installation_write(const char *dir, const char *name, const char *line,
                                struct th_err *err);

#endif
