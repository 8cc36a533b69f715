/* One owner: whoever was fenced commits nothing more; an answer that was lost is found again. */
#include <pthread.h>

#include "tests/conformance/fixture.h"

static void test_a_zombie_commits_nothing(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log *other = f->log;

    if (f->with->open_other)
        SUCCEEDS(f, f->with->open_other(f->with->arg, &other, &f->err));
    struct th_log_session *zombie = open_session(f, f->log);
    assert_int_equal(commit_small(f, zombie, "zombie alive", 1, NULL), LOG_COMMITTED);
    struct th_log_session *owner = open_session(f, other);
    assert_cursor(owner, 1);
    assert_true(th_log_session_nonce(owner) != th_log_session_nonce(zombie));

    assert_int_equal(commit_small(f, zombie, "zombie", 2, NULL), LOG_FENCED);
    assert_int_equal(f->err.code, TH_FENCED);
    assert_int_equal(commit_small(f, owner, "owner", 2, NULL), LOG_COMMITTED);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"zombie alive", "owner"}, 2);
    th_log_session_close(zombie, true); /* must not give up what is not its own any more */
    assert_int_equal(commit_small(f, owner, "still owner", 3, NULL), LOG_COMMITTED);
    th_log_session_close(owner, true);
    if (other != f->log)
        f->with->close(f->with->arg, other);
}

static void test_a_zombie_of_the_same_number_commits_nothing(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *zombie = open_session(f, f->log);
    struct th_log_session *owner = open_session(f, f->log);

    assert_int_equal(th_log_session_next_seq(zombie), th_log_session_next_seq(owner));
    assert_int_equal(commit_small(f, owner, "owner", 1, NULL), LOG_COMMITTED);
    assert_int_equal(commit_small(f, zombie, "zombie", 1, NULL), LOG_FENCED);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"owner"}, 1);
    th_log_session_close(owner, true);
    th_log_session_close(zombie, true);
}

#define OWNERS 5

static void test_a_chain_of_owners(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *owners[OWNERS];

    for (size_t i = 0; i < OWNERS; i++)
        owners[i] = open_session(f, f->log);
    for (size_t i = 0; i + 1 < OWNERS; i++)
        assert_int_equal(commit_small(f, owners[i], "old", 1, NULL), LOG_FENCED);
    assert_int_equal(commit_small(f, owners[OWNERS - 1], "newest", 1, NULL), LOG_COMMITTED);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"newest"}, 1);
    for (size_t i = 0; i < OWNERS; i++)
        th_log_session_close(owners[i], true);
}

/* --- commits in flight while somebody else opens ---------------------------------------- */

struct rival {
    struct th_log *log;
    struct th_log_session *session;
    struct th_err err;
};

/* In a thread: where a driver waits for the commit in flight, it waits here. */
static void *run_rival(void *arg)
{
    struct rival *rival = arg;

    if (th_log_session_open(rival->log, APP, SLOT, &rival->session, &rival->err) != TH_OK)
        rival->session = NULL;
    return NULL;
}

static void test_a_commit_in_flight_ends_before_the_next_owner_begins(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *slow = open_session(f, f->log);
    struct rival rival = {.log = f->log};
    const struct log_cursor *cursors;
    struct small_txn small;
    pthread_t thread;
    bool is_answered;
    size_t n;

    if (f->with->open_other)
        SUCCEEDS(f, f->with->open_other(f->with->arg, &rival.log, &f->err));
    f->with->hold(f->with->arg, f->log, APP, SLOT);
    small_txn(&small, "slow", 1);
    SUCCEEDS(f, th_log_commit_start(slow, &small.txn, &f->err));
    assert_int_equal(pthread_create(&thread, NULL, run_rival, &rival), 0);
    is_readable(-1, 100); /* let it come as far as it can */
    f->with->let_go(f->with->arg, f->log, APP, SLOT);
    pthread_join(thread, NULL);
    if (!rival.session)
        fail_msg("the rival did not open: %s", rival.err.text);

    /* Whichever way it went: what the rival found is how it stays. */
    th_log_session_cursors(rival.session, &cursors, &n);
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, n);
    enum log_commit outcome = finish(slow, NULL, &is_answered, &f->err);
    assert_true(outcome == LOG_FENCED || (outcome == LOG_COMMITTED && n == 1));
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, n);
    assert_int_equal(commit_small(f, rival.session, "rival", 2, NULL), LOG_COMMITTED);
    if (outcome == LOG_COMMITTED)
        assert_int_equal(commit_small(f, slow, "too late", 2, NULL), LOG_FENCED);
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, n + 1);
    th_log_session_close(slow, true);
    th_log_session_close(rival.session, true);
    if (rival.log != f->log)
        f->with->close(f->with->arg, rival.log);
}

