/* avro_file.h - an Avro object container file, as it is written (Avro 1.11, "Object Container
 * Files"): records of one schema in blocks, each compressed by itself.
 *
 * Bodies come encoded and checked: nothing here looks into them. One thread.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_AVRO_FILE_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_AVRO_FILE_H

#include "common/eventlog/archive/archive_io.h"

#define AVRO_SYNC_SIZE   16
#define AVRO_BLOCK_BYTES ((size_t)64 * 1024) /* a block ends when it has so much */

enum avro_codec { AVRO_CODEC_NULL, AVRO_CODEC_DEFLATE };

/* What compresses; shared by the files of one thread. NULL: the codec null. */
struct avro_deflater;
TH_MUST_USE
enum th_code avro_deflater_new(struct avro_deflater **out, struct th_err *err);
void avro_deflater_free(struct avro_deflater *deflater);

struct avro_file {
    int fd; /* -1: not open */
    char path[ARCHIVE_PATH_MAX];
    uint8_t sync[AVRO_SYNC_SIZE];
    int64_t bytes;       /* written so far */
    int64_t block_count; /* records in block */
    struct th_buf block;
    struct th_buf out;
};

/* Begin path.new with that schema (JSON). sync: 16 bytes that are unlikely in the data; the same
 * ones give the same file. Storage is the caller's, zeroed or after finish or abandon. */
TH_MUST_USE
enum th_code avro_file_begin(struct avro_file *file, const char *path, struct th_str schema,
                             const uint8_t sync[AVRO_SYNC_SIZE], enum avro_codec codec,
                             struct th_err *err);

TH_MUST_USE
enum th_code avro_file_add(struct avro_file *file, struct avro_deflater *deflater,
                           struct th_str body, struct th_err *err);

/* It is durable, and has its name. After an error it is gone. */
TH_MUST_USE
enum th_code avro_file_finish(struct avro_file *file, struct avro_deflater *deflater,
                              struct th_err *err);

/* Give it up if it is open, and free its memory. */
void avro_file_abandon(struct avro_file *file);

#endif
