/* A copy in memory: other partitions, other slots, interrupted at every transaction. */
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/copy.h"
#include "common/eventlog/memory_log.h"
#include "common/eventlog/slot.h"
#include "tests/move/story.h"
#include "tests/unit/test.h"

#define CHAPTERS 6
#define BATCH    ((size_t)48 * 1024)

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

static struct th_log *written(int partitions)
{
    struct th_log *log = memory_log(partitions, 1);

    th_virtual_clock_init(&now, INT64_C(1700000000000000));
    story_write(log, CHAPTERS);
    th_virtual_clock_init(&now, INT64_C(1700000000000000) - 77 * TH_US_PER_SEC);
    story_write(log, 1);
    th_virtual_clock_init(&now, INT64_C(1700000000000000) + 60 * TH_US_PER_MIN);
    return log;
}

static struct log_copy copy_of(struct th_log *source, struct th_log *target, int slots)
{
    return (struct log_copy){.source = source,
                             .target = target,
                             .cores = story_cores,
                             .slots = slots,
                             .batch_bytes = BATCH};
}

/* --- whole ------------------------------------------------------------------------------------ */

static void test_a_copy_holds_the_same(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        int from;
        int to;
        int slots;
    } cases[] = {
        {"as many partitions", 4, 4, 2},
        {"more of them", 4, 32, 2},
        {"fewer", 32, 4, 2},
        {"one is enough", 8, 1, 1},
        {"numbers that share no divisor", 4, 7, 3},
        {"more slots", 4, 32, 8},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_log *source = written(cases[i].from);
        struct th_log *target = memory_log(cases[i].to, 2);
        struct log_copy copy = copy_of(source, target, cases[i].slots);
        struct log_copied copied;
        struct th_err err = {0};

        print_message("  %s\n", cases[i].says);
        if (log_copy_run(&copy, &copied, &err) != TH_OK)
            fail_msg("%s", err.text);
        story_is_copied(source, target, cases[i].slots);
        assert_int_equal(copied.records, story_records(source));
        assert_int_equal(copied.resumed, 0);
        assert_int_equal(copied.answers, STORY_KEYS);
        assert_true(log_sums_agree(&copied.source, &copied.target));
        th_log_close(target);
        th_log_close(source);
    }
}

/* --- interrupted ------------------------------------------------------------------------------ */

/* At the nth thing that is told, the log that is filled gets another owner, or is gone. */
struct mishap {
    struct th_log *source;
    struct th_log *target;
    int nth;
    bool is_struck;
};

static void strike(void *arg, const struct log_progress *progress)
{
    struct mishap *mishap = arg;

    assert_true(progress->done <= progress->size);
    if (mishap->nth-- != 0)
        return;
    mishap->is_struck = true;
    memory_log_fence(mishap->target, LOG_APP_COPY, 0);
    memory_log_set_down(mishap->source, MEMORY_DOWN_READ);
    memory_log_set_down(mishap->target, MEMORY_DOWN_READ);
}

static void test_an_interrupted_copy_goes_on(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    bool is_struck = true;
    int strikes = 0;

    for (int nth = 0; is_struck; nth += 7) {
        struct th_log *target = memory_log(7, 3);
        struct mishap mishap = {source, target, nth, false};
        struct log_copy copy = copy_of(source, target, STORY_SLOTS);
        struct log_copied copied;
        struct th_err err = {0};

        copy.watch = (struct log_watch){strike, &mishap};
        enum th_code code = log_copy_run(&copy, &copied, &err);
        is_struck = mishap.is_struck;
        memory_log_set_down(source, 0);
        memory_log_set_down(target, 0);
        if (is_struck) {
            strikes++;
            assert_int_not_equal(code, TH_OK);
            assert_int_equal(th_log_mark(target), LOG_MARK_COPYING); /* shut: move_tests.c */
            copy.watch = (struct log_watch){0};
            code = log_copy_run(&copy, &copied, &err);
        }
        if (code != TH_OK)
            fail_msg("%s", err.text);
        story_is_copied(source, target, STORY_SLOTS);
        assert_true(copied.resumed <= copied.records);
        th_log_close(target);
    }
    print_message("  interrupted at %d places\n", strikes);
    assert_true(strikes > 10);
    th_log_close(source);
}

static void test_lost_answers_and_aborts_repeat_nothing(void **unused)
{
    (void)unused;
    static const enum memory_fate fates[] = {MEMORY_ABORT, MEMORY_LOST_COMMITTED,
                                             MEMORY_LOST_ABORTED};
    struct th_log *source = written(4);

    for (size_t fate = 0; fate < TH_LEN(fates); fate++) {
        struct th_log *target = memory_log(5, 4);
        struct log_copy copy = copy_of(source, target, STORY_SLOTS);
        struct log_copied copied;
        struct th_err err = {0};

        for (uint64_t nth = 0; nth < 20; nth += 3)
            memory_log_plan(target, LOG_APP_COPY, 0, nth, fates[fate]);
        if (log_copy_run(&copy, &copied, &err) != TH_OK)
            fail_msg("%s", err.text);
        story_is_copied(source, target, STORY_SLOTS);
        th_log_close(target);
    }
    th_log_close(source);
}

