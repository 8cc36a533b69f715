#include "tests/move/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/eventlog/slot.h"
#include "tests/unit/test.h"

#define ARENA_BYTES ((size_t)256 << 20)
#define PAGE_BYTES  ((size_t)1 << 20)
#define RECORDS_MAX ((size_t)1 << 20)
#define CHAPTER_MAX 256
#define LARGE       ((size_t)100 * 1024)

static const struct core_ops campaign = {
    .name = "campaign",
    .app = LOG_APP_CAMPAIGN,
    .own = TOPIC_CAMPAIGN_EVENTS,
    .inputs = 1u << TOPIC_CAMPAIGN_COMMANDS | 1u << TOPIC_CAMPAIGN_PROGRESS,
};
static const struct core_ops retry = {
    .name = "retry",
    .app = LOG_APP_RETRY,
    .own = TOPIC_SEND_EVENTS,
    .inputs = 1u << TOPIC_SEND_REQUESTS | 1u << TOPIC_SEND_OUTCOMES,
};
static const struct core_ops dispatch = {
    .name = "dispatch",
    .app = LOG_APP_DISPATCH,
    .own = TOPIC_DISPATCH_ATTEMPTS,
    .inputs = 1u << TOPIC_DISPATCH_REQUESTS | 1u << TOPIC_PROVIDER_CALLBACKS,
};
const struct core_ops *const story_cores[] = {&campaign, &retry, &dispatch, NULL};

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct pen {
    struct th_log *log;
    struct th_arena arena;
    struct log_output outputs[CHAPTER_MAX];
    size_t n;
    uint32_t random;
};

static uint32_t roll(struct pen *pen, uint32_t sides)
{
    pen->random = pen->random * 1664525 + 1013904223;
    return (pen->random >> 8) % sides;
}

/* Of every third record. */
static struct th_str headers(struct pen *pen)
{
    static const char bytes[] = "\5trace\3ab\4null\0\5trace\1";

    return pen->n % 3 == 0 ? (struct th_str){bytes, sizeof bytes - 1} : (struct th_str){0};
}

static void put(struct pen *pen, enum topic topic, int part, struct th_str key, struct th_str value)
{
    assert_true(pen->n < CHAPTER_MAX);
    pen->outputs[pen->n++] = (struct log_output){topic, part, key, value, headers(pen)};
}

static struct th_str encoded(struct pen *pen, const struct event *event)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct th_str kept;

    assert_int_equal(event_encode(event, &value), TH_OK);
    assert_int_equal(th_arena_copy(&pen->arena, th_buf_str(&value), &kept), TH_OK);
    return kept;
}

/* What cannot be understood must be moved all the same. */
static struct th_str garbage(struct pen *pen, size_t size)
{
    char *bytes = must(th_arena_alloc(&pen->arena, size + 1));

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)roll(pen, 256);
    return (struct th_str){bytes, size};
}

static struct th_str named(struct pen *pen, const char *what, uint32_t number)
{
    return th_arena_printf(&pen->arena, "pratham/%s-%u", what, number);
}

static void write_keyed(struct pen *pen)
{
    static const enum topic topics[] = {TOPIC_CAMPAIGN_COMMANDS, TOPIC_CAMPAIGN_EVENTS,
                                        TOPIC_SEND_REQUESTS, TOPIC_SEND_EVENTS,
                                        TOPIC_SEND_OUTCOMES};

    for (int i = 0; i < 80; i++) {
        size_t size = roll(pen, 40) == 0 ? LARGE / 8 : roll(pen, 200);
        put(pen, topics[roll(pen, TH_LEN(topics))], -1, named(pen, "entity", roll(pen, 60)),
            garbage(pen, size));
    }
    put(pen, TOPIC_CAMPAIGN_AUDIENCE, -1, named(pen, "audience", roll(pen, 5)),
        garbage(pen, LARGE));
    put(pen, TOPIC_DEAD_LETTERS, -1, TH_STR(""), TH_STR("")); /* nothing under nothing */
}

static void write_lanes(struct pen *pen)
{
    int partitions = th_log_partitions(pen->log, TOPIC_DISPATCH_REQUESTS);

    for (int i = 0; i < 40; i++) {
        int32_t lane = (int32_t)roll(pen, 11);
        struct event plan = {.type = EVENT_ATTEMPT_PLAN,
                             .as.attempt_plan = {.meta.tenant = TH_STR("pratham"),
                                                 .lane = lane,
                                                 .n = i,
                                                 .to.as.string = TH_STR("+919855500000")}};
        struct event callback = {
            .type = EVENT_CALLBACK_RECEIVED,
            .as.callback_received = {.meta.tenant = TH_STR("pratham"), .lane = lane, .n = i}};
        struct event *event = roll(pen, 2) ? &plan : &callback;
        enum topic topic = event == &plan ? TOPIC_DISPATCH_REQUESTS : TOPIC_PROVIDER_CALLBACKS;
        put(pen, topic, lane % partitions, named(pen, "lane", (uint32_t)lane), encoded(pen, event));
    }
    put(pen, TOPIC_DISPATCH_ATTEMPTS, partitions - 1, named(pen, "broken", 1), garbage(pen, 30));
}

