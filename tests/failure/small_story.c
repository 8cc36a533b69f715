#include "tests/failure/small_story.h"

#include "common/clock.h"
#include "common/ids.h"
#include "common/provider.h"

#include <assert.h>
#include <stdio.h>

#define STORY_MS INT64_C(1793000000000) /* October 2026 */
#define OUTPUTS  256
/* Of each send. */
#define OUTPUTS_OF_SEND 10
#define PART_COUNT      2
#define RECIPIENTS      ((int64_t)PART_COUNT * SMALL_STORY_ROWS)

struct pen {
    struct th_log *log;
    struct th_arena arena;
    struct log_output outputs[OUTPUTS];
    size_t n;
    int64_t written;
};

static int64_t at_s(int64_t s)
{
    return STORY_MS * 1000 + s * TH_US_PER_SEC;
}

struct th_id small_story_campaign(void)
{
    return th_id_derive(TH_PARTS(TH_STR("small"), TH_STR("campaign")));
}

struct th_id small_story_audience(void)
{
    return th_id_derive(TH_PARTS(TH_STR("small"), TH_STR("audience")));
}

struct sha256 small_story_sha256(int32_t part)
{
    return (struct sha256){{1, (uint8_t)part}};
}

static void put(struct pen *pen, enum topic topic, int part, struct th_id key, struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct meta *meta = event_meta_mut(event);
    char text[TH_ID_TEXT_LEN + 1];
    struct th_str copy;

    assert(pen->n < OUTPUTS);
    meta->tenant = SMALL_STORY_TENANT;
    meta->actor = TH_STR("story");
    th_id_text(key, text);
    struct th_str name = th_arena_printf(&pen->arena, "pratham/%s", text);
    struct th_str number =
        th_arena_printf(&pen->arena, "%d %d", (int)event->type, (int)pen->written);
    pen->written++;
    meta->event_id = th_id_derive(TH_PARTS(name, number));
    enum th_code code = event_encode(event, &value);
    if (code == TH_OK)
        code = th_arena_copy(&pen->arena, th_buf_str(&value), &copy);
    assert(code == TH_OK);
    pen->outputs[pen->n++] = (struct log_output){topic, part, name, .value = copy};
}

static void open_pen(struct pen *pen, struct th_log *log)
{
    *pen = (struct pen){.log = log};
    th_arena_init(&pen->arena, 1 << 22);
}

static void close_pen(struct pen *pen)
{
    struct th_err err = {0};

    enum th_code code = th_log_append(pen->log, pen->outputs, pen->n, NULL, &err);
    assert(code == TH_OK);
    th_arena_fini(&pen->arena);
}

/* --- audience and campaign --------------------------------------------------------------------
 */

static void put_part(struct pen *pen, int32_t part)
{
    struct audience_row rows[SMALL_STORY_ROWS];
    struct th_str column = TH_STR("name");
    struct event event = {
        .type = EVENT_AUDIENCE_PART,
        .as.audience_part = {.meta.time_us = at_s(-100),
                             .audience = small_story_audience(),
                             .part = part,
                             .sha256 = small_story_sha256(part),
                             .columns = {&column, 1},
                             .rows = {rows, SMALL_STORY_ROWS}},
    };

    for (int32_t i = 0; i < SMALL_STORY_ROWS; i++)
        rows[i] = (struct audience_row){
            .phone = {.is = STRING_OR_SEALED_STRING,
                      .as.string = th_arena_printf(&pen->arena, "+9190000%05d",
                                                   i == 0 ? 0 : part * 1000 + i)},
            .lang = TH_STR("hi"),
            .variables = {.is = STRING_OR_SEALED_STRING, .as.string = TH_STR("Asha")},
            .source_row = i + 1};
    put(pen, TOPIC_CAMPAIGN_AUDIENCE, -1, small_story_audience(), &event);
}

static void put_audience(struct pen *pen)
{
    struct th_id id = small_story_audience();
    struct sealed_part sealed[PART_COUNT];
    struct event created = {.type = EVENT_AUDIENCE_CREATED,
                            .as.audience_created = {.meta.time_us = at_s(-200),
                                                    .audience = id,
                                                    .name = TH_STR("students")}};
    struct event seal = {.type = EVENT_AUDIENCE_SEALED};

    put(pen, TOPIC_CAMPAIGN_AUDIENCE, -1, id, &created);
    for (int32_t part = 0; part < PART_COUNT; part++) {
        put_part(pen, part);
        sealed[part] = (struct sealed_part){part, SMALL_STORY_ROWS, small_story_sha256(part)};
    }
    seal.as.audience_sealed = (struct audience_sealed){.meta.time_us = at_s(-50),
                                                       .audience = id,
                                                       .parts = {sealed, PART_COUNT},
                                                       .recipients = RECIPIENTS};
    put(pen, TOPIC_CAMPAIGN_AUDIENCE, -1, id, &seal);
}

void small_story_begin(struct th_log *log)
{
    struct th_id campaign = small_story_campaign();
    struct pen pen;
    struct event created = {.type = EVENT_CAMPAIGN_CREATED,
                            .as.campaign_created = {.meta.time_us = at_s(-10),
                                                    .campaign = campaign,
                                                    .spec = {.name = TH_STR("exam results"),
                                                             .audience = small_story_audience()}}};
    struct event started = {.type = EVENT_CAMPAIGN_STARTED,
                            .as.campaign_started = {.meta.time_us = at_s(0),
                                                    .campaign = campaign,
                                                    .run = 1,
                                                    .run_started_ms = STORY_MS,
                                                    .parts = PART_COUNT,
                                                    .recipients = RECIPIENTS}};

    open_pen(&pen, log);
    put_audience(&pen);
    put(&pen, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &created);
    put(&pen, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &started);
    for (int32_t part = 0; part < PART_COUNT; part++) {
        struct event released = {.type = EVENT_CAMPAIGN_RELEASED,
                                 .as.campaign_released = {.meta.time_us = at_s(1),
                                                          .campaign = campaign,
                                                          .part = part,
                                                          .rows = SMALL_STORY_ROWS,
                                                          .part_rows = SMALL_STORY_ROWS}};
        put(&pen, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &released);
    }
    close_pen(&pen);
}