static void test_a_commit_started_before_the_fence(void **state)
{
    struct fixture *f = FIXTURE(state);

    for (int64_t i = 1; i <= 10; i++) {
        struct th_log_session *first = open_session(f, f->log);
        struct small_txn small;
        const struct log_cursor *cursors;
        bool is_answered;
        size_t n;

        small_txn(&small, "first", i);
        SUCCEEDS(f, th_log_commit_start(first, &small.txn, &f->err));
        struct th_log_session *second = open_session(f, f->log);
        th_log_session_cursors(second, &cursors, &n);
        bool is_there = n == 1 && cursors[0].next.offset == i;
        size_t before = read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n;
        enum log_commit outcome = finish(first, NULL, &is_answered, &f->err);
        assert_true(outcome == LOG_FENCED || (outcome == LOG_COMMITTED && is_there));
        assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, before);
        th_log_session_close(first, true);
        th_log_session_close(second, true);
    }
}

/* --- answers that were lost --------------------------------------------------------------- */

static void test_a_lost_answer_that_had_happened(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    uint64_t seq = th_log_session_next_seq(session);
    struct log_place places[1] = {{.offset = -1}};
    struct small_txn small;
    bool is_answered = true;

    assert_int_equal(commit_small(f, session, "a", 1, NULL), LOG_COMMITTED);
    f->with->lose_answer(f->with->arg, f->log, APP, SLOT, true);
    small_txn(&small, "b", 2);
    SUCCEEDS(f, th_log_commit_start(session, &small.txn, &f->err));
    assert_int_equal(finish(session, places, &is_answered, &f->err), LOG_COMMITTED);
    assert_false(is_answered);
    assert_int_equal(places[0].topic, TOPIC_DISPATCH_ATTEMPTS);
    assert_int_equal(places[0].part, 0);
    assert_nth(f, places[0].offset, 1);
    assert_int_equal(th_log_session_next_seq(session), seq + 2);
    assert_cursor(session, 2);

    assert_int_equal(commit_small(f, session, "c", 3, &is_answered), LOG_COMMITTED);
    assert_true(is_answered);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"a", "b", "c"}, 3);
    th_log_session_close(session, true);
}

static void test_a_lost_answer_that_had_not_happened(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    uint64_t seq = th_log_session_next_seq(session);
    bool is_answered = true;

    assert_int_equal(commit_small(f, session, "a", 1, NULL), LOG_COMMITTED);
    f->with->lose_answer(f->with->arg, f->log, APP, SLOT, false);
    assert_int_equal(commit_small(f, session, "b", 2, &is_answered), LOG_ABORTED);
    assert_true(f->err.code != TH_OK);
    assert_int_equal(th_log_session_next_seq(session), seq + 1);
    assert_cursor(session, 1);
    assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, 1);

    assert_int_equal(commit_small(f, session, "b", 2, &is_answered), LOG_COMMITTED);
    assert_true(is_answered);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"a", "b"}, 2);
    th_log_session_close(session, true);
}

