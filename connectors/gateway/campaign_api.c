/* Commands to campaigns: each becomes a record on campaign.commands, which the campaign processor
 * carries out or refuses; GET /commands/{id} tells which. */
#include "common/template.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/spec.h"
#include "connectors/gateway/write.h"

#define RECIPIENTS_MAX INT64_C(1000000000)

static enum th_code ask_audience(struct request *request, struct th_id id, void *out,
                                 struct th_err *err)
{
    struct views *views = request->gateway->config.views;

    return views->ops->audience(views, request->tenant, id, &request->arena, out, err);
}

static enum th_code ask_campaign(struct request *request, struct th_id id, void *out,
                                 struct th_err *err)
{
    struct views *views = request->gateway->config.views;

    return views->ops->campaign(views, request->tenant, id, &request->arena, out, err);
}

/* Store one event under the campaign's key and answer {"id","command"}. */
static enum handled store(struct request *request, struct write *write, struct th_id campaign,
                          const struct event *event)
{
    enum handled handled;
    struct th_buf answer = {0};

    if (!write_record(request, TOPIC_CAMPAIGN_COMMANDS, -1,
                      write_key(request, request->tenant, campaign), event, &handled))
        return handled;
    write_command_body(&answer, campaign, write->meta.event_id);
    handled = write_claim(request, write, 202, &answer);
    th_buf_fini(&answer);
    return handled;
}

/* An audience that is not the tenant's is refused here; where the views cannot say, the campaign
 * will refuse its start. */
static bool audience_exists(struct request *request, struct th_id audience,
                            enum handled *out_handled)
{
    struct view_audience view = {0};
    struct th_err err = {0};
    enum th_code code;

    if (request->token.n && !read_begin(request, out_handled))
        return false;
    read_known(request, TOPIC_CAMPAIGN_AUDIENCE, audience, ask_audience, &view, &code, &err);
    if (code != TH_NOT_FOUND)
        return true;
    problem_note(request, (struct problem_error){.pointer = TH_STR("#/audience"),
                                                 .code = TH_STR("not_found"),
                                                 .detail = TH_STR("there is no such audience")});
    *out_handled = problem(request, PROBLEM_INVALID, "there is no such audience");
    return false;
}

/* Does each text find its variables, as far as the audience's columns are known here? */
static bool texts_fit(struct request *request, const struct campaign_spec *spec,
                      enum handled *out_handled)
{
    struct th_var *vars = NULL;
    struct th_err err = {0};
    size_t n = 0;

    if (!columns_find(request->gateway->columns, request->tenant, spec->audience, &request->arena,
                      &vars, &n))
        return true;
    for (size_t i = 0; i < spec->texts.n; i++)
        if (th_template_render(spec->texts.at[i].text.as.string, vars, n, NULL, &err) != TH_OK) {
            problem_note(request, (struct problem_error){.pointer = TH_STR("#/text"),
                                                         .code = TH_STR("unknown_variable"),
                                                         .detail = th_str(err.text)});
            *out_handled = problem(request, PROBLEM_INVALID, "text: %s", err.text);
            return false;
        }
    return true;
}

