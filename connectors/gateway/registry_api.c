/* The read side of a schema registry: subjects, versions, schemas, settings. All of it is compiled
 * in. What a client may have asked beside it ("deleted", "normalize", "subject") changes nothing:
 * nothing was ever deleted, and an id means one schema. */
#include "common/json_out.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/registry.h"

/* What a registry would hold a new schema to; tests hold our versions to more: older programs can
 * read what newer ones write, too. */
#define LEVEL "BACKWARD_TRANSITIVE"

/* --- subjects -----------------------------------------------------------------------------------
 */

/* ":*:" asks for every context, and there is only one. */
static bool begins_as_asked(const struct request *request, const struct schema *schema)
{
    struct th_str prefix;

    (void)request_query(request, "subjectPrefix", &prefix);
    if (th_str_starts(prefix, TH_STR(":*:")))
        prefix = (struct th_str){prefix.p + 3, prefix.n - 3};
    return th_str_starts(th_str(schema->name), prefix);
}

static bool wants_deleted_only(const struct request *request)
{
    struct th_str value;

    return request_query(request, "deletedOnly", &value) && th_str_eq(value, TH_STR("true"));
}

enum handled registry_subjects(struct request *request)
{
    struct th_json_out out = {&request->answer, false};

    th_json_begin_array(&out, NULL);
    for (size_t i = 0; i < schema_count() && !wants_deleted_only(request); i++)
        if (schema_at(i)->version == 1 && begins_as_asked(request, schema_at(i)))
            th_json_put_text(&out, NULL, schema_at(i)->name);
    th_json_end_array(&out);
    return registry_answer(request);
}

enum handled registry_versions(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    enum handled handled = HANDLED_ANSWERED;
    struct th_str subject;

    if (!registry_subject(request, &subject, &handled))
        return handled;
    th_json_begin_array(&out, NULL);
    for (unsigned version = 1; registry_version_of(subject, version); version++)
        th_json_put_int(&out, NULL, version);
    th_json_end_array(&out);
    return registry_answer(request);
}

enum handled registry_version(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!registry_subject_version(request, &schema, &handled))
        return handled;
    return registry_answer_version(request, schema);
}

enum handled registry_version_schema(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!registry_subject_version(request, &schema, &handled))
        return handled;
    th_buf_add(&request->answer, schema->json);
    return registry_answer(request);
}

/* Each schema is whole: none refers to another. */
enum handled registry_version_referrers(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!registry_subject_version(request, &schema, &handled))
        return handled;
    th_buf_add(&request->answer, TH_STR("[]"));
    return registry_answer(request);
}

/* --- schemas ------------------------------------------------------------------------------------
 */

/* The path's parameter as the id of a schema. False: answered. */
static bool find_schema(struct request *request, const struct schema **out,
                        enum handled *out_handled)
{
    int64_t id = 0;

    if (th_str_int(request->params[0], 1, INT32_MAX, &id))
        for (size_t i = 0; i < schema_count(); i++)
            if (schema_at(i)->id == (uint32_t)id) {
                *out = schema_at(i);
                return true;
            }
    *out_handled = registry_fail(request, REGISTRY_NO_SCHEMA, "Schema %.*s not found",
                                 TH_ARG(request->params[0]));
    return false;
}

enum handled registry_schema(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!find_schema(request, &schema, &handled))
        return handled;
    th_json_begin(&out, NULL);
    th_json_put_str(&out, "schema", schema->json);
    th_json_end(&out);
    return registry_answer(request);
}

enum handled registry_schema_text(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!find_schema(request, &schema, &handled))
        return handled;
    th_buf_add(&request->answer, schema->json);
    return registry_answer(request);
}

enum handled registry_schema_subjects(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!find_schema(request, &schema, &handled))
        return handled;
    th_json_begin_array(&out, NULL);
    th_json_put_text(&out, NULL, schema->name);
    th_json_end_array(&out);
    return registry_answer(request);
}

enum handled registry_schema_versions(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    enum handled handled = HANDLED_ANSWERED;
    const struct schema *schema = NULL;

    if (!find_schema(request, &schema, &handled))
        return handled;
    th_json_begin_array(&out, NULL);
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "subject", schema->name);
    th_json_put_int(&out, "version", schema->version);
    th_json_end(&out);
    th_json_end_array(&out);
    return registry_answer(request);
}

enum handled registry_types(struct request *request)
{
    th_buf_add(&request->answer, TH_STR("[\"AVRO\"]"));
    return registry_answer(request);
}

/* --- settings -----------------------------------------------------------------------------------
 */

enum handled registry_config(struct request *request)
{
    th_buf_add(&request->answer, TH_STR("{\"compatibilityLevel\":\"" LEVEL "\"}"));
    return registry_answer(request);
}

enum handled registry_subject_config(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    struct th_str subject;

    return registry_subject(request, &subject, &handled) ? registry_config(request) : handled;
}

enum handled registry_mode(struct request *request)
{
    th_buf_add(&request->answer, TH_STR("{\"mode\":\"READONLY\"}"));
    return registry_answer(request);
}

enum handled registry_subject_mode(struct request *request)
{
    enum handled handled = HANDLED_ANSWERED;
    struct th_str subject;

    return registry_subject(request, &subject, &handled) ? registry_mode(request) : handled;
}

enum handled registry_no_write(struct request *request)
{
    return registry_fail(request, REGISTRY_READ_ONLY,
                         "This registry is read-only: its schemas are those that this version of "
                         "TeleHub was built with");
}
