/* What codegen refuses, and with which sentence. */
#include "tests/unit/test.h"

#include "schemas/codegen/emit.h"
#include "schemas/codegen/parse.h"

#include <string.h>

/* Each list of types follows these two. */
#define PARTS                                                                                      \
    "{'type':'record','name':'Meta','fields':[]},"                                                 \
    "{'type':'record','name':'Sealed','fields':[]},"
/* … and is followed by this one, so that there is an event. */
#define LAST ",{'type':'record','name':'Last','id':7,'fields':[{'name':'meta','type':'Meta'}]}"

#define EVENT(attributes, fields)                                                                  \
    "{'type':'record','name':'E','id':1," attributes                                               \
    "'fields':[{'name':'meta','type':'Meta'}" fields "]}"
#define FIELD(rest)  EVENT("", ",{'name':'f'," rest "}")
#define RECORD(rest) "{'type':'record','name':'R','fields':[{'name':'f'," rest "}]}"

static enum th_code understand(const char *types, struct model *model, json_t **out_json,
                               struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    json_error_t problem;

    th_buf_printf(&text, "[%s%s%s]", PARTS, types, LAST);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\'')
            text.p[i] = '"';
    *out_json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &problem);
    if (!*out_json)
        return th_fail(err, TH_MALFORMED, "%s", problem.text);
    TH_TRY(parse_file(model, *out_json, err));
    return check_model(model, err);
}

static const struct {
    const char *says;
    const char *types;
    const char *text; /* "" if they are fine */
} cases[] = {
    {"an event", EVENT("", ""), ""},
    {"a field added with a default",
     EVENT("'version':2,", ",{'name':'f','type':'int','since':2,'default':0}"), ""},
    {"a misspelt attribute", FIELD("'type':'int','sicne':2"),
     "E.f: attribute \"sicne\" is not known here"},
    {"an alias", FIELD("'type':'int','aliases':['g']"),
     "E.f: attribute \"aliases\" is not known here"},
    {"an unknown type", FIELD("'type':'Nobody'"),
     "E.f: telehub.Nobody is not defined above (a type cannot contain itself)"},
    {"a type within itself", RECORD("'type':['null','R']"),
     "R.f: telehub.R is not defined above (a type cannot contain itself)"},
    {"another namespace", "{'type':'fixed','name':'F','namespace':'other','size':1}",
     "F: the namespace must be telehub"},
    {"a name with a namespace in it", "{'type':'fixed','name':'telehub.F','size':1}",
     "\"telehub.F\" is not a name (a namespace has its own attribute)"},
    {"the same name twice", "{'type':'fixed','name':'Sealed','size':1}", "Sealed is defined twice"},
    {"the same field twice", EVENT("", ",{'name':'meta','type':'int'}"),
     "E.meta stands there twice"},
    {"an id of zero", "{'type':'record','name':'E','id':0,'fields':[]}",
     "E: \"id\" must be a whole number from 1 to 8388607"},
    {"an id beyond 2^23", "{'type':'record','name':'E','id':8388608,'fields':[]}",
     "E: \"id\" must be a whole number from 1 to 8388607"},
    {"an id used twice",
     "{'type':'record','name':'E','id':7,'fields':[{'name':'meta','type':'Meta'}]}",
     "E and Last have the same id 7"},
    {"an event without meta", "{'type':'record','name':'E','id':1,'fields':[]}",
     "E: the first field must be meta, of record Meta"},
    {"an event whose meta is something else",
     "{'type':'record','name':'E','id':1,'fields':[{'name':'meta','type':'int'}]}",
     "E: the first field must be meta, of record Meta"},
    {"an event within a record", EVENT("", "") "," RECORD("'type':'E'"),
     "R.f: E has an id, so it is an event and cannot be a part"},
    {"since in a frozen record", RECORD("'type':'int','since':1"),
     "R.f: \"since\" in a record without \"id\", which is frozen"},
    {"a version of a frozen record", "{'type':'record','name':'R','version':1,'fields':[]}",
     "R: \"version\" in a record without \"id\""},
    {"a field since a version that is not yet", FIELD("'type':'int','since':2,'default':0"),
     "E.f: since 2, but the record's version is 1"},
    {"a version that added nothing", EVENT("'version':2,", ""),
     "E: version 2, but no field is since then"},
    {"an added field without default",
     EVENT("'version':2,", ",{'name':'f','type':'int','since':2}"), "E.f: since 2, but no default"},
    {"a field put in between",
     EVENT("'version':2,", ",{'name':'f','type':'int','since':2,'default':0},"
                           "{'name':'g','type':'int'}"),
     "E.g: since 1 behind a field since 2: fields are appended"},
    {"a version of 256", EVENT("'version':256,", ""),
     "E: \"version\" must be a whole number from 1 to 255"},
    {"a default of another type", FIELD("'type':'int','default':'0'"),
     "E.f: the default is not a value of int"},
    {"a default too large for an int", FIELD("'type':'int','default':2147483648"),
     "E.f: the default is not a value of int"},
    {"a default of the second branch", FIELD("'type':['null','int'],'default':0"),
     "E.f: the default is not a value of optional<int>"},
    {"a default that is no symbol",
     FIELD("'type':{'type':'enum','name':'C','symbols':['A']},'default':'B'"),
     "E.f: the default is not a value of C"},
    {"a default of the wrong size",
     FIELD("'type':{'type':'fixed','name':'F','size':2},'default':'a'"),
     "E.f: the default is not a value of F"},
    {"a bad item in a default", FIELD("'type':{'type':'array','items':'long'},'default':[1,null]"),
     "E.f: the default is not a value of long"},
    {"a default without a field",
     RECORD("'type':'int'") ",{'type':'record','name':'E','id':1,'fields':[{'name':'meta',"
                            "'type':'Meta'},{'name':'r','type':'R','default':{}}]}",
     "E.r: default without f"},
    {"an empty union", FIELD("'type':[]"), "E.f: a union of nothing"},
    {"a union in a union", FIELD("'type':['int',['null','string']]"),
     "E.f: a union directly within a union"},
    {"a union of two equals", FIELD("'type':['int','int']"),
     "E.f: two branches of a union are alike: int"},
    {"a union of two arrays",
     FIELD("'type':[{'type':'array','items':'int'},{'type':'array','items':'long'}]"),
     "E.f: two branches of a union are alike: array<long>"},
    {"an enum of nothing", "{'type':'enum','name':'C','symbols':[]}",
     "C: \"symbols\" must be a list and not empty"},
    {"an enum with a symbol twice", "{'type':'enum','name':'C','symbols':['a','A']}",
     "the C name C_A would stand for symbol a of C and for symbol A of C"},
    {"a fixed of nothing", "{'type':'fixed','name':'F'}", "F: no \"size\""},
    {"two types of one C name",
     EVENT("", ",{'name':'a','type':{'type':'array','items':['null','int']}},"
               "{'name':'b','type':['null',{'type':'array','items':'int'}]}"),
     "the C name struct optional_int_array would stand for array<optional<int>> and for "
     "optional<array<int>>"},
    {"two records of one C name",
     "{'type':'record','name':'HTTPReply','fields':[]},"
     "{'type':'record','name':'HttpReply','fields':[]}",
     "the C name struct http_reply would stand for HTTPReply and for HttpReply"},
    {"a record named like what codegen makes", "{'type':'record','name':'Event','fields':[]}",
     "the C name struct event would stand for codegen itself and for Event"},
    {"a deep nest",
     FIELD("'type':{'type':'array','items':{'type':'array','items':{'type':'array','items':"
           "{'type':'array','items':{'type':'array','items':{'type':'array','items':"
           "{'type':'array','items':{'type':'array','items':{'type':'array','items':"
           "{'type':'array','items':{'type':'array','items':{'type':'array','items':"
           "{'type':'array','items':{'type':'array','items':{'type':'array','items':"
           "'int'}}}}}}}}}}}}}}}"),
     "E: types nest 17 deep, more than 16"},
};

