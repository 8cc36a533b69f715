#include "tests/unit/slot_world.h"

#include <stdio.h>
#include <string.h>

#include "common/eventlog/dead_letter.h"
#include "common/eventlog/log_driver.h"
#include "tests/unit/test.h"

/* --- one thing after another
 * ----------------------------------------------------------------------
 */

static void test_every_request_is_carried_out_once(void **unused)
{
    (void)unused;
    struct world world;

    world_init(&world, 1, &toy_core);
    for (int i = 0; i < 1000; i++)
        world_request(&world, CHANNEL_SMS);
    world_settle(&world);
    world_check(&world, false);
    for (int i = 0; i < world.requests; i++)
        assert_int_equal(world.calls[i], 1);
    world_fini(&world);
}

static void test_a_commit_that_was_not_answered_grants_nothing(void **unused)
{
    (void)unused;
    struct world world;

    world_init(&world, 1, &toy_core);
    world.odds.lost_committed = 1000;
    for (int i = 0; i < 50; i++)
        world_request(&world, CHANNEL_SMS);
    for (int turn = 0; turn < 200; turn++)
        world_turn(&world);
    world_settle(&world);
    world_check(&world, false);
    for (int i = 0; i < world.requests; i++)
        assert_int_equal(world.calls[i], 0);
    world_fini(&world);
}

/* --- faults, on many seeds
 * ------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    struct world_odds odds;
    bool has_rival;
    bool is_unknown_allowed;
    bool by_piece;
    size_t snapshot_bytes_min;
} storms[] = {
    {"commits abort", {.abort = 300}, false, false, false, 1 << 30},
    {"answers to commits are lost",
     {.lost_committed = 200, .lost_aborted = 200},
     false,
     false,
     true,
     1 << 30},
    {"commits hang", {.hold = 500, .abort = 50}, false, false, false, 2000},
    {"slots are taken away", {.fence = 30, .abort = 50}, false, false, false, 2000},
    {"two processes want one slot", {.abort = 50, .hold = 100}, true, true, true, 2000},
    {"processes die", {.crash = 30}, false, true, false, 1 << 30},
    {"the log goes away now and then", {.down = 200}, false, false, true, 2000},
    {"memory runs out", {.nomem_per = 7, .abort = 50}, false, false, false, 1 << 30},
    {"allocations fail", {.oom = 300}, false, false, true, 2000},
    {"everything at once",
     {.abort = 100,
      .lost_committed = 50,
      .lost_aborted = 50,
      .hold = 100,
      .fence = 10,
      .crash = 10,
      .down = 30,
      .nomem_per = 50,
      .oom = 20},
     true,
     true,
     true,
     500},
};

static void weather(size_t storm, uint64_t seed)
{
    struct world world;

    world_init(&world, seed, storms[storm].by_piece ? &toy_core_by_piece : &toy_core);
    world.odds = storms[storm].odds;
    world.has_rival = storms[storm].has_rival;
    world.snapshot_bytes_min = storms[storm].snapshot_bytes_min;
    for (int turn = 0; turn < 300; turn++) {
        if (world_roll(&world, 4) == 0) {
            memory_log_set_down(world.log, 0);
            for (unsigned i = world_roll(&world, 6); i > 0; i--)
                world_request(&world, CHANNEL_SMS);
        }
        world_turn(&world);
    }
    world_settle(&world);
    world_check(&world, storms[storm].is_unknown_allowed);
    world_fini(&world);
}

static void test_faults_repeat_nothing_and_lose_nothing(void **unused)
{
    (void)unused;
    for (size_t storm = 0; storm < TH_LEN(storms); storm++) {
        print_message("  %s\n", storms[storm].says);
        for (uint64_t seed = 1; seed <= 20; seed++)
            weather(storm, seed * 1000 + storm);
    }
}

/* --- state comes back ---------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    const struct core_ops *core;
    size_t snapshot_bytes_min;
    bool is_damaged;
    bool has_snapshot;
} revivals[] = {
    {"without snapshots everything is folded again", &toy_core, 1 << 30, false, false},
    {"from pieces of one moment", &toy_core, 3000, false, true},
    {"from pieces of many moments", &toy_core_by_piece, 3000, false, true},
    {"from the snapshot before a damaged one", &toy_core, 3000, true, true},
    {"when one of many pieces is damaged", &toy_core_by_piece, 3000, true, true},
};

static int64_t evolved(const struct world *world)
{
    int64_t n = 0;

    for (int i = 0; i < WORLD_SLOTS; i++)
        n += toy_evolved(slot_core(world->runners[i].is));
    return n;
}

/* The first piece that says anything. */
static void damage(struct world *world, int part)
{
    int piece = 0;

    while (!memory_log_damage_snapshot(world->log, LOG_APP_RETRY, part, piece))
        assert_true(++piece < TABLE_PIECES);
}

