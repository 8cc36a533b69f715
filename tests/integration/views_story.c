#include "tests/integration/views_story.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/eventlog/reference.h"
#include "common/provider.h"
#include "schemas/events.h"

#define STORY_MS    INT64_C(1793000000000) /* October 2026 */
#define RELEASED    (STORY_SENDS + STORY_DUPLICATES)
#define OUTPUTS_MAX 1024
#define FATES       10

struct story {
    struct th_log *log;
    struct th_str tenant;
    uint64_t seed;
    struct th_arena arena;
    struct log_output outputs[OUTPUTS_MAX];
    size_t n;
    uint64_t random;
};

static _Noreturn void die(const char *what, const struct th_err *err)
{
    fprintf(stderr, "story: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

/* --- names
 * ----------------------------------------------------------------------------------------- */

static struct th_id id_of(uint64_t seed, const char *what, int64_t number)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s %lld %llu", what, (long long)number,
                   (unsigned long long)seed);
    return th_id_derive(TH_PARTS(TH_STR("story"), th_str(text)));
}

struct th_id story_campaign(uint64_t seed)
{
    return id_of(seed, "campaign", 0);
}

struct th_id story_audience(uint64_t seed)
{
    return id_of(seed, "audience", 0);
}

struct th_id story_send(uint64_t seed, int32_t ordinal)
{
    struct th_id name = id_of(seed, "send", ordinal);

    return th_id_send(STORY_MS, TH_PARTS(th_id_bytes(&name)));
}

struct th_id story_command(uint64_t seed, int which)
{
    return id_of(seed, "command", which);
}

static bool is_duplicate(int32_t ordinal)
{
    return ordinal < 1000 && ordinal % 50 == 0;
}

const char *story_outcome(uint64_t seed, int32_t ordinal)
{
    static const char *const outcomes[FATES] = {
        "reached", "reached",    "accepted_no_report", "unreached", "in_doubt",
        "reached", "suppressed", "unreached",          "in_doubt",  "unsent"};

    if (ordinal >= RELEASED || is_duplicate(ordinal))
        return NULL;
    return outcomes[((uint64_t)ordinal + seed) % FATES];
}

/* --- appending
 * ------------------------------------------------------------------------------------- */

static uint64_t draw(struct story *story, uint64_t below)
{
    story->random = story->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (story->random >> 33) % below;
}

static void flush(struct story *story, bool shuffles)
{
    struct th_err err = {0};

    for (size_t i = story->n; shuffles && i > 1; i--) {
        size_t j = draw(story, i);
        struct log_output kept = story->outputs[i - 1];
        story->outputs[i - 1] = story->outputs[j];
        story->outputs[j] = kept;
    }
    if (story->n && th_log_append(story->log, story->outputs, story->n, NULL, &err) != TH_OK)
        die("append", &err);
    story->n = 0;
    th_arena_reset(&story->arena);
}

static void put(struct story *story, enum topic topic, int part, struct th_id key,
                struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    char text[TH_ID_TEXT_LEN + 1];
    struct th_str copy;
    struct meta *meta = event_meta_mut(event);

    meta->tenant = story->tenant;
    meta->actor = TH_STR("story");
    if (th_id_is_zero(meta->event_id))
        meta->event_id = id_of(story->seed, "event", (int64_t)draw(story, INT64_MAX));
    th_id_text(key, text);
    if (story->n == OUTPUTS_MAX)
        flush(story, false);
    struct th_str name = th_arena_printf(&story->arena, "%.*s/%s", TH_ARG(story->tenant), text);
    if (event_encode(event, &value) != TH_OK || !name.p ||
        th_arena_copy(&story->arena, th_buf_str(&value), &copy) != TH_OK)
        die("encode", NULL);
    story->outputs[story->n++] =
        (struct log_output){.topic = topic, .part = part, .key = name, .value = copy};
}

static int64_t at_s(int64_t s)
{
    return STORY_MS * 1000 + s * TH_US_PER_SEC;
}

/* --- audience, accounts, campaign
 * ------------------------------------------------------------------- */

