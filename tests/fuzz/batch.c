/* A batch as it is stored, under a checksum that is right: damage that a checksum does not see.
 * Codec, count (1 byte), raw size (3 bytes, little endian), then what is stored. */
#include "common/crc32c.h"
#include "common/eventlog/headers.h"
#include "connectors/postgres/pg_batch.h"
#include "tests/fuzz/fuzz.h"

static bool lies_in(struct th_str view, const struct pg_block *block)
{
    return view.p >= block->bytes && view.n <= block->size &&
           view.p + view.n <= block->bytes + block->size;
}

static void walk_through(const struct pg_block *block)
{
    struct pg_walk walk = {0};
    struct log_record record;
    int n = 0;

    while (pg_walk_next(&walk, block, &record)) {
        assert(lies_in(record.key, block));
        assert(lies_in(record.value, block));
        assert(lies_in(record.headers, block));
        assert(log_headers_are_whole(record.headers));
        assert(++n <= block->count);
    }
    assert(walk.index == n);
    assert(walk.at <= block->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct th_str in = fuzz_input(data, size);
    struct pg_block *block = NULL;
    struct th_err err = {0};
    int codec = fuzz_byte(&in) % 3;
    int count = fuzz_byte(&in);
    size_t raw_size = fuzz_byte(&in);

    raw_size |= (size_t)fuzz_byte(&in) << 8;
    raw_size |= (size_t)fuzz_byte(&in) << 16;
    if (codec == PG_CODEC_RAW)
        raw_size = in.n;
    enum th_code code = pg_block_of_stored(in, codec, raw_size, crc32c(in), count, &block, &err);
    assert(code == TH_OK || code == TH_CORRUPT);
    if (code == TH_OK)
        walk_through(block);
    pg_block_unref(block);

    assert(pg_block_of_stored(in, codec, raw_size, crc32c(in) ^ 1, count, &block, &err) ==
           TH_CORRUPT);
    return 0;
}
