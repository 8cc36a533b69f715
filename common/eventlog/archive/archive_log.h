/* archive_log.h - an archive as a log that can only be read.
 *
 * Its readers are those of log.h: records of the archive's partitions from an offset on, in order,
 * checked against their checksums; one block of the reader's is in memory at a time, whatever the
 * number of partitions. A partition ends where its last segment ends, and where its first one
 * begins behind offset 0 (archived from a log that had dropped what was before), a reader of less
 * is told TH_NOT_FOUND. Damage is TH_CORRUPT, and the text names file and bytes. Everything that
 * writes is TH_UNSUPPORTED; listeners never hear anything; there are no snapshots.
 *
 * The manifest is read at opening: what is archived later is not seen. Threads: as log.h says.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_LOG_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_LOG_H

#include "common/eventlog/archive/archive_manifest.h"

/* th_log_id and th_log_partitions are those of the log that was archived.
 * Errors: TH_NOT_FOUND (no archive there), TH_CORRUPT, TH_UNSUPPORTED (a newer one), TH_IO,
 * TH_NOMEM */
TH_MUST_USE
enum th_code archive_log_open(const char *dir, struct th_log **out_log, struct th_err *err);

/* Of a log that archive_log_open opened. */
const struct archive_manifest *archive_log_manifest(const struct th_log *log);

/* The first offset that it can give; its end, if it has nothing. */
int64_t archive_log_start(const struct th_log *log, enum topic topic, int part);

#endif