static void put_part(struct story *story, int32_t part, int32_t rows, uint8_t version)
{
    struct th_id id = story_audience(story->seed);
    struct audience_row *list = th_arena_array(&story->arena, (size_t)rows, sizeof *list);
    struct event event = {.type = EVENT_AUDIENCE_PART};

    for (int32_t i = 0; i < rows; i++)
        list[i] = (struct audience_row){
            .phone = {.is = STRING_OR_SEALED_STRING,
                      .as.string = th_arena_printf(&story->arena, "+9190000%05d", part * 1000 + i)},
            .lang = TH_STR("hi"),
            .variables = {.is = STRING_OR_SEALED_STRING, .as.string = TH_STR("Asha")},
            .source_row = i + 1};
    event.as.audience_part = (struct audience_part){.meta.time_us = at_s(-100),
                                                    .audience = id,
                                                    .part = part,
                                                    .sha256 = {{(uint8_t)part, version}},
                                                    .rows = {list, (size_t)rows},
                                                    .rejected = 1};
    put(story, TOPIC_CAMPAIGN_AUDIENCE, -1, id, &event);
    flush(story, false);
}

static void put_audience(struct story *story)
{
    static const int32_t rows[STORY_PARTS] = {1000, 1000, 500};
    struct sealed_part sealed[STORY_PARTS];
    struct th_id id = story_audience(story->seed);
    struct event created = {.type = EVENT_AUDIENCE_CREATED,
                            .as.audience_created = {.meta.time_us = at_s(-200),
                                                    .audience = id,
                                                    .name = TH_STR("students")}};
    struct event seal = {.type = EVENT_AUDIENCE_SEALED};

    put(story, TOPIC_CAMPAIGN_AUDIENCE, -1, id, &created);
    put_part(story, 1, 700, 1); /* uploaded again below */
    for (int32_t part = 0; part < STORY_PARTS; part++) {
        put_part(story, part, rows[part], 2);
        sealed[part] = (struct sealed_part){part, rows[part], {{(uint8_t)part, 2}}};
    }
    seal.as.audience_sealed = (struct audience_sealed){.meta.time_us = at_s(-50),
                                                       .audience = id,
                                                       .parts = {sealed, STORY_PARTS},
                                                       .recipients = STORY_RECIPIENTS,
                                                       .rejected = STORY_PARTS};
    put(story, TOPIC_CAMPAIGN_AUDIENCE, -1, id, &seal);
    flush(story, false);
    put_part(story, 0, 10, 3); /* too late to count */
}

static void put_accounts(struct story *story)
{
    static const char *const names[] = {"alpha", "beta"};

    for (int32_t i = 0; i < 2; i++) {
        struct event event = {.type = EVENT_ACCOUNT_CONFIGURED,
                              .as.account_configured = {.meta.time_us = at_s(-300),
                                                        .name = th_str(names[i]),
                                                        .lane = (int32_t)(2 * story->seed) + i + 1,
                                                        .wire = TH_STR("twilio")}};
        put(story, TOPIC_CONFIG, -1, id_of(story->seed, "account", i), &event);
    }
    for (int32_t i = 0; i < 7; i++) {
        struct th_str phone = th_arena_printf(&story->arena, "+9190000%05d", i);
        struct event event = {
            .type = EVENT_OPTED_OUT,
            .as.opted_out = {.meta.time_us = at_s(i),
                             .contact = contact_hash(story->tenant, phone),
                             .phone = {.is = STRING_OR_SEALED_STRING, .as.string = phone},
                             .source = TH_STR("api")}};
        put(story, TOPIC_CONSENT_EVENTS, -1, id_of(story->seed, "contact", i), &event);
        if (i % 3 != 0)
            continue;
        event.type = EVENT_OPTED_IN; /* the records have the same fields */
        event.as.opted_in =
            (struct opted_in){.meta.time_us = at_s(100 + i),
                              .contact = contact_hash(story->tenant, phone),
                              .phone = {.is = STRING_OR_SEALED_STRING, .as.string = phone},
                              .source = TH_STR("api")};
        put(story, TOPIC_CONSENT_EVENTS, -1, id_of(story->seed, "contact", i), &event);
    }
    flush(story, false);
}

static void put_letter(struct story *story)
{
    struct event event = {.type = EVENT_DEAD_LETTER,
                          .as.dead_letter = {.meta.time_us = at_s(5),
                                             .topic = TH_STR("send.requests"),
                                             .consumer = TH_STR("retry"),
                                             .code = TH_STR("TH_MALFORMED"),
                                             .detail = TH_STR("not a record")}};

    put(story, TOPIC_DEAD_LETTERS, -1, story_campaign(story->seed), &event);
}

