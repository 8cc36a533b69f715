/* Sends from the API: the one thing that must be quick. */
#include "common/phone.h"
#include "common/views_json.h"
#include "common/why.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/spec.h"
#include "connectors/gateway/write.h"

#define TEXT_MAX_CHARS 4096
#define EXPIRES_MAX_S  604800

/* What the body says; views live as long as the document. */
struct send_body {
    enum channel channel;
    struct th_phone to;
    struct send_content content;
    int64_t expires_in_s; /* 0: never */
};

static enum th_code read_text(struct request *request, struct th_json root, struct send_body *out,
                              struct th_err *err)
{
    struct send_content *content = &out->content;
    struct th_str text;

    TH_TRY(th_json_str(th_json_at(root, "text"), 1, TEXT_MAX_CHARS, &text, err));
    content->text = (struct string_or_sealed){.is = STRING_OR_SEALED_STRING, .as.string = text};
    TH_TRY(spec_lang(th_json_at(root, "lang"), &content->lang, err));
    TH_TRY(spec_accounts(request, th_json_at(root, "providers"), &content->accounts, err));
    TH_TRY(spec_category(th_json_at(root, "category"), &content->category, err));
    TH_TRY(spec_policy(th_json_at(root, "policy"), &content->policy, err));
    TH_TRY(spec_attempts(th_json_at(root, "max_attempts"), &content->attempts_max, err));
    struct th_json expires = th_json_at(root, "expires_in_s");
    return th_json_is_given(expires)
               ? th_json_int(expires, 1, EXPIRES_MAX_S, &out->expires_in_s, err)
               : TH_OK;
}

static enum handled store(struct request *request, const struct send_body *body)
{
    struct write write;
    enum handled handled;
    struct th_buf answer = {0};

    if (!write_begin(request, "send", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested =
            {
                .meta = write.meta,
                .send = write.resource,
                .channel = body->channel,
                .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_SEND_CONTENT,
                           .as.send_content = body->content},
                .send_at_us = write.now_us,
                .expires_at_us =
                    body->expires_in_s ? write.now_us + body->expires_in_s * TH_US_PER_SEC : 0,
            },
    };
    event.as.send_requested.origin.as.send_content.to = (struct string_or_sealed){
        .is = STRING_OR_SEALED_STRING, .as.string = th_str(body->to.text)};
    if (!write_record(request, TOPIC_SEND_REQUESTS, -1,
                      write_key(request, request->tenant, write.resource), &event, &handled))
        return handled;
    write_command_body(&answer, write.resource, write.meta.event_id);
    handled = write_claim(request, &write, 202, &answer);
    th_buf_fini(&answer);
    return handled;
}

