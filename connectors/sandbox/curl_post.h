/* curl_post.h - POSTs to any URL that libcurl understands.
 *
 * One thread, one libcurl multi handle, connections kept alive. The loop polls curl_post_fd and
 * calls curl_post_run.
 */
#ifndef TELEHUB_SANDBOX_CURL_POST_H
#define TELEHUB_SANDBOX_CURL_POST_H

#include "common/err.h"
#include "connectors/sandbox/post.h"

struct curl_post;

/* done is called from within curl_post_run. Errors: TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code curl_post_open(post_done_fn *done, void *owner, struct curl_post **out_posts,
                            struct th_err *err);

/* Breaks off what is under way, without calling done. Accepts NULL. */
void curl_post_close(struct curl_post *posts);

TH_AUTO_DEFINE(curl_post, struct curl_post *, curl_post_close)

/* Begin one.
 * Errors: TH_NOMEM, TH_INVALID (libcurl does not take the URL); done is not called then */
TH_MUST_USE
enum th_code curl_post_begin(struct curl_post *posts, const struct post *post);

/* How many are under way. */
size_t curl_post_active(const struct curl_post *posts);

int curl_post_fd(const struct curl_post *posts);
void curl_post_run(struct curl_post *posts);

/* How long the loop may wait before it calls curl_post_run anyway; -1: for ever. */
int curl_post_wait_ms(const struct curl_post *posts);

#endif
