/* archive_avro.h - a log's events as Avro object container files, for those who analyse.
 *
 *   TOPIC/date=YYYY-MM-DD/EVENT-vVERSION-pPARTITION-FROM-N.avro
 *   TAKEN       how far each partition is in there
 *
 * The date is that of the append, in UTC. A file holds events of one schema, in the log's order;
 * its schema is the one they were written with, its name says from which offset on the run that
 * made it went, and which file of that run it is. What the records' keys, headers and offsets were
 * is not in there: the archive of segments is what can be restored.
 *
 * A run that did not come to its end has written files that TAKEN does not count; the next one
 * begins where that one began and writes the same files again, with what they have and more. So no
 * event is ever in there twice. Bounded: AVRO_FILES_OPEN files at a time.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_AVRO_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_AVRO_H

#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/avro_file.h"

#define AVRO_FILES_OPEN 64
#define AVRO_FILE_BYTES ((int64_t)256 * 1024 * 1024) /* then another one begins */

struct archive_avro;

/* Errors: TH_CONFLICT (another log's, or another process writes there), TH_CORRUPT (TAKEN), … */
TH_MUST_USE
enum th_code archive_avro_open(const char *dir, const char *log_id, enum avro_codec codec,
                               struct archive_avro **out, struct th_err *err);

/* Accepts NULL. */
void archive_avro_close(struct archive_avro *avro);
TH_AUTO_DEFINE(archive_avro, struct archive_avro *, archive_avro_close)

/* For archive_take_into; valid until close. */
struct archive_sink archive_avro_sink(struct archive_avro *avro);

struct archive_avro_counts {
    int64_t events;
    int64_t files;
    int64_t left_out; /* records that are no events this program understands */
};

struct archive_avro_counts archive_avro_counts(const struct archive_avro *avro);

#endif
