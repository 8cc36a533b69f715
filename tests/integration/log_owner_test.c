/* Who owns a slot; what a log refuses; what is tidied up. */
#include "tests/unit/test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/integration/log_cluster.h"
#include "tests/integration/log_worker.h"

static struct log_cluster logs;
static struct th_err err;

static struct th_log *open_log(void)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;

    if (pg_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

/* --- the previous owner ----------------------------------------------------------------- */

/* Another process on this host owns the slot, and then does what it is told to. */
enum child_does {
    CHILD_WAITS,
    CHILD_IS_FROZEN,
    CHILD_RELEASED,
};

static void run_child(enum child_does does, int ready)
{
    struct log_worker worker = {.slot = 0};
    struct pg_log_config config = log_cluster_config(&logs);
    bool is_answered;

    if (pg_log_open(&config, &worker.log, &err) != TH_OK ||
        log_worker_open(&worker, &err) != TH_OK || log_worker_start(&worker, &err) != TH_OK ||
        log_worker_finish(&worker, &is_answered, &err) != LOG_COMMITTED)
        _exit(1);
    if (does == CHILD_RELEASED)
        log_worker_close(&worker, true);
    if (write(ready, "!", 1) != 1)
        _exit(1);
    for (;;) {
        if (does == CHILD_IS_FROZEN)
            raise(SIGSTOP);
        pause();
    }
}

static pid_t start_child(enum child_does does)
{
    int ready[2];
    char mark;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0)
        run_child(does, ready[1]);
    assert_true(pid > 0);
    close(ready[1]);
    assert_int_equal(read(ready[0], &mark, 1), 1);
    close(ready[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    kill(pid, SIGCONT);
    waitpid(pid, NULL, 0);
}

/* Commit once, so that it is clear who owns the slot. */
static void own_for_a_moment(struct log_worker *worker)
{
    bool is_answered;

    if (log_worker_open(worker, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(log_worker_start(worker, &err), TH_OK);
    assert_int_equal(log_worker_finish(worker, &is_answered, &err), LOG_COMMITTED);
    log_worker_close(worker, true);
}

static void test_the_previous_process_is_ended(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        enum child_does does;
        bool ends;
    } cases[] = {
        {"a live owner", CHILD_WAITS, true},
        {"a frozen owner", CHILD_IS_FROZEN, true},
        {"an owner that released the slot", CHILD_RELEASED, false},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_worker worker = {.slot = 0};
        int status = 0;

        print_message("  %s\n", cases[i].says);
        log_cluster_make(&logs, 4);
        pid_t child = start_child(cases[i].does); /* before this process has threads */
        worker.log = open_log();
        own_for_a_moment(&worker);
        assert_int_equal(waitpid(child, &status, WNOHANG), cases[i].ends ? child : 0);
        if (cases[i].ends)
            assert_int_equal(WTERMSIG(status), SIGKILL);
        else
            end_child(child);
        log_worker_check(worker.log, 0);
        th_log_close(worker.log);
    }
}

static void test_who_is_not_ended(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct pg_statement pretence;
        enum th_code code;
    } cases[] = {
        {"another process that has the pid by now",
         {"UPDATE eventlog.slot SET os_start = os_start - 1"},
         TH_OK},
        {"an owner before the machine was started anew",
         {"UPDATE eventlog.slot SET boot_id = 'other', host = 'gone', instance = 'gone'"},
         TH_OK},
        {"a live owner on another host", {"UPDATE eventlog.slot SET host = 'far'"}, TH_CONFLICT},
        {"a silent owner on another host",
         {"UPDATE eventlog.slot SET host = 'far', instance = 'silent'"},
         TH_OK},
    };

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct log_worker worker = {.slot = 0};

        print_message("  %s\n", cases[i].says);
        log_cluster_make(&logs, 4);
        pid_t child = start_child(CHILD_WAITS);
        log_cluster_admin(&logs, &cases[i].pretence, NULL);
        worker.log = open_log();
        enum th_code code = log_worker_open(&worker, &err);
        if (code != cases[i].code)
            fail_msg("%s: %s", th_code_name(code), err.text);
        assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
        if (code == TH_OK)
            log_worker_close(&worker, true);
        end_child(child);
        th_log_close(worker.log);
    }
}

/* --- what is refused -------------------------------------------------------------------- */

static void test_refusals_when_opening(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *log_id;
        struct pg_statement change;
        struct pg_statement repair;
        enum th_code code;
        const char *text;
    } cases[] = {
        {"another log than the configured one",
         "00000000-0000-4000-8000-000000000000",
         {"SELECT 1"},
         {"SELECT 1"},
         TH_CONFLICT,
         "00000000-0000-4000-8000-000000000000"},
        {"a database of another build",
         NULL,
         {"WITH d AS (DELETE FROM telehub.migration RETURNING *)"
          " INSERT INTO telehub.migration SELECT number + 100000, name, sha256, applied_at FROM d"},
         {"UPDATE telehub.migration SET number = number - 100000"},
         TH_CONFLICT,
         "another build"},
        {"a database that is older",
         NULL,
         {"UPDATE pg_class SET relname = 'hidden' WHERE oid = 'telehub.migration'::regclass"},
         {"UPDATE pg_class SET relname = 'migration' WHERE oid = 'telehub.hidden'::regclass"},
         TH_UNSUPPORTED,
         "telehub upgrade"},
        {"a database that is newer",
         NULL,
         {"INSERT INTO telehub.migration VALUES (9999, '9999_later', 'x')"},
         {"DELETE FROM telehub.migration WHERE number = 9999"},
         TH_UNSUPPORTED,
         "newer binary"},
        {"another layout of batches",
         NULL,
         {"UPDATE eventlog.meta SET log_version = 2"},
         {"UPDATE eventlog.meta SET log_version = 1"},
         TH_UNSUPPORTED,
         "version is 2"},
        {"a topic that the log lacks",
         NULL,
         {"UPDATE eventlog.topic SET topic_id = 99 WHERE name = 'dead.letters'"},
         {"UPDATE eventlog.topic SET topic_id = 14 WHERE name = 'dead.letters'"},
         TH_UNSUPPORTED,
         "no topic dead.letters"},
        {"a topic under another number",
         NULL,
         {"UPDATE eventlog.topic SET name = 'something.else' WHERE name = 'config'"},
         {"UPDATE eventlog.topic SET name = 'config' WHERE name = 'something.else'"},
         TH_UNSUPPORTED,
         "something.else"},
        {"no log in the database",
         NULL,
         {"DELETE FROM eventlog.meta"},
         {"SELECT 1"},
         TH_NOT_FOUND,
         "no log"},
    };

    log_cluster_make(&logs, 4);
    /* Rename tables and topics without their references being in the way. */
    log_cluster_admin(&logs, &(struct pg_statement){"SET allow_system_table_mods = on"}, NULL);
    log_cluster_admin(&logs, &(struct pg_statement){"SET session_replication_role = replica"},
                      NULL);
    th_log_close(open_log());
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct pg_log_config config = log_cluster_config(&logs);
        struct th_log *log = NULL;

        print_message("  %s\n", cases[i].says);
        config.log_id = cases[i].log_id;
        log_cluster_admin(&logs, &cases[i].change, NULL);
        enum th_code code = pg_log_open(&config, &log, &err);
        log_cluster_admin(&logs, &cases[i].repair, NULL);
        if (code != cases[i].code || !strstr(err.text, cases[i].text))
            fail_msg("%s: %s", th_code_name(code), err.text);
        assert_null(log);
    }
    log_cluster_admin(&logs, &(struct pg_statement){"SET session_replication_role = DEFAULT"},
                      NULL);
}

