#include "processors/main/progress.h"

#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define TTY_EVERY_US  (200 * TH_US_PER_MS)
#define LINE_EVERY_US (10 * TH_US_PER_SEC)

void progress_begin(struct progress *progress, bool is_silent)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);
    bool is_tty = isatty(STDERR_FILENO);

    *progress = (struct progress){
        .is_tty = is_tty,
        .is_silent = is_silent,
        .begun_us = now_us,
        .shown_us = is_tty ? now_us + TH_US_PER_SEC - TTY_EVERY_US : now_us,
    };
}

static void put_left(char *out, size_t size, double seconds)
{
    int64_t s = (int64_t)(seconds + 0.5);

    if (s < 60)
        snprintf(out, size, "%" PRId64 " s", s);
    else if (s < 3600)
        snprintf(out, size, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        snprintf(out, size, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
}

void progress_show(struct progress *progress, const char *what, int64_t done, int64_t all,
                   int64_t records, int64_t bytes)
{
    int64_t now_us = th_clock_monotonic_us(&th_clock_real);
    char left[48] = "-";

    if (progress->is_silent ||
        now_us - progress->shown_us < (progress->is_tty ? TTY_EVERY_US : LINE_EVERY_US))
        return;
    progress->shown_us = now_us;
    progress->has_shown = true;
    double seconds = (double)(now_us - progress->begun_us) / 1e6;
    if (done > 0 && seconds > 0)
        put_left(left, sizeof left, seconds * (double)(all - done) / (double)done);
    (void)fprintf(stderr, "%s%s  %" PRId64 " %%  %" PRId64 " records  %.0f/s  %.1f MB/s  ETA %s%s",
                  progress->is_tty ? "\r\033[K" : "", what, all > 0 ? done * 100 / all : 100,
                  records, (double)records / seconds, (double)bytes / 1e6 / seconds, left,
                  progress->is_tty ? "" : "\n");
}

void progress_end(struct progress *progress)
{
    if (progress->has_shown && progress->is_tty)
        (void)fprintf(stderr, "\n");
    progress->has_shown = false;
}
