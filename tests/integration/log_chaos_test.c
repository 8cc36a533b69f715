/* Rivals for the same slots, zombies, backends terminated at random, segments that change under
 * everybody's feet, and a server that is killed: each number is on the log exactly once. */
#include "tests/unit/test.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/integration/log_cluster.h"
#include "tests/integration/log_worker.h"

#define SLOTS  4
#define RIVALS 6

static struct log_cluster logs;

static void sleep_us(long us)
{
    nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 12;
}

struct storm {
    bool has_no_ring;
    atomic_bool is_over;
    atomic_int committed;
    atomic_int resolved;
    atomic_int aborted;
    atomic_int fenced;
    atomic_int zombies; /* commits tried by sessions that somebody else had ousted */
    atomic_int killed;
    atomic_int rotated;
    atomic_int broken; /* sessions of a fenced owner that still committed */
};

struct rival {
    struct storm *storm;
    pthread_t thread;
    unsigned seed;
};

static void count(struct storm *storm, enum log_commit outcome, bool is_answered)
{
    switch (outcome) {
    case LOG_COMMITTED:
        atomic_fetch_add(is_answered ? &storm->committed : &storm->resolved, 1);
        break;
    case LOG_ABORTED:
        atomic_fetch_add(&storm->aborted, 1);
        break;
    case LOG_FENCED:
        atomic_fetch_add(&storm->fenced, 1);
        break;
    case LOG_COMMIT_PENDING:
        fail_msg("a commit did not end within 30 s");
    }
}

/* Own a slot for some transactions; false when it is lost. */
static bool work(struct storm *storm, struct log_worker *worker, unsigned transactions)
{
    for (unsigned i = 0; i < transactions && !atomic_load(&storm->is_over); i++) {
        struct th_err err = {0};
        bool is_answered;

        if (log_worker_start(worker, &err) != TH_OK)
            fail_msg("%s", err.text);
        enum log_commit outcome = log_worker_finish(worker, &is_answered, &err);
        count(storm, outcome, is_answered);
        if (outcome == LOG_FENCED)
            return false;
    }
    return true;
}

/* A second session of the same slot through the same log ousts the first, which does not know. */
static void be_a_zombie(struct storm *storm, struct log_worker *zombie)
{
    struct log_worker owner = *zombie;
    struct th_err err = {0};
    bool is_answered;

    if (log_worker_open(&owner, &err) != TH_OK)
        return;
    if (log_worker_start(zombie, &err) != TH_OK)
        fail_msg("%s", err.text);
    enum log_commit outcome = log_worker_finish(zombie, &is_answered, &err);
    atomic_fetch_add(&storm->zombies, 1);
    if (outcome != LOG_FENCED)
        atomic_fetch_add(&storm->broken, 1);
    work(storm, &owner, 3);
    log_worker_close(&owner, true);
}

static void *run_rival(void *argument)
{
    struct rival *rival = argument;
    struct storm *storm = rival->storm;
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;
    struct th_err err = {0};

    config.has_no_ring = storm->has_no_ring;
    while (pg_log_open(&config, &log, &err) != TH_OK)
        sleep_us(10000); /* its connection was terminated */
    while (!atomic_load(&storm->is_over)) {
        struct log_worker worker = {.log = log,
                                    .slot = (int)(next_random(&rival->seed) % SLOTS),
                                    .seed = next_random(&rival->seed)};
        if (log_worker_open(&worker, &err) != TH_OK) {
            sleep_us(5000);
            continue;
        }
        bool is_mine = work(storm, &worker, next_random(&rival->seed) % 40);
        if (is_mine && next_random(&rival->seed) % 4 == 0)
            be_a_zombie(storm, &worker);
        log_worker_close(&worker, next_random(&rival->seed) % 2);
    }
    th_log_close(log);
    return NULL;
}

static void *run_killer(void *argument)
{
    static const struct pg_statement sql_kill_one = {
        "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
        " WHERE application_name LIKE 'telehub%' ORDER BY random() LIMIT 1) p",
    };
    struct storm *storm = argument;

    while (!atomic_load(&storm->is_over)) {
        atomic_fetch_add(&storm->killed, (int)log_cluster_admin(&logs, &sql_kill_one, NULL));
        sleep_us(15000);
    }
    return NULL;
}

static void *run_rotator(void *argument)
{
    struct storm *storm = argument;
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;
    struct th_err err = {0};

    config.is_guest = true;
    while (!atomic_load(&storm->is_over)) {
        if (!log && pg_log_open(&config, &log, &err) != TH_OK)
            continue;
        if (pg_log_rotate(log, &err) == TH_OK)
            atomic_fetch_add(&storm->rotated, 1);
        sleep_us(150000);
    }
    th_log_close(log);
    return NULL;
}

