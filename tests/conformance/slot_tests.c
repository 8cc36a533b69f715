/* A slot's transaction is its outputs and its cursor; both outlive whoever committed them. */
#include <string.h>

#include "tests/conformance/fixture.h"

static void test_a_new_slot_knows_nothing(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    const struct log_cursor *cursors;
    size_t n = 77;

    th_log_session_cursors(session, &cursors, &n);
    assert_int_equal(n, 0);
    th_log_session_close(session, true);
}

static void test_outputs_and_cursor_land_together(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    uint64_t first_seq = th_log_session_next_seq(session);
    const struct log_output outputs[] = {
        lane_output(1, TH_STR("one")),
        keyed_output(TH_STR("t/abc"), TH_STR("two")),
        lane_output(1, TH_STR("three")),
    };
    const struct log_cursor cursors[] = {
        {{TOPIC_SEND_OUTCOMES, 1, 7}, TH_STR("a note\0with a NUL")},
        {{TOPIC_SEND_REQUESTS, 3, 0}, {NULL, 0}},
    };
    struct log_place places[3];
    const struct log_cursor *kept;
    bool is_answered;
    size_t n;

    SUCCEEDS(f, th_log_commit_start(
                    session,
                    &(struct log_txn){
                        .outputs = outputs, .outputs_n = 3, .cursors = cursors, .cursors_n = 2},
                    &f->err));
    assert_int_equal(finish(session, places, &is_answered, &f->err), LOG_COMMITTED);
    assert_true(is_answered);
    assert_int_equal(places[0].part, 1);
    assert_nth(f, places[0].offset, 0);
    assert_int_equal(places[1].topic, TOPIC_SEND_REQUESTS);
    assert_nth(f, places[2].offset, 1);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 1, (const char *const[]){"one", "three"}, 2);
    assert_holds(f, TOPIC_SEND_REQUESTS, places[1].part, (const char *const[]){"two"}, 1);

    for (int round = 0; round < 2; round++) { /* in the session itself, and after a restart */
        assert_int_equal(th_log_session_next_seq(session), first_seq + 1);
        th_log_session_cursors(session, &kept, &n);
        assert_int_equal(n, 2);
        for (size_t i = 0; i < n; i++) { /* in whatever order */
            const struct log_cursor *as = &cursors[kept[i].next.topic == TOPIC_SEND_REQUESTS];
            assert_int_equal(kept[i].next.topic, as->next.topic);
            assert_int_equal(kept[i].next.part, as->next.part);
            assert_int_equal(kept[i].next.offset, as->next.offset);
            assert_str_equal(kept[i].note, as->note);
        }
        th_log_session_close(session, false);
        reopen(f);
        session = open_session(f, f->log);
    }
    th_log_session_close(session, true);
}

static void test_the_largest_note_is_kept(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    char much[LOG_NOTE_SIZE_MAX + 1];
    struct log_cursor cursors[CONFORMANCE_PARTITIONS];
    struct log_txn txn = {.cursors = cursors, .cursors_n = CONFORMANCE_PARTITIONS};
    const struct log_cursor *kept;
    bool is_answered;
    size_t n;

    memset(much, 0xfe, sizeof much);
    for (int part = 0; part < CONFORMANCE_PARTITIONS; part++)
        cursors[part] =
            (struct log_cursor){{TOPIC_DISPATCH_REQUESTS, part, 0}, {much, LOG_NOTE_SIZE_MAX}};
    SUCCEEDS(f, th_log_commit_start(session, &txn, &f->err));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    th_log_session_close(session, false);
    session = open_session(f, f->log);
    th_log_session_cursors(session, &kept, &n);
    assert_int_equal(n, CONFORMANCE_PARTITIONS);
    for (size_t i = 0; i < n; i++)
        assert_str_equal(kept[i].note, cursors[0].note);

    cursors[1].note.n++;
    assert_int_equal(th_log_commit_start(session, &txn, &f->err), TH_INVALID);
    th_log_session_close(session, true);
}

