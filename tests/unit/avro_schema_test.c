/* Schemas from outside: what is one, what is the same one, and what reads what. */
#include "schemas/avro_resolution.h"
#include "tests/unit/failing_malloc.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <string.h>

static struct th_arena arena;

static int begin(void **unused)
{
    (void)unused;
    th_arena_init(&arena, (size_t)4 * 1024 * 1024);
    return 0;
}

static int end(void **unused)
{
    (void)unused;
    th_arena_fini(&arena);
    return 0;
}

#define REC(name, fields)     "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define F(name, type)         "{\"name\":\"" name "\",\"type\":" type "}"
#define FD(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ENUM(name, symbols)   "{\"type\":\"enum\",\"name\":\"" name "\",\"symbols\":" symbols "}"

/* --- what is a schema ---------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    const char *text;
    enum th_code code;
    const char *holds; /* the text it is known by, or what is said of it */
} schemas[] = {
    {"a primitive by its name", "\"string\"", TH_OK, "\"string\""},
    {"a primitive as an object is the same", " {\"type\":\"string\"} ", TH_OK, "\"string\""},
    {"attributes that Avro does not know are left out",
     "{\"type\":\"string\",\"avro.java.string\":\"String\"}", TH_OK, "\"string\""},
    {"a name takes the namespace that is given",
     "{\"type\":\"fixed\",\"size\":2,\"name\":\"F\",\"namespace\":\"a.b\",\"doc\":\"x\"}", TH_OK,
     "{\"name\":\"a.b.F\",\"type\":\"fixed\",\"size\":2}"},
    {"a name with dots brings its own",
     "{\"type\":\"fixed\",\"size\":2,\"name\":\"c.F\",\"namespace\":\"a.b\"}", TH_OK,
     "{\"name\":\"c.F\",\"type\":\"fixed\",\"size\":2}"},
    {"a type inside of a record has the record's namespace",
     REC("a.R", F("f", ENUM("E", "[\"x\"]")) "," F("g", "\"E\"")), TH_OK,
     "{\"name\":\"a.R\",\"type\":\"record\",\"fields\":[{\"name\":\"f\",\"type\":{\"name\":\"a.E\","
     "\"type\":\"enum\",\"symbols\":[\"x\"]}},{\"name\":\"g\",\"type\":\"a.E\"}]}"},
    {"a record may contain itself", REC("L", F("next", "[\"null\",\"L\"]")), TH_OK,
     "{\"name\":\"next\",\"type\":[\"null\",\"L\"]}"},
    {"a default counts", REC("R", FD("f", "\"int\"", "7")), TH_OK, "\"default\":7"},
    {"a default of a union is of its first branch", REC("R", FD("f", "[\"null\",\"int\"]", "null")),
     TH_OK, "\"default\":null"},
    {"a default's members have an order",
     REC("R", FD("f", "{\"type\":\"map\",\"values\":\"int\"}", "{\"b\":1,\"a\":2}")), TH_OK,
     "\"default\":{\"a\":2,\"b\":1}"},
    {"a record's default may leave out what has a default",
     REC("R", FD("f", REC("S", FD("x", "\"int\"", "1")), "{}")), TH_OK, "\"default\":{}"},
    {"a logical type counts", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", TH_OK,
     "\"logicalType\":\"timestamp-micros\""},
    {"a logical type that is no name does not", "{\"type\":\"long\",\"logicalType\":\"a\\\"\"}",
     TH_OK, "\"long\""},
    {"a decimal of a text is a text",
     "{\"type\":\"string\",\"logicalType\":\"decimal\",\"precision\":4}", TH_OK, "\"string\""},
    {"aliases have the namespace of their type",
     "{\"type\":\"fixed\",\"size\":1,\"name\":\"a.F\",\"aliases\":[\"G\",\"b.H\"]}", TH_OK,
     "\"aliases\":[\"a.G\",\"b.H\"]"},

    {"nothing", "", TH_INVALID, "one schema"},
    {"no JSON", "record", TH_MALFORMED, "not JSON"},
    {"two schemas", "\"int\",\"int\"", TH_INVALID, "one schema"},
    {"a bracket too many", "\"int\"],[\"int\"", TH_MALFORMED, "not JSON"},
    {"a number", "7", TH_INVALID, "must be a string, an object or a list"},
    {"an object without a type", "{}", TH_INVALID, "without \"type\""},
    {"a type that nobody defined", "{\"type\":\"array\",\"items\":\"Foo\"}", TH_INVALID,
     "unknown type Foo"},
    {"a union by name", "{\"type\":\"union\"}", TH_INVALID, "is no type"},
    {"an array of nothing", "{\"type\":\"array\"}", TH_INVALID, "items"},
    {"a record without fields", "{\"type\":\"record\",\"name\":\"R\"}", TH_INVALID, "fields"},
    {"a record without a name", "{\"type\":\"record\",\"fields\":[]}", TH_INVALID, "not a name"},
    {"a name with a blank", REC("R R", ""), TH_INVALID, "\"R R\" is not a name"},
    {"a name that begins with a digit", REC("1R", ""), TH_INVALID, "is not a name"},
    {"a name of Avro's", "{\"type\":\"fixed\",\"size\":1,\"name\":\"int\"}", TH_INVALID,
     "own name"},
    {"a name twice", "[" REC("R", "") "," REC("R", "") "]", TH_INVALID, "R is defined twice"},
    {"a field twice", REC("R", F("f", "\"int\"") "," F("f", "\"int\"")), TH_INVALID,
     "field f twice"},
    {"a field that is no object", REC("R", "7"), TH_INVALID, "name"},
    {"a field without a type", REC("R", "{\"name\":\"f\"}"), TH_INVALID, "R.f: no \"type\""},
    {"a default of another type", REC("R", FD("f", "\"int\"", "\"7\"")), TH_INVALID,
     "R.f: the default"},
    {"a default of the second branch", REC("R", FD("f", "[\"null\",\"int\"]", "7")), TH_INVALID,
     "R.f: the default"},
    {"an int that is none", REC("R", FD("f", "\"int\"", "2147483648")), TH_INVALID, "the default"},
    {"a fixed default of another length",
     REC("R", FD("f", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\"a\"")), TH_INVALID,
     "the default"},
    {"a record that is its own default", REC("R", FD("r", "\"R\"", "{}")), TH_OK, "\"R\""},
    {"a symbol twice", ENUM("E", "[\"a\",\"a\"]"), TH_INVALID, "symbols holds a twice"},
    {"a symbol with a dot", ENUM("E", "[\"a.b\"]"), TH_INVALID, "symbols"},
    {"a default that is no symbol",
     "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\"],\"default\":\"b\"}", TH_INVALID,
     "none of its symbols"},
    {"a fixed without a size", "{\"type\":\"fixed\",\"name\":\"F\"}", TH_INVALID, "size"},
    {"a union within a union", "[\"int\",[\"null\"]]", TH_INVALID, "union within"},
    {"a branch twice", "[\"int\",\"int\"]", TH_INVALID, "int  twice"},
    {"two arrays in a union",
     "[{\"type\":\"array\",\"items\":\"int\"},{\"type\":\"array\",\"items\":\"long\"}]", TH_INVALID,
     "twice"},
    {"a member twice", "{\"type\":\"int\",\"type\":\"int\"}", TH_MALFORMED, "twice"},
};

