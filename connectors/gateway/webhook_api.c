/* Callbacks of providers. The token in the path is ours and says which attempt it is; the signature
 * is the provider's. Neither alone is enough, and what is refused is refused without detail. */
#include "common/callback_token.h"
#include "common/log_line.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/write.h"

#include <string.h>
#include <strings.h>

struct webhook {
    struct callback_token token;
    struct th_str tenant;
    struct th_str account;
    int32_t secret_version;
    const struct provider_ops *wire;
};

static enum handled refuse(struct request *request, enum problem what)
{
    th_count(request->gateway->callbacks_refused, 1);
    return problem(request, what, "refused");
}

static const struct provider_ops *wire_of(const struct gateway *gateway, struct th_str name)
{
    for (const struct provider_ops *const *wire = gateway->config.providers; *wire; wire++)
        if (th_str_eq(name, th_str((*wire)->name)))
            return *wire;
    return NULL;
}

/* The lane must be the token's tenant's, and speak this wire. Errors: TH_DENIED, TH_NOMEM */
static enum th_code find_lane(struct request *request, struct webhook *hook)
{
    struct reference *ref = request->gateway->config.reference;
    enum th_code code = TH_DENIED;

    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane(ref, (int32_t)hook->token.lane);
    if (lane && th_str_eq(lane->tenant, hook->tenant) &&
        th_str_eq(lane->account.wire, request->params[0])) {
        hook->secret_version = lane->account.secret_version;
        code = th_arena_copy(&request->arena, lane->account.name, &hook->account);
    }
    reference_unlock(ref);
    return code;
}

static struct th_str signature_of(const struct request *request, const char *header)
{
    for (size_t i = 0; i < request->signatures_n; i++)
        if (header_is(request->signatures[i].name, header))
            return request->signatures[i].value;
    return (struct th_str){0};
}

/* The account's secret, or the one before: a provider may still sign with that for a while. */
static enum th_code verify(struct request *request, const struct webhook *hook)
{
    struct gateway *gateway = request->gateway;
    struct provider_callback callback = {
        .url = write_joined(request, TH_PARTS(th_str(gateway->public_url), request->target)),
        .content_type = request->content_type,
        .body = th_buf_str(&request->body),
    };
    enum th_code code = TH_DENIED;

    if (!callback.url.p)
        return TH_NOMEM;
    if (hook->wire->signature_header)
        callback.signature = signature_of(request, hook->wire->signature_header);
    for (int32_t back = 0; back < 2 && code == TH_DENIED && hook->secret_version > back; back++) {
        struct th_str secret;
        struct th_err err = {0};
        enum th_code found =
            secrets_get(gateway->config.secrets, hook->tenant, hook->account,
                        hook->secret_version - back, &request->arena, &secret, &err);
        if (found == TH_NOT_FOUND && back)
            break;
        if (found != TH_OK)
            return found;
        code = hook->wire->callback_verify(&callback, secret, &request->arena);
    }
    return code;
}

static bool admit(struct request *request, struct webhook *hook, enum handled *out_handled)
{
    struct gateway *gateway = request->gateway;

    hook->wire = wire_of(gateway, request->params[0]);
    if (!hook->wire) {
        *out_handled = problem(request, PROBLEM_NOT_FOUND, "there is no such path");
        return false;
    }
    enum th_code code =
        callback_token_parse(request->params[1], gateway->callback_key, &hook->token);
    if (code == TH_OK) {
        hook->tenant = (struct th_str){hook->token.tenant, hook->token.tenant_size};
        code = find_lane(request, hook);
    }
    if (code != TH_OK) { /* a provider repeats what is answered 503; what it is forbidden, never */
        *out_handled = code == TH_NOMEM ? problem(request, PROBLEM_UNAVAILABLE, "try again")
                                        : refuse(request, PROBLEM_FORBIDDEN);
        return false;
    }
    code = verify(request, hook);
    if (code == TH_OK)
        return true;
    *out_handled = code == TH_DENIED      ? refuse(request, PROBLEM_UNAUTHORIZED)
                   : code == TH_MALFORMED ? refuse(request, PROBLEM_BAD_REQUEST)
                                          : problem(request, PROBLEM_UNAVAILABLE, "try again");
    return false;
}

static enum handled store(struct request *request, const struct webhook *hook, enum channel channel)
{
    struct gateway *gateway = request->gateway;
    struct th_buf nothing = {0};
    struct write write;
    enum handled handled;
    int partitions = th_log_partitions(gateway->config.log, TOPIC_PROVIDER_CALLBACKS);

    request->actor = th_str(hook->wire->name);
    if (!write_begin(request, NULL, &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_CALLBACK_RECEIVED,
        .as.callback_received =
            {
                .meta = write.meta,
                .lane = (int32_t)hook->token.lane,
                .send = hook->token.send,
                .n = hook->token.attempt_no,
                .channel = channel,
                .wire = th_str(hook->wire->name),
                .body = {.is = STRING_OR_SEALED_STRING, .as.string = th_buf_str(&request->body)},
            },
    };
    event.as.callback_received.meta.tenant = hook->tenant;
    if (!write_record(request, TOPIC_PROVIDER_CALLBACKS, (int)hook->token.lane % partitions,
                      write_joined(request, TH_PARTS(hook->tenant, TH_STR("/"), hook->account)),
                      &event, &handled))
        return handled;
    return write_claim(request, &write, 204, &nothing);
}

enum handled webhook_receive(struct request *request)
{
    struct webhook hook = {0};
    struct provider_report report = {0};
    struct th_err err = {0};
    enum handled handled;

    if (!admit(request, &hook, &handled))
        return handled;
    enum th_code code =
        hook.wire->callback_parse(th_buf_str(&request->body), &request->arena, &report, &err);
    if (code == TH_NOMEM)
        return problem(request, PROBLEM_UNAVAILABLE, "try again");
    /* A callback that says nothing we know is answered well: the provider's repeating it would
     * change nothing. */
    if (code != TH_OK) {
        th_log(TH_LOG_INFO, "gateway.callback_unknown", TH_F("wire", hook.wire->name),
               TH_F("account", hook.account), TH_F("detail", (const char *)err.text));
        return request_answer_json(request, 204, (struct th_str){0});
    }
    return store(request, &hook, report.channel == PROVIDER_CALL ? CHANNEL_CALL : CHANNEL_SMS);
}
