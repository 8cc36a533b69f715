/* The schema registry, over HTTP: what Kafka's tools ask, and how they are refused. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "tests/integration/gateway_world.h"
#include "tests/unit/test.h"

#define TYPE    "application/vnd.schemaregistry.v1+json"
#define STARTED "telehub.AttemptStarted"

static struct world world;

static int start(void **unused)
{
    const struct world_options options = world_options_default();

    (void)unused;
    world_start(&world, &options);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    world_stop(&world);
    return 0;
}

/* A schema within the JSON that asks for it. */
#define ASK(text) "{\"schema\":\"" text "\"}"

/* What a consumer needs of an attempt, and no more. */
#define NARROW                                                                                     \
    "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"AttemptStarted\\\",\\\"fields\\\":["            \
    "{\\\"name\\\":\\\"n\\\",\\\"type\\\":\\\"long\\\"},"                                          \
    "{\\\"name\\\":\\\"send_by_us\\\",\\\"type\\\":\\\"long\\\"}]}"

static const struct {
    const char *says;
    const char *method;
    const char *target;
    const char *body;
    int status;
    const char *holds;
} calls[] = {
    {"the subjects", "GET", "/registry/subjects", NULL, 200, "\"" STARTED "\""},
    {"the subjects, deleted ones as well", "GET", "/registry/subjects?deleted=true", NULL, 200,
     "[\"telehub."},
    {"the subjects that were deleted", "GET", "/registry/subjects?deletedOnly=true", NULL, 200,
     "[]"},
    {"the subjects that begin so", "GET", "/registry/subjects?subjectPrefix=telehub.RepeatW", NULL,
     200, "[\"telehub.RepeatWanted\"]"},
    {"the subjects of every context", "GET", "/registry/subjects?subjectPrefix=:*:", NULL, 200,
     "[\"telehub."},
    {"the subjects of another context", "GET", "/registry/subjects?subjectPrefix=:.other:", NULL,
     200, "[]"},
    {"versions", "GET", "/registry/subjects/" STARTED "/versions?deleted=true", NULL, 200,
     "[1,2,3]"},
    {"a version", "GET", "/registry/subjects/" STARTED "/versions/2", NULL, 200,
     "{\"subject\":\"" STARTED "\",\"id\":25858,\"version\":2,\"schema\":\"{\\\"type\\\":"},
    {"the newest version", "GET", "/registry/subjects/" STARTED "/versions/latest", NULL, 200,
     "\"id\":25859,\"version\":3"},
    {"the newest version, as some clients call it", "GET",
     "/registry/subjects/" STARTED "/versions/-1", NULL, 200, "\"id\":25859,\"version\":3"},
    {"a version's schema", "GET", "/registry/subjects/" STARTED "/versions/1/schema", NULL, 200,
     "{\"type\":\"record\",\"name\":\"AttemptStarted\""},
    {"who refers to it", "GET", "/registry/subjects/" STARTED "/versions/1/referencedby", NULL, 200,
     "[]"},
    {"a schema by its id", "GET", "/registry/schemas/ids/25859?fetchMaxId=false&subject=", NULL,
     200, "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"AttemptStarted\\\""},
    {"the schema alone", "GET", "/registry/schemas/ids/25859/schema", NULL, 200,
     "{\"type\":\"record\",\"name\":\"AttemptStarted\""},
    {"the subject of an id", "GET", "/registry/schemas/ids/25859/subjects", NULL, 200,
     "[\"" STARTED "\"]"},
    {"the version of an id", "GET", "/registry/schemas/ids/25858/versions", NULL, 200,
     "[{\"subject\":\"" STARTED "\",\"version\":2}]"},
    {"kinds of schemas", "GET", "/registry/schemas/types", NULL, 200, "[\"AVRO\"]"},
    {"what new versions are held to", "GET", "/registry/config", NULL, 200,
     "{\"compatibilityLevel\":\"BACKWARD_TRANSITIVE\"}"},
    {"the same of a subject", "GET", "/registry/config/" STARTED "?defaultToGlobal=true", NULL, 200,
     "BACKWARD_TRANSITIVE"},
    {"its mode", "GET", "/registry/mode", NULL, 200, "{\"mode\":\"READONLY\"}"},
    {"the mode of a subject", "GET", "/registry/mode/" STARTED, NULL, 200, "READONLY"},

    {"no such subject", "GET", "/registry/subjects/telehub.None/versions", NULL, 404,
     "{\"error_code\":40401,\"message\":\"Subject 'telehub.None' not found.\"}"},
    {"no such subject's version", "GET", "/registry/subjects/None/versions/1", NULL, 404,
     "\"error_code\":40401"},
    {"no such subject's level", "GET", "/registry/config/None", NULL, 404, "\"error_code\":40401"},
    {"no such version", "GET", "/registry/subjects/" STARTED "/versions/4", NULL, 404,
     "{\"error_code\":40402,\"message\":\"Version 4 not found.\"}"},
    {"a version that fits only after it is cut to 32 bits", "GET",
     "/registry/subjects/" STARTED "/versions/4294967297", NULL, 422, "\"error_code\":42202"},
    {"a version that is none", "GET", "/registry/subjects/" STARTED "/versions/first", NULL, 422,
     "{\"error_code\":42202,"},
    {"version 0", "GET", "/registry/subjects/" STARTED "/versions/0/schema", NULL, 422, "42202"},
    {"no such id", "GET", "/registry/schemas/ids/1", NULL, 404,
     "{\"error_code\":40403,\"message\":\"Schema 1 not found\"}"},
    {"an id that is none", "GET", "/registry/schemas/ids/x/versions", NULL, 404, "40403"},
    {"no such path", "GET", "/registry/none", NULL, 404, "{\"error_code\":404,"},
    {"the base alone", "GET", "/registry", NULL, 404, "{\"error_code\":404,"},
    {"a method that is not there", "DELETE", "/registry/schemas/ids/257", NULL, 405,
     "{\"error_code\":405,"},

    {"a subject cannot be deleted", "DELETE", "/registry/subjects/" STARTED "?permanent=true", NULL,
     422, "{\"error_code\":42205,"},
    {"a version cannot be deleted", "DELETE", "/registry/subjects/" STARTED "/versions/1", NULL,
     422, "42205"},
    {"the level cannot be changed", "PUT", "/registry/config", "{\"compatibility\":\"NONE\"}", 422,
     "42205"},
    {"nor a subject's", "PUT", "/registry/config/" STARTED, "{\"compatibility\":\"NONE\"}", 422,
     "42205"},
    {"a new subject cannot be registered", "POST", "/registry/subjects/other-value/versions",
     ASK("\\\"int\\\""), 422, "42205"},
    {"nor a new version", "POST", "/registry/subjects/" STARTED "/versions", ASK(NARROW), 422,
     "42205"},
    {"nor what is no schema", "POST", "/registry/subjects/" STARTED "/versions", ASK("int"), 422,
     "42201"},

    {"another schema is not found", "POST", "/registry/subjects/" STARTED, ASK(NARROW), 404,
     "{\"error_code\":40403,\"message\":\"Schema not found\"}"},
    {"a schema under an unknown subject", "POST", "/registry/subjects/None", ASK("\\\"int\\\""),
     404, "40401"},
    {"no JSON", "POST", "/registry/subjects/" STARTED, "{", 400, "{\"error_code\":400,"},
    {"no schema", "POST", "/registry/subjects/" STARTED, "{}", 422, "{\"error_code\":42201,"},
    {"an empty schema", "POST", "/registry/subjects/" STARTED, ASK(""), 422, "42201"},
    {"a schema that is none", "POST", "/registry/subjects/" STARTED,
     ASK("{\\\"type\\\":\\\"x\\\"}"), 422, "Invalid schema: unknown type x"},
    {"another kind of schema", "POST", "/registry/subjects/" STARTED,
     "{\"schemaType\":\"PROTOBUF\",\"schema\":\"syntax\"}", 422, "42201"},
    {"a schema with references", "POST", "/registry/subjects/" STARTED,
     "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"a\"}]}", 422, "42201"},

    {"who wants less can read version 3", "POST",
     "/registry/compatibility/subjects/" STARTED "/versions/latest", ASK(NARROW), 200,
     "{\"is_compatible\":true}"},
    {"but not version 1, which lacks a field", "POST",
     "/registry/compatibility/subjects/" STARTED "/versions/1", ASK(NARROW), 200,
     "{\"is_compatible\":false}"},
    {"and why", "POST", "/registry/compatibility/subjects/" STARTED "/versions/1?verbose=true",
     ASK(NARROW), 200,
     "{\"is_compatible\":false,\"messages\":[\"what version 1 wrote: AttemptStarted.send_by_us: it "
     "was not written, and has no default\"]}"},
    {"so not every version", "POST",
     "/registry/compatibility/subjects/" STARTED "/versions?verbose=true", ASK(NARROW), 200,
     "{\"is_compatible\":false,\"messages\":[\"what version 1 wrote"},
    {"why a schema is compatible needs no words", "POST",
     "/registry/compatibility/subjects/" STARTED "/versions/3?verbose=true", ASK(NARROW), 200,
     "{\"is_compatible\":true,\"messages\":[]}"},
    {"of a subject that there is not", "POST",
     "/registry/compatibility/subjects/None/versions/latest", ASK(NARROW), 404, "40401"},
    {"of a version that there is not", "POST",
     "/registry/compatibility/subjects/" STARTED "/versions/9", ASK(NARROW), 404, "40402"},
    {"of what is no schema", "POST", "/registry/compatibility/subjects/" STARTED "/versions/1",
     ASK("{"), 422, "42201"},
};

