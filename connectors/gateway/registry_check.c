/* Schemas that a client brings along: is it one of ours, and can it read what is on the log? */
#include <stdio.h>

#include "common/json.h"
#include "common/json_out.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/problem.h"
#include "connectors/gateway/registry.h"
#include "connectors/gateway/routes.h"
#include "schemas/avro_resolution.h"

static enum handled refuse_schema(struct request *request, enum th_code code,
                                  const struct th_err *err)
{
    if (code == TH_NOMEM)
        return problem_failure(request, code, err);
    return registry_fail(request, REGISTRY_BAD_SCHEMA, "Invalid schema: %s", err->text);
}

/* {"schema":"…"} and what a client may say beside it. */
static enum th_code check_members(struct th_json root, struct th_str *out_text, struct th_err *err)
{
    struct th_json type = th_json_at(root, "schemaType");
    struct th_json references = th_json_at(root, "references");
    struct th_str said = TH_STR("AVRO");
    size_t n = 0;

    if (th_json_is_given(type))
        TH_TRY(th_json_str(type, 0, 100, &said, err));
    if (!th_str_eq(said, TH_STR("AVRO")))
        return th_json_fail(type, err, "must be AVRO");
    if (th_json_is_given(references))
        TH_TRY(th_json_array(references, 0, 0, &n, err));
    return th_json_str(th_json_at(root, "schema"), 1, AVRO_SCHEMA_SIZE_MAX, out_text, err);
}

/* The body's schema, understood. False: answered. */
static bool read_schema(struct request *request, const struct avro_schema **out,
                        enum handled *out_handled)
{
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_str text = {0};
    struct th_err err = {0};

    enum th_code code =
        th_json_parse(th_buf_str(&request->body), route_body_max(request->route), &document, &err);
    if (code != TH_OK) {
        *out_handled = problem_json(request, &err);
        return false;
    }
    code = check_members(th_json_root(document), &text, &err);
    if (code == TH_OK)
        code = avro_schema_parse(text, &request->arena, out, &err);
    if (code == TH_OK)
        return true;
    *out_handled = refuse_schema(request, code, &err);
    return false;
}

/* --- is it one of ours? -------------------------------------------------------------------------
 */

/* The version of subject that is the same schema, or NULL. */
static enum th_code find_same(struct request *request, struct th_str subject,
                              const struct avro_schema *asked, const struct schema **out,
                              struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf wanted = {0};
    TH_AUTO(th_buf) struct th_buf text = {0};
    const struct schema *schema;

    *out = NULL;
    avro_schema_put(asked, &wanted);
    for (unsigned version = 1; (schema = registry_version_of(subject, version)); version++) {
        const struct avro_schema *ours = NULL;
        TH_TRY(avro_schema_parse(schema->json, &request->arena, &ours, err));
        th_buf_clear(&text);
        avro_schema_put(ours, &text);
        if (th_buf_status(&text) != TH_OK || th_buf_status(&wanted) != TH_OK)
            return th_fail(err, TH_NOMEM, "schema");
        if (th_str_eq(th_buf_str(&text), th_buf_str(&wanted)))
            *out = schema;
    }
    return TH_OK;
}

/* The subject's version that the body's schema is; NULL: none. False: answered. */
static bool look_up(struct request *request, const struct schema **out, enum handled *out_handled)
{
    const struct avro_schema *asked = NULL;
    struct th_str subject;
    struct th_err err = {0};

    if (!registry_subject(request, &subject, out_handled) ||
        !read_schema(request, &asked, out_handled))
        return false;
    enum th_code code = find_same(request, subject, asked, out, &err);
    if (code == TH_OK)
        return true;
    *out_handled = problem_failure(request, code, &err);
    return false;
}

enum handled registry_look_up(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!look_up(request, &schema, &handled))
        return handled;
    if (!schema)
        return registry_fail(request, REGISTRY_NO_SCHEMA, "Schema not found");
    return registry_answer_version(request, schema);
}

/* To register what is registered changes nothing, and answers with its id; so serializers that
 * always register go on working. */
enum handled registry_register(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!registry_version_of(request->params[0], 0))
        return registry_no_write(request);
    if (!look_up(request, &schema, &handled))
        return handled;
    if (!schema)
        return registry_no_write(request);
    th_json_begin(&out, NULL);
    th_json_put_int(&out, "id", schema->id);
    th_json_end(&out);
    return registry_answer(request);
}

/* --- can it read what is on the log? ------------------------------------------------------------
 */

struct verdict {
    bool can_read;
    struct th_err why; /* of the first version that it cannot read */
};

static enum th_code judge(struct request *request, const struct avro_schema *reader,
                          const struct schema *schema, struct verdict *verdict)
{
    const struct avro_schema *writer = NULL;
    struct th_err why = {0};
    bool can_read = false;

    if (!verdict->can_read)
        return TH_OK;
    TH_TRY(avro_schema_parse(schema->json, &request->arena, &writer, &verdict->why));
    enum th_code code = avro_resolve(reader, writer, &request->arena, &can_read, &why);
    if (code == TH_OK && can_read)
        return TH_OK;
    verdict->why = why;
    verdict->can_read = false;
    if (code == TH_OK)
        (void)th_wrap(&verdict->why, "what version %u wrote", schema->version);
    return code;
}

static bool is_verbose(const struct request *request)
{
    struct th_str value;

    return request_query(request, "verbose", &value) && th_str_eq(value, TH_STR("true"));
}

static enum handled answer_verdict(struct request *request, enum th_code code,
                                   const struct verdict *verdict)
{
    struct th_json_out out = {&request->answer, false};

    if (code != TH_OK)
        return refuse_schema(request, code, &verdict->why);
    th_json_begin(&out, NULL);
    th_json_put_bool(&out, "is_compatible", verdict->can_read);
    if (is_verbose(request)) {
        th_json_begin_array(&out, "messages");
        if (!verdict->can_read)
            th_json_put_text(&out, NULL, verdict->why.text);
        th_json_end_array(&out);
    }
    th_json_end(&out);
    return registry_answer(request);
}

enum handled registry_compatible(struct request *request)
{
    struct verdict verdict = {.can_read = true};
    enum handled handled = HANDLED_ANSWERED;
    const struct avro_schema *reader = NULL;
    const struct schema *schema = NULL;

    if (!registry_subject_version(request, &schema, &handled) ||
        !read_schema(request, &reader, &handled))
        return handled;
    enum th_code code = judge(request, reader, schema, &verdict);
    return answer_verdict(request, code, &verdict);
}

enum handled registry_compatible_all(struct request *request)
{
    struct verdict verdict = {.can_read = true};
    enum handled handled = HANDLED_ANSWERED;
    const struct avro_schema *reader = NULL;
    const struct schema *schema;
    struct th_str subject;
    enum th_code code = TH_OK;

    if (!registry_subject(request, &subject, &handled) || !read_schema(request, &reader, &handled))
        return handled;
    for (unsigned version = 1; code == TH_OK && (schema = registry_version_of(subject, version));
         version++)
        code = judge(request, reader, schema, &verdict);
    return answer_verdict(request, code, &verdict);
}