enum handled campaign_create(struct request *request)
{
    static const char *const members[] = {"name",   "channel",      "audience",         "text",
                                          "pace",   "providers",    "policy",           "category",
                                          "window", "max_attempts", "allow_duplicates", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct event event = {.type = EVENT_CREATE_CAMPAIGN};
    struct campaign_spec spec;
    struct write write;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (spec_campaign(request, th_json_root(document), &spec, &err) != TH_OK)
        return problem_json(request, &err);
    if (!audience_exists(request, spec.audience, &handled) ||
        !texts_fit(request, &spec, &handled) || !write_begin(request, "campaign", &write, &handled))
        return handled;
    event.as.create_campaign =
        (struct create_campaign){.meta = write.meta, .campaign = write.resource, .spec = spec};
    return store(request, &write, write.resource, &event);
}

/* The campaign of the path. A definite "no such campaign" is said at once; where the views do not
 * answer the command goes its way, since a pause must not wait for them, and is refused there. */
static bool find_campaign(struct request *request, struct th_id *out_id, enum handled *out_handled)
{
    struct view_campaign view = {0};
    struct th_err err = {0};
    enum th_code code;

    if (!param_id(request, 0, out_id, out_handled))
        return false;
    if (request->token.n && !read_begin(request, out_handled))
        return false;
    read_known(request, TOPIC_CAMPAIGN_COMMANDS, *out_id, ask_campaign, &view, &code, &err);
    if (code != TH_NOT_FOUND)
        return true;
    *out_handled = problem_failure(request, code, &err);
    return false;
}

static bool read_recipients(struct request *request, struct optional_long *out,
                            enum handled *out_handled)
{
    static const char *const members[] = {"recipients", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct th_err err = {0};

    *out = (struct optional_long){0};
    if (!request->body.n)
        return true;
    if (!body_json(request, members, &document, out_handled))
        return false;
    struct th_json value = th_json_at(th_json_root(document), "recipients");
    if (!th_json_is_given(value))
        return true;
    out->is_set = true;
    if (th_json_int(value, 0, RECIPIENTS_MAX, &out->value, &err) == TH_OK)
        return true;
    *out_handled = problem_json(request, &err);
    return false;
}

enum handled campaign_start(struct request *request)
{
    struct event event = {.type = EVENT_START_CAMPAIGN};
    struct optional_long recipients;
    struct th_id campaign;
    struct write write;
    enum handled handled;

    if (!read_recipients(request, &recipients, &handled) ||
        !find_campaign(request, &campaign, &handled) ||
        !write_begin(request, "command", &write, &handled))
        return handled;
    event.as.start_campaign =
        (struct start_campaign){.meta = write.meta, .campaign = campaign, .recipients = recipients};
    return store(request, &write, campaign, &event);
}

/* Pause, resume and cancel say nothing but which campaign. */
static enum handled command(struct request *request, enum event_type type)
{
    struct event event = {.type = type};
    struct th_id campaign;
    struct write write;
    enum handled handled;

    if (!find_campaign(request, &campaign, &handled) ||
        !write_begin(request, "command", &write, &handled))
        return handled;
    if (type == EVENT_PAUSE_CAMPAIGN)
        event.as.pause_campaign = (struct pause_campaign){.meta = write.meta, .campaign = campaign};
    else if (type == EVENT_RESUME_CAMPAIGN)
        event.as.resume_campaign =
            (struct resume_campaign){.meta = write.meta, .campaign = campaign};
    else
        event.as.cancel_campaign =
            (struct cancel_campaign){.meta = write.meta, .campaign = campaign};
    return store(request, &write, campaign, &event);
}

enum handled campaign_pause(struct request *request)
{
    return command(request, EVENT_PAUSE_CAMPAIGN);
}

enum handled campaign_resume(struct request *request)
{
    return command(request, EVENT_RESUME_CAMPAIGN);
}

enum handled campaign_cancel(struct request *request)
{
    return command(request, EVENT_CANCEL_CAMPAIGN);
}

enum handled campaign_pace(struct request *request)
{
    static const char *const members[] = {"pace", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct event event = {.type = EVENT_SET_CAMPAIGN_PACE};
    struct th_err err = {0};
    struct th_id campaign;
    struct write write;
    enum handled handled;
    int32_t pace;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (spec_pace(th_json_at(th_json_root(document), "pace"), &pace, &err) != TH_OK)
        return problem_json(request, &err);
    if (!find_campaign(request, &campaign, &handled) ||
        !write_begin(request, "command", &write, &handled))
        return handled;
    event.as.set_campaign_pace =
        (struct set_campaign_pace){.meta = write.meta, .campaign = campaign, .pace_per_min = pace};
    return store(request, &write, campaign, &event);
}
