/* bench_gateway - what one request costs the gateway, on a log in memory: everything between the
 * socket and the log, and back. A process of its own plays the clients, so that what is counted is
 * the gateway's alone.
 *
 *   bench_gateway [REQUESTS, default 100000]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/callback_token.h"
#include "common/digest.h"
#include "common/encode.h"
#include "common/form.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#define CONNECTIONS  64
#define REQUEST_MAX  2048
#define PER_CONNECT  900 /* requests over one connection; the gateway closes it after 1000 */
#define SENDS_IN_ALL 9000000

static const char callback_body[] =
    "AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&From=%2B912071531234&"
    "MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=delivered&RawDlrDoneDate="
    "2611221900&SmsSid=SM0123456789abcdef0123456789abcdef&SmsStatus=delivered&To=%2B919000000001";

struct client {
    const struct world *world;
    size_t (*write)(const struct client *client, uint64_t number, char out[REQUEST_MAX]);
    char callback[REQUEST_MAX];
    size_t callback_n;
};

static size_t write_send(const struct client *client, uint64_t number, char out[REQUEST_MAX])
{
    char body[256];
    int n = snprintf(body, sizeof body,
                     "{\"channel\":\"sms\",\"to\":\"+91900%07" PRIu64
                     "\",\"text\":\"Number %" PRIu64 ": the school opens at 9 tomorrow.\"}",
                     number, number);

    return (size_t)snprintf(out, REQUEST_MAX,
                            "POST /api/v1/sends HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: "
                            "bench\r\nAccept: */*\r\nAuthorization: Bearer %s\r\nContent-Type: "
                            "application/json\r\nIdempotency-Key: bench-%" PRIu64
                            "\r\nContent-Length: %d\r\n\r\n%s",
                            client->world->key, number, n, body);
}

static size_t write_callback(const struct client *client, uint64_t number, char out[REQUEST_MAX])
{
    (void)number;
    memcpy(out, client->callback, client->callback_n);
    return client->callback_n;
}

/* Twilio's: HMAC-SHA1 over the URL and, by name, each field's name and value. */
static void sign(const struct world *world, const char *target, char out[64])
{
    struct th_buf text = {0};
    struct th_buf mac_text = {0};
    struct th_arena arena;
    struct form form;
    uint8_t mac[TH_SHA1_SIZE];

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(form_parse(th_str(callback_body), &arena, &form), TH_OK);
    th_buf_printf(&text, "http://127.0.0.1:%u%s", world->port, target);
    for (size_t i = 0; i < form.n; i++) {
        th_buf_add(&text, form.pairs[i].name);
        th_buf_add(&text, form.pairs[i].value);
    }
    th_hmac_sha1(TH_STR("token-of-main"), th_buf_str(&text), mac);
    th_base64_add(&mac_text, (struct th_str){(const char *)mac, sizeof mac});
    (void)snprintf(out, 64, "%.*s", TH_ARG(th_buf_str(&mac_text)));
    th_buf_fini(&text);
    th_buf_fini(&mac_text);
    th_arena_fini(&arena);
}

static void prepare_callback(struct client *client)
{
    const struct call call = {"POST", "/api/v1/providers", WORLD_OPERATOR_KEY, "main",
                              .body = "{\"tenant\":\"" WORLD_TENANT
                                      "\",\"name\":\"main\",\"wire\":\"twilio\",\"base_url\":"
                                      "\"http://127.0.0.1:9\",\"account\":\"AC1\",\"secret\":"
                                      "\"token-of-main\",\"senders\":[\"+912071531234\"]}"};
    struct http_answer answer = world_call(client->world, &call);
    struct callback_token token = {.send.b = {1, 2, 3}, .lane = 1, .attempt_no = 1};
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];
    char target[400];
    char signature[64];
    struct th_str key;

    assert_int_equal(answer.status, 201);
    answer_free(&answer);
    token.tenant_size = (uint8_t)strlen(WORLD_TENANT);
    memcpy(token.tenant, WORLD_TENANT, token.tenant_size);
    assert_int_equal(secrets_callback_key(client->world->secrets, &key, NULL), TH_OK);
    assert_int_equal(callback_token_make(&token, key, text), TH_OK);
    (void)snprintf(target, sizeof target, "/webhooks/twilio/%s", text);
    sign(client->world, target, signature);
    client->callback_n = (size_t)snprintf(
        client->callback, sizeof client->callback,
        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded; "
        "charset=UTF-8\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nX-Twilio-Signature: "
        "%s\r\nContent-Length: %zu\r\n\r\n%s",
        target, signature, strlen(callback_body), callback_body);
}

/* Every connection asks, then every one is answered. */
static bool ask_all(const struct client *client, int *fds, uint64_t round)
{
    char text[REQUEST_MAX];
    bool is_good = true;

    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (round % PER_CONNECT == 0 && round) {
            (void)close(fds[i]);
            fds[i] = world_connect(client->world);
        }
        size_t n = client->write(client, round * CONNECTIONS + i, text);
        is_good = send(fds[i], text, n, MSG_NOSIGNAL) == (ssize_t)n && is_good;
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        ssize_t n = recv(fds[i], text, sizeof text - 1, 0);
        is_good = n > 12 && memcmp(text, "HTTP/1.1 20", 11) == 0 && is_good;
    }
    return is_good;
}

/* Exit status of the process: were all answers good? */
static int play(const struct client *client, uint64_t requests)
{
    int fds[CONNECTIONS];
    bool is_good = true;

    for (size_t i = 0; i < CONNECTIONS; i++)
        fds[i] = world_connect(client->world);
    for (uint64_t round = 0; round < requests / CONNECTIONS && is_good; round++)
        is_good = ask_all(client, fds, round);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static double cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void measure(const struct client *client, const char *name, uint64_t requests)
{
    int status = 0;
    double before = cpu_us();
    pid_t pid = fork();

    if (pid == 0)
        _exit(play(client, requests));
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        (void)fprintf(stderr, "bench_gateway: %s: an answer was not a good one\n", name);
        exit(1);
    }
    (void)printf("{\"name\":\"gateway, %s\",\"value\":%.1f,\"unit\":\"CPU us/request\",\"against\":"
                 "null,\"against_value\":null,\"ratio\":null,\"better\":\"less\"}\n",
                 name, (cpu_us() - before) / (double)(requests - requests % CONNECTIONS));
}

int main(int argc, char **argv)
{
    uint64_t requests = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
    struct world_options options = world_options_default();
    struct world world;
    struct client client = {.world = &world};

    if (requests < CONNECTIONS || requests > SENDS_IN_ALL) {
        (void)fprintf(stderr, "usage: bench_gateway [%d … %d]\n", CONNECTIONS, SENDS_IN_ALL);
        return 2;
    }
    world_start(&world, &options);
    prepare_callback(&client);
    client.write = write_callback;
    measure(&client, "a callback", requests);
    client.write = write_send;
    measure(&client, "a send", requests);
    world_stop(&world);
    return 0;
}
