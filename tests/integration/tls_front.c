#include "tests/integration/tls_front.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 20

/* --- the certificate -------------------------------------------------------------------------- */

static X509 *make_certificate(EVP_PKEY *key, long from_s, long until_s)
{
    X509 *cert = X509_new();
    X509V3_CTX context;

    assert(cert);
    (void)X509_set_version(cert, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
    X509_NAME *name = X509_get_subject_name(cert);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1,
                                     -1, 0);
    (void)X509_set_issuer_name(cert, name);
    (void)X509_set_pubkey(cert, key);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1");
    assert(names);
    (void)X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    int size = X509_sign(cert, key, EVP_sha256());
    assert(size > 0);
    return cert;
}

static void write_pem(struct tls_front *front, X509 *cert)
{
    (void)snprintf(front->ca_file, sizeof front->ca_file, "/tmp/telehub-tls-XXXXXX");
    int fd = mkstemp(front->ca_file);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert(file);
    int is_written = PEM_write_X509(file, cert) == 1;
    is_written &= fclose(file) == 0;
    assert(is_written);
}

static void certify(struct tls_front *front, long from_s, long until_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key, from_s, until_s);

    front->context = SSL_CTX_new(TLS_server_method());
    int is_used = SSL_CTX_use_certificate(front->context, cert) == 1 &&
                  SSL_CTX_use_PrivateKey(front->context, key) == 1;
    assert(is_used);
    write_pem(front, cert);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* --- a connection ----------------------------------------------------------------------------- */

struct connection {
    struct tls_front *front;
    int fd;
    int behind_fd;
    SSL *ssl;
};

static int connect_behind(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool hand_in(const struct connection *conn)
{
    char bytes[4096];

    do {
        int n = SSL_read(conn->ssl, bytes, sizeof bytes);
        if (n <= 0 || send(conn->behind_fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
            return false;
    } while (SSL_pending(conn->ssl) > 0);
    return true;
}

static bool hand_out(const struct connection *conn)
{
    char bytes[4096];
    ssize_t n = recv(conn->behind_fd, bytes, sizeof bytes, 0);

    return n > 0 && SSL_write(conn->ssl, bytes, (int)n) == n;
}

static void pass_on(const struct connection *conn)
{
    struct pollfd fds[2] = {{.fd = conn->fd, .events = POLLIN},
                            {.fd = conn->behind_fd, .events = POLLIN}};
    bool is_open = true;

    while (is_open && !conn->front->is_stopping) {
        if (poll(fds, 2, TICK_MS) <= 0)
            continue;
        is_open = (!fds[0].revents || hand_in(conn)) && (!fds[1].revents || hand_out(conn));
    }
}

/* Who connects and says nothing does not keep the end of the test waiting. */
static bool greet(const struct connection *conn)
{
    struct timeval patience = {.tv_sec = 5};

    (void)setsockopt(conn->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return SSL_set_fd(conn->ssl, conn->fd) == 1 && SSL_accept(conn->ssl) == 1;
}

static void *serve(void *arg)
{
    struct connection *conn = arg;

    conn->ssl = SSL_new(conn->front->context);
    conn->behind_fd = connect_behind(conn->front->behind_port);
    if (conn->ssl && conn->behind_fd >= 0 && greet(conn))
        pass_on(conn);
    SSL_free(conn->ssl);
    if (conn->behind_fd >= 0)
        (void)close(conn->behind_fd);
    (void)close(conn->fd);
    conn->front->n_threads--;
    free(conn);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct tls_front *front = arg;
    struct pollfd wait = {.fd = front->listen_fd, .events = POLLIN};

    while (!front->is_stopping) {
        if (poll(&wait, 1, TICK_MS) <= 0)
            continue;
        struct connection *conn = calloc(1, sizeof *conn);
        pthread_t thread;
        assert(conn);
        conn->front = front;
        conn->fd = accept(front->listen_fd, NULL, NULL);
        assert(conn->fd >= 0);
        front->n_threads++;
        int failed = pthread_create(&thread, NULL, serve, conn);
        assert(!failed);
        (void)pthread_detach(thread);
    }
    front->n_threads--;
    return NULL;
}

void tls_front_start(struct tls_front *front, int behind_port, long from_s, long until_s)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    pthread_t thread;

    *front = (struct tls_front){.behind_port = behind_port, .n_threads = 1};
    certify(front, from_s, until_s);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    front->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(front->listen_fd >= 0);
    int failed = bind(front->listen_fd, (struct sockaddr *)&address, sizeof address) ||
                 listen(front->listen_fd, 64) ||
                 getsockname(front->listen_fd, (struct sockaddr *)&address, &size);
    assert(!failed);
    front->port = ntohs(address.sin_port);
    failed = pthread_create(&thread, NULL, accept_all, front);
    assert(!failed);
    (void)pthread_detach(thread);
}

void tls_front_stop(struct tls_front *front)
{
    front->is_stopping = true;
    while (front->n_threads)
        (void)usleep(1000);
    (void)close(front->listen_fd);
    SSL_CTX_free(front->context);
    (void)unlink(front->ca_file);
}
