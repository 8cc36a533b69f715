/* Which headers are believed, and who is too slow. */
#include <string.h>

#include "common/clock.h"
#include "connectors/gateway/connections.h"
#include "connectors/gateway/header_check.h"
#include "connectors/gateway/token.h"
#include "tests/unit/test.h"

#define LOG_ID "0190a0a0-0000-7000-8000-000000000001"

/* A name and a value, which may hold anything. */
#define H(name, value)                                                                             \
    {                                                                                              \
        {name, sizeof(name) - 1},                                                                  \
        {                                                                                          \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }

static const struct {
    const char *says;
    const char *method;
    const char *version;
    struct th_str headers[8][2];
    unsigned status; /* 0: nothing is wrong */
} cases[] = {
    {"a plain request", "GET", "HTTP/1.1", {H("Host", "a")}, 0},
    {"a body with a length", "POST", "HTTP/1.1", {H("host", "a"), H("content-length", "12")}, 0},
    {"chunked, in any case",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Transfer-Encoding", "Chunked")},
     0},
    {"a tab and letters beyond ASCII in a value",
     "GET",
     "HTTP/1.0",
     {H("Host", "a"), H("X", "a\tb\xc3\xa9")},
     0},
    {"an empty value", "GET", "HTTP/1.1", {H("Host", "a"), H("X", "")}, 0},
    {"length and encoding",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Transfer-Encoding", "chunked"), H("Content-Length", "1")},
     400},
    {"two lengths",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length", "1"), H("Content-Length", "1")},
     400},
    {"a list of lengths", "POST", "HTTP/1.1", {H("Host", "a"), H("Content-Length", "1, 1")}, 400},
    {"a length in hexadecimal",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length", "0x1")},
     400},
    {"a length of minus nothing",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length", "-0")},
     400},
    {"an empty length", "POST", "HTTP/1.1", {H("Host", "a"), H("Content-Length", "")}, 400},
    {"a length beyond all numbers",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length", "99999999999999999999")},
     400},
    {"two encodings",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Transfer-Encoding", "chunked"), H("Transfer-Encoding", "chunked")},
     400},
    {"identity", "POST", "HTTP/1.1", {H("Host", "a"), H("Transfer-Encoding", "identity")}, 400},
    {"a name that ends with a blank",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length ", "1")},
     400},
    {"a length that goes on in the next line, as the library tells it",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Length3", "")},
     400},
    {"an encoding that goes on in the next line",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("transfer-encodingchunked", "")},
     400},
    {"a name that is shorter than the length's",
     "POST",
     "HTTP/1.1",
     {H("Host", "a"), H("Content-Len", "3")},
     0},
    {"a name with a NUL", "GET", "HTTP/1.1", {H("Host", "a"), H("X\0Y", "1")}, 400},
    {"a value with a line end", "GET", "HTTP/1.1", {H("Host", "a"), H("X", "a\rb")}, 400},
    {"a value with DEL", "GET", "HTTP/1.1", {H("Host", "a"), H("X", "a\x7f")}, 400},
    {"no host", "GET", "HTTP/1.1", {H("X", "a")}, 400},
    {"two hosts", "GET", "HTTP/1.1", {H("Host", "a"), H("HOST", "a")}, 400},
    {"another method", "PATCH", "HTTP/1.1", {H("Host", "a")}, 400},
    {"a method in small letters", "get", "HTTP/1.1", {H("Host", "a")}, 400},
    {"another version", "GET", "HTTP/1.2", {H("Host", "a")}, 400},
};

static void test_headers(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct header_check check;
        print_message("  %s\n", cases[i].says);
        header_check_begin(&check, th_str(cases[i].method), th_str(cases[i].version));
        for (size_t k = 0; k < TH_LEN(cases[i].headers) && cases[i].headers[k][0].n; k++)
            header_check_add(&check, cases[i].headers[k][0], cases[i].headers[k][1]);
        const char *wrong = header_check_end(&check);
        assert_int_equal(wrong ? check.status : 0, cases[i].status);
    }
}

