/* Ask a provider whether an account is usable: the wire's own check, round by round. */
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"

#include <poll.h>
#include <string.h>

#include "common/http.h"
#include "common/json_out.h"

#define ROUNDS_MAX 4
#define ROUND_MS   4000 /* all rounds end before the request's deadline */
#define CHECK_US   (8 * TH_US_PER_SEC)
#define POLL_MS    50

static const struct provider_ops *wire_of(const struct gateway *gateway, struct th_str name)
{
    for (const struct provider_ops *const *wire = gateway->config.providers; *wire; wire++)
        if (th_str_eq(name, th_str((*wire)->name)))
            return *wire;
    return NULL;
}

/* Copies of what the reference holds. */
static bool find_account(struct request *request, struct th_str tenant,
                         struct provider_account *out, struct th_str *out_wire,
                         int32_t *out_version)
{
    struct reference *ref = request->gateway->config.reference;
    bool is_found = false;

    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane_by_name(ref, tenant, request->params[0]);
    if (lane) {
        *out_version = lane->account.secret_version;
        is_found =
            th_arena_copy(&request->arena, lane->account.wire, out_wire) == TH_OK &&
            th_arena_copy(&request->arena, lane->account.base_url, &out->base_url) == TH_OK &&
            th_arena_copy(&request->arena, lane->account.account, &out->account) == TH_OK;
    }
    reference_unlock(ref);
    return is_found;
}

/* One request, waited for. Under http_lock. */
static enum th_code perform(struct gateway *gateway, const struct http_req *req,
                            struct th_arena *arena, struct http_reply *out_reply,
                            struct th_err *err)
{
    struct http_client *http = gateway->config.http;
    struct http_done done;
    int64_t until_us = gateway_monotonic_us(gateway) + CHECK_US;

    TH_TRY(http_start(http, req, (struct http_permit){0}, 0, err));
    while (!http_poll(http, &done, 1)) {
        struct pollfd fd = {.fd = http_fd(http), .events = POLLIN};
        if (gateway_monotonic_us(gateway) > until_us)
            return th_fail(err, TH_TIMEOUT, "the provider did not answer in time");
        (void)poll(&fd, 1, POLL_MS);
    }
    *out_reply = done.reply;
    return th_arena_copy(arena, done.reply.body, &out_reply->body);
}

static enum th_code check_rounds(struct gateway *gateway, const struct provider_ops *wire,
                                 const struct provider_account *account, struct th_arena *arena,
                                 struct provider_check *out_check, struct th_err *err)
{
    struct http_reply reply;
    struct http_req req;

    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        memset(&req, 0, sizeof req);
        TH_TRY(wire->check_build(account, round, arena, &req, err));
        req.timeout_ms = ROUND_MS;
        TH_TRY(perform(gateway, &req, arena, &reply, err));
        TH_TRY(wire->check_parse(round, &reply, arena, out_check));
        if (!out_check->has_next)
            return TH_OK;
    }
    return th_fail(err, TH_INVALID, "the check does not come to an end");
}

static enum handled answer(struct request *request, const struct provider_check *check)
{
    struct th_json_out out = {&request->answer, false};

    th_json_begin(&out, NULL);
    th_json_put_str(&out, "name", request->params[0]);
    th_json_put_bool(&out, "healthy", check->is_healthy);
    th_json_put_str(&out, "detail", check->sentence);
    th_json_end(&out);
    return request_answer(request, 200);
}

enum handled provider_check_run(struct request *request)
{
    struct gateway *gateway = request->gateway;
    struct provider_account account = {0};
    struct provider_check check = {0};
    struct th_str tenant;
    struct th_str wire_name;
    struct th_err err = {0};
    int32_t version = 0;

    if (!request_query(request, "tenant", &tenant))
        return problem(request, PROBLEM_BAD_QUERY, "tenant: whose account");
    if (!find_account(request, tenant, &account, &wire_name, &version))
        return problem(request, PROBLEM_NOT_FOUND, "there is no such account");
    const struct provider_ops *wire = wire_of(gateway, wire_name);
    if (!wire || !gateway->config.http)
        return problem(request, PROBLEM_UNAVAILABLE, "this process speaks to no provider");
    enum th_code code = secrets_get(gateway->config.secrets, tenant, request->params[0], version,
                                    &request->arena, &account.secret, &err);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    pthread_mutex_lock(&gateway->http_lock);
    code = check_rounds(gateway, wire, &account, &request->arena, &check, &err);
    pthread_mutex_unlock(&gateway->http_lock);
    return code == TH_OK ? answer(request, &check) : problem_failure(request, code, &err);
}
