/* Builds that compile this file define it; who reads the file alone does not. */
#ifndef TELEHUB_FAULTS
#define TELEHUB_FAULTS
#endif
#include "common/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX 64
#define LINE_SIZE 128
#define PATH_SIZE 4096

struct line {
    char text[LINE_SIZE]; /* as it stands in the file; "" none */
    enum th_fault point;
    char scope[32]; /* "" any */
    char action[16];
    long arg;
    unsigned long at;     /* the pass that it strikes at */
    unsigned long passes; /* so far */
    bool has_struck;
};

static struct {
    pthread_mutex_t lock; /* guards all of it */
    bool is_known;        /* the environment was looked at */
    char path[PATH_SIZE]; /* "" nothing is to happen */
    struct timespec changed;
    ino_t inode;
    struct line lines[LINES_MAX];
    size_t n;
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local char scope_now[64];

static const char *const points[] = {
#define POINT(name, where) #name,
    TH_FAULT_POINTS(POINT)
#undef POINT
};

#define POINTS_N (sizeof points / sizeof points[0])

void th_fault_scope(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(scope_now, sizeof scope_now, fmt, args);
    va_end(args);
}

const char *th_fault_scope_now(void)
{
    return scope_now;
}

/* --- the file ------------------------------------------------------------------------------- */

/* A test that says something wrong must not pass because nothing happens. */
static void refuse(const char *what, const char *text)
{
    fprintf(stderr, "TH_FAULTS: %s: %s\n", what, text);
    abort();
}

static void parse_line(const char *text, struct line *out)
{
    char where[64];
    char action[32];
    char *slash;
    char *equals;
    size_t point = 0;

    *out = (struct line){.arg = 0};
    if (strlen(text) >= sizeof out->text ||
        sscanf(text, "%63s %31s %lu", where, action, &out->at) != 3 || out->at == 0)
        refuse("not POINT[/SCOPE] ACTION N", text);
    snprintf(out->text, sizeof out->text, "%s", text);
    if ((slash = strchr(where, '/'))) {
        *slash = '\0';
        snprintf(out->scope, sizeof out->scope, "%s", slash + 1);
    }
    if ((equals = strchr(action, '='))) {
        *equals = '\0';
        out->arg = strtol(equals + 1, NULL, 10);
    }
    snprintf(out->action, sizeof out->action, "%s", action);
    while (point < POINTS_N && strcmp(points[point], where) != 0)
        point++;
    if (point == POINTS_N)
        refuse("there is no such point", text);
    out->point = (enum th_fault)point;
}

/* One that has counted already goes on counting. */
static void take_line(const struct line *old, size_t old_n, const char *text)
{
    struct line *line = &plan.lines[plan.n];

    if (plan.n == LINES_MAX)
        refuse("too many lines", text);
    parse_line(text, line);
    for (size_t i = 0; i < old_n; i++)
        if (strcmp(old[i].text, text) == 0)
            *line = old[i];
    plan.n++;
}

static void read_lines(const char *path, void (*take)(const char *text, void *arg), void *arg)
{
    char text[256];
    FILE *file = fopen(path, "re");

    while (file && fgets(text, sizeof text, file)) {
        text[strcspn(text, "\n")] = '\0';
        if (*text)
            take(text, arg);
    }
    if (file)
        fclose(file);
}

struct old_lines {
    struct line at[LINES_MAX];
    size_t n;
};

static void on_line(const char *text, void *arg)
{
    const struct old_lines *old = arg;

    take_line(old->at, old->n, text);
}

static void on_struck(const char *text, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < plan.n; i++)
        if (strcmp(plan.lines[i].text, text) == 0)
            plan.lines[i].has_struck = true;
}

static void struck_path(char *out)
{
    snprintf(out, PATH_SIZE, "%s.struck", plan.path);
}

static void load(void)
{
    char path[PATH_SIZE];
    struct old_lines old = {.n = plan.n};

    memcpy(old.at, plan.lines, sizeof old.at);
    plan.n = 0;
    read_lines(plan.path, on_line, &old);
    struck_path(path);
    read_lines(path, on_struck, NULL);
}

/* Read it again when it is another one. */
static void refresh(void)
{
    struct stat now;

    if (!plan.is_known) {
        const char *path = getenv("TH_FAULTS");
        plan.is_known = true;
        if (path)
            snprintf(plan.path, sizeof plan.path - sizeof ".struck", "%s", path);
    }
    if (!plan.path[0] || stat(plan.path, &now) != 0 ||
        (now.st_ino == plan.inode && now.st_mtim.tv_sec == plan.changed.tv_sec &&
         now.st_mtim.tv_nsec == plan.changed.tv_nsec))
        return;
    plan.inode = now.st_ino;
    plan.changed = now.st_mtim;
    load();
}

/* --- striking ------------------------------------------------------------------------------- */

static bool is_in_scope(const char *wanted)
{
    size_t n = strlen(wanted);

    if (n == 0)
        return true;
    for (const char *at = scope_now; at && *at; at = strchr(at, '.')) {
        at += *at == '.';
        if (strncmp(at, wanted, n) == 0 && (at[n] == '\0' || at[n] == '.'))
            return true;
    }
    return false;
}

static void note(const struct line *line)
{
    char path[PATH_SIZE];
    char text[LINE_SIZE + 1];
    int n = snprintf(text, sizeof text, "%s\n", line->text);

    struck_path(path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        refuse("what has struck cannot be noted", strerror(errno));
    close(fd);
}

/* The line that strikes now, copied; false: none does. */
static bool choose(enum th_fault point, struct line *out)
{
    bool has_chosen = false;

    pthread_mutex_lock(&plan.lock);
    refresh();
    for (size_t i = 0; i < plan.n; i++) {
        struct line *line = &plan.lines[i];
        if (line->point != point || line->has_struck || !is_in_scope(line->scope) ||
            ++line->passes < line->at || has_chosen)
            continue;
        line->has_struck = true;
        note(line);
        *out = *line;
        has_chosen = true;
    }
    pthread_mutex_unlock(&plan.lock);
    return has_chosen;
}

static void wait_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

static void kill_peer(void)
{
    const char *path = getenv("TH_FAULT_PEER");
    FILE *file = path ? fopen(path, "re") : NULL;
    int pid;

    if (file && fscanf(file, "%d", &pid) == 1 && pid > 1)
        kill(pid, SIGQUIT);
    if (file)
        fclose(file);
}

bool th_fault_pass(enum th_fault point)
{
    struct line line;

    if (!choose(point, &line))
        return false;
    if (strcmp(line.action, "error") == 0)
        return true;
    if (strcmp(line.action, "kill") == 0)
        kill(getpid(), SIGKILL);
    else if (strcmp(line.action, "stop") == 0)
        kill(getpid(), SIGSTOP);
    else if (strcmp(line.action, "delay") == 0)
        wait_ms(line.arg);
    else if (strcmp(line.action, "peer") == 0)
        kill_peer();
    else
        refuse("there is no such action", line.text);
    return false;
}

bool th_fault_is_armed(enum th_fault point)
{
    bool is_armed = false;

    pthread_mutex_lock(&plan.lock);
    refresh();
    for (size_t i = 0; i < plan.n; i++)
        is_armed = is_armed || (plan.lines[i].point == point && !plan.lines[i].has_struck &&
                                is_in_scope(plan.lines[i].scope));
    pthread_mutex_unlock(&plan.lock);
    return is_armed;
}
