#include "tests/conformance/conformance.h"

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/fixture.h"

#define ARENA_LIMIT ((size_t)256 << 20)
#define TESTS_MAX   128

void *take(struct fixture *f, size_t n, size_t size)
{
    void *p = th_arena_array(&f->arena, n, size);

    if (!p)
        abort();
    return p;
}

struct log_output lane_output(int part, struct th_str value)
{
    return (struct log_output){
        .topic = TOPIC_DISPATCH_ATTEMPTS, .part = part, .key = TH_STR("t/lane"), .value = value};
}

struct log_output keyed_output(struct th_str key, struct th_str value)
{
    return (struct log_output){
        .topic = TOPIC_SEND_REQUESTS, .part = -1, .key = key, .value = value};
}

struct th_str numbered(struct fixture *f, const char *prefix, size_t number)
{
    struct th_str text = th_arena_printf(&f->arena, "%s-%zu", prefix, number);

    assert_non_null(text.p);
    return text;
}

void reopen(struct fixture *f)
{
    f->with->close(f->with->arg, f->log);
    f->log = NULL;
    SUCCEEDS(f, f->with->open(f->with->arg, &f->log, &f->err));
}

struct log_records drain(struct fixture *f, struct th_log_reader *reader, size_t bytes_max)
{
    struct log_records all = {0};
    struct log_records some = {0};

    for (;;) {
        SUCCEEDS(f, th_log_reader_read(reader, bytes_max, &f->arena, &some, &f->err));
        if (some.n == 0)
            return all;
        struct log_record *at = take(f, all.n + some.n, sizeof *at);
        for (size_t i = 0; i < all.n; i++)
            at[i] = all.at[i];
        for (size_t i = 0; i < some.n; i++)
            at[all.n + i] = some.at[i];
        all = (struct log_records){at, all.n + some.n};
    }
}

struct log_records read_all(struct fixture *f, enum topic topic, int part)
{
    struct log_place from = {topic, part, 0};
    struct th_log_reader *reader;

    SUCCEEDS(f, th_log_reader_open(f->log, &from, 1, &reader, &f->err));
    struct log_records all = drain(f, reader, (size_t)1 << 20);
    th_log_reader_close(reader);
    return all;
}

void assert_nth(struct fixture *f, int64_t offset, size_t n)
{
    if (f->with->leaves_numbers_out)
        assert_true(offset >= (int64_t)n);
    else
        assert_int_equal(offset, n);
}

void assert_holds(struct fixture *f, enum topic topic, int part, const char *const *values,
                  size_t n)
{
    struct log_records all = read_all(f, topic, part);
    int64_t end;

    assert_int_equal(all.n, n);
    assert(all.at || n == 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(all.at[i].place.topic, topic);
        assert_int_equal(all.at[i].place.part, part);
        assert_nth(f, all.at[i].place.offset, i);
        if (i > 0)
            assert_true(all.at[i].place.offset > all.at[i - 1].place.offset);
        assert_str_equal(all.at[i].value, th_str(values[i]));
    }
    SUCCEEDS(f, th_log_end(f->log, topic, part, &end, &f->err));
    assert_int_equal(end, n ? all.at[n - 1].place.offset + 1 : 0);
}

struct th_log_session *open_session(struct fixture *f, struct th_log *log)
{
    struct th_log_session *session;

    SUCCEEDS(f, th_log_session_open(log, APP, SLOT, &session, &f->err));
    return session;
}

bool is_readable(int fd, int timeout_ms)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};

    return poll(&at, 1, timeout_ms) == 1;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Runs in threads too: so it answers PENDING after WAIT_MS rather than failing the test. */
enum log_commit finish(struct th_log_session *session, struct log_place *out_places,
                       bool *out_is_answered, struct th_err *err)
{
    int64_t deadline_ms = now_ms() + WAIT_MS;

    for (;;) {
        enum log_commit outcome = th_log_commit_poll(session, out_places, out_is_answered, err);
        if (outcome != LOG_COMMIT_PENDING || now_ms() > deadline_ms)
            return outcome;
        is_readable(th_log_session_fd(session), 10);
    }
}