static void test_too_many_headers(void **unused)
{
    static char large[HEADERS_SIZE_MAX];
    struct header_check check;

    (void)unused;
    header_check_begin(&check, TH_STR("GET"), TH_STR("HTTP/1.1"));
    header_check_add(&check, TH_STR("Host"), TH_STR("a"));
    for (int i = 1; i < HEADERS_MAX; i++)
        header_check_add(&check, TH_STR("X"), TH_STR("a"));
    assert_null(header_check_end(&check));
    header_check_add(&check, TH_STR("X"), TH_STR("a"));
    assert_non_null(header_check_end(&check));
    assert_int_equal(check.status, 400);

    memset(large, 'a', sizeof large);
    header_check_begin(&check, TH_STR("GET"), TH_STR("HTTP/1.1"));
    header_check_add(&check, TH_STR("X"), (struct th_str){large, sizeof large});
    assert_non_null(header_check_end(&check));
    assert_int_equal(check.status, 431);
}

/* --- time limits
 * ----------------------------------------------------------------------------------- */

static const struct {
    const char *says;
    enum connection_state state;
    int64_t after_ms;
    int64_t bytes;
    bool is_late;
} slow[] = {
    {"headers in time", CONNECTION_HEADERS, 4999, 0, false},
    {"headers too late", CONNECTION_HEADERS, 5001, 0, true},
    {"idle, not too long", CONNECTION_IDLE, 59999, 0, false},
    {"idle for too long", CONNECTION_IDLE, 60001, 0, true},
    {"a body that has just begun", CONNECTION_BODY, 1900, 0, false},
    {"a body that does not come", CONNECTION_BODY, 3000, 0, true},
    {"a body at 1 kB a second", CONNECTION_BODY, 10000, 10240, false},
    {"a body at half of that", CONNECTION_BODY, 10000, 5120, true},
    {"a body that is quick and endless", CONNECTION_BODY, 20001, 1 << 30, true},
    {"ours to answer", CONNECTION_ANSWERING, 3600000, 0, false},
};

static void test_slow_clients(void **unused)
{
    const struct connection_limits limits = {.header_us = 5 * TH_US_PER_SEC,
                                             .body_us = 20 * TH_US_PER_SEC,
                                             .body_bytes_per_s = 1024,
                                             .idle_us = 60 * TH_US_PER_SEC};
    (void)unused;
    for (size_t i = 0; i < TH_LEN(slow); i++) {
        struct connection one = {0};
        print_message("  %s\n", slow[i].says);
        connection_enter(&one, slow[i].state, 1000);
        connection_read(&one, (size_t)slow[i].bytes);
        assert_int_equal(connection_is_late(&one, &limits, 1000 + slow[i].after_ms * TH_US_PER_MS),
                         slow[i].is_late);
    }
}

static void test_addresses(void **unused)
{
    struct connections all;

    (void)unused;
    connections_init(&all);
    struct connection *one = connections_add(&all, -1, 1, 0);
    assert_non_null(one);
    assert_non_null(connections_add(&all, -1, 1, 0));
    assert_non_null(connections_add(&all, -1, 2, 0));
    assert_int_equal(connections_from(&all, 1), 2);
    connections_remove(&all, one);
    assert_int_equal(connections_from(&all, 1), 1);
    assert_int_equal(connections_from(&all, 3), 0);
    connections_fini(&all);
}

/* --- tokens
 * ---------------------------------------------------------------------------------------- */

static void test_token(void **unused)
{
    const struct log_place place = {TOPIC_SEND_REQUESTS, 31, INT64_C(1) << 40};
    struct log_place read = {0};
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, 65536);
    struct th_str text = token_make(LOG_ID, place, &arena);
    assert_int_equal(token_parse(text, LOG_ID, &read), TH_OK);
    assert_int_equal(read.topic, place.topic);
    assert_int_equal(read.part, place.part);
    assert_int_equal(read.offset, place.offset);
    print_message("  of another log\n");
    assert_int_equal(token_parse(text, "0190a0a0-0000-7000-8000-000000000002", &read), TH_CONFLICT);
    print_message("  cut, or changed in its first character\n");
    assert_int_equal(token_parse((struct th_str){text.p, text.n - 1}, LOG_ID, &read), TH_MALFORMED);
    char *bytes = (char *)(uintptr_t)text.p;
    bytes[0] = 'Z';
    assert_int_equal(token_parse(text, LOG_ID, &read), TH_MALFORMED);
    bytes[0] = '!';
    assert_int_equal(token_parse(text, LOG_ID, &read), TH_MALFORMED);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),      cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_slow_clients), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