static void write_notes(struct pen *pen)
{
    for (int slot = 0; slot < STORY_SLOTS; slot++) {
        struct event note = {.type = EVENT_CONTROL_APPLIED,
                             .as.control_applied = {.meta.tenant = TH_STR("pratham"),
                                                    .version = (int64_t)roll(pen, 1000),
                                                    .slot = slot}};
        for (int i = 0; i < 5; i++) {
            struct th_str key = named(pen, "campaign", roll(pen, 10));
            put(pen, TOPIC_SEND_EVENTS, slot, key, encoded(pen, &note));
            put(pen, TOPIC_DISPATCH_ATTEMPTS, slot, key, encoded(pen, &note));
        }
    }
}

static void write_references(struct pen *pen)
{
    static const enum topic topics[] = {TOPIC_CONFIG, TOPIC_CONSENT_EVENTS, TOPIC_CAMPAIGN_CONTROL,
                                        TOPIC_LANE_HEALTH};

    for (size_t i = 0; i < TH_LEN(topics); i++)
        put(pen, topics[i], -1, named(pen, "entity", roll(pen, 3)), garbage(pen, roll(pen, 50)));
}

static void write_keys(struct pen *pen)
{
    struct log_claim claims[STORY_KEYS] = {0};
    struct th_err err = {0};

    for (uint32_t i = 0; i < STORY_KEYS; i++) {
        claims[i] = (struct log_claim){
            .tenant = i % 2 ? TH_STR("pratham") : TH_STR("other"),
            .route = TH_STR("POST /api/v1/sends"),
            .key = named(pen, "key", i),
            .status = 202,
            .body = garbage(pen, i == 7 ? LARGE : i),
        };
        memset(claims[i].fingerprint, (int)i, sizeof claims[i].fingerprint);
    }
    if (th_log_ingest(pen->log, claims, STORY_KEYS, &pen->arena, &err) != TH_OK)
        fail_msg("%s", err.text);
}

void story_write(struct th_log *log, int chapters)
{
    struct pen *pen = must(calloc(1, sizeof *pen));
    struct th_err err = {0};

    pen->log = log;
    pen->random = 1;
    th_arena_init(&pen->arena, ARENA_BYTES);
    for (int i = 0; i < chapters; i++) {
        pen->n = 0;
        th_arena_reset(&pen->arena);
        write_keyed(pen);
        write_lanes(pen);
        write_notes(pen);
        write_references(pen);
        if (th_log_append(log, pen->outputs, pen->n, NULL, &err) != TH_OK)
            fail_msg("%s", err.text);
    }
    write_keys(pen);
    for (const struct core_ops *const *core = story_cores; *core; core++)
        if (slot_end_cursors(log, *core, STORY_SLOTS, &err) != TH_OK)
            fail_msg("%s", err.text);
    th_arena_fini(&pen->arena);
    free(pen);
}

/* --- comparing ----------------------------------------------------------------------------------
 */

struct content {
    struct th_arena arena;
    struct log_record *at;
    size_t n;
};

static void read_part(struct th_log *log, struct log_place place, struct content *out)
{
    struct th_log_reader *reader = NULL;
    struct log_records records;
    struct th_err err = {0};
    int64_t end;

    assert_int_equal(th_log_end(log, place.topic, place.part, &end, &err), TH_OK);
    if (end == 0)
        return;
    assert_int_equal(th_log_reader_open(log, &place, 1, &reader, &err), TH_OK);
    for (int64_t at = 0; at < end;) {
        if (th_log_reader_read(reader, PAGE_BYTES, &out->arena, &records, &err) != TH_OK)
            fail_msg("%s", err.text);
        assert_true(out->n + records.n < RECORDS_MAX);
        for (size_t i = 0; i < records.n; i++) {
            out->at[out->n++] = records.at[i];
            at = records.at[i].place.offset + 1;
        }
    }
    th_log_reader_close(reader);
}

