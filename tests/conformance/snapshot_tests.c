/* Snapshots: the newest intact one of each piece, of the version asked for, or none. */
#include <string.h>

#include "tests/conformance/fixture.h"

#define VERSION 3

static void put(struct fixture *f, int part, int piece, int64_t upto, int version, const char *body)
{
    struct log_snapshot snapshot = {part, piece, upto, version, th_str(body)};

    SUCCEEDS(f, th_log_snapshot_put(f->log, APP, &snapshot, &f->err));
}

struct expected {
    int piece;
    int64_t upto;
    const char *body;
};

static void assert_snapshots(struct fixture *f, enum log_app app, int part, int version,
                             const struct expected *expected, size_t expected_n)
{
    const struct log_pieces all = {0, 1000};
    struct log_snapshot *found = NULL;
    size_t n = 77;

    SUCCEEDS(f,
             th_log_snapshot_get(f->log, app, part, all, version, &f->arena, &found, &n, &f->err));
    assert_int_equal(n, expected_n);
    for (size_t i = 0; found && i < expected_n; i++) {
        assert_int_equal(found[i].part, part);
        assert_int_equal(found[i].piece, expected[i].piece);
        assert_int_equal(found[i].upto_offset, expected[i].upto);
        assert_int_equal(found[i].fold_version, version);
        assert_str_equal(found[i].body, th_str(expected[i].body));
    }
}

#define ASSERT_SNAPSHOTS(f, part, version, ...)                                                    \
    assert_snapshots(f, APP, part, version, (const struct expected[]){__VA_ARGS__},                \
                     TH_LEN(((const struct expected[]){__VA_ARGS__})))

static void test_the_newest_of_each_piece(void **state)
{
    struct fixture *f = FIXTURE(state);

    assert_snapshots(f, APP, 0, VERSION, NULL, 0);
    put(f, 0, 7, 100, VERSION, "seven");
    put(f, 0, 2, 100, VERSION, "two");
    put(f, 0, 7, 200, VERSION, "seven again");
    put(f, 1, 7, 300, VERSION, "of another partition");
    put(f, 0, 255, 5, VERSION, "");
    ASSERT_SNAPSHOTS(f, 0, VERSION, {2, 100, "two"}, {7, 200, "seven again"}, {255, 5, ""});
    ASSERT_SNAPSHOTS(f, 1, VERSION, {7, 300, "of another partition"});
    assert_snapshots(f, LOG_APP_DISPATCH, 0, VERSION, NULL, 0);
    reopen(f);
    ASSERT_SNAPSHOTS(f, 1, VERSION, {7, 300, "of another partition"});
    put(f, 0, 2, 100, VERSION, "two once more");
    put(f, 0, 7, 150, VERSION, "an old one comes late");
    ASSERT_SNAPSHOTS(f, 0, VERSION, {2, 100, "two once more"}, {7, 200, "seven again"},
                     {255, 5, ""});
}

static size_t count(struct fixture *f, int first, int end)
{
    struct log_snapshot *found = NULL;
    size_t n = 77;

    SUCCEEDS(f, th_log_snapshot_get(f->log, APP, 2, (struct log_pieces){first, end}, VERSION,
                                    &f->arena, &found, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        assert_in_range(found[i].piece, first, end - 1);
    return n;
}

static void test_some_of_the_pieces(void **state)
{
    struct fixture *f = FIXTURE(state);

    for (int piece = 0; piece < 5; piece++) {
        struct log_snapshot snapshot = {2, piece, 1, VERSION, TH_STR("a piece")};
        SUCCEEDS(f, th_log_snapshot_put(f->log, APP, &snapshot, &f->err));
    }
    assert_int_equal(count(f, 0, 5), 5);
    assert_int_equal(count(f, 1, 3), 2);
    assert_int_equal(count(f, 4, 9), 1);
    assert_int_equal(count(f, 5, 9), 0);
    assert_int_equal(count(f, 2, 2), 0);
}

static void test_another_version_is_ignored(void **state)
{
    struct fixture *f = FIXTURE(state);

    put(f, 0, 1, 100, VERSION - 1, "old fold");
    assert_snapshots(f, APP, 0, VERSION, NULL, 0);
    put(f, 0, 1, 200, VERSION, "new fold");
    ASSERT_SNAPSHOTS(f, 0, VERSION, {1, 200, "new fold"});
    ASSERT_SNAPSHOTS(f, 0, VERSION - 1, {1, 100, "old fold"});
    put(f, 0, 1, 300, VERSION + 1, "newer fold");
    ASSERT_SNAPSHOTS(f, 0, VERSION, {1, 200, "new fold"});
}

static void test_a_damaged_one_is_left_out(void **state)
{
    struct fixture *f = FIXTURE(state);

    put(f, 0, 1, 100, VERSION, "good");
    put(f, 0, 1, 200, VERSION, "damaged");
    put(f, 0, 2, 200, VERSION, "bystander");
    f->with->damage_snapshot(f->with->arg, f->log, APP, 0, 1);
    ASSERT_SNAPSHOTS(f, 0, VERSION, {1, 100, "good"}, {2, 200, "bystander"});
    f->with->damage_snapshot(f->with->arg, f->log, APP, 0, 2);
    ASSERT_SNAPSHOTS(f, 0, VERSION, {1, 100, "good"});
    put(f, 0, 2, 300, VERSION, "healed");
    ASSERT_SNAPSHOTS(f, 0, VERSION, {1, 100, "good"}, {2, 300, "healed"});
}

static void test_a_large_one(void **state)
{
    struct fixture *f = FIXTURE(state);
    size_t n = (size_t)8 << 20;
    char *much = take(f, 1, n);
    struct log_snapshot *found = NULL;
    size_t found_n = 0;

    for (size_t i = 0; i < n; i++)
        much[i] = (char)(i * 2654435761u >> 11);
    struct log_snapshot snapshot = {0, 0, 1, VERSION, {much, n}};
    SUCCEEDS(f, th_log_snapshot_put(f->log, APP, &snapshot, &f->err));
    SUCCEEDS(f, th_log_snapshot_get(f->log, APP, 0, (struct log_pieces){0, 1}, VERSION, &f->arena,
                                    &found, &found_n, &f->err));
    assert_int_equal(found_n, 1);
    assert_str_equal(found[0].body, snapshot.body);
}

const struct CMUnitTest conformance_snapshot_tests[] = {
    cmocka_unit_test(test_the_newest_of_each_piece),
    cmocka_unit_test(test_some_of_the_pieces),
    cmocka_unit_test(test_another_version_is_ignored),
    cmocka_unit_test(test_a_damaged_one_is_left_out),
    cmocka_unit_test(test_a_large_one),
};
const size_t conformance_snapshot_tests_n = TH_LEN(conformance_snapshot_tests);
