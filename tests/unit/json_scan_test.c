#include "tests/unit/test.h"

#include "common/json.h"
#include "common/json_scan.h"

#include <stdlib.h>
#include <string.h>

#define DEEP_31 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"

static void test_what_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        enum th_code code;
        const char *raw; /* of member a */
    } cases[] = {
        {"one member", "{\"a\":1}", TH_OK, "1"},
        {"white space everywhere", " {\t\"a\" :\r\n [ 1 , {} ] } ", TH_OK, "[ 1 , {} ]"},
        {"none", "{}", TH_OK, ""},
        {"another one", "{\"b\":{\"a\":1}}", TH_OK, ""},
        {"in between", "{\"x\":[[],{\"y\":[]}],\"a\":\"b\",\"z\":null}", TH_OK, "\"b\""},
        {"brackets within a string", "{\"a\":\"}]\\\"\\\\\"}", TH_OK, "\"}]\\\"\\\\\""},
        {"words and numbers", "{\"a\":[true,false,null,-0,1.5e+3,0.1E-2]}", TH_OK,
         "[true,false,null,-0,1.5e+3,0.1E-2]"},
        {"a name with an escape is another one", "{\"\\u0061\":1}", TH_OK, ""},
        {"as deep as allowed", "{\"a\":" DEEP_31 "}", TH_OK, DEEP_31},
        {"nothing", "", TH_MALFORMED, ""},
        {"an array", "[]", TH_MALFORMED, ""},
        {"cut short", "{\"a\":", TH_MALFORMED, ""},
        {"a name without a value", "{\"a\":}", TH_MALFORMED, ""},
        {"a name without a value, further in", "{\"a\":{\"b\":}}", TH_MALFORMED, ""},
        {"a value without a name", "{1}", TH_MALFORMED, ""},
        {"the wrong bracket", "{\"a\":[}", TH_MALFORMED, ""},
        {"something behind", "{}x", TH_MALFORMED, ""},
        {"the member twice", "{\"a\":1,\"a\":2}", TH_MALFORMED, ""},
        {"a comma too many", "{\"a\":1,}", TH_MALFORMED, ""},
        {"a comma too many, further in", "{\"a\":[1,]}", TH_MALFORMED, ""},
        {"a comma in front", "{\"a\":[,1]}", TH_MALFORMED, ""},
        {"a word cut short", "{\"a\":tru}", TH_MALFORMED, ""},
        {"a number with a leading zero", "{\"a\":01}", TH_MALFORMED, ""},
        {"a number without digits", "{\"a\":-}", TH_MALFORMED, ""},
        {"a control character", "{\"a\":\"\n\"}", TH_MALFORMED, ""},
        {"an escape that is none", "{\"a\":\"\\x\"}", TH_MALFORMED, ""},
        {"an escape cut short", "{\"a\":\"\\u00", TH_MALFORMED, ""},
        {"no UTF-8", "{\"a\":\"\xff\"}", TH_MALFORMED, ""},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_json_member a = {.name = "a"};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_json_scan(th_str(cases[i].text), &a, 1), cases[i].code);
        assert_str_equal(a.raw, th_str(cases[i].raw));
    }
}

static void test_depth_is_bounded(void **unused)
{
    (void)unused;
    char text[2 * TH_JSON_SCAN_DEPTH_MAX + 16] = "{\"a\":";
    struct th_json_member a = {.name = "a"};
    size_t n = strlen(text);

    memset(text + n, '[', TH_JSON_SCAN_DEPTH_MAX);
    memset(text + n + TH_JSON_SCAN_DEPTH_MAX, ']', TH_JSON_SCAN_DEPTH_MAX);
    n += (size_t)2 * TH_JSON_SCAN_DEPTH_MAX;
    text[n] = '}';
    assert_int_equal(th_json_scan((struct th_str){text, n + 1}, &a, 1), TH_OK);
    memset(text + 5, '[', TH_JSON_SCAN_DEPTH_MAX + 1);
    assert_int_equal(th_json_scan((struct th_str){text, n + 1}, &a, 1), TH_FULL);
}

