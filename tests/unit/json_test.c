#include "tests/unit/test.h"

#include "common/buf.h"
#include "common/json.h"

#include <string.h>

static void test_what_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *text;
        enum th_code code;
        const char *error;
    } cases[] = {
        {"an object", "{\"a\":1}", TH_OK, ""},
        {"an array with white space", " [1, 2]\n", TH_OK, ""},
        {"brackets within a string", "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]", TH_OK, ""},
        {"nothing", "", TH_MALFORMED, "not JSON at line 1 column 0"},
        {"a number alone", "1", TH_MALFORMED, "not JSON at line 1 column 1"},
        {"cut short", "{\"a\":", TH_MALFORMED, "not JSON at line 1 column 5"},
        {"something behind", "{}x", TH_MALFORMED, "not JSON at line 1 column 3"},
        {"a member twice", "{\"a\":1,\"\\u0061\":2}", TH_MALFORMED,
         "JSON with a member twice at line 1 column 15"},
        {"an escaped NUL", "[\"\\u0000\"]", TH_MALFORMED, "not JSON at line 1 column 9"},
        {"half a surrogate", "[\"\\ud800\"]", TH_MALFORMED, "not JSON at line 1 column 9"},
        {"a control character", "[\"\n\"]", TH_MALFORMED, "not JSON at line 1 column 2"},
        {"no UTF-8", "[\"\xff\"]", TH_MALFORMED, "JSON that is not UTF-8"},
        {"an integer of 20 digits", "[99999999999999999999]", TH_MALFORMED,
         "not JSON at line 1 column 21"},
        {"a comma too many", "[1,]", TH_MALFORMED, "not JSON at line 1 column 4"},
        {"too long", "[\"0123456789012345678901234567890123456789012345678901234567890\"]", TH_FULL,
         "JSON of more than 64 bytes"},
        {"too deep", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]", TH_FULL,
         "JSON nested deeper than 32"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_json) struct json_t *document = NULL;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_json_parse(th_str(cases[i].text), 64, &document, &err), cases[i].code);
        assert_string_equal(err.text, cases[i].error);
    }
    struct json_t *document;
    assert_int_equal(th_json_parse((struct th_str){"[\"\0\"]", 5}, 64, &document, NULL),
                     TH_MALFORMED);
}

static void test_many_values_are_refused(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf buf = {0};
    struct json_t *document = NULL;

    th_buf_add(&buf, TH_STR("[{}"));
    for (int i = 0; i < TH_JSON_CONTAINERS_MAX - 2; i++)
        th_buf_add(&buf, TH_STR(",{}"));
    th_buf_add_char(&buf, ']');
    assert_int_equal(th_json_parse(th_buf_str(&buf), 1000000, &document, NULL), TH_OK);
    th_json_free(document);
    buf.n--;
    th_buf_add(&buf, TH_STR(",{}]"));
    assert_int_equal(th_json_parse(th_buf_str(&buf), 1000000, &document, NULL), TH_FULL);

    th_buf_clear(&buf);
    th_buf_add(&buf, TH_STR("[1"));
    for (int i = 0; i < TH_JSON_VALUES_MAX; i++)
        th_buf_add(&buf, TH_STR(",1"));
    th_buf_add_char(&buf, ']');
    assert_int_equal(th_json_parse(th_buf_str(&buf), 1000000, &document, NULL), TH_FULL);
}

static struct th_json root_of(struct json_t **document, const char *text)
{
    assert_int_equal(th_json_parse(th_str(text), 10000, document, NULL), TH_OK);
    return th_json_root(*document);
}

static void test_asking(void **unused)
{
    (void)unused;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json root = root_of(&document, "{\"name\":\"\xe0\xa4\xa8\",\"n\":-3,\"is\":true,"
                                             "\"list\":[1,{\"a/b\":\"x\"}],\"none\":null}");
    struct th_str s;
    int64_t n;
    bool is;
    size_t count;

    assert_int_equal(th_json_str(th_json_at(root, "name"), 1, 1, &s, NULL), TH_OK);
    assert_str_equal(s, TH_STR("\xe0\xa4\xa8"));
    assert_int_equal(th_json_int(th_json_at(root, "n"), -3, 3, &n, NULL), TH_OK);
    assert_int_equal(n, -3);
    assert_int_equal(th_json_bool(th_json_at(root, "is"), &is, NULL), TH_OK);
    assert_true(is);
    assert_int_equal(th_json_array(th_json_at(root, "list"), 0, 2, &count, NULL), TH_OK);
    assert_int_equal(count, 2);
    assert_int_equal(
        th_json_str(th_json_at(th_json_item(th_json_at(root, "list"), 1), "a/b"), 1, 1, &s, NULL),
        TH_OK);
    assert_false(th_json_is_given(th_json_at(root, "none")));
    assert_false(th_json_is_given(th_json_at(root, "absent")));
    assert_true(th_json_is_given(th_json_at(root, "n")));
}

