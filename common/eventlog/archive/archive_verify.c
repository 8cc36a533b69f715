#include "common/eventlog/archive/archive_verify.h"

#include <inttypes.h>
#include <string.h>

#include "common/eventlog/archive/archive_io.h"

/* A segment on the way through. */
struct check {
    const struct archive_segment *segment;
    struct archive_input input;
    struct th_sha256_sum sum;
    struct archive_unpacker *unpacker;
    struct th_buf bytes;
    char *raw;
    uint64_t position;

    /* What was found so far, to be what the index and the manifest say. */
    struct archive_index found;
    size_t found_cap;
    int64_t raw_bytes;
};

static void check_fini(struct check *check)
{
    archive_input_close(&check->input);
    archive_unpacker_free(check->unpacker);
    th_buf_fini(&check->bytes);
    free(check->raw);
    free(check->found.at);
}

static enum th_code damaged(const struct check *check, const struct archive_bad *bad,
                            struct th_err *err)
{
    return archive_damage(check->input.path, check->position, bad, err);
}

/* Bytes from the position on, which go into the sum, too. */
static enum th_code take(struct check *check, size_t size, struct th_err *err)
{
    TH_TRY(archive_input_read(&check->input, check->position, size, &check->bytes, err));
    th_sha256_add(&check->sum, th_buf_str(&check->bytes));
    return TH_OK;
}

static enum th_code check_head(struct check *check, const char *log_id, struct th_err *err)
{
    const struct archive_segment *segment = check->segment;
    struct archive_bad bad;
    struct archive_head head;

    TH_TRY(take(check, ARCHIVE_HEAD_SIZE, err));
    enum th_code code = archive_head_get(th_buf_str(&check->bytes), &head, &bad, err);
    if (code == TH_OK && (head.topic != segment->topic || head.part != segment->part ||
                          head.from != segment->from || strcmp(head.log_id, log_id) != 0))
        code = th_fail(err, TH_CORRUPT, "it is another segment than the manifest says");
    if (code == TH_CORRUPT)
        return damaged(check, &bad, err);
    check->position = ARCHIVE_HEAD_SIZE;
    return code;
}

static enum th_code note(struct check *check, const struct archive_block *block)
{
    struct archive_index *found = &check->found;

    if (found->n == check->found_cap) {
        size_t cap = found->n ? found->n * 2 : 256;
        struct archive_entry *at = reallocarray(found->at, cap, sizeof *at);
        if (!at)
            return TH_NOMEM;
        found->at = at;
        check->found_cap = cap;
    }
    found->at[found->n++] = (struct archive_entry){*block, check->position};
    check->raw_bytes += block->raw_size;
    return TH_OK;
}

static enum th_code check_records(struct check *check, const struct archive_block *block,
                                  struct th_err *err)
{
    struct archive_index *found = &check->found;
    struct archive_walk walk = {.block = block, .raw = check->raw};
    struct log_record record;

    for (uint32_t i = 0; i < block->records; i++) {
        TH_TRY(archive_walk_next(&walk, &record, err));
        int64_t offset = record.place.offset;
        if (offset < found->next || offset >= check->segment->next)
            return th_fail(err, TH_CORRUPT, "offset %" PRId64 " does not belong here", offset);
        if (found->records == 0)
            found->from_us = found->to_us = record.at_us;
        found->from_us = record.at_us < found->from_us ? record.at_us : found->from_us;
        found->to_us = record.at_us > found->to_us ? record.at_us : found->to_us;
        found->next = offset + 1;
        found->records++;
    }
    return TH_OK;
}

static enum th_code check_block(struct check *check, struct th_err *err)
{
    struct archive_block block;
    struct archive_bad bad;

    TH_TRY(take(check, ARCHIVE_BLOCK_HEAD_SIZE, err));
    enum th_code code = archive_block_get(th_buf_str(&check->bytes), &block, &bad, err);
    if (code != TH_OK)
        return damaged(check, &bad, err);
    if (check->found.n == ARCHIVE_BLOCKS_MAX || note(check, &block) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu blocks", check->found.n);
    check->position += ARCHIVE_BLOCK_HEAD_SIZE;
    TH_TRY(take(check, block.stored_size, err));
    code =
        archive_unpack(check->unpacker, &block, th_buf_str(&check->bytes), check->raw, &bad, err);
    if (code == TH_OK)
        code = check_records(check, &block, err);
    if (code == TH_CORRUPT)
        return damaged(check, &bad, err);
    check->position += block.stored_size;
    return code;
}

static bool is_same_index(const struct archive_index *a, const struct archive_index *b)
{
    if (a->n != b->n || a->records != b->records || a->next != b->next ||
        a->from_us != b->from_us || a->to_us != b->to_us)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct archive_entry *x = &a->at[i];
        const struct archive_entry *y = &b->at[i];
        if (x->position != y->position || x->block.first != y->block.first ||
            x->block.at_us != y->block.at_us || x->block.records != y->block.records ||
            x->block.stored_size != y->block.stored_size)
            return false;
    }
    return true;
}

static enum th_code check_index(struct check *check, size_t size, struct th_err *err)
{
    struct archive_index said;
    struct archive_bad bad;

