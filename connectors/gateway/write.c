#include "connectors/gateway/write.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/phone.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/token.h"

#define REFERENCE_WAIT_US (5 * TH_US_PER_SEC)
#define REFERENCE_LOOK_US 1000
#define BODY_SIZE_MAX     ((size_t)1024 * 1024)

/* --- ids -----------------------------------------------------------------------------------------
 */

static struct th_id derive(const struct request *request, const char *kind, int64_t now_us)
{
    char time[24];

    (void)snprintf(time, sizeof time, "%" PRId64, now_us);
    struct th_str parts[] = {th_str(kind), request->tenant, th_str(request->route->path),
                             request->idempotency_key, th_str(time)};
    if (th_str_eq(parts[0], TH_STR("send")))
        return th_id_send(now_us / 1000, parts, TH_LEN(parts));
    return th_id_derive(parts, TH_LEN(parts));
}

static bool draw(struct request *request, int64_t now_us, struct th_id *out_id,
                 enum handled *out_handled)
{
    struct th_err err = {0};

    if (th_id_random(now_us / 1000, out_id, &err) == TH_OK)
        return true;
    *out_handled = problem_failure(request, err.code, &err);
    return false;
}

bool write_begin(struct request *request, const char *kind, struct write *out_write,
                 enum handled *out_handled)
{
    int64_t now_us = gateway_now_us(request->gateway);
    struct write write = {.now_us = now_us};

    if (request->idempotency_key.n) {
        write.meta.event_id = derive(request, "event", now_us);
        if (kind)
            write.resource = derive(request, kind, now_us);
    } else if (!draw(request, now_us, &write.meta.event_id, out_handled) ||
               (kind && !draw(request, now_us, &write.resource, out_handled))) {
        return false;
    }
    write.meta.tenant = request->tenant;
    write.meta.time_us = now_us;
    write.meta.actor = request->actor;
    *out_write = write;
    return true;
}

struct th_id write_event_id(const struct request *request, const struct write *write, unsigned n)
{
    char number[16];

    (void)request;
    (void)snprintf(number, sizeof number, "%u", n);
    return th_id_derive(
        TH_PARTS(TH_STR("event"), th_id_bytes(&write->meta.event_id), th_str(number)));
}

struct th_str write_joined(struct request *request, const struct th_str *parts, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].n;
    char *text = th_arena_alloc(&request->arena, size + 1);
    if (!text)
        return (struct th_str){0};
    char *to = text;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n)
            memcpy(to, parts[i].p, parts[i].n);
        to += parts[i].n;
    }
    return (struct th_str){text, size};
}

struct th_str write_key(struct request *request, struct th_str tenant, struct th_id id)
{
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(id, text);
    return write_joined(request,
                        TH_PARTS(tenant, TH_STR("/"), ((struct th_str){text, TH_ID_TEXT_LEN})));
}

/* --- the claim -----------------------------------------------------------------------------------
 */

static enum handled no_memory(struct request *request)
{
    return problem(request, PROBLEM_UNAVAILABLE, "there is no memory left; try again");
}

static enum handled too_large(struct request *request)
{
    return problem(request, PROBLEM_TOO_LARGE, "it does not fit into one record");
}

bool write_bytes(struct request *request, const struct log_output *output,
                 enum handled *out_handled)
{
    assert(request->claim.outputs_n < REQUEST_OUTPUTS_MAX);
    if (output->key.n > LOG_KEY_SIZE_MAX || log_output_size(output) > LOG_RECORD_SIZE_MAX) {
        *out_handled = too_large(request);
        return false;
    }
    request->outputs[request->claim.outputs_n++] = *output;
    request->outputs_size += log_output_size(output);
    return true;
}

bool write_record(struct request *request, enum topic topic, int part, struct th_str key,
                  const struct event *event, enum handled *out_handled)
{
    struct th_buf encoded = {0};
    struct th_str value = {0};

    enum th_code code = key.p ? event_encode(event, &encoded) : TH_NOMEM;
    if (code == TH_OK)
        code = th_arena_copy(&request->arena, th_buf_str(&encoded), &value);
    th_buf_fini(&encoded);
    if (code == TH_OK)
        return write_bytes(
            request, &(struct log_output){.topic = topic, .part = part, .key = key, .value = value},
            out_handled);
    *out_handled = code == TH_NOMEM ? no_memory(request) : too_large(request);
    return false;
}

enum handled write_claim(struct request *request, const struct write *write, int status,
                         const struct th_buf *body)
{
    struct log_claim *claim = &request->claim;
    char text[TH_ID_TEXT_LEN + 1];

    th_id_text(write->meta.event_id, text);
    if (th_buf_status(body) != TH_OK ||
        th_arena_copy(&request->arena, th_buf_str(body), &claim->body) != TH_OK ||
        th_arena_copy(&request->arena, (struct th_str){text, TH_ID_TEXT_LEN}, &request->event_id) !=
            TH_OK)
        return no_memory(request);
    claim->tenant = request->tenant.n ? request->tenant : TH_STR("operator");
    claim->route = write_joined(request, TH_PARTS(th_str(request->route->method), TH_STR(" "),
                                                  th_str(request->route->path)));
    claim->key = request->idempotency_key;
    claim->status = status;
    claim->outputs = request->outputs;
    if (!claim->route.p)
        return no_memory(request);
    /* One route has many paths: the same key for another campaign is another request. Without a key
     * nobody compares. */
    if (claim->key.n)
        th_sha256_parts(TH_PARTS(request->target, th_buf_str(&request->body)), claim->fingerprint);
    return HANDLED_STORE;
}

static enum handled answer_stored(struct request *request)
{
    const struct log_claim *claim = &request->claim;

