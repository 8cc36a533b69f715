/* What has become of campaigns. */
#include "common/csv_out.h"
#include "common/date.h"
#include "common/views_json.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/write.h"

#include <inttypes.h>
#include <stdio.h>

#define PART_ROWS 1000 /* ordinal = part * 1000 + row */

static struct views *views_of(const struct request *request)
{
    return request->gateway->config.views;
}

/* --- campaigns -----------------------------------------------------------------------------------
 */

static void put_refused(struct th_json_out *out, const struct view_campaign *campaign)
{
    if (!campaign->refused_code.n) {
        th_json_put_null(out, "refused");
        return;
    }
    th_json_begin(out, "refused");
    th_json_put_str(out, "code", campaign->refused_code);
    th_json_put_str(out, "detail", campaign->refused_detail);
    th_json_end(out);
}

static void put_campaign(struct th_json_out *out, const struct view_campaign *campaign)
{
    th_json_begin(out, NULL);
    th_json_put_id(out, "id", campaign->id);
    th_json_put_str(out, "name", campaign->name);
    th_json_put_str(out, "channel", campaign->channel);
    th_json_put_id(out, "audience", campaign->audience);
    th_json_put_str(out, "status", campaign->phase);
    th_json_put_int(out, "pace_per_min", campaign->pace_per_min);
    th_json_put_str(out, "policy", campaign->policy);
    th_json_put_str(out, "category", campaign->category);
    th_json_put_int(out, "run", campaign->run);
    th_json_put_int(out, "recipients", campaign->recipients);
    th_json_put_int(out, "in_flight", campaign->in_flight);
    read_put_time(out, "created_at", campaign->created_us);
    read_put_time(out, "started_at", campaign->started_us);
    read_put_time(out, "ended_at", campaign->ended_us);
    put_refused(out, campaign);
    th_json_end(out);
}

enum handled campaign_list(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    struct view_campaign *campaigns = NULL;
    struct th_id after;
    struct th_err err = {0};
    enum handled handled;
    size_t limit = 0;
    size_t n = 0;
    bool has_after = false;

    if (!read_limit(request, &limit, &handled) ||
        !read_cursor_id(request, &after, &has_after, &handled) || !read_begin(request, &handled))
        return handled;
    enum th_code code = views_of(request)->ops->campaigns(views_of(request), request->tenant,
                                                          has_after ? &after : NULL, limit,
                                                          &request->arena, &campaigns, &n, &err);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    for (size_t i = 0; i < n; i++)
        put_campaign(&out, &campaigns[i]);
    th_json_end_array(&out);
    if (n == limit)
        th_json_put_id(&out, "next_cursor", campaigns[n - 1].id);
    else
        th_json_put_null(&out, "next_cursor");
    th_json_end(&out);
    return request_answer(request, 200);
}

static enum th_code ask_campaign(struct request *request, struct th_id id, void *out,
                                 struct th_err *err)
{
    return views_of(request)->ops->campaign(views_of(request), request->tenant, id, &request->arena,
                                            out, err);
}

enum handled campaign_get(struct request *request)
{
    struct view_campaign campaign = {0};
    struct th_json_out out = {&request->answer, false};
    enum handled handled;

    if (!read_one(request, TOPIC_CAMPAIGN_COMMANDS, ask_campaign, &campaign, &handled))
        return handled;
    put_campaign(&out, &campaign);
    return request_answer(request, 200);
}

/* --- progress and certificate
 * ---------------------------------------------------------------------- */

static enum th_code ask_progress(struct request *request, struct th_id id, void *out,
                                 struct th_err *err)
{
    return views_of(request)->ops->progress(views_of(request), request->tenant, id,
                                            gateway_now_us(request->gateway), &request->arena, out,
                                            err);
}

enum handled campaign_progress(struct request *request)
{
    struct view_progress progress = {0};
    struct th_json_out out = {&request->answer, false};
    char rate[32];
    enum handled handled;

