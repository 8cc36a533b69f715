/* archive_verify.h - is every byte of an archive what was written?
 *
 * Reads all of it once: the manifest, of each segment its head, blocks, records, index and sha256,
 * and holds one against the other. The first damage is named with its file and bytes. Memory: one
 * block and one index. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_VERIFY_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_VERIFY_H

#include "common/eventlog/archive/archive_manifest.h"

struct archive_totals {
    int64_t segments;
    int64_t records;
    int64_t bytes; /* of files */
    int64_t raw_bytes;
};

/* Called after each segment; may be NULL. */
typedef void (*archive_progress)(void *arg, const struct archive_totals *done,
                                 const struct archive_totals *all);

/* Errors: TH_CORRUPT (damaged or missing), TH_NOT_FOUND (no archive in dir), TH_UNSUPPORTED (a
 * newer one), TH_IO, TH_NOMEM */
TH_MUST_USE
enum th_code archive_verify(const char *dir, archive_progress progress, void *arg,
                            struct archive_totals *out, struct th_err *err);

/* One segment of it. */
TH_MUST_USE
enum th_code archive_verify_segment(const char *dir, const char *log_id,
                                    const struct archive_segment *segment, struct th_err *err);

/* What a manifest says that there is. */
struct archive_totals archive_manifest_totals(const struct archive_manifest *manifest);

#endif
