/* How it is. */
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"

#include "common/json_out.h"

#define SLOW_CALL_US (5 * TH_US_PER_SEC)

/* One line of "checks"; returns whether it is well. */
static bool put_check(struct th_json_out *out, const char *name, bool is_well)
{
    th_json_put_text(out, name, is_well ? "ok" : "failing");
    return is_well;
}

static bool lane_is_well(struct ingest *lane)
{
    struct ingest_figures figures = ingest_figures(lane);

    return !figures.is_failing && figures.last_us < SLOW_CALL_US;
}

static bool log_is_well(struct gateway *gateway)
{
    struct th_err err = {0};
    int64_t end = 0;

    return th_log_end(gateway->config.log, TOPIC_CONFIG, 0, &end, &err) == TH_OK;
}

static bool views_are_well(struct gateway *gateway)
{
    struct views *views = gateway->config.views;
    struct th_err err = {0};
    int64_t behind[TOPIC_COUNT];

    return views && views->ops->lag(views, behind, &err) == TH_OK;
}

static enum handled answer_health(struct request *request, bool is_whole)
{
    struct gateway *gateway = request->gateway;
    struct th_json_out out = {&request->answer, false};
    struct th_buf checks = {0};
    struct th_json_out list = {&checks, false};
    bool is_well = true;

    th_json_begin(&list, NULL);
    is_well &= put_check(&list, "log", log_is_well(gateway));
    is_well &= put_check(&list, "ingest", lane_is_well(gateway->lanes[LANE_API]));
    is_well &= put_check(&list, "callbacks", lane_is_well(gateway->lanes[LANE_CALLBACK]));
    if (is_whole)
        is_well &= put_check(&list, "views", views_are_well(gateway));
    for (const struct gateway_check *check = gateway->config.checks; check && check->name; check++)
        is_well &= put_check(&list, check->name, check->is_well(check->arg));
    th_json_end(&list);
    th_json_begin(&out, NULL);
    th_json_put_text(&out, "status", is_well ? "ok" : "degraded");
    th_json_put_raw(&out, "checks", th_buf_str(&checks));
    th_json_end(&out);
    if (th_buf_status(&checks) != TH_OK)
        request->answer.is_failed = true;
    th_buf_fini(&checks);
    return request_answer(request, is_well ? 200 : 503);
}

enum handled health_all(struct request *request)
{
    return answer_health(request, true);
}

/* Requests can be taken also while the views are away. */
enum handled health_ready(struct request *request)
{
    return answer_health(request, false);
}

enum handled health_live(struct request *request)
{
    return request_answer_json(request, 200, TH_STR("{\"status\":\"ok\"}"));
}

enum handled metrics_show(struct request *request)
{
    if (!request->gateway->config.metrics)
        return problem(request, PROBLEM_UNAVAILABLE, "this process counts nothing");
    if (request->gateway->config.measure)
        request->gateway->config.measure(request->gateway->config.measure_arg);
    th_metrics_print(request->gateway->config.metrics, &request->answer);
    request->answer_type = "text/plain; version=0.0.4; charset=utf-8";
    return request_answer(request, 200);
}
