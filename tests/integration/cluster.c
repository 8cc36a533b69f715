#include "tests/integration/cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT TELEHUB_SOURCE_DIR "/deploy/cluster.sh"

struct cluster {
    pid_t holder;
    int hold; /* the holder's standard input: it stays as long as this is open */
    char conninfo[512];
    char dir[256];
};

static void die(const char *what)
{
    fprintf(stderr, "cluster: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void skip_without_initdb(void)
{
    if (access("/usr/lib/postgresql/15/bin/initdb", X_OK) == 0)
        return;
    printf("skipped: initdb of Postgres 15 is not installed\n");
    fflush(stdout);
    exit(CLUSTER_SKIPPED);
}

/* The holder is a child in a process group of its own, so that an interrupt from the terminal ends
 * the test first and the cluster by the end of its input. */
static pid_t spawn_holder(const char *size, int input, int output)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    setpgid(0, 0);
    if (dup2(input, 0) < 0 || dup2(output, 1) < 0)
        _exit(126);
    execl("/bin/bash", "bash", SCRIPT, "hold", "--size", size, (char *)NULL);
    _exit(127);
}

static void read_conninfo(int from, struct cluster *cluster)
{
    FILE *lines = fdopen(from, "r");
    if (!lines)
        die("fdopen");
    if (!fgets(cluster->conninfo, sizeof cluster->conninfo, lines)) {
        fprintf(stderr, "cluster: %s made none\n", SCRIPT);
        exit(1);
    }
    fclose(lines);
    cluster->conninfo[strcspn(cluster->conninfo, "\n")] = '\0';

    const char *dir = cluster->conninfo + strlen("host=");
    size_t n = strcspn(dir, " ");
    n = n > 4 ? n - 4 : 0; /* without "/run" */
    snprintf(cluster->dir, sizeof cluster->dir, "%.*s", (int)n, dir);
}

static struct cluster *start(const char *size)
{
    int input[2];
    int output[2];

    skip_without_initdb();
    struct cluster *cluster = calloc(1, sizeof *cluster);
    if (!cluster || pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
        die("pipe");
    signal(SIGPIPE, SIG_IGN);
    cluster->holder = spawn_holder(size, input[0], output[1]);
    if (cluster->holder < 0)
        die("fork");
    close(input[0]);
    close(output[1]);
    cluster->hold = input[1];
    read_conninfo(output[0], cluster);
    return cluster;
}

struct cluster *cluster_start(void)
{
    return start("test");
}

struct cluster *cluster_start_full(void)
{
    return start("deploy");
}

void cluster_stop(struct cluster *cluster)
{
    if (!cluster)
        return;
    close(cluster->hold);
    while (waitpid(cluster->holder, NULL, 0) < 0 && errno == EINTR)
        continue;
    free(cluster);
}

const char *cluster_conninfo(const struct cluster *cluster)
{
    return cluster->conninfo;
}

const char *cluster_dir(const struct cluster *cluster)
{
    return cluster->dir;
}

void cluster_database(struct cluster *cluster, const char *name, char *out_conninfo)
{
    if (cluster_shell("psql -X -q -h %s/run -U postgres -d postgres -v ON_ERROR_STOP=1 "
                      "-c 'CREATE DATABASE %s OWNER telehub'",
                      cluster->dir, name) != 0)
        exit(1);
    snprintf(out_conninfo, 512, "host=%s/run port=5432 dbname=%s user=telehub", cluster->dir, name);
}

void cluster_crash(struct cluster *cluster)
{
    if (cluster_shell("%s kill %s && %s start %s", SCRIPT, cluster->dir, SCRIPT, cluster->dir) != 0)
        exit(1);
}

int cluster_shell(const char *fmt, ...)
{
    char command[4096];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof command)
        die("command too long");
    int status = system(command); // NOLINT(cert-env33-c): a test runs what it wrote itself
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