/* Readers follow everything while it happens; a hole or a damaged batch would be an error. */
static void *run_reader(void *argument)
{
    struct storm *storm = argument;
    struct pg_log_config config = log_cluster_config(&logs);
    struct log_place from[2 * SLOTS];
    int64_t next[2][SLOTS] = {0};
    struct th_log *log = NULL;
    struct th_log_reader *reader;
    struct th_arena arena;
    struct th_err err = {0};

    for (int i = 0; i < SLOTS; i++) {
        from[i] = (struct log_place){TOPIC_DISPATCH_ATTEMPTS, i, 0};
        from[SLOTS + i] = (struct log_place){TOPIC_PROVIDER_CALLBACKS, i, 0};
    }
    config.is_guest = true;
    while (pg_log_open(&config, &log, &err) != TH_OK)
        sleep_us(10000);
    th_arena_init(&arena, (size_t)64 << 20);
    if (th_log_reader_open(log, from, TH_LEN(from), &reader, &err) != TH_OK)
        fail_msg("%s", err.text);
    while (!atomic_load(&storm->is_over)) {
        struct log_records records = {0};
        th_arena_reset(&arena);
        enum th_code code = th_log_reader_read(reader, 100000, &arena, &records, &err);
        if (code != TH_OK && code != TH_UNAVAILABLE)
            fail_msg("%s: %s", th_code_name(code), err.text);
        for (size_t i = 0; i < records.n; i++) {
            struct log_place at = records.at[i].place;
            int64_t *expected = &next[at.topic == TOPIC_PROVIDER_CALLBACKS][at.part];
            if (at.offset != (*expected)++)
                atomic_fetch_add(&storm->broken, 1);
        }
        sleep_us(1000);
    }
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    th_log_close(log);
    return NULL;
}

static void check_all(const struct storm *storm)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;
    struct th_err err = {0};
    int64_t numbers = 0;

    if (pg_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    for (int slot = 0; slot < SLOTS; slot++)
        numbers += log_worker_check(log, slot);
    th_log_close(log);
    print_message("  %d commits and %d found by asking, %d aborted, %d fenced, %d zombies refused,"
                  " %d backends terminated, %d rotations: %" PRId64 " numbers, each once\n",
                  atomic_load(&storm->committed), atomic_load(&storm->resolved),
                  atomic_load(&storm->aborted), atomic_load(&storm->fenced),
                  atomic_load(&storm->zombies), atomic_load(&storm->killed),
                  atomic_load(&storm->rotated), numbers);
    assert_true(numbers > 0);
}

/* A slow machine gets the time that it needs for as much trouble as a fast one. */
static bool has_had_enough(const struct storm *storm)
{
    return atomic_load(&storm->committed) > 0 && atomic_load(&storm->fenced) > 0 &&
           atomic_load(&storm->zombies) > 0 && atomic_load(&storm->killed) > 20 &&
           atomic_load(&storm->rotated) > 3;
}

static void rage(struct storm *storm)
{
    sleep_us(4000000);
    for (int i = 0; i < 600 && !has_had_enough(storm); i++)
        sleep_us(100000);
    atomic_store(&storm->is_over, true);
}

static void storm(bool has_no_ring)
{
    struct storm storm = {.has_no_ring = has_no_ring};
    struct rival rivals[RIVALS];
    pthread_t killer;
    pthread_t rotator;
    pthread_t reader;

    log_cluster_make(&logs, SLOTS);
    for (unsigned i = 0; i < RIVALS; i++) {
        rivals[i] = (struct rival){.storm = &storm, .seed = i + 1};
        assert_int_equal(pthread_create(&rivals[i].thread, NULL, run_rival, &rivals[i]), 0);
    }
    assert_int_equal(pthread_create(&killer, NULL, run_killer, &storm), 0);
    assert_int_equal(pthread_create(&rotator, NULL, run_rotator, &storm), 0);
    assert_int_equal(pthread_create(&reader, NULL, run_reader, &storm), 0);
    rage(&storm);
    for (size_t i = 0; i < RIVALS; i++)
        pthread_join(rivals[i].thread, NULL);
    pthread_join(killer, NULL);
    pthread_join(rotator, NULL);
    pthread_join(reader, NULL);

    check_all(&storm);
    assert_int_equal(atomic_load(&storm.broken), 0);
    assert_true(has_had_enough(&storm));
}

static void test_rivals_zombies_kills_and_rotations(void **unused)
{
    (void)unused;
    storm(false);
}

static void test_the_same_without_a_ring(void **unused)
{
    (void)unused;
    storm(true);
}

/* --- ambiguous commits ------------------------------------------------------------------ */

#define PROXY_PORT 6001
#define ROUNDS     60

static const char slot_name[] = "telehub slot 3/2";

