#include "tests/fault/wires.h"

#include "connectors/twilio/answer.h"
#include "connectors/twilio/callback.h"
#include "connectors/twilio/request.h"
#include "connectors/twilio/signature.h"

#define SETTLE_MS 100

/* Without a callback URL, so that no report tells what an answer did not. */
static enum th_code build_mute(const struct provider_account *account,
                               const struct provider_message *msg, struct th_arena *arena,
                               struct http_req *out_req, struct th_err *err)
{
    struct provider_message mute = *msg;

    mute.callback_url = TH_STR("");
    return twilio_build(account, &mute, arena, out_req, err);
}

static enum th_code build_named(const struct provider_account *account,
                                const struct provider_message *msg, const char *header,
                                struct th_arena *arena, struct http_req *out_req,
                                struct th_err *err)
{
    struct http_req req;
    struct th_str attempt;

    TH_TRY(build_mute(account, msg, arena, &req, err));
    if (th_arena_copy(arena, msg->attempt, &attempt) != TH_OK)
        return th_fail(err, TH_NOMEM, "request");
    req.headers[req.n_headers++] = (struct http_header){th_str(header), attempt};
    *out_req = req;
    return TH_OK;
}

static enum th_code build_key(const struct provider_account *account,
                              const struct provider_message *msg, struct th_arena *arena,
                              struct http_req *out_req, struct th_err *err)
{
    return build_named(account, msg, "Idempotency-Key", arena, out_req, err);
}

static enum th_code build_look(const struct provider_account *account,
                               const struct provider_message *msg, struct th_arena *arena,
                               struct http_req *out_req, struct th_err *err)
{
    return build_named(account, msg, "Reference", arena, out_req, err);
}

static enum th_code search_look(const struct provider_account *account,
                                const struct provider_search *search, struct th_arena *arena,
                                struct http_req *out_req, struct th_err *err)
{
    struct http_req req;

    TH_TRY(twilio_search_build(account, search, arena, &req, err));
    req.url =
        th_arena_printf(arena, "%.*s&Reference=%.*s", TH_ARG(req.url), TH_ARG(search->attempt));
    if (!req.url.p)
        return th_fail(err, TH_NOMEM, "request");
    *out_req = req;
    return TH_OK;
}

#define LIKE_TWILIO                                                                                \
    .signature_header = "X-Twilio-Signature", .parse = twilio_parse,                               \
    .callback_verify = twilio_signature_verify, .callback_parse = twilio_callback_parse,           \
    .lookup_build = twilio_lookup_build, .lookup_parse = twilio_lookup_parse,                      \
    .check_build = twilio_check_build, .check_parse = twilio_check_parse

const struct provider_ops fault_wire_back = {
    .name = "test-back",
    .caps = {.channels = PROVIDER_SMS,
             .max_batch = 1,
             .reconciliation = PROVIDER_CALLBACK,
             .settle_ms = SETTLE_MS,
             .has_signed_callbacks = true},
    .build = twilio_build,
    LIKE_TWILIO,
};

const struct provider_ops fault_wire_key = {
    .name = "test-key",
    .caps = {.channels = PROVIDER_SMS,
             .max_batch = 1,
             .reconciliation = PROVIDER_IDEMPOTENT,
             .settle_ms = SETTLE_MS,
             .key_life_s = 3600},
    .build = build_key,
    LIKE_TWILIO,
};

const struct provider_ops fault_wire_look = {
    .name = "test-look",
    .caps = {.channels = PROVIDER_SMS,
             .max_batch = 1,
             .reconciliation = PROVIDER_LOOKUP,
             .settle_ms = SETTLE_MS},
    .build = build_look,
    .search_build = search_look,
    .search_parse = twilio_search_parse,
    LIKE_TWILIO,
};

const struct provider_ops fault_wire_mute = {
    .name = "test-mute",
    .caps = {.channels = PROVIDER_SMS,
             .max_batch = 1,
             .reconciliation = PROVIDER_NONE,
             .settle_ms = SETTLE_MS},
    .build = build_mute,
    LIKE_TWILIO,
};
