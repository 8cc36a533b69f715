#include "connectors/gateway/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json_out.h"

#define ERROR_STORE 50001 /* "Error in the backend data store" */

bool registry_was_asked(const struct request *request)
{
    struct th_str path;
    struct th_str query;

    (void)th_str_cut(request->target, '?', &path, &query);
    return th_str_eq(path, TH_STR(REGISTRY_BASE)) || th_str_starts(path, TH_STR(REGISTRY_BASE "/"));
}

static enum handled answer_error(struct request *request, unsigned status, int code,
                                 const char *text)
{
    struct th_json_out out = {&request->answer, false};

    th_buf_clear(&request->answer);
    th_json_begin(&out, NULL);
    th_json_put_int(&out, "error_code", code);
    th_json_put_text(&out, "message", text);
    th_json_end(&out);
    request->answer_type = REGISTRY_TYPE;
    return request_answer(request, status);
}

enum handled registry_fail(struct request *request, enum registry_error error, const char *fmt, ...)
{
    char text[TH_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return answer_error(request, (unsigned)error / 100, (int)error, text);
}

enum handled registry_refuse(struct request *request, unsigned status, const char *text)
{
    return answer_error(request, status, status >= 500 ? ERROR_STORE : (int)status, text);
}

enum handled registry_answer(struct request *request)
{
    request->answer_type = REGISTRY_TYPE;
    return request_answer(request, 200);
}

enum handled registry_answer_version(struct request *request, const struct schema *schema)
{
    struct th_json_out out = {&request->answer, false};

    th_json_begin(&out, NULL);
    th_json_put_text(&out, "subject", schema->name);
    th_json_put_int(&out, "id", schema->id);
    th_json_put_int(&out, "version", schema->version);
    th_json_put_str(&out, "schema", schema->json);
    th_json_end(&out);
    return registry_answer(request);
}

/* --- subjects -----------------------------------------------------------------------------------
 */

const struct schema *registry_version_of(struct th_str subject, unsigned version)
{
    const struct schema *newest = NULL;

    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema *schema = schema_at(i);
        if (!th_str_eq(subject, th_str(schema->name)))
            continue;
        if (schema->version == version)
            return schema;
        newest = schema; /* versions rise along the table */
    }
    return version ? NULL : newest;
}

bool registry_subject(struct request *request, struct th_str *out_subject,
                      enum handled *out_handled)
{
    struct th_str subject = request->params[0];

    if (registry_version_of(subject, 0)) {
        *out_subject = subject;
        return true;
    }
    *out_handled =
        registry_fail(request, REGISTRY_NO_SUBJECT, "Subject '%.*s' not found.", TH_ARG(subject));
    return false;
}

bool registry_subject_version(struct request *request, const struct schema **out_schema,
                              enum handled *out_handled)
{
    struct th_str text = request->params[1];
    struct th_str subject;
    int64_t version = 0;

    if (!registry_subject(request, &subject, out_handled))
        return false;
    bool is_newest = th_str_eq(text, TH_STR("latest")) || th_str_eq(text, TH_STR("-1"));
    if (!is_newest && !th_str_int(text, 1, INT32_MAX, &version)) {
        *out_handled =
            registry_fail(request, REGISTRY_BAD_VERSION,
                          "The specified version '%.*s' is not a valid version id. Allowed values "
                          "are between [1, 2^31-1] and the string \"latest\"",
                          TH_ARG(text));
        return false;
    }
    *out_schema = registry_version_of(subject, (unsigned)version);
    if (*out_schema)
        return true;
    *out_handled =
        registry_fail(request, REGISTRY_NO_VERSION, "Version %.*s not found.", TH_ARG(text));
    return false;
}
