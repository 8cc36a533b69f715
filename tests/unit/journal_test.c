/* journal.c: what it may be believed to say about a session that is gone. */
#include "tests/unit/test.h"

#include "processors/dispatch/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SESSION UINT64_C(0x1122334455667788)

struct world {
    char dir[64];
    struct th_err err;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    snprintf(w->dir, sizeof w->dir, "/tmp/telehub-journal.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", w->dir);
    free(w);
    return system(command); /* NOLINT(cert-env33-c): the path is ours */
}

static struct attempt_ref attempt(uint8_t send, int32_t n)
{
    return (struct attempt_ref){.send = {.b = {send}}, .n = n};
}

static void path_of(const struct world *w, uint64_t session, char out[160])
{
    snprintf(out, 160, "%s/dispatch.0.%016" PRIx64, w->dir, session);
}

/* Another process writes a journal with attempts (1, 1) and (1, 2), and dies. */
static void write_and_die(struct world *w)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct journal *journal = NULL;
        struct th_err err = {0};

        if (journal_open(w->dir, 0, &journal, &err) != TH_OK ||
            journal_begin(journal, SESSION, &err) != TH_OK ||
            journal_note(journal, attempt(1, 1), &err) != TH_OK ||
            journal_note(journal, attempt(1, 2), &err) != TH_OK)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool is_silent(struct world *w, uint64_t session, struct attempt_ref of)
{
    TH_AUTO(journal) struct journal *journal = NULL;

    assert_int_equal(journal_open(w->dir, 0, &journal, &w->err), TH_OK);
    assert_int_equal(journal_begin(journal, SESSION + 1, &w->err), TH_OK);
    bool answer = journal_is_silent(journal, session, of);
    journal_drop(journal, session);
    assert_int_equal(journal_begin(journal, 0, &w->err), TH_OK);
    journal_drop(journal, session);
    return answer;
}

static void damage(const struct world *w, off_t at)
{
    char path[160];
    char byte;
    int fd;

    path_of(w, SESSION, path);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_a_dead_owner(void **state)
{
    struct world *w = *state;
    char path[160];

    write_and_die(w);
    print_message("  what is noted may have left\n");
    assert_false(is_silent(w, SESSION, attempt(1, 1)));
    assert_false(is_silent(w, SESSION, attempt(1, 2)));
    print_message("  what is not noted never left\n");
    assert_true(is_silent(w, SESSION, attempt(1, 3)));
    assert_true(is_silent(w, SESSION, attempt(2, 1)));
    print_message("  a session without a journal proves nothing\n");
    assert_false(is_silent(w, SESSION + 7, attempt(2, 1)));
    print_message("  the torn end of a record that was refused changes nothing\n");
    write_and_die(w);
    path_of(w, SESSION, path);
    assert_int_equal(truncate(path, 56 + 64 - 5), 0);
    assert_false(is_silent(w, SESSION, attempt(1, 1)));
    assert_true(is_silent(w, SESSION, attempt(2, 1)));
}

static void test_damage(void **state)
{
    static const struct {
        const char *says;
        off_t at;
    } cases[] = {
        {"another boot", 16},
        {"another pid namespace", 24},
        {"another start time", 32},
        {"a damaged check", 48},
        {"a damaged send", 56 + 3},
        {"a damaged number", 56 + 16},
        {"a record of a boot", 56 + 24},
    };
    struct world *w = *state;
    char path[160];

    path_of(w, SESSION, path);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        print_message("  %s: not believed\n", cases[i].says);
        unlink(path);
        write_and_die(w);
        damage(w, cases[i].at);
        assert_false(is_silent(w, SESSION, attempt(2, 1)));
    }
}

static void test_a_living_owner(void **state)
{
    struct world *w = *state;
    int to_child[2];
    int to_parent[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(to_parent), 0);
    pid = fork();
    if (pid == 0) {
        struct journal *journal = NULL;
        struct th_err err = {0};

        if (journal_open(w->dir, 0, &journal, &err) != TH_OK ||
            journal_begin(journal, SESSION, &err) != TH_OK || write(to_parent[1], "x", 1) != 1)
            _exit(1);
        (void)!read(to_child[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    print_message("  the silence of a process that lives proves nothing\n");
    assert_false(is_silent(w, SESSION, attempt(1, 1)));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    print_message("  it does once the process is dead\n");
    assert_true(is_silent(w, SESSION, attempt(1, 1)));
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

static void test_own_sessions(void **state)
{
    struct world *w = *state;
    TH_AUTO(journal) struct journal *journal = NULL;
    char path[160];

    assert_int_equal(journal_open(w->dir, 0, &journal, &w->err), TH_OK);
    print_message("  without a session nothing can be noted\n");
    assert_int_equal(journal_note(journal, attempt(1, 1), &w->err), TH_IO);
    assert_int_equal(journal_begin(journal, SESSION, &w->err), TH_OK);
    assert_int_equal(journal_note(journal, attempt(1, 1), &w->err), TH_OK);
    print_message("  the current session's silence proves nothing: it may still send\n");
    assert_false(journal_is_silent(journal, SESSION, attempt(1, 2)));
    print_message("  an earlier session of this process is over\n");
    assert_int_equal(journal_begin(journal, SESSION + 1, &w->err), TH_OK);
    assert_true(journal_is_silent(journal, SESSION, attempt(1, 2)));
    assert_false(journal_is_silent(journal, SESSION, attempt(1, 1)));
    print_message("  dropping leaves the one to keep and the current one\n");
    journal_drop(journal, SESSION);
    path_of(w, SESSION, path);
    assert_int_equal(access(path, F_OK), 0);
    journal_drop(journal, SESSION + 1);
    assert_int_equal(access(path, F_OK), -1);
    path_of(w, SESSION + 1, path);
    assert_int_equal(access(path, F_OK), 0);
    assert_false(journal_is_silent(journal, SESSION, attempt(1, 2)));
}

static void test_full_disk(void **state)
{
    struct world *w = *state;
    TH_AUTO(journal) struct journal *journal = NULL;
    struct rlimit before;
    struct rlimit small;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(journal_open(w->dir, 0, &journal, &w->err), TH_OK);
    assert_int_equal(journal_begin(journal, SESSION, &w->err), TH_OK);
    assert_int_equal(journal_note(journal, attempt(1, 1), &w->err), TH_OK);
    small = (struct rlimit){.rlim_cur = 56 + 32 + 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    print_message("  a record that is written in part refuses its send\n");
    assert_int_equal(journal_note(journal, attempt(1, 2), &w->err), TH_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    print_message("  and no other: there is room again, and the torn record is cut off\n");
    assert_int_equal(journal_note(journal, attempt(1, 3), &w->err), TH_OK);
    assert_int_equal(journal_begin(journal, SESSION + 1, &w->err), TH_OK);
    assert_int_equal(journal_note(journal, attempt(1, 4), &w->err), TH_OK);
    assert_true(journal_is_silent(journal, SESSION, attempt(1, 2)));
    assert_false(journal_is_silent(journal, SESSION, attempt(1, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_dead_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_living_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_sessions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
