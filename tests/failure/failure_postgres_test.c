/* The log in Postgres without memory, descriptors or threads: each call happens whole or not at
 * all, says so truly, and the next one is well. */
#include "tests/failure/fail.h"
#include "tests/failure/settle.h"
#include "tests/integration/log_cluster.h"
#include "tests/unit/test.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PARTITIONS  2
#define SLOT        0
#define POLLS_SHORT 5
#define ARENA_MAX   ((size_t)16 << 20)
#define KINDS       (FAIL_MEMORY | FAIL_EVENT | FAIL_OPEN)

static struct log_cluster logs;
static struct th_log *log_;
static int requests;

static const struct log_output outputs[] = {
    {TOPIC_DISPATCH_ATTEMPTS, 0, {"ngo/1", 5}, .value = {"one", 3}},
    {TOPIC_DISPATCH_ATTEMPTS, 1, {"ngo/2", 5}, .value = {"two", 3}},
    {TOPIC_DISPATCH_ATTEMPTS, 0, {"ngo/1", 5}, .value = {"three", 5}},
};

static struct th_log *open_log(void)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;
    struct th_err err = {0};

    config.is_guest = true;
    if (pg_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static int64_t end_of(int part)
{
    struct th_err err = {0};
    int64_t end = -1;

    if (th_log_end(log_, TOPIC_DISPATCH_ATTEMPTS, part, &end, &err) != TH_OK)
        fail_msg("%s", err.text);
    return end;
}

static int64_t records(void)
{
    settle(&logs);
    return end_of(0) + end_of(1);
}

static void assert_code(enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    if (!fail_was_hit() || !th_code_is_retriable(code))
        fail_msg("%s: %s", th_code_name(code), err->text);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void open_and_close(void *unused)
{
    (void)unused;
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = pg_log_open(&config, &log, &err);
    fail_disarm();
    assert_code(code, &err);
    if (log)
        th_log_close(log);
}

/* --- appending -------------------------------------------------------------------------------- */

static void append(void *unused)
{
    (void)unused;
    struct log_place places[TH_LEN(outputs)];
    struct th_err err = {0};
    int64_t before = records();

    fail_arm();
    enum th_code code = th_log_append(log_, outputs, TH_LEN(outputs), places, &err);
    fail_disarm();
    assert_code(code, &err);
    int64_t added = records() - before;
    assert_true(added == 3 || (code != TH_OK && added == 0));
    if (code == TH_OK)
        assert_int_equal(places[2].offset, places[0].offset + 1);
    assert_int_equal(th_log_append(log_, outputs, TH_LEN(outputs), places, &err), TH_OK);
}

static enum th_code claim_once(const char *key, struct th_arena *arena,
                               enum log_claim_outcome *out_outcome, struct th_err *err)
{
    struct log_claim claim = {
        .tenant = TH_STR("ngo"),
        .route = TH_STR("POST /x"),
        .key = th_str(key),
        .status = 202,
        .body = TH_STR("{}"),
        .outputs = outputs,
        .outputs_n = TH_LEN(outputs),
    };
    enum th_code code = th_log_ingest(log_, &claim, 1, arena, err);

    *out_outcome = claim.outcome;
    return code;
}

/* A repeat with the same key makes it exactly once. */
static void ingest(void *unused)
{
    (void)unused;
    enum log_claim_outcome outcome;
    struct th_err err = {0};
    struct th_arena arena;
    int64_t before = records();
    char key[32];

    snprintf(key, sizeof key, "key-%d", ++requests);
    th_arena_init(&arena, ARENA_MAX);
    fail_arm();
    enum th_code code = claim_once(key, &arena, &outcome, &err);
    fail_disarm();
    assert_code(code, &err);
    int64_t added = records() - before;
    assert_true(added == 3 || (code != TH_OK && added == 0));
    if (claim_once(key, &arena, &outcome, &err) != TH_OK)
        fail_msg("%s", err.text);
    /* A commit that was on its way when its connection broke may come after the count. */
    assert_true(outcome == LOG_CLAIM_REPLAYED || (outcome == LOG_CLAIM_STORED && added == 0));
    assert_int_equal(records() - before, 3);
    th_arena_fini(&arena);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void take(struct th_log_reader *reader, int64_t next[PARTITIONS], enum th_code *out_code)
{
    struct th_err err = {0};
    struct th_arena arena;
    struct log_records found = {0};

    th_arena_init(&arena, ARENA_MAX);
    do {
        found = (struct log_records){0};
        th_arena_reset(&arena);
        *out_code = th_log_reader_read(reader, 64, &arena, &found, &err);
        assert_code(*out_code, &err);
        for (size_t i = 0; *out_code == TH_OK && i < found.n; i++)
            assert_int_equal(found.at[i].place.offset, next[found.at[i].place.part]++);
    } while (*out_code == TH_OK && found.n > 0);
    th_arena_fini(&arena);
}

/* After an error the reader stands where it stood: nothing is left out, nothing comes twice. */
static void read_all(void *unused)
{
    (void)unused;
    const int64_t ends[PARTITIONS] = {end_of(0), end_of(1)};
    int64_t next[PARTITIONS] = {ends[0] > 4 ? ends[0] - 4 : 0, ends[1] > 4 ? ends[1] - 4 : 0};
    const struct log_place from[PARTITIONS] = {{TOPIC_DISPATCH_ATTEMPTS, 0, next[0]},
                                               {TOPIC_DISPATCH_ATTEMPTS, 1, next[1]}};
    struct th_log_reader *reader = NULL;
    struct th_err err = {0};

    fail_arm();
    enum th_code code = th_log_reader_open(log_, from, PARTITIONS, &reader, &err);
    if (code == TH_OK)
        take(reader, next, &code);
    fail_disarm();
    assert_code(code, &err);
    if (!reader)
        return;
    take(reader, next, &code);
    assert_int_equal(code, TH_OK);
    assert_int_equal(next[0], ends[0]);
    assert_int_equal(next[1], ends[1]);
    th_log_reader_close(reader);
}

/* --- owning a slot ---------------------------------------------------------------------------- */

static int64_t cursor_of(const struct th_log_session *session)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(session, &cursors, &n);
    return n ? cursors[0].next.offset : 0;
}

static enum log_commit commit(struct th_log_session *session, int64_t cursor, struct th_err *err)
{
    const struct log_cursor at = {.next = {TOPIC_DISPATCH_REQUESTS, 0, cursor}};
    const struct log_txn txn = {outputs, TH_LEN(outputs), &at, 1, NULL};
    struct log_place places[TH_LEN(outputs)];
    enum log_commit outcome;
    bool is_answered;
    int polls = 0;

    if (th_log_commit_start(session, &txn, err) != TH_OK)
        return LOG_ABORTED;
    while ((outcome = th_log_commit_poll(session, places, &is_answered, err)) ==
           LOG_COMMIT_PENDING) {
        struct pollfd ready = {.fd = th_log_session_fd(session), .events = POLLIN};
        (void)poll(&ready, 1, 50);
        if (++polls ==
            POLLS_SHORT) /* a commit whose answer was lost is pending until it is known */
            fail_disarm();
    }
    return outcome;
}

/* Records and cursor come together, or not at all. */
static void own(void *unused)
{
    (void)unused;
    struct th_log_session *session = NULL;
    struct th_err err = {0};
    int64_t before = records();
    int64_t cursor = -1;
    enum log_commit outcome = LOG_ABORTED;

    fail_arm();
    enum th_code code = th_log_session_open(log_, LOG_APP_DISPATCH, SLOT, &session, &err);
    if (code == TH_OK) {
        cursor = cursor_of(session);
        outcome = commit(session, cursor + 1, &err);
    }
    fail_disarm();
    assert_true(outcome == LOG_COMMITTED || fail_was_hit());
    assert_code(code, &err);
    int64_t added = records() - before;
    assert_int_equal(added, outcome == LOG_COMMITTED ? 3 : 0);
    if (session)
        th_log_session_close(session, true);

    if (th_log_session_open(log_, LOG_APP_DISPATCH, SLOT, &session, &err) != TH_OK)
        fail_msg("%s", err.text);
    if (cursor >= 0)
        assert_int_equal(cursor_of(session), cursor + (added == 3));
    cursor = cursor_of(session);
    assert_int_equal(commit(session, cursor + 1, &err), LOG_COMMITTED);
    assert_int_equal(cursor_of(session), cursor + 1);
    th_log_session_close(session, true);
}

static enum th_code snapshot_body(char out[64], struct th_err *err)
{
    struct log_snapshot *found;
    struct th_arena arena;
    size_t n;

    th_arena_init(&arena, ARENA_MAX);
    enum th_code code = th_log_snapshot_get(log_, LOG_APP_DISPATCH, 0, (struct log_pieces){0, 1}, 1,
                                            &arena, &found, &n, err);
    out[0] = '\0';
    if (code == TH_OK && n > 0)
        (void)snprintf(out, 64, "%.*s", TH_ARG(found[0].body));
    th_arena_fini(&arena);
    return code;
}

/* The new one, or the one before; never something else. */
static void snapshot(void *unused)
{
    (void)unused;
    char body[64];
    char before[64];
    char after[64];
    struct th_err err = {0};

    snprintf(body, sizeof body, "state %d", ++requests);
    assert_int_equal(snapshot_body(before, &err), TH_OK);
    fail_arm();
    enum th_code code = th_log_snapshot_put(
        log_, LOG_APP_DISPATCH,
        &(struct log_snapshot){.upto_offset = requests, .fold_version = 1, .body = th_str(body)},
        &err);
    enum th_code got = snapshot_body(after, &err);
    fail_disarm();
    assert_code(code, &err);
    assert_code(got, &err);
    assert_int_equal(snapshot_body(after, &err), TH_OK);
    assert_true(strcmp(after, body) == 0 || (code != TH_OK && strcmp(after, before) == 0));
}

static void test_log(void **unused)
{
    (void)unused;
    log_ = open_log();
    fail_each("records are appended", KINDS, append, NULL);
    fail_each("a request is taken in", KINDS, ingest, NULL);
    fail_each("records are read", KINDS, read_all, NULL);
    fail_each_stride("a slot is owned, and commits", KINDS, fail_stride(1, 5), own, NULL);
    fail_each("a snapshot is written and read", KINDS, snapshot, NULL);
    th_log_close(log_);
    fail_each_stride("a log is opened", KINDS, fail_stride(1, 3), open_and_close, NULL);
}

static int start(void **unused)
{
    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, PARTITIONS);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    log_cluster_stop(&logs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_log)};

    return cmocka_run_group_tests(tests, start, stop);
}
