#include "connectors/postgres/pg_batch.h"

#include <assert.h>
#include <inttypes.h>
#include <lz4frame.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/eventlog/headers.h"
#include "common/varint.h"

/* --- blocks ------------------------------------------------------------------------------------
 */

struct pg_block *pg_block_new(size_t size, int count)
{
    struct pg_block *block = malloc(sizeof *block + size);

    if (!block)
        return NULL;
    atomic_init(&block->refs, 1);
    block->count = count;
    block->size = size;
    return block;
}

struct pg_block *pg_block_ref(struct pg_block *block)
{
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void pg_block_unref(struct pg_block *block)
{
    if (block && atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1)
        free(block);
}

/* --- compression ------------------------------------------------------------------------ */

struct th_str pg_compress(struct th_str bytes, struct th_buf *scratch, enum pg_codec *out_codec)
{
    /* A content size in the frame lets other tools decompress it; the checksum is ours. */
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max4MB, .contentSize = bytes.n},
    };

    *out_codec = PG_CODEC_RAW;
    if (bytes.n < PG_BATCH_COMPRESS_MIN)
        return bytes;
    th_buf_clear(scratch);
    size_t room = LZ4F_compressFrameBound(bytes.n, &preferences);
    char *out = th_buf_reserve(scratch, room);
    if (!out) /* without memory to compress it is stored as it is */
        return bytes;
    size_t size = LZ4F_compressFrame(out, room, bytes.p, bytes.n, &preferences);
    if (LZ4F_isError(size) || size >= bytes.n - bytes.n / 16)
        return bytes;
    *out_codec = PG_CODEC_LZ4;
    return (struct th_str){out, size};
}

/* The library has its codes in a header of its own for static linking; their names are public. */
static bool is_short_of_memory(LZ4F_errorCode_t code)
{
    return LZ4F_isError(code) && strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") == 0;
}

enum th_code pg_decompress(struct th_str stored, char *out, size_t out_size)
{
    LZ4F_dctx *context;
    size_t in = 0;
    size_t made = 0;
    size_t hint = 1;

    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return TH_NOMEM;
    while (hint != 0 && in < stored.n) {
        size_t read = stored.n - in;
        size_t wrote = out_size - made;
        hint = LZ4F_decompress(context, out + made, &wrote, stored.p + in, &read, NULL);
        if (LZ4F_isError(hint) || (read == 0 && wrote == 0))
            break;
        in += read;
        made += wrote;
    }
    LZ4F_freeDecompressionContext(context);
    if (is_short_of_memory(hint))
        return TH_NOMEM;
    return hint == 0 && in == stored.n && made == out_size ? TH_OK : TH_CORRUPT;
}

enum th_code pg_block_of_stored(struct th_str stored, int codec, size_t raw_size, uint32_t crc,
                                int count, struct pg_block **out_block, struct th_err *err)
{
    uint32_t is = crc32c(stored);

    if (is != crc)
        return th_fail(err, TH_CORRUPT, "checksum is %08" PRIx32 ", was %08" PRIx32, is, crc);
    if (raw_size > PG_BATCH_SIZE_MAX)
        return th_fail(err, TH_CORRUPT, "a batch of %zu bytes", raw_size);
    if (codec == PG_CODEC_RAW && stored.n != raw_size)
        return th_fail(err, TH_CORRUPT, "%zu bytes instead of %zu", stored.n, raw_size);

    TH_AUTO(pg_block) struct pg_block *block = pg_block_new(raw_size, count);
    if (!block)
        return th_fail(err, TH_NOMEM, "a batch of %zu bytes", raw_size);
    enum th_code code = TH_OK;
    if (codec == PG_CODEC_RAW)
        memcpy(block->bytes, stored.p, raw_size);
    else if (codec == PG_CODEC_LZ4)
        code = pg_decompress(stored, block->bytes, raw_size);
    else
        return th_fail(err, TH_CORRUPT, "codec %d: there is none", codec);
    if (code != TH_OK)
        return th_fail(err, code, "does not decompress to %zu bytes", raw_size);
    *out_block = TH_TAKE(block);
    return TH_OK;
}

/* --- records ---------------------------------------------------------------------------- */

static inline bool get_varint(const struct pg_block *block, size_t *at, uint64_t *out)
{
    return varint_get(block->bytes, block->size, at, out);
}

static inline bool get_bytes(const struct pg_block *block, size_t *at, struct th_str *out)
{
    uint64_t size;

    if (!get_varint(block, at, &size) || size > block->size - *at)
        return false;
    *out = (struct th_str){block->bytes + *at, (size_t)size};
    *at += (size_t)size;
    return true;
}

