#include "tests/unit/test.h"

#include "common/encode.h"

#include <string.h>

/* RFC 4648, section 10, and the two characters in which the alphabets differ. */
static const struct {
    const char *plain;
    const char *base64;
    const char *base64url;
    const char *hex;
} pairs[] = {
    {"", "", "", ""},
    {"f", "Zg==", "Zg", "66"},
    {"fo", "Zm8=", "Zm8", "666f"},
    {"foo", "Zm9v", "Zm9v", "666f6f"},
    {"foob", "Zm9vYg==", "Zm9vYg", "666f6f62"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE", "666f6f6261"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy", "666f6f626172"},
    {"\xfb\xff\xfe", "+//+", "-__-", "fbfffe"},
};

static void test_both_ways(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};

    for (size_t i = 0; i < TH_LEN(pairs); i++) {
        struct th_str plain = th_str(pairs[i].plain);
        char hex[16];
        uint8_t bytes[8];

        th_buf_clear(&buf);
        th_base64_add(&buf, plain);
        assert_str_equal(th_buf_str(&buf), th_str(pairs[i].base64));
        th_buf_clear(&buf);
        assert_int_equal(th_base64_parse(th_str(pairs[i].base64), &buf), TH_OK);
        assert_str_equal(th_buf_str(&buf), plain);
        th_buf_clear(&buf);
        th_base64url_add(&buf, plain);
        assert_str_equal(th_buf_str(&buf), th_str(pairs[i].base64url));
        th_buf_clear(&buf);
        assert_int_equal(th_base64url_parse(th_str(pairs[i].base64url), &buf), TH_OK);
        assert_str_equal(th_buf_str(&buf), plain);
        th_hex(plain, hex);
        assert_string_equal(hex, pairs[i].hex);
        assert_true(th_hex_parse(th_str(hex), plain.n, bytes));
        assert_memory_equal(bytes, plain.p, plain.n);
    }
}

static void test_what_base64_refuses(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
    } cases[] = {
        {"a length that nothing has", "Zm9vY"},
        {"missing padding", "Zg"},
        {"padding in front", "=Zg="},
        {"three signs of padding", "Z==="},
        {"padding alone", "===="},
        {"the other alphabet", "-__-"},
        {"white space", "Zm9v\n"},
        {"bits behind the last byte", "Zh=="},
        {"bits behind the last two bytes", "Zm9="},
    };
    TH_AUTO(th_buf) struct th_buf buf = {0};

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_base64_parse(th_str(cases[i].text), &buf), TH_MALFORMED);
        assert_int_equal(buf.n, 0);
    }
    assert_int_equal(th_base64_parse((struct th_str){"Zm\0v", 4}, &buf), TH_MALFORMED);
    assert_int_equal(th_base64url_parse(TH_STR("Zg=="), &buf), TH_MALFORMED);
    assert_int_equal(th_base64url_parse(TH_STR("A"), &buf), TH_MALFORMED);
}

static void test_what_hex_refuses(void **unused)
{
    (void)unused;
    uint8_t bytes[4];

    assert_true(th_hex_parse(TH_STR("FF0a"), 2, bytes));
    assert_false(th_hex_parse(TH_STR("ff0"), 1, bytes));
    assert_false(th_hex_parse(TH_STR("ff0a"), 1, bytes));
    assert_false(th_hex_parse(TH_STR("fg"), 1, bytes));
    assert_false(th_hex_parse(TH_STR(""), 1, bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_what_base64_refuses),
        cmocka_unit_test(test_what_hex_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
