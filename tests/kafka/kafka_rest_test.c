/* What happens to a slot over days. Resting, it is not forgotten: brokers let the offsets of a
 * group expire, and here the group is deleted, which is the same at once. And a producer that
 * breaks every now and then is replaced; too often, and the process is to end. On a real broker;
 * skipped, saying so, where no Kafka can be had. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/kafka/kafka_session.h"
#include "tests/kafka/test_broker.h"
#include "tests/unit/test.h"

#define APP     LOG_APP_RETRY
#define SLOT    0
#define WAIT_MS 30000

static struct test_broker broker;

struct fixture {
    struct kafka_log_config config;
    char prefix[16];
    struct th_log *log;
    struct th_err err;
};

#define SUCCEEDS(f, call)                                                                          \
    do {                                                                                           \
        if ((call) != TH_OK)                                                                       \
            fail_msg("%s: %s", #call, (f)->err.text);                                              \
    } while (0)

static int set_up(void **state)
{
    static int logs;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    snprintf(f->prefix, sizeof f->prefix, "r%d.", ++logs);
    f->config = (struct kafka_log_config){.brokers = broker.brokers, .prefix = f->prefix};
    SUCCEEDS(f, kafka_log_create(&f->config, 4, 1, &f->err));
    SUCCEEDS(f, kafka_log_open(&f->config, &f->log, &f->err));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    th_log_close(f->log);
    SUCCEEDS(f, kafka_log_drop(&f->config, &f->err));
    free(f);
    return 0;
}

static void open_again(struct fixture *f)
{
    th_log_close(f->log);
    SUCCEEDS(f, kafka_log_open(&f->config, &f->log, &f->err));
}

static struct th_log_session *open_session(struct fixture *f)
{
    struct th_log_session *session = NULL;

    SUCCEEDS(f, th_log_session_open(f->log, APP, SLOT, &session, &f->err));
    return session;
}

static enum log_commit commit(struct fixture *f, struct th_log_session *session, int64_t next)
{
    const struct log_cursor cursor = {{TOPIC_SEND_REQUESTS, 0, next}, TH_STR("note")};
    const struct log_txn txn = {.cursors = &cursor, .cursors_n = 1};
    struct pollfd fd = {.fd = th_log_session_fd(session), .events = POLLIN};
    enum log_commit outcome;
    bool is_answered;

    SUCCEEDS(f, th_log_commit_start(session, &txn, &f->err));
    while ((outcome = th_log_commit_poll(session, NULL, &is_answered, &f->err)) ==
           LOG_COMMIT_PENDING)
        poll(&fd, 1, WAIT_MS);
    return outcome;
}

static void commit_all(struct fixture *f, struct th_log_session *session, int64_t first,
                       int64_t last)
{
    for (int64_t next = first; next <= last; next++)
        assert_int_equal(commit(f, session, next), LOG_COMMITTED);
}

static void assert_stands(const struct th_log_session *session, int64_t next, uint64_t next_seq)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(session, &cursors, &n);
    assert_int_equal(n, 1);
    assert_int_equal(cursors[0].next.offset, next);
    assert_str_equal(cursors[0].note, TH_STR("note"));
    assert_true(th_log_session_next_seq(session) == next_seq);
}

static struct kafka_seat seat_of(struct fixture *f)
{
    struct kafka_seat seat;

    kafka_seat_of((struct kafka_log *)f->log, APP, SLOT, &seat);
    return seat;
}

static bool has_anchor(struct fixture *f)
{
    const struct kafka_seat seat = seat_of(f);
    struct kafka_anchor anchor = {0};

    SUCCEEDS(f, kafka_anchor_read((struct kafka_log *)f->log, &seat, true, &anchor, &f->err));
    return anchor.exists;
}

static void forget(struct fixture *f)
{
    const struct kafka_seat seat = seat_of(f);
    rd_kafka_t *rk = kafka_scout_rk(((struct kafka_log *)f->log)->scout);
    TH_AUTO(kafka_queue) rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DeleteGroup_t *group = rd_kafka_DeleteGroup_new(seat.group);
    size_t n = 0;

    rd_kafka_DeleteGroups(rk, &group, 1, NULL, queue);
    rd_kafka_DeleteGroup_destroy(group);
    TH_AUTO(kafka_event) rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    assert_non_null(event);
    const rd_kafka_group_result_t **results =
        rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &n);
    assert_int_equal(n, 1);
    assert_null(rd_kafka_group_result_error(results[0]));
}

/* ---------------------------------------------------------------------------------------------- */

static void test_the_journal_knows_what_the_group_forgot(void **state)
{
    struct fixture *f = *state;
    struct th_log_session *session = open_session(f);

    commit_all(f, session, 1, 3);
    th_log_session_close(session, true);
    forget(f);
    assert_false(has_anchor(f));
    open_again(f);
    session = open_session(f);
    assert_stands(session, 3, 4);
    assert_true(has_anchor(f));
    commit_all(f, session, 4, 5);
    th_log_session_close(session, true);
    session = open_session(f);
    assert_stands(session, 5, 6);
    th_log_session_close(session, true);
}