    request_header(request, "X-Event-Id", request->event_id);
    if (claim->places && claim->outputs_n)
        request_header(
            request, "TeleHub-Token",
            token_make(th_log_id(request->gateway->config.log), claim->places[0], &request->arena));
    return request_answer_json(request, (unsigned)claim->status, claim->body);
}

static enum handled answer_replayed(struct request *request)
{
    const struct log_claim *claim = &request->claim;
    bool was_refused = claim->replayed_status >= 400;

    request_header(request, "Idempotency-Replayed", TH_STR("true"));
    if (was_refused)
        request->answer_type = "application/problem+json";
    return request_answer_json(request, was_refused ? (unsigned)claim->replayed_status : 200,
                               claim->replayed_body);
}

static enum handled answer_failure(struct request *request, enum th_code failure)
{
    if (failure == TH_FULL)
        return problem(request, PROBLEM_UNAVAILABLE,
                       "the log has no room left; nothing was stored");
    if (failure == TH_INVALID)
        return problem(request, PROBLEM_INTERNAL, "the log refused the record");
    return problem(request, PROBLEM_UNKNOWN_OUTCOME,
                   "the log did not answer; repeat it with the same Idempotency-Key");
}

enum handled write_answer(struct request *request, enum th_code failure)
{
    if (failure != TH_OK)
        return answer_failure(request, failure);
    switch (request->claim.outcome) {
    case LOG_CLAIM_STORED:
        return answer_stored(request);
    case LOG_CLAIM_REPLAYED:
        return answer_replayed(request);
    case LOG_CLAIM_MISMATCH:
        break;
    }
    return problem(request, PROBLEM_MISMATCH,
                   "this Idempotency-Key was used with another body or path; draw a new one");
}

/* --- the reference -------------------------------------------------------------------------------
 */

static int64_t place_of(const struct reference_versions *read_to, enum topic topic)
{
    switch ((int)topic) { /* the others are no reference topics */
    case TOPIC_CONFIG:
        return read_to->config;
    case TOPIC_CONSENT_EVENTS:
        return read_to->consent;
    case TOPIC_CAMPAIGN_CONTROL:
        return read_to->control;
    case TOPIC_LANE_HEALTH:
        return read_to->health;
    default:
        return INT64_MAX;
    }
}

enum th_code write_wait_reference(struct gateway *gateway, enum topic topic, int64_t next_offset)
{
    struct reference *ref = gateway->config.reference;
    int64_t until_us = gateway_monotonic_us(gateway) + REFERENCE_WAIT_US;

    for (;;) {
        reference_read_lock(ref);
        struct reference_versions read_to = reference_read_to(ref);
        reference_unlock(ref);
        if (place_of(&read_to, topic) >= next_offset)
            return TH_OK;
        if (gateway_monotonic_us(gateway) > until_us)
            return TH_TIMEOUT;
        (void)usleep(REFERENCE_LOOK_US);
    }
}

enum handled write_reference(struct request *request)
{
    struct gateway *gateway = request->gateway;
    struct th_err err = {0};
    struct log_claim *claim = &request->claim;

    enum th_code code = th_log_ingest(gateway->config.log, claim, 1, &request->arena, &err);
    if (code == TH_OK && claim->outcome == LOG_CLAIM_STORED) {
        int64_t last = 0;
        for (size_t i = 0; i < claim->outputs_n; i++)
            if (claim->places[i].offset > last)
                last = claim->places[i].offset;
        if (write_wait_reference(gateway, claim->outputs[0].topic, last + 1) != TH_OK)
            return problem(request, PROBLEM_BEHIND,
                           "it is stored, but this process has not read it yet");
    }
    return write_answer(request, code);
}

/* --- what handlers read
 * ---------------------------------------------------------------------------- */

void write_command_body(struct th_buf *body, struct th_id id, struct th_id command)
{
    struct th_json_out out = {body, false};

    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", id);
    th_json_put_id(&out, "command", command);
    th_json_end(&out);
}

bool body_json(struct request *request, const char *const *members, struct json_t **out_document,
               enum handled *out_handled)
{
    struct th_err err = {0};
    struct json_t *document = NULL;
    enum th_code code = th_json_parse(th_buf_str(&request->body), BODY_SIZE_MAX, &document, &err);

    if (code == TH_OK)
        code = th_json_object(th_json_root(document), members, &err);
    if (code == TH_OK) {
        *out_document = document;
        return true;
    }
    *out_handled = problem_json(request, &err);
    th_json_free(document);
    return false;
}

bool param_id(struct request *request, size_t index, struct th_id *out_id,
              enum handled *out_handled)
{
    if (th_id_parse(request->params[index], out_id))
        return true;
    *out_handled = problem(request, PROBLEM_NOT_FOUND, "that is no id");
    return false;
}

bool slug_is_valid(struct th_str slug)
{
    for (size_t i = 0; i < slug.n; i++) {
        char c = slug.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_plain && (i == 0 || (c != '-' && c != '_')))
            return false;
    }
    return slug.n >= 1 && slug.n <= 63;
}

bool body_phone(struct request *request, struct th_json value, struct th_phone *out_phone,
                enum handled *out_handled)
{
    struct th_err err = {0};
    struct th_err why = {0};
    struct th_str text;

    if (th_json_str(value, 1, 40, &text, &err) == TH_OK &&
        th_phone_parse(text, request->country[0] ? request->country : NULL, out_phone, &why) !=
            TH_OK)
        (void)th_json_fail(value, &err, "%s", why.text);
    if (err.code == TH_OK)
        return true;
    *out_handled = problem_json(request, &err);
    return false;
}