static void put_command(struct story *story, enum event_type type, int which)
{
    struct th_id campaign = story_campaign(story->seed);
    struct event event = {.type = type};

    if (type == EVENT_CREATE_CAMPAIGN)
        event.as.create_campaign = (struct create_campaign){.campaign = campaign};
    else if (type == EVENT_START_CAMPAIGN)
        event.as.start_campaign = (struct start_campaign){.campaign = campaign};
    else
        event.as.pause_campaign = (struct pause_campaign){.campaign = campaign};
    event_meta_mut(&event)->event_id = story_command(story->seed, which);
    event_meta_mut(&event)->time_us = at_s(-20 + which);
    put(story, TOPIC_CAMPAIGN_COMMANDS, -1, campaign, &event);
}

/* meta of an event that a command caused. */
static struct meta because_of(const struct story *story, int which, int64_t s)
{
    return (struct meta){.time_us = at_s(s),
                         .cause = {.is_set = true, .value = story_command(story->seed, which)}};
}

static void put_release(struct story *story, int32_t part, int32_t rows, int32_t part_rows)
{
    struct th_id campaign = story_campaign(story->seed);
    int32_t left_out[STORY_DUPLICATES];
    size_t left_out_n = 0;

    for (int32_t row = 0; row < rows; row++)
        if (is_duplicate(part * 1000 + row))
            left_out[left_out_n++] = row;
    struct event event = {.type = EVENT_CAMPAIGN_RELEASED,
                          .as.campaign_released = {.meta.time_us = at_s(1),
                                                   .campaign = campaign,
                                                   .part = part,
                                                   .rows = rows,
                                                   .part_rows = part_rows,
                                                   .suppressed_rows = {left_out, left_out_n}}};
    put(story, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &event);
}

static void put_campaign(struct story *story)
{
    struct th_id campaign = story_campaign(story->seed);
    struct event created = {
        .type = EVENT_CAMPAIGN_CREATED,
        .as.campaign_created = {
            .meta = because_of(story, 0, -10),
            .campaign = campaign,
            .spec = {.name = TH_STR("exam results"), .audience = story_audience(story->seed)}}};
    struct event starting = {
        .type = EVENT_CAMPAIGN_STARTING,
        .as.campaign_starting = {.meta = because_of(story, 1, -5), .campaign = campaign}};
    struct event started = {.type = EVENT_CAMPAIGN_STARTED,
                            .as.campaign_started = {.meta.time_us = at_s(0),
                                                    .campaign = campaign,
                                                    .run = 1,
                                                    .run_started_ms = STORY_MS,
                                                    .parts = STORY_PARTS,
                                                    .recipients = STORY_RECIPIENTS}};
    struct event refused = {.type = EVENT_COMMAND_REFUSED,
                            .as.command_refused = {.meta = because_of(story, 2, 2),
                                                   .campaign = campaign,
                                                   .command = TH_STR("pause"),
                                                   .code = TH_STR("not_running"),
                                                   .detail = TH_STR("it cannot be paused")}};

    put_command(story, EVENT_CREATE_CAMPAIGN, 0);
    put_command(story, EVENT_START_CAMPAIGN, 1);
    put_command(story, EVENT_PAUSE_CAMPAIGN, 2);
    put(story, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &created);
    put(story, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &starting);
    put(story, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &started);
    put_release(story, 0, 1000, 1000);
    put_release(story, 1, 1000, 1000);
    put_release(story, 2, RELEASED - 2000, 500);
    put(story, TOPIC_CAMPAIGN_EVENTS, -1, campaign, &refused);
    flush(story, false);
}

/* --- one send
 * --------------------------------------------------------------------------------------- */

struct one {
    struct story *story;
    struct th_id send;
    int32_t lane;
    int32_t ordinal;
};

static struct optional_uuid campaign_of(const struct one *one)
{
    return (struct optional_uuid){true, story_campaign(one->story->seed)};
}

static void put_send(const struct one *one, enum topic topic, struct event *event)
{
    put(one->story, topic, -1, one->send, event);
}

