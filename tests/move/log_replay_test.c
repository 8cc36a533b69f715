/* A replay in memory: the same records at any speed, to a log that nobody works on; a filter leaves
 * out what it should, and never a reference topic. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/memory_log.h"
#include "common/eventlog/replay.h"
#include "common/eventlog/scan.h"
#include "schemas/events.h"
#include "tests/move/story.h"
#include "tests/unit/test.h"

#define CHAPTERS 4
#define BEGIN_US INT64_C(1700000000000000)
#define BATCH    ((size_t)48 * 1024)
#define ARENA    ((size_t)64 << 20)

static struct th_virtual_clock now;

static struct th_log *memory_log(int partitions, uint64_t seed)
{
    const struct memory_log_options options = {
        .partitions = partitions,
        .bytes_max = (size_t)256 << 20,
        .clock = &now.clock,
        .seed = seed,
    };
    struct th_log *log = NULL;
    struct th_err err = {0};

    if (memory_log_new(&options, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static struct th_log *written(void)
{
    struct th_log *log = memory_log(4, 1);

    for (int i = 0; i < CHAPTERS; i++) {
        th_virtual_clock_init(&now, BEGIN_US + i * TH_US_PER_SEC);
        story_write(log, 1);
    }
    return log;
}

static struct log_sums sums_of(struct th_log *log, struct th_log *like)
{
    struct log_sums sums;
    struct th_err err = {0};
    int to[TOPIC_COUNT];

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        to[topic] = th_log_partitions(like, (enum topic)topic);
    if (log_sums_of(log, to, STORY_SLOTS, "", &(struct log_watch){0}, &sums, &err) != TH_OK)
        fail_msg("%s", err.text);
    return sums;
}

/* --- everything ------------------------------------------------------------------------------- */

static void test_the_same_records_at_any_speed(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        int speed;
        int partitions;
    } cases[] = {
        {"as fast as it goes", 0, 4},
        {"into another number of partitions", 0, 7},
        {"a hundred times as fast as it was", 100, 4},
        {"in time, into another number of partitions", 1000, 7},
    };
    struct th_log *source = written();

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_log *target = memory_log(cases[i].partitions, 2);
        const struct log_replay replay = {.source = source,
                                          .target = target,
                                          .slots = STORY_SLOTS,
                                          .speed = cases[i].speed,
                                          .batch_bytes = BATCH};
        struct log_replayed replayed;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        if (log_replay_run(&replay, &replayed, &err) != TH_OK)
            fail_msg("%s", err.text);
        assert_int_equal(replayed.records, story_records(source));
        assert_int_equal(replayed.left_out, 0);
        struct log_sums there = sums_of(source, target);
        struct log_sums here = sums_of(target, target);
        if (cases[i].speed == 0)
            assert_true(log_sums_agree(&there, &here));
        else /* partitions take turns */
            assert_true(there.records == here.records && there.bytes == here.bytes);
        assert_int_equal(th_log_mark(target), LOG_MARK_REPLAYED);
        assert_string_equal(th_log_origin(target), th_log_id(source));
        th_log_close(target);
    }
    th_log_close(source);
}

/* Of each partition the times go as they went there; between partitions they never go back by more
 * than a batch. */
static void test_in_time_partitions_take_turns(void **unused)
{
    (void)unused;
    struct th_log *source = written();
    struct th_log *target = memory_log(1, 2);
    const struct log_replay replay = {
        .source = source, .target = target, .slots = STORY_SLOTS, .speed = 100, .batch_bytes = 1};
    struct log_replayed replayed;
    struct th_err err = {0};
    TH_AUTO(log_scan) struct log_scan *scan = NULL;
    struct log_records records;
    struct log_place behind;
    struct th_arena arena;
    int64_t last_us = 0;
    enum topic topic = 0;

    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_OK);
    th_arena_init(&arena, ARENA);
    assert_int_equal(log_scan_open(target, (struct log_place){0}, &scan, &err), TH_OK);
    do {
        assert_int_equal(log_scan_next(scan, BATCH, &arena, &records, &behind, &err), TH_OK);
        for (size_t i = 0; i < records.n; i++) {
            if (records.at[i].place.topic != topic)
                last_us = 0;
            topic = records.at[i].place.topic;
            assert_true(records.at[i].at_us >= last_us);
            last_us = records.at[i].at_us;
        }
    } while (records.n > 0);
    th_arena_fini(&arena);
    th_log_close(target);
    th_log_close(source);
}

