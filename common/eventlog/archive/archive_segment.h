/* archive_segment.h - the bytes of an archived segment: records of one partition, in order. Pure.
 *
 * A file is a sequence of frames of the LZ4 frame format (its version 1.6): a head, blocks, an
 * index. What is ours lies in skippable frames, so that `lz4 -d` turns the file into the records'
 * raw bytes with no help from here. All integers are little endian.
 *
 *   head      0x184D2A50, size; "TELEHUBS", format (u32), partition (u32), from (i64), log id (36),
 *             topic's name (52, NULs behind it), 0 (u32), CRC-32C of all before it
 *   block     0x184D2A51, size; stored size, raw size, records, 0 (u32 each), first offset and its
 *             at_us (i64 each), CRC-32C of what is stored, CRC-32C of all before it
 *             then what is stored: one LZ4 frame
 *   index     0x184D2A52, size; blocks, 0 (u32 each), records, next, at_us from and to (i64 each),
 *             for each block: first offset, its at_us (i64), where its frame begins (u64), records,
 *             stored size (u32); where this frame begins (u64), "SEGX", CRC-32C of all before it
 *
 * So every byte of a file lies under a checksum, and frames follow each other without a hole.
 * Raw bytes of a block, integers as unsigned LEB128, signed ones zigzag:
 *
 *   for each record: offset - the one before (the first: 0), at_us - the one before (signed; the
 *   first: 0), key size, key, headers' size, headers, value size, value
 *
 * Headers are those of common/eventlog/headers.h; none are a size of 0.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_SEGMENT_H
#define TELEHUB_COMMON_EVENTLOG_ARCHIVE_ARCHIVE_SEGMENT_H

#include "common/buf.h"
#include "common/eventlog/log.h"

#define ARCHIVE_FORMAT           1
#define ARCHIVE_HEAD_SIZE        128
#define ARCHIVE_BLOCK_HEAD_SIZE  48
#define ARCHIVE_INDEX_ENTRY_SIZE 32
#define ARCHIVE_INDEX_SIZE_MIN   64
#define ARCHIVE_TAIL_SIZE        16                   /* of a file: where its index begins */
#define ARCHIVE_BLOCK_RAW        ((size_t)256 * 1024) /* a block ends when it has so much */
#define ARCHIVE_BLOCK_RAW_MAX    (ARCHIVE_BLOCK_RAW + LOG_RECORD_SIZE_MAX + 4096)
#define ARCHIVE_BLOCKS_MAX       65536 /* of a segment */
#define ARCHIVE_LOG_ID_LEN       36

struct archive_head {
    char log_id[ARCHIVE_LOG_ID_LEN + 1];
    enum topic topic;
    int part;
    int64_t from; /* where the segment before ends; the first record lies there or, where the log
                     leaves numbers out, behind */
};

struct archive_block {
    int64_t first; /* offset */
    int64_t at_us; /* of the first record */
    uint32_t records;
    uint32_t raw_size;
    uint32_t stored_size;
    uint32_t stored_crc;
};

struct archive_entry {
    struct archive_block block; /* without raw_size and stored_crc */
    uint64_t position;          /* in the file, of its head */
};

struct archive_index {
    struct archive_entry *at; /* owned by whoever made it */
    size_t n;
    int64_t records;
    int64_t next; /* the last record's offset + 1 */
    int64_t from_us;
    int64_t to_us; /* smallest and greatest at_us */
};

/* --- writing ------------------------------------------------------------------------------------
 */

void archive_head_put(const struct archive_head *head, char out[ARCHIVE_HEAD_SIZE]);

/* Where the next record's raw bytes go, and what its numbers are relative to. */
struct archive_packer {
    struct th_buf raw;
    int64_t offset; /* of the record before */
    int64_t at_us;
    struct archive_block block; /* of what is in raw */
};

/* Empty it for the next block; keeps memory. fini frees it. */
void archive_packer_clear(struct archive_packer *packer);
void archive_packer_fini(struct archive_packer *packer);

/* One record more; offsets grow. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code archive_pack(struct archive_packer *packer, const struct log_record *record);

/* The head and the frame of what was packed, into out, which is emptied first.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code archive_block_make(struct archive_packer *packer, struct th_buf *out);

/* The index frame that begins at that position of the file; appended. Look at out's status. */
void archive_index_put(const struct archive_index *index, uint64_t position, struct th_buf *out);

/* --- reading ------------------------------------------------------------------------------------
 *
 * Errors of all: TH_CORRUPT, and the text says what is wrong; out_bad: which bytes of those given.
 * TH_UNSUPPORTED of a head: a newer format, or a topic that this program does not know; its
 * checksum is right. TH_NOMEM. */

struct archive_bad {
    size_t from; /* these bytes … */
    size_t to;
    bool is_one; /* … and if one alone was changed, this: */
    size_t one;
};

TH_MUST_USE
enum th_code archive_head_get(struct th_str bytes, struct archive_head *out,
                              struct archive_bad *out_bad, struct th_err *err);

/* What kind of frame begins with these bytes? TH_CORRUPT: none of ours. */
enum archive_frame { ARCHIVE_FRAME_HEAD, ARCHIVE_FRAME_BLOCK, ARCHIVE_FRAME_INDEX };
TH_MUST_USE
enum th_code archive_frame_of(struct th_str bytes, enum archive_frame *out_frame,
                              uint32_t *out_size, struct th_err *err);

TH_MUST_USE
enum th_code archive_block_get(struct th_str bytes, struct archive_block *out,
                               struct archive_bad *out_bad, struct th_err *err);

/* Where a file's index begins, from its last ARCHIVE_TAIL_SIZE bytes. Nothing is checked but that
 * it can be: the index's own checksum does that. */
TH_MUST_USE
enum th_code archive_tail_get(struct th_str bytes, uint64_t file_size, uint64_t *out_position,
                              struct th_err *err);

/* bytes is the whole frame, which lies at that position. out->at: free it. */
TH_MUST_USE
enum th_code archive_index_get(struct th_str bytes, uint64_t position, struct archive_index *out,
                               struct archive_bad *out_bad, struct th_err *err);

/* What decompresses; one thread at a time. */
struct archive_unpacker;
TH_MUST_USE
enum th_code archive_unpacker_new(struct archive_unpacker **out, struct th_err *err);
void archive_unpacker_free(struct archive_unpacker *unpacker);

/* stored (block->stored_size bytes) into raw (block->raw_size bytes), its checksum first. */
TH_MUST_USE
enum th_code archive_unpack(struct archive_unpacker *unpacker, const struct archive_block *block,
                            struct th_str stored, char *raw, struct archive_bad *out_bad,
                            struct th_err *err);

/* A walk through a block's raw bytes. */
struct archive_walk {
    const struct archive_block *block;
    const char *raw; /* raw_size bytes */
    size_t at;
    uint32_t seen; /* records */
    int64_t offset;
    int64_t at_us;
};

/* The next record; topic and part of its place are left alone, views point into raw. Call it
 * block->records times. Errors: TH_CORRUPT; also when the last record is not the end of the bytes.
 */
TH_MUST_USE
enum th_code archive_walk_next(struct archive_walk *walk, struct log_record *out,
                               struct th_err *err);

#endif