/* An event of an attempt: with the lane's own, and on send.outcomes. */
static void put_attempt(const struct one *one, struct event *event)
{
    put(one->story, TOPIC_DISPATCH_ATTEMPTS, one->lane % 4, one->send, event);
    if (event->type != EVENT_ATTEMPT_STARTED)
        put(one->story, TOPIC_SEND_OUTCOMES, -1, one->send, event);
}

static void request(const struct one *one)
{
    struct event event = {
        .type = EVENT_SEND_REQUESTED,
        .as.send_requested = {
            .meta.time_us = at_s(1),
            .send = one->send,
            .origin = {.is = CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                       .as.campaign_origin = {story_campaign(one->story->seed),
                                              1,
                                              {story_audience(one->story->seed),
                                               one->ordinal / 1000, one->ordinal % 1000}}}}};

    put_send(one, TOPIC_SEND_REQUESTS, &event);
}

static void plan(const struct one *one, int32_t n)
{
    struct event event = {
        .type = EVENT_SEND_PLANNED,
        .as.send_planned = {
            .meta.time_us = at_s(INT64_C(10) * n), .send = one->send, .n = n, .lane = one->lane}};
    put_send(one, TOPIC_SEND_EVENTS, &event);
}

static void start(const struct one *one, int32_t n)
{
    struct event event = {.type = EVENT_ATTEMPT_STARTED,
                          .as.attempt_started = {.meta.time_us = at_s(INT64_C(10) * n + 1),
                                                 .send = one->send,
                                                 .n = n,
                                                 .campaign = campaign_of(one),
                                                 .lane = one->lane,
                                                 .to = {.is = STRING_OR_SEALED_STRING,
                                                        .as.string = TH_STR("+919000000000")},
                                                 .sender = TH_STR("PRATHM"),
                                                 .segments = 1,
                                                 .estimate = {200000, TH_STR("INR")}}};
    put_attempt(one, &event);
}

static void result(const struct one *one, int32_t n, enum attempt_outcome outcome,
                   const char *reason)
{
    struct event event = {.type = EVENT_ATTEMPT_RESULT,
                          .as.attempt_result = {.meta.time_us = at_s(INT64_C(10) * n + 2),
                                                .send = one->send,
                                                .n = n,
                                                .campaign = campaign_of(one),
                                                .lane = one->lane,
                                                .outcome = outcome,
                                                .reason = th_str(reason),
                                                .http_status = 201,
                                                .call_us = 7000 + one->ordinal}};
    put_attempt(one, &event);
}

static void resolve(const struct one *one, int32_t n, enum attempt_outcome outcome)
{
    struct event event = {.type = EVENT_ATTEMPT_RESOLVED,
                          .as.attempt_resolved = {.meta.time_us = at_s(INT64_C(10) * n + 4),
                                                  .send = one->send,
                                                  .n = n,
                                                  .campaign = campaign_of(one),
                                                  .lane = one->lane,
                                                  .outcome = outcome}};
    put_attempt(one, &event);
}

/* Reports come twice as often as not. */
static void report(const struct one *one, int32_t n, enum provider_status status,
                   const char *reason)
{
    struct event event = {
        .type = EVENT_ATTEMPT_REPORTED,
        .as.attempt_reported = {.meta.time_us =
                                    at_s(INT64_C(10) * n + 5) + provider_status_rank(status),
                                .send = one->send,
                                .n = n,
                                .campaign = campaign_of(one),
                                .lane = one->lane,
                                .status = th_str(provider_status_text(status)),
                                .rank = provider_status_rank(status),
                                .is_final = provider_status_is_final(status),
                                .is_positive = provider_status_is_positive(status),
                                .reason = th_str(reason),
                                .provider_us = at_s(7),
                                .sequence = -1,
                                .duration_s = -1}};
    put_attempt(one, &event);
    if (draw(one->story, 2))
        put_attempt(one, &event);
}

static void price(const struct one *one, int32_t n)
{
    struct event event = {
        .type = EVENT_ATTEMPT_PRICED,
        .as.attempt_priced = {.meta.time_us = at_s(INT64_C(10) * n + 9),
                              .send = one->send,
                              .n = n,
                              .campaign = campaign_of(one),
                              .lane = one->lane,
                              .price = {.is_set = true, .value = {310000, TH_STR("INR")}}}};
    put_attempt(one, &event);
}