static void test_the_right_log_is_taken(void **unused)
{
    (void)unused;
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log;
    char id[64];

    log_cluster_make(&logs, 4);
    log = open_log();
    snprintf(id, sizeof id, "%s", th_log_id(log));
    th_log_close(log);
    config.log_id = id;
    assert_int_equal(pg_log_open(&config, &log, &err), TH_OK);
    assert_string_equal(th_log_id(log), id);
    th_log_close(log);
    assert_int_equal(pg_log_create(logs.conninfo, 4, &err), TH_CONFLICT);
    assert_int_equal(pg_log_create(logs.conninfo, 0, &err), TH_INVALID);
}

static void test_a_new_topic_comes_with_the_upgrade(void **unused)
{
    (void)unused;
    static const struct pg_statement sql_forget = {
        "WITH g AS (DELETE FROM eventlog.segment WHERE topic_id = 14),"
        " h AS (DELETE FROM eventlog.partition_head WHERE topic_id = 14)"
        " DELETE FROM eventlog.topic WHERE topic_id = 14",
    };
    struct pg_log_config config = log_cluster_config(&logs);
    const struct log_output output = {TOPIC_DEAD_LETTERS, -1, TH_STR("k"), .value = TH_STR("v")};
    struct log_place place;
    struct th_log *log = NULL;
    int applied;

    log_cluster_make(&logs, 4);
    log = open_log();
    assert_int_equal(pg_log_rotate(log, &err), TH_OK); /* it begins where the others are */
    th_log_close(log);
    log_cluster_admin(&logs, &(struct pg_statement){"SET session_replication_role = replica"},
                      NULL);
    log_cluster_admin(&logs, &sql_forget, NULL);
    log_cluster_admin(&logs, &(struct pg_statement){"SET session_replication_role = DEFAULT"},
                      NULL);
    assert_int_equal(pg_log_open(&config, &log, &err), TH_UNSUPPORTED);
    assert_int_equal(pg_log_upgrade(logs.conninfo, &applied, &err), TH_OK);
    assert_int_equal(applied, 0);
    log = open_log();
    assert_int_equal(th_log_partitions(log, TOPIC_DEAD_LETTERS), 4);
    assert_int_equal(th_log_append(log, &output, 1, &place, &err), TH_OK);
    assert_int_equal(place.offset, 0);
    th_log_close(log);
}

