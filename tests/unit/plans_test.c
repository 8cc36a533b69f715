/* Plans that wait, and the cursor with its bitmap that must never lose or repeat one. */
#include "tests/unit/test.h"

#include "processors/dispatch/plans.h"

#define PART 1

static const struct attempt_plan any_plan = {.n = 1, .lane = 1};

static struct plan *add(struct plans *plans, int64_t offset)
{
    struct plan *plan;

    assert_int_equal(plans_add(plans, PART, offset, &any_plan, &plan), TH_OK);
    return plan;
}

static struct log_cursor cursor_at(const struct plans *plans, int64_t read_to,
                                   struct th_arena *arena)
{
    struct log_cursor cursor;

    assert_int_equal(plans_cursor(plans, PART, read_to, arena, &cursor), TH_OK);
    return cursor;
}

static void commit(struct plans *plans)
{
    plans_close(plans);
    plans_forget(plans);
}

static void test_the_cursor_waits_for_the_first_unsettled(void **unused)
{
    (void)unused;
    struct plans *plans = plans_new(2);
    struct th_arena arena;
    th_arena_init(&arena, (size_t)1 << 20);

    struct plan *first = add(plans, 10);
    struct plan *second = add(plans, 11);
    (void)add(plans, 12);
    assert_int_equal(plans_settle(plans, second), TH_OK);
    struct log_cursor cursor = cursor_at(plans, 13, &arena);
    assert_int_equal(cursor.next.offset, 10);
    assert_int_equal(cursor.note.n, 1);
    assert_int_equal(cursor.note.p[0], 1 << 1);

    assert_int_equal(plans_settle(plans, first), TH_OK);
    cursor = cursor_at(plans, 13, &arena);
    assert_int_equal(cursor.next.offset, 12);
    assert_int_equal(cursor.note.n, 0);
    commit(plans);
    assert_int_equal(plans_waiting(plans), 1);
    plans_free(plans);
    th_arena_fini(&arena);
}

static void test_after_a_restart_settled_ones_stay_settled(void **unused)
{
    (void)unused;
    struct plans *before = plans_new(2);
    struct plans *after = plans_new(2);
    struct th_arena arena;
    th_arena_init(&arena, (size_t)1 << 20);

    for (int64_t offset = 0; offset < 100; offset++) {
        struct plan *plan = add(before, offset);
        if (offset % 3)
            assert_int_equal(plans_settle(before, plan), TH_OK);
    }
    struct log_cursor cursor = cursor_at(before, 100, &arena);
    assert_int_equal(plans_resume(after, &cursor), TH_OK);
    for (int64_t offset = cursor.next.offset; offset < 120; offset++) {
        bool is_new = add(after, offset) != NULL;
        assert_int_equal(is_new, offset >= 100 || offset % 3 == 0);
    }
    plans_free(before);
    plans_free(after);
    th_arena_fini(&arena);
}

static void test_an_undone_batch_settles_nothing(void **unused)
{
    (void)unused;
    struct plans *plans = plans_new(2);
    struct th_arena arena;
    th_arena_init(&arena, (size_t)1 << 20);

    struct plan *first = add(plans, 0);
    struct plan *second = add(plans, 1);
    commit(plans);
    assert_int_equal(plans_settle(plans, first), TH_OK);
    plans_close(plans); /* committing */
    assert_int_equal(plans_settle(plans, second), TH_OK);
    plans_undo(plans);
    assert_int_equal(plans_waiting(plans), 2);
    assert_int_equal(cursor_at(plans, 2, &arena).next.offset, 0);

    assert_int_equal(plans_settle(plans, first), TH_OK);
    assert_int_equal(plans_settle(plans, second), TH_OK);
    commit(plans);
    assert_int_equal(cursor_at(plans, 2, &arena).next.offset, 2);
    plans_free(plans);
    th_arena_fini(&arena);
}

static void test_an_undone_batch_has_read_nothing(void **unused)
{
    (void)unused;
    struct plans *plans = plans_new(2);
    struct th_arena arena;
    th_arena_init(&arena, (size_t)1 << 20);

    (void)add(plans, 0);
    commit(plans);
    (void)add(plans, 1);
    plans_close(plans); /* committing */
    assert_int_equal(plans_settle(plans, add(plans, 2)), TH_OK);
    assert_int_equal(plans_skip(plans, PART, 3), TH_OK);
    plans_undo(plans);
    assert_int_equal(plans_waiting(plans), 1);

    print_message("  they come again, and only then may they be started\n");
    assert_non_null(add(plans, 1));
    assert_non_null(add(plans, 2));
    assert_int_equal(plans_skip(plans, PART, 3), TH_OK);
    assert_int_equal(plans_waiting(plans), 3);

    print_message("  a commit before them forgets nothing that may be undone\n");
    plans_close(plans);
    assert_int_equal(plans_skip(plans, PART, 4), TH_OK);
    assert_int_equal(plans_skip(plans, PART, 5), TH_OK);
    plans_forget(plans);
    plans_undo(plans);
    assert_int_equal(plans_waiting(plans), 3);
    assert_int_equal(plans_skip(plans, PART, 4), TH_OK);
    assert_non_null(add(plans, 5));
    plans_free(plans);
    th_arena_fini(&arena);
}

