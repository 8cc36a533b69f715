/* What may be dropped from a log, and that nobody who opens it afterwards misses it. */
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_joined.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/retention.h"
#include "common/eventlog/memory_log.h"
#include "tests/unit/slot_world.h"
#include "tests/unit/test.h"

#define RECORDS 10 /* one a day */

static char folder[64];
static struct th_err err;

static int set_up(void **unused)
{
    (void)unused;
    snprintf(folder, sizeof folder, "/tmp/retention-test.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **unused)
{
    char command[96];

    (void)unused;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder that we made */
}

/* --- the setting --------------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    const char *text;
    enum th_code code;
    int send_events;
    int attempts;
    int audience;
} settings[] = {
    {"nothing is dropped unless somebody says so", "", TH_OK, 0, 0, 0},
    {"days of one topic", "send.events=90", TH_OK, 90, 0, 0},
    {"of two", " send.events=90, dispatch.attempts=30", TH_OK, 90, 30, 0},
    {"of all that may be dropped, and another number of one", "all=365,send.events=7", TH_OK, 7,
     365, 365},
    {"of audiences", "campaign.audience=90", TH_OK, 0, 0, 90},
    {"a topic that there is not", "send.evens=90", TH_INVALID, 0, 0, 0},
    {"a topic that is read from its beginning", "config=90", TH_INVALID, 0, 0, 0},
    {"another one", "consent.events=9000", TH_INVALID, 0, 0, 0},
    {"no number", "send.events", TH_INVALID, 0, 0, 0},
    {"no day", "send.events=0", TH_INVALID, 0, 0, 0},
};

static void test_the_setting(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(settings); i++) {
        int days[TOPIC_COUNT] = {0};
        print_message("  %s\n", settings[i].says);
        assert_int_equal(retention_parse(th_str(settings[i].text), days, &err), settings[i].code);
        if (settings[i].code != TH_OK)
            continue;
        assert_int_equal(days[TOPIC_SEND_EVENTS], settings[i].send_events);
        assert_int_equal(days[TOPIC_DISPATCH_ATTEMPTS], settings[i].attempts);
        assert_int_equal(days[TOPIC_CONFIG], 0);
        assert_int_equal(days[TOPIC_CAMPAIGN_AUDIENCE], settings[i].audience);
    }
}

/* --- what holds ---------------------------------------------------------------------------------
 */

/* A slot that reads send.requests, and whose state is send.events. */
static const struct core_ops reads = {.app = LOG_APP_RETRY,
                                      .own = TOPIC_SEND_EVENTS,
                                      .inputs = UINT32_C(1) << TOPIC_SEND_REQUESTS,
                                      .fold_version = 3,
                                      .pieces = 4};

static const struct {
    const char *says;
    enum topic topic;
    int archived; /* records */
    int days;
    int now_day;
    int64_t cursor;   /* of the slot in send.requests; -1: none */
    int64_t snapshot; /* upto of the slot's; -1: none */
    int fold_version;
    int64_t views; /* -1: they do not fold the topic */
    int64_t upto;
    enum retention_hold hold;
    int64_t in_use; /* 1 + the first record of an audience whose campaign goes on; 0: none */
} cases[] = {
    {"what is archived, old, and read by nobody", TOPIC_DEAD_LETTERS, 10, 4, 10, -1, -1, 3, -1, 6,
     RETENTION_AGE, 0},
    {"nothing without an archive", TOPIC_DEAD_LETTERS, 0, 4, 10, -1, -1, 3, -1, 0,
     RETENTION_ARCHIVE, 0},
    {"not behind where the archive ends", TOPIC_DEAD_LETTERS, 5, 4, 10, -1, -1, 3, -1, 5,
     RETENTION_ARCHIVE, 0},
    {"not the last record", TOPIC_DEAD_LETTERS, 10, 1, 99, -1, -1, 3, -1, 9, RETENTION_LAST, 0},
    {"nothing that is young", TOPIC_DEAD_LETTERS, 10, 30, 10, -1, -1, 3, -1, 0, RETENTION_AGE, 0},
    {"nothing of what a slot reads that never committed", TOPIC_SEND_REQUESTS, 10, 4, 10, -1, -1, 3,
     -1, 0, RETENTION_SLOT, 0},
    {"not behind a slot's cursor", TOPIC_SEND_REQUESTS, 10, 4, 10, 3, -1, 3, -1, 3, RETENTION_SLOT,
     0},
    {"up to the day where the cursor is far ahead", TOPIC_SEND_REQUESTS, 10, 4, 10, 9, -1, 3, -1, 6,
     RETENTION_AGE, 0},
    {"nothing of a state without a snapshot", TOPIC_SEND_EVENTS, 10, 4, 10, 9, -1, 3, -1, 0,
     RETENTION_SNAPSHOT, 0},
    {"not what a snapshot does not hold", TOPIC_SEND_EVENTS, 10, 4, 10, 9, 2, 3, -1, 2,
     RETENTION_SNAPSHOT, 0},
    {"what a snapshot holds", TOPIC_SEND_EVENTS, 10, 4, 10, 9, 8, 3, -1, 6, RETENTION_AGE, 0},
    {"a snapshot of another program's rules holds nothing", TOPIC_SEND_EVENTS, 10, 4, 10, 9, 8, 2,
     -1, 0, RETENTION_SNAPSHOT, 0},
    {"not what the views have not folded", TOPIC_DEAD_LETTERS, 10, 4, 10, -1, -1, 3, 5, 5,
     RETENTION_VIEWS, 0},
    {"nothing that the views know nothing of", TOPIC_DEAD_LETTERS, 10, 4, 10, -1, -1, 3, 0, 0,
     RETENTION_VIEWS, 0},
    {"audiences that nobody uses", TOPIC_CAMPAIGN_AUDIENCE, 10, 4, 10, -1, -1, 3, 10, 6,
     RETENTION_AGE, 0},
    {"not one whose campaign has not ended", TOPIC_CAMPAIGN_AUDIENCE, 10, 4, 10, -1, -1, 3, 10, 3,
     RETENTION_CAMPAIGN, 4},
    {"nothing when that is the first", TOPIC_CAMPAIGN_AUDIENCE, 10, 4, 10, -1, -1, 3, 10, 0,
     RETENTION_CAMPAIGN, 1},
};

static void commit_cursor(struct th_log *log, int64_t offset)
{
    const struct log_cursor cursor = {.next = {TOPIC_SEND_REQUESTS, 0, offset}};
    const struct log_txn txn = {.cursors = &cursor, .cursors_n = 1};
    struct th_log_session *session;
    bool is_answered;

    assert_int_equal(th_log_session_open(log, LOG_APP_RETRY, 0, &session, &err), TH_OK);
    assert_int_equal(th_log_commit_start(session, &txn, &err), TH_OK);
    assert_int_equal(th_log_commit_poll(session, NULL, &is_answered, &err), LOG_COMMITTED);
    th_log_session_close(session, true);
}

/* A record a day; each of the first is an archived segment of its own: none is too short. */
static struct th_log *make_log(struct th_virtual_clock *clock, enum topic topic, int archived,
                               const char *dir)
{
    const struct memory_log_options options = {
        .partitions = 1, .bytes_max = 1 << 20, .clock = &clock->clock, .seed = 5};
    const struct log_output output = {
        .topic = topic, .part = -1, .key = TH_STR("t/a"), .value = TH_STR("v")};
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct th_log *log;

    assert_int_equal(memory_log_new(&options, &log, &err), TH_OK);
    for (int i = 0; i < RECORDS; i++) {
        assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
        if (i < archived || archived == 0)
            assert_int_equal(
                archive_take(log, dir, 1,
                             archived
                                 ? &plan
                                 : &(struct archive_plan){.topics = UINT32_C(1) << TOPIC_CONFIG},
                             &taken, &err),
                TH_OK);
        th_virtual_clock_advance(clock, TH_US_PER_DAY);
    }
    return log;
}

static void test_what_holds(void **unused)
{
    static const struct core_ops *const cores[] = {&reads, NULL};

    (void)unused;
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_virtual_clock clock;
        struct archive_manifest manifest = {0};
        struct retention_part *parts;
        struct th_arena arena;
        int days[TOPIC_COUNT] = {0};
        int64_t segments;
        size_t trimmed;
        size_t n;
        int64_t start;
        char dir[80];

        print_message("  %s\n", cases[i].says);
        snprintf(dir, sizeof dir, "%s/%zu", folder, i);
        th_virtual_clock_init(&clock, 0);
        th_arena_init(&arena, 1 << 20);
        struct th_log *log = make_log(&clock, cases[i].topic, cases[i].archived, dir);
        if (cases[i].cursor >= 0)
            commit_cursor(log, cases[i].cursor);
        struct log_snapshot snapshot = {.upto_offset = cases[i].snapshot,
                                        .fold_version = 2 * cases[i].fold_version,
                                        .body = TH_STR("state")};
        if (cases[i].snapshot >= 0)
            assert_int_equal(th_log_snapshot_put(log, LOG_APP_RETRY, &snapshot, &err), TH_OK);
        assert_int_equal(archive_load_manifest(dir, &manifest, &err), TH_OK);
        days[cases[i].topic] = cases[i].days;
        struct view_step views = {.topic = cases[i].topic, .to = cases[i].views};
        struct log_place needed = {cases[i].topic, 0, cases[i].in_use - 1};
        struct retention retention = {
            .log = log,
            .manifest = &manifest,
            .days = days,
            .cores = cores,
            .slots = 1,
            .views = &views,
            .views_n = cases[i].views > 0,
            .view_topics = cases[i].views >= 0 ? UINT32_C(1) << cases[i].topic : 0,
            .needed = &needed,
            .needed_n = cases[i].in_use > 0,
            .now_us = cases[i].now_day * TH_US_PER_DAY,
        };
        assert_int_equal(retention_plan(&retention, &arena, &parts, &n, &err), TH_OK);
        assert_int_equal(n, 1);
        assert_int_equal(parts[0].upto, cases[i].upto);
        assert_string_equal(retention_hold_text(parts[0].hold), retention_hold_text(cases[i].hold));
        assert_int_equal(retention_verify(dir, &manifest, parts, n, &segments, &err), TH_OK);
        assert_int_equal(segments, cases[i].upto);
        assert_int_equal(retention_apply(log, parts, n, &trimmed, &err), TH_OK);
        assert_int_equal(trimmed, cases[i].upto > 0);
        assert_int_equal(th_log_start(log, cases[i].topic, 0, &start, &err), TH_OK);
        assert_int_equal(start, cases[i].upto);
        archive_manifest_fini(&manifest);
        th_log_close(log);
        th_arena_fini(&arena);
    }
}

/* What would be dropped and is damaged in the archive is not dropped. */
static void test_a_damaged_archive_drops_nothing(void **unused)
{
    struct th_virtual_clock clock;
    struct archive_manifest manifest = {0};
    struct retention_part part = {.topic = TOPIC_DEAD_LETTERS, .upto = 4, .end = RECORDS};
    int64_t segments;
    char command[200];

    (void)unused;
    th_virtual_clock_init(&clock, 0);
    struct th_log *log = make_log(&clock, TOPIC_DEAD_LETTERS, RECORDS, folder);
    assert_int_equal(archive_load_manifest(folder, &manifest, &err), TH_OK);
    snprintf(command, sizeof command,
             "printf X | dd of='%s/dead.letters/0/%020d.seg' bs=1 seek=180 "
             "conv=notrunc status=none",
             folder, 3);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    assert_int_equal(retention_verify(folder, &manifest, &part, 1, &segments, &err), TH_CORRUPT);
    part.upto = 3; /* the segments before it are whole */
    assert_int_equal(retention_verify(folder, &manifest, &part, 1, &segments, &err), TH_OK);
    archive_manifest_fini(&manifest);
    th_log_close(log);
}

/* --- a log and its archive as one ---------------------------------------------------------------
 */

#define JOINED_PARTS 3

static struct th_log *make_wide_log(struct th_virtual_clock *clock)
{
    const struct memory_log_options options = {
        .partitions = JOINED_PARTS, .bytes_max = 1 << 24, .clock = &clock->clock, .seed = 6};
    struct th_log *log;

    assert_int_equal(memory_log_new(&options, &log, &err), TH_OK);
    for (int i = 0; i < 600; i++) {
        char value[40];
        int n = snprintf(value, sizeof value, "value %d", i);
        struct log_output output = {.topic = TOPIC_DISPATCH_ATTEMPTS,
                                    .part = i % JOINED_PARTS,
                                    .key = TH_STR("t/lane"),
                                    .value = {value, (size_t)n}};
        assert_int_equal(th_log_append(log, &output, 1, NULL, &err), TH_OK);
        th_virtual_clock_advance(clock, TH_US_PER_SEC);
    }
    return log;
}

/* Every partition from its place to the end: all values in order, none twice. */
static void assert_whole(struct th_log_reader *reader, int64_t next[JOINED_PARTS], size_t bytes_max)
{
    struct log_records records;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 22);
    do {
        th_arena_reset(&arena);
        if (th_log_reader_read(reader, bytes_max, &arena, &records, &err) != TH_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < records.n; i++) {
            const struct log_record *record = &records.at[i];
            int part = record->place.part;
            char value[40];
            assert_int_equal(record->place.offset, next[part]);
            int n =
                snprintf(value, sizeof value, "value %d", (int)next[part] * JOINED_PARTS + part);
            assert_str_equal(record->value, ((struct th_str){value, (size_t)n}));
            next[part]++;
        }
    } while (records.n > 0);
    for (int part = 0; part < JOINED_PARTS; part++)
        assert_int_equal(next[part], 200);
    th_arena_fini(&arena);
}

