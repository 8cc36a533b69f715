/* transfer.h - one request on its way: a libcurl easy handle, what it sends once, what it heard.
 *
 * Reused for many requests. Nothing here waits; the multi handle in http_client.c drives it.
 */
#ifndef TELEHUB_CONNECTORS_HTTP_TRANSFER_H
#define TELEHUB_CONNECTORS_HTTP_TRANSFER_H

#include "common/buf.h"
#include "common/clock.h"
#include "connectors/http_client/http_client.h"

#include <curl/curl.h>

struct share;
struct watches;

struct transfer {
    uint32_t magic;
    struct transfer *next;   /* in whatever list it stands */
    struct share *share;     /* of http_client.c: the multi handle it always goes to */
    struct watches *watches; /* borrowed */
    CURL *easy;
    CURLU *parsed; /* owned; what easy is set to, when it is not empty: */
    struct th_buf url;
    struct curl_slist *headers;
    struct th_buf content_type; /* that headers were made of, */
    struct th_buf credentials;  /* and "user:secret" */
    bool has_own_headers;       /* and headers of the request: not to be reused */

    uint64_t tag;
    struct http_permit permit;
    struct th_buf body;   /* of the request; libcurl reads it in place */
    bool is_repeatable;   /* a GET that asks nobody: it does nothing, so it may be begun again */
    bool is_begun;        /* a connection stood, the permit said yes: bytes were about to leave */
    size_t header_size;   /* of the answer, so far */
    struct th_buf answer; /* body of the answer */
    bool has_retry_after;
    char retry_after[64];
    char date[64];
    struct http_reply reply;
#ifdef TELEHUB_FAULTS
    char fault_scope[64];
    size_t fault_given; /* bytes of the body that libcurl was handed; */
    size_t fault_sent;  /* that it gave to the system */
#endif
};

/* watches is borrowed, and outlives the multi handle that the transfer is put into.
 * Errors: TH_NOMEM, TH_IO */
TH_MUST_USE
enum th_code transfer_new(const struct http_client_conf *conf, struct watches *watches,
                          struct transfer **out_transfer, struct th_err *err);

/* Accepts NULL. It must not be in a multi handle. */
void transfer_free(struct transfer *transfer);

/* Load the next request, which was checked. Nothing leaves yet.
 * Errors: TH_NOMEM, TH_IO */
TH_MUST_USE
enum th_code transfer_load(struct transfer *transfer, const struct http_req *req,
                           struct http_permit permit, uint64_t tag, struct th_err *err);

/* libcurl said that it ended so: fill transfer->reply. */
void transfer_conclude(struct transfer *transfer, CURLcode result);

/* Nobody looks at its reply any more: what an unusually large one needed is given back. */
void transfer_rest(struct transfer *transfer);

/* The transfer of an easy handle that transfer_new made. */
struct transfer *transfer_of(CURL *easy);

#endif