static struct http_answer ask(const char *method, const char *target, const char *body, int status)
{
    const struct call what = {
        .method = method, .target = target, .type = body ? TYPE : NULL, .body = body};
    struct http_answer answer = world_call(&world, &what);

    if (answer.status != status)
        print_message("%s %s: %d %s\n", method, target, answer.status, answer.body);
    assert_int_equal(answer.status, status);
    assert_string_equal(answer_header(&answer, "Content-Type"), TYPE);
    return answer;
}

static void test_calls(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(calls); i++) {
        print_message("  %s\n", calls[i].says);
        struct http_answer answer =
            ask(calls[i].method, calls[i].target, calls[i].body, calls[i].status);
        if (!strstr(answer.body, calls[i].holds))
            print_message("%s\nmisses %s\n", answer.body, calls[i].holds);
        assert_non_null(strstr(answer.body, calls[i].holds));
        answer_free(&answer);
    }
}

/* {"schema":"…"} of what is served under id. */
static struct http_answer served(unsigned id)
{
    char target[64];

    (void)snprintf(target, sizeof target, "/registry/schemas/ids/%u", id);
    return ask("GET", target, NULL, 200);
}

/* What a client got for an id it can look up, register and check; each gives that version again. */
static void test_every_schema(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema *schema = schema_at(i);
        struct http_answer body = served(schema->id);
        char target[200];
        char wanted[200];

        (void)snprintf(wanted, sizeof wanted, "\"id\":%u", schema->id);
        (void)snprintf(target, sizeof target, "/registry/subjects/%s?normalize=true", schema->name);
        struct http_answer answer = ask("POST", target, body.body, 200);
        assert_non_null(strstr(answer.body, wanted));
        answer_free(&answer);
        (void)snprintf(target, sizeof target, "/registry/subjects/%s/versions", schema->name);
        answer = ask("POST", target, body.body, 200);
        assert_non_null(strstr(answer.body, wanted));
        answer_free(&answer);
        (void)snprintf(target, sizeof target, "/registry/compatibility/subjects/%s/versions",
                       schema->name);
        answer = ask("POST", target, body.body, 200);
        assert_string_equal(answer.body, "{\"is_compatible\":true}");
        answer_free(&answer);
        answer_free(&body);
    }
}

