#include "tests/move/killed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/eventlog/copy.h"
#include "tests/move/story.h"
#include "tests/unit/test.h"

#define BATCH ((size_t)32 * 1024)

/* Killed between its last act and its end, a copy is whole and may not be made again. */
static bool is_whole(const struct log_copy *copy)
{
    return th_log_mark(copy->target) == LOG_MARK_NONE &&
           strcmp(th_log_origin(copy->target), th_log_id(copy->source)) == 0;
}

static enum th_code copy_here(const struct killed_copy *killed, struct th_err *err)
{
    struct log_copy copy = {.cores = story_cores, .slots = killed->slots, .batch_bytes = BATCH};
    struct log_copied copied;

    TH_TRY(killed->source(killed->source_arg, &copy.source, err));
    TH_TRY(killed->target(killed->target_arg, &copy.target, err));
    if (!is_whole(&copy))
        TH_TRY(log_copy_run(&copy, &copied, err));
    th_log_close(copy.target);
    th_log_close(copy.source);
    return TH_OK;
}

static pid_t start(const struct killed_copy *killed)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct th_err err = {0};
    enum th_code code = copy_here(killed, &err);
    if (code != TH_OK)
        fprintf(stderr, "the copy: %s\n", err.text);
    _exit(code == TH_OK ? 0 : 1);
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

/* Was it killed, rather than at its end? It must not have failed. */
static bool kill_after(pid_t pid, int ms)
{
    int status = 0;

    sleep_ms(ms);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

void killed_copy_run(const struct killed_copy *copy)
{
    unsigned chance = copy->seed;
    int life_ms = copy->life_ms;
    int kills = 0;
    int status = 0;

    for (; kills < copy->kills && kill_after(start(copy), life_ms); kills++)
        life_ms += life_ms / 2 + rand_r(&chance) % life_ms;
    print_message("  killed %d times\n", kills);
    assert_true(kills > 0);
    pid_t pid = start(copy);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
