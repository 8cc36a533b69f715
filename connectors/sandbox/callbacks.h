/* callbacks.h - HTTP out: form POSTs to the clients' URLs.
 *
 * One thread, one libcurl multi handle, connections kept alive. The loop polls callbacks_fd and
 * calls callbacks_run.
 */
#ifndef TELEHUB_SANDBOX_CALLBACKS_H
#define TELEHUB_SANDBOX_CALLBACKS_H

#include "common/buf.h"

struct callbacks;

/* http_status is 0 when there was no answer at all. Called from within callbacks_run. */
typedef void callbacks_done_fn(void *owner, uint64_t what, unsigned http_status);

/* Errors: TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code callbacks_open(callbacks_done_fn *done, void *owner, struct callbacks **out_callbacks,
                            struct th_err *err);

/* Breaks off what is under way, without calling done. Accepts NULL. */
void callbacks_close(struct callbacks *callbacks);

TH_AUTO_DEFINE(callbacks, struct callbacks *, callbacks_close)

/* Begin one; url, signature and body are copied. what comes back with done.
 * Errors: TH_NOMEM, TH_INVALID (libcurl does not take the URL); done is not called then */
TH_MUST_USE
enum th_code callbacks_post(struct callbacks *callbacks, struct th_str url, struct th_str signature,
                            struct th_str body, uint64_t what);

/* How many are under way. */
size_t callbacks_active(const struct callbacks *callbacks);

int callbacks_fd(const struct callbacks *callbacks);
void callbacks_run(struct callbacks *callbacks);

/* How long the loop may wait before it calls callbacks_run anyway; -1: for ever. */
int callbacks_wait_ms(const struct callbacks *callbacks);

#endif