/* The very first transaction of a slot has no predecessor to be compared with. */
static void test_the_first_answer_is_lost(void **state)
{
    struct fixture *f = FIXTURE(state);
    struct th_log_session *session = open_session(f, f->log);
    bool is_answered;

    f->with->lose_answer(f->with->arg, f->log, APP, SLOT, false);
    assert_int_equal(commit_small(f, session, "a", 1, &is_answered), LOG_ABORTED);
    f->with->lose_answer(f->with->arg, f->log, APP, SLOT, true);
    assert_int_equal(commit_small(f, session, "a", 1, &is_answered), LOG_COMMITTED);
    assert_false(is_answered);
    assert_holds(f, TOPIC_DISPATCH_ATTEMPTS, 0, (const char *const[]){"a"}, 1);
    th_log_session_close(session, true);
}

static const struct {
    const char *says;
    bool happens;
    bool rival_commits;
} rivalries[] = {
    {"rolled back, and a rival commits one of the same number", false, true},
    {"committed, and a rival commits the next one", true, true},
    {"rolled back, and a rival only opens", false, false},
    {"committed, and a rival only opens", true, false},
};

/* By its number alone the rival's transaction would be taken for ours. */
/* Until a commit that loses its answer is done, wherever that is: so many records are there. In
 * memory it is done when it is asked about. */
static void await_records(struct fixture *f, size_t records)
{
    int tries = f->with->open_other ? WAIT_MS / 10 : 5;

    while (tries-- > 0 && read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n < records)
        is_readable(-1, 10);
}

static void test_an_answer_is_lost_and_a_rival_comes_first(void **state)
{
    struct fixture *f = FIXTURE(state);
    int64_t at = 0;
    size_t records = 0;

    for (size_t i = 0; i < TH_LEN(rivalries); i++) {
        struct th_log *other = f->log;
        struct small_txn small;
        bool is_answered;

        print_message("  %s\n", rivalries[i].says);
        if (f->with->open_other)
            SUCCEEDS(f, f->with->open_other(f->with->arg, &other, &f->err));
        struct th_log_session *first = open_session(f, f->log);
        assert_int_equal(commit_small(f, first, "before", ++at, NULL), LOG_COMMITTED);
        f->with->lose_answer(f->with->arg, f->log, APP, SLOT, rivalries[i].happens);
        small_txn(&small, "first", ++at);
        SUCCEEDS(f, th_log_commit_start(first, &small.txn, &f->err));
        if (rivalries[i].happens)
            await_records(f, records + 2);
        else
            is_readable(-1, 50); /* it comes to nothing, whenever the rival comes */

        struct th_log_session *rival = open_session(f, other);
        assert_cursor(rival, rivalries[i].happens ? at : at - 1);
        if (rivalries[i].rival_commits)
            assert_int_equal(commit_small(f, rival, "rival", ++at, NULL), LOG_COMMITTED);
        assert_int_equal(finish(first, NULL, &is_answered, &f->err), LOG_FENCED);
        assert_int_equal(commit_small(f, rival, "rival", ++at, NULL), LOG_COMMITTED);
        records += 2u + rivalries[i].happens + rivalries[i].rival_commits;
        assert_int_equal(read_all(f, TOPIC_DISPATCH_ATTEMPTS, 0).n, records);
        th_log_session_close(first, false);
        th_log_session_close(rival, true);
        if (other != f->log)
            f->with->close(f->with->arg, other);
    }
}

const struct CMUnitTest conformance_fence_tests[] = {
    cmocka_unit_test(test_a_zombie_commits_nothing),
    cmocka_unit_test(test_a_zombie_of_the_same_number_commits_nothing),
    cmocka_unit_test(test_a_chain_of_owners),
    cmocka_unit_test(test_a_commit_in_flight_ends_before_the_next_owner_begins),
    cmocka_unit_test(test_a_commit_started_before_the_fence),
    cmocka_unit_test(test_a_lost_answer_that_had_happened),
    cmocka_unit_test(test_a_lost_answer_that_had_not_happened),
    cmocka_unit_test(test_the_first_answer_is_lost),
    cmocka_unit_test(test_an_answer_is_lost_and_a_rival_comes_first),
};
const size_t conformance_fence_tests_n = TH_LEN(conformance_fence_tests);