static void test_items(void **unused)
{
    (void)unused;
    struct th_json_member list = {.name = "list"};
    static const char *const items[] = {"1", "{\"a\":[2]}", "\"x,y\"", "[]"};
    struct th_str item;
    size_t at = 0;

    assert_int_equal(th_json_scan(TH_STR("{\"list\":[ 1 , {\"a\":[2]},\"x,y\", [] ]}"), &list, 1),
                     TH_OK);
    for (size_t i = 0; i < TH_LEN(items); i++) {
        assert_true(th_json_scan_item(list.raw, &at, &item));
        assert_str_equal(item, th_str(items[i]));
    }
    assert_false(th_json_scan_item(list.raw, &at, &item));
    at = 0;
    assert_false(th_json_scan_item(TH_STR("[ ]"), &at, &item));
    assert_false(th_json_scan_item(TH_STR("{}"), &at, &item));
    assert_false(th_json_scan_item(TH_STR(""), &at, &item));
}

static void test_strings_and_numbers(void **unused)
{
    (void)unused;
    static const struct {
        const char *raw;
        enum th_code code;
        const char *text;
    } cases[] = {
        {"\"\"", TH_OK, ""},
        {"\"SM01\"", TH_OK, "SM01"},
        {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TH_OK, "a\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u0928\\ud83d\\ude00!\"", TH_OK, "Aéन😀!"},
        {"\"\\u0000\"", TH_INVALID, ""},
        {"\"\\ud83d\"", TH_INVALID, ""},
        {"\"\\ud83dx\"", TH_INVALID, ""},
        {"\"\\ude00\"", TH_INVALID, ""},
        {"null", TH_INVALID, ""},
        {"12", TH_INVALID, ""},
        {"", TH_INVALID, ""},
    };
    struct th_arena arena;
    int64_t number = 7;

    th_arena_init(&arena, 1024);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_str text = TH_STR("");
        print_message("  %s\n", cases[i].raw);
        assert_int_equal(th_json_scan_str(th_str(cases[i].raw), &arena, &text), cases[i].code);
        assert_str_equal(text, th_str(cases[i].text));
    }
    th_arena_fini(&arena);
    assert_false(th_json_scan_int(TH_STR("\"1\""), 0, 9, &number));
    assert_false(th_json_scan_int(TH_STR("1.0"), 0, 9, &number));
    assert_false(th_json_scan_int(TH_STR(""), 0, 9, &number));
    assert_false(th_json_scan_int(TH_STR("10"), 0, 9, &number));
    assert_int_equal(number, 7);
    assert_true(th_json_scan_int(TH_STR("-3"), -5, 9, &number));
    assert_int_equal(number, -3);
}

/* What jansson takes, the scan takes, and reads the same in it; what it does not is refused here
 * too, but for values that only jansson looks at: escapes and numbers that nobody asked for. */
static void test_agrees_with_jansson(void **unused)
{
    (void)unused;
    static const char seed[] = "{\"sid\":\"SM\\u0041\\n\",\"a\":[1,{\"b\":null},-2.5e3],\"c\":{}}";
    static const char bytes[] = "{}[]\",:\\u019tfne-. ";
    struct th_arena arena;
    unsigned taken = 0;

    srandom(1);
    th_arena_init(&arena, 65536);
    for (int round = 0; round < 200000; round++) {
        char text[sizeof seed];
        struct th_json_member sid = {.name = "sid"};
        TH_AUTO(th_json) struct json_t *document = NULL;
        struct th_str theirs;
        struct th_str ours;

        memcpy(text, seed, sizeof seed);
        for (long k = random() % 3; k >= 0; k--)
            text[(size_t)random() % (sizeof seed - 1)] =
                bytes[(size_t)random() % (sizeof bytes - 1)];
        struct th_str all = {text, sizeof seed - 1};
        if (th_json_parse(all, sizeof seed, &document, NULL) != TH_OK || text[0] != '{')
            continue;
        taken++;
        assert_int_equal(th_json_scan(all, &sid, 1), TH_OK);
        if (!memmem(text, sizeof text, "\"sid\"", 5) ||
            th_json_str(th_json_at(th_json_root(document), "sid"), 0, 99, &theirs, NULL) != TH_OK)
            continue;
        th_arena_reset(&arena);
        assert_int_equal(th_json_scan_str(sid.raw, &arena, &ours), TH_OK);
        assert_str_equal(ours, theirs);
    }
    th_arena_fini(&arena);
    print_message("  %u texts\n", taken);
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_strings_and_numbers),
        cmocka_unit_test(test_agrees_with_jansson),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