enum handled send_create(struct request *request)
{
    static const char *const members[] = {"channel",      "to",       "text",   "lang",
                                          "providers",    "category", "policy", "max_attempts",
                                          "expires_in_s", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct send_body body = {0};
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    struct th_json root = th_json_root(document);
    if (spec_channel(th_json_at(root, "channel"), &body.channel, &err) != TH_OK)
        return problem_json(request, &err);
    if (!body_phone(request, th_json_at(root, "to"), &body.to, &handled))
        return handled;
    if (read_text(request, root, &body, &err) != TH_OK)
        return problem_json(request, &err);
    return store(request, &body);
}

/* --- reading -------------------------------------------------------------------------------------
 */

static void put_attempt(struct th_json_out *out, const struct view_attempt *attempt)
{
    th_json_begin(out, NULL);
    th_json_put_int(out, "n", attempt->n);
    th_json_put_str(out, "provider", attempt->account);
    th_json_put_int(out, "lane", attempt->lane);
    th_json_put_str(out, "sender", attempt->sender);
    th_json_put_str(out, "state", attempt->state);
    th_json_put_str(out, "status", attempt->status);
    th_json_put_str(out, "reason", attempt->reason);
    th_json_put_str(out, "provider_id", attempt->provider_id);
    read_put_time(out, "started_at", attempt->started_us);
    read_put_time(out, "ended_at", attempt->ended_us);
    if (attempt->cost.currency[0])
        views_put_cost(out, "cost", &attempt->cost, attempt->is_cost_estimated);
    else
        th_json_put_null(out, "cost");
    th_json_end(out);
}

static void put_send(struct th_json_out *out, const struct view_send *send)
{
    th_json_begin(out, NULL);
    th_json_put_id(out, "id", send->id);
    if (send->has_campaign)
        th_json_put_id(out, "campaign", send->campaign);
    else
        th_json_put_null(out, "campaign");
    th_json_put_str(out, "channel", send->channel);
    th_json_put_str(out, "to", send->phone);
    th_json_put_str(out, "status", send->set);
    th_json_put_str(out, "reason", send->reason);
    th_json_put_time(out, "requested_at", send->requested_us);
    th_json_begin_array(out, "attempts");
    for (size_t i = 0; i < send->attempts_n; i++)
        put_attempt(out, &send->attempts[i]);
    th_json_end_array(out);
    th_json_begin_array(out, "timeline");
    for (size_t i = 0; i < send->timeline_n; i++) {
        th_json_begin(out, NULL);
        th_json_put_time(out, "time", send->timeline[i].at_us);
        th_json_put_str(out, "event", send->timeline[i].type);
        th_json_put_raw(out, "detail", send->timeline[i].json);
        th_json_end(out);
    }
    th_json_end_array(out);
    th_json_end(out);
}

static enum th_code ask_send(struct request *request, struct th_id id, void *out,
                             struct th_err *err)
{
    struct views *views = request->gateway->config.views;

    return views->ops->send(views, request->tenant, id, &request->arena, out, err);
}

enum handled send_get(struct request *request)
{
    struct view_send send = {0};
    struct th_json_out out = {&request->answer, false};
    enum handled handled;

    if (!read_one(request, TOPIC_SEND_REQUESTS, ask_send, &send, &handled))
        return handled;
    put_send(&out, &send);
    return request_answer(request, 200);
}

/* --- why ----------------------------------------------------------------------------------------
 */

/* Names as they are now; an account keeps its lane for ever. */
static struct th_str account_of(const void *arg, int32_t lane)
{
    const struct request *request = arg;
    const struct ref_lane *known = reference_lane(request->gateway->config.reference, lane);
    bool is_ours = known && th_str_eq(known->tenant, request->tenant);

    return is_ours ? known->account.name : TH_STR("");
}

static enum th_code explain(struct request *request, const struct view_send *send, struct why *out)
{
    const struct event **events =
        th_arena_array(&request->arena, send->timeline_n + 1, sizeof(const struct event *));
    struct why_names names = {account_of, request};

    if (!events)
        return TH_NOMEM;
    for (size_t i = 0; i < send->timeline_n; i++)
        events[i] = &send->timeline[i].event;
    reference_read_lock(request->gateway->config.reference);
    enum th_code code = why_tell(events, send->timeline_n, &names, &request->arena, out);
    reference_unlock(request->gateway->config.reference);
    return code;
}

static void put_why(struct th_json_out *out, const struct view_send *send, const struct why *why)
{
    th_json_begin(out, NULL);
    th_json_put_id(out, "id", send->id);
    th_json_put_str(out, "status", send->set);
    th_json_put_str(out, "reason", send->reason);
    th_json_put_str(out, "summary", why->summary);
    th_json_begin_array(out, "because");
    for (size_t i = 0; i < why->n; i++) {
        th_json_begin(out, NULL);
        th_json_put_time(out, "time", why->at[i].at_us);
        th_json_put_text(out, "rule", why->at[i].rule);
        th_json_put_str(out, "text", why->at[i].text);
        th_json_end(out);
    }
    th_json_end_array(out);
    th_json_end(out);
}

enum handled send_why(struct request *request)
{
    struct view_send send = {0};
    struct th_json_out out = {&request->answer, false};
    struct th_err err = {0};
    struct why why = {0};
    enum handled handled;

    if (!read_one(request, TOPIC_SEND_REQUESTS, ask_send, &send, &handled))
        return handled;
    enum th_code code = explain(request, &send, &why);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    put_why(&out, &send, &why);
    return request_answer(request, 200);
}