void small_txn(struct small_txn *txn, const char *value, int64_t next_offset)
{
    txn->output = lane_output(0, th_str(value));
    txn->cursor = (struct log_cursor){.next = {TOPIC_SEND_REQUESTS, 0, next_offset}};
    txn->txn = (struct log_txn){
        .outputs = &txn->output, .outputs_n = 1, .cursors = &txn->cursor, .cursors_n = 1};
}

enum log_commit commit_small(struct fixture *f, struct th_log_session *session, const char *value,
                             int64_t next_offset, bool *out_is_answered)
{
    struct small_txn small;
    bool is_answered;

    small_txn(&small, value, next_offset);
    SUCCEEDS(f, th_log_commit_start(session, &small.txn, &f->err));
    return finish(session, NULL, out_is_answered ? out_is_answered : &is_answered, &f->err);
}

void assert_cursor(const struct th_log_session *session, int64_t next_offset)
{
    const struct log_cursor *cursors;
    size_t n;

    th_log_session_cursors(session, &cursors, &n);
    assert_int_equal(n, 1);
    assert_int_equal(cursors[0].next.topic, TOPIC_SEND_REQUESTS);
    assert_int_equal(cursors[0].next.part, 0);
    assert_int_equal(cursors[0].next.offset, next_offset);
}

/* --- running ------------------------------------------------------------------------------- */

static struct fixture fixture;
static bool is_left_clean; /* nothing is open but the log itself */

void leave_out(void)
{
    is_left_clean = true;
    skip();
}

static int begin_test(void **state)
{
    const struct log_conformance *with = fixture.with;

    (void)state;
    is_left_clean = false;
    fixture.err = (struct th_err){0};
    if (with->create(with->arg, &fixture.err) != TH_OK) {
        print_error("create: %s\n", fixture.err.text);
        return -1;
    }
    if (with->open(with->arg, &fixture.log, &fixture.err) != TH_OK) {
        print_error("open: %s\n", fixture.err.text);
        with->destroy(with->arg);
        return -1;
    }
    return 0;
}

static void run_one(void **state)
{
    const struct CMUnitTest *test = *state;
    void *arg = &fixture;

    test->test_func(&arg);
    is_left_clean = true;
}

/* A failed test left readers and sessions open. A log must not be closed under them, so it stays:
 * what failed is told, instead of an assertion about what followed from it. */
static int end_test(void **state)
{
    (void)state;
    if (is_left_clean) {
        fixture.with->close(fixture.with->arg, fixture.log);
        fixture.with->destroy(fixture.with->arg);
    }
    th_arena_reset(&fixture.arena);
    return 0;
}

static void add(struct CMUnitTest *all, size_t *all_n, const struct CMUnitTest *part, size_t part_n)
{
    assert(*all_n + part_n <= TESTS_MAX);
    for (size_t i = 0; i < part_n; i++)
        all[(*all_n)++] = (struct CMUnitTest){
            .name = part[i].name,
            .test_func = run_one,
            .setup_func = begin_test,
            .teardown_func = end_test,
            .initial_state = (void *)&part[i],
        };
}

int log_conformance_run(const struct log_conformance *with)
{
    static struct CMUnitTest all[TESTS_MAX];
    size_t n = 0;

    fixture = (struct fixture){.with = with};
    th_arena_init(&fixture.arena, ARENA_LIMIT);
    add(all, &n, conformance_append_tests, conformance_append_tests_n);
    add(all, &n, conformance_header_tests, conformance_header_tests_n);
    add(all, &n, conformance_read_tests, conformance_read_tests_n);
    add(all, &n, conformance_slot_tests, conformance_slot_tests_n);
    add(all, &n, conformance_fence_tests, conformance_fence_tests_n);
    add(all, &n, conformance_ingest_tests, conformance_ingest_tests_n);
    add(all, &n, conformance_snapshot_tests, conformance_snapshot_tests_n);
    add(all, &n, conformance_archive_tests, conformance_archive_tests_n);
    add(all, &n, conformance_move_tests, conformance_move_tests_n);
    print_message("the %s log%s\n", with->name,
                  with->open_other ? "" : ", which no other process can see");
    /* What cmocka_run_group_tests becomes; the macro wants an array whose size it can see. */
    int failed = _cmocka_run_group_tests(with->name, all, n, NULL, NULL);
    th_arena_fini(&fixture.arena);
    return failed;
}