static void test_a_trimmed_log_is_played_from_where_it_begins(void **unused)
{
    (void)unused;
    const struct log_place place = {TOPIC_SEND_EVENTS, 1, 20};
    struct th_log *source = written();
    struct th_err err = {0};
    size_t all = story_records(source);

    assert_int_equal(th_log_trim(source, &place, 1, &err), TH_OK);
    for (int speed = 0; speed <= 1000; speed += 1000) {
        struct th_log *target = memory_log(4, 2);
        const struct log_replay replay = {
            .source = source, .target = target, .slots = STORY_SLOTS, .speed = speed};
        struct log_replayed replayed;

        if (log_replay_run(&replay, &replayed, &err) != TH_OK)
            fail_msg("%s", err.text);
        assert_int_equal(replayed.records, all - (size_t)place.offset);
        th_log_close(target);
    }
    th_log_close(source);
}

/* --- interrupted ------------------------------------------------------------------------------ */

/* At the nth thing that is told, the log that is filled gets another owner. */
struct mishap {
    struct th_log *target;
    int nth;
};

static void strike(void *arg, const struct log_progress *progress)
{
    struct mishap *mishap = arg;

    assert_true(progress->done <= progress->size);
    if (mishap->nth-- == 0)
        memory_log_fence(mishap->target, LOG_APP_COPY, 0);
}

/* As soon as something is there for the next one to find. */
static void strike_later(void *target, const struct log_progress *progress)
{
    if (progress->records > 0)
        memory_log_fence(target, LOG_APP_COPY, 0);
}

struct interrupted {
    const char *says;
    int speed;
    int then; /* it goes on at that speed */
    int partitions;
    const char *filter;
};

static const struct interrupted interrupted[] = {
    {"as fast as it goes", 0, 0, 4, NULL},
    {"into another number of partitions", 0, 0, 7, NULL},
    {"in time", 500, 500, 4, NULL},
    {"in time, and then as fast as it goes", 500, 0, 4, NULL},
    {"as fast as it goes, and then in time", 0, 1000, 4, NULL},
    {"some of it", 500, 0, 4, "from=2023-11-14T22:13:21Z"},
};

/* Struck at the nth place and run again. False: it was whole before that. */
static bool play_struck(const struct interrupted *how, const struct log_replay *asked,
                        struct th_log *target, int nth, uint64_t records)
{
    struct mishap mishap = {target, nth};
    struct log_replay replay = *asked;
    struct log_replayed first;
    struct log_replayed rest;
    struct th_err err = {0};

    replay.target = target;
    replay.speed = how->speed;
    replay.watch = (struct log_watch){strike, &mishap};
    enum th_code code = log_replay_run(&replay, &first, &err);
    if (code == TH_OK)
        return false;
    assert_int_equal(code, TH_FENCED);
    replay.speed = how->then;
    replay.watch = (struct log_watch){0};
    if (log_replay_run(&replay, &rest, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_true(rest.resumed >= first.records);
    assert_true(rest.resumed + rest.records == records);
    assert_int_equal(log_replay_run(&replay, &rest, &err), TH_CONFLICT); /* it is whole */
    return true;
}

static void test_an_interrupted_replay_goes_on(void **unused)
{
    (void)unused;
    struct th_log *source = written();

    for (size_t i = 0; i < TH_LEN(interrupted); i++) {
        const struct interrupted *how = &interrupted[i];
        struct log_replay replay = {.source = source, .slots = STORY_SLOTS, .batch_bytes = 4096};
        struct log_replayed whole;
        struct th_err err = {0};
        int strikes = -1;

        print_message("  %s\n", how->says);
        if (how->filter)
            assert_int_equal(replay_filter_parse(how->filter, &replay.filter, &err), TH_OK);
        struct th_log *like = memory_log(how->partitions, 2);
        replay.target = like;
        assert_int_equal(log_replay_run(&replay, &whole, &err), TH_OK);
        struct log_sums sums = sums_of(like, like);

        bool is_struck = true;
        for (int nth = 0; is_struck; nth = nth * 2 + 1, strikes++) {
            struct th_log *target = memory_log(how->partitions, 3);
            is_struck = play_struck(how, &replay, target, nth, whole.records);
            struct log_sums there = sums_of(target, like);
            if (how->partitions == 4) /* else partitions take turns */
                assert_true(log_sums_agree(&sums, &there));
            assert_true(sums.records == there.records && sums.bytes == there.bytes);
            th_log_close(target);
        }
        assert_true(strikes > 2);
        th_log_close(like);
    }
    th_log_close(source);
}

static void test_only_the_same_goes_on(void **unused)
{
    (void)unused;
    struct th_log *source = written();
    struct th_log *target = memory_log(4, 3);
    struct log_replay replay = {.source = source,
                                .target = target,
                                .slots = STORY_SLOTS,
                                .batch_bytes = 4096,
                                .watch = {strike_later, target}};
    struct log_replayed replayed;
    struct th_err err = {0};

    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_FENCED);
    replay.watch = (struct log_watch){0};
    replay.filter.from_us = 1;
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_CONFLICT);
    assert_non_null(strstr(err.text, "another --filter"));
    replay.filter.from_us = 0;
    replay.slots++;
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_CONFLICT);
    replay.slots--;
    struct th_log *other = memory_log(4, 9);
    replay.source = other;
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_CONFLICT);
    replay.source = source;
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_OK);
    th_log_close(other);
    th_log_close(target);
    th_log_close(source);
}