static void test_a_transaction_that_is_not_allowed(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    const struct log_cursor good = {.next = {TOPIC_SEND_REQUESTS, 0, 1}};
    const struct log_cursor twice[] = {good, {.next = {TOPIC_SEND_REQUESTS, 0, 2}}};
    const struct log_cursor absent = {.next = {TOPIC_SEND_REQUESTS, CONFORMANCE_PARTITIONS, 1}};
    const struct log_output output = lane_output(-1, TH_STR("v"));
    const struct {
        const char *says;
        struct log_txn txn;
    } cases[] = {
        {"no cursor at all", {NULL, 0, NULL, 0, NULL}},
        {"two cursors of one partition", {NULL, 0, twice, 2, NULL}},
        {"a cursor of a partition that there is not", {NULL, 0, &absent, 1, NULL}},
        {"a lane's output without a partition", {&output, 1, &good, 1, NULL}},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s\n", cases[i].says);
        assert_int_equal(th_log_commit_start(session, &cases[i].txn, &f->err), TH_INVALID);
    }
    assert_int_equal(commit_small(f, session, "the session goes on", 1, NULL), LOG_COMMITTED);
    th_log_session_close(session, true);
}

static void test_transactions_are_numbered_without_holes(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    uint64_t seq = th_log_session_next_seq(session);

    for (int64_t i = 0; i < 20; i++) {
        assert_int_equal(th_log_session_next_seq(session), seq + (uint64_t)i);
        assert_int_equal(commit_small(f, session, "v", i, NULL), LOG_COMMITTED);
        assert_cursor(session, i);
        if (i % 5 == 4) {
            th_log_session_close(session, i % 2);
            session = open_session(f, f->log);
            assert_cursor(session, i);
        }
    }
    th_log_session_close(session, true);
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, 20);
}

/* The caller's memory may go as soon as the commit was started. */
static void test_the_transaction_is_copied(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    char value[] = "as it was", note[] = "as it was";
    struct small_txn small;
    bool is_answered;

    f->with->hold(f->with->arg, f->log, APP, SLOT);
    small_txn(&small, value, 3);
    small.cursor.note = th_str(note);
    SUCCEEDS(f, th_log_commit_start(session, &small.txn, &f->err));
    memset(value, 'x', sizeof value - 1);
    memset(note, 'x', sizeof note - 1);
    memset(&small, 0xff, sizeof small);
    f->with->let_go(f->with->arg, f->log, APP, SLOT);
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"as it was"}, 1);

    const struct log_cursor *kept;
    size_t n;
    th_log_session_cursors(session, &kept, &n);
    assert_int_equal(n, 1);
    assert_str_equal(kept[0].note, TH_STR("as it was"));
    th_log_session_close(session, true);
}

static void test_a_commit_in_flight_is_pending_and_unseen(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    struct small_txn small;
    bool is_answered;

    f->with->hold(f->with->arg, f->log, APP, SLOT);
    small_txn(&small, "slow", 1);
    SUCCEEDS(f, th_log_commit_start(session, &small.txn, &f->err));
    for (int i = 0; i < 5; i++) {
        is_readable(th_log_session_fd(session), 5);
        assert_int_equal(th_log_commit_poll(session, NULL, &is_answered, &f->err),
                         LOG_COMMIT_PENDING);
    }
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, 0);
    f->with->let_go(f->with->arg, f->log, APP, SLOT);
    assert_true(is_readable(th_log_session_fd(session), WAIT_MS));
    assert_int_equal(finish(session, NULL, &is_answered, &f->err), LOG_COMMITTED);
    assert_true(is_answered);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"slow"}, 1);
    th_log_session_close(session, true);
}

/* Killed right after it sent a transaction off: it is there whole, or not at all. */
static void test_a_commit_nobody_waited_for_is_whole(void **state)
{
    struct fixture *f = FIXTURE(state);
    size_t landed = 0;

    for (int64_t i = 1; i <= 10; i++) {
        struct th_log_session *session = open_session(f, f->log);
        struct small_txn small;
        const struct log_cursor *cursors;
        size_t n;

        small_txn(&small, "v", i);
        SUCCEEDS(f, th_log_commit_start(session, &small.txn, &f->err));
        th_log_session_close(session, false);
        reopen(f);
        session = open_session(f, f->log);
        th_log_session_cursors(session, &cursors, &n);
        landed += n == 1 && cursors[0].next.offset == i;
        assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, landed);
        th_log_session_close(session, false);
    }
}

static void test_a_broken_connection_loses_and_repeats_nothing(void **state)
{
    static const char *const values[] = {"before", "0", "1", "2", "3", "4"};
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    uint64_t seq = th_log_session_next_seq(session);

    assert_int_equal(commit_small(f, session, "before", 1, NULL), LOG_COMMITTED);
    for (size_t i = 1; i < TH_LEN(values); i++) {
        enum log_commit outcome = LOG_ABORTED;
        f->with->kill_connection(f->with->arg, f->log, APP, SLOT);
        for (int tries = 0; outcome == LOG_ABORTED && tries < 20; tries++)
            outcome = commit_small(f, session, values[i], (int64_t)i + 1, NULL);
        if (outcome != LOG_COMMITTED)
            fail_msg("outcome %d: %s", outcome, f->err.text);
        assert_cursor(session, (int64_t)i + 1);
    }
    assert_int_equal(th_log_session_next_seq(session), seq + TH_LEN(values));
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, values, TH_LEN(values));
    th_log_session_close(session, true);
}