static void test_state_after_a_crash_is_the_state_before_it(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(revivals); i++) {
        struct world world;
        TH_AUTO(th_buf) struct th_buf before = {0};
        TH_AUTO(th_buf) struct th_buf after = {0};

        print_message("  %s\n", revivals[i].says);
        world_init(&world, i, revivals[i].core);
        world.snapshot_bytes_min = revivals[i].snapshot_bytes_min;
        world.odds.abort = 100;
        for (int turn = 0; turn < 400; turn++) {
            world_request(&world, CHANNEL_SMS);
            world_turn(&world);
        }
        world_settle(&world);
        world_save(&world, &before);
        assert_true(before.n >= 400 * sizeof(struct toy_send));
        int64_t events = evolved(&world);

        for (int part = 0; part < WORLD_PARTITIONS && revivals[i].is_damaged; part++)
            damage(&world, part);
        world_crash(&world, 0);
        world_crash(&world, 1);
        world_settle(&world);
        world_save(&world, &after);
        assert_str_equal(th_buf_str(&before), th_buf_str(&after));
        /* 3 events a send, of which a snapshot saves us some */
        if (revivals[i].has_snapshot)
            assert_true(evolved(&world) < events);
        else
            assert_int_equal(evolved(&world), 3 * world.requests);
        world_fini(&world);
    }
}

/* --- records that make no sense
 * ------------------------------------------------------------------- */

struct dead {
    struct th_str detail; /* that each letter is to have; n == 0: any */
    int letters;
    int stuck;
    int of_code[TH_CORRUPT + 1];
    struct th_id ids[64];
};

static void count_dead(void *arg, const struct log_record *record, const struct event *event)
{
    struct dead *dead = arg;

    assert_non_null(event);
    if (event->type == EVENT_SEND_STUCK) {
        dead->stuck++;
        assert_true(event->as.send_stuck.meta.cause.is_set);
    }
    if (event->type != EVENT_DEAD_LETTER)
        return;
    const struct dead_letter *letter = &event->as.dead_letter;
    assert_str_equal(letter->topic, TH_STR("send.requests"));
    assert_str_equal(letter->key, record->key);
    assert_str_equal(letter->consumer, TH_STR("toy"));
    if (dead->detail.n)
        assert_str_equal(letter->detail, dead->detail);
    assert_true(dead_letter_has_origin(record->headers));
    for (int i = 0; i < dead->letters; i++)
        assert_false(th_id_eq(dead->ids[i], letter->meta.event_id));
    dead->ids[dead->letters++] = letter->meta.event_id;
    for (int code = 0; code <= TH_CORRUPT; code++)
        dead->of_code[code] += th_str_eq(letter->code, th_str(th_code_name((enum th_code)code)));
}

/* Good ones, garbage, and records that the core refuses before or after it said something, several
 * in one batch, while commits abort and slots are taken away. */
