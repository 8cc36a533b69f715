/* The send journal on a disk that fails: whoever reads it later never takes for silent what was
 * sent, and what could not be noted was not sent. */
#include "tests/failure/fail.h"
#include "tests/unit/test.h"

#include "processors/dispatch/journal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SESSION UINT64_C(0x1122334455667788)
#define SENDS   6

static struct attempt_ref attempt(int i)
{
    return (struct attempt_ref){.send = {.b = {(uint8_t)(1 + i)}}, .n = 1};
}

/* A session of six sends; a send whose note fails is refused. */
static enum th_code write_session(const char *dir, bool is_sent[SENDS])
{
    TH_AUTO(journal) struct journal *journal = NULL;
    struct th_err err = {0};
    enum th_code worst = TH_OK;

    TH_TRY(journal_open(dir, 0, &journal, &err));
    worst = journal_begin(journal, SESSION, &err); /* a note tries again */
    for (int i = 0; i < SENDS; i++) {
        enum th_code code = journal_note(journal, attempt(i), &err);
        is_sent[i] = code == TH_OK;
        worst = code == TH_OK ? worst : code;
    }
    return worst;
}

static enum th_code ask(const char *dir, uint64_t session, bool is_silent[SENDS])
{
    TH_AUTO(journal) struct journal *journal = NULL;
    struct th_err err = {0};

    TH_TRY(journal_open(dir, 0, &journal, &err));
    TH_TRY(journal_begin(journal, session, &err));
    for (int i = 0; i < SENDS; i++)
        is_silent[i] = journal_is_silent(journal, SESSION, attempt(i));
    journal_drop(journal, SESSION);
    return TH_OK;
}

static void make_dir(char dir[64])
{
    snprintf(dir, 64, "/tmp/telehub-failure.XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static void remove_dir(const char *dir)
{
    char command[96];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): the path is ours */
}

static bool is_persistent(const bool is_sent[SENDS])
{
    for (int i = 0; i < SENDS; i++)
        if (is_sent[i])
            return false;
    return true;
}

static void write_badly(void *unused)
{
    (void)unused;
    bool is_sent[SENDS] = {false};
    bool is_silent[SENDS] = {false};
    char dir[64];

    make_dir(dir);
    fail_arm();
    enum th_code code = write_session(dir, is_sent);
    fail_disarm();
    if (!fail_was_hit())
        assert_int_equal(code, TH_OK);
    assert_int_equal(ask(dir, SESSION + 1, is_silent), TH_OK);
    for (int i = 0; i < SENDS; i++) {
        if (is_sent[i])
            assert_false(is_silent[i]);
        else if (!is_persistent(is_sent)) /* the file is there, and complete */
            assert_true(is_silent[i]);
    }
    remove_dir(dir);
}

static void read_badly(void *unused)
{
    (void)unused;
    bool is_sent[SENDS] = {false};
    bool is_silent[SENDS] = {false};
    char dir[64];

    make_dir(dir);
    assert_int_equal(write_session(dir, is_sent), TH_OK);
    fail_arm();
    (void)!ask(dir, SESSION + 1, is_silent);
    fail_disarm();
    for (int i = 0; i < SENDS; i++)
        assert_false(is_silent[i]);

    assert_int_equal(ask(dir, SESSION + 2, is_silent),
                     TH_OK); /* the file was kept for whoever asks next */
    for (int i = 0; i < SENDS; i++)
        assert_false(is_silent[i]);
    remove_dir(dir);
}

static void test_journal(void **unused)
{
    (void)unused;
    fail_each("a session is written", FAIL_ALL, write_badly, NULL);
    fail_each("a session is read", FAIL_ALL, read_badly, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_journal)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
