/* What only the memory log promises: the faults that a test orders, its bound, its determinism.
 * What every log promises is in tests/conformance. */
#include "tests/unit/test.h"

#include <string.h>

#include "common/clock.h"
#include "common/eventlog/memory_log.h"
#include "tests/unit/failing_malloc.h"

#define APP  LOG_APP_CAMPAIGN
#define SLOT 0

static struct th_virtual_clock virtual_clock;

static struct memory_log_options options(void)
{
    th_virtual_clock_init(&virtual_clock, 1000);
    return (struct memory_log_options){.partitions = 2,
                                       .bytes_max = (size_t)1 << 20,
                                       .clock = &virtual_clock.clock,
                                       .seed = 7,
                                       .is_quiet = true};
}

static struct th_log *new_log(const struct memory_log_options *with)
{
    struct th_log *log = NULL;

    assert_int_equal(memory_log_new(with, &log, NULL), TH_OK);
    return log;
}

static struct th_log_session *open_session(struct th_log *log)
{
    struct th_log_session *session = NULL;

    assert_int_equal(th_log_session_open(log, APP, SLOT, &session, NULL), TH_OK);
    return session;
}

static const struct log_output output = {
    TOPIC_DISPATCH_ATTEMPTS, 0, {"t/lane", 6}, .value = {"value", 5}};

static enum th_code start(struct th_log_session *session, int64_t next)
{
    const struct log_cursor cursor = {.next = {TOPIC_CAMPAIGN_COMMANDS, 0, next}};

    return th_log_commit_start(
        session,
        &(struct log_txn){.outputs = &output, .outputs_n = 1, .cursors = &cursor, .cursors_n = 1},
        NULL);
}

static enum log_commit poll_once(struct th_log_session *session, struct th_err *err)
{
    bool is_answered;

    return th_log_commit_poll(session, NULL, &is_answered, err);
}

static enum log_commit commit(struct th_log_session *session, int64_t next)
{
    assert_int_equal(start(session, next), TH_OK);
    return poll_once(session, NULL);
}

static int64_t end_of(struct th_log *log)
{
    int64_t end = -1;

    assert_int_equal(th_log_end(log, TOPIC_DISPATCH_ATTEMPTS, 0, &end, NULL), TH_OK);
    return end;
}

/* --- fates -------------------------------------------------------------------------------------
 */

static void test_the_nth_commit_gets_its_fate(void **unused)
{
    static const struct {
        enum memory_fate fate;
        enum log_commit outcome;
        bool is_answered;
        int64_t end;
    } steps[] = {
        {MEMORY_COMMIT, LOG_COMMITTED, true, 1},
        {MEMORY_ABORT, LOG_ABORTED, false, 1},
        {MEMORY_LOST_COMMITTED, LOG_COMMITTED, false, 2},
        {MEMORY_LOST_ABORTED, LOG_ABORTED, false, 2},
        {MEMORY_COMMIT, LOG_COMMITTED, true, 3},
    };
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    struct th_log_session *session = open_session(log);

    (void)unused;
    for (size_t i = TH_LEN(steps); i-- > 0;)
        if (steps[i].fate != MEMORY_COMMIT)
            memory_log_plan(log, APP, SLOT, i, steps[i].fate);
    for (size_t i = 0; i < TH_LEN(steps); i++) {
        bool is_answered = !steps[i].is_answered;
        assert_int_equal(start(session, 0), TH_OK);
        assert_int_equal(th_log_commit_poll(session, NULL, &is_answered, NULL), steps[i].outcome);
        assert_int_equal(is_answered, steps[i].is_answered);
        assert_int_equal(end_of(log), steps[i].end);
    }
    th_log_session_close(session, true);
    th_log_close(log);
}

static enum memory_fate alternate(void *arg, enum log_app app, int slot, uint64_t seq)
{
    (void)app, (void)slot, (void)seq;
    return ++*(int *)arg % 2 ? MEMORY_ABORT : MEMORY_COMMIT;
}

