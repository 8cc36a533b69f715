/* archive_writer.h - writes an archive: a folder that holds what a log held, partition by
 * partition.
 *
 *   MANIFEST                      what it holds (archive_manifest.h)
 *   TOPIC/PARTITION/FROM.seg      its segments (archive_segment.h)
 *   TOPIC/PARTITION/FROM-2.seg    one that was continued for the second time
 *   lock                          held by the process that writes
 *
 * A segment counts when the manifest names it, which happens after its bytes, its name and its
 * folder are on the disk; so whatever ends a writer (a full disk, power), the archive is what its
 * manifest says, and the next writer goes on from there.
 *
 * A partition's last segment that ended short (with less than an eighth of ARCHIVE_SEGMENT_RAW) is
 * continued: another file has what it had, block by block, and what came since. So however often an
 * archive is written, there is one file for each week of a partition, or for that eighth. One that
 * is damaged is left as it is, and the next one begins behind it.
 *
 * What the manifest does not name is thrown away when its partition is written next: so whoever has
 * read the manifest before a segment was continued still finds the file that was. Memory: one block
 * and one index, whatever the log's size.
 *
 * One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_WRITER_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_WRITER_H

#include "common/eventlog/archive/archive_manifest.h"

#define ARCHIVE_SEGMENT_RAW ((int64_t)64 * 1024 * 1024) /* a segment ends when it has so much */
#define ARCHIVE_SEGMENT_US                                                                         \
    (INT64_C(7) * 86400 * 1000000) /* and is not continued by what came so much later: retention   \
                                      goes by whole segments */

struct archive_writer;

/* Of which log. */
struct archive_origin {
    const char *log_id;    /* ARCHIVE_LOG_ID_LEN characters */
    const int *partitions; /* TOPIC_COUNT of them; 0: not in that log */
    int64_t segment_raw;   /* bytes; 0: ARCHIVE_SEGMENT_RAW */
};

/* Open the archive in dir, make it if there is none. A topic that the archive does not know yet is
 * added.
 *
 * Errors: TH_CONFLICT  dir holds another log's archive, or another process writes there
 *         TH_CORRUPT   its manifest is damaged
 *         TH_FULL, TH_DENIED, TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code archive_writer_open(const char *dir, const struct archive_origin *origin,
                                 struct archive_writer **out, struct th_err *err);

/* Accepts NULL. A segment that was not ended is not in the archive; nor what was not published. */
void archive_writer_close(struct archive_writer *writer);
TH_AUTO_DEFINE(archive_writer, struct archive_writer *, archive_writer_close)

/* What it holds, what was not published included. Valid until the next call. */
const struct archive_manifest *archive_writer_manifest(const struct archive_writer *writer);

/* Segments that were written, those that were continued included. */
int64_t archive_writer_segments(const struct archive_writer *writer);

/* Go on with a partition, where archive_manifest_next says. If there is nothing yet, at from (the
 * log's own beginning). */
TH_MUST_USE
enum th_code archive_writer_begin(struct archive_writer *writer, enum topic topic, int part,
                                  int64_t from, struct th_err *err);

/* The next records of the partition, in order. Segments end by themselves.
 * Errors: TH_CORRUPT (offsets do not grow), TH_FULL, TH_IO, TH_NOMEM; then only close. */
TH_MUST_USE
enum th_code archive_writer_add(struct archive_writer *writer, const struct log_record *records,
                                size_t n, struct th_err *err);

/* No more of this partition for now: its last segment ends. */
TH_MUST_USE
enum th_code archive_writer_end(struct archive_writer *writer, struct th_err *err);

/* Write the manifest, durably; segments that were ended are in the archive from now on. Does
 * nothing when there is no news. Segments publish by themselves now and then. */
TH_MUST_USE
enum th_code archive_writer_publish(struct archive_writer *writer, struct th_err *err);

#endif
