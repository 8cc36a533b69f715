/* plain_post.h - POSTs to http://ADDRESS[:PORT]/…, over connections that are kept.
 *
 * One thread. The sandbox stands beside the gateway and sends it two callbacks for every message:
 * at this end of the wire a general HTTP client costs as much as all else together. This one knows
 * a single kind of request, writes it with one system call and looks at the answer's status.
 */
#ifndef TELEHUB_SANDBOX_PLAIN_POST_H
#define TELEHUB_SANDBOX_PLAIN_POST_H

#include "common/err.h"
#include "connectors/sandbox/post.h"

struct plain_post;

/* done is called from within plain_post_run. Errors: TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code plain_post_open(post_done_fn *done, void *owner, struct plain_post **out_posts,
                             struct th_err *err);

/* Breaks off what is under way, without calling done. Accepts NULL. */
void plain_post_close(struct plain_post *posts);

TH_AUTO_DEFINE(plain_post, struct plain_post *, plain_post_close)

/* Begin one. A kept connection that turns out dead is replaced once.
 * Errors: TH_UNSUPPORTED (another scheme, or a host that is no IPv4 address), TH_NOMEM;
 *         done is not called then */
TH_MUST_USE
enum th_code plain_post_begin(struct plain_post *posts, const struct post *post);

/* How many are under way. */
size_t plain_post_active(const struct plain_post *posts);

int plain_post_fd(const struct plain_post *posts);
void plain_post_run(struct plain_post *posts);

/* How long the loop may wait before it calls plain_post_run anyway; -1: for ever. */
int plain_post_wait_ms(const struct plain_post *posts);

#endif
