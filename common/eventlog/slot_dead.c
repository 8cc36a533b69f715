#include "common/eventlog/dead_letter.h"
#include "common/eventlog/slot_private.h"

#include <stdio.h>
#include <string.h>

/* Of the record's value and headers together. */
#define ROOM_MAX (LOG_RECORD_SIZE_MAX - LOG_KEY_SIZE_MAX - (size_t)8 * 1024)

static struct meta dead_meta(const struct slot *slot, struct th_id id, struct th_str tenant,
                             const struct event *event)
{
    struct meta meta = {.event_id = id,
                        .tenant = tenant,
                        .time_us = slot->now_us,
                        .actor = th_str(slot->ops->name)};

    if (event)
        meta.cause = (struct optional_uuid){.is_set = true, .value = event_meta(event)->event_id};
    return meta;
}

/* "tenant/what"; of bytes that are no text, nothing. */
static void split_key(struct th_str key, struct th_str *tenant, struct th_str *what)
{
    if (!th_str_is_utf8(key) || !th_str_cut(key, '/', tenant, what))
        *tenant = *what = (struct th_str){0};
}

static bool has_room_for_headers(const struct log_record *record)
{
    return record->headers.n + record->value.n <= ROOM_MAX;
}

/* The record's, unless they would be too much beside its value, which is worth more; and where it
 * lay. */
static enum th_code put_headers(const struct log_record *record, struct th_buf *out)
{
    if (has_room_for_headers(record))
        th_buf_add(out, record->headers);
    dead_letter_add_origin(out, record->place);
    TH_TRY(th_buf_status(out));
    if (log_headers_are_whole(th_buf_str(out)))
        return TH_OK;
    th_buf_clear(out); /* it had as many as there may be */
    dead_letter_add_origin(out, record->place);
    return th_buf_status(out);
}

/* What others write may be larger than what we may: the letter has the beginning of it. Replaces
 * *detail, by text, where something is missing. */
static void cut_to_fit(const struct log_record *record, enum th_code code, struct th_str *key,
                       struct th_str *value, struct th_str *detail, char text[static 96])
{
    *key = record->key;
    *value = record->value;
    if (key->n > LOG_KEY_SIZE_MAX) {
        key->n = LOG_KEY_SIZE_MAX;
        snprintf(text, 96, "%s; the key is cut from %zu bytes", th_code_text(code), record->key.n);
        *detail = th_str(text);
    }
    if (value->n > ROOM_MAX) {
        value->n = ROOM_MAX;
        snprintf(text, 96, "%s; the value is cut from %zu bytes", th_code_text(code),
                 record->value.n);
        *detail = th_str(text);
    } else if (!has_room_for_headers(record)) {
        snprintf(text, 96, "%s; its headers of %zu bytes are left out", th_code_text(code),
                 record->headers.n);
        *detail = th_str(text);
    }
}

static enum th_code put_dead_letter(struct slot *slot, const struct log_record *record,
                                    const struct meta *meta, enum th_code code,
                                    struct th_str detail)
{
    struct input input = {.type = INPUT_EVENT, .now_us = slot->now_us};
    TH_AUTO(th_buf) struct th_buf headers = {0};
    struct th_str key, value;
    char cut_note[96];
    char version[32];

    if (!th_str_is_utf8(detail))
        detail = th_str(th_code_text(code));
    cut_to_fit(record, code, &key, &value, &detail, cut_note);
    snprintf(version, sizeof version, "%s fold %d", TELEHUB_VERSION, slot->ops->fold_version);

    struct event event = {
        .type = EVENT_DEAD_LETTER,
        .as.dead_letter = {.meta = *meta,
                           .topic = th_str(topic_name(record->place.topic)),
                           .key = key,
                           .value = value,
                           .consumer = th_str(slot->ops->name),
                           .consumer_version = th_str(version),
                           .code = th_str(th_code_name(code)),
                           .detail = detail},
    };
    TH_TRY(put_headers(record, &headers));
    struct core_output out = slot_output(slot, &input);
    return core_emit_with_headers(&out, TOPIC_DEAD_LETTERS, -1, key, th_buf_str(&headers), &event);
}

/* Whose life it was about: an attempt plan says so itself, otherwise the key may. */
static bool send_of(const struct log_record *record, const struct event *event, struct th_str what,
                    struct th_id *out_send, int32_t *out_n)
{
    enum event_type type;

    *out_n = 0;
    if (event_type_of(record->value, &type) == TH_OK && type == EVENT_SEND_STUCK)
        return false; /* or it would never end */
    if (event && event->type == EVENT_ATTEMPT_PLAN) {
        *out_send = event->as.attempt_plan.send;
        *out_n = event->as.attempt_plan.n;
        return true;
    }
    return strcmp(topic_key_noun(record->place.topic), "send") == 0 && th_id_parse(what, out_send);
}

static enum th_code put_send_stuck(struct slot *slot, const struct meta *dead, struct th_id send,
                                   int32_t n)
{
    struct input input = {.type = INPUT_EVENT, .now_us = slot->now_us};
    struct core_output out = slot_output(slot, &input);
    struct th_str key = core_key(&out, dead->tenant, send);
    struct event event = {
        .type = EVENT_SEND_STUCK,
        .as.send_stuck = {.meta = core_meta(&out, dead->tenant),
                          .send = send,
                          .n = n,
                          .reason = TH_STR("dead_letter")},
    };

    event.as.send_stuck.meta.cause =
        (struct optional_uuid){.is_set = true, .value = dead->event_id};
    return key.p ? core_emit(&out, TOPIC_SEND_OUTCOMES, -1, key, &event) : TH_NOMEM;
}

enum th_code slot_dead_letter(struct slot *slot, const struct log_record *record,
                              const struct event *event, enum th_code code, struct th_str detail)
{
    struct th_str tenant;
    struct th_str what;
    struct th_id send;
    int32_t n;

    split_key(record->key, &tenant, &what);
    struct meta meta = dead_meta(slot, dead_letter_id(slot->ops->name, record), tenant, event);
    TH_TRY(put_dead_letter(slot, record, &meta, code, detail));
    if (send_of(record, event, what, &send, &n))
        TH_TRY(put_send_stuck(slot, &meta, send, n));
    slot->gathering->dead_letters++;
    return TH_OK;
}