/* The text of a schema survives being carried in JSON. */
static void test_text(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < schema_count(); i++) {
        struct http_answer answer = served(schema_at(i)->id);
        TH_AUTO(th_json) struct json_t *document = NULL;
        struct th_err err = {0};
        struct th_str text = {0};

        assert_int_equal(
            th_json_parse((struct th_str){answer.body, answer.body_n}, ANSWER_MAX, &document, &err),
            TH_OK);
        assert_int_equal(
            th_json_str(th_json_at(th_json_root(document), "schema"), 1, ANSWER_MAX, &text, &err),
            TH_OK);
        assert_str_equal(text, schema_at(i)->json);
        answer_free(&answer);
    }
}

static const struct {
    const char *says;
    const char *type;
    const char *headers;
    int status;
} types[] = {
    {"the registry's own type", TYPE, NULL, 200},
    {"without a version", "application/vnd.schemaregistry+json", NULL, 200},
    {"plain JSON", "application/json; charset=utf-8", NULL, 200},
    {"bytes", "application/octet-stream", NULL, 200},
    {"credentials that nobody asked for", TYPE, "Authorization: Basic a2Fma2E6a2Fma2E=\r\n", 200},
    {"a form", "application/x-www-form-urlencoded", NULL, 415},
};

static void test_types(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(types); i++) {
        const struct call what = {.method = "POST",
                                  .target = "/registry/compatibility/subjects/" STARTED
                                            "/versions/latest",
                                  .type = types[i].type,
                                  .headers = types[i].headers,
                                  .body = ASK(NARROW)};
        print_message("  %s\n", types[i].says);
        struct http_answer answer = world_call(&world, &what);
        assert_int_equal(answer.status, types[i].status);
        assert_string_equal(answer_header(&answer, "Content-Type"), TYPE);
        answer_free(&answer);
    }
}

/* Anybody may ask, so what they send is bounded. */
static void test_large(void **unused)
{
    const size_t large = (size_t)300 * 1024;
    TH_AUTO(th_buf) struct th_buf body = {0};

    (void)unused;
    th_buf_printf(&body, "{\"schema\":\"%*s\"}", (int)large, "");
    th_buf_add_char(&body, 0);
    assert_int_equal(th_buf_status(&body), TH_OK);
    struct http_answer answer = ask("POST", "/registry/subjects/" STARTED, body.p, 413);
    assert_non_null(strstr(answer.body, "{\"error_code\":413,"));
    answer_free(&answer);
    th_buf_clear(&body);
    th_buf_printf(&body, "{\"schema\":\"%*s\"}", 70 * 1024, "");
    th_buf_add_char(&body, 0);
    answer = ask("POST", "/registry/subjects/" STARTED, body.p, 422);
    assert_non_null(strstr(answer.body, "42201"));
    answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls), cmocka_unit_test(test_every_schema),
        cmocka_unit_test(test_text),  cmocka_unit_test(test_types),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
