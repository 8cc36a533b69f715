#include "common/eventlog/archive/archive_segment.h"

#include <assert.h>
#include <inttypes.h>
#include <lz4frame.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/eventlog/headers.h"
#include "common/varint.h"

#define FRAME_HEAD      0x184D2A50u
#define FRAME_BLOCK     0x184D2A51u
#define FRAME_INDEX     0x184D2A52u
#define FRAME_HEAD_SIZE 8 /* magic and size, before what a skippable frame holds */
#define NAME_SIZE       52
#define INDEX_FIXED     48          /* of the index frame, before its entries */
#define TAIL_MAGIC      0x58474553u /* "SEGX" */

static const char magic[8] = {'T', 'E', 'L', 'E', 'H', 'U', 'B', 'S'};

/* --- integers -----------------------------------------------------------------------------------
 */

static void put32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (8 * i));
}

static void put64(char *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static uint32_t get32(const char *at)
{
    const unsigned char *p = (const unsigned char *)at;

    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const char *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* A skippable frame of size bytes in all, whose last four are the checksum of the others. */
static void seal(char *frame, uint32_t kind, size_t size)
{
    put32(frame, kind);
    put32(frame + 4, (uint32_t)(size - FRAME_HEAD_SIZE));
    put32(frame + size - 4, crc32c((struct th_str){frame, size - 4}));
}

void archive_head_put(const struct archive_head *head, char out[ARCHIVE_HEAD_SIZE])
{
    struct th_str name = th_str(topic_name(head->topic));

    assert(name.n < NAME_SIZE);
    memset(out, 0, ARCHIVE_HEAD_SIZE);
    memcpy(out + 8, magic, sizeof magic);
    put32(out + 16, ARCHIVE_FORMAT);
    put32(out + 20, (uint32_t)head->part);
    put64(out + 24, (uint64_t)head->from);
    memcpy(out + 32, head->log_id, ARCHIVE_LOG_ID_LEN);
    memcpy(out + 68, name.p, name.n);
    seal(out, FRAME_HEAD, ARCHIVE_HEAD_SIZE);
}

void archive_packer_clear(struct archive_packer *packer)
{
    th_buf_clear(&packer->raw);
    packer->block = (struct archive_block){0};
}

void archive_packer_fini(struct archive_packer *packer)
{
    th_buf_fini(&packer->raw);
}

static size_t put_bytes(char *at, struct th_str bytes)
{
    size_t n = varint_put(at, bytes.n);

    if (bytes.n)
        memcpy(at + n, bytes.p, bytes.n);
    return n + bytes.n;
}

enum th_code archive_pack(struct archive_packer *packer, const struct log_record *record)
{
    size_t room = 50 + log_record_size(record); /* five integers at most */
    int64_t offset = record->place.offset;
    char *at = th_buf_reserve(&packer->raw, room);
    size_t n = 0;

    if (!at)
        return TH_NOMEM;
    if (packer->block.records == 0) {
        packer->block.first = packer->offset = offset;
        packer->block.at_us = packer->at_us = record->at_us;
    }
    assert(packer->block.records == 0 || offset > packer->offset);
    n += varint_put(at + n, (uint64_t)(offset - packer->offset));
    n += varint_put(at + n,
                    varint_zigzag((int64_t)((uint64_t)record->at_us - (uint64_t)packer->at_us)));
    n += put_bytes(at + n, record->key);
    n += put_bytes(at + n, record->headers);
    n += put_bytes(at + n, record->value);
    packer->raw.n += n;
    packer->offset = offset;
    packer->at_us = record->at_us;
    packer->block.records++;
    packer->block.raw_size = (uint32_t)packer->raw.n;
    return TH_OK;
}

enum th_code archive_block_make(struct archive_packer *packer, struct th_buf *out)
{
    struct archive_block *block = &packer->block;
    /* Blocks of 256 KiB within the frame: a reader needs no larger window than that. */
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max256KB,
                      .blockMode = LZ4F_blockIndependent,
                      .contentSize = packer->raw.n},
    };
    size_t room = LZ4F_compressFrameBound(packer->raw.n, &preferences);

    th_buf_clear(out);
    char *head = th_buf_reserve(out, ARCHIVE_BLOCK_HEAD_SIZE + room);
    if (!head)
        return TH_NOMEM;
    char *stored = head + ARCHIVE_BLOCK_HEAD_SIZE;
    size_t size = LZ4F_compressFrame(stored, room, packer->raw.p, packer->raw.n, &preferences);
    if (LZ4F_isError(size)) /* the room is enough, so it is memory */
        return TH_NOMEM;
    block->stored_size = (uint32_t)size;
    block->stored_crc = crc32c((struct th_str){stored, size});
    put32(head + 8, block->stored_size);
    put32(head + 12, block->raw_size);
    put32(head + 16, block->records);
    put32(head + 20, 0);
    put64(head + 24, (uint64_t)block->first);
    put64(head + 32, (uint64_t)block->at_us);
    put32(head + 40, block->stored_crc);
    seal(head, FRAME_BLOCK, ARCHIVE_BLOCK_HEAD_SIZE);
    out->n += ARCHIVE_BLOCK_HEAD_SIZE + size;
    return TH_OK;
}

