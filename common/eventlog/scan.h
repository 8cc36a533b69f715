/* scan.h - a whole log, record after record: topic by topic, partition by partition, each from
 * where it begins to where it ended when the scan was opened.
 *
 * The same order for everybody, so that a place in it says what was seen: all partitions before it
 * wholly, its own up to its offset. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_SCAN_H
#define TELEHUB_COMMON_EVENTLOG_SCAN_H

#include "common/eventlog/log.h"

struct log_scan;

/* from: where an earlier scan stood; {0}: the beginning.
 * Errors: TH_UNAVAILABLE, TH_NOMEM, TH_INVALID (no such place) */
TH_MUST_USE
enum th_code log_scan_open(struct th_log *log, struct log_place from, struct log_scan **out_scan,
                           struct th_err *err);

/* The next records, all of one partition, about bytes_max; none: the end. *out_behind: the place
 * behind them.
 * Errors: as th_log_reader_read; TH_UNAVAILABLE also when what is there does not come for a minute
 * (somebody's open transaction hides it) */
TH_MUST_USE
enum th_code log_scan_next(struct log_scan *scan, size_t bytes_max, struct th_arena *arena,
                           struct log_records *out, struct log_place *out_behind,
                           struct th_err *err);

/* How far it is, in offsets of all partitions: how many were passed, and how many there are. */
void log_scan_progress(const struct log_scan *scan, int64_t *out_done, int64_t *out_size);

void log_scan_close(struct log_scan *scan);

TH_AUTO_DEFINE(log_scan, struct log_scan *, log_scan_close)

#endif