static void test_a_trimmed_log_and_its_archive_are_whole(void **unused)
{
    static const size_t sizes[] = {1, 300, 1 << 20};
    struct log_place from[JOINED_PARTS];
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct th_virtual_clock clock;
    struct th_log *joined;
    bool is_needed;
    int64_t start;

    (void)unused;
    th_virtual_clock_init(&clock, 0);
    struct th_log *log = make_wide_log(&clock);
    assert_int_equal(archive_take(log, folder, 700, &plan, &taken, &err), TH_OK);
    assert_int_equal(archive_is_needed(log, &is_needed, &err), TH_OK);
    assert_false(is_needed);
    struct log_place trims[] = {{TOPIC_DISPATCH_ATTEMPTS, 0, 150}, {TOPIC_DISPATCH_ATTEMPTS, 2, 7}};
    assert_int_equal(th_log_trim(log, trims, 2, &err), TH_OK);
    assert_int_equal(archive_is_needed(log, &is_needed, &err), TH_OK);
    assert_true(is_needed);
    assert_int_equal(archive_joined_open(log, folder, &joined, &err), TH_OK);
    assert_string_equal(th_log_id(joined), th_log_id(log));
    assert_int_equal(th_log_start(joined, TOPIC_DISPATCH_ATTEMPTS, 0, &start, &err), TH_OK);
    assert_int_equal(start, 0);
    for (size_t i = 0; i < TH_LEN(sizes); i++)
        for (int64_t offset = 0; offset < 200; offset += 49) {
            struct th_log_reader *reader;
            int64_t next[JOINED_PARTS];
            for (int part = 0; part < JOINED_PARTS; part++) {
                from[part] = (struct log_place){TOPIC_DISPATCH_ATTEMPTS, part, offset};
                next[part] = offset;
            }
            assert_int_equal(th_log_reader_open(joined, from, JOINED_PARTS, &reader, &err), TH_OK);
            assert_whole(reader, next, sizes[i]);
            th_log_reader_seek(reader, (struct log_place){TOPIC_DISPATCH_ATTEMPTS, 0, 149});
            next[0] = 149;
            assert_whole(reader, next, sizes[i]);
            th_log_reader_close(reader);
        }

    /* It is trimmed further while somebody reads. */
    struct th_log_reader *reader;
    int64_t next[JOINED_PARTS] = {0};
    for (int part = 0; part < JOINED_PARTS; part++)
        from[part].offset = 0;
    assert_int_equal(th_log_reader_open(joined, from, JOINED_PARTS, &reader, &err), TH_OK);
    struct log_records records;
    struct th_arena arena;
    th_arena_init(&arena, 1 << 20);
    assert_int_equal(th_log_reader_read(reader, 1, &arena, &records, &err), TH_OK);
    next[records.at[0].place.part] = 1;
    trims[1].offset = 190;
    assert_int_equal(th_log_trim(joined, trims, 2, &err), TH_OK);
    assert_whole(reader, next, 500);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    th_log_close(joined);
}

