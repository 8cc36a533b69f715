/* What was given up. Records that could not be understood: listed, shown with their bytes,
 * replayed, discarded. Sends that have used up all tries: listed.
 */
#include "common/encode.h"
#include "common/eventlog/headers.h"
#include "connectors/gateway/api.h"
#include "connectors/gateway/gateway_internal.h"
#include "connectors/gateway/read.h"
#include "connectors/gateway/write.h"

#include <string.h>

#define HEADERS_SHOWN 100

/* --- shown ------------------------------------------------------------------------------------ */

static void put_letter(struct th_json_out *out, const struct view_dead_letter *letter)
{
    th_json_put_id(out, "id", letter->id);
    th_json_put_str(out, "tenant", letter->tenant);
    read_put_time(out, "at", letter->at_us);
    th_json_put_str(out, "topic", letter->topic);
    th_json_put_str(out, "consumer", letter->consumer);
    th_json_put_str(out, "code", letter->code);
    th_json_put_str(out, "detail", letter->detail);
    if (letter->settled.n)
        th_json_put_str(out, "settled", letter->settled);
    else
        th_json_put_null(out, "settled");
    read_put_time(out, "settled_at", letter->settled_us);
}

static void put_base64(struct th_json_out *out, const char *key, struct th_str bytes)
{
    struct th_buf text = {0};

    th_base64_add(&text, bytes);
    th_json_put_str(out, key, th_buf_str(&text));
    if (th_buf_status(&text) != TH_OK)
        out->buf->is_failed = true;
    th_buf_fini(&text);
}

static void put_headers(struct th_json_out *out, struct th_str headers)
{
    struct log_header header;

    th_json_begin_array(out, "headers");
    for (size_t i = 0; i < HEADERS_SHOWN && log_headers_next(&headers, &header); i++) {
        th_json_begin(out, NULL);
        th_json_put_str(out, "name", header.name);
        if (header.is_null)
            th_json_put_null(out, "value_base64");
        else
            put_base64(out, "value_base64", header.value);
        th_json_end(out);
    }
    th_json_end_array(out);
}

/* As this program reads it: it may be newer than the one that did not understand. */
static void put_event(struct th_json_out *out, struct request *request, struct th_str value)
{
    struct th_buf json = {0};
    struct th_err err = {0};
    struct event event;

    if (event_decode(value, &request->arena, &event, &err) == TH_OK) {
        event_to_json(&event, &json);
        th_json_put_text(out, "record", event_type_name(event.type));
        th_json_put_raw(out, "event", th_buf_str(&json));
        th_json_put_null(out, "decode_error");
    } else {
        th_json_put_null(out, "record");
        th_json_put_null(out, "event");
        th_json_put_text(out, "decode_error", err.text);
    }
    if (th_buf_status(&json) != TH_OK)
        out->buf->is_failed = true;
    th_buf_fini(&json);
}

static enum handled list_records(struct request *request, const struct th_id *after, size_t limit)
{
    struct views *views = request->gateway->config.views;
    struct th_json_out out = {&request->answer, false};
    struct view_dead_letter *at = NULL;
    struct th_str all = {0};
    struct th_err err = {0};
    size_t n = 0;

    bool is_unsettled = !request_query(request, "settled", &all) || !th_str_eq(all, TH_STR("also"));
    enum th_code code =
        views->ops->dead_letters(views, is_unsettled, after, limit, &request->arena, &at, &n, &err);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    for (size_t i = 0; i < n; i++) {
        th_json_begin(&out, NULL);
        put_letter(&out, &at[i]);
        th_json_end(&out);
    }
    th_json_end_array(&out);
    if (n == limit)
        th_json_put_id(&out, "next_cursor", at[n - 1].id);
    else
        th_json_put_null(&out, "next_cursor");
    th_json_end(&out);
    return request_answer(request, 200);
}

static void put_exhausted(struct th_json_out *out, const struct view_exhausted *send)
{
    th_json_begin(out, NULL);
    th_json_put_id(out, "id", send->send);
    th_json_put_text(out, "kind", "exhausted");
    th_json_put_str(out, "tenant", send->tenant);
    read_put_time(out, "at", send->at_us);
    if (th_id_is_zero(send->campaign))
        th_json_put_null(out, "campaign");
    else
        th_json_put_id(out, "campaign", send->campaign);
    th_json_put_str(out, "channel", send->channel);
    th_json_put_int(out, "attempts", send->attempts);
    th_json_put_str(out, "account", send->account);
    th_json_put_str(out, "reason", send->reason);
    th_json_end(out);
}

static enum handled list_exhausted(struct request *request, const struct th_id *after, size_t limit)
{
    struct views *views = request->gateway->config.views;
    struct th_json_out out = {&request->answer, false};
    struct view_exhausted *at = NULL;
    struct th_id next;
    struct th_err err = {0};
    size_t n = 0;

    enum th_code code =
        views->ops->exhausted(views, after, limit, &request->arena, &at, &n, &next, &err);
    if (code != TH_OK)
        return problem_failure(request, code, &err);
    th_json_begin(&out, NULL);
    th_json_begin_array(&out, "data");
    for (size_t i = 0; i < n; i++)
        put_exhausted(&out, &at[i]);
    th_json_end_array(&out);
    if (th_id_is_zero(next))
        th_json_put_null(&out, "next_cursor");
    else
        th_json_put_id(&out, "next_cursor", next);
    th_json_end(&out);
    return request_answer(request, 200);
}

enum handled dead_letter_list(struct request *request)
{
    struct th_str kind;
    struct th_str all;
    struct th_id after;
    enum handled handled;
    size_t limit = 0;
    bool has_after = false;

