/* callback_token: what is signed comes back, what is touched does not */
#include "tests/unit/test.h"

#include "common/callback_token.h"

#include <string.h>

static const struct th_str key = {"0123456789abcdef0123456789abcdef", 32};

static struct callback_token token_of(const char *tenant, uint32_t lane, uint16_t attempt_no)
{
    struct callback_token token = {
        .lane = lane, .attempt_no = attempt_no, .tenant_size = (uint8_t)strlen(tenant)};

    for (size_t i = 0; i < sizeof token.send.b; i++)
        token.send.b[i] = (uint8_t)(i * 17 + lane);
    memcpy(token.tenant, tenant, token.tenant_size);
    return token;
}

static void test_there_and_back(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *tenant;
        uint32_t lane;
        uint16_t attempt_no;
    } cases[] = {
        {"the usual", "pratham", 3, 1},
        {"the shortest tenant and the first lane", "a", 0, 0},
        {"the longest of everything",
         "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-abcdefghi", UINT32_MAX, UINT16_MAX},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct callback_token token = token_of(cases[i].tenant, cases[i].lane, cases[i].attempt_no);
        struct callback_token back;
        char text[CALLBACK_TOKEN_TEXT_MAX + 1];

        print_message("  %s\n", cases[i].says);
        assert_int_equal(callback_token_make(&token, key, text), TH_OK);
        for (const char *c = text; *c; c++)
            assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_",
                                   *c));
        assert_int_equal(callback_token_parse(th_str(text), key, &back), TH_OK);
        assert_int_equal(back.lane, token.lane);
        assert_int_equal(back.attempt_no, token.attempt_no);
        assert_true(th_id_eq(back.send, token.send));
        assert_str_equal(((struct th_str){back.tenant, back.tenant_size}), th_str(cases[i].tenant));
    }
}

static void test_nobody_else_can_make_one(void **unused)
{
    (void)unused;
    struct callback_token token = token_of("pratham", 3, 1);
    struct callback_token back;
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];

    assert_int_equal(callback_token_make(&token, key, text), TH_OK);
    for (size_t i = 0; i < strlen(text); i++) { /* every character, another one */
        for (const char *c = "A_9z"; *c; c++) {
            char kept = text[i];
            if (kept == *c)
                continue;
            text[i] = *c;
            assert_int_not_equal(callback_token_parse(th_str(text), key, &back), TH_OK);
            text[i] = kept;
        }
    }
    for (size_t n = 0; n < strlen(text); n++)
        assert_int_not_equal(callback_token_parse((struct th_str){text, n}, key, &back), TH_OK);
    assert_int_equal(
        callback_token_parse(th_str(text), TH_STR("0123456789abcdef0123456789abcdeF"), &back),
        TH_DENIED);
    assert_int_equal(callback_token_parse(TH_STR("hello"), key, &back), TH_MALFORMED);
    assert_int_equal(callback_token_parse(TH_STR(""), key, &back), TH_MALFORMED);
}

static void test_what_cannot_be_signed(void **unused)
{
    (void)unused;
    struct callback_token token = token_of("", 3, 1);
    char text[CALLBACK_TOKEN_TEXT_MAX + 1];

    assert_int_equal(callback_token_make(&token, key, text), TH_INVALID);
    token = token_of("pratham", 3, 1);
    assert_int_equal(callback_token_make(&token, TH_STR("short"), text), TH_INVALID);
    assert_int_equal(callback_token_parse(TH_STR("AAAA"), TH_STR("short"), &token), TH_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_nobody_else_can_make_one),
        cmocka_unit_test(test_what_cannot_be_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
