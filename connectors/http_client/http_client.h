/* http_client.h - the project's only user of libcurl: one multi loop, no thread.
 *
 * libcurl repeats a request by itself when a kept-alive connection dies before the answer. What
 * stops it: a body that is read once and cannot be rewound, a new connection for requests without
 * a body, and the refusal to begin a request again once its body was asked for. See common/http.h
 * for what a reply promises.
 */
#ifndef TELEHUB_CONNECTORS_HTTP_CLIENT_H
#define TELEHUB_CONNECTORS_HTTP_CLIENT_H

#include "common/http.h"

struct http_client_conf {
    size_t in_flight_max; /* 1 .. HTTP_IN_FLIGHT_MAX; also the size of the keep-alive pool */
    int32_t idle_max_s;   /* connections idle for longer are not reused; 0: 20 */
    int32_t low_speed_s;  /* cut off after this long below 1 byte/s, in either direction; 0: 10 */
    const char *ca_file;  /* PEM; NULL: the system's. Borrowed for the life of the client */
};

/* The first call makes the process ignore SIGPIPE, unless somebody handles it.
 * Errors: TH_INVALID   a bound of conf is broken
 *         TH_NOMEM, TH_IO */
TH_MUST_USE
enum th_code http_client_open(const struct http_client_conf *conf, struct http_client **out_client,
                              struct th_err *err);

#endif