static void bury(uint64_t seed)
{
    const struct {
        const char *says;
        struct th_str key;
        struct th_str value;
        enum th_code code;
        bool is_stuck;
    } garbage[] = {
        {"no frame", TH_STR("ngo/01920000-0000-7000-8000-000000000001"), TH_STR("x"), TH_MALFORMED,
         true},
        {"nothing at all", TH_STR("ngo/01920000-0000-7000-8000-000000000002"), TH_STR(""),
         TH_MALFORMED, true},
        {"a schema nobody knows", TH_STR("ngo/01920000-0000-7000-8000-000000000003"),
         TH_STR("\0\x7f\xff\xff\xffxyz"), TH_UNSUPPORTED, true},
        {"a key that names no send", TH_STR("ngo/what"), TH_STR("y"), TH_MALFORMED, false},
        {"a key that is no text", TH_STR("\xff\xfe/x"), TH_STR("z"), TH_MALFORMED, false},
        {"no key", TH_STR(""), TH_STR("w"), TH_MALFORMED, false},
    };
    struct world world;
    struct dead dead = {0};
    int stuck = 0;
    int letters = 0;

    world_init(&world, seed, &toy_core);
    world.odds = (struct world_odds){.abort = 100, .fence = 10, .lost_committed = 50};
    for (size_t i = 0; i < TH_LEN(garbage); i++) {
        world_append(&world, TOPIC_SEND_REQUESTS, garbage[i].key, garbage[i].value);
        stuck += garbage[i].is_stuck;
        letters++;
        for (int k = 0; k < 10; k++)
            world_request(&world, CHANNEL_SMS);
    }
    int good = world.requests;
    for (int i = 0; i < 12; i++)
        world_request(&world, i % 3 ? TOY_REFUSED_LATE : TOY_REFUSED_EARLY);
    for (int turn = 0; turn < 200; turn++)
        world_turn(&world);
    world_settle(&world);

    world.requests = good;
    world_check(&world, false);
    world_read(&world, TOPIC_DEAD_LETTERS, count_dead, &dead);
    world_read(&world, TOPIC_SEND_OUTCOMES, count_dead, &dead);
    assert_int_equal(dead.letters, letters + 12);
    assert_int_equal(dead.stuck, stuck + 12);
    assert_int_equal(dead.of_code[TH_UNSUPPORTED], 1);
    assert_int_equal(dead.of_code[TH_MALFORMED], letters - 1 + 8);
    assert_int_equal(dead.of_code[TH_INVALID], 4);
    world_fini(&world);
}

static void test_what_makes_no_sense_is_buried_and_its_send_is_told(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++)
        bury(seed);
}

/* What lies beside a record lies beside its letter, with where it lay. */
static void keep_headers(void *arg, const struct log_record *record, const struct event *event)
{
    struct th_buf *all = arg;

    if (event->type == EVENT_DEAD_LETTER)
        th_buf_add(all, record->headers);
}

/* And behind them where the record lay. */
static void assert_letter_keeps(const struct log_output *output, struct th_str headers)
{
    TH_AUTO(th_buf) struct th_buf wanted = {0};
    TH_AUTO(th_buf) struct th_buf kept = {0};
    struct world world;
    struct log_place place;

    world_init(&world, 1, &toy_core);
    assert_int_equal(th_log_append(world.log, output, 1, &place, NULL), TH_OK);
    world_settle(&world);
    world_read(&world, TOPIC_DEAD_LETTERS, keep_headers, &kept);
    th_buf_add(&wanted, headers);
    dead_letter_add_origin(&wanted, place);
    assert_str_equal(th_buf_str(&kept), th_buf_str(&wanted));
    world_fini(&world);
}

static void test_a_dead_letter_keeps_headers(void **unused)
{
    const struct {
        const char *says;
        struct th_str value;
        struct th_str headers;
        const char *kept; /* and behind it where the record lay */
        size_t kept_n;
    } cases[] = {
        {"none", TH_STR("garbage"), {0}, "", 0},
        {"several", TH_STR("garbage"), TH_STR("\5trace\3ab\4null\0"), "\5trace\3ab\4null\0", 15},
        {"of one that was buried before", TH_STR("garbage"), TH_STR("\12dlq_origin\4x/0"),
         "\12dlq_origin\4x/0", 15},
    };

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_output output = {TOPIC_SEND_REQUESTS, 1, TH_STR("ngo/what"), cases[i].value,
                                    cases[i].headers};

        print_message("  %s\n", cases[i].says);
        assert_letter_keeps(&output, (struct th_str){cases[i].kept, cases[i].kept_n});
    }
}

