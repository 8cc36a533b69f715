/* A request's head, a line each: method, version, then names and values with ':' between. What
 * passes is unambiguous about where its body ends. */
#include "connectors/gateway/header_check.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    struct th_str method = fuzz_field(&in, '\n');
    struct th_str version = fuzz_field(&in, '\n');
    struct header_check check;
    size_t lengths = 0;
    size_t encodings = 0;
    size_t hosts = 0;
    size_t count = 0;

    header_check_begin(&check, method, version);
    while (in.n) {
        struct th_str value = fuzz_field(&in, '\n');
        struct th_str name = fuzz_field(&value, ':');

        header_check_add(&check, name, value);
        lengths += header_is(name, "content-length");
        encodings += header_is(name, "transfer-encoding");
        hosts += header_is(name, "host");
        count++;
    }
    if (header_check_end(&check)) {
        assert(check.status >= 400 && check.status < 600);
        return 0;
    }
    assert(lengths + encodings <= 1);
    assert(hosts <= 1);
    assert(count <= HEADERS_MAX);
    assert((lengths == 1) == (check.content_length >= 0));
    return 0;
}
