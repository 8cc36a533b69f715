/* archive_joined.h - a log whose beginning was trimmed, and the archive that has it, as one log.
 *
 * A reader that stands before where the log begins reads the archive first and then the log;
 * everything else is the log's. So whoever reads from the beginning (views made anew, a slot
 * without a snapshot) or at a place of long ago (why, a part of an audience) need not know what was
 * trimmed, nor when: a log that is trimmed while it is open goes on being whole. Partitions are
 * read from the archive one after the other, then all of them from the log; each in its own order.
 *
 * The archive is opened by the first reader that needs it, and again once it has changed; that
 * there is none, or another log's, or that it is damaged, is that reader's error: TH_NOT_FOUND,
 * TH_CONFLICT, TH_CORRUPT, the last of these also when what lies between the archive's end and the
 * log's beginning is in neither. A read may be repeated then: the archive may be there again.
 *
 * Sessions and listeners are those of the log itself. Threads: as log.h says.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_JOINED_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_JOINED_H

#include "common/eventlog/archive/archive_log.h"

/* Has anything of the log been trimmed? Errors: as th_log_start */
TH_MUST_USE
enum th_code archive_is_needed(struct th_log *log, bool *out_is_needed, struct th_err *err);

/* Takes the log, closes it; after an error it is still the caller's. dir need not be there.
 * Errors: TH_INVALID (a path too long), TH_NOMEM */
TH_MUST_USE
enum th_code archive_joined_open(struct th_log *log, const char *dir, struct th_log **out_log,
                                 struct th_err *err);

#endif
