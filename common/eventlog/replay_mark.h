/* replay_mark.h - how far a replay is, kept in the log that it fills: what was asked for, and what
 * of the source is there. So one that was interrupted goes on, and goes on with the same only.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_REPLAY_MARK_H
#define TELEHUB_COMMON_EVENTLOG_REPLAY_MARK_H

#include "common/buf.h"
#include "common/eventlog/fill.h"
#include "common/eventlog/replay_filter.h"
#include "common/eventlog/replay_merge.h"

struct replay_mark {
    uint64_t asked; /* replay_mark_asked */
    bool is_done;
    bool is_merged; /* partitions side by side; else one after the other, up to log_fill_place */
    struct th_buf tails[TOPIC_COUNT]; /* scratch */
};

/* What decides which records come, and where they lie, as one number. */
uint64_t replay_mark_asked(const struct replay_filter *filter, int slots);

void replay_mark_fini(struct replay_mark *mark);

/* For log_fill_put: the mark as text; merge, if partitions are read side by side: its places, as
 * they are now. out views into the mark, until the next call.
 * Errors: TH_NOMEM; TH_FULL (so many partitions that their places cannot be kept) */
TH_MUST_USE
enum th_code replay_mark_write(struct replay_mark *mark, const struct replay_merge *merge,
                               struct th_str out[TOPIC_COUNT], struct th_err *err);

/* What the one before has left. *out_is_there: it has left something.
 * Errors: TH_CORRUPT */
TH_MUST_USE
enum th_code replay_mark_read(const struct log_fill *fill, struct replay_mark *out,
                              bool *out_is_there, struct th_err *err);

/* Send the merge to where the one before stood, which merged or scanned. Errors: TH_CORRUPT */
TH_MUST_USE
enum th_code replay_mark_seek(const struct replay_mark *mark, const struct log_fill *fill,
                              struct replay_merge *merge, struct th_err *err);

#endif
