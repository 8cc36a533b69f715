/* move_progress.h - how far a copy or a replay is, on standard error: rate and what is left.
 *
 * One line that is written over where people look on, else a line every five seconds.
 */
#ifndef TELEHUB_PROCESSORS_MAIN_MOVE_PROGRESS_H
#define TELEHUB_PROCESSORS_MAIN_MOVE_PROGRESS_H

#include "common/eventlog/log_sums.h"

struct move_progress {
    char doing[48];
    int64_t began_us; /* monotonic; of what is being done */
    int64_t told_us;
    int64_t done_first; /* offsets that were passed when it began */
    bool is_terminal;
    bool has_line; /* there is one to be written over */
};

/* A watch that tells people. progress is zeroed, and lives as long. */
struct log_watch move_progress_watch(struct move_progress *progress);

/* The line stays; whatever is written next begins a new one. */
void move_progress_end(struct move_progress *progress);

#endif
