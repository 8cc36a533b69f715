/* archive_manifest.h - what an archive holds: the text of its file MANIFEST. Pure.
 *
 *   telehub-archive 2 LOG-ID
 *   topic NAME PARTITIONS
 *   segment TOPIC PARTITION FROM NEXT RECORDS BYTES RAW-BYTES FROM-US TO-US SHA256 TURN
 *   end LINES SHA256
 *
 * Each line ends with a space and the CRC-32C of what stands before it, eight hexadecimal digits.
 * The sums of segments are of their files (sha256sum says the same), the last one is of all bytes
 * before its line. Segments are in the order of topic (number), partition, FROM; each begins where
 * the one before of its partition ends, so that one that is missing is seen. TURN is how often a
 * segment was continued by a file that has what it had, and more; format 1, which is read as well,
 * had no TURN, since none ever was.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_MANIFEST_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_MANIFEST_H

#include "common/buf.h"
#include "common/digest.h"
#include "common/eventlog/archive/archive_segment.h"

#define ARCHIVE_MANIFEST         "MANIFEST"
#define ARCHIVE_SEGMENTS_MAX     4000000
#define ARCHIVE_MANIFEST_FORMAT  2
#define ARCHIVE_TURNS_MAX        10000 /* each may add a block that is not full */
#define ARCHIVE_SEGMENT_NAME_MAX 96    /* TOPIC/PARTITION/FROM[-TURN].seg, its NUL counted */

struct archive_segment {
    enum topic topic;
    int part;
    int64_t from; /* what it holds of the log: offsets from … */
    int64_t next; /* … up to before this, all that there were */
    int64_t records;
    int64_t bytes; /* of the file */
    int64_t raw_bytes;
    int64_t from_us; /* smallest and greatest at_us */
    int64_t to_us;
    uint8_t sha256[TH_SHA256_SIZE];
    int turn;
    bool is_new; /* no manifest on the disk names it yet; not printed */
};

/* Zero-initialise; free with archive_manifest_fini. */
struct archive_manifest {
    char log_id[ARCHIVE_LOG_ID_LEN + 1];
    int partitions[TOPIC_COUNT]; /* 0: the topic is not in there */
    struct archive_segment *at;
    size_t n;
    size_t cap;
};

void archive_manifest_fini(struct archive_manifest *manifest);

/* Segments of a partition: the first, and *out_n of them. */
size_t archive_manifest_part(const struct archive_manifest *manifest, enum topic topic, int part,
                             size_t *out_n);

/* One more; it belongs behind those of its partition. Errors: TH_NOMEM, TH_FULL */
TH_MUST_USE
enum th_code archive_manifest_add(struct archive_manifest *manifest,
                                  const struct archive_segment *segment);

/* Instead of the partition's last one, which it continues. */
void archive_manifest_replace(struct archive_manifest *manifest,
                              const struct archive_segment *segment);

/* The last one; NULL: none is there. */
const struct archive_segment *archive_manifest_last(const struct archive_manifest *manifest,
                                                    enum topic topic, int part);

/* Where the partition goes on: the last segment's next, 0 if there is none. */
int64_t archive_manifest_next(const struct archive_manifest *manifest, enum topic topic, int part);

/* Append; look at out's status. */
void archive_manifest_print(const struct archive_manifest *manifest, struct th_buf *out);

/* out is empty; it is not to be used after an error. *out_bad: which bytes are wrong.
 * Errors: TH_CORRUPT, TH_UNSUPPORTED (a newer format), TH_NOMEM */
TH_MUST_USE
enum th_code archive_manifest_parse(struct th_str text, struct archive_manifest *out,
                                    struct archive_bad *out_bad, struct th_err *err);

/* The path of a segment within its archive. */
void archive_segment_name(const struct archive_segment *segment,
                          char out[ARCHIVE_SEGMENT_NAME_MAX]);

#endif
