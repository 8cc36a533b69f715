/* Opt-outs. */
#include "common/phone.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/write.h"

#include <inttypes.h>

static enum th_code read_source(struct th_json value, struct th_str *out_source, struct th_err *err)
{
    *out_source = TH_STR("api");
    if (!th_json_is_given(value))
        return TH_OK;
    struct th_str source;
    TH_TRY(th_json_str(value, 1, 32, &source, err));
    for (size_t i = 0; i < source.n; i++)
        if ((source.p[i] < 'a' || source.p[i] > 'z') && source.p[i] != '_')
            return th_json_fail(value, err, "must be of the letters a to z and _");
    *out_source = source;
    return TH_OK;
}

/* Keyed by the hash: no number in a key. */
static struct th_str contact_key(struct request *request, int64_t contact)
{
    return th_arena_printf(&request->arena, "%.*s/%016" PRIx64, TH_ARG(request->tenant),
                           (uint64_t)contact);
}

static struct event event_of(const struct write *write, bool is_out, int64_t contact,
                             struct th_str phone, struct th_str source)
{
    struct string_or_sealed number = {.is = STRING_OR_SEALED_STRING, .as.string = phone};

    if (is_out)
        return (struct event){
            .type = EVENT_OPTED_OUT,
            .as.opted_out = {write->meta, .contact = contact, .phone = number, .source = source}};
    return (struct event){
        .type = EVENT_OPTED_IN,
        .as.opted_in = {write->meta, .contact = contact, .phone = number, .source = source}};
}

static enum handled set_consent(struct request *request, bool is_out)
{
    static const char *const members[] = {"phone", "source", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    struct th_phone phone;
    struct th_str source;
    struct write write;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled) ||
        !body_phone(request, th_json_at(th_json_root(document), "phone"), &phone, &handled))
        return handled;
    if (read_source(th_json_at(th_json_root(document), "source"), &source, &err) != TH_OK)
        return problem_json(request, &err);
    if (!write_begin(request, "consent", &write, &handled))
        return handled;
    int64_t contact = contact_hash(request->tenant, th_str(phone.text));
    struct event event = event_of(&write, is_out, contact, th_str(phone.text), source);
    if (!write_record(request, TOPIC_CONSENT_EVENTS, -1, contact_key(request, contact), &event,
                      &handled))
        return handled;
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "phone", phone.text);
    th_json_put_bool(&out, "opted_out", is_out);
    th_json_end(&out);
    handled = write_claim(request, &write, 200, &body);
    th_buf_fini(&body);
    return handled == HANDLED_STORE ? write_reference(request) : handled;
}

enum handled opt_out(struct request *request)
{
    return set_consent(request, true);
}

enum handled opt_in(struct request *request)
{
    return set_consent(request, false);
}

enum handled opt_out_list(struct request *request)
{
    struct views *views = request->gateway->config.views;
    struct th_json_out out = {&request->answer, false};
    struct view_opt_out *at = NULL;
    int64_t after = INT64_MIN;
    struct th_err err = {0};
    enum handled handled;
    size_t limit = 0;
    size_t n = 0;
    bool has_after = false;

    if (!read_limit(request, &limit, &handled) ||
        !read_cursor_int(request, &after, &has_after, &handled) || !read_begin(request, &handled))
        return handled;
    enum th_code code =
        views->ops->opt_outs(views, request->tenant, after, limit, &request->arena, &at, &n, &err);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    for (size_t i = 0; i < n; i++) {
        th_json_begin(&out, NULL);
        th_json_put_str(&out, "phone", at[i].phone);
        th_json_put_time(&out, "since", at[i].since_us);
        th_json_put_str(&out, "source", at[i].source);
        th_json_end(&out);
    }
    th_json_end_array(&out);
    struct th_str cursor = {0};
    if (n == limit)
        cursor = th_arena_printf(&request->arena, "%" PRId64, at[n - 1].contact);
    if (cursor.p)
        th_json_put_str(&out, "next_cursor", cursor);
    else
        th_json_put_null(&out, "next_cursor");
    th_json_end(&out);
    return request_answer(request, 200);
}