    if (!read_one(request, TOPIC_CAMPAIGN_COMMANDS, ask_progress, &progress, &handled))
        return handled;
    int64_t milli = progress.rate_milli_s > 0 ? progress.rate_milli_s : 0;
    int length = snprintf(rate, sizeof rate, "%" PRId64 ".%03" PRId64, milli / 1000, milli % 1000);
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", progress.campaign.id);
    th_json_put_str(&out, "status", progress.campaign.phase);
    th_json_put_int(&out, "audience", progress.counts.audience);
    th_json_put_int(&out, "done", progress.done);
    th_json_put_int(&out, "reached", progress.counts.reached);
    th_json_put_int(&out, "accepted_no_report", progress.counts.accepted_no_report);
    th_json_put_int(&out, "unreached", progress.counts.unreached);
    th_json_put_int(&out, "suppressed", progress.counts.suppressed);
    th_json_put_int(&out, "in_doubt", progress.counts.in_doubt);
    th_json_put_int(&out, "unsent", progress.counts.unsent);
    th_json_put_int(&out, "in_flight", progress.campaign.in_flight);
    th_json_put_raw(&out, "rate_per_s", (struct th_str){rate, (size_t)length});
    if (progress.eta_s >= 0)
        th_json_put_int(&out, "eta_s", progress.eta_s);
    else
        th_json_put_null(&out, "eta_s");
    th_json_end(&out);
    return request_answer(request, 200);
}

static enum th_code ask_certificate(struct request *request, struct th_id id, void *out,
                                    struct th_err *err)
{
    return views_of(request)->ops->certificate(views_of(request), request->tenant, id,
                                               &request->arena, out, err);
}

enum handled campaign_certificate(struct request *request)
{
    struct view_certificate certificate = {0};
    struct th_json_out out = {&request->answer, false};
    enum handled handled;

    if (!read_one(request, TOPIC_CAMPAIGN_COMMANDS, ask_certificate, &certificate, &handled))
        return handled;
    views_put_certificate(&out, &certificate);
    return request_answer(request, 200);
}

/* --- recipients
 * ------------------------------------------------------------------------------------ */

struct recipients_page {
    struct th_str outcome;
    int64_t after;
    size_t limit;
    struct view_recipient *at;
    size_t n;
    int64_t next;
};

static enum th_code ask_recipients(struct request *request, struct th_id id, void *out,
                                   struct th_err *err)
{
    struct recipients_page *page = out;

    return views_of(request)->ops->recipients(views_of(request), request->tenant, id, page->outcome,
                                              page->after, page->limit, &request->arena, &page->at,
                                              &page->n, &page->next, err);
}

static void put_states(struct th_json_out *out, struct th_str states)
{
    struct th_str state;

    th_json_begin_array(out, "attempt_states");
    while (states.n) {
        (void)th_str_cut(states, ',', &state, &states);
        th_json_put_str(out, NULL, state);
    }
    th_json_end_array(out);
}

static void put_recipient(struct th_json_out *out, const struct view_recipient *recipient)
{
    th_json_begin(out, NULL);
    th_json_put_str(out, "phone", recipient->phone);
    th_json_put_str(out, "lang", recipient->lang);
    th_json_put_str(out, "outcome", recipient->set);
    th_json_put_str(out, "reason", recipient->reason);
    if (recipient->has_send)
        th_json_put_id(out, "send", recipient->send);
    else
        th_json_put_null(out, "send");
    th_json_put_int(out, "attempts", recipient->attempts);
    put_states(out, recipient->states);
    read_put_time(out, "at", recipient->at_us);
    th_json_put_int(out, "part", recipient->ordinal / PART_ROWS);
    th_json_put_int(out, "row", recipient->ordinal % PART_ROWS);
    th_json_put_int(out, "source_row", recipient->source_row);
    th_json_end(out);
}

static void put_recipients(struct th_json_out *out, const struct recipients_page *page)
{
    th_json_begin(out, NULL);
    th_json_begin_array(out, "data");
    for (size_t i = 0; i < page->n; i++)
        put_recipient(out, &page->at[i]);
    th_json_end_array(out);
    if (page->next >= 0) {
        char text[24];
        (void)snprintf(text, sizeof text, "%" PRId64, page->next);
        th_json_put_text(out, "next_cursor", text);
    } else {
        th_json_put_null(out, "next_cursor");
    }
    th_json_end(out);
}