static void refuses(const struct log_copy *copy, enum th_code code, const char *why)
{
    struct log_copied copied;
    struct th_err err = {0};

    assert_int_equal(log_copy_run(copy, &copied, &err), code);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void test_a_rehearsal_is_finished_later(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    struct th_log *target = memory_log(5, 4);
    struct log_copy copy = copy_of(source, target, STORY_SLOTS);
    struct log_copied copied;
    struct th_err err = {0};

    copy.is_rehearsal = true;
    assert_int_equal(log_copy_run(&copy, &copied, &err), TH_OK);
    uint64_t rehearsed = copied.records;
    assert_int_equal(th_log_mark(source), LOG_MARK_NONE);
    assert_int_equal(th_log_mark(target), LOG_MARK_COPYING);
    copy.is_rehearsal = false;
    assert_int_equal(log_copy_run(&copy, &copied, &err), TH_OK);
    assert_int_equal(copied.resumed, rehearsed);
    story_is_copied(source, target, STORY_SLOTS);
    th_log_close(target);
    th_log_close(source);
}

/* Killed when the source was shut and the copy was not open yet. */
static void test_a_copy_is_finished_from_a_source_that_is_shut(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    struct th_log *target = memory_log(5, 4);
    struct th_log *another = memory_log(5, 6);
    struct log_copy copy = copy_of(source, target, STORY_SLOTS);
    struct log_copied copied;
    struct th_err err = {0};

    copy.is_rehearsal = true;
    assert_int_equal(log_copy_run(&copy, &copied, &err), TH_OK);
    copy.is_rehearsal = false;
    assert_int_equal(th_log_set_mark(source, LOG_MARK_MOVED, th_log_id(target), &err), TH_OK);
    struct log_copy elsewhere = copy_of(source, another, STORY_SLOTS);
    refuses(&elsewhere, TH_CONFLICT, "already: copy that one");
    assert_int_equal(th_log_mark(another), LOG_MARK_NONE);
    assert_int_equal(log_copy_run(&copy, &copied, &err), TH_OK);
    story_is_copied(source, target, STORY_SLOTS);
    th_log_close(another);
    th_log_close(target);
    th_log_close(source);
}

/* --- refused ---------------------------------------------------------------------------------- */

static void test_what_is_not_quiet_is_not_copied(void **unused)
{
    (void)unused;
    static const struct log_output unread = {TOPIC_SEND_REQUESTS, 3, {"k", 1}, .value = {"v", 1}};
    struct th_log *source = written(4);
    struct th_log *target = memory_log(4, 2);
    struct th_log *never_read = memory_log(4, 5);
    struct th_err err = {0};

    assert_int_equal(th_log_append(source, &unread, 1, NULL, &err), TH_OK);
    struct log_copy copy = copy_of(source, target, STORY_SLOTS);
    refuses(&copy, TH_CONFLICT, "retry has read send.requests/3 up to");
    assert_int_equal(th_log_mark(target), LOG_MARK_NONE);

    assert_int_equal(th_log_append(never_read, &unread, 1, NULL, &err), TH_OK);
    copy = copy_of(never_read, target, STORY_SLOTS);
    refuses(&copy, TH_CONFLICT, "retry has never read send.requests/3");
    th_log_close(never_read);
    th_log_close(target);
    th_log_close(source);
}

static void test_a_trimmed_log_is_not_copied_without_its_beginning(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    struct th_log *target = memory_log(4, 2);
    const struct log_place place = {TOPIC_SEND_EVENTS, 1, 20};
    struct log_copy copy = copy_of(source, target, STORY_SLOTS);
    struct th_err err = {0};

    assert_int_equal(th_log_trim(source, &place, 1, &err), TH_OK);
    refuses(&copy, TH_CONFLICT, "the source begins at 20 of send.events/1");
    assert_int_equal(th_log_mark(target), LOG_MARK_NONE);
    th_log_close(target);
    th_log_close(source);
}

static void test_a_target_of_something_else_is_refused(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    struct th_log *full = written(4);
    struct th_log *other = memory_log(4, 6);
    struct th_err err = {0};
    struct log_copy copy = copy_of(source, full, STORY_SLOTS);

    refuses(&copy, TH_CONFLICT, "are the same log"); /* one seed gives one identity */
    th_log_close(full);
    full = memory_log(4, 7);
    story_write(full, 1);
    copy.target = full;
    refuses(&copy, TH_CONFLICT, "the target holds records already");

    copy.target = other;
    assert_int_equal(th_log_set_mark(other, LOG_MARK_COPYING, th_log_id(full), &err), TH_OK);
    refuses(&copy, TH_CONFLICT, "is half a copy of log");
    assert_int_equal(th_log_set_mark(other, LOG_MARK_REPLAYED, th_log_id(full), &err), TH_OK);
    refuses(&copy, TH_CONFLICT, "is replayed from log");
    copy = copy_of(other, full, STORY_SLOTS);
    refuses(&copy, TH_CONFLICT, "the source is replayed itself");
    th_log_close(other);
    th_log_close(full);
    th_log_close(source);
}

static void test_a_copy_that_is_not_equal_stays_shut(void **unused)
{
    (void)unused;
    struct th_log *source = written(4);
    struct th_log *target = memory_log(4, 2);
    static const struct log_output extra = {TOPIC_DEAD_LETTERS, 0, {"extra", 5}, .value = {"v", 1}};
    struct log_copy copy = copy_of(source, target, STORY_SLOTS);
    struct th_err err = {0};

    assert_int_equal(th_log_set_mark(target, LOG_MARK_COPYING, th_log_id(source), &err), TH_OK);
    th_log_admit(target);
    assert_int_equal(th_log_append(target, &extra, 1, NULL, &err), TH_OK);
    refuses(&copy, TH_CORRUPT, "the copy is not equal to the source");
    assert_int_equal(th_log_mark(target), LOG_MARK_COPYING);
    th_log_close(target);
    th_log_close(source);
}

/* --- sums ------------------------------------------------------------------------------------- */

static struct log_sums sums_of(const struct log_output *outputs, size_t n, int64_t at_us)
{
    struct th_log *log = memory_log(1, 8);
    struct log_sums sums;
    struct th_err err = {0};
    int to[TOPIC_COUNT];

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        to[topic] = 1;
    th_virtual_clock_init(&now, at_us);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(th_log_append(log, &outputs[i], 1, NULL, &err), TH_OK);
    assert_int_equal(log_sums_of(log, to, 1, "reading", &(struct log_watch){0}, &sums, &err),
                     TH_OK);
    th_log_close(log);
    return sums;
}

static void test_sums_tell_what_differs(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct log_output outputs[2];
        int64_t at_us;
        bool agree;
    } cases[] = {
        {"the same",
         {{TOPIC_CONFIG, -1, {"a", 1}, .value = {"12", 2}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}}},
         5,
         true},
        {"two records of a key are swapped",
         {{TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"12", 2}}},
         5,
         false},
        {"a byte has moved from one to the next",
         {{TOPIC_CONFIG, -1, {"a", 1}, .value = {"1", 1}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"23", 2}}},
         5,
         false},
        {"a byte has moved from value to key",
         {{TOPIC_CONFIG, -1, {"a1", 2}, .value = {"2", 1}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}}},
         5,
         false},
        {"another topic",
         {{TOPIC_LANE_HEALTH, -1, {"a", 1}, .value = {"12", 2}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}}},
         5,
         false},
        {"another time",
         {{TOPIC_CONFIG, -1, {"a", 1}, .value = {"12", 2}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}}},
         6,
         false},
        {"a header more",
         {{TOPIC_CONFIG, -1, {"a", 1}, {"12", 2}, {"\1n\2v", 4}},
          {TOPIC_CONFIG, -1, {"a", 1}, .value = {"3", 1}}},
         5,
         false},
    };
    struct log_sums first = sums_of(cases[0].outputs, 2, cases[0].at_us);

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_sums sums = sums_of(cases[i].outputs, 2, cases[i].at_us);
        print_message("  %s\n", cases[i].says);
        assert_int_equal(log_sums_agree(&first, &sums), cases[i].agree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_holds_the_same),
        cmocka_unit_test(test_an_interrupted_copy_goes_on),
        cmocka_unit_test(test_lost_answers_and_aborts_repeat_nothing),
        cmocka_unit_test(test_a_rehearsal_is_finished_later),
        cmocka_unit_test(test_a_copy_is_finished_from_a_source_that_is_shut),
        cmocka_unit_test(test_what_is_not_quiet_is_not_copied),
        cmocka_unit_test(test_a_trimmed_log_is_not_copied_without_its_beginning),
        cmocka_unit_test(test_a_target_of_something_else_is_refused),
        cmocka_unit_test(test_a_copy_that_is_not_equal_stays_shut),
        cmocka_unit_test(test_sums_tell_what_differs),
    };
    th_virtual_clock_init(&now, INT64_C(1700000000000000));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
