/* copy.h - a quiet log becomes another one: other driver, other number of partitions.
 *
 * Every record keeps key, value and time, and its order among those of its key. What the target
 * holds and how far the source was read are committed together, so a copy that was interrupted
 * anywhere goes on when it is run again. From its first record to its last transaction the target
 * is marked LOG_MARK_COPYING, and no processor opens it. At the end both logs are read once more
 * and compared; then every slot gets its cursor, the end of its inputs, the source is marked
 * LOG_MARK_MOVED, and the target's mark goes: at no time can both be worked on.
 *
 * Remembered idempotency keys come along; they are remembered as long as new ones, counted from the
 * copy on. Snapshots and views do not come along: they name offsets.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_COPY_H
#define TELEHUB_COMMON_EVENTLOG_COPY_H

#include "common/eventlog/core.h"
#include "common/eventlog/log_sums.h"

struct log_copy {
    struct th_log *source;
    struct th_log *target;
    const struct core_ops *const *cores; /* every processor with slots; ends at NULL */
    int slots;                           /* of each, on the target */
    size_t batch_bytes;                  /* of a transaction, about; 0: 2 MiB */
    bool is_rehearsal;                   /* all but the end: the target stays half a copy, with
                                            which a later run goes on; the source stays open */
    struct log_watch watch;
};

struct log_copied {
    uint64_t records; /* in the copy */
    uint64_t resumed; /* of them: were there when this run began */
    uint64_t bytes;   /* keys and values of the copy */
    uint64_t answers; /* idempotency keys */
    struct log_sums source;
    struct log_sums target;
};

/* Make the copy, or finish it. Nobody works on either log.
 * Errors: TH_CONFLICT     the source is not quiet, or is marked itself, or was trimmed; the target
 *                         holds something else, or somebody else's half copy
 *         TH_CORRUPT      the two are not equal in the end: the mark stays
 *         TH_FENCED       somebody else makes the same copy
 *         TH_UNAVAILABLE, TH_FULL, TH_NOMEM  run it again */
TH_MUST_USE
enum th_code log_copy_run(const struct log_copy *copy, struct log_copied *out, struct th_err *err);

/* Neither records nor the mark of somebody else. is_same: it is half a copy of that log already.
 * Errors: TH_CONFLICT */
TH_MUST_USE
enum th_code log_copy_check_target(struct th_log *target, const char *source_id, bool *out_is_same,
                                   struct th_err *err);

#endif
