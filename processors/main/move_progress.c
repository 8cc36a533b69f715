#include "processors/main/move_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define TERMINAL_US (500 * TH_US_PER_MS)
#define LINES_US    (5 * TH_US_PER_SEC)

static double seconds(int64_t us)
{
    return (double)us / (double)TH_US_PER_SEC;
}

static void begin(struct move_progress *mine, const struct log_progress *now, int64_t now_us)
{
    move_progress_end(mine);
    snprintf(mine->doing, sizeof mine->doing, "%s", now->doing);
    mine->began_us = now_us;
    mine->told_us = now_us;
    mine->done_first = now->done;
}

/* As long as what was passed since it began took, for what is left. */
static int64_t left_s(const struct move_progress *mine, const struct log_progress *now,
                      double took_s)
{
    double passed = (double)(now->done - mine->done_first);

    return passed > 0 ? (int64_t)((double)(now->size - now->done) / passed * took_s + 0.5) : -1;
}

static void print(struct move_progress *mine, const struct log_progress *now, int64_t now_us)
{
    double took_s = seconds(now_us - mine->began_us);
    double percent = now->size > 0 ? 100.0 * (double)now->done / (double)now->size : 100.0;
    int64_t left = left_s(mine, now, took_s);

    fprintf(stderr, "%s%s: %5.1f %%, %" PRIu64 " records, %.0f/s, %.1f MB/s",
            mine->is_terminal ? "\r" : "", mine->doing, percent, now->records,
            (double)now->records / took_s, (double)now->bytes / took_s / 1e6);
    if (left >= 0)
        fprintf(stderr, ", %" PRId64 ":%02d min left", left / 60, (int)(left % 60));
    fputs(mine->is_terminal ? "   " : "\n", stderr);
    (void)fflush(stderr);
    mine->has_line = mine->is_terminal;
}

static void told(void *arg, const struct log_progress *now)
{
    struct move_progress *mine = arg;
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);

    if (strcmp(mine->doing, now->doing) != 0)
        begin(mine, now, now_us);
    if (now_us - mine->told_us < (mine->is_terminal ? TERMINAL_US : LINES_US))
        return;
    mine->told_us = now_us;
    print(mine, now, now_us);
}

struct log_watch move_progress_watch(struct move_progress *progress)
{
    progress->is_terminal = isatty(STDERR_FILENO);
    return (struct log_watch){told, progress};
}

void move_progress_end(struct move_progress *progress)
{
    if (progress->has_line)
        fputc('\n', stderr);
    progress->has_line = false;
}