static void test_a_simulation_chooses_fates_itself(void **unused)
{
    int asked = 0;
    struct memory_log_options with = options();
    with.fate = alternate;
    with.fate_arg = &asked;
    struct th_log *log = new_log(&with);
    struct th_log_session *session = open_session(log);

    (void)unused;
    for (int i = 0; i < 6; i++)
        assert_int_equal(commit(session, i), i % 2 ? LOG_COMMITTED : LOG_ABORTED);
    memory_log_plan(log, APP, SLOT, 0, MEMORY_LOST_ABORTED); /* a plan comes first */
    assert_int_equal(commit(session, 9), LOG_ABORTED);
    assert_int_equal(asked, 6);
    th_log_session_close(session, true);
    th_log_close(log);
}

static void test_a_held_commit_waits_for_the_test(void **unused)
{
    static const struct {
        const char *says;
        enum memory_fate fate;
        enum log_commit outcome;
        bool is_answered;
        int64_t landed;
    } cases[] = {
        {"it lands", MEMORY_COMMIT, LOG_COMMITTED, true, 1},
        {"it lands, and the answer is lost", MEMORY_LOST_COMMITTED, LOG_COMMITTED, false, 1},
        {"it is rolled back", MEMORY_ABORT, LOG_ABORTED, false, 0},
        {"it is rolled back, and the answer is lost", MEMORY_LOST_ABORTED, LOG_ABORTED, false, 0},
    };
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    struct th_log_session *session = open_session(log);
    bool is_answered;

    (void)unused;
    assert_false(memory_log_settle(log, APP, SLOT, MEMORY_COMMIT));
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        int64_t end = end_of(log);
        print_message("  %s\n", cases[i].says);
        memory_log_plan(log, APP, SLOT, 0, MEMORY_HOLD);
        assert_int_equal(commit(session, 1), LOG_COMMIT_PENDING);
        assert_int_equal(end_of(log), end);
        assert_true(memory_log_settle(log, APP, SLOT, cases[i].fate));
        assert_int_equal(end_of(log), end + cases[i].landed);
        assert_int_equal(th_log_commit_poll(session, NULL, &is_answered, NULL), cases[i].outcome);
        assert_int_equal(is_answered, cases[i].is_answered);
    }
    th_log_session_close(session, true);
    th_log_close(log);
}

static void test_a_commit_in_flight_outlives_its_process(void **unused)
{
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    struct th_log_session *session = open_session(log);
    const struct log_cursor *cursors;
    size_t n;

    (void)unused;
    memory_log_plan(log, APP, SLOT, 0, MEMORY_HOLD);
    assert_int_equal(commit(session, 5), LOG_COMMIT_PENDING);
    memory_log_crash(log);
    th_log_session_close(session, false);
    assert_true(memory_log_settle(log, APP, SLOT, MEMORY_COMMIT));
    session = open_session(log);
    th_log_session_cursors(session, &cursors, &n);
    assert_int_equal(n, 1);
    assert_int_equal(cursors[0].next.offset, 5);

    memory_log_plan(log, APP, SLOT, 0, MEMORY_HOLD);
    assert_int_equal(commit(session, 6), LOG_COMMIT_PENDING);
    th_log_session_close(session, false); /* still in flight when the log is closed */
    th_log_close(log);
}

static void test_what_is_in_flight_is_too_late_for_a_new_owner(void **unused)
{
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    struct th_log_session *slow = open_session(log);

    (void)unused;
    memory_log_plan(log, APP, SLOT, 0, MEMORY_HOLD);
    assert_int_equal(commit(slow, 1), LOG_COMMIT_PENDING);
    struct th_log_session *owner = open_session(log);
    assert_false(memory_log_settle(log, APP, SLOT, MEMORY_COMMIT));
    assert_int_equal(poll_once(slow, NULL), LOG_FENCED);
    assert_int_equal(end_of(log), 0);
    th_log_session_close(slow, true);
    th_log_session_close(owner, true);
    th_log_close(log);
}

static void test_fenced_and_crashed_sessions_are_told_so(void **unused)
{
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    struct th_log_session *fenced = open_session(log);

    (void)unused;
    memory_log_plan(log, APP, SLOT, 0, MEMORY_HOLD);
    assert_int_equal(commit(fenced, 1), LOG_COMMIT_PENDING);
    memory_log_fence(log, APP, SLOT);
    assert_true(memory_log_settle(log, APP, SLOT, MEMORY_COMMIT));
    assert_int_equal(poll_once(fenced, NULL), LOG_FENCED);
    th_log_session_close(fenced, false);

    struct th_log_session *idle = open_session(log);
    memory_log_crash(log);
    assert_int_equal(commit(idle, 1), LOG_FENCED);
    th_log_session_close(idle, false);
    assert_int_equal(end_of(log), 0);
    th_log_close(log);
}

