/* archive_take.h - what a log holds and its archive does not, into the archive; or elsewhere.
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
    int64_t bytes;    /* keys and values */
    int64_t segments; /* by archive_take only */
    enum topic topic; /* at the moment */
    int part;
};

struct archive_plan {
    uint32_t topics; /* bit t: topic t; 0: all */
    void (*progress)(void *arg,
                     const struct archive_taken *taken); /* after each read; may be NULL */
    void *arg;
};

/* Where records go: of one partition after the other, in order, each begun, added to and ended once
 * in a run. Functions fail as they say; after a failure only publish is called. */
struct archive_sink {
    void *self;
    int64_t (*next)(void *self, enum topic topic, int part); /* the first offset it wants */
    enum th_code (*begin)(void *self, enum topic topic, int part, int64_t from, struct th_err *err);
    enum th_code (*add)(void *self, const struct log_record *records, size_t n, struct th_err *err);
    enum th_code (*end)(void *self, struct th_err *err);
    enum th_code (*publish)(void *self, struct th_err *err); /* what was ended counts from now on */
};

/* Errors: those of the sink and of the log's readers; TH_CORRUPT when the log ends before what the
 * sink has. What was ended before the error counts. *out also then. */
TH_MUST_USE
enum th_code archive_take_into(struct th_log *log, const struct archive_sink *sink,
                               const struct archive_plan *plan, struct archive_taken *out,
                               struct th_err *err);

/* Into the archive in dir. segment_raw: bytes, 0: ARCHIVE_SEGMENT_RAW.
 * Errors: also as archive_writer_open; then *out is not touched. */
TH_MUST_USE
enum th_code archive_take(struct th_log *log, const char *dir, int64_t segment_raw,
                          const struct archive_plan *plan, struct archive_taken *out,
                          struct th_err *err);

#endif
