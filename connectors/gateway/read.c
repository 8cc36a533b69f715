#include "connectors/gateway/read.h"

#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/token.h"
#include "connectors/gateway/write.h"

#define LIMIT_PRESET 100

static bool wait_for(struct request *request, struct log_place place, enum handled *out_handled)
{
    struct gateway *gateway = request->gateway;
    struct views *views = gateway->config.views;
    struct th_err err = {0};
    int64_t until_us = gateway_monotonic_us(gateway) + gateway->config.limits.token_wait_us;
    enum th_code code = views->ops->wait_for(views, &place, 1, until_us, &err);

    if (code == TH_OK)
        return true;
    *out_handled = code == TH_TIMEOUT ? problem(request, PROBLEM_BEHIND, "try again")
                   : code == TH_INVALID
                       ? problem(request, PROBLEM_BAD_TOKEN, "send it as it was given")
                       : problem_failure(request, code, &err);
    return false;
}

bool read_begin(struct request *request, enum handled *out_handled)
{
    struct gateway *gateway = request->gateway;
    struct log_place place;

    if (!gateway->config.views) {
        *out_handled = problem(request, PROBLEM_UNAVAILABLE, "this process has no views");
        return false;
    }
    if (!request->token.n)
        return true;
    enum th_code code = token_parse(request->token, th_log_id(gateway->config.log), &place);
    if (code != TH_OK) {
        *out_handled = problem(request, PROBLEM_BAD_TOKEN, "send it as it was given");
        return false;
    }
    return wait_for(request, place, out_handled);
}

/* Until the views hold all that the log has now under the key. */
static enum th_code catch_up(struct request *request, enum topic topic, struct th_id id,
                             struct th_err *err)
{
    struct gateway *gateway = request->gateway;
    struct views *views = gateway->config.views;
    struct th_str key = write_key(request, request->tenant, id);
    struct log_place place = {.topic = topic};

    if (!key.p)
        return th_fail(err, TH_NOMEM, "key");
    place.part = topic_partition_of_key(key, th_log_partitions(gateway->config.log, topic));
    TH_TRY(th_log_end(gateway->config.log, topic, place.part, &place.offset, err));
    if (place.offset == 0)
        return TH_OK;
    place.offset--;
    return views->ops->wait_for(
        views, &place, 1, gateway_monotonic_us(gateway) + gateway->config.limits.token_wait_us,
        err);
}

void read_known(struct request *request, enum topic topic, struct th_id id, read_fn *ask, void *out,
                enum th_code *out_code, struct th_err *err)
{
    if (!request->gateway->config.views) {
        *out_code = th_fail(err, TH_UNAVAILABLE, "this process has no views");
        return;
    }
    *out_code = ask(request, id, out, err);
    if (*out_code != TH_NOT_FOUND || request->token.n)
        return;
    *out_code = catch_up(request, topic, id, err);
    if (*out_code == TH_OK)
        *out_code = ask(request, id, out, err);
}

bool read_one(struct request *request, enum topic topic, read_fn *ask, void *out,
              enum handled *out_handled)
{
    struct th_id id;
    struct th_err err = {0};
    enum th_code code;

    if (!param_id(request, 0, &id, out_handled) || !read_begin(request, out_handled))
        return false;
    read_known(request, topic, id, ask, out, &code, &err);
    if (code == TH_OK)
        return true;
    *out_handled = problem_failure(request, code, &err);
    return false;
}

static bool refuse_query(struct request *request, const char *name, const char *detail,
                         enum handled *out_handled)
{
    *out_handled = problem(request, PROBLEM_BAD_QUERY, "%s: %s", name, detail);
    return false;
}

bool read_limit(struct request *request, size_t *out_limit, enum handled *out_handled)
{
    struct th_str text;
    int64_t limit = LIMIT_PRESET;

    if (request_query(request, "limit", &text) && !th_str_int(text, 1, VIEWS_PAGE_MAX, &limit))
        return refuse_query(request, "limit", "1 to 1000", out_handled);
    *out_limit = (size_t)limit;
    return true;
}

bool read_cursor_int(struct request *request, int64_t *out_after, bool *out_given,
                     enum handled *out_handled)
{
    struct th_str text;

    *out_given = request_query(request, "cursor", &text);
    if (*out_given && !th_str_int(text, INT64_MIN, INT64_MAX, out_after))
        return refuse_query(request, "cursor", "send it as it was given", out_handled);
    return true;
}

bool read_cursor_id(struct request *request, struct th_id *out_after, bool *out_given,
                    enum handled *out_handled)
{
    struct th_str text;

    *out_given = request_query(request, "cursor", &text);
    if (*out_given && !th_id_parse(text, out_after))
        return refuse_query(request, "cursor", "send it as it was given", out_handled);
    return true;
}

void read_put_time(struct th_json_out *out, const char *key, int64_t us)
{
    if (us)
        th_json_put_time(out, key, us);
    else
        th_json_put_null(out, key);
}