static void test_only_a_new_log_is_filled(void **unused)
{
    (void)unused;
    struct th_log *source = written();
    struct th_log *target = memory_log(4, 2);
    const struct log_replay replay = {.source = source, .target = target, .slots = STORY_SLOTS};
    struct log_replayed replayed;
    struct th_err err = {0};

    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_OK);
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_CONFLICT);
    assert_non_null(strstr(err.text, "is replayed from log"));
    th_log_close(target);

    target = memory_log(4, 3);
    story_write(target, 1);
    const struct log_replay onto = {.source = source, .target = target, .slots = STORY_SLOTS};
    assert_int_equal(log_replay_run(&onto, &replayed, &err), TH_CONFLICT);
    assert_non_null(strstr(err.text, "holds records already"));
    assert_int_equal(th_log_mark(target), LOG_MARK_NONE);
    th_log_close(target);
    th_log_close(source);
}

/* --- filtered --------------------------------------------------------------------------------- */

#define CAMPAIGN(x)                                                                                \
    {                                                                                              \
        .b = { 0xca, (x) }                                                                         \
    }
#define AUDIENCE(x)                                                                                \
    {                                                                                              \
        .b = { 0xad, (x) }                                                                         \
    }
#define SEND(x)                                                                                    \
    {                                                                                              \
        .b = { 0x5e, (x) }                                                                         \
    }

#define META .meta.tenant = {"a", 1}

/* What stands where, whose, when, and which filters keep it. */
enum {
    TENANT_A = 1,
    CAMPAIGN_1 = 2,
    EARLY = 4,
    LATE = 8,
    ALWAYS = 16,
};

