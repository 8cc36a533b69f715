/* The sandbox's ledger file: what was appended is read back the same, from memory or from the file.
 */
#include "tests/unit/test.h"

#include "connectors/sandbox/journal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES     20000
#define LINE_SIZE 200 /* four times the bytes that the journal keeps in memory */

static char folder[64];
static char path[96];

static int set_up(void **unused)
{
    (void)unused;
    (void)snprintf(folder, sizeof folder, "/tmp/telehub-journal.XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/ledger", folder);
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    (void)unlink(path);
    return rmdir(folder);
}

/* Lines of different lengths, so that they lie across every edge. */
static size_t line_of(unsigned i, char out[LINE_SIZE + 1])
{
    size_t n = 60 + i % (LINE_SIZE - 60);

    (void)memset(out, 'a' + (int)(i % 26), n);
    (void)snprintf(out, 16, "%08u", i);
    out[8] = '-';
    out[n - 1] = '\n';
    return n;
}

static enum th_code count_line(void *owner, struct th_str line, uint64_t at, struct th_err *err)
{
    unsigned *lines = owner;
    char expected[LINE_SIZE + 1];

    (void)at;
    (void)err;
    size_t n = line_of(*lines, expected);
    assert_int_equal(line.n, n - 1);
    assert_memory_equal(line.p, expected, n - 1);
    (*lines)++;
    return TH_OK;
}

static struct journal *open_journal(unsigned *lines)
{
    struct journal *journal = NULL;
    struct th_err err = {0};

    *lines = 0;
    if (journal_open(path, count_line, lines, &journal, &err) != TH_OK)
        fail_msg("%s", err.text);
    return journal;
}

static void check_line(const struct journal *journal, unsigned i, uint64_t at)
{
    struct th_err err = {0};
    char expected[LINE_SIZE + 1];
    char found[LINE_SIZE + 1];
    size_t n = line_of(i, expected);
    size_t found_n = 0;

    assert_int_equal(journal_read(journal, at, found, n, &found_n, &err), TH_OK);
    assert_int_equal(found_n, n);
    assert_memory_equal(found, expected, n);
}

static void wait_until_durable(struct journal *journal)
{
    journal_kick(journal);
    while (journal_durable(journal) < journal_end(journal))
        (void)usleep(1000);
}

static void test_read_back(void **unused)
{
    static uint64_t at[LINES];
    unsigned lines;
    struct journal *journal = open_journal(&lines);

    (void)unused;
    print_message("  each line when it is durable, and some that are long gone from memory\n");
    for (unsigned i = 0; i < LINES; i++) {
        char text[LINE_SIZE + 1];
        uint64_t end;
        at[i] = journal_end(journal);
        size_t n = line_of(i, text);
        assert_int_equal(journal_append(journal, (struct th_str){text, n}, &end), TH_OK);
        assert_int_equal(end, at[i] + n);
        if (i % 500 != 499)
            continue;
        wait_until_durable(journal);
        for (unsigned k = 0; k <= i; k += i - k < 500 ? 1 : 97)
            check_line(journal, k, at[k]);
    }
    journal_close(journal);

    print_message("  all of it after a restart, and what is appended then\n");
    journal = open_journal(&lines);
    assert_int_equal(lines, LINES);
    for (unsigned k = 0; k < LINES; k += 31)
        check_line(journal, k, at[k]);
    char text[LINE_SIZE + 1];
    uint64_t end;
    uint64_t begin = journal_end(journal);
    assert_int_equal(journal_append(journal, (struct th_str){text, line_of(LINES, text)}, &end),
                     TH_OK);
    wait_until_durable(journal);
    check_line(journal, LINES, begin);
    check_line(journal, LINES - 1, at[LINES - 1]);
    journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read_back)};

    return cmocka_run_group_tests_name("the sandbox's journal", tests, set_up, tear_down);
}
