/* Provider accounts. Each is a lane: its number is given once, by whoever holds config_lock. */
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/provider_json.h"
#include "connectors/gateway/provider_spec.h"
#include "connectors/gateway/write.h"

#define SECRET_VERSIONS_TRIED 100

static bool fail(struct request *request, enum th_code code, const struct th_err *err,
                 enum handled *out_handled)
{
    *out_handled = problem_failure(request, code, err);
    return false;
}

/* The number of the lane is the next one only if all that was written is known here. */
static bool catch_up(struct request *request, enum handled *out_handled)
{
    struct gateway *gateway = request->gateway;
    struct th_err err = {0};
    int64_t end = 0;

    enum th_code code = th_log_end(gateway->config.log, TOPIC_CONFIG, 0, &end, &err);
    if (code == TH_OK)
        code = write_wait_reference(gateway, TOPIC_CONFIG, end);
    return code == TH_OK || fail(request, code, &err, out_handled);
}

/* What the account has now: its lane and version, or the next number and nothing. */
static void place_account(struct request *request, struct provider_spec *spec)
{
    struct reference *ref = request->gateway->config.reference;

    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane_by_name(ref, spec->tenant, spec->account.name);
    spec->account.lane = lane ? lane->lane : reference_lane_max(ref) + 1;
    spec->account.secret_version = lane ? lane->account.secret_version : 0;
    reference_unlock(ref);
}

/* The same secret keeps its version; another one gets the next that is free. */
static enum th_code keep_secret(struct request *request, struct provider_spec *spec,
                                struct th_err *err)
{
    struct secrets *secrets = request->gateway->config.secrets;
    int32_t version = spec->account.secret_version ? spec->account.secret_version : 1;

    for (int tried = 0; tried < SECRET_VERSIONS_TRIED; tried++, version++) {
        enum th_code code =
            secrets_put(secrets, spec->tenant, spec->account.name, version, spec->secret, err);
        spec->account.secret_version = version;
        if (code != TH_CONFLICT)
            return code;
    }
    return TH_CONFLICT;
}

static struct th_str config_key(struct request *request, struct th_str tenant, struct th_str name)
{
    return th_arena_printf(&request->arena, "%.*s/account/%.*s", TH_ARG(tenant), TH_ARG(name));
}

static bool write_enabled(struct request *request, const struct write *write, struct th_id event_id,
                          struct th_str tenant, struct th_str name, bool is_enabled,
                          enum handled *out_handled)
{
    struct event event = {
        .type = EVENT_ACCOUNT_ENABLED,
        .as.account_enabled = {.meta = write->meta, .name = name, .is_enabled = is_enabled},
    };

    event.as.account_enabled.meta.event_id = event_id;
    event.as.account_enabled.meta.tenant = tenant;
    return write_record(request, TOPIC_CONFIG, -1, config_key(request, tenant, name), &event,
                        out_handled);
}

/* The account as it will be once the reference has the records. */
static void put_future(struct request *request, const struct provider_spec *spec,
                       struct th_buf *body)
{
    struct reference *ref = request->gateway->config.reference;
    struct th_json_out out = {body, false};

    reference_read_lock(ref);
    const struct ref_lane *now = reference_lane_by_name(ref, spec->tenant, spec->account.name);
    struct ref_lane future = {
        .lane = spec->account.lane,
        .tenant = spec->tenant,
        .account = spec->account,
        .is_enabled = spec->account.mode != ACCOUNT_MODE_LIVE ||
                      (now && now->is_enabled && now->account.mode == ACCOUNT_MODE_LIVE),
        .circuit = now ? now->circuit : CIRCUIT_CLOSED,
        .health_permille = now ? now->health_permille : 1000,
    };
    provider_put(&out, &future);
    reference_unlock(ref);
}

static enum handled add_locked(struct request *request, struct provider_spec *spec)
{
    struct th_err err = {0};
    struct th_buf body = {0};
    struct write write;
    enum handled handled;