static void test_a_slot_that_never_committed_begins(void **state)
{
    struct fixture *f = *state;
    struct th_log_session *session = open_session(f);
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_close(session, true);
    forget(f);
    session = open_session(f);
    th_log_session_cursors(session, &cursors, &n);
    assert_int_equal(n, 0);
    assert_true(th_log_session_next_seq(session) == 1);
    commit_all(f, session, 1, 1);
    th_log_session_close(session, true);
}

struct opening {
    struct fixture *f;
    struct th_log_session *session;
    atomic_bool is_done;
};

static void *open_it(void *arg)
{
    struct opening *opening = arg;

    if (th_log_session_open(opening->f->log, APP, SLOT, &opening->session, &opening->f->err))
        opening->session = NULL;
    atomic_store(&opening->is_done, true);
    return NULL;
}

/* Somebody's open transaction hides the slot's last record of the journal, not those before it: a
 * slot that went by what it sees would do its last work again. */
static void test_what_is_hidden_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct kafka_log *log = (struct kafka_log *)f->log;
    const struct kafka_seat seat = seat_of(f);
    struct kafka_record record = {.topic = log->inner[KAFKA_JOURNAL],
                                  .part = seat.part,
                                  .key = TH_STR("another"),
                                  .value = TH_STR("record")};
    struct th_log_session *session = open_session(f);
    struct opening opening = {.f = f};
    struct kafka_producer *another;
    pthread_t thread;

    commit_all(f, session, 1, 2);
    SUCCEEDS(f, kafka_producer_open(&log->config, "another", WAIT_MS, &another, &f->err));
    assert_int_equal(kafka_producer_write(another, &record, 1, WAIT_MS, &f->err), KAFKA_GOES_ON);
    commit_all(f, session, 3, 4);
    th_log_session_close(session, true);
    forget(f);
    assert_int_equal(pthread_create(&thread, NULL, open_it, &opening), 0);
    poll(NULL, 0, 500);
    assert_false(atomic_load(&opening.is_done));
    assert_int_equal(kafka_producer_commit(another, &f->err), KAFKA_GOES_ON);
    assert_int_equal(pthread_join(thread, NULL), 0);
    kafka_producer_close(another);
    if (!opening.session)
        fail_msg("%s", f->err.text);
    assert_stands(opening.session, 4, 5);
    th_log_session_close(opening.session, true);
}

static void test_a_slot_that_rests_commits_again(void **state)
{
    struct fixture *f = *state;

    f->config.rest_ms = 500;
    open_again(f);
    struct th_log_session *session = open_session(f);
    commit_all(f, session, 1, 2);
    for (int round = 0; round < 2; round++) {
        forget(f);
        for (int waited_ms = 0; !has_anchor(f); waited_ms += 50) {
            assert_true(waited_ms < WAIT_MS);
            poll(NULL, 0, 50);
        }
        assert_stands(session, 2 + round, 3 + (uint64_t)round);
        commit_all(f, session, 3 + round, 3 + round);
    }
    th_log_session_close(session, true);
    session = open_session(f);
    assert_stands(session, 4, 5);
    th_log_session_close(session, true);
}

/* What librdkafka calls fatal costs a producer, never a transaction; the sixth time in ten minutes
 * the process is to end. */
static void test_a_producer_that_breaks_again_and_again(void **state)
{
    struct fixture *f = *state;
    struct th_log_session *session = open_session(f);
    int64_t next = 0;

    commit_all(f, session, 1, 1);
    for (int broken = 1; broken <= KAFKA_BREAKS_MAX + 1; broken++) {
        assert_int_equal(th_log_health(f->log, &f->err), TH_OK);
        struct kafka_producer *producer = ((struct kafka_session *)session)->producer;
        assert_non_null(producer);
        rd_kafka_test_fatal_error(producer->client->rk, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
                                  "broken by a test");
        next = 1 + broken;
        assert_int_equal(commit(f, session, next), LOG_ABORTED);
        assert_int_equal(commit(f, session, next), LOG_COMMITTED);
    }
    assert_int_equal(th_log_health(f->log, &f->err), TH_UNAVAILABLE);
    print_message("  %s\n", f->err.text);
    assert_non_null(strstr(f->err.text, "broken by a test"));
    assert_stands(session, next, (uint64_t)next + 1);
    th_log_session_close(session, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_journal_knows_what_the_group_forgot, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_slot_that_never_committed_begins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_hidden_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_slot_that_rests_commits_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_producer_that_breaks_again_and_again, set_up,
                                        tear_down),
    };
    int status = test_broker_start(&broker);

    if (status)
        return status;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_broker_stop(&broker);
    return failed;
}