static void put_recipient_row(struct th_csv_out *out, const struct view_recipient *recipient)
{
    char send[TH_ID_TEXT_LEN + 1] = "";
    char time[TH_DATE_TEXT_LEN + 1] = "";

    if (recipient->has_send)
        th_id_text(recipient->send, send);
    if (recipient->at_us)
        th_date_text(recipient->at_us, time);
    th_csv_put(out, recipient->phone);
    th_csv_put(out, recipient->lang);
    th_csv_put(out, recipient->set);
    th_csv_put(out, recipient->reason);
    th_csv_put_text(out, send);
    th_csv_put_int(out, recipient->attempts);
    th_csv_put_text(out, time);
    th_csv_put_int(out, recipient->ordinal / PART_ROWS);
    th_csv_put_int(out, recipient->ordinal % PART_ROWS);
    th_csv_put_int(out, recipient->source_row);
    th_csv_put(out, recipient->states);
    th_csv_end_row(out);
}

static enum handled answer_csv(struct request *request, const struct recipients_page *page)
{
    static const char *const columns[] = {
        "phone", "lang", "outcome", "reason",     "send",          "attempts",
        "at",    "part", "row",     "source_row", "attempt_states"};
    struct th_csv_out out = {&request->answer, false};

    for (size_t i = 0; i < TH_LEN(columns); i++)
        th_csv_put_text(&out, columns[i]);
    th_csv_end_row(&out);
    for (size_t i = 0; i < page->n; i++)
        put_recipient_row(&out, &page->at[i]);
    if (page->next >= 0)
        request_header(request, "TeleHub-Next-Cursor",
                       th_arena_printf(&request->arena, "%" PRId64, page->next));
    request->answer_type = "text/csv; charset=utf-8";
    return request_answer(request, 200);
}

static bool wants_csv(const struct request *request)
{
    struct th_str head;
    struct th_str rest;

    (void)th_str_cut(request->accept, ',', &head, &rest);
    (void)th_str_cut(head, ';', &head, &rest);
    return header_is(th_str_trim(head), "text/csv");
}

enum handled campaign_recipients(struct request *request)
{
    struct recipients_page page = {.after = -1};
    struct th_json_out out = {&request->answer, false};
    struct th_id id;
    struct th_err err = {0};
    enum handled handled;
    enum th_code code;
    bool has_after = false;

    if (request_query(request, "outcome", &page.outcome) &&
        (!page.outcome.n || page.outcome.n > VIEWS_OUTCOME_NAME_MAX))
        return problem(request, PROBLEM_BAD_QUERY, "outcome: a key of the certificate, as reached");
    if (!param_id(request, 0, &id, &handled) || !read_limit(request, &page.limit, &handled) ||
        !read_cursor_int(request, &page.after, &has_after, &handled) ||
        !read_begin(request, &handled))
        return handled;
    read_known(request, TOPIC_CAMPAIGN_COMMANDS, id, ask_recipients, &page, &code, &err);
    if (code == TH_INVALID)
        return problem(request, PROBLEM_BAD_QUERY, "outcome: %s", err.text);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    if (wants_csv(request))
        return answer_csv(request, &page);
    put_recipients(&out, &page);
    return request_answer(request, 200);
}

/* --- commands
 * -------------------------------------------------------------------------------------- */

static enum th_code ask_command(struct request *request, struct th_id id, void *out,
                                struct th_err *err)
{
    return views_of(request)->ops->command(views_of(request), request->tenant, id, &request->arena,
                                           out, err);
}

/* Commands lie under their campaign's key, so their own id does not tell where: who asks at once
 * sends the token. */
enum handled command_get(struct request *request)
{
    static const char *const names[] = {
        [VIEW_COMMAND_PENDING] = "pending",
        [VIEW_COMMAND_APPLIED] = "applied",
        [VIEW_COMMAND_REFUSED] = "refused",
    };
    struct view_command command = {0};
    struct th_json_out out = {&request->answer, false};
    enum handled handled;

    if (!read_one(request, TOPIC_CAMPAIGN_COMMANDS, ask_command, &command, &handled))
        return handled;
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", command.id);
    th_json_put_str(&out, "kind", command.kind);
    if (th_id_is_zero(command.campaign))
        th_json_put_null(&out, "campaign");
    else
        th_json_put_id(&out, "campaign", command.campaign);
    th_json_put_text(&out, "status", names[command.status]);
    th_json_put_str(&out, "code", command.code);
    th_json_put_str(&out, "detail", command.detail);
    th_json_end(&out);
    return request_answer(request, 200);
}
