#include "processors/main/process.h"

#include "common/clock.h"
#include "common/log_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum th_code process_init(struct process *process, struct th_err *err)
{
    process->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&process->n, 0);
    return process->stop_fd >= 0 ? TH_OK : th_fail(err, TH_IO, "eventfd: %s", strerror(errno));
}

static void *run_part(void *arg)
{
    struct part *part = arg;

    part->ops->run(part->self, part->stop_fd);
    return NULL;
}

enum th_code process_start(struct process *process, const char *name, const struct part_ops *ops,
                           void *self, struct th_err *err)
{
    struct part *part = &process->parts[process->n];

    if (process->n == PROCESS_PARTS_MAX) {
        ops->free(self);
        return th_fail(err, TH_FULL, "more than %d parts", PROCESS_PARTS_MAX);
    }
    *part = (struct part){.ops = ops, .self = self, .stop_fd = process->stop_fd};
    snprintf(part->name, sizeof part->name, "%s", name);
    if (pthread_create(&part->thread, NULL, run_part, part) != 0) {
        ops->free(self);
        return th_fail(err, TH_UNAVAILABLE, "no thread for %s", name);
    }
    pthread_setname_np(part->thread, part->name); /* cut to 15 characters: fails if longer */
    atomic_fetch_add(&process->n, 1);
    return TH_OK;
}

bool process_is_well(struct process *process, const char *prefix, size_t want)
{
    size_t n = atomic_load(&process->n);
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        const struct part *part = &process->parts[i];

        if (strncmp(part->name, prefix, strlen(prefix)) != 0)
            continue;
        found++;
        if (part->ops->is_well && !part->ops->is_well(part->self))
            return false;
    }
    return found == want;
}

void process_measure(struct process *process)
{
    size_t n = atomic_load(&process->n);

    for (size_t i = 0; i < n; i++)
        if (process->parts[i].ops->measure)
            process->parts[i].ops->measure(process->parts[i].self);
}

static bool join_part(struct part *part, int64_t until_us)
{
    struct timespec until = {
        .tv_sec = until_us / TH_US_PER_SEC,
        .tv_nsec = until_us % TH_US_PER_SEC * 1000,
    };

    return pthread_clockjoin_np(part->thread, NULL, CLOCK_MONOTONIC, &until) == 0;
}

bool process_stop(struct process *process, int64_t until_us)
{
    bool is_clean = true;

    eventfd_write(process->stop_fd, 1);
    for (size_t i = process->n; i > 0; i--) {
        struct part *part = &process->parts[i - 1];

        if (!join_part(part, until_us)) {
            th_log(TH_LOG_ERROR, "run.stuck", TH_F("part", (const char *)part->name));
            is_clean = false;
        } else {
            part->ops->free(part->self);
        }
    }
    if (is_clean)
        close(process->stop_fd);
    return is_clean;
}