static void end(const struct one *one, int32_t n, const char *reason, bool is_reached)
{
    struct event event = {.type = EVENT_SEND_ENDED,
                          .as.send_ended = {.meta.time_us = at_s(INT64_C(10) * n + 8),
                                            .send = one->send,
                                            .n = n,
                                            .reason = th_str(reason),
                                            .is_reached = is_reached}};
    put_send(one, TOPIC_SEND_EVENTS, &event);
}

static void suppress(const struct one *one)
{
    struct event event = {.type = EVENT_SEND_SUPPRESSED,
                          .as.send_suppressed = {.meta.time_us = at_s(3),
                                                 .send = one->send,
                                                 .reason = TH_STR("opted_out")}};
    put_send(one, TOPIC_SEND_EVENTS, &event);
}

static void reschedule(const struct one *one, int32_t n)
{
    struct event event = {.type = EVENT_RETRY_SCHEDULED,
                          .as.retry_scheduled = {.meta.time_us = at_s(INT64_C(10) * n + 6),
                                                 .send = one->send,
                                                 .n = n,
                                                 .reason = TH_STR("not_executed")}};
    put_send(one, TOPIC_SEND_EVENTS, &event);
}

static void accept(const struct one *one, int32_t n)
{
    plan(one, n);
    start(one, n);
    result(one, n, ATTEMPT_OUTCOME_ACCEPTED, "");
    report(one, n, PROVIDER_SMS_SENT, "");
}

static void live(const struct one *one)
{
    request(one);
    switch (((uint64_t)one->ordinal + one->story->seed) % FATES) {
    case 0:
        accept(one, 1);
        report(one, 1, PROVIDER_SMS_DELIVERED, "");
        price(one, 1);
        return;
    case 1: /* first a failure, then it was delivered after all */
        accept(one, 1);
        report(one, 1, PROVIDER_SMS_FAILED, "unreachable");
        end(one, 1, "unreachable", false);
        report(one, 1, PROVIDER_SMS_DELIVERED, "");
        return;
    case 2:
        accept(one, 1);
        return;
    case 3:
        accept(one, 1);
        report(one, 1, PROVIDER_SMS_UNDELIVERED, "unreachable");
        price(one, 1);
        return;
    case 4:
        plan(one, 1);
        start(one, 1);
        result(one, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout");
        resolve(one, 1, ATTEMPT_OUTCOME_IN_DOUBT);
        end(one, 1, "in_doubt", false);
        return;
    case 5:
        plan(one, 1);
        start(one, 1);
        result(one, 1, ATTEMPT_OUTCOME_UNKNOWN, "timeout");
        resolve(one, 1, ATTEMPT_OUTCOME_NOT_EXECUTED);
        reschedule(one, 1);
        accept(one, 2);
        report(one, 2, PROVIDER_SMS_DELIVERED, "");
        return;
    case 6:
        suppress(one);
        return;
    case 7:
        plan(one, 1);
        start(one, 1);
        result(one, 1, ATTEMPT_OUTCOME_REJECTED, "invalid_number");
        end(one, 1, "invalid_number", false);
        return;
    case 8: /* the process died between start and answer */
        plan(one, 1);
        start(one, 1);
        return;
    default: /* still waiting in its lane */
        plan(one, 1);
        return;
    }
}

void story_append(struct th_log *log, const char *tenant, uint64_t seed)
{
    struct story *story = calloc(1, sizeof *story);

    if (!story)
        die("no memory", NULL);
    *story = (struct story){.log = log, .tenant = th_str(tenant), .seed = seed, .random = seed};
    th_arena_init(&story->arena, (size_t)64 << 20);
    put_accounts(story);
    put_audience(story);
    put_campaign(story);
    put_letter(story);
    for (int32_t ordinal = 0; ordinal < RELEASED; ordinal++) {
        const struct one one = {story, story_send(seed, ordinal),
                                (int32_t)(2 * seed) + ordinal % 2 + 1, ordinal};
        if (is_duplicate(ordinal))
            continue;
        live(&one);
        if (story->n > OUTPUTS_MAX - 64)
            flush(story, true);
    }
    flush(story, true);
    th_arena_fini(&story->arena);
    free(story);
}