/* The largest record, and those whose headers leave no room or are as many as there may be. */
static void test_headers_make_no_dead_letter_too_large(void **unused)
{
    static const struct {
        const char *says;
        size_t value_size;
        size_t headers_n; /* of two bytes each */
    } cases[] = {
        {"beside a large value", LOG_RECORD_SIZE_MAX - LOG_HEADERS_MAX, LOG_HEADERS_MAX / 2 - 20},
        {"as many as there may be", 10, LOG_HEADERS_MAX},
    };
    char *much = calloc(1, LOG_RECORD_SIZE_MAX);

    (void)unused;
    assert_non_null(much);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_output output = {.topic = TOPIC_SEND_REQUESTS,
                                    .part = 1,
                                    .key = TH_STR("ngo/what"),
                                    .value = {much, cases[i].value_size},
                                    .headers = {much, 2 * cases[i].headers_n}};

        print_message("  %s\n", cases[i].says);
        assert_letter_keeps(&output, (struct th_str){0});
    }
    free(much);
}

/* Also of what others wrote past our own checks. */
static void test_a_dead_letter_is_never_too_large(void **unused)
{
    static const struct {
        const char *says;
        size_t key_size;
        size_t value_size;
        const char *detail;
    } cases[] = {
        {"as large as ours may be", LOG_KEY_SIZE_MAX, LOG_RECORD_SIZE_MAX - LOG_KEY_SIZE_MAX,
         "malformed input; the value is cut from 921088 bytes"},
        {"another's long key", LOG_KEY_SIZE_MAX + 1, 10,
         "malformed input; the key is cut from 513 bytes"},
        {"another's large record", 100000, LOG_RECORD_SIZE_MAX + 100000,
         "malformed input; the value is cut from 1021600 bytes"},
    };
    char *much = calloc(1, 2 * LOG_RECORD_SIZE_MAX);

    (void)unused;
    assert_non_null(much);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_output output = {.topic = TOPIC_SEND_REQUESTS,
                                    .part = 1,
                                    .key = {much, cases[i].key_size},
                                    .value = {much, cases[i].value_size}};
        struct world world;
        struct dead dead = {.detail = th_str(cases[i].detail)};

        print_message("  %s\n", cases[i].says);
        world_init(&world, 1, &toy_core);
        assert_int_equal(world.log->ops->append(world.log, &output, 1, NULL, NULL), TH_OK);
        world_settle(&world);
        world_read(&world, TOPIC_DEAD_LETTERS, count_dead, &dead);
        assert_int_equal(dead.letters, 1);
        world_fini(&world);
    }
    free(much);
}

/* --- opening
 * --------------------------------------------------------------------------------------- */

/* A world whose cursors were never written. */
static struct th_log *bare_log(const struct th_clock *clock)
{
    struct th_log *log;
    struct memory_log_options options = {
        .partitions = WORLD_PARTITIONS, .bytes_max = 1 << 24, .clock = clock, .is_quiet = true};

    assert_int_equal(memory_log_new(&options, &log, NULL), TH_OK);
    return log;
}

static struct slot *bare_slot(struct th_log *log, const struct th_clock *clock,
                              struct reference *ref)
{
    static const struct toy_config toy = {.process = 1};
    struct slot *slot;
    struct slot_config config = {.log = log,
                                 .clock = clock,
                                 .reference = ref,
                                 .core = &toy_core,
                                 .core_config = &toy,
                                 .slot = 0,
                                 .slots = WORLD_SLOTS,
                                 .poll_us = 1000,
                                 .reopen_wait_us = 1000,
                                 .snapshot_bytes_min = 1000};

    assert_int_equal(slot_new(&config, &slot, NULL), TH_OK);
    return slot;
}

static void append_noise(struct th_log *log, enum topic topic)
{
    for (int i = 0; i < 20; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i);
        struct log_output output = {topic, -1, th_str(key), .value = TH_STR("noise")};
        assert_int_equal(th_log_append(log, &output, 1, NULL, NULL), TH_OK);
    }
}