static void test_what_is_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_arena arena;
        struct th_err err = {0};
        json_t *json = NULL;
        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, (size_t)16 * 1024 * 1024);
        struct model model = {.arena = &arena, .prefix = "", .prefix_upper = ""};
        enum th_code code = understand(cases[i].types, &model, &json, &err);
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(code == TH_OK, cases[i].text[0] == '\0');
        json_decref(json);
        th_arena_fini(&arena);
    }
}

static void test_the_same_schemas_give_the_same_c(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf first = {0};
    TH_AUTO(th_buf) struct th_buf second = {0};
    struct th_buf *outs[] = {&first, &second};

    for (size_t i = 0; i < 2; i++) {
        struct th_arena arena;
        json_t *json = NULL;
        th_arena_init(&arena, (size_t)16 * 1024 * 1024);
        struct model model = {.arena = &arena, .prefix = "", .prefix_upper = ""};
        assert_int_equal(understand(cases[1].types, &model, &json, NULL), TH_OK);
        emit_header(&model, "x.h", outs[i]);
        emit_tables(&model, "x.h", outs[i]);
        json_decref(json);
        th_arena_fini(&arena);
    }
    assert_int_equal(th_buf_status(&first), TH_OK);
    assert_str_equal(th_buf_str(&first), th_buf_str(&second));
}

static void test_comments_stay_comments(void **unused)
{
    (void)unused;
    TH_AUTO(th_buf) struct th_buf out = {0};

    emit_comment("  ", "ends */ early,\nbegins /* again", &out);
    assert_str_equal(th_buf_str(&out), TH_STR("  /* ends * / early, begins / * again */\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_the_same_schemas_give_the_same_c),
        cmocka_unit_test(test_comments_stay_comments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