void small_story_end(struct th_log *log)
{
    struct th_id campaign = small_story_campaign();
    struct event completed = {
        .type = EVENT_CAMPAIGN_COMPLETED,
        .as.campaign_completed = {.meta.time_us = at_s(1000), .campaign = campaign}};
    struct pen pen;

    open_pen(&pen, log);
    put(&pen, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &completed);
    close_pen(&pen);
}

/* --- sends ------------------------------------------------------------------------------------ */

/* With the lane's own, and, but for the start, on send.outcomes. */
static void put_attempt(struct pen *pen, struct th_id send, struct event *event)
{
    put(pen, TOPIC_DISPATCH_ATTEMPTS, 1, send, event);
    if (event->type != EVENT_ATTEMPT_STARTED)
        put(pen, TOPIC_SEND_OUTCOMES, -1, send, event);
}

static void put_tried(struct pen *pen, struct th_id send)
{
    struct optional_uuid campaign = {true, small_story_campaign()};
    struct event started = {.type = EVENT_ATTEMPT_STARTED,
                            .as.attempt_started = {.meta.time_us = at_s(11),
                                                   .send = send,
                                                   .n = 1,
                                                   .campaign = campaign,
                                                   .lane = 1,
                                                   .to = {.is = STRING_OR_SEALED_STRING,
                                                          .as.string = TH_STR("+919000000000")},
                                                   .sender = TH_STR("PRATHM"),
                                                   .segments = 1,
                                                   .estimate = {200000, TH_STR("INR")}}};
    struct event result = {.type = EVENT_ATTEMPT_RESULT,
                           .as.attempt_result = {.meta.time_us = at_s(12),
                                                 .send = send,
                                                 .n = 1,
                                                 .campaign = campaign,
                                                 .lane = 1,
                                                 .outcome = ATTEMPT_OUTCOME_ACCEPTED,
                                                 .provider_id = TH_STR("SM1"),
                                                 .http_status = 201}};
    struct event reported = {
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.meta.time_us = at_s(13),
                                .send = send,
                                .n = 1,
                                .campaign = campaign,
                                .lane = 1,
                                .status = th_str(provider_status_text(PROVIDER_SMS_DELIVERED)),
                                .rank = provider_status_rank(PROVIDER_SMS_DELIVERED),
                                .is_final = true,
                                .is_positive = true,
                                .sequence = -1,
                                .duration_s = -1}};
    struct event priced = {
        .type = EVENT_ATTEMPT_PRICED,
        .as.attempt_priced = {.meta.time_us = at_s(14),
                              .send = send,
                              .n = 1,
                              .campaign = campaign,
                              .lane = 1,
                              .price = {.is_set = true, .value = {310000, TH_STR("INR")}}}};

    put_attempt(pen, send, &started);
    put_attempt(pen, send, &result);
    put_attempt(pen, send, &reported);
    put_attempt(pen, send, &priced);
}

struct th_id small_story_send(int ordinal)
{
    char number[16];

    (void)snprintf(number, sizeof number, "%d", ordinal);
    struct th_id name = th_id_derive(TH_PARTS(TH_STR("small send"), th_str(number)));
    return th_id_send(STORY_MS, TH_PARTS(th_id_bytes(&name)));
}

static void put_asked(struct pen *pen, int32_t ordinal)
{
    struct th_id send = small_story_send(ordinal);
    struct event requested = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {
            .meta.time_us = at_s(1),
            .send = send,
            .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                       .as.campaign_origin = {
                           small_story_campaign(), 1, {small_story_audience(), 0, ordinal}}}}};
    struct event planned = {
        .type = EVENT_SEND_PLANNED,
        .as.send_planned = {.meta.time_us = at_s(10), .send = send, .n = 1, .lane = 1}};

    put(pen, TOPIC_SEND_REQUESTS, -1, send, &requested);
    put(pen, TOPIC_SEND_EVENTS, -1, send, &planned);
}

static void put_answered(struct pen *pen, int32_t ordinal)
{
    struct th_id send = small_story_send(ordinal);
    struct event ended = {.type = EVENT_SEND_ENDED,
                          .as.send_ended = {.meta.time_us = at_s(20),
                                            .send = send,
                                            .n = 1,
                                            .reason = TH_STR("delivered"),
                                            .is_reached = true}};

    put_tried(pen, send);
    put(pen, TOPIC_SEND_EVENTS, -1, send, &ended);
}

static void put_send(struct pen *pen, int32_t ordinal)
{
    put_asked(pen, ordinal);
    put_answered(pen, ordinal);
}

/* As many appends as it takes. */
static void put_each(struct th_log *log, int first, int n,
                     void (*put_one)(struct pen *pen, int32_t ordinal))
{
    struct pen pen;

    for (int i = 0; i < n;) {
        open_pen(&pen, log);
        for (; i < n && pen.n + OUTPUTS_OF_SEND <= OUTPUTS; i++)
            put_one(&pen, first + i);
        close_pen(&pen);
    }
}

void small_story_sends(struct th_log *log, int first, int n)
{
    put_each(log, first, n, put_send);
}

void small_story_asked(struct th_log *log, int first, int n)
{
    put_each(log, first, n, put_asked);
}

void small_story_answered(struct th_log *log, int first, int n)
{
    put_each(log, first, n, put_answered);
}
