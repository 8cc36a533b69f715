#include "connectors/gateway/problem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/json_out.h"
#include "common/log_line.h"
#include "connectors/gateway/registry.h"

static const struct {
    unsigned status;
    const char *slug;
    const char *title;
} problems[] = {
#define PROBLEM_ROW(id, status, slug, title) [id] = {status, slug, title},
    PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

static_assert(TH_LEN(problems) == PROBLEM_COUNT, "a row for each problem");

unsigned problem_status(enum problem what)
{
    return problems[what].status;
}

const char *problem_slug(enum problem what)
{
    return problems[what].slug;
}

void problem_note(struct request *request, struct problem_error error)
{
    if (!request->errors)
        request->errors =
            th_arena_array(&request->arena, REQUEST_ERRORS_MAX, sizeof *request->errors);
    if (request->errors && request->errors_n < REQUEST_ERRORS_MAX)
        request->errors[request->errors_n++] = error;
}

static void put_errors(struct th_json_out *out, const struct request *request)
{
    th_json_begin_array(out, "errors");
    for (size_t i = 0; i < request->errors_n; i++) {
        const struct problem_error *error = &request->errors[i];
        th_json_begin(out, NULL);
        if (error->pointer.n)
            th_json_put_str(out, "pointer", error->pointer);
        th_json_put_str(out, "code", error->code);
        th_json_put_str(out, "detail", error->detail);
        if (error->row)
            th_json_put_int(out, "row", error->row);
        if (error->column.n)
            th_json_put_str(out, "column", error->column);
        th_json_end(out);
    }
    th_json_end_array(out);
}

/* So that those who were refused do not all come back at once. */
static int wait_s(const struct request *request, unsigned status)
{
    if (status == 409)
        return 1;
    unsigned spread = 0;
    for (const char *c = request->id; *c; c++)
        spread = spread * 31 + (unsigned char)*c;
    return 1 + (int)(spread % 5);
}

static void say_when(struct request *request, enum problem what, unsigned status)
{
    if (status == 503 || status == 429 || what == PROBLEM_IN_FLIGHT)
        request_header(request, "Retry-After",
                       th_arena_printf(&request->arena, "%d", wait_s(request, status)));
}

static enum handled refuse_by_registry(struct request *request, enum problem what, const char *text)
{
    unsigned status = problems[what].status;

    request->headers_n = 0;
    say_when(request, what, status);
    return registry_refuse(request, status, text);
}

enum handled problem(struct request *request, enum problem what, const char *detail, ...)
{
    struct th_json_out out = {&request->answer, false};
    char type[64];
    char text[TH_ERR_TEXT_MAX];
    va_list args;

    va_start(args, detail);
    (void)vsnprintf(text, sizeof text, detail, args);
    va_end(args);
    if (registry_was_asked(request))
        return refuse_by_registry(request, what, text);
    (void)snprintf(type, sizeof type, "urn:telehub:problem:%s", problems[what].slug);
    th_buf_clear(&request->answer);
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "type", type);
    th_json_put_text(&out, "title", problems[what].title);
    th_json_put_int(&out, "status", problems[what].status);
    th_json_put_text(&out, "detail", text);
    th_json_put_text(&out, "request_id", request->id);
    if (request->errors_n)
        put_errors(&out, request);
    th_json_end(&out);
    request->headers_n = 0;
    unsigned status = problems[what].status;
    say_when(request, what, status);
    if (status == 401)
        request_header(request, "WWW-Authenticate", TH_STR("Bearer"));
    request->answer_type = "application/problem+json";
    return request_answer(request, status);
}

enum handled problem_json(struct request *request, const struct th_err *err)
{
    struct th_str text = th_str(err->text);
    struct problem_error error = {.code = TH_STR("invalid"), .detail = text};
    struct th_str place;
    struct th_str rest;

    if (err->code == TH_NOMEM || err->code == TH_IO)
        return problem(request, PROBLEM_UNAVAILABLE, "%s; try again", th_code_text(err->code));
    if (err->code == TH_MALFORMED || err->code == TH_FULL)
        return problem(request, PROBLEM_MALFORMED_BODY, "%s", err->text);
    if (text.n && text.p[0] == '/' && th_str_cut(text, ':', &place, &rest)) {
        error.pointer = th_arena_printf(&request->arena, "#%.*s", TH_ARG(place));
        error.detail = th_str_trim(rest);
    }
    problem_note(request, error);
    return problem(request, PROBLEM_INVALID, "%s", err->text);
}

enum handled problem_failure(struct request *request, enum th_code code, const struct th_err *err)
{
    if (code == TH_NOT_FOUND)
        return problem(request, PROBLEM_NOT_FOUND, "it does not exist, or not for this key");
    th_log(TH_LOG_WARN, "gateway.failed", TH_F("request", (const char *)request->id),
           TH_F("code", th_code_name(code)), TH_F("detail", (const char *)err->text));
    if (code == TH_TIMEOUT || th_code_is_retriable(code))
        return problem(request, PROBLEM_UNAVAILABLE, "%s; try again", th_code_text(code));
    return problem(request, PROBLEM_INTERNAL, "the log of the server tells more about request %s",
                   request->id);
}