static void test_slots_and_apps_are_apart(void **state)
{
    static const struct {
        enum log_app app;
        int slot;
    } owners[] = {{APP, SLOT},
                  {APP, SLOT + 1},
                  {LOG_APP_DISPATCH, SLOT},
                  {APP, 0},
                  {LOG_APP_CAMPAIGN, LOG_SLOTS_MAX - 1}};
    struct fixture *f = FIXTURE(state);
    struct th_log_session *sessions[TH_LEN(owners)];

    for (size_t i = 0; i < TH_LEN(owners); i++)
        SUCCEEDS(f,
                 th_log_session_open(f->log, owners[i].app, owners[i].slot, &sessions[i], &f->err));
    for (size_t i = 0; i < TH_LEN(owners); i++) {
        assert_int_equal(commit_small(f, sessions[i], "v", (int64_t)i, NULL), LOG_COMMITTED);
        for (size_t k = 0; k < i; k++)
            assert_true(th_log_session_nonce(sessions[i]) != th_log_session_nonce(sessions[k]));
    }
    for (size_t i = 0; i < TH_LEN(owners); i++) {
        assert_cursor(sessions[i], (int64_t)i);
        th_log_session_close(sessions[i], true);
    }
    struct th_log_session *none;
    assert_int_equal(th_log_session_open(f->log, APP, LOG_SLOTS_MAX, &none, &f->err), TH_INVALID);
    assert_int_equal(th_log_session_open(f->log, APP, -1, &none, &f->err), TH_INVALID);
    assert_int_equal(th_log_session_open(f->log, (enum log_app)0, 0, &none, &f->err), TH_INVALID);
}

/* Where a slot that lost its memory would begin again, it refuses. */
static void test_a_slot_does_not_begin_over_records(void **state)
{
    static const struct log_place parts[] = {
        {TOPIC_SEND_REQUESTS, 0, 0}, {TOPIC_SEND_OUTCOMES, 0, 0}, {TOPIC_DISPATCH_ATTEMPTS, 0, 0}};
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    const struct log_output elsewhere = lane_output(1, TH_STR("another slot's"));
    const struct log_output ours = lane_output(0, TH_STR("ours"));

    SUCCEEDS(f, th_log_session_check(session, parts, TH_LEN(parts), &f->err));
    SUCCEEDS(f, th_log_append(f->log, &elsewhere, 1, NULL, &f->err));
    SUCCEEDS(f, th_log_session_check(session, parts, TH_LEN(parts), &f->err));
    SUCCEEDS(f, th_log_append(f->log, &ours, 1, NULL, &f->err));
    assert_int_equal(th_log_session_check(session, parts, TH_LEN(parts), &f->err), TH_CORRUPT);

    assert_int_equal(commit_small(f, session, "v", 0, NULL), LOG_COMMITTED);
    SUCCEEDS(f, th_log_session_check(session, parts, TH_LEN(parts), &f->err));
    assert_int_equal(commit_small(f, session, "v", 1, NULL), LOG_COMMITTED);
    assert_int_equal(th_log_session_check(session, parts, TH_LEN(parts), &f->err), TH_CORRUPT);
    th_log_session_close(session, true);
}

const struct CMUnitTest conformance_slot_tests[] = {
    cmocka_unit_test(test_a_new_slot_knows_nothing),
    cmocka_unit_test(test_outputs_and_cursor_land_together),
    cmocka_unit_test(test_the_largest_note_is_kept),
    cmocka_unit_test(test_a_transaction_that_is_not_allowed),
    cmocka_unit_test(test_transactions_are_numbered_without_holes),
    cmocka_unit_test(test_the_transaction_is_copied),
    cmocka_unit_test(test_a_commit_in_flight_is_pending_and_unseen),
    cmocka_unit_test(test_a_commit_nobody_waited_for_is_whole),
    cmocka_unit_test(test_a_broken_connection_loses_and_repeats_nothing),
    cmocka_unit_test(test_slots_and_apps_are_apart),
    cmocka_unit_test(test_a_slot_does_not_begin_over_records),
};
const size_t conformance_slot_tests_n = TH_LEN(conformance_slot_tests);
