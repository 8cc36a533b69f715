/* What becomes of a transaction whose EndTxn, or the answer to it, was lost, delayed or repeated:
 * the driver's answer is what the log holds.
 *
 *   kafka_doubt_test          each way out of the doubt 5 times
 *   kafka_doubt_test --long   100 times
 *
 * The same stories are run with a driver that is lied to about what it finds when it asks: then
 * they must find records missing, or doubled. TELEHUB_TEST_KAFKA_VERSION chooses the broker.
 * Skipped, saying so, where no Kafka can be had. */
#include "tests/unit/test.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_session.h"
#include "tests/kafka/fault_proxy.h"
#include "tests/kafka/test_broker.h"

#define APP               LOG_APP_DISPATCH
#define COMMIT_TIMEOUT_MS 800 /* after that a lost answer is asked about */
#define CALL_TIMEOUT_MS   2000
#define WAIT_MS           60000
#define ROUNDS_PER_COUNT  20 /* a slow machine gives some commits up before the fault meets them */
#define EPOCH_IS_OLD      47 /* INVALID_PRODUCER_EPOCH */
#define ARENA_LIMIT       ((size_t)64 << 20)

static struct test_broker broker;
static struct fault_proxy *proxy;
static unsigned wanted = 5; /* of each branch */

/* --- a driver that is lied to ----------------------------------------------------------------- */

enum lie {
    TRUTH,
    LIE_IT_HAPPENED,
    LIE_IT_DID_NOT,
};

static struct {
    enum lie lie;
    struct kafka_session *to;
    unsigned told;
} liar;

enum th_code __real_kafka_anchor_read(struct kafka_log *log, const struct kafka_seat *seat,
                                      bool is_stable, struct kafka_anchor *out_anchor,
                                      struct th_err *err);
enum th_code __wrap_kafka_anchor_read(struct kafka_log *log, const struct kafka_seat *seat,
                                      bool is_stable, struct kafka_anchor *out_anchor,
                                      struct th_err *err);

/* Called by the session's own thread when it is in doubt. */
enum th_code __wrap_kafka_anchor_read(struct kafka_log *log, const struct kafka_seat *seat,
                                      bool is_stable, struct kafka_anchor *out_anchor,
                                      struct th_err *err)
{
    struct kafka_session *to = liar.to;

    TH_TRY(__real_kafka_anchor_read(log, seat, is_stable, out_anchor, err));
    if (liar.lie == TRUTH || !to || !to->is_in_doubt || out_anchor->nonce != to->base.nonce)
        return TH_OK;
    uint64_t seq = to->base.next_seq - (liar.lie == LIE_IT_DID_NOT);
    liar.told += is_stable && out_anchor->seq != seq;
    out_anchor->seq = seq;
    return TH_OK;
}

/* --- an owner that writes numbers ------------------------------------------------------------- */

struct owner {
    struct th_log *log;
    struct th_log_session *session;
    char id[KAFKA_NAME_MAX]; /* transactional, and the name of its client */
    char prefix[32];
    int64_t next; /* number to write; those below were said to be committed */
    unsigned rounds;
    struct small {
        char value[24];
        struct log_output output;
        struct log_cursor cursor;
        struct log_txn txn;
    } small;
};

static struct kafka_log_config config_of(const char *prefix, const char *brokers)
{
    return (struct kafka_log_config){.brokers = brokers,
                                     .prefix = prefix,
                                     .commit_timeout_ms = COMMIT_TIMEOUT_MS,
                                     .call_timeout_ms = CALL_TIMEOUT_MS,
                                     .resolve_retry_ms = 20};
}

static void owner_open(struct owner *owner)
{
    static int made;
    char brokers[32];
    struct kafka_seat seat;
    struct th_err err = {0};

    *owner = (struct owner){0};
    snprintf(owner->prefix, sizeof owner->prefix, "doubt%d.", ++made);
    snprintf(brokers, sizeof brokers, "127.0.0.1:%d", broker.proxy_port);
    struct kafka_log_config config = config_of(owner->prefix, brokers);
    if (kafka_log_create(&config, 2, 1, &err) != TH_OK ||
        kafka_log_open(&config, &owner->log, &err) != TH_OK ||
        th_log_session_open(owner->log, APP, 0, &owner->session, &err) != TH_OK)
        fail_msg("%s", err.text);
    kafka_seat_of((struct kafka_log *)owner->log, APP, 0, &seat);
    snprintf(owner->id, sizeof owner->id, "%s", seat.group);
    liar.to = kafka_session_of(owner->session);
}