enum question { STR, LONG_STR, EXACT_STR, INT, BOOL, OBJECT, ARRAY };

static enum th_code ask(enum question question, struct th_json value, struct th_err *err)
{
    static const char *const known[] = {"a", "b", NULL};
    struct th_str s;
    int64_t n;
    bool is;
    size_t count;

    switch (question) {
    case STR:
        return th_json_str(value, 0, 2, &s, err);
    case LONG_STR:
        return th_json_str(value, 1, 100, &s, err);
    case EXACT_STR:
        return th_json_str(value, 3, 3, &s, err);
    case INT:
        return th_json_int(value, 1, 9, &n, err);
    case BOOL:
        return th_json_bool(value, &is, err);
    case OBJECT:
        return th_json_object(value, known, err);
    case ARRAY:
        return th_json_array(value, 1, 2, &count, err);
    }
    return TH_OK;
}

static void test_what_is_wrong_is_said_with_its_place(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum question question;
        const char *text; /* of a document whose member "x/y" is asked */
        const char *error;
    } cases[] = {
        {"too long", STR, "{\"x/y\":\"abc\"}", "/x~1y: must be a string of at most 2 characters"},
        {"too short", LONG_STR, "{\"x/y\":\"\"}", "/x~1y: must be a string of 1 to 100 characters"},
        {"absent", EXACT_STR, "{}", "/x~1y: must be a string of 3 characters"},
        {"not a string", LONG_STR, "{\"x/y\":1}", "/x~1y: must be a string of 1 to 100 characters"},
        {"too large", INT, "{\"x/y\":10}", "/x~1y: must be a whole number from 1 to 9"},
        {"a fraction", INT, "{\"x/y\":1.0}", "/x~1y: must be a whole number from 1 to 9"},
        {"a number in quotes", INT, "{\"x/y\":\"1\"}", "/x~1y: must be a whole number from 1 to 9"},
        {"no truth", BOOL, "{\"x/y\":0}", "/x~1y: must be true or false"},
        {"an unknown member", OBJECT, "{\"x/y\":{\"a\":1,\"c~\":2}}",
         "/x~1y/c~0: is not known here"},
        {"no object", OBJECT, "{\"x/y\":[]}", "/x~1y: must be an object"},
        {"no items", ARRAY, "{\"x/y\":[]}", "/x~1y: must be an array of 1 to 2 items"},
        {"too many items", ARRAY, "{\"x/y\":[1,2,3]}", "/x~1y: must be an array of 1 to 2 items"},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        TH_AUTO(th_json) struct json_t *document = NULL;
        struct th_json value = th_json_at(root_of(&document, cases[i].text), "x/y");
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        assert_int_equal(ask(cases[i].question, value, &err), TH_INVALID);
        assert_string_equal(err.text, cases[i].error);
    }
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_err err = {0};
    assert_int_equal(ask(ARRAY, root_of(&document, "{}"), &err), TH_INVALID);
    assert_string_equal(err.text, "(document): must be an array of 1 to 2 items");
    assert_int_equal(
        th_json_fail(th_json_at(th_json_root(document), "id"), &err, "must be a %s", "UUID"),
        TH_INVALID);
    assert_string_equal(err.text, "/id: must be a UUID");
}

static void test_a_long_place_is_cut_between_characters(void **unused)
{
    (void)unused;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json value = root_of(&document, "{}");
    char key[] = "/\xe0\xa4\xa8\xe0\xa4\xa8\xe0\xa4\xa8\xe0\xa4\xa8";

    for (int i = 0; i < 20; i++) {
        value = th_json_at(value, key);
        assert_true(strlen(value.place) < TH_JSON_PLACE_MAX);
        assert_true(th_str_is_utf8(th_str(value.place)));
    }
}

static void test_going_through_members(void **unused)
{
    (void)unused;
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_json root = root_of(&document, "{\"a\":1,\"b\":2,\"c\":3}");
    struct th_str key;
    struct th_json value;
    int64_t sum = 0;
    void *iterator = NULL;

    while (th_json_next(root, &iterator, &key, &value)) {
        int64_t n;
        assert_int_equal(th_json_int(value, 1, 3, &n, NULL), TH_OK);
        assert_int_equal(key.p[0], 'a' + n - 1);
        assert_str_equal(th_str(value.place + 1), key);
        sum += n;
    }
    assert_int_equal(sum, 6);
    iterator = NULL;
    assert_false(th_json_next(th_json_at(root, "a"), &iterator, &key, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_many_values_are_refused),
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_what_is_wrong_is_said_with_its_place),
        cmocka_unit_test(test_a_long_place_is_cut_between_characters),
        cmocka_unit_test(test_going_through_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