/* --- away, full, out of memory -----------------------------------------------------------------
 */

static void test_a_log_that_is_away(void **unused)
{
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    const struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct th_log_session *session = NULL;
    struct th_log_reader *reader = NULL;
    struct log_records records = {0};
    struct log_place place = {.offset = 77};
    struct log_snapshot snapshot = {0}, *found;
    struct log_claim claim = {.key = TH_STR("k"), .outputs = &output, .outputs_n = 1};
    struct th_arena arena;
    int64_t end;
    size_t n;

    (void)unused;
    th_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(th_log_reader_open(log, &from, 1, &reader, NULL), TH_OK);

    memory_log_set_down(log, MEMORY_DOWN_APPEND);
    assert_int_equal(th_log_append(log, &output, 1, &place, NULL), TH_UNAVAILABLE);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_UNAVAILABLE);
    assert_int_equal(th_log_snapshot_put(log, APP, &snapshot, NULL), TH_UNAVAILABLE);
    assert_int_equal(end_of(log), 0);
    memory_log_set_down(log, MEMORY_DOWN_APPEND_LOST);
    assert_int_equal(th_log_append(log, &output, 1, &place, NULL), TH_UNAVAILABLE);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_UNAVAILABLE);
    assert_int_equal(end_of(log), 2);
    assert_int_equal(place.offset, 77);
    memory_log_set_down(log, MEMORY_DOWN_READ | MEMORY_DOWN_OPEN);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, NULL), TH_UNAVAILABLE);
    assert_int_equal(th_log_end(log, from.topic, 0, &end, NULL), TH_UNAVAILABLE);
    assert_int_equal(
        th_log_snapshot_get(log, APP, 0, (struct log_pieces){0, 1}, 0, &arena, &found, &n, NULL),
        TH_UNAVAILABLE);
    assert_int_equal(th_log_session_open(log, APP, SLOT, &session, NULL), TH_UNAVAILABLE);
    memory_log_set_down(log, 0);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_OK);
    assert_int_equal(claim.outcome, LOG_CLAIM_REPLAYED);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, NULL), TH_OK);
    assert_int_equal(records.n, 2);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    th_log_close(log);
}

static void test_beyond_its_bound_it_is_full_and_whole(void **unused)
{
    struct memory_log_options with = options();
    with.bytes_max = (size_t)10 * (32 + 11); /* ten of our records */
    struct th_log *log = new_log(&with);
    struct th_log_session *session = open_session(log);
    const struct log_output two[] = {output, output};
    struct log_claim claim = {.key = TH_STR("k"), .outputs = &output, .outputs_n = 1};
    struct th_arena arena;
    struct th_err err = {0};

    (void)unused;
    th_arena_init(&arena, (size_t)1 << 20);
    for (int i = 0; i < 9; i++)
        assert_int_equal(th_log_append(log, &output, 1, NULL, NULL), TH_OK);
    size_t bytes = memory_log_bytes(log);
    assert_int_equal(bytes, 9 * (32 + 11));
    assert_int_equal(th_log_append(log, two, 2, NULL, NULL), TH_FULL);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_FULL);
    assert_int_equal(memory_log_bytes(log), bytes);
    assert_int_equal(end_of(log), 9);
    assert_int_equal(commit(session, 1), LOG_COMMITTED);
    assert_int_equal(start(session, 2), TH_OK);
    assert_int_equal(poll_once(session, &err), LOG_ABORTED);
    assert_int_equal(err.code, TH_FULL);
    assert_int_equal(end_of(log), 10);
    th_log_session_close(session, true);
    th_arena_fini(&arena);
    th_log_close(log);
}