static void test_what_is_in_neither_is_said(void **unused)
{
    struct log_place trim = {TOPIC_DISPATCH_ATTEMPTS, 1, 50};
    struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, 1, 10};
    struct archive_plan plan = {.topics = UINT32_C(1) << TOPIC_CONFIG};
    struct archive_taken taken;
    struct th_virtual_clock clock;
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_log *joined;

    (void)unused;
    th_virtual_clock_init(&clock, 0);
    struct th_log *log = make_wide_log(&clock);
    assert_int_equal(archive_take(log, folder, 0, &plan, &taken, &err), TH_OK); /* not this topic */
    assert_int_equal(th_log_trim(log, &trim, 1, &err), TH_OK);
    assert_int_equal(archive_joined_open(log, folder, &joined, &err), TH_OK);
    assert_int_equal(th_log_reader_open(joined, &from, 1, &reader, &err), TH_OK);
    th_arena_init(&arena, 1 << 20);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, &err), TH_CORRUPT);
    assert_non_null(strstr(err.text, "neither"));
    th_log_reader_seek(reader, trim);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, &err), TH_OK);
    assert_int_equal(records.at[0].place.offset, 50);
    th_arena_fini(&arena);
    th_log_reader_close(reader);

    th_log_close(joined);
}

/* Read from the beginning: the code, and what is said. */
static void assert_refused(struct th_log *joined, enum th_code code, const char *words)
{
    struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, 1, 0};
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    assert_int_equal(th_log_reader_open(joined, &from, 1, &reader, &err), TH_OK);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, &err), code);
    assert_non_null(strstr(err.text, words));
    th_log_reader_close(reader);
    th_arena_fini(&arena);
}