void archive_index_put(const struct archive_index *index, uint64_t position, struct th_buf *out)
{
    size_t size = ARCHIVE_INDEX_SIZE_MIN + index->n * ARCHIVE_INDEX_ENTRY_SIZE;
    char *frame = th_buf_reserve(out, size);

    assert(index->n <= ARCHIVE_BLOCKS_MAX);
    if (!frame)
        return;
    put32(frame + 8, (uint32_t)index->n);
    put32(frame + 12, 0);
    put64(frame + 16, (uint64_t)index->records);
    put64(frame + 24, (uint64_t)index->next);
    put64(frame + 32, (uint64_t)index->from_us);
    put64(frame + 40, (uint64_t)index->to_us);
    for (size_t i = 0; i < index->n; i++) {
        const struct archive_entry *entry = &index->at[i];
        char *at = frame + INDEX_FIXED + i * ARCHIVE_INDEX_ENTRY_SIZE;
        put64(at, (uint64_t)entry->block.first);
        put64(at + 8, (uint64_t)entry->block.at_us);
        put64(at + 16, entry->position);
        put32(at + 24, entry->block.records);
        put32(at + 28, entry->block.stored_size);
    }
    put64(frame + size - ARCHIVE_TAIL_SIZE, position);
    put32(frame + size - 8, TAIL_MAGIC);
    seal(frame, FRAME_INDEX, size);
    out->n += size;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum th_code bad_sum(struct th_str bytes, uint32_t is, uint32_t was, const char *what,
                            struct archive_bad *out_bad, struct th_err *err)
{
    uint8_t flip;

    *out_bad = (struct archive_bad){.to = bytes.n};
    out_bad->is_one = crc32c_locate(bytes.n, is, was, &out_bad->one, &flip);
    return th_fail(err, TH_CORRUPT, "%s: checksum is %08" PRIx32 ", was %08" PRIx32, what, is, was);
}

/* A difference of one byte is far more often a changed byte of the checksum itself than one before
 * it. */
static enum th_code check_seal(struct th_str frame, const char *what, struct archive_bad *out_bad,
                               struct th_err *err)
{
    struct th_str body = {frame.p, frame.n - 4};
    uint32_t is = crc32c(body);
    uint32_t was = get32(frame.p + body.n);
    uint32_t difference = is ^ was;

    if (!difference)
        return TH_OK;
    enum th_code code = bad_sum(body, is, was, what, out_bad, err);
    out_bad->to = frame.n;
    for (unsigned i = 0; i < 4; i++)
        if ((difference & ~(UINT32_C(0xff) << (8 * i))) == 0) {
            out_bad->is_one = true;
            out_bad->one = body.n + i;
        }
    return code;
}

enum th_code archive_frame_of(struct th_str bytes, enum archive_frame *out_frame,
                              uint32_t *out_size, struct th_err *err)
{
    if (bytes.n < FRAME_HEAD_SIZE)
        return th_fail(err, TH_CORRUPT, "the file ends within a frame");
    uint32_t kind = get32(bytes.p);
    if (kind < FRAME_HEAD || kind > FRAME_INDEX)
        return th_fail(err, TH_CORRUPT, "no frame begins here");
    *out_frame = (enum archive_frame)(kind - FRAME_HEAD);
    *out_size = get32(bytes.p + 4);
    return TH_OK;
}

enum th_code archive_head_get(struct th_str bytes, struct archive_head *out,
                              struct archive_bad *out_bad, struct th_err *err)
{
    struct archive_head head = {0};

    *out_bad = (struct archive_bad){.to = bytes.n};
    if (bytes.n != ARCHIVE_HEAD_SIZE)
        return th_fail(err, TH_CORRUPT, "the head is cut off");
    TH_TRY(check_seal(bytes, "the head", out_bad, err));
    *out_bad = (struct archive_bad){.to = bytes.n};
    if (memcmp(bytes.p + 8, magic, sizeof magic) != 0 || get32(bytes.p) != FRAME_HEAD)
        return th_fail(err, TH_CORRUPT, "not a segment of an archive");
    if (get32(bytes.p + 16) != ARCHIVE_FORMAT)
        return th_fail(err, TH_UNSUPPORTED, "format %" PRIu32 ", this program reads %d",
                       get32(bytes.p + 16), ARCHIVE_FORMAT);
    struct th_str name = {bytes.p + 68, strnlen(bytes.p + 68, NAME_SIZE)};
    if (!topic_by_name(name, &head.topic))
        return th_fail(err, TH_UNSUPPORTED, "the topic %.*s is unknown to this program",
                       TH_ARG(name));
    memcpy(head.log_id, bytes.p + 32, ARCHIVE_LOG_ID_LEN);
    uint32_t part = get32(bytes.p + 20);
    head.from = (int64_t)get64(bytes.p + 24);
    if (part >= LOG_PARTITIONS_MAX || head.from < 0)
        return th_fail(err, TH_CORRUPT, "the head names no place of a log");
    head.part = (int)part;
    *out = head;
    return TH_OK;
}

enum th_code archive_block_get(struct th_str bytes, struct archive_block *out,
                               struct archive_bad *out_bad, struct th_err *err)
{
    *out_bad = (struct archive_bad){.to = bytes.n};
    if (bytes.n != ARCHIVE_BLOCK_HEAD_SIZE)
        return th_fail(err, TH_CORRUPT, "the file ends within a block's head");
    TH_TRY(check_seal(bytes, "a block's head", out_bad, err));
    struct archive_block block = {
        .first = (int64_t)get64(bytes.p + 24),
        .at_us = (int64_t)get64(bytes.p + 32),
        .records = get32(bytes.p + 16),
        .raw_size = get32(bytes.p + 12),
        .stored_size = get32(bytes.p + 8),
        .stored_crc = get32(bytes.p + 40),
    };
    *out_bad = (struct archive_bad){.to = bytes.n};
    /* A record takes five bytes at least, and what LZ4 cannot make smaller it makes little larger:
     * no head makes us ask for more than that. */
    if (get32(bytes.p) != FRAME_BLOCK ||
        get32(bytes.p + 4) != ARCHIVE_BLOCK_HEAD_SIZE - FRAME_HEAD_SIZE || block.first < 0 ||
        block.records == 0 || block.raw_size > ARCHIVE_BLOCK_RAW_MAX ||
        block.records > block.raw_size / 5 || block.stored_size > ARCHIVE_BLOCK_RAW_MAX * 2)
        return th_fail(err, TH_CORRUPT, "a block's head holds what no block can be");
    *out = block;
    return TH_OK;
}

enum th_code archive_tail_get(struct th_str bytes, uint64_t file_size, uint64_t *out_position,
                              struct th_err *err)
{
    if (bytes.n != ARCHIVE_TAIL_SIZE || get32(bytes.p + 8) != TAIL_MAGIC)
        return th_fail(err, TH_CORRUPT, "the file does not end as a segment does");
    uint64_t position = get64(bytes.p);
    uint64_t size = file_size - position;
    if (position >= file_size || size < ARCHIVE_INDEX_SIZE_MIN ||
        size > ARCHIVE_INDEX_SIZE_MIN + (uint64_t)ARCHIVE_BLOCKS_MAX * ARCHIVE_INDEX_ENTRY_SIZE)
        return th_fail(err, TH_CORRUPT, "the file's end points to no index");
    *out_position = position;
    return TH_OK;
}

static enum th_code check_index(struct th_str bytes, uint64_t position, struct archive_bad *out_bad,
                                struct th_err *err)
{
    *out_bad = (struct archive_bad){.to = bytes.n};
    if (bytes.n < ARCHIVE_INDEX_SIZE_MIN)
        return th_fail(err, TH_CORRUPT, "the file ends within its index");
    TH_TRY(check_seal(bytes, "the index", out_bad, err));
    uint64_t n = get32(bytes.p + 8);
    if (get32(bytes.p) != FRAME_INDEX || get32(bytes.p + 4) != bytes.n - FRAME_HEAD_SIZE ||
        bytes.n != ARCHIVE_INDEX_SIZE_MIN + n * ARCHIVE_INDEX_ENTRY_SIZE ||
        get64(bytes.p + bytes.n - ARCHIVE_TAIL_SIZE) != position)
        return th_fail(err, TH_CORRUPT, "the index is not as long as it says");
    return TH_OK;
}

enum th_code archive_index_get(struct th_str bytes, uint64_t position, struct archive_index *out,
                               struct archive_bad *out_bad, struct th_err *err)
{
    TH_TRY(check_index(bytes, position, out_bad, err));
    struct archive_index index = {
        .n = get32(bytes.p + 8),
        .records = (int64_t)get64(bytes.p + 16),
        .next = (int64_t)get64(bytes.p + 24),
        .from_us = (int64_t)get64(bytes.p + 32),
        .to_us = (int64_t)get64(bytes.p + 40),
    };
    TH_AUTO(free) void *memory = calloc(index.n + 1, sizeof *index.at);
    if (!memory)
        return th_fail(err, TH_NOMEM, "an index of %zu blocks", index.n);
    index.at = memory;
    for (size_t i = 0; i < index.n; i++) {
        const char *at = bytes.p + INDEX_FIXED + i * ARCHIVE_INDEX_ENTRY_SIZE;
        index.at[i] = (struct archive_entry){
            .block = {.first = (int64_t)get64(at),
                      .at_us = (int64_t)get64(at + 8),
                      .records = get32(at + 24),
                      .stored_size = get32(at + 28)},
            .position = get64(at + 16),
        };
        bool is_in_order = i == 0 || (index.at[i].block.first > index.at[i - 1].block.first &&
                                      index.at[i].position > index.at[i - 1].position);
        if (!is_in_order || index.at[i].position >= position || index.at[i].block.first < 0)
            return th_fail(err, TH_CORRUPT, "the index is not in order");
    }
    *out = index;
    memory = NULL;
    return TH_OK;
}

struct archive_unpacker {
    LZ4F_dctx *context;
};

enum th_code archive_unpacker_new(struct archive_unpacker **out, struct th_err *err)
{
    struct archive_unpacker *unpacker = calloc(1, sizeof *unpacker);

    if (!unpacker ||
        LZ4F_isError(LZ4F_createDecompressionContext(&unpacker->context, LZ4F_VERSION))) {
        free(unpacker);
        return th_fail(err, TH_NOMEM, "decompressing");
    }
    *out = unpacker;
    return TH_OK;
}

void archive_unpacker_free(struct archive_unpacker *unpacker)
{
    if (unpacker)
        LZ4F_freeDecompressionContext(unpacker->context);
    free(unpacker);
}

/* The library has its codes in a header of its own for static linking; their names are public. */
static bool is_short_of_memory(LZ4F_errorCode_t code)
{
    return LZ4F_isError(code) && strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") == 0;
}

static enum th_code decompress(LZ4F_dctx *context, struct th_str stored, char *out, size_t out_size)
{
    size_t in = 0;
    size_t made = 0;
    size_t hint = 1;

    LZ4F_resetDecompressionContext(context);
    while (hint != 0 && in < stored.n) {
        size_t read = stored.n - in;
        size_t wrote = out_size - made;
        hint = LZ4F_decompress(context, out + made, &wrote, stored.p + in, &read, NULL);
        if (LZ4F_isError(hint) || (read == 0 && wrote == 0))
            break;
        in += read;
        made += wrote;
    }
    if (is_short_of_memory(hint))
        return TH_NOMEM;
    return hint == 0 && in == stored.n && made == out_size ? TH_OK : TH_CORRUPT;
}

enum th_code archive_unpack(struct archive_unpacker *unpacker, const struct archive_block *block,
                            struct th_str stored, char *raw, struct archive_bad *out_bad,
                            struct th_err *err)
{
    uint32_t is = crc32c(stored);

    *out_bad = (struct archive_bad){.to = stored.n};
    if (is != block->stored_crc)
        return bad_sum(stored, is, block->stored_crc, "a block", out_bad, err);
    enum th_code code = decompress(unpacker->context, stored, raw, block->raw_size);
    if (code != TH_OK)
        return th_fail(err, code, "a block does not decompress to %" PRIu32 " bytes",
                       block->raw_size);
    return TH_OK;
}

/* --- records ------------------------------------------------------------------------------------
 */

static bool get_varint(struct archive_walk *walk, uint64_t *out)
{
    return varint_get(walk->raw, walk->block->raw_size, &walk->at, out);
}

static bool get_bytes(struct archive_walk *walk, struct th_str *out)
{
    uint64_t size;

    if (!get_varint(walk, &size) || size > walk->block->raw_size - walk->at)
        return false;
    *out = (struct th_str){walk->raw + walk->at, (size_t)size};
    walk->at += (size_t)size;
    return true;
}

/* Offsets grow and stay below 2^63. */
static bool get_offset(struct archive_walk *walk)
{
    uint64_t step;

    if (!get_varint(walk, &step))
        return false;
    if (walk->seen == 0) {
        walk->offset = walk->block->first;
        walk->at_us = walk->block->at_us;
        return step == 0;
    }
    if (step == 0 || step > (uint64_t)(INT64_MAX - walk->offset))
        return false;
    walk->offset += (int64_t)step;
    return true;
}

enum th_code archive_walk_next(struct archive_walk *walk, struct log_record *out,
                               struct th_err *err)
{
    uint64_t later = 0;

    bool is_whole = get_offset(walk) && get_varint(walk, &later) && get_bytes(walk, &out->key) &&
                    get_bytes(walk, &out->headers) && get_bytes(walk, &out->value) &&
                    log_headers_are_whole(out->headers);
    walk->seen++;
    if (!is_whole || (walk->seen == walk->block->records && walk->at != walk->block->raw_size))
        return th_fail(err, TH_CORRUPT, "record %" PRIu32 " of a block makes no sense", walk->seen);
    walk->at_us = (int64_t)((uint64_t)walk->at_us + (uint64_t)varint_unzigzag(later));
    out->place.offset = walk->offset;
    out->at_us = walk->at_us;
    return TH_OK;
}