/* Whoever calls the functions by another way is refused as well. */
static void test_another_isolation_is_refused(void **unused)
{
    (void)unused;
    static const struct pg_statement sql_calls[] = {
        {"SELECT eventlog.append('{x}', '{7}', '{0}', '{0}', '{1}', '{0}', '{1}', '{1}')"},
        {"SELECT eventlog.commit_slot(3::int2, 0::int2, 1, 1, '', '{}', '{}', '{}', '{}', '{}',"
         " '{}', '{}', '{}')"},
    };
    struct pg *pg = NULL;

    log_cluster_make(&logs, 4);
    assert_int_equal(pg_open(&(struct pg_config){.conninfo = logs.conninfo}, &pg, &err), TH_OK);
    for (size_t i = 0; i < TH_LEN(sql_calls); i++) {
        assert_int_equal(pg_run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ", &err), TH_OK);
        assert_int_equal(pg_execute(pg, &sql_calls[i], NULL, NULL, &err), TH_UNSUPPORTED);
        assert_non_null(strstr(err.text, "read committed"));
        assert_int_equal(pg_run(pg, "ROLLBACK", &err), TH_OK);
    }
    print_message("  and nobody changes what was written\n");
    static const struct pg_statement sql_changes[] = {
        {"UPDATE eventlog.batch SET n = 2"},
        {"DELETE FROM eventlog.batch"},
        {"DELETE FROM eventlog.batch_1"},
        {"TRUNCATE eventlog.batch"},
    };
    for (size_t i = 0; i < TH_LEN(sql_changes); i++)
        assert_int_equal(pg_execute(pg, &sql_changes[i], NULL, NULL, &err), TH_DENIED);
    pg_close(pg);
}

/* --- housekeeping ----------------------------------------------------------------------- */

static int64_t count(const char *sql)
{
    return log_cluster_admin(&logs, &(struct pg_statement){sql}, NULL);
}

static void ingest(struct th_log *log, const char *key, enum log_claim_outcome outcome)
{
    struct th_arena arena;
    struct log_claim claim = {.tenant = TH_STR("pratham"),
                              .route = TH_STR("POST /api/v1/sends"),
                              .key = th_str(key),
                              .status = 202};

    th_arena_init(&arena, 1 << 20);
    if (th_log_ingest(log, &claim, 1, &arena, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_int_equal(claim.outcome, outcome);
    th_arena_fini(&arena);
}

static void test_what_is_tidied_up(void **unused)
{
    (void)unused;
    struct pg_log_config config = log_cluster_config(&logs);
    struct log_worker worker = {.slot = 3, .seed = 9};
    bool is_answered;

    log_cluster_make(&logs, 4);
    config.house_ms = 3600 * 1000; /* only when this test says so */
    assert_int_equal(pg_log_open(&config, &worker.log, &err), TH_OK);
    assert_int_equal(log_worker_open(&worker, &err), TH_OK);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(log_worker_start(&worker, &err), TH_OK);
        assert_int_equal(log_worker_finish(&worker, &is_answered, &err), LOG_COMMITTED);
    }
    ingest(worker.log, "old", LOG_CLAIM_STORED);
    ingest(worker.log, "new", LOG_CLAIM_STORED);
    log_cluster_admin(&logs,
                      &(struct pg_statement){"UPDATE eventlog.idem SET first_seen = first_seen"
                                             " - interval '48 hours 1 second' WHERE key = 'old'"},
                      NULL);
    assert_int_equal(pg_log_keep_house(worker.log, &err), TH_OK);

    print_message("  of the journal the newest rows stay\n");
    assert_int_equal(count("SELECT count(*) FROM eventlog.journal"), 8);
    assert_int_equal(count("SELECT max(txn_seq) FROM eventlog.journal"), 30);
    print_message("  idempotency keys stay for 48 hours\n");
    ingest(worker.log, "new", LOG_CLAIM_REPLAYED);
    ingest(worker.log, "old", LOG_CLAIM_STORED);
    print_message("  this process is alive\n");
    assert_int_equal(count("SELECT count(*) FROM eventlog.heartbeat"
                           " WHERE at > clock_timestamp() - interval '5 seconds'"),
                     1);
    assert_int_equal(count("SELECT max(seg)::int8 FROM eventlog.partition_head"), 1);
    log_worker_close(&worker, true);
    log_worker_check(worker.log, 3);
    th_log_close(worker.log);

    print_message(
        "  a segment that is large enough is left, and the one after the next is there\n");
    config.segment_bytes_max = 8192;
    assert_int_equal(pg_log_open(&config, &worker.log, &err), TH_OK);
    assert_int_equal(pg_log_keep_house(worker.log, &err), TH_OK);
    assert_int_equal(count("SELECT min(seg)::int8 FROM eventlog.partition_head"), 2);
    assert_int_equal(count("SELECT (to_regclass('eventlog.batch_3') IS NOT NULL)::int::int8"), 1);
    log_worker_check(worker.log, 3);
    th_log_close(worker.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_previous_process_is_ended),
        cmocka_unit_test(test_who_is_not_ended),
        cmocka_unit_test(test_refusals_when_opening),
        cmocka_unit_test(test_the_right_log_is_taken),
        cmocka_unit_test(test_a_new_topic_comes_with_the_upgrade),
        cmocka_unit_test(test_another_isolation_is_refused),
        cmocka_unit_test(test_what_is_tidied_up),
    };

    log_cluster_start(&logs);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    log_cluster_stop(&logs);
    return failed;
}