static void test_schemas(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(schemas); i++) {
        const struct avro_schema *schema = NULL;
        TH_AUTO(th_buf) struct th_buf text = {0};
        struct th_err err = {0};

        print_message("  %s\n", schemas[i].says);
        assert_int_equal(avro_schema_parse(th_str(schemas[i].text), &arena, &schema, &err),
                         schemas[i].code);
        if (schema)
            avro_schema_put(schema, &text);
        th_buf_add_char(&text, 0);
        assert_int_equal(th_buf_status(&text), TH_OK);
        const char *said = schema ? text.p : err.text;
        if (!strstr(said, schemas[i].holds))
            print_message("%s\nmisses %s\n", said, schemas[i].holds);
        assert_non_null(strstr(said, schemas[i].holds));
        th_arena_reset(&arena);
    }
}

/* --- bounds -------------------------------------------------------------------------------------
 */

static enum th_code parse_buf(struct th_buf *buf)
{
    const struct avro_schema *schema = NULL;
    struct th_err err = {0};

    assert_int_equal(th_buf_status(buf), TH_OK);
    enum th_code code = avro_schema_parse(th_buf_str(buf), &arena, &schema, &err);
    th_arena_reset(&arena);
    return code;
}

static void test_bounds(void **unused)
{
    TH_AUTO(th_buf) struct th_buf buf = {0};

    (void)unused;
    print_message("  too long\n");
    th_buf_printf(&buf, "\"int\"%*s", (int)AVRO_SCHEMA_SIZE_MAX, "");
    assert_int_equal(parse_buf(&buf), TH_FULL);
    print_message("  nested too deep\n");
    th_buf_clear(&buf);
    for (int i = 0; i < 40; i++)
        th_buf_printf(&buf, "{\"type\":\"array\",\"items\":");
    th_buf_printf(&buf, "\"int\"%.40s", "}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}");
    assert_int_equal(parse_buf(&buf), TH_FULL);
    print_message("  too many names\n");
    th_buf_clear(&buf);
    for (int i = 0; i <= AVRO_NAMES_MAX; i++)
        th_buf_printf(&buf, "%s{\"type\":\"fixed\",\"size\":1,\"name\":\"F%d\"}", i ? "," : "[", i);
    th_buf_add_char(&buf, ']');
    assert_int_equal(parse_buf(&buf), TH_FULL);
    print_message("  a NUL\n");
    th_buf_clear(&buf);
    th_buf_add(&buf, (struct th_str){"\"int\"\0", 6});
    assert_int_equal(parse_buf(&buf), TH_MALFORMED);
}

