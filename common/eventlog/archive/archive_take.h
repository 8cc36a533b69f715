/* archive_take.h - what a log holds and its archive does not, into the archive.
 *
 * Partition by partition, each up to where it ended when this began: what comes meanwhile is for
 * the next time, and so is what another's open transaction hides. Stopped anywhere, the next run
 * goes on. Memory: what one read gives, and one block. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_TAKE_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_TAKE_H

#include "common/eventlog/log.h"

/* How far it is. Offsets are not records where the log leaves numbers out; they say how far. */
struct archive_taken {
    int64_t offsets;     /* of offsets_all */
    int64_t offsets_all; /* what this run has to do */
    int64_t records;
    int64_t bytes; /* keys and values */
    int64_t segments;
    enum topic topic; /* at the moment */
    int part;
};

struct archive_plan {
    const char *dir;
    uint32_t topics;     /* bit t: topic t; 0: all */
    int64_t segment_raw; /* bytes; 0: ARCHIVE_SEGMENT_RAW */
    void (*progress)(void *arg,
                     const struct archive_taken *taken); /* after each read; may be NULL */
    void *arg;
};

/* Errors: as archive_writer_open and the log's readers; TH_CORRUPT also when the log begins behind
 * where the archive ends (what lay between is in neither). What was ended before the error is in
 * the archive. */
TH_MUST_USE
enum th_code archive_take(struct th_log *log, const struct archive_plan *plan,
                          struct archive_taken *out, struct th_err *err);

#endif