static const struct {
    const char *says;
    enum topic topic;
    const char *key;
    int second;
    unsigned kept;
    struct event event;
} events[] = {
    {"a command of the campaign",
     TOPIC_CAMPAIGN_COMMANDS,
     "a/1",
     0,
     TENANT_A | CAMPAIGN_1 | EARLY,
     {EVENT_CREATE_CAMPAIGN,
      {.create_campaign = {META, .campaign = CAMPAIGN(1), .spec = {.audience = AUDIENCE(1)}}}}},
    {"a command of another",
     TOPIC_CAMPAIGN_COMMANDS,
     "a/2",
     0,
     TENANT_A | EARLY,
     {EVENT_CREATE_CAMPAIGN,
      {.create_campaign = {META, .campaign = CAMPAIGN(2), .spec = {.audience = AUDIENCE(2)}}}}},
    {"one of another tenant",
     TOPIC_CAMPAIGN_COMMANDS,
     "ab/3",
     0,
     EARLY,
     {EVENT_CREATE_CAMPAIGN, {.create_campaign = {META, .campaign = CAMPAIGN(3)}}}},
    {"its audience",
     TOPIC_CAMPAIGN_AUDIENCE,
     "a/x",
     0,
     TENANT_A | CAMPAIGN_1 | EARLY,
     {EVENT_AUDIENCE_CREATED, {.audience_created = {META, .audience = AUDIENCE(1)}}}},
    {"the other's audience",
     TOPIC_CAMPAIGN_AUDIENCE,
     "a/y",
     0,
     TENANT_A | EARLY,
     {EVENT_AUDIENCE_CREATED, {.audience_created = {META, .audience = AUDIENCE(2)}}}},
    {"what it decided",
     TOPIC_CAMPAIGN_EVENTS,
     "a/1",
     5,
     TENANT_A | CAMPAIGN_1 | LATE,
     {EVENT_CAMPAIGN_PAUSED, {.campaign_paused = {META, .campaign = CAMPAIGN(1)}}}},
    {"a send of it",
     TOPIC_SEND_REQUESTS,
     "a/s1",
     5,
     TENANT_A | CAMPAIGN_1 | LATE,
     {EVENT_SEND_REQUESTED,
      {.send_requested = {META, .send = SEND(1),
                          .origin = {CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                     {.campaign_origin = {.campaign = CAMPAIGN(1)}}}}}}},
    {"a send of the other",
     TOPIC_SEND_REQUESTS,
     "a/s2",
     5,
     TENANT_A | LATE,
     {EVENT_SEND_REQUESTED,
      {.send_requested = {META, .send = SEND(2),
                          .origin = {CAMPAIGN_ORIGIN_OR_SEND_CONTENT_CAMPAIGN_ORIGIN,
                                     {.campaign_origin = {.campaign = CAMPAIGN(2)}}}}}}},
    {"its send's end, which names no campaign",
     TOPIC_SEND_EVENTS,
     "a/s1",
     5,
     TENANT_A | CAMPAIGN_1 | LATE,
     {EVENT_SEND_ENDED, {.send_ended = {META, .send = SEND(1)}}}},
    {"the other's",
     TOPIC_SEND_EVENTS,
     "a/s2",
     5,
     TENANT_A | LATE,
     {EVENT_SEND_ENDED, {.send_ended = {META, .send = SEND(2)}}}},
    {"a callback for its attempt",
     TOPIC_PROVIDER_CALLBACKS,
     "a/lane",
     5,
     TENANT_A | CAMPAIGN_1 | LATE,
     {EVENT_CALLBACK_RECEIVED, {.callback_received = {META, .send = SEND(1)}}}},
    {"one for the other's",
     TOPIC_PROVIDER_CALLBACKS,
     "a/lane",
     5,
     TENANT_A | LATE,
     {EVENT_CALLBACK_RECEIVED, {.callback_received = {META, .send = SEND(2)}}}},
    {"an opt-out, of another tenant",
     TOPIC_CONSENT_EVENTS,
     "ab/c",
     0,
     ALWAYS,
     {EVENT_OPTED_OUT, {.opted_out = {META}}}},
    {"a control of the other campaign",
     TOPIC_CAMPAIGN_CONTROL,
     "a/2",
     5,
     ALWAYS,
     {EVENT_CAMPAIGN_CONTROLLED, {.campaign_controlled = {META, .campaign = CAMPAIGN(2)}}}},
};

static struct th_log *log_of_events(void)
{
    struct th_log *log = memory_log(1, 1);
    struct th_err err = {0};

    for (size_t i = 0; i < TH_LEN(events); i++) {
        TH_AUTO(th_buf) struct th_buf value = {0};
        assert_int_equal(event_encode(&events[i].event, &value), TH_OK);
        const struct log_output output = {events[i].topic,
                                          topic_kind(events[i].topic) == TOPIC_BY_LANE ? 0 : -1,
                                          th_str(events[i].key), .value = th_buf_str(&value)};
        th_virtual_clock_init(&now, BEGIN_US + events[i].second * TH_US_PER_SEC);
        assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
    }
    return log;
}

/* Is it there, by topic, key and value? */
static bool is_there(struct th_log *log, size_t i)
{
    TH_AUTO(th_buf) struct th_buf value = {0};
    struct log_place place = {events[i].topic, 0, 0};
    struct th_log_reader *reader = NULL;
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};
    bool is_found = false;

    assert_int_equal(event_encode(&events[i].event, &value), TH_OK);
    th_arena_init(&arena, ARENA);
    assert_int_equal(th_log_reader_open(log, &place, 1, &reader, &err), TH_OK);
    assert_int_equal(th_log_reader_read(reader, BATCH, &arena, &records, &err), TH_OK);
    for (size_t k = 0; k < records.n; k++)
        is_found = is_found || (th_str_eq(records.at[k].key, th_str(events[i].key)) &&
                                th_str_eq(records.at[k].value, th_buf_str(&value)));
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    return is_found;
}