static void test_a_slot_without_a_cursor_refuses_to_begin_again(void **unused)
{
    (void)unused;
    static const enum topic topics[] = {TOPIC_SEND_REQUESTS, TOPIC_SEND_EVENTS};

    for (size_t i = 0; i < TH_LEN(topics); i++) {
        struct th_virtual_clock clock;
        struct th_err err = {0};
        int64_t next_us = 0;

        print_message("  %s is not empty\n", topic_name(topics[i]));
        th_virtual_clock_init(&clock, TH_US_PER_SEC);
        struct th_log *log = bare_log(&clock.clock);
        struct reference *ref = reference_new();
        append_noise(log, topics[i]);
        struct slot *slot = bare_slot(log, &clock.clock, ref);
        for (int n = 0; n < 3; n++) {
            assert_int_equal(slot_step(slot, &next_us, &err), TH_CORRUPT);
            assert_int_equal(next_us, INT64_MAX);
            assert_non_null(strstr(err.text, "toy slot 0: will not open. Restore the log"));
            th_virtual_clock_advance(&clock, TH_US_PER_SEC);
        }
        assert_false(slot_status(slot).is_open);
        assert_int_equal(slot_init_cursors(log, &toy_core, WORLD_SLOTS, &err), TH_CORRUPT);
        slot_free(slot);
        reference_free(ref);
        th_log_close(log);
    }
}

static void test_an_empty_log_may_be_begun(void **unused)
{
    (void)unused;
    struct th_virtual_clock clock;
    struct th_err err = {0};
    int64_t next_us;

    th_virtual_clock_init(&clock, TH_US_PER_SEC);
    struct th_log *log = bare_log(&clock.clock);
    struct reference *ref = reference_new();
    struct slot *slot = bare_slot(log, &clock.clock, ref);

    for (int n = 0; n < 20; n++)
        assert_int_equal(slot_step(slot, &next_us, &err), TH_OK);
    assert_true(slot_status(slot).is_open);

    print_message("  and what came before the second opening is read, not refused\n");
    slot_crash(slot);
    append_noise(log, TOPIC_SEND_REQUESTS);
    slot = bare_slot(log, &clock.clock, ref);
    for (int n = 0; n < 20; n++)
        assert_int_equal(slot_step(slot, &next_us, &err), TH_OK);
    assert_true(slot_status(slot).dead_letters > 0);
    slot_free(slot);
    reference_free(ref);
    th_log_close(log);
}

static void test_an_own_event_that_cannot_be_read_stops_the_slot(void **unused)
{
    (void)unused;
    struct th_virtual_clock clock;
    struct th_err err = {0};
    int64_t next_us;
    enum th_code code = TH_OK;

    th_virtual_clock_init(&clock, TH_US_PER_SEC);
    struct th_log *log = bare_log(&clock.clock);
    struct reference *ref = reference_new();
    assert_int_equal(slot_init_cursors(log, &toy_core, WORLD_SLOTS, &err), TH_OK);
    append_noise(log, TOPIC_SEND_EVENTS);
    struct slot *slot = bare_slot(log, &clock.clock, ref);
    for (int n = 0; n < 10 && code == TH_OK; n++)
        code = slot_step(slot, &next_us, &err);
    assert_int_equal(code, TH_CORRUPT);
    assert_non_null(strstr(err.text, "an own event, cannot be read"));
    slot_free(slot);
    reference_free(ref);
    th_log_close(log);
}

/* --- quiet, and what changes around it
 * ---------------------------------------------------------------
 */

static uint64_t commits(const struct world *world)
{
    return slot_status(world->runners[0].is).commits + slot_status(world->runners[1].is).commits;
}

static void test_an_idle_slot_commits_nothing(void **unused)
{
    (void)unused;
    struct world world;
    char key[32];

    world_init(&world, 1, &toy_core);
    world_request(&world, CHANNEL_SMS);
    world_settle(&world);
    uint64_t before = commits(&world);
    world_step_all(&world, 50);
    assert_int_equal(commits(&world), before);
    for (int i = 0; i < WORLD_SLOTS; i++) {
        struct runner *runner = &world.runners[i];
        assert_int_equal(slot_step(runner->is, &runner->next_us, NULL), TH_OK);
        assert_true(runner->next_us > th_clock_realtime_us(&world.clock.clock));
    }

    print_message("  records of no consequence move the cursor, once, some time later\n");
    struct event ignored = {.type = EVENT_SEND_RELEASED};
    TH_AUTO(th_buf) struct th_buf value = {0};
    assert_int_equal(event_encode(&ignored, &value), TH_OK);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "ngo/%d", i);
        world_append(&world, TOPIC_SEND_REQUESTS, th_str(key), th_buf_str(&value));
    }
    world_step_all(&world, 2);
    assert_int_equal(commits(&world), before);
    world_step_all(&world, 50);
    assert_int_equal(commits(&world), before + WORLD_SLOTS);
    world_check(&world, false);
    world_fini(&world);
}