static void owner_reopen(struct owner *owner)
{
    struct th_err err = {0};

    liar.to = NULL;
    th_log_session_close(owner->session, true);
    if (th_log_session_open(owner->log, APP, 0, &owner->session, &err) != TH_OK)
        fail_msg("%s", err.text);
    liar.to = kafka_session_of(owner->session);
}

static void owner_start(struct owner *owner)
{
    struct small *small = &owner->small;
    struct th_err err = {0};

    snprintf(small->value, sizeof small->value, "%" PRId64, owner->next);
    small->output = (struct log_output){TOPIC_DISPATCH_ATTEMPTS, 0, TH_STR("t/1"),
                                        .value = th_str(small->value)};
    small->cursor = (struct log_cursor){.next = {TOPIC_DISPATCH_REQUESTS, 0, owner->next + 1}};
    small->txn = (struct log_txn){&small->output, 1, &small->cursor, 1, NULL};
    owner->rounds++;
    if (th_log_commit_start(owner->session, &small->txn, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static enum log_commit owner_wait(struct owner *owner, int wait_ms, bool *out_is_answered)
{
    int64_t deadline_us = th_clock_monotonic_us(&th_clock_real) + wait_ms * TH_US_PER_MS;
    struct th_err err = {0};
    enum log_commit outcome;

    do {
        struct pollfd at = {.fd = th_log_session_fd(owner->session), .events = POLLIN};
        poll(&at, 1, 10);
        outcome = th_log_commit_poll(owner->session, NULL, out_is_answered, &err);
    } while (outcome == LOG_COMMIT_PENDING && th_clock_monotonic_us(&th_clock_real) < deadline_us);
    if (outcome == LOG_FENCED)
        fail_msg("fenced, and there is no rival: %s", err.text);
    owner->next += outcome == LOG_COMMITTED;
    return outcome;
}

static enum log_commit owner_commit(struct owner *owner, bool *out_is_answered)
{
    owner_start(owner);
    enum log_commit outcome = owner_wait(owner, WAIT_MS, out_is_answered);
    if (outcome == LOG_COMMIT_PENDING)
        fail_msg("no outcome within %d s", WAIT_MS / 1000);
    return outcome;
}

/* Of no interest how: a slow machine may give it up before it is done. */
static void owner_commit_surely(struct owner *owner)
{
    bool is_answered;

    for (int tries = 0; owner_commit(owner, &is_answered) != LOG_COMMITTED; tries++)
        if (tries == ROUNDS_PER_COUNT)
            fail_msg("nothing can be committed");
}

/* Numbers that are missing, or there once more, or out of order. Through a log of its own. */
static unsigned count_wrong(const struct owner *owner)
{
    char brokers[32];
    struct th_log *log = NULL;
    struct th_log_reader *reader = NULL;
    struct log_records records = {0};
    struct th_arena arena;
    struct th_err err = {0};
    int64_t expected = 0;
    unsigned wrong = 0;

    snprintf(brokers, sizeof brokers, "127.0.0.1:%d", broker.port);
    struct kafka_log_config config = config_of(owner->prefix, brokers);
    th_arena_init(&arena, ARENA_LIMIT);
    if (kafka_log_open(&config, &log, &err) != TH_OK ||
        th_log_reader_open(log, &(struct log_place){TOPIC_DISPATCH_ATTEMPTS, 0, 0}, 1, &reader,
                           &err) != TH_OK)
        fail_msg("%s", err.text);
    do {
        if (th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err) != TH_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < records.n; i++) {
            char text[24] = "";
            memcpy(text, records.at[i].value.p, records.at[i].value.n);
            int64_t number = strtoll(text, NULL, 10);
            wrong += number != expected;
            expected = number + 1;
        }
    } while (records.n);
    wrong += expected != owner->next;
    th_log_reader_close(reader);
    th_log_close(log);
    th_arena_fini(&arena);
    return wrong;
}

static void owner_close(struct owner *owner)
{
    liar.to = NULL;
    th_log_session_close(owner->session, true);
    th_log_close(owner->log);
}

/* --- faults ----------------------------------------------------------------------------------- */

static void strike(const struct owner *owner, uint64_t apis, enum fault_fate fate, unsigned skip,
                   unsigned times, bool until_init)
{
    fault_proxy_add(proxy, &(struct fault_rule){.client_id = owner->id,
                                                .apis = apis,
                                                .fate = fate,
                                                .skip = skip,
                                                .times = times,
                                                .until_init = until_init});
}

/* Until one more request than that has met its fate. */
static void await_strike(size_t struck)
{
    for (int i = 0; i < WAIT_MS / 10 && fault_proxy_struck(proxy) == struck; i++)
        poll(NULL, 0, 10);
}

/* The first EndTxn happens, and no answer to it or to one of its repeats arrives. */
static void lose_answers(const struct owner *owner)
{
    strike(owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_ANSWER, 0, 1, true);
    strike(owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_REQUEST, 1, 0, true);
}

/* None arrives at the broker. */
static void lose_requests(const struct owner *owner)
{
    strike(owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_REQUEST, 0, 0, true);
}

/* --- both branches ---------------------------------------------------------------------------- */

struct branches {
    uint64_t happened;    /* COMMITTED, found by asking */
    uint64_t rolled_back; /* ABORTED, found by asking */
};

static struct branches branches_of(const struct owner *owner)
{
    struct kafka_log_status status = kafka_log_status(owner->log);

    return (struct branches){status.resolved, status.undone};
}

/* By turns, until the driver has gone so often each way: returns what is wrong with the log. */
static unsigned doubt_until(struct owner *owner, unsigned times, struct branches *out)
{
    for (unsigned round = 0; round < 2 * times * ROUNDS_PER_COUNT; round++) {
        bool is_answered = false;
        *out = branches_of(owner);
        if (out->happened >= times && out->rolled_back >= times)
            break;
        if (out->happened <= out->rolled_back)
            lose_answers(owner);
        else
            lose_requests(owner);
        (void)owner_commit(owner, &is_answered);
        fault_proxy_let_go(proxy, owner->id);
    }
    return count_wrong(owner);
}

/* Of a commit whose answer was lost the driver says that it happened exactly when it did. */
static void test_a_lost_answer_is_found_in_the_log(void **unused)
{
    (void)unused;
    struct owner owner;
    struct branches took = {0};

    owner_open(&owner);
    unsigned wrong = doubt_until(&owner, wanted, &took);
    print_message("  %u commits: %" PRIu64 " found to have happened, %" PRIu64
                  " found rolled back, %" PRIu64 " producers replaced; %" PRId64
                  " numbers on the log, each once\n",
                  owner.rounds, took.happened, took.rolled_back,
                  kafka_log_status(owner.log).reinits, owner.next);
    assert_int_equal(wrong, 0);
    assert_true(took.happened >= wanted);
    assert_true(took.rolled_back >= wanted);
    owner_close(&owner);
}

/* A driver that took either for granted would lose or double records, and this suite would see. */
static void test_either_taken_for_granted_is_seen(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum lie lie;
        bool happens;
    } cases[] = {
        {"it is taken to have happened, and did not: missing", LIE_IT_HAPPENED, false},
        {"it is taken to have failed, and happened: twice", LIE_IT_DID_NOT, true},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct owner owner;
        bool is_answered;

        owner_open(&owner);
        liar.lie = cases[i].lie;
        liar.told = 0;
        for (unsigned round = 0; liar.told == 0 && round < ROUNDS_PER_COUNT; round++) {
            if (cases[i].happens)
                lose_answers(&owner);
            else
                lose_requests(&owner);
            (void)owner_commit(&owner, &is_answered);
            fault_proxy_let_go(proxy, owner.id);
        }
        liar.lie = TRUTH;
        owner_reopen(&owner);
        owner_commit_surely(&owner); /* what follows shows it */
        unsigned wrong = count_wrong(&owner);
        print_message("  %s: %u lies, %u wrong\n", cases[i].says, liar.told, wrong);
        assert_true(liar.told > 0);
        assert_true(wrong > 0);
        owner_close(&owner);
    }
}

/* --- late ------------------------------------------------------------------------------------- */

/* An EndTxn that arrives after its transaction was given up is refused, and the transaction that
 * is open by then is neither committed nor rolled back by it. */
static void test_a_late_end_ends_no_later_transaction(void **unused)
{
    (void)unused;
    struct owner owner;
    bool is_answered = false;

    owner_open(&owner);
    owner_commit_surely(&owner);
    size_t struck = fault_proxy_struck(proxy);
    for (int i = 0; i < ROUNDS_PER_COUNT && fault_proxy_struck(proxy) == struck; i++) {
        strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LATE, 0, 1, true);
        strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_REQUEST, 1, 0, true);
        assert_int_equal(owner_commit(&owner, &is_answered), LOG_ABORTED);
        fault_proxy_let_go(proxy, owner.id);
    }

    struck = fault_proxy_struck(proxy);
    strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_HOLD, 0, 0, false);
    owner_start(&owner);
    await_strike(struck); /* everything but its end has happened */
    assert_int_equal(fault_proxy_deliver(proxy, owner.id), EPOCH_IS_OLD);
    fault_proxy_let_go(proxy, owner.id);
    enum log_commit outcome = owner_wait(&owner, WAIT_MS, &is_answered);
    assert_int_not_equal(outcome, LOG_COMMIT_PENDING);
    if (outcome == LOG_ABORTED) /* held for too long on a slow machine */
        owner_commit_surely(&owner);
    assert_int_equal(count_wrong(&owner), 0);
    owner_close(&owner);
}