    bool has_kind = request_query(request, "kind", &kind);
    bool is_exhausted = has_kind && th_str_eq(kind, TH_STR("exhausted"));
    if (has_kind && !is_exhausted && !th_str_eq(kind, TH_STR("record")))
        return problem(request, PROBLEM_BAD_QUERY, "kind: record, or exhausted");
    if (is_exhausted && request_query(request, "settled", &all))
        return problem(request, PROBLEM_BAD_QUERY, "settled: only records are settled");
    if (!read_limit(request, &limit, &handled) ||
        !read_cursor_id(request, &after, &has_after, &handled) || !read_begin(request, &handled))
        return handled;
    const struct th_id *from = has_after ? &after : NULL;
    return is_exhausted ? list_exhausted(request, from, limit) : list_records(request, from, limit);
}

/* False: answered. */
static bool find(struct request *request, struct view_dead_record *out, enum handled *out_handled)
{
    struct views *views = request->gateway->config.views;
    struct th_err err = {0};
    struct th_id id;

    if (!param_id(request, 0, &id, out_handled) || !read_begin(request, out_handled))
        return false;
    enum th_code code = views->ops->dead_letter(views, id, &request->arena, out, &err);
    if (code != TH_OK)
        *out_handled = problem_failure(request, code, &err);
    return code == TH_OK;
}

enum handled dead_letter_get(struct request *request)
{
    struct th_json_out out = {&request->answer, false};
    struct view_dead_record dead;
    enum handled handled;

    if (!find(request, &dead, &handled))
        return handled;
    th_json_begin(&out, NULL);
    put_letter(&out, &dead.letter);
    put_base64(&out, "key_base64", dead.key);
    put_base64(&out, "value_base64", dead.value);
    put_headers(&out, dead.headers);
    put_event(&out, request, dead.value);
    th_json_end(&out);
    return request_answer(request, 200);
}

/* --- settled ---------------------------------------------------------------------------------- */

/* A lane's records are keyed "tenant/account", or by its number where the account was not known.
 * 0: there is no such lane. */
static int64_t lane_of(struct request *request, struct th_str key)
{
    struct reference *ref = request->gateway->config.reference;
    struct th_str tenant;
    struct th_str name;
    int64_t number = 0;

    if (!th_str_cut(key, '/', &tenant, &name) || th_str_int(name, 1, INT32_MAX, &number))
        return number;
    reference_read_lock(ref);
    const struct ref_lane *lane = reference_lane_by_name(ref, tenant, name);
    number = lane ? lane->lane : 0;
    reference_unlock(ref);
    return number;
}

/* Where the record goes again: in keyed topics by its key. False: answered. */
static bool place_again(struct request *request, const struct view_dead_record *dead,
                        struct log_output *out, enum handled *out_handled)
{
    struct th_log *log = request->gateway->config.log;
    int64_t lane;

    *out = (struct log_output){
        .part = -1, .key = dead->key, .value = dead->value, .headers = dead->headers};
    if (th_str_eq(dead->letter.consumer, TH_STR("materialize")) ||
        !topic_by_name(dead->letter.topic, &out->topic)) {
        *out_handled = problem(request, PROBLEM_CONFLICT,
                               "only the views did not understand it; what they missed comes with "
                               "telehub view rebuild, after which this may be discarded");
        return false;
    }
    if (topic_kind(out->topic) != TOPIC_BY_LANE)
        return true;
    lane = lane_of(request, dead->key);
    if (lane == 0) {
        *out_handled = problem(request, PROBLEM_CONFLICT, "its key names no lane that is known");
        return false;
    }
    out->part = (int)(lane % th_log_partitions(log, out->topic));
    return true;
}

static enum handled settle(struct request *request, enum dead_letter_end end)
{
    struct view_dead_record dead;
    struct write write;
    struct th_buf body = {0};
    struct th_json_out out = {&body, false};
    struct log_output again;
    enum handled handled;

    if (!find(request, &dead, &handled))
        return handled;
    if (dead.letter.settled.n)
        return problem(request, PROBLEM_CONFLICT, "it was %.*s already",
                       TH_ARG(dead.letter.settled));
    if (!write_begin(request, "dead-letter", &write, &handled))
        return handled;
    struct event event = {
        .type = EVENT_DEAD_LETTER_SETTLED,
        .as.dead_letter_settled = {.meta = write.meta, .letter = dead.letter.id, .end = end},
    };
    event.as.dead_letter_settled.meta.tenant = dead.letter.tenant;
    event.as.dead_letter_settled.meta.cause =
        (struct optional_uuid){.is_set = true, .value = dead.letter.id};
    if (!write_record(request, TOPIC_DEAD_LETTERS, -1, dead.letter_key, &event, &handled))
        return handled;
    if (end == DEAD_LETTER_END_REPLAYED &&
        (!place_again(request, &dead, &again, &handled) || !write_bytes(request, &again, &handled)))
        return handled;
    th_json_begin(&out, NULL);
    th_json_put_id(&out, "id", dead.letter.id);
    th_json_put_text(&out, "settled", dead_letter_end_name(end));
    th_json_end(&out);
    handled = write_claim(request, &write, 202, &body);
    th_buf_fini(&body);
    return handled;
}

enum handled dead_letter_replay(struct request *request)
{
    return settle(request, DEAD_LETTER_END_REPLAYED);
}

enum handled dead_letter_discard(struct request *request)
{
    return settle(request, DEAD_LETTER_END_DISCARDED);
}
