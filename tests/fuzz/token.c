/* Tokens that come back in URLs and headers. 0: bytes as they are; else the payload of a callback
 * token under a signature that is right, of which the fuzzer may then break a byte. */
#include "connectors/gateway/token.h"
#include "common/callback_token.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define LOG_ID "0190a0a0-0000-7000-8000-000000000001"

static const struct th_str key = {"0123456789abcdef0123456789abcdef", 32};

static void as_it_is(struct th_str in)
{
    struct callback_token token;
    struct log_place place;

    enum th_code code = callback_token_parse(in, key, &token);
    assert(code == TH_MALFORMED || code == TH_DENIED);
    code = token_parse(in, LOG_ID, &place);
    assert(code == TH_OK || code == TH_MALFORMED || code == TH_CONFLICT);
}

static struct callback_token payload(struct th_str *in)
{
    struct callback_token token = {.lane = fuzz_byte(in), .attempt_no = fuzz_byte(in)};

    for (size_t i = 0; i < sizeof token.send.b; i++)
        token.send.b[i] = fuzz_byte(in);
    token.tenant_size = 1 + fuzz_byte(in) % CALLBACK_TOKEN_TENANT_MAX;
    for (size_t i = 0; i < token.tenant_size; i++)
        token.tenant[i] = (char)fuzz_byte(in);
    return token;
}

static void signed_and_broken(struct th_str in, size_t at, char mask)
{
    struct callback_token token = payload(&in);
    struct callback_token back;
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];

    assert(callback_token_make(&token, key, text) == TH_OK);
    assert(callback_token_parse(th_str(text), key, &back) == TH_OK);
    assert(back.lane == token.lane && back.attempt_no == token.attempt_no);
    assert(th_id_eq(back.send, token.send) && back.tenant_size == token.tenant_size);
    assert(memcmp(back.tenant, token.tenant, token.tenant_size) == 0);

    size_t n = strlen(text);
    text[at % n] ^= mask;
    if (mask)
        assert(callback_token_parse((struct th_str){text, n}, key, &back) != TH_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);

    if (fuzz_byte(&in) == 0) {
        as_it_is(in);
    } else {
        size_t at = fuzz_byte(&in);
        char mask = (char)fuzz_byte(&in);
        signed_and_broken(in, at, mask);
    }
    return 0;
}