/* An EndTxn that arrives after its answer was given up, but before anybody asked, counts. */
static void test_a_late_end_that_comes_before_the_question_counts(void **unused)
{
    (void)unused;
    struct owner owner;
    enum log_commit outcome = LOG_ABORTED;
    bool is_answered = true;

    owner_open(&owner);
    /* A slow machine may have given the transaction up before: then its end was to roll it back. */
    for (int tries = 0; outcome == LOG_ABORTED && tries < ROUNDS_PER_COUNT; tries++) {
        size_t struck = fault_proxy_struck(proxy);
        strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LATE, 0, 1, false);
        strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_REQUEST, 1, 0, false);
        strike(&owner, FAULT_BIT(FAULT_API_INIT_PRODUCER_ID), FAULT_LOSE_REQUEST, 0, 0, false);
        owner_start(&owner);
        await_strike(struck);
        assert_int_equal(owner_wait(&owner, 2 * COMMIT_TIMEOUT_MS, &is_answered),
                         LOG_COMMIT_PENDING);
        assert_int_equal(fault_proxy_deliver(proxy, owner.id), 0);
        fault_proxy_let_go(proxy, owner.id);
        outcome = owner_wait(&owner, WAIT_MS, &is_answered);
    }
    assert_int_equal(outcome, LOG_COMMITTED);
    assert_false(is_answered);
    assert_int_equal(count_wrong(&owner), 0);
    owner_close(&owner);
}