/* --- what reads what ----------------------------------------------------------------------------
 */

#define LONG_LIST REC("L", F("v", "\"long\"") "," F("next", "[\"null\",\"L\"]"))
#define INT_LIST  REC("L", F("v", "\"int\"") "," F("next", "[\"null\",\"L\"]"))
#define DECIMAL(p, s)                                                                              \
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" p ",\"scale\":" s "}"

static const struct {
    const char *says;
    const char *reader;
    const char *writer;
    const char *why; /* NULL: it can */
} resolutions[] = {
    {"the same type", "\"int\"", "\"int\"", NULL},
    {"an int as a long", "\"long\"", "\"int\"", NULL},
    {"an int as a float", "\"float\"", "\"int\"", NULL},
    {"an int as a double", "\"double\"", "\"int\"", NULL},
    {"a long as a float", "\"float\"", "\"long\"", NULL},
    {"a long as a double", "\"double\"", "\"long\"", NULL},
    {"a float as a double", "\"double\"", "\"float\"", NULL},
    {"a string as bytes", "\"bytes\"", "\"string\"", NULL},
    {"bytes as a string", "\"string\"", "\"bytes\"", NULL},
    {"a long as an int", "\"int\"", "\"long\"", "int where long was written"},
    {"a double as a float", "\"float\"", "\"double\"", "float where double"},
    {"a float as a long", "\"long\"", "\"float\"", "long where float"},
    {"an int as a string", "\"string\"", "\"int\"", "string where int"},
    {"a boolean as an int", "\"int\"", "\"boolean\"", "int where boolean"},
    {"nothing as a string", "\"string\"", "\"null\"", "string where null"},

    {"an array of what is promoted", "{\"type\":\"array\",\"items\":\"long\"}",
     "{\"type\":\"array\",\"items\":\"int\"}", NULL},
    {"an array of what is not", "{\"type\":\"array\",\"items\":\"int\"}",
     "{\"type\":\"array\",\"items\":\"long\"}", "int where long"},
    {"a map of what is promoted", "{\"type\":\"map\",\"values\":\"double\"}",
     "{\"type\":\"map\",\"values\":\"float\"}", NULL},
    {"an array as a map", "{\"type\":\"map\",\"values\":\"int\"}",
     "{\"type\":\"array\",\"items\":\"int\"}", "map where array"},

    {"a field that the reader does not want", REC("R", ""), REC("R", F("f", "\"int\"")), NULL},
    {"a field that was not written, with a default", REC("R", FD("f", "\"int\"", "0")),
     REC("R", ""), NULL},
    {"a field that was not written, without one", REC("R", F("f", "\"int\"")), REC("R", ""),
     "R.f: it was not written, and has no default"},
    {"a field that was written under an alias",
     REC("R", "{\"name\":\"new\",\"type\":\"int\",\"aliases\":[\"old\"]}"),
     REC("R", F("old", "\"int\"")), NULL},
    {"a default does not help where the types differ", REC("R", FD("f", "\"int\"", "0")),
     REC("R", F("f", "\"string\"")), "R.f: int where string"},
    {"fields in another order", REC("R", F("a", "\"int\"") "," F("b", "\"string\"")),
     REC("R", F("b", "\"string\"") "," F("a", "\"int\"")), NULL},
    {"a place deep inside is named", REC("R", F("s", REC("S", F("x", "\"int\"")))),
     REC("R", F("s", REC("S", F("x", "\"string\"")))), "R.s: S.x: int where string was written"},
    {"a record of another name", REC("R", ""), REC("Q", ""), "record R where Q was written"},
    {"a record of another namespace", REC("a.R", ""), REC("b.R", ""), NULL},
    {"a record under an alias",
     "{\"type\":\"record\",\"name\":\"a.R\",\"aliases\":[\"b.Q\"],\"fields\":[]}", REC("b.Q", ""),
     NULL},
    {"an alias of the writer's does not help", REC("R", ""),
     "{\"type\":\"record\",\"name\":\"Q\",\"aliases\":[\"R\"],\"fields\":[]}", "record R where Q"},

    {"a symbol more at the reader", ENUM("E", "[\"a\",\"b\"]"), ENUM("E", "[\"a\"]"), NULL},
    {"a symbol less", ENUM("E", "[\"a\"]"), ENUM("E", "[\"a\",\"b\"]"), "E lacks the symbol b"},
    {"a symbol less, with a default",
     "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"a\"],\"default\":\"a\"}",
     ENUM("E", "[\"a\",\"b\"]"), NULL},
    {"a fixed of another size", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}",
     "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "F of 2 bytes where 3 were written"},
    {"a fixed of another name", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}",
     "{\"type\":\"fixed\",\"name\":\"G\",\"size\":2}", "fixed F where G"},
    {"a decimal of the same precision and scale", DECIMAL("9", "2"), DECIMAL("9", "2"), NULL},
    {"a decimal of another scale", DECIMAL("9", "2"), DECIMAL("9", "3"), "another precision"},

    {"a union reads what one of its branches reads", "[\"null\",\"long\"]", "\"int\"", NULL},
    {"a union without a branch for it", "[\"null\",\"int\"]", "\"string\"",
     "a union without a branch for the string written"},
    {"of a written union each branch must be readable", "\"int\"", "[\"null\",\"int\"]",
     "int where null"},
    {"a written union of one", "\"long\"", "[\"int\"]", NULL},
    {"a union with a branch more", "[\"null\",\"int\",\"string\"]", "[\"null\",\"int\"]", NULL},
    {"a union with a branch less", "[\"null\",\"int\"]", "[\"null\",\"int\",\"string\"]",
     "a union without a branch for the string written"},
    {"the branch that takes it all, not the first of that name",
     "[" REC("a.R", F("x", "\"int\"")) "," REC("b.R", FD("x", "\"int\"", "0")) "]", REC("R", ""),
     NULL},

    {"a list, of what is promoted", LONG_LIST, INT_LIST, NULL},
    {"a list, of what is not", INT_LIST, LONG_LIST, "L.v: int where long"},
    {"a list that ends otherwise", REC("L", F("next", "[\"null\",\"L\"]") "," F("v", "\"int\"")),
     REC("L", F("next", "[\"null\",\"L\"]") "," F("v", "\"string\"")), "L.v: int where string"},
};