/* It is opened while there is no archive; what is archived and dropped then, and again, is read by
 * readers that were there before and by new ones. An archive that is away is missed only by who
 * needs it, and only as long as it is away. */
static void test_a_log_that_is_open_stays_whole(void **unused)
{
    struct log_place trim = {TOPIC_DISPATCH_ATTEMPTS, 1, 60};
    struct log_place from[JOINED_PARTS];
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct th_virtual_clock clock;
    struct th_log_reader *early;
    struct th_log_reader *late;
    int64_t next[2][JOINED_PARTS] = {0};
    struct th_log *joined;
    char away[80];

    (void)unused;
    th_virtual_clock_init(&clock, 0);
    struct th_log *log = make_wide_log(&clock);
    assert_int_equal(archive_joined_open(log, folder, &joined, &err), TH_OK);
    for (int part = 0; part < JOINED_PARTS; part++)
        from[part] = (struct log_place){TOPIC_DISPATCH_ATTEMPTS, part, 0};
    assert_int_equal(th_log_trim(log, &trim, 1, &err), TH_OK);
    assert_refused(joined, TH_NOT_FOUND, "there is no archive in");
    th_log_close(joined);

    log = make_wide_log(&clock);
    assert_int_equal(archive_joined_open(log, folder, &joined, &err), TH_OK);
    assert_int_equal(th_log_reader_open(joined, from, JOINED_PARTS, &early, &err), TH_OK);
    assert_int_equal(archive_take(log, folder, 700, &plan, &taken, &err), TH_OK);
    assert_int_equal(th_log_trim(log, &trim, 1, &err), TH_OK);
    assert_whole(early, next[0], 100);
    assert_int_equal(th_log_reader_open(joined, from, JOINED_PARTS, &late, &err), TH_OK);
    snprintf(away, sizeof away, "%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    assert_refused(joined, TH_NOT_FOUND, "there is no archive in");
    assert_int_equal(rename(away, folder), 0);
    assert_whole(late, next[1], 1 << 20);
    th_log_reader_close(late);
    th_log_reader_close(early);
    th_log_close(joined);
}

static void test_another_logs_archive_is_refused(void **unused)
{
    const struct log_output output = {
        .topic = TOPIC_DISPATCH_ATTEMPTS, .part = 1, .key = TH_STR("t/a"), .value = TH_STR("v")};
    struct log_place trim = {TOPIC_DISPATCH_ATTEMPTS, 1, 1};
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct th_virtual_clock clock;
    struct th_log *joined;
    struct th_log *other;

    (void)unused;
    th_virtual_clock_init(&clock, 0);
    const struct memory_log_options options = {
        .partitions = JOINED_PARTS, .bytes_max = 1 << 20, .clock = &clock.clock, .seed = 77};
    struct th_log *log = make_wide_log(&clock);
    assert_int_equal(archive_take(log, folder, 700, &plan, &taken, &err), TH_OK);
    assert_int_equal(memory_log_new(&options, &other, &err), TH_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(th_log_append(other, &output, 1, NULL, &err), TH_OK);
    assert_int_equal(th_log_trim(other, &trim, 1, &err), TH_OK);
    assert_int_equal(archive_joined_open(other, folder, &joined, &err), TH_OK);
    assert_refused(joined, TH_CONFLICT, "holds the archive of the log");
    th_log_close(joined);
    th_log_close(log);
}

/* --- slots --------------------------------------------------------------------------------------
 */

static const struct {
    const char *says;
    const struct core_ops *core;
} slots[] = {
    {"whose state lies in pieces of one moment", &toy_core},
    {"whose state lies in pieces of many moments", &toy_core_by_piece},
};

static size_t trim_all(struct world *world, const char *dir)
{
    const struct core_ops *const cores[] = {world->core, NULL};
    struct archive_manifest manifest = {0};
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct retention_part *parts;
    struct th_arena arena;
    int days[TOPIC_COUNT];
    size_t trimmed;
    size_t n;

    th_arena_init(&arena, 1 << 24);
    assert_int_equal(archive_take(world->log, dir, 4000, &plan, &taken, &err), TH_OK);
    assert_int_equal(archive_load_manifest(dir, &manifest, &err), TH_OK);
    assert_int_equal(retention_parse(TH_STR("all=1"), days, &err), TH_OK);
    struct retention retention = {
        .log = world->log,
        .manifest = &manifest,
        .days = days,
        .cores = cores,
        .slots = WORLD_SLOTS,
        .now_us = th_clock_realtime_us(&world->clock.clock) + 9 * TH_US_PER_DAY,
    };
    assert_int_equal(retention_plan(&retention, &arena, &parts, &n, &err), TH_OK);
    assert_int_equal(retention_apply(world->log, parts, n, &trimmed, &err), TH_OK);
    archive_manifest_fini(&manifest);
    th_arena_fini(&arena);
    return trimmed;
}

static bool is_trimmed(struct world *world, enum topic topic)
{
    int64_t start = 0;

    for (int part = 0; part < WORLD_PARTITIONS && start == 0; part++)
        assert_int_equal(th_log_start(world->log, topic, part, &start, &err), TH_OK);
    return start > 0;
}

static void test_slots_open_from_their_snapshots_and_the_rest(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < TH_LEN(slots); i++) {
        TH_AUTO(th_buf) struct th_buf before = {0};
        TH_AUTO(th_buf) struct th_buf after = {0};
        struct world world;
        char dir[80];

        print_message("  a slot %s\n", slots[i].says);
        snprintf(dir, sizeof dir, "%s/%zu", folder, i);
        world_init(&world, i, slots[i].core);
        world.snapshot_bytes_min = 1000;
        for (int turn = 0; turn < 800; turn++) {
            world_request(&world, CHANNEL_SMS);
            world_turn(&world);
        }
        world_settle(&world);
        world_save(&world, &before);
        assert_true(trim_all(&world, dir) > 0);
        assert_true(is_trimmed(&world, slots[i].core->own)); /* so that this shows anything */
        world_crash(&world, 0);
        world_crash(&world, 1);
        world_settle(&world);
        world_save(&world, &after);
        assert_str_equal(th_buf_str(&before), th_buf_str(&after));
        world_fini(&world);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_setting),
        CASE(test_what_holds),
        CASE(test_a_damaged_archive_drops_nothing),
        CASE(test_a_trimmed_log_and_its_archive_are_whole),
        CASE(test_what_is_in_neither_is_said),
        CASE(test_a_log_that_is_open_stays_whole),
        CASE(test_another_logs_archive_is_refused),
        CASE(test_slots_open_from_their_snapshots_and_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
