/* archive_joined.h - a log whose beginning was trimmed, and the archive that has it, as one log.
 *
 * A reader that stands before where the log begins reads the archive first and then the log;
 * everything else is the log's. So whoever reads from the beginning (views made anew, a slot
 * without a snapshot) or at a place of long ago (why, a part of an audience) need not know what was
 * trimmed. Partitions are read from the archive one after the other, then all of them from the log;
 * each in its own order.
 *
 * Sessions and listeners are those of the log itself.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_JOINED_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_JOINED_H

#include "common/eventlog/archive/archive_log.h"

/* Has anything of the log been trimmed? Errors: as th_log_start */
TH_MUST_USE
enum th_code archive_is_needed(struct th_log *log, bool *out_is_needed, struct th_err *err);

/* Takes both, closes both; after an error both are still the caller's.
 * Errors: TH_CONFLICT  the archive is another log's
 *         TH_CORRUPT   what lies between the archive's end and the log's beginning is in neither */
TH_MUST_USE
enum th_code archive_joined_open(struct th_log *log, struct th_log *archive,
                                 struct th_log **out_log, struct th_err *err);

#endif