static void *kill_slot(void *argument)
{
    sleep_us(*(const long *)argument);
    log_cluster_kill(&logs, slot_name, 5000);
    return NULL;
}

static void finish_round(struct log_worker *worker, int *happened, int *rolled_back, int *answered)
{
    int64_t before = worker->next;
    struct th_err err = {0};
    bool is_answered = false;

    assert_int_equal(log_worker_start(worker, &err), TH_OK);
    enum log_commit outcome = log_worker_finish(worker, &is_answered, &err);
    if (outcome == LOG_ABORTED) {
        ++*rolled_back;
        assert_int_equal(worker->next, before);
    } else {
        assert_int_equal(outcome, LOG_COMMITTED);
        ++*(is_answered ? answered : happened);
    }
}

/* The connection breaks, or the backend dies, at every moment between the sending and the answer.
 * A backend that is terminated rolls back, or has answered already; one whose client is gone goes
 * on and commits. */
static void test_the_answer_to_a_commit_is_lost(void **unused)
{
    (void)unused;
    char conninfo[LOG_CLUSTER_CONNINFO_MAX];
    struct pg_log_config config = log_cluster_config(&logs);
    struct log_worker worker = {.slot = 2, .seed = 5};
    struct th_err err = {0};
    unsigned seed = 11;
    int happened = 0;
    int rolled_back = 0;
    int answered = 0;

    log_cluster_make(&logs, SLOTS);
    struct pg_proxy *proxy = pg_proxy_start(PQhost(pg_conn(logs.admin)), PROXY_PORT);
    log_cluster_through(&logs, PROXY_PORT, conninfo);
    config.conninfo = conninfo;
    assert_int_equal(pg_log_open(&config, &worker.log, &err), TH_OK);
    assert_int_equal(log_worker_open(&worker, &err), TH_OK);
    for (int round = 0; round < ROUNDS; round++) {
        long after_us = next_random(&seed) % 1500;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, kill_slot, &after_us), 0);
        sleep_us(next_random(&seed) % 1500);
        finish_round(&worker, &happened, &rolled_back, &answered);
        pthread_join(thread, NULL);
        pg_proxy_cut_at_random(proxy, slot_name, seed);
        finish_round(&worker, &happened, &rolled_back, &answered);
    }
    print_message("  %d committed without an answer, %d rolled back, %d answered\n", happened,
                  rolled_back, answered);
    assert_true(happened > 0);
    assert_true(rolled_back > 0);
    log_worker_close(&worker, true);
    log_worker_check(worker.log, 2);
    th_log_close(worker.log);
    pg_proxy_stop(proxy);
}

/* --- the server itself dies ------------------------------------------------------------- */

struct committer {
    struct log_worker worker;
    atomic_bool is_over;
    int commits;
    int others;
};

static void *run_committer(void *argument)
{
    struct committer *committer = argument;
    struct th_err err = {0};
    bool is_answered;

    while (!atomic_load(&committer->is_over)) {
        if (log_worker_start(&committer->worker, &err) != TH_OK)
            fail_msg("%s", err.text);
        enum log_commit outcome = log_worker_finish(&committer->worker, &is_answered, &err);
        assert_true(outcome == LOG_COMMITTED || outcome == LOG_ABORTED);
        ++*(outcome == LOG_COMMITTED && is_answered ? &committer->commits : &committer->others);
    }
    return NULL;
}

static void test_the_server_is_killed_under_a_session(void **unused)
{
    (void)unused;
    struct pg_log_config config = log_cluster_config(&logs);
    struct committer committer = {.worker = {.slot = 1, .seed = 3}};
    struct th_err err = {0};
    pthread_t thread;

    log_cluster_make(&logs, SLOTS);
    assert_int_equal(pg_log_open(&config, &committer.worker.log, &err), TH_OK);
    assert_int_equal(log_worker_open(&committer.worker, &err), TH_OK);
    assert_int_equal(pthread_create(&thread, NULL, run_committer, &committer), 0);
    for (int i = 0; i < 3; i++) {
        sleep_us(200000);
        log_cluster_crash(&logs);
    }
    sleep_us(200000);
    atomic_store(&committer.is_over, true);
    pthread_join(thread, NULL);
    print_message("  %d commits answered, %d asked about\n", committer.commits, committer.others);
    assert_true(committer.others >= 3);
    log_worker_close(&committer.worker, true);
    log_worker_check(committer.worker.log, 1);
    th_log_close(committer.worker.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rivals_zombies_kills_and_rotations),
        cmocka_unit_test(test_the_same_without_a_ring),
        cmocka_unit_test(test_the_answer_to_a_commit_is_lost),
        cmocka_unit_test(test_the_server_is_killed_under_a_session),
    };

    log_cluster_start(&logs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_cluster_stop(&logs);
    return failed;
}