static const struct avro_schema *schema_of(const char *text)
{
    const struct avro_schema *schema = NULL;
    struct th_err err = {0};

    if (avro_schema_parse(th_str(text), &arena, &schema, &err) != TH_OK)
        print_message("%s: %s\n", text, err.text);
    assert_non_null(schema);
    return schema;
}

static void test_resolutions(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(resolutions); i++) {
        struct th_err why = {0};
        bool can_read = false;

        print_message("  %s\n", resolutions[i].says);
        assert_int_equal(avro_resolve(schema_of(resolutions[i].reader),
                                      schema_of(resolutions[i].writer), &arena, &can_read, &why),
                         TH_OK);
        if (can_read != !resolutions[i].why ||
            (resolutions[i].why && !strstr(why.text, resolutions[i].why)))
            print_message("%s\n", why.text);
        assert_int_equal(can_read, !resolutions[i].why);
        if (resolutions[i].why)
            assert_non_null(strstr(why.text, resolutions[i].why));
        th_arena_reset(&arena);
    }
}

/* Each of many records refers to the one before it, twice: a comparison that forgot what it had
 * seen would take for ever, and one without a bound of its depth would leave the stack. */
static void put_chain(struct th_buf *buf, const char *leaf, int n)
{
    th_buf_printf(buf, "[" REC("R0", F("x", "\"%s\"")), leaf);
    for (int i = 1; i < n; i++)
        th_buf_printf(buf, "," REC("R%d", F("a", "\"R%d\"") "," F("b", "\"R%d\"")), i, i - 1,
                      i - 1);
    th_buf_add_char(buf, ']');
}

