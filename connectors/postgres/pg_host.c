#include "connectors/postgres/pg_host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_FIELD 22 /* of /proc/PID/stat, counted from 1 (proc(5)) */

/* The first bytes of a small file, without the line feed at its end. */
static bool read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    if (out[n - 1] == '\n')
        out[n - 1] = '\0';
    return true;
}

int64_t pg_host_start_of(pid_t pid)
{
    char path[64];
    char text[1024];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_small(path, text, sizeof text))
        return 0;
    /* The second field is the command in parentheses, which may hold anything, also spaces. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < START_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at + 1, NULL, 10) : 0;
}

void pg_host_here(struct pg_host *out_host)
{
    char name[64] = "";
    char namespace[32] = "";

    *out_host = (struct pg_host){.pid = getpid()};
    if (gethostname(name, sizeof name - 1) != 0 || !*name)
        snprintf(name, sizeof name, "unnamed");
    for (char *at = name; *at; at++)
        if (*at <= ' ')
            *at = '_';
    ssize_t n = readlink("/proc/self/ns/pid", namespace, sizeof namespace - 1);
    snprintf(out_host->name, sizeof out_host->name, "%s/%s", name, n > 0 ? namespace : "?");
    if (!read_small("/proc/sys/kernel/random/boot_id", out_host->boot_id, sizeof out_host->boot_id))
        out_host->boot_id[0] = '\0';
    out_host->start = pg_host_start_of(out_host->pid);
}

/* glibc 2.36 has wrappers, but headers that clash with <signal.h> in older ones. */
static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static int signal_pidfd(int pidfd, int signal)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

static enum th_code kill_through(int pidfd, pid_t pid, int wait_ms, struct th_err *err)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};

    if (signal_pidfd(pidfd, SIGKILL) != 0)
        return errno == ESRCH ? TH_OK
                              : th_fail(err, errno == EPERM ? TH_DENIED : TH_IO,
                                        "cannot end process %d: %s", (int)pid, strerror(errno));
    if (poll(&gone, 1, wait_ms) != 1)
        return th_fail(err, TH_TIMEOUT, "process %d does not end", (int)pid);
    return TH_OK;
}

enum th_code pg_host_kill(pid_t pid, int64_t start, int wait_ms, struct th_err *err)
{
    if (pid <= 1 || pid == getpid() || start == 0)
        return TH_OK; /* never init, never ourselves, never a process that we cannot identify */
    int pidfd = open_pidfd(pid);
    if (pidfd < 0)
        return errno == ESRCH ? TH_OK
                              : th_fail(err, TH_IO, "process %d: %s", (int)pid, strerror(errno));
    /* From here on the descriptor is one process for certain; is it the one that is meant? */
    enum th_code code = TH_OK;
    if (pg_host_start_of(pid) == start)
        code = kill_through(pidfd, pid, wait_ms, err);
    close(pidfd);
    return code;
}
