/* replay.h - what a log or an archive holds is played into a new log, to be looked at.
 *
 * Harmless by type: there is no processor here, no table of effects, nothing that could reach a
 * provider; records are read and written, and the log that they are written to is marked
 * LOG_MARK_REPLAYED before the first of them, so that no processor ever opens it.
 *
 * Records keep key, value, time, and their order within a key. At a speed of 0 they come as fast
 * as they can be written, partition after partition; otherwise all partitions together, in the
 * order of their times, so many times as fast as they came. What was read and what was written are
 * committed together.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_REPLAY_H
#define TELEHUB_COMMON_EVENTLOG_REPLAY_H

#include "common/eventlog/log_sums.h"
#include "common/eventlog/replay_filter.h"

#define REPLAY_SPEED_MAX 1000000

struct log_replay {
    struct th_log *source;
    struct th_log *target;
    int slots; /* of each processor that wrote the source: placement.h */
    int speed; /* 0: as fast as it goes */
    struct replay_filter filter;
    size_t batch_bytes; /* of a transaction, about; 0: 2 MiB */
    struct log_watch watch;
};

struct log_replayed {
    uint64_t records;  /* written by this run */
    uint64_t resumed;  /* were there when it began */
    uint64_t left_out; /* by the filter */
    uint64_t bytes;    /* read: keys and values */
};

/* Play it all, or what is left of it: one that was interrupted goes on when the same is asked for
 * again, at whatever speed, and each record is there once. Of a source that has grown since, what
 * came in partitions that were read already is left out, if it went as fast as it could.
 * Errors: TH_CONFLICT   the target is not new, or a replay that is whole, or was begun with another
 *                       filter
 *         TH_NOT_FOUND  the filter's campaign
 *         TH_FENCED     somebody else plays into the same log
 *         TH_FULL       more partitions than the place of a replay in time can be kept of
 *         TH_UNAVAILABLE, TH_ABORTED, TH_CORRUPT, TH_NOMEM, …: what was written stays; run it again
 */
TH_MUST_USE
enum th_code log_replay_run(const struct log_replay *replay, struct log_replayed *out,
                            struct th_err *err);

#endif
