/* tls_front.h - TLS for a peer that speaks none: what comes in over TLS is handed on in plain text,
 * and back. Of its own the certificate, signed by itself for 127.0.0.1. One thread per connection.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_TLS_FRONT_H
#define TELEHUB_TESTS_INTEGRATION_TLS_FRONT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct tls_front {
    SSL_CTX *context;
    int listen_fd;
    int port;
    int behind_port;      /* of 127.0.0.1, to which plain text goes */
    char ca_file[64];     /* whom to trust in order to trust it */
    atomic_int n_threads; /* that still run */
    atomic_bool is_stopping;
};

/* The certificate is valid from and until so many seconds from now. */
void tls_front_start(struct tls_front *front, int behind_port, long from_s, long until_s);
void tls_front_stop(struct tls_front *front);

#endif
