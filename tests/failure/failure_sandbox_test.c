/* The sandbox's ledger on a disk that fails and without memory: what was said to be durable is
 * there afterwards, in order, and nothing but whole lines. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "connectors/sandbox/journal.h"
#include "connectors/sandbox/ledger.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES 8

static void make_path(char dir[64], char path[80])
{
    snprintf(dir, 64, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, 80, "%s/ledger", dir);
}

static void remove_path(const char *dir, const char *path)
{
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

/* --- the file --------------------------------------------------------------------------------- */

struct seen {
    uint64_t end; /* of the bytes of whole lines */
    int n;
};

static enum th_code see(void *owner, struct th_str line, uint64_t at, struct th_err *err)
{
    struct seen *seen = owner;
    char expected[32];

    if (line.n != 9) /* torn */
        return th_fail(err, TH_CORRUPT, "not a line of ours");
    snprintf(expected, sizeof expected, "line %04d", seen->n);
    assert_str_equal(line, th_str(expected));
    seen->n++;
    seen->end = at + line.n + 1;
    return TH_OK;
}

/* Not by its fd: the write that makes that readable is one of those that fail. */
static void wait_for(const struct journal *journal, uint64_t end)
{
    struct th_err err = {0};

    while (journal_durable(journal) < end &&
           journal_failure((struct journal *)journal, &err) == TH_OK)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* What is durable when something failed. */
static uint64_t write_lines(const char *path, struct seen *seen)
{
    TH_AUTO(journal) struct journal *journal = NULL;
    struct th_err err = {0};
    uint64_t end = 0;

    if (journal_open(path, see, seen, &journal, &err) != TH_OK)
        return 0;
    for (int i = seen->n; i < LINES; i++) {
        char line[32];
        snprintf(line, sizeof line, "line %04d\n", i);
        if (journal_append(journal, th_str(line), &end) != TH_OK)
            break; /* lines have no gaps */
        journal_kick(journal);
        wait_for(journal, end);
    }
    return journal_durable(journal);
}

static void append(void *unused)
{
    (void)unused;
    struct seen before = {0};
    struct seen after = {0};
    char dir[64];
    char path[80];

    make_path(dir, path);
    fail_arm();
    uint64_t durable = write_lines(path, &before);
    fail_disarm();
    (void)write_lines(path, &after);
    assert_true(after.end >= durable);
    struct seen all = {0};
    assert_int_equal(write_lines(path, &all), LINES * 10);
    assert_int_equal(all.n, LINES);
    remove_path(dir, path);
}

/* --- what is folded from it ------------------------------------------------------------------- */

static struct line line_at(int i)
{
    if (i == 0)
        return (struct line){.kind = LINE_HEADER, .header = {7, TH_STR("AC1")}};
    return (struct line){.kind = LINE_EXECUTION,
                         .execution = {.seq = (uint32_t)i,
                                       .at_us = i,
                                       .tries = 1,
                                       .channel = CHANNEL_SMS,
                                       .to = 919876540000U + (uint64_t)i,
                                       .units = 1}};
}

static void fold(void *unused)
{
    (void)unused;
    struct th_err err = {0};

    fail_arm();
    struct ledger *ledger = ledger_new();
    fail_disarm();
    if (!ledger) {
        assert_true(fail_was_hit());
        return;
    }
    for (int i = 0; i < 300; i++) {
        struct line line = line_at(i);
        fail_arm();
        enum th_code code = ledger_fold(ledger, &line, (uint64_t)i * 100, 99, &err);
        fail_disarm();
        if (code != TH_OK) { /* nothing was applied: it can be folded now */
            assert_int_equal(code, TH_NOMEM);
            assert_int_equal(ledger_size(ledger), i ? i - 1 : 0);
            assert_int_equal(ledger_fold(ledger, &line, (uint64_t)i * 100, 99, &err), TH_OK);
        }
    }
    assert_int_equal(ledger_size(ledger), 299);
    assert_int_equal(ledger_counts(ledger)->executions, 299);
    assert_int_equal(ledger_counts(ledger)->recipients, 299);
    ledger_free(ledger);
}

static void test_ledger(void **unused)
{
    (void)unused;
    fail_each("lines are written and read", FAIL_ALL, append, NULL);
    fail_each("lines are folded", FAIL_MEMORY, fold, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ledger)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