static void test_a_filter_keeps_what_it_names(void **unused)
{
    (void)unused;
    static const struct {
        const char *filter;
        unsigned kept; /* events with all of these */
    } cases[] = {
        {"", 0},
        {"tenant=a", TENANT_A},
        {"campaign=ca010000-0000-0000-0000-000000000000", CAMPAIGN_1},
        {"to=2023-11-14T22:13:22Z", EARLY},
        {"from=2023-11-14T22:13:22Z", LATE},
        {"from=2023-11-14T22:13:25Z,to=2023-11-14T22:13:25.000001Z", LATE},
        {"tenant=a,from=2023-11-14T22:13:22Z", TENANT_A | LATE},
        {"tenant=a,campaign=ca010000-0000-0000-0000-000000000000,to=2023-11-14T22:13:22Z",
         CAMPAIGN_1 | EARLY},
    };
    struct th_log *source = log_of_events();

    for (size_t c = 0; c < TH_LEN(cases); c++)
        for (int speed = 0; speed <= 1000; speed += 1000) {
            struct th_log *target = memory_log(1, 2);
            struct log_replay replay = {
                .source = source, .target = target, .slots = 1, .speed = speed};
            struct log_replayed replayed;
            struct th_err err = {0};
            uint64_t kept = 0;

            print_message("  \"%s\" at %d\n", cases[c].filter, speed);
            assert_int_equal(replay_filter_parse(cases[c].filter, &replay.filter, &err), TH_OK);
            if (log_replay_run(&replay, &replayed, &err) != TH_OK)
                fail_msg("%s", err.text);
            for (size_t i = 0; i < TH_LEN(events); i++) {
                bool is_wanted =
                    events[i].kept & ALWAYS || (events[i].kept & cases[c].kept) == cases[c].kept;
                kept += is_wanted;
                if (is_there(target, i) != is_wanted)
                    fail_msg("%s: kept %d", events[i].says, !is_wanted);
            }
            assert_int_equal(replayed.records, kept);
            assert_int_equal(replayed.left_out, TH_LEN(events) - kept);
            th_log_close(target);
        }
    th_log_close(source);
}

static void test_a_filter_that_makes_no_sense_is_refused(void **unused)
{
    (void)unused;
    static const char *const filters[] = {
        "tenant",
        "tenant=",
        "tenant=a,tenant=b",
        "campaign=1",
        "from=monday",
        "who=me",
        "from=2023-11-14T22:13:22Z,from=2023-11-14T22:13:22Z",
        "=",
        "tenant=a,,to=",
        ",",
    };
    struct replay_filter filter;
    struct th_err err = {0};

    for (size_t i = 0; i < TH_LEN(filters); i++) {
        print_message("  \"%s\"\n", filters[i]);
        assert_int_equal(replay_filter_parse(filters[i], &filter, &err), TH_INVALID);
    }
}

static void test_a_campaign_that_is_not_there_marks_nothing(void **unused)
{
    (void)unused;
    struct th_log *source = log_of_events();
    struct th_log *target = memory_log(1, 2);
    struct log_replay replay = {.source = source, .target = target, .slots = 1};
    struct log_replayed replayed;
    struct th_err err = {0};

    assert_int_equal(
        replay_filter_parse("campaign=ca090000-0000-0000-0000-000000000000", &replay.filter, &err),
        TH_OK);
    assert_int_equal(log_replay_run(&replay, &replayed, &err), TH_NOT_FOUND);
    assert_int_equal(th_log_mark(target), LOG_MARK_NONE);
    th_log_close(target);
    th_log_close(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_records_at_any_speed),
        cmocka_unit_test(test_in_time_partitions_take_turns),
        cmocka_unit_test(test_a_trimmed_log_is_played_from_where_it_begins),
        cmocka_unit_test(test_an_interrupted_replay_goes_on),
        cmocka_unit_test(test_only_the_same_goes_on),
        cmocka_unit_test(test_only_a_new_log_is_filled),
        cmocka_unit_test(test_a_filter_keeps_what_it_names),
        cmocka_unit_test(test_a_filter_that_makes_no_sense_is_refused),
        cmocka_unit_test(test_a_campaign_that_is_not_there_marks_nothing),
    };
    th_virtual_clock_init(&now, BEGIN_US);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