/* Any allocation fails: the call happened, or it did not. */
static void test_without_memory_nothing_is_half_done(void **unused)
{
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, (size_t)1 << 20);
    for (long left = 0; left < 30; left++) {
        struct memory_log_options with = options();
        struct th_log *log = new_log(&with);
        struct th_log_session *session = open_session(log);
        struct log_claim claim = {.key = TH_STR("k"), .outputs = &output, .outputs_n = 1};
        const struct log_output two[] = {output, {TOPIC_CONFIG, -1, {"k", 1}, .value = {"v", 1}}};
        int64_t configs = 0, stored = 0;
        bool is_committed = false;

        mallocs_left = left;
        bool is_appended = th_log_append(log, two, 2, NULL, NULL) == TH_OK;
        bool is_ingested = th_log_ingest(log, &claim, 1, &arena, NULL) == TH_OK;
        if (start(session, 1) == TH_OK)
            is_committed = poll_once(session, NULL) == LOG_COMMITTED;
        mallocs_left = -1;
        assert_int_equal(th_log_end(log, TOPIC_CONFIG, 0, &configs, NULL), TH_OK);
        assert_int_equal(configs, is_appended);
        stored = is_appended + is_ingested + is_committed;
        assert_int_equal(end_of(log), stored);
        assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_OK);
        assert_int_equal(claim.outcome, is_ingested ? LOG_CLAIM_REPLAYED : LOG_CLAIM_STORED);
        assert_true(left < 29 || stored == 3);
        th_log_session_close(session, true);
        th_log_close(log);
        th_arena_reset(&arena);
    }
    th_arena_fini(&arena);
}

/* --- time and chance ---------------------------------------------------------------------------
 */

static void test_time_comes_from_its_clock(void **unused)
{
    static const int64_t two_days_us = 2 * TH_US_PER_DAY;
    struct memory_log_options with = options();
    struct th_log *log = new_log(&with);
    const struct log_place from = {TOPIC_DISPATCH_ATTEMPTS, 0, 0};
    struct log_claim claim = {.key = TH_STR("k"), .outputs = &output, .outputs_n = 1};
    struct th_log_reader *reader = NULL;
    struct log_records records = {0};
    struct th_arena arena;

    (void)unused;
    th_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_OK);
    th_virtual_clock_advance(&virtual_clock, two_days_us);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_OK);
    assert_int_equal(claim.outcome, LOG_CLAIM_REPLAYED);
    th_virtual_clock_advance(&virtual_clock, 1);
    assert_int_equal(th_log_ingest(log, &claim, 1, &arena, NULL), TH_OK);
    assert_int_equal(claim.outcome, LOG_CLAIM_STORED);
    assert_int_equal(th_log_reader_open(log, &from, 1, &reader, NULL), TH_OK);
    assert_int_equal(th_log_reader_read(reader, 100, &arena, &records, NULL), TH_OK);
    assert_int_equal(records.n, 2);
    assert_int_equal(records.at[0].at_us, 1000);
    assert_int_equal(records.at[1].at_us, 1000 + two_days_us + 1);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    th_log_close(log);
}

static void test_the_seed_decides_the_rest(void **unused)
{
    char ids[3][36 + 1];
    uint64_t nonces[3];

    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        struct memory_log_options with = options();
        with.seed = i == 2 ? 8 : 7;
        struct th_log *log = new_log(&with);
        struct th_log_session *session = open_session(log);
        struct th_log_listener *listener = NULL;

        memcpy(ids[i], th_log_id(log), sizeof ids[i]);
        nonces[i] = th_log_session_nonce(session);
        assert_int_equal(th_log_session_fd(session), -1);
        assert_int_equal(th_log_listener_open(log, 1, &listener, NULL), TH_OK);
        assert_int_equal(th_log_listener_fd(listener), -1);
        assert_int_equal(th_log_append(log, &output, 1, NULL, NULL), TH_OK);
        th_log_listener_clear(listener);
        th_log_listener_close(listener);
        th_log_session_close(session, true);
        th_log_close(log);
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    assert_true(nonces[0] == nonces[1]);
    assert_true(nonces[0] != nonces[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nth_commit_gets_its_fate),
        cmocka_unit_test(test_a_simulation_chooses_fates_itself),
        cmocka_unit_test(test_a_held_commit_waits_for_the_test),
        cmocka_unit_test(test_a_commit_in_flight_outlives_its_process),
        cmocka_unit_test(test_what_is_in_flight_is_too_late_for_a_new_owner),
        cmocka_unit_test(test_fenced_and_crashed_sessions_are_told_so),
        cmocka_unit_test(test_a_log_that_is_away),
        cmocka_unit_test(test_beyond_its_bound_it_is_full_and_whole),
        cmocka_unit_test(test_without_memory_nothing_is_half_done),
        cmocka_unit_test(test_time_comes_from_its_clock),
        cmocka_unit_test(test_the_seed_decides_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
