/* progress.h - how far a long command is: one line on stderr, with rate and time left.
 *
 * On a terminal the line is written over; elsewhere there is a new one every ten seconds. Nothing
 * is said of what takes less than a second. One thread.
 */
#ifndef TELEHUB_PROCESSORS_MAIN_PROGRESS_H
#define TELEHUB_PROCESSORS_MAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool is_tty;
    bool is_silent; /* --json */
    bool has_shown;
    int64_t begun_us; /* monotonic */
    int64_t shown_us;
};

void progress_begin(struct progress *progress, bool is_silent);

/* done of all, in whatever unit tells how far; records and bytes so far, for the rates. */
void progress_show(struct progress *progress, const char *what, int64_t done, int64_t all,
                   int64_t records, int64_t bytes);

/* The line is left. */
void progress_end(struct progress *progress);

#endif