static void read_topic(struct th_log *log, enum topic topic, struct content *out)
{
    *out = (struct content){.at = must(malloc(RECORDS_MAX * sizeof *out->at))};
    th_arena_init(&out->arena, ARENA_BYTES);
    for (int part = 0; part < th_log_partitions(log, topic); part++)
        read_part(log, (struct log_place){topic, part, 0}, out);
}

static void content_fini(struct content *content)
{
    free(content->at);
    th_arena_fini(&content->arena);
}

static int by_key(const void *a, const void *b)
{
    const struct log_record *left = a;
    const struct log_record *right = b;
    int order = th_str_cmp(left->key, right->key);

    if (order == 0)
        order = left->place.part - right->place.part;
    if (order == 0)
        order =
            (left->place.offset > right->place.offset) - (left->place.offset < right->place.offset);
    return order;
}

static void lies_where_it_belongs(const struct log_record *record, int partitions, int slots,
                                  struct th_arena *arena)
{
    struct event event;
    struct th_err err = {0};
    int part = topic_partition_of_key(record->key, partitions);

    th_arena_reset(arena);
    bool is_known = event_decode(record->value, arena, &event, &err) == TH_OK;
    if (topic_kind(record->place.topic) == TOPIC_REFERENCE)
        part = 0;
    else if (is_known && event.type == EVENT_CONTROL_APPLIED)
        part = event.as.control_applied.slot % slots;
    else if (is_known && event.type == EVENT_ATTEMPT_PLAN)
        part = event.as.attempt_plan.lane % partitions;
    else if (is_known && event.type == EVENT_CALLBACK_RECEIVED)
        part = event.as.callback_received.lane % partitions;
    assert_int_equal(record->place.part, part);
}

static void topic_is_copied(struct th_log *source, struct th_log *copy, enum topic topic, int slots)
{
    struct content a, b;
    struct th_arena arena;
    int partitions = th_log_partitions(copy, topic);
    bool is_moved = partitions != th_log_partitions(source, topic);

    th_arena_init(&arena, ARENA_BYTES);
    read_topic(source, topic, &a);
    read_topic(copy, topic, &b);
    assert_int_equal(a.n, b.n);
    qsort(a.at, a.n, sizeof *a.at, by_key);
    qsort(b.at, b.n, sizeof *b.at, by_key);
    for (size_t i = 0; i < a.n; i++) {
        assert_str_equal(b.at[i].key, a.at[i].key);
        assert_str_equal(b.at[i].value, a.at[i].value);
        assert_str_equal(b.at[i].headers, a.at[i].headers);
        assert_int_equal(b.at[i].at_us, a.at[i].at_us);
        if (is_moved)
            lies_where_it_belongs(&b.at[i], partitions, slots, &arena);
        else
            assert_int_equal(b.at[i].place.part, a.at[i].place.part);
    }
    content_fini(&a);
    content_fini(&b);
    th_arena_fini(&arena);
}

static enum th_code count_key(void *arg, const struct log_claim *answer, struct th_err *err)
{
    int *seen = arg;
    unsigned i = answer->fingerprint[0];

    (void)err;
    assert_in_range(i, 0, STORY_KEYS - 1);
    assert_int_equal(answer->status, 202);
    assert_int_equal(answer->body.n, i == 7 ? LARGE : i);
    assert_str_equal(answer->tenant, i % 2 ? TH_STR("pratham") : TH_STR("other"));
    seen[i]++;
    return TH_OK;
}

static void keys_are_copied(struct th_log *copy)
{
    int seen[STORY_KEYS] = {0};
    struct th_err err = {0};

    if (th_log_answers(copy, count_key, seen, &err) != TH_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < STORY_KEYS; i++)
        assert_int_equal(seen[i], 1);
}

void story_is_copied(struct th_log *source, struct th_log *copy, int slots)
{
    struct th_err err = {0};

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        topic_is_copied(source, copy, (enum topic)topic, slots);
    keys_are_copied(copy);
    for (const struct core_ops *const *core = story_cores; *core; core++) {
        if (slot_check_settled(copy, *core, &err) != TH_OK)
            fail_msg("%s", err.text);
        if (slot_init_cursors(copy, *core, slots, &err) != TH_OK) /* they open */
            fail_msg("%s", err.text);
    }
    assert_int_equal(th_log_mark(copy), LOG_MARK_NONE);
    assert_string_equal(th_log_origin(copy), th_log_id(source));
    assert_int_equal(th_log_mark(source), LOG_MARK_MOVED);
    assert_string_equal(th_log_origin(source), th_log_id(copy));
}

size_t story_records(struct th_log *log)
{
    size_t n = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        struct content content;
        read_topic(log, (enum topic)topic, &content);
        n += content.n;
        content_fini(&content);
    }
    return n;
}
