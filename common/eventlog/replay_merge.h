/* replay_merge.h - all partitions of a log together, in the order of their records' times.
 *
 * Within a partition the order is the partition's, whatever the times say. A page of each partition
 * is in memory. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_REPLAY_MERGE_H
#define TELEHUB_COMMON_EVENTLOG_REPLAY_MERGE_H

#include "common/eventlog/log.h"

struct replay_merge;

/* Up to the ends as they are now. Errors: TH_UNAVAILABLE, TH_NOMEM */
TH_MUST_USE
enum th_code replay_merge_open(struct th_log *log, struct replay_merge **out_merge,
                               struct th_err *err);

/* The record that comes next; NULL: none is left. It stays until replay_merge_pass and the call
 * after that. Errors: as th_log_reader_read; TH_UNAVAILABLE (what is there does not come) */
TH_MUST_USE
enum th_code replay_merge_look(struct replay_merge *merge, const struct log_record **out_record,
                               struct th_err *err);
void replay_merge_pass(struct replay_merge *merge);

/* Of the log. */
int replay_merge_partitions(const struct replay_merge *merge, enum topic topic);

/* Where a partition stands: behind all that was passed. */
int64_t replay_merge_place(const struct replay_merge *merge, enum topic topic, int part);

/* Stand there, where one before stood; less than the partition's beginning is that, more than its
 * end the end. Before anything is looked at. */
void replay_merge_seek(struct replay_merge *merge, enum topic topic, int part, int64_t offset);

/* In offsets of all partitions. */
void replay_merge_progress(const struct replay_merge *merge, int64_t *out_done, int64_t *out_size);

void replay_merge_close(struct replay_merge *merge);

TH_AUTO_DEFINE(replay_merge, struct replay_merge *, replay_merge_close)

#endif
