#include "tests/unit/test.h"

#include "common/json.h"
#include "common/json_out.h"

static void test_every_kind_of_value(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct th_json_out out = {&buf, false};

    th_json_begin(&out, NULL);
    th_json_put_text(&out, "s", "x");
    th_json_put_int(&out, "n", INT64_MIN);
    th_json_put_bool(&out, "is", false);
    th_json_put_null(&out, "none");
    th_json_put_id(&out, "id", (struct th_id){.b = {1}});
    th_json_put_time(&out, "at", 1793613600000001);
    th_json_put_money(&out, "cost", &(struct th_money){-7500, "USD"});
    th_json_begin_array(&out, "list");
    th_json_put_int(&out, NULL, 1);
    th_json_begin(&out, NULL);
    th_json_end(&out);
    th_json_begin_array(&out, NULL);
    th_json_end_array(&out);
    th_json_put_raw(&out, NULL, TH_STR("[2]"));
    th_json_end_array(&out);
    th_json_put_key(&out, TH_STR("a\"b"));
    th_json_put_int(&out, NULL, 3);
    th_json_end(&out);
    assert_int_equal(th_buf_status(&buf), TH_OK);
    assert_str_equal(th_buf_str(&buf),
                     TH_STR("{\"s\":\"x\",\"n\":-9223372036854775808,\"is\":false,\"none\":null,"
                            "\"id\":\"01000000-0000-0000-0000-000000000000\","
                            "\"at\":\"2026-11-02T10:00:00.000001Z\","
                            "\"cost\":{\"amount\":\"-0.0075\",\"currency\":\"USD\"},"
                            "\"list\":[1,{},[],[2]],\"a\\\"b\":3}"));
}

static void test_strings(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        const char *json;
    } cases[] = {
        {"nothing", "", "[\"\"]"},
        {"quotes and a backslash", "a\"b\\", "[\"a\\\"b\\\\\"]"},
        {"white space", "\n\t\r\b\f", "[\"\\n\\t\\r\\b\\f\"]"},
        {"a control character", "\x01", "[\"\\u0001\"]"},
        {"Devanagari", "\xe0\xa4\xa8", "[\"\xe0\xa4\xa8\"]"},
        {"a byte that belongs to nothing",
         "a\xff"
         "b",
         "[\"a\xef\xbf\xbd"
         "b\"]"},
        {"a character cut short", "\xe0\xa4", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]"},
        {"a surrogate", "\xed\xa0\x80", "[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"]"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        struct th_json_out out = {&buf, false};

        print_message("  %s\n", cases[i].says);
        th_json_begin_array(&out, NULL);
        th_json_put_text(&out, NULL, cases[i].text);
        th_json_end_array(&out);
        assert_str_equal(th_buf_str(&buf), th_str(cases[i].json));
    }
}

/* Whatever bytes go in, what comes out is JSON, and what was UTF-8 without NUL comes back. */
static void test_everything_can_be_read_back(void **unused)
{
    (void)unused;
    uint32_t seed = 1;

    for (int round = 0; round < 2000; round++) {
        TH_AUTO(th_buf) struct th_buf buf = {0};
        TH_AUTO(th_json) struct json_t *document = NULL;
        struct th_json_out out = {&buf, false};
        char bytes[16];
        struct th_str s = {bytes, (size_t)(round % 16)};
        struct th_str back;

        for (size_t i = 0; i < s.n; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes[i] = (char)(1 + (seed >> 24) % 255);
        }
        th_json_begin_array(&out, NULL);
        th_json_put_str(&out, NULL, s);
        th_json_end_array(&out);
        assert_int_equal(th_json_parse(th_buf_str(&buf), 1000, &document, NULL), TH_OK);
        assert_int_equal(th_json_str(th_json_item(th_json_root(document), 0), 0, 100, &back, NULL),
                         TH_OK);
        if (th_str_is_utf8(s))
            assert_str_equal(back, s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_value),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_everything_can_be_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