static enum th_code resolve_chains(int n, const char *reader, const char *writer, bool *out)
{
    const struct avro_schema *schemas_of[2] = {NULL, NULL};
    const char *leaves[2] = {reader, writer};
    struct th_err err = {0};

    for (size_t i = 0; i < 2; i++) {
        TH_AUTO(th_buf) struct th_buf text = {0};
        put_chain(&text, leaves[i], n);
        assert_int_equal(avro_schema_parse(th_buf_str(&text), &arena, &schemas_of[i], &err), TH_OK);
    }
    enum th_code code = avro_resolve(schemas_of[0], schemas_of[1], &arena, out, &err);
    th_arena_reset(&arena);
    return code;
}

static void test_long_ways(void **unused)
{
    bool can_read = false;

    (void)unused;
    print_message("  a chain of 60 records\n");
    assert_int_equal(resolve_chains(60, "long", "int", &can_read), TH_OK);
    assert_true(can_read);
    print_message("  one whose end does not fit\n");
    assert_int_equal(resolve_chains(60, "int", "string", &can_read), TH_OK);
    assert_false(can_read);
    print_message("  one that is longer, met from its short end\n");
    assert_int_equal(resolve_chains(AVRO_NAMES_MAX, "long", "int", &can_read), TH_OK);
    assert_true(can_read);
}

/* --- without memory -----------------------------------------------------------------------------
 */

static const char all[] =
    "[" REC("R", "{\"name\":\"f\",\"type\":{\"type\":\"map\",\"values\":\"int\"},"
                 "\"default\":{\"b\":1,\"a\":2},\"aliases\":[\"g\"]},"
                 "{\"name\":\"next\",\"type\":[\"null\",\"R\"]}") ","
                                                                  "{\"type\":\"enum\",\"name\":"
                                                                  "\"E\",\"symbols\":[\"a\",\"b\"],"
                                                                  "\"default\":\"a\"}]";

static enum th_code read_itself(struct th_arena *small)
{
    const struct avro_schema *schema = NULL;
    struct th_err err = {0};
    bool can_read = false;

    TH_TRY(avro_schema_parse(th_str(all), small, &schema, &err));
    TH_TRY(avro_resolve(schema, schema, small, &can_read, &err));
    assert_true(can_read);
    return TH_OK;
}

static void test_no_memory(void **unused)
{
    enum th_code code = TH_NOMEM;
    long failures = 0;

    (void)unused;
    while (code != TH_OK) {
        struct th_arena small;
        long live = mallocs_live;
        th_arena_init(&small, (size_t)1024 * 1024);
        mallocs_left = failures;
        code = read_itself(&small);
        mallocs_left = -1;
        th_arena_fini(&small);
        assert_int_equal(mallocs_live, live);
        assert_true(code == TH_OK || code == TH_NOMEM);
        failures += code != TH_OK;
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schemas),     cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_resolutions), cmocka_unit_test(test_long_ways),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
