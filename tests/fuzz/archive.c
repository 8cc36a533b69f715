/* An archive's bytes under checksums that are right: damage that a checksum does not see. The first
 * byte says what: a manifest (each line ended with its sum), a head, a block's head and then its
 * raw or stored bytes, an index. */
#include <stdio.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/eventlog/archive/archive_manifest.h"
#include "common/eventlog/headers.h"
#include "tests/fuzz/fuzz.h"

/* A copy whose last four bytes are the sum of the others. */
static struct th_str sealed(struct th_str in, struct th_arena *arena)
{
    struct th_str copy = {0};

    enum th_code code = th_arena_copy(arena, in, &copy);
    assert(code == TH_OK);
    if (copy.n < 4)
        return copy;
    uint32_t crc = crc32c((struct th_str){copy.p, copy.n - 4});
    for (size_t i = 0; i < 4; i++)
        ((char *)copy.p)[copy.n - 4 + i] = (char)(crc >> (8 * i));
    return copy;
}

static bool is_known(enum th_code code)
{
    return code == TH_OK || code == TH_CORRUPT || code == TH_UNSUPPORTED;
}

/* What is parsed is printed as it was. */
static void manifest(struct th_str in)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    TH_AUTO(th_buf) struct th_buf again = {0};
    struct archive_manifest parsed = {0};
    struct archive_bad bad;
    struct th_err err;

    while (in.n > 0) {
        struct th_str line = fuzz_field(&in, '\n');
        th_buf_printf(&text, "%.*s %08x\n", TH_ARG(line), crc32c(line));
    }
    enum th_code code = archive_manifest_parse(th_buf_str(&text), &parsed, &bad, &err);
    assert(is_known(code));
    if (code != TH_OK) {
        assert(bad.from <= bad.to && bad.to <= text.n);
        return;
    }
    archive_manifest_print(&parsed, &again);
    struct archive_manifest twice = {0};
    code = archive_manifest_parse(th_buf_str(&again), &twice, &bad, &err);
    assert(code == TH_OK && twice.n == parsed.n);
    archive_manifest_fini(&parsed);
    archive_manifest_fini(&twice);
}

static void records(const struct archive_block *block, const char *raw)
{
    struct archive_walk walk = {.block = block, .raw = raw};
    struct log_record record = {0};
    int64_t before = -1;

    for (uint32_t i = 0; i < block->records; i++) {
        if (archive_walk_next(&walk, &record, NULL) != TH_OK)
            return;
        assert(record.place.offset > before);
        before = record.place.offset;
        assert(record.key.p >= raw && record.value.p + record.value.n <= raw + block->raw_size);
        assert(record.headers.p >= raw &&
               record.headers.p + record.headers.n <= raw + block->raw_size);
        assert(log_headers_are_whole(record.headers));
    }
    assert(walk.at == block->raw_size);
}

static void block_of(struct th_str in, struct th_arena *arena)
{
    struct archive_unpacker *unpacker;
    struct archive_block block;
    struct archive_bad bad;

    if (in.n < ARCHIVE_BLOCK_HEAD_SIZE)
        return;
    struct th_str head = sealed((struct th_str){in.p, ARCHIVE_BLOCK_HEAD_SIZE}, arena);
    struct th_str rest = {in.p + head.n, in.n - head.n};
    enum th_code code = archive_block_get(head, &block, &bad, NULL);
    assert(is_known(code) && bad.to <= head.n);
    if (code != TH_OK)
        return;
    struct archive_block raw = block;
    raw.raw_size = (uint32_t)rest.n;
    records(&raw, rest.p);
    block.stored_crc = crc32c(rest);
    char *room = th_arena_alloc(arena, block.raw_size + 1);
    if (archive_unpacker_new(&unpacker, NULL) != TH_OK)
        return;
    code = archive_unpack(unpacker, &block, rest, room, &bad, NULL);
    assert(is_known(code));
    if (code == TH_OK)
        records(&block, room);
    archive_unpacker_free(unpacker);
}

static void index_of(struct th_str in, struct th_arena *arena)
{
    struct archive_index index;
    struct archive_bad bad;
    uint64_t position;
    struct th_str frame = sealed(in, arena);

    if (frame.n < ARCHIVE_TAIL_SIZE)
        return;
    struct th_str tail = {frame.p + frame.n - ARCHIVE_TAIL_SIZE, ARCHIVE_TAIL_SIZE};
    for (uint64_t before = 0; before < 200; before += 128) {
        if (archive_tail_get(tail, before + frame.n, &position, NULL) != TH_OK)
            continue;
        if (archive_index_get(frame, position, &index, &bad, NULL) != TH_OK)
            continue;
        for (size_t i = 0; i < index.n; i++)
            assert(index.at[i].position < position);
        free(index.at);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    struct archive_head head;
    struct archive_bad bad;
    struct th_arena arena;

    th_arena_init(&arena, FUZZ_ARENA_MAX);
    switch (fuzz_byte(&in) % 4) {
    case 0:
        manifest(in);
        break;
    case 1:
        assert(is_known(archive_head_get(sealed(in, &arena), &head, &bad, NULL)));
        break;
    case 2:
        block_of(in, &arena);
        break;
    case 3:
        index_of(in, &arena);
        break;
    }
    th_arena_fini(&arena);
    return 0;
}
