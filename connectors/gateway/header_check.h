/* header_check.h - our own look at a request's headers before libmicrohttpd's reading is believed.
 *
 * libmicrohttpd 0.9.75 accepts Content-Length beside Transfer-Encoding, several Content-Lengths,
 * names with blanks and values with control bytes, and forgets a length that goes on in the next
 * line; each lets a client and a proxy disagree about where a request ends (RFC 9112, 6.3 and
 * 11.2). Whoever sends such a request is answered 400 and cut off, so that nothing behind it is
 * taken for a request. (What stands behind a NUL in a value is gone before we see it, and never
 * used by anybody.) Pure.
 */
#ifndef TELEHUB_GATEWAY_HEADER_CHECK_H
#define TELEHUB_GATEWAY_HEADER_CHECK_H

#include <string.h>
#include <strings.h>

#include "common/str.h"

#define HEADERS_MAX      64
#define HEADERS_SIZE_MAX 16384 /* bytes of names and values */

struct header_check {
    const char *wrong; /* a sentence; NULL: nothing so far */
    unsigned status;   /* to answer when something is wrong */
    size_t count;
    size_t size;
    unsigned hosts;
    unsigned lengths;
    unsigned encodings;
    int64_t content_length; /* -1: none */
};

/* method and version as they were sent. */
void header_check_begin(struct header_check *check, struct th_str method, struct th_str version);
void header_check_add(struct header_check *check, struct th_str name, struct th_str value);

/* After the last one. NULL, or what is wrong, and check->status. */
const char *header_check_end(struct header_check *check);

/* Names of headers are the same in any case. Inline: of a known name the length is known too, and
 * most names differ in it. */
static inline bool header_is(struct th_str name, const char *wanted)
{
    return name.n == strlen(wanted) && strncasecmp(name.p, wanted, name.n) == 0;
}

#endif