/* Nearly all records have none: one byte of 0. */
static bool get_headers(const struct pg_block *block, size_t *at, struct th_str *out)
{
    if (*at < block->size && block->bytes[*at] == 0) {
        *out = (struct th_str){block->bytes + ++*at, 0};
        return true;
    }
    return get_bytes(block, at, out) && log_headers_are_whole(*out);
}

bool pg_walk_next(struct pg_walk *walk, const struct pg_block *block, struct log_record *out)
{
    struct pg_walk next = *walk;
    uint64_t number;

    if (walk->index == block->count)
        return false;
    if (walk->index == 0) {
        if (!get_varint(block, &next.at, &number))
            return false;
        next.at_us = (int64_t)number;
    }
    if (!get_varint(block, &next.at, &number))
        return false;
    out->at_us = (int64_t)((uint64_t)next.at_us + number);
    if (!get_bytes(block, &next.at, &out->key))
        return false;
    if (!get_headers(block, &next.at, &out->headers))
        return false;
    if (!get_bytes(block, &next.at, &out->value))
        return false;
    next.index++;
    *walk = next;
    return true;
}

/* --- packing ---------------------------------------------------------------------------- */

void pg_pack_clear(struct pg_pack *pack)
{
    for (size_t i = 0; i < pack->n; i++) {
        const struct pg_batch *batch = &pack->batches[i];
        if (pack->open)
            pack->open[(size_t)batch->topic * LOG_PARTITIONS_MAX + (size_t)batch->part] = 0;
        pg_block_unref(batch->block);
    }
    pack->n = 0;
    pack->spots_n = 0;
    pack->topics = 0;
}

void pg_pack_fini(struct pg_pack *pack)
{
    pg_pack_clear(pack);
    free(pack->batches);
    free(pack->spots);
    free(pack->open);
    *pack = (struct pg_pack){0};
}

static size_t put_bytes(char *at, struct th_str bytes)
{
    size_t n = varint_put(at, bytes.n);

    if (bytes.n)
        memcpy(at + n, bytes.p, bytes.n);
    return n + bytes.n;
}

/* When the records of a pack were appended: the batches begin with the first of these times. */
struct times {
    const int64_t *each; /* NULL: all at from_us */
    int64_t from_us;
};

static struct times times_of(const int64_t *each, size_t n, int64_t at_us)
{
    struct times times = {each, at_us};

    for (size_t i = 0; each && i < n; i++)
        if (i == 0 || each[i] < times.from_us)
            times.from_us = each[i];
    return times;
}

static uint64_t delta_us(const struct times *times, size_t i)
{
    return times->each ? (uint64_t)(times->each[i] - times->from_us) : 0;
}

static size_t record_size(const struct log_output *output, uint64_t delta)
{
    return varint_size(delta) + varint_size(output->key.n) + varint_size(output->headers.n) +
           varint_size(output->value.n) + log_output_size(output);
}

static enum th_code reserve(struct pg_pack *pack, size_t outputs_n)
{
    if (!pack->open) {
        pack->open = calloc((size_t)TOPIC_COUNT * LOG_PARTITIONS_MAX, sizeof *pack->open);
        if (!pack->open)
            return TH_NOMEM;
    }
    if (outputs_n > pack->spots_cap) {
        struct pg_spot *spots = reallocarray(pack->spots, outputs_n, sizeof *spots);
        if (!spots)
            return TH_NOMEM;
        pack->spots = spots;
        pack->spots_cap = outputs_n;
    }
    return TH_OK;
}

/* A further batch of a partition; before is the one that it follows, or NULL. */
static struct pg_batch *begin_batch(struct pg_pack *pack, enum topic topic, int part, int *open,
                                    size_t header_size)
{
    if (pack->n == pack->cap) {
        size_t cap = pack->cap ? pack->cap * 2 : 16;
        struct pg_batch *batches = reallocarray(pack->batches, cap, sizeof *batches);
        if (!batches)
            return NULL;
        pack->batches = batches;
        pack->cap = cap;
    }
    const struct pg_batch *before = *open ? &pack->batches[*open - 1] : NULL;
    struct pg_batch *batch = &pack->batches[pack->n++];
    *batch = (struct pg_batch){
        .topic = topic,
        .part = part,
        .prior = before ? before->prior + before->count : 0,
        .filled = header_size, /* until the blocks are there: the size that is needed */
    };
    *open = (int)pack->n;
    pack->topics |= UINT32_C(1) << topic;
    return batch;
}

