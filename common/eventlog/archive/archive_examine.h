/* archive_examine.h - what an archive must be like for its log to be whole, looked at. Cheap: names
 * and sizes of files; archive_verify.h reads their bytes.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_EXAMINE_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_EXAMINE_H

#include "common/eventlog/log.h"
#include "common/finding.h"

#define ARCHIVE_OLD_DAYS          2 /* written before that, and the log has more: is it forgotten? */
#define ARCHIVE_DISK_WARN_PERCENT 85 /* used */

struct archive_examined {
    const char *dir;
    struct th_log *log; /* itself, not joined with its archive */
    bool is_expected;   /* retention is set to drop what is archived */
    int64_t now_us;
};

/* Says at least one thing; one that cannot be asked, too. */
void archive_examine(const struct archive_examined *examined, finding_say *say, void *arg);

#endif
