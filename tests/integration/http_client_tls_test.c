/* http_client over TLS: to whom nothing may be said, nothing is said. */
#include "tests/unit/test.h"

#include "common/http_outcome.h"
#include "connectors/http_client/http_client.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

struct server {
    SSL_CTX *context;
    int listen_fd;
    int port;
    pthread_t thread;
    atomic_int n_bytes; /* of plain text that were received */
    char ca_file[64];
};

/* A certificate for 127.0.0.1 that signs itself; valid from and until so many seconds from now. */
static X509 *make_certificate(EVP_PKEY *key, long from_s, long until_s)
{
    X509 *cert = X509_new();
    X509V3_CTX context;

    assert_non_null(cert);
    assert_int_equal(X509_set_version(cert, 2), 1);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
    X509_NAME *name = X509_get_subject_name(cert);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, name), 1);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1");
    assert_non_null(names);
    assert_int_equal(X509_add_ext(cert, names, -1), 1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static void write_pem(const char *path, X509 *cert)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(fclose(file), 0);
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char bytes[4096];
    int fd = accept(server->listen_fd, NULL, NULL);
    SSL *ssl = SSL_new(server->context);

    if (fd >= 0 && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1) {
        int n;
        while ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0) {
            server->n_bytes += n;
            if (memmem(bytes, (size_t)n, "hello", 5)) /* the body is there */
                (void)SSL_write(ssl, ANSWER, sizeof ANSWER - 1);
        }
    }
    SSL_free(ssl);
    (void)close(fd);
    return NULL;
}

static void start(struct server *server, long from_s, long until_s)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key, from_s, until_s);

    *server = (struct server){.context = SSL_CTX_new(TLS_server_method())};
    assert_int_equal(SSL_CTX_use_certificate(server->context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
    (void)snprintf(server->ca_file, sizeof server->ca_file, "/tmp/telehub-tls-XXXXXX");
    int file = mkstemp(server->ca_file);
    assert_true(file >= 0);
    (void)close(file);
    write_pem(server->ca_file, cert);
    X509_free(cert);
    EVP_PKEY_free(key);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listen_fd, 4), 0);
    assert_int_equal(getsockname(server->listen_fd, (struct sockaddr *)&address, &size), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->listen_fd);
    SSL_CTX_free(server->context);
    (void)unlink(server->ca_file);
}

static bool count_asked(void *n_asked)
{
    ++*(int *)n_asked;
    return true;
}

static struct http_reply run(struct http_client *client, const char *host, int port, int *n_asked)
{
    char url[100];
    struct http_done done;
    struct pollfd ready = {.fd = http_fd(client), .events = POLLIN};

    (void)snprintf(url, sizeof url, "https://%s:%d/", host, port);
    struct http_req req = {
        .method = HTTP_POST,
        .url = th_str(url),
        .body = TH_STR("hello"),
        .user = TH_STR("AC01"),
        .secret = TH_STR("token"),
        .timeout_ms = 5000,
    };
    assert_int_equal(http_start(client, &req, (struct http_permit){count_asked, n_asked}, 1, NULL),
                     TH_OK);
    while (http_poll(client, &done, 1) == 0)
        assert_int_equal(poll(&ready, 1, 10000), 1);
    return done.reply;
}

static void test_who_is_trusted(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *host;
        bool has_ca;
        long from_s;
        long until_s;
        enum http_outcome outcome;
    } cases[] = {
        {"a certificate of somebody we trust", "127.0.0.1", true, -60, 3600, HTTP_OUTCOME_SUCCESS},
        {"signed by nobody we trust", "127.0.0.1", false, -60, 3600, HTTP_OUTCOME_NOT_SENT},
        {"for another host", "localhost", true, -60, 3600, HTTP_OUTCOME_NOT_SENT},
        {"expired", "127.0.0.1", true, -3600, -60, HTTP_OUTCOME_NOT_SENT},
        {"not valid yet", "127.0.0.1", true, 3600, 7200, HTTP_OUTCOME_NOT_SENT},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct http_client *client = NULL;
        struct server server;
        int n_asked = 0;

        print_message("  %s\n", cases[i].says);
        start(&server, cases[i].from_s, cases[i].until_s);
        struct http_client_conf conf = {.in_flight_max = 1,
                                        .ca_file = cases[i].has_ca ? server.ca_file : NULL};
        assert_int_equal(http_client_open(&conf, &client, NULL), TH_OK);
        struct http_reply reply = run(client, cases[i].host, server.port, &n_asked);
        bool is_trusted = cases[i].outcome == HTTP_OUTCOME_SUCCESS;
        assert_string_equal(http_outcome_text(http_outcome(&reply, false)),
                            http_outcome_text(cases[i].outcome));
        assert_int_equal(n_asked, is_trusted);
        http_client_close(client);
        stop(&server);
        assert_int_equal(server.n_bytes > 0, is_trusted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_is_trusted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
