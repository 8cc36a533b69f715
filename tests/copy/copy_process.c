/* Processes of a run. None has threads when another one is made of it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/copy/copy_internal.h"

#define OPEN_RETRY_MS 20

static volatile sig_atomic_t is_asked_to_end;

static void on_signal(int signal_number)
{
    (void)signal_number;
    is_asked_to_end = 1;
}

void copy_mind_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
}

bool copy_is_asked_to_end(void)
{
    return is_asked_to_end;
}

void copy_sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

struct copy_shared *copy_share(void)
{
    void *at = mmap(NULL, sizeof(struct copy_shared), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return at;
}

pid_t copy_spawn(const struct copy_job *job, int (*work)(const struct copy_job *job, int slot),
                 int slot)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t pid = fork();

    if (pid < 0) {
        perror("fork");
        exit(1);
    }
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(COPY_FAILED);
    int status = work(job, slot);
    fflush(NULL);
    _exit(status); /* what is done at exit is the first process's to do */
}

int copy_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct th_log *copy_open(const struct copy_job *job)
{
    struct th_log *log = NULL;
    struct th_err err = {0};

    while (job->world->open(job->world->arg, &log, &err) != TH_OK) {
        if (!th_code_is_retriable(err.code)) {
            fprintf(stderr, "opening the log: %s\n", err.text);
            return NULL;
        }
        copy_sleep_ms(OPEN_RETRY_MS);
    }
    return log;
}
