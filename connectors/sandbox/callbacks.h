/* callbacks.h - HTTP out: form POSTs to the clients' URLs.
 *
 * One thread. The loop polls callbacks_fd and calls callbacks_run. What goes to an address on plain
 * HTTP (the gateway beside us) takes the short way of plain_post.h, all else libcurl.
 */
#ifndef TELEHUB_SANDBOX_CALLBACKS_H
#define TELEHUB_SANDBOX_CALLBACKS_H

#include "common/err.h"
#include "connectors/sandbox/post.h"

struct callbacks;

/* done is called from within callbacks_run. Errors: TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code callbacks_open(post_done_fn *done, void *owner, struct callbacks **out_callbacks,
                            struct th_err *err);

/* Breaks off what is under way, without calling done. Accepts NULL. */
void callbacks_close(struct callbacks *callbacks);

TH_AUTO_DEFINE(callbacks, struct callbacks *, callbacks_close)

/* Begin one.
 * Errors: TH_NOMEM, TH_INVALID (not a URL); done is not called then */
TH_MUST_USE
enum th_code callbacks_post(struct callbacks *callbacks, const struct post *post);

/* How many are under way. */
size_t callbacks_active(const struct callbacks *callbacks);

int callbacks_fd(const struct callbacks *callbacks);
void callbacks_run(struct callbacks *callbacks);

/* How long the loop may wait before it calls callbacks_run anyway; -1: for ever. */
int callbacks_wait_ms(const struct callbacks *callbacks);

#endif