    TH_TRY(take(check, size, err));
    enum th_code code =
        archive_index_get(th_buf_str(&check->bytes), check->position, &said, &bad, err);
    if (code != TH_OK)
        return code == TH_CORRUPT ? damaged(check, &bad, err) : code;
    bool is_same = is_same_index(&said, &check->found);
    free(said.at);
    if (!is_same) {
        (void)th_fail(err, TH_CORRUPT, "the index is not that of the blocks");
        return damaged(check, &bad, err);
    }
    check->position += size;
    return TH_OK;
}

/* Blocks, and then the index, which is the last frame. */
static enum th_code check_frames(struct check *check, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf begin = {0};
    enum archive_frame frame;
    uint32_t size;

    for (;;) {
        struct archive_bad bad = {.to = 8};
        TH_TRY(archive_input_read(&check->input, check->position, 8, &begin, err));
        enum th_code code = archive_frame_of(th_buf_str(&begin), &frame, &size, err);
        uint64_t rest = check->input.size - check->position;
        if (code == TH_OK && frame == ARCHIVE_FRAME_HEAD)
            code = th_fail(err, TH_CORRUPT, "a second head");
        if (code == TH_OK && frame == ARCHIVE_FRAME_INDEX &&
            (size != rest - 8 || rest > ARCHIVE_INDEX_SIZE_MIN + (uint64_t)ARCHIVE_BLOCKS_MAX *
                                                                     ARCHIVE_INDEX_ENTRY_SIZE))
            code = th_fail(err, TH_CORRUPT, "the index is not the file's end");
        if (code != TH_OK)
            return damaged(check, &bad, err);
        if (frame == ARCHIVE_FRAME_INDEX)
            return check_index(check, (size_t)rest, err);
        TH_TRY(check_block(check, err));
    }
}

/* Every byte is under a checksum that was right, so what differs now is the manifest's line, or the
 * file is another one. */
static enum th_code check_sums(struct check *check, struct th_err *err)
{
    const struct archive_segment *segment = check->segment;
    const struct archive_index *found = &check->found;
    struct archive_bad all = {.to = (size_t)check->input.size};
    uint8_t sha256[TH_SHA256_SIZE];

    th_sha256_end(&check->sum, sha256);
    if (memcmp(sha256, segment->sha256, sizeof sha256) == 0 &&
        check->input.size == (uint64_t)segment->bytes && found->records == segment->records &&
        found->next == segment->next && check->raw_bytes == segment->raw_bytes &&
        found->from_us == segment->from_us && found->to_us == segment->to_us)
        return TH_OK;
    (void)th_fail(err, TH_CORRUPT, "it is not the file that the manifest describes");
    return archive_damage(check->input.path, 0, &all, err);
}

static enum th_code check_all(struct check *check, const char *dir, const char *log_id,
                              struct th_err *err)
{
    char name[ARCHIVE_SEGMENT_NAME_MAX];

    archive_segment_name(check->segment, name);
    enum th_code code = archive_input_open(&check->input, dir, name, err);
    if (code == TH_NOT_FOUND)
        return th_fail(err, TH_CORRUPT, "%s/%s is missing", dir, name);
    TH_TRY(code);
    TH_TRY(archive_unpacker_new(&check->unpacker, err));
    check->raw = malloc(ARCHIVE_BLOCK_RAW_MAX);
    if (!check->raw)
        return th_fail(err, TH_NOMEM, "a block");
    check->found.next = check->segment->from;
    th_sha256_begin(&check->sum);
    TH_TRY(check_head(check, log_id, err));
    TH_TRY(check_frames(check, err));
    return check_sums(check, err);
}

enum th_code archive_verify_segment(const char *dir, const char *log_id,
                                    const struct archive_segment *segment, struct th_err *err)
{
    struct check check = {.segment = segment, .input = {.fd = -1}};
    struct th_err own = {0};

    enum th_code code = check_all(&check, dir, log_id, err ? err : &own);
    check_fini(&check);
    return code;
}

struct archive_totals archive_manifest_totals(const struct archive_manifest *manifest)
{
    struct archive_totals all = {.segments = (int64_t)manifest->n};

    for (size_t i = 0; i < manifest->n; i++) {
        all.records += manifest->at[i].records;
        all.bytes += manifest->at[i].bytes;
        all.raw_bytes += manifest->at[i].raw_bytes;
    }
    return all;
}

enum th_code archive_verify(const char *dir, archive_progress progress, void *arg,
                            struct archive_totals *out, struct th_err *err)
{
    struct archive_manifest manifest = {0};
    struct archive_totals done = {0};

    enum th_code code = archive_load_manifest(dir, &manifest, err);
    struct archive_totals all = archive_manifest_totals(&manifest);
    for (size_t i = 0; code == TH_OK && i < manifest.n; i++) {
        const struct archive_segment *segment = &manifest.at[i];
        code = archive_verify_segment(dir, manifest.log_id, segment, err);
        done.segments++;
        done.records += segment->records;
        done.bytes += segment->bytes;
        done.raw_bytes += segment->raw_bytes;
        if (code == TH_OK && progress)
            progress(arg, &done, &all);
    }
    archive_manifest_fini(&manifest);
    if (code == TH_OK)
        *out = done;
    return code;
}