/* Killed again before everything was read again: a cursor committed in between must not forget what
 * the one before it knew. */
static void test_a_second_restart_repeats_nothing(void **unused)
{
    (void)unused;
    for (int64_t reread = 0; reread <= 100; reread++) {
        struct plans *before = plans_new(2);
        struct plans *between = plans_new(2);
        struct plans *after = plans_new(2);
        struct th_arena arena;
        th_arena_init(&arena, (size_t)1 << 20);

        for (int64_t offset = 0; offset < 100; offset++) {
            struct plan *plan = add(before, offset);
            if (offset % 3)
                assert_int_equal(plans_settle(before, plan), TH_OK);
        }
        struct log_cursor cursor = cursor_at(before, 100, &arena);
        assert_int_equal(plans_resume(between, &cursor), TH_OK);
        for (int64_t offset = 0; offset < reread; offset++) {
            struct plan *plan = add(between, offset);
            if (plan && offset % 2)
                assert_int_equal(plans_settle(between, plan), TH_OK);
        }
        commit(between);
        cursor = cursor_at(between, reread, &arena);
        assert_int_equal(plans_resume(after, &cursor), TH_OK);
        for (int64_t offset = cursor.next.offset; offset < 100; offset++) {
            bool is_new = add(after, offset) != NULL;
            assert_int_equal(is_new, offset % 3 == 0 && (offset >= reread || offset % 2 == 0));
        }
        plans_free(before);
        plans_free(between);
        plans_free(after);
        th_arena_fini(&arena);
    }
}

static void test_the_oldest_is_named_when_the_span_is_too_wide(void **unused)
{
    (void)unused;
    struct plans *plans = plans_new(2);
    struct plan *oldest = add(plans, 0);

    for (int64_t offset = 1; offset < DISPATCH_SPAN_MAX - 1; offset++) {
        assert_int_equal(plans_settle(plans, add(plans, offset)), TH_OK);
        assert_null(plans_overdue(plans, PART));
    }
    (void)add(plans, DISPATCH_SPAN_MAX - 1);
    assert_ptr_equal(plans_overdue(plans, PART), oldest);
    assert_int_equal(plans_settle(plans, oldest), TH_OK);
    assert_null(plans_overdue(plans, PART));
    commit(plans);
    plans_free(plans);
}

/* A slow and a fast lane in one partition: the slow one's plans hold the cursor, never the memory.
 */
static void test_a_slow_lane_costs_no_more_than_the_span(void **unused)
{
    (void)unused;
    struct plans *plans = plans_new(2);
    struct th_arena arena;
    th_arena_init(&arena, (size_t)1 << 20);
    int64_t handed_back = 0;

    for (int64_t offset = 0; offset < 100000; offset++) {
        struct plan *plan = add(plans, offset);
        struct plan *overdue;
        if (offset % 1000) /* fast: at once */
            assert_int_equal(plans_settle(plans, plan), TH_OK);
        while ((overdue = plans_overdue(plans, PART))) {
            assert_int_equal(plans_settle(plans, overdue), TH_OK);
            handed_back++;
        }
        if (offset % 100)
            continue;
        commit(plans);
        struct log_cursor cursor = cursor_at(plans, offset + 1, &arena);
        assert_true(offset + 1 - cursor.next.offset <= DISPATCH_SPAN_MAX);
        th_arena_reset(&arena);
    }
    print_message("  %lld of 100 slow plans were handed back\n", (long long)handed_back);
    assert_in_range(handed_back, 80, 90);
    plans_free(plans);
    th_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cursor_waits_for_the_first_unsettled),
        cmocka_unit_test(test_after_a_restart_settled_ones_stay_settled),
        cmocka_unit_test(test_an_undone_batch_settles_nothing),
        cmocka_unit_test(test_an_undone_batch_has_read_nothing),
        cmocka_unit_test(test_a_second_restart_repeats_nothing),
        cmocka_unit_test(test_the_oldest_is_named_when_the_span_is_too_wide),
        cmocka_unit_test(test_a_slow_lane_costs_no_more_than_the_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
