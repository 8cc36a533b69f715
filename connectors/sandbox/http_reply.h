/* http_reply.h - how far an HTTP/1.1 answer has come.
 *
 * Pure. Only its status matters to us, and whether the connection can be used again.
 */
#ifndef TELEHUB_SANDBOX_HTTP_REPLY_H
#define TELEHUB_SANDBOX_HTTP_REPLY_H

#include "common/str.h"

enum http_reply_state {
    REPLY_PARTIAL, /* more must come */
    REPLY_WHOLE,   /* status and size are set */
    REPLY_ENDLESS, /* status is set; where the body ends is not known: close the connection */
    REPLY_BROKEN,  /* not HTTP */
};

struct http_reply {
    enum http_reply_state state;
    unsigned status;
    size_t size;   /* bytes of head and body */
    bool is_final; /* the far side will close the connection */
};

/* Look at what has been received so far. Interim answers (1xx) are passed over. */
struct http_reply http_reply_read(struct th_str received);

#endif
