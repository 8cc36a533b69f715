/* http_client over TLS: to whom nothing may be said, nothing is said. */
#include "tests/unit/test.h"

#include "common/http_outcome.h"
#include "connectors/http_client/http_client.h"
#include "tests/integration/peer.h"
#include "tests/integration/tls_front.h"

#include <poll.h>
#include <stdio.h>

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
        struct peer peer;
        struct tls_front front;
        int n_asked = 0;

        print_message("  %s\n", cases[i].says);
        peer_start(&peer, PEER_ANSWERS, PEER_OK);
        tls_front_start(&front, peer.port, cases[i].from_s, cases[i].until_s);
        struct http_client_conf conf = {.in_flight_max = 1,
                                        .ca_file = cases[i].has_ca ? front.ca_file : NULL};
        assert_int_equal(http_client_open(&conf, &client, NULL), TH_OK);
        struct http_reply reply = run(client, cases[i].host, front.port, &n_asked);
        bool is_trusted = cases[i].outcome == HTTP_OUTCOME_SUCCESS;
        assert_string_equal(http_outcome_text(http_outcome(&reply, false)),
                            http_outcome_text(cases[i].outcome));
        assert_int_equal(n_asked, is_trusted);
        http_client_close(client);
        tls_front_stop(&front);
        peer_stop(&peer);
        assert_int_equal(peer.n_headers, is_trusted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_who_is_trusted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