/* --- the coordinator -------------------------------------------------------------------------- */

/* While the coordinator cannot be reached a commit stays without an outcome; when it can, the
 * outcome is what the log holds, and the session goes on. */
static void test_the_coordinator_cannot_be_reached(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        unsigned skip; /* requests to the coordinator that still pass */
        bool has_happened;
    } cases[] = {
        {"from before the transaction", 0, false},
        {"from its second request on", 1, false},
        {"since it was ended there", 0, true},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct owner owner;
        bool is_answered = true;

        print_message("  %s\n", cases[i].says);
        owner_open(&owner);
        owner_commit_surely(&owner);
        if (cases[i].has_happened) {
            strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_ANSWER, 0, 1, false);
            strike(&owner, FAULT_BIT(FAULT_API_END_TXN), FAULT_LOSE_REQUEST, 1, 0, false);
            strike(&owner, FAULT_BIT(FAULT_API_INIT_PRODUCER_ID), FAULT_LOSE_REQUEST, 0, 0, false);
        } else {
            strike(&owner, FAULT_COORDINATOR, FAULT_LOSE_REQUEST, cases[i].skip, 0, false);
        }
        owner_start(&owner);
        assert_int_equal(owner_wait(&owner, 4 * COMMIT_TIMEOUT_MS, &is_answered),
                         LOG_COMMIT_PENDING);
        fault_proxy_let_go(proxy, owner.id);
        assert_int_equal(owner_wait(&owner, WAIT_MS, &is_answered),
                         cases[i].has_happened ? LOG_COMMITTED : LOG_ABORTED);
        if (cases[i].has_happened)
            assert_false(is_answered);
        owner_commit_surely(&owner);
        assert_int_equal(count_wrong(&owner), 0);
        owner_close(&owner);
    }
}