static void append_config(struct world *world, int i)
{
    char slug[32];
    snprintf(slug, sizeof slug, "tenant-%d", i);
    struct event event = {.type = EVENT_TENANT_CREATED,
                          .as.tenant_created = {.meta = {.tenant = th_str(slug)}}};
    TH_AUTO(th_buf) struct th_buf value = {0};

    assert_int_equal(event_encode(&event, &value), TH_OK);
    world_append(world, TOPIC_CONFIG, th_str(slug), th_buf_str(&value));
}

static void test_the_reference_is_whole_before_a_slot_opens(void **unused)
{
    (void)unused;
    struct world world;
    struct th_err err = {0};
    bool is_caught_up;

    world_init(&world, 1, &toy_core);
    for (int i = 0; i < 10; i++)
        append_config(&world, i);
    world_append(&world, TOPIC_CONFIG, TH_STR("x"), TH_STR("not an event: counts all the same"));
    world_turn(&world); /* makes the runners; folds everything */
    reference_follower_close(world.follower);
    reference_free(world.ref);
    world.ref = reference_new();
    assert_int_equal(reference_follower_open(world.log, world.ref, &world.follower, &err), TH_OK);
    world_crash(&world, 0);
    for (int n = 0; n < 50; n++)
        (void)!slot_step(world.runners[0].is, &world.runners[0].next_us, &err);
    assert_false(slot_status(world.runners[0].is).is_open);
    assert_int_equal(reference_follower_step(world.follower, &is_caught_up, &err), TH_OK);
    assert_true(is_caught_up);
    assert_int_equal(reference_versions(world.ref).config, 11);
    world_step(&world, 0);
    assert_true(slot_status(world.runners[0].is).is_open);
    assert_int_equal(toy_offered(slot_core(world.runners[0].is), REFERENCE_TENANT), 10);

    print_message("  a change is offered once\n");
    append_config(&world, 3);
    append_config(&world, 11);
    world_step(&world, 0);
    assert_int_equal(toy_offered(slot_core(world.runners[0].is), REFERENCE_TENANT), 12);

    print_message("  more changes than are remembered: everything is offered again\n");
    reference_write_lock(world.ref);
    struct event stop = {.type = EVENT_TENANT_STOP_SET,
                         .as.tenant_stop_set.meta.tenant = TH_STR("tenant-1")};
    for (int i = 0; i < 70000; i++)
        assert_int_equal(reference_apply(world.ref, TOPIC_CONFIG, &stop), TH_OK);
    reference_unlock(world.ref);
    world_step(&world, 0);
    assert_int_equal(toy_offered(slot_core(world.runners[0].is), REFERENCE_TENANT), 12 + 11);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_is_carried_out_once),
        cmocka_unit_test(test_a_commit_that_was_not_answered_grants_nothing),
        cmocka_unit_test(test_faults_repeat_nothing_and_lose_nothing),
        cmocka_unit_test(test_state_after_a_crash_is_the_state_before_it),
        cmocka_unit_test(test_what_makes_no_sense_is_buried_and_its_send_is_told),
        cmocka_unit_test(test_a_dead_letter_is_never_too_large),
        cmocka_unit_test(test_a_dead_letter_keeps_headers),
        cmocka_unit_test(test_headers_make_no_dead_letter_too_large),
        cmocka_unit_test(test_a_slot_without_a_cursor_refuses_to_begin_again),
        cmocka_unit_test(test_an_empty_log_may_be_begun),
        cmocka_unit_test(test_an_own_event_that_cannot_be_read_stops_the_slot),
        cmocka_unit_test(test_an_idle_slot_commits_nothing),
        cmocka_unit_test(test_the_reference_is_whole_before_a_slot_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