/* Say for each record which batch it goes to, and how large each batch becomes. */
static enum th_code measure(struct pg_pack *pack, const struct th_log *log,
                            const struct log_output *outputs, size_t n, const struct times *times)
{
    size_t header_size = varint_size((uint64_t)times->from_us);

    for (size_t i = 0; i < n; i++) {
        enum topic topic = outputs[i].topic;
        int part = log_output_part(log, &outputs[i]);
        int *open = &pack->open[(size_t)topic * LOG_PARTITIONS_MAX + (size_t)part];
        struct pg_batch *batch = *open ? &pack->batches[*open - 1] : NULL;
        size_t size = record_size(&outputs[i], delta_us(times, i));

        if (!batch || batch->filled + size > PG_BATCH_RAW_MAX) {
            batch = begin_batch(pack, topic, part, open, header_size);
            if (!batch)
                return TH_NOMEM;
        }
        pack->spots[i] = (struct pg_spot){(int)(batch - pack->batches), batch->count};
        batch->count++;
        batch->filled += size;
    }
    pack->spots_n = n;
    return TH_OK;
}

static int compare_batches(const void *a, const void *b, void *batches)
{
    const struct pg_batch *x = &((const struct pg_batch *)batches)[*(const int *)a];
    const struct pg_batch *y = &((const struct pg_batch *)batches)[*(const int *)b];

    if (x->topic != y->topic)
        return x->topic < y->topic ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return (x->prior > y->prior) - (x->prior < y->prior);
}

/* Into the order in which the log answers; spots follow. */
static enum th_code sort(struct pg_pack *pack)
{
    TH_AUTO(free) void *memory = malloc(pack->n * (2 * sizeof(int) + sizeof(struct pg_batch)));
    if (!memory)
        return TH_NOMEM;
    struct pg_batch *sorted = memory;
    int *order = (int *)(sorted + pack->n);
    int *rank = order + pack->n;

    for (size_t i = 0; i < pack->n; i++)
        order[i] = (int)i;
    qsort_r(order, pack->n, sizeof *order, compare_batches, pack->batches);
    for (size_t i = 0; i < pack->n; i++) {
        sorted[i] = pack->batches[order[i]];
        rank[order[i]] = (int)i;
    }
    memcpy(pack->batches, sorted, pack->n * sizeof *sorted);
    for (size_t i = 0; i < pack->spots_n; i++)
        pack->spots[i].batch = rank[pack->spots[i].batch];
    return TH_OK;
}

static enum th_code allocate(struct pg_pack *pack, int64_t at_us)
{
    for (size_t i = 0; i < pack->n; i++) {
        struct pg_batch *batch = &pack->batches[i];
        batch->block = pg_block_new(batch->filled, batch->count);
        if (!batch->block)
            return TH_NOMEM;
        batch->filled = varint_put(batch->block->bytes, (uint64_t)at_us);
    }
    return TH_OK;
}

static void fill(struct pg_pack *pack, const struct log_output *outputs, size_t n,
                 const struct times *times)
{
    for (size_t i = 0; i < n; i++) {
        struct pg_batch *batch = &pack->batches[pack->spots[i].batch];
        char *bytes = batch->block->bytes;
        size_t at = batch->filled;

        at += varint_put(bytes + at, delta_us(times, i));
        at += put_bytes(bytes + at, outputs[i].key);
        at += put_bytes(bytes + at, outputs[i].headers);
        at += put_bytes(bytes + at, outputs[i].value);
        batch->filled = at;
    }
    for (size_t i = 0; i < pack->n; i++)
        assert(pack->batches[i].filled == pack->batches[i].block->size);
}

static enum th_code make(struct pg_pack *pack, const struct th_log *log,
                         const struct log_output *outputs, size_t n, const struct times *times)
{
    TH_TRY(reserve(pack, n));
    TH_TRY(measure(pack, log, outputs, n, times));
    if (pack->n > 1)
        TH_TRY(sort(pack));
    TH_TRY(allocate(pack, times->from_us));
    fill(pack, outputs, n, times);
    return TH_OK;
}

enum th_code pg_pack_make(struct pg_pack *pack, const struct th_log *log,
                          const struct log_output *outputs, size_t n, const int64_t *times_us,
                          int64_t at_us, struct th_err *err)
{
    struct times times = times_of(times_us, n, at_us);

    pg_pack_clear(pack);
    if (make(pack, log, outputs, n, &times) == TH_OK)
        return TH_OK;
    pg_pack_clear(pack);
    return th_fail(err, TH_NOMEM, "batches of %zu records", n);
}

struct log_place pg_pack_place(const struct pg_pack *pack, const int64_t *bases, size_t i)
{
    struct pg_spot spot = pack->spots[i];
    const struct pg_batch *batch = &pack->batches[spot.batch];

    return (struct log_place){batch->topic, batch->part, bases[spot.batch] + spot.index};
}