    if (!catch_up(request, &handled))
        return handled;
    place_account(request, spec);
    enum th_code code = keep_secret(request, spec, &err);
    if (code == TH_INVALID)
        return problem(request, PROBLEM_INVALID, "secret: %s", err.text);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    if (!write_begin(request, "account", &write, &handled))
        return handled;
    struct event event = {.type = EVENT_ACCOUNT_CONFIGURED, .as.account_configured = spec->account};
    event.as.account_configured.meta = write.meta;
    event.as.account_configured.meta.tenant = spec->tenant;
    if (!write_record(request, TOPIC_CONFIG, -1,
                      config_key(request, spec->tenant, spec->account.name), &event, &handled))
        return handled;
    if (spec->account.mode != ACCOUNT_MODE_LIVE &&
        !write_enabled(request, &write, write_event_id(request, &write, 1), spec->tenant,
                       spec->account.name, true, &handled))
        return handled;
    put_future(request, spec, &body);
    handled = write_claim(request, &write, 201, &body);
    th_buf_fini(&body);
    return handled == HANDLED_STORE ? write_reference(request) : handled;
}

/* Another gateway may have given the same number a moment before: then the first one keeps it, and
 * this account has none. */
static bool has_lane(struct request *request, const struct provider_spec *spec)
{
    struct reference *ref = request->gateway->config.reference;

    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane_by_name(ref, spec->tenant, spec->account.name);
    bool has = lane != NULL;
    reference_unlock(ref);
    return has;
}

enum handled provider_add(struct request *request)
{
    static const char *const members[] = {"tenant",        "name",        "wire",    "base_url",
                                          "account",       "secret",      "senders", "weight",
                                          "rate_per_s",    "concurrency", "mode",    "sms_estimate",
                                          "call_estimate", NULL};
    TH_AUTO(th_json) struct json_t *document = NULL;
    struct provider_spec spec;
    struct th_err err = {0};
    enum handled handled;

    if (!body_json(request, members, &document, &handled))
        return handled;
    if (provider_spec_read(request, th_json_root(document), &spec, &err) != TH_OK)
        return problem_json(request, &err);
    pthread_mutex_lock(&request->gateway->config_lock);
    handled = add_locked(request, &spec);
    pthread_mutex_unlock(&request->gateway->config_lock);
    if (request->status == 201 && !has_lane(request, &spec))
        return problem(request, PROBLEM_CONFLICT,
                       "another account was added at the same moment; try again with a new "
                       "Idempotency-Key");
    return handled;
}

enum handled provider_list(struct request *request)
{
    struct reference *ref = request->gateway->config.reference;
    struct th_json_out out = {&request->answer, false};
    struct th_str tenant = request->tenant;

    if (request->caller == CALLER_OPERATOR)
        (void)request_query(request, "tenant", &tenant);
    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    reference_read_lock(ref);
    for (size_t i = 0; reference_lane_at(ref, i); i++) {
        const struct ref_lane *lane = reference_lane_at(ref, i);
        if (!tenant.n || th_str_eq(lane->tenant, tenant))
            provider_put(&out, lane);
    }
    reference_unlock(ref);
    th_json_end_array(&out);
    th_json_put_null(&out, "next_cursor");
    th_json_end(&out);
    return request_answer(request, 200);
}

/* --- enable, disable
 * ------------------------------------------------------------------------------- */

static enum handled set_enabled(struct request *request, bool is_enabled)
{
    struct reference *ref = request->gateway->config.reference;
    struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    struct th_str tenant;
    struct write write;
    enum handled handled;

    if (!request_query(request, "tenant", &tenant))
        return problem(request, PROBLEM_BAD_QUERY, "tenant: whose account");
    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane_by_name(ref, tenant, request->params[0]);
    if (lane) {
        struct ref_lane future = *lane;
        future.is_enabled = is_enabled;
        provider_put(&out, &future);
    }
    reference_unlock(ref);
    if (!lane)
        return problem(request, PROBLEM_NOT_FOUND, "there is no such account");
    handled = HANDLED_ANSWERED;
    if (write_begin(request, "enabled", &write, &handled) &&
        write_enabled(request, &write, write.meta.event_id, tenant, request->params[0], is_enabled,
                      &handled))
        handled = write_claim(request, &write, 200, &body);
    th_buf_fini(&body);
    return handled == HANDLED_STORE ? write_reference(request) : handled;
}

enum handled provider_enable(struct request *request)
{
    return set_enabled(request, true);
}

enum handled provider_disable(struct request *request)
{
    return set_enabled(request, false);
}
