/* JSON from outside: what is taken is within the bounds, and can be walked through. */
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

static size_t walk(struct th_json value, int depth)
{
    static const char *const known[] = {"a", "name", "recipients", NULL};
    void *iterator = NULL;
    struct th_json member;
    struct th_str text;
    int64_t number;
    size_t count;
    size_t n = 1;
    bool flag;

    assert(depth <= TH_JSON_DEPTH_MAX);
    (void)!th_json_str(value, 0, 100, &text, NULL);
    (void)!th_json_int(value, -1000, 1000, &number, NULL);
    (void)!th_json_bool(value, &flag, NULL);
    (void)!th_json_object(value, known, NULL);
    while (th_json_next(value, &iterator, &text, &member)) {
        assert(th_str_is_utf8(text));
        n += walk(member, depth + 1);
    }
    if (th_json_array(value, 0, TH_JSON_VALUES_MAX, &count, NULL) == TH_OK)
        for (size_t i = 0; i < count; i++)
            n += walk(th_json_item(value, i), depth + 1);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_err err = {0};

    enum th_code code = th_json_parse(fuzz_input(data, size), 65536, &document, &err);
    assert(code == TH_OK || code == TH_FULL || code == TH_MALFORMED);
    assert((code == TH_OK) == (err.text[0] == '\0'));
    assert((code == TH_OK) == (document != NULL));
    if (code == TH_OK)
        assert(walk(th_json_root(document), 0) <= TH_JSON_VALUES_MAX);
    return 0;
}
