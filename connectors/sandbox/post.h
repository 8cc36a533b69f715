/* post.h - one callback on its way out, whoever carries it. */
#ifndef TELEHUB_SANDBOX_POST_H
#define TELEHUB_SANDBOX_POST_H

#include "common/str.h"

#define POST_CONTENT_TYPE "application/x-www-form-urlencoded; charset=UTF-8"
#define POST_USER_AGENT   "TwilioProxy/1.1"
#define POST_TIMEOUT_MS   15000 /* as long as Twilio waits */

/* Texts are copied by whoever takes it. */
struct post {
    struct th_str url; /* without a fragment, no control bytes or spaces in it */
    struct th_str signature;
    struct th_str body;
    uint64_t what; /* the owner's */
};

/* http_status is 0 when there was no answer at all. */
typedef void post_done_fn(void *owner, uint64_t what, unsigned http_status);

#endif