/* The broker is killed when it would have been told to end a transaction. */
static void start_and_end_broker(struct owner *owner)
{
    size_t struck = fault_proxy_struck(proxy);

    lose_requests(owner);
    owner_start(owner);
    await_strike(struck);
    test_broker_end(&broker, true);
    fault_proxy_let_go(proxy, owner->id);
}

/* While the broker is away for longer than any call waits, a commit stays without an outcome; when
 * it is back the outcome is what the log holds. (librdkafka 2.0.2 ends the program when the answer
 * to a question about a group comes after the question was given up.) */
static void test_the_broker_is_away_for_long(void **unused)
{
    (void)unused;
    struct owner owner;
    bool is_answered;

    owner_open(&owner);
    owner_commit_surely(&owner);
    start_and_end_broker(&owner);
    assert_int_equal(owner_wait(&owner, 3 * CALL_TIMEOUT_MS, &is_answered), LOG_COMMIT_PENDING);
    test_broker_restart(&broker);
    assert_int_equal(owner_wait(&owner, WAIT_MS, &is_answered), LOG_ABORTED);
    owner_commit_surely(&owner);
    assert_int_equal(count_wrong(&owner), 0);

    start_and_end_broker(&owner);
    assert_int_equal(owner_wait(&owner, CALL_TIMEOUT_MS, &is_answered), LOG_COMMIT_PENDING);
    owner_close(&owner); /* while it asks */
    test_broker_restart(&broker);
}

/* --- once ------------------------------------------------------------------------------------- */

/* A connection that is cut once, before or after the broker applied the request, costs nothing but
 * a repeat: what was committed is there once, and the producer that saw it is replaced before its
 * next transaction. */
static void test_a_connection_is_cut_once(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum fault_api api;
        enum fault_fate fate;
    } cases[] = {
        {"before the broker applied EndTxn", FAULT_API_END_TXN, FAULT_LOSE_REQUEST},
        {"after the broker applied EndTxn", FAULT_API_END_TXN, FAULT_LOSE_ANSWER},
        {"before the offsets were taken", FAULT_API_TXN_OFFSETS, FAULT_LOSE_REQUEST},
        {"after the offsets were taken", FAULT_API_TXN_OFFSETS, FAULT_LOSE_ANSWER},
        {"before the group was added", FAULT_API_ADD_OFFSETS, FAULT_LOSE_REQUEST},
        {"after the group was added", FAULT_API_ADD_OFFSETS, FAULT_LOSE_ANSWER},
        {"before the partitions were added", FAULT_API_ADD_PARTITIONS, FAULT_LOSE_REQUEST},
        {"after the partitions were added", FAULT_API_ADD_PARTITIONS, FAULT_LOSE_ANSWER},
    };
    struct owner owner;

    owner_open(&owner);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        uint64_t reinits = kafka_log_status(owner.log).reinits;
        bool is_answered = false;

        strike(&owner, FAULT_BIT(cases[i].api), cases[i].fate, 0, 1, false);
        enum log_commit outcome = owner_commit(&owner, &is_answered);
        print_message("  %s: %s\n", cases[i].says,
                      outcome == LOG_ABORTED ? "rolled back"
                      : is_answered          ? "committed"
                                             : "committed, found by asking");
        fault_proxy_let_go(proxy, owner.id);
        assert_true(kafka_log_status(owner.log).reinits > reinits);
        owner_commit_surely(&owner);
        assert_int_equal(count_wrong(&owner), 0);
    }
    owner_close(&owner);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_lost_answer_is_found_in_the_log),
        cmocka_unit_test(test_either_taken_for_granted_is_seen),
        cmocka_unit_test(test_a_late_end_ends_no_later_transaction),
        cmocka_unit_test(test_a_late_end_that_comes_before_the_question_counts),
        cmocka_unit_test(test_the_coordinator_cannot_be_reached),
        cmocka_unit_test(test_the_broker_is_away_for_long),
        cmocka_unit_test(test_a_connection_is_cut_once),
    };

    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--long") != 0)) {
        fprintf(stderr, "usage: %s [--long]\n", argv[0]);
        return 2;
    }
    if (argc == 2)
        wanted = 100;
    int status = test_broker_start(&broker);
    if (status)
        return status;
    proxy = fault_proxy_start(broker.proxy_port, broker.proxied_port);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fault_proxy_stop(proxy);
    test_broker_stop(&broker);
    return failed;
}
