/* Readers: committed batches from the ring where it has exactly the next one, else from the table.
 *
 * A reader knows, of each partition, in which segment it reads. The table is asked by equality of
 * segment: then the server skips all other segments while it runs, and an empty probe touches a
 * handful of pages whatever the log holds. Offsets go on across segments, so a reader that finds
 * nothing and sees, in the same snapshot, that the head has moved on asks in which segment its own
 * next offset lies; it never jumps to a head. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "connectors/postgres/pg_log_internal.h"

#define FETCH_BYTES_MAX   ((int64_t)2 * 1024 * 1024) /* raw, of one answer */
#define FETCH_BATCHES_MAX 256                        /* of one partition in one answer */

/* A batch that was read from the table and not yet used up. */
struct fetched {
    int64_t base;
    struct pg_block *block;
};

struct partition {
    enum topic topic;
    int part;
    int64_t next; /* the offset of the next record to hand out */

    /* The batch at hand: block == NULL, or base <= next < base + count. */
    struct fetched at_hand;
    struct pg_walk walk; /* before the record walk.index of it */

    /* Further batches, in order, each beginning where the one before ends. */
    struct fetched *queue;
    size_t queue_at;
    size_t queue_n;
    size_t queue_cap;

    /* Where the table is to be asked: in seg, from offset table_next on (the end of what was
     * fetched, or the floor batch in which next lies). */
    bool is_located;
    int seg;
    int left_seg; /* the segment that the head has left and in which nothing more was found */
    int64_t table_next;
    bool is_at_end; /* when it was asked last, it had nothing more */
};

struct pg_reader {
    struct th_log_reader base;
    size_t turn; /* the partition that the next read begins with */
    uint64_t foreign_seen;
    int64_t probed_us;       /* monotonic; 0: never */
    struct log_record *seen; /* by this read, of bytes in sum, at most bytes_max */
    size_t seen_n;
    size_t seen_cap;
    size_t bytes;
    size_t bytes_max;
    int64_t *rewind; /* next of each partition when the read began */
    struct pg_params params;
    size_t n;
    struct partition parts[];
};

static struct pg_log *log_of(const struct pg_reader *reader)
{
    return pg_log_of(reader->base.log);
}

/* --- one partition ---------------------------------------------------------------------- */

static void drop_at_hand(struct partition *part)
{
    pg_block_unref(TH_TAKE(part->at_hand.block));
}

static void drop_queue(struct partition *part)
{
    while (part->queue_at < part->queue_n)
        pg_block_unref(part->queue[part->queue_at++].block);
    part->queue_at = part->queue_n = 0;
}

/* Stand at an offset and know nothing else. */
static void stand_at(struct partition *part, int64_t offset)
{
    drop_at_hand(part);
    drop_queue(part);
    part->next = offset;
    part->is_located = false;
    part->left_seg = 0;
    part->is_at_end = false;
}

static enum th_code corrupt(struct th_err *err, const struct partition *part, int64_t base)
{
    if (err->code == TH_CORRUPT)
        return th_wrap(err, "%s/%d: batch at offset %" PRId64, topic_name(part->topic), part->part,
                       base);
    return th_fail(err, TH_CORRUPT, "%s/%d: batch at offset %" PRId64 " is damaged",
                   topic_name(part->topic), part->part, base);
}

/* Take a batch into the hand and walk to the next record. */
static enum th_code take_batch(struct partition *part, struct fetched batch, struct th_err *err)
{
    struct log_record skipped;

    assert(!part->at_hand.block);
    part->at_hand = batch;
    part->walk = (struct pg_walk){0};
    while (batch.base + part->walk.index < part->next)
        if (!pg_walk_next(&part->walk, batch.block, &skipped))
            return corrupt(err, part, batch.base);
    return TH_OK;
}

/* The next batch from the queue or the ring into the hand; part->at_hand.block stays NULL if
 * neither has it. */
static enum th_code advance(struct pg_log *log, struct partition *part, struct th_err *err)
{
    if (part->queue_at < part->queue_n) {
        atomic_fetch_add(&log->table_batches, 1);
        return take_batch(part, part->queue[part->queue_at++], err);
    }
    if (part->queue_n)
        part->queue_at = part->queue_n = 0;
    struct pg_block *block = pg_ring_get(log->ring, part->topic, part->part, part->next);
    if (!block)
        return TH_OK;
    atomic_fetch_add(&log->ring_batches, 1);
    part->table_next = part->next + block->count;
    return take_batch(part, (struct fetched){part->next, block}, err);
}

/* --- handing records out ---------------------------------------------------------------- */

static enum th_code see(struct pg_reader *reader, struct log_record record)
{
    if (reader->seen_n == reader->seen_cap) {
        size_t cap = reader->seen_cap ? reader->seen_cap * 2 : 256;
        struct log_record *seen = reallocarray(reader->seen, cap, sizeof *seen);
        if (!seen)
            return TH_NOMEM;
        reader->seen = seen;
        reader->seen_cap = cap;
    }
    reader->seen[reader->seen_n++] = record;
    return TH_OK;
}

/* Records since first point into the block; let them point to one copy in the arena of all the
 * bytes that they span. */
static enum th_code copy_span(struct pg_reader *reader, size_t first, struct th_str span,
                              struct th_arena *arena)
{
    struct th_str copy;

    TH_TRY(th_arena_copy(arena, span, &copy));
    for (size_t i = first; i < reader->seen_n; i++) {
        struct log_record *record = &reader->seen[i];
        record->key.p = copy.p + (record->key.p - span.p);
        record->value.p = copy.p + (record->value.p - span.p);
        record->headers.p = copy.p + (record->headers.p - span.p);
    }
    return TH_OK;
}

/* Does a record of that size still fit? The first of a read always does; the last of a partition
 * may be larger than what was left of its share. */
static bool fits(const struct pg_reader *reader, size_t size, size_t share_end)
{
    return reader->seen_n == 0 ||
           (reader->bytes < share_end && size <= reader->bytes_max - reader->bytes);
}

/* Records of the batch at hand, until share_end. *out_is_full: stopped by that. */
static enum th_code use_batch(struct pg_reader *reader, struct partition *part, size_t share_end,
                              struct th_arena *arena, bool *out_is_full, struct th_err *err)
{
    const struct pg_block *block = part->at_hand.block;
    size_t first = reader->seen_n;
    size_t from = part->walk.at;

    *out_is_full = false;
    while (part->walk.index < block->count) {
        struct pg_walk walk = part->walk;
        struct log_record record = {.place = {part->topic, part->part, part->next}};
        if (!pg_walk_next(&walk, block, &record))
            return corrupt(err, part, part->at_hand.base);
        size_t size = log_record_size(&record);
        if (!fits(reader, size, share_end)) {
            *out_is_full = true;
            break;
        }
        if (see(reader, record) != TH_OK)
            return th_fail(err, TH_NOMEM, "%zu records", reader->seen_n);
        reader->bytes += size;
        part->walk = walk;
        part->next++;
    }
    struct th_str span = {block->bytes + from, part->walk.at - from};
    if (reader->seen_n > first && copy_span(reader, first, span, arena) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu bytes of records", span.n);
    if (part->walk.index == block->count)
        drop_at_hand(part);
    return TH_OK;
}

static bool has_room(const struct pg_reader *reader, size_t share_end)
{
    return reader->seen_n == 0 || reader->bytes < share_end;
}

/* All that is at hand, queued and in the ring, up to share_end. */
static enum th_code use_partition(struct pg_reader *reader, struct partition *part,
                                  size_t share_end, struct th_arena *arena, bool *out_is_dry,
                                  struct th_err *err)
{
    bool is_full = false;

    *out_is_dry = false;
    while (!is_full && has_room(reader, share_end)) {
        if (!part->at_hand.block)
            TH_TRY(advance(log_of(reader), part, err));
        if (!part->at_hand.block) {
            *out_is_dry = true;
            return TH_OK;
        }
        TH_TRY(use_batch(reader, part, share_end, arena, &is_full, err));
    }
    return TH_OK;
}

/* Each partition may fill its share of what those before it left over, so that a full one cannot
 * starve the others. *out_dry counts those that have nothing more at hand. */
static enum th_code use_all(struct pg_reader *reader, struct th_arena *arena, size_t *out_dry,
                            struct th_err *err)
{
    *out_dry = 0;
    for (size_t k = 0; k < reader->n && has_room(reader, reader->bytes_max); k++) {
        struct partition *part = &reader->parts[(reader->turn + k) % reader->n];
        size_t share = (reader->bytes_max - reader->bytes) / (reader->n - k);
        bool is_dry;

        TH_TRY(use_partition(reader, part, reader->bytes + share, arena, &is_dry, err));
        *out_dry += is_dry;
    }
    return TH_OK;
}

/* --- asking the table: in which segment? ------------------------------------------------ */

/* seg: the segment with the greatest floor not above the offset. floor: the batch in it that begins
 * at or before the offset; null in an empty segment. */
static const struct pg_statement sql_locate = {
    "SELECT c.i, h.log_start, s.seg, s.floor_offset, f.base_offset, f.n"
    " FROM unnest($1::int4[], $2::int2[], $3::int2[], $4::int8[]) c(i, t, p, next)"
    " JOIN eventlog.partition_head h ON h.topic_id = c.t AND h.part = c.p"
    " CROSS JOIN LATERAL (SELECT g.seg, g.floor_offset FROM eventlog.segment g"
    "   WHERE g.topic_id = c.t AND g.part = c.p AND g.floor_offset <= c.next"
    "   ORDER BY g.floor_offset DESC, g.seg DESC LIMIT 1) s"
    " LEFT JOIN LATERAL (SELECT x.base_offset, x.n FROM eventlog.batch x"
    "   WHERE x.seg = s.seg AND x.topic_id = c.t AND x.part = c.p AND x.base_offset <= c.next"
    "   ORDER BY x.base_offset DESC LIMIT 1) f ON true",
};

static bool is_unlocated(const struct partition *part)
{
    return !part->is_located && !part->at_hand.block;
}

/* What was there and is not any more is no gap, and nothing to wait for. */
static enum th_code check_start(const struct partition *part, int64_t start, struct th_err *err)
{
    if (part->next >= start)
        return TH_OK;
    return th_fail(err, TH_NOT_FOUND,
                   "%s/%d: offset %" PRId64 " was dropped from the log, which begins at %" PRId64
                   ": its archive has it",
                   topic_name(part->topic), part->part, part->next, start);
}

static enum th_code apply_location(struct pg_reader *reader, struct pg_row *row, struct th_err *err)
{
    int i = pg_next_int4(row);
    int64_t start = pg_next_int8(row);
    int seg = pg_next_int4(row);
    int64_t end = pg_next_int8(row);
    struct pg_column base_column = pg_next(row);
    struct pg_column count_column = pg_next(row);
    int64_t base = end;
    int32_t count = 0;

    bool has_floor = pg_column_int8(base_column, &base) && pg_column_int4(count_column, &count);
    TH_TRY(pg_row_end(row, err));
    if (i < 0 || (size_t)i >= reader->n)
        return th_fail(err, TH_MALFORMED, "a partition that was not asked about");
    struct partition *part = &reader->parts[i];
    TH_TRY(check_start(part, start, err));
    if (has_floor)
        end = base + count;
    part->seg = seg;
    part->table_next = part->next < end ? base : part->next;
    /* Beyond the end the batch that comes may begin below next: then ask again. */
    part->is_located = part->next <= end;
    return TH_OK;
}

static enum th_code locate(struct pg_reader *reader, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    struct pg_params *params = &reader->params;
    size_t n = 0;

    pg_params_clear(params);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < reader->n; i++)
        if (is_unlocated(&reader->parts[i])) {
            pg_item_int4(params, (int32_t)i);
            n++;
        }
    if (n == 0)
        return TH_OK;
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < reader->n; i++)
        if (is_unlocated(&reader->parts[i]))
            pg_item_int2(params, (int16_t)reader->parts[i].topic);
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < reader->n; i++)
        if (is_unlocated(&reader->parts[i]))
            pg_item_int2(params, (int16_t)reader->parts[i].part);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < reader->n; i++)
        if (is_unlocated(&reader->parts[i]))
            pg_item_int8(params, reader->parts[i].next);
    TH_TRY(pg_pool_execute(log_of(reader)->pool, &sql_locate, params, &result, err));
    for (int k = 0; k < PQntuples(result); k++) {
        struct pg_row row = pg_row(result, k);
        TH_TRY(apply_location(reader, &row, err));
    }
    return TH_OK;
}

/* --- asking the table: what is there? --------------------------------------------------- */

/* For each partition its head's segment, and batches from an offset on while their sizes allow,
 * the first in any case. */
const struct pg_statement pg_sql_fetch = {
    "SELECT c.i, h.seg, h.log_start, b.base_offset, b.n, b.codec, b.raw_len, b.crc32c, b.payload"
    " FROM unnest($1::int4[], $2::int2[], $3::int2[], $4::int4[], $5::int8[])"
    "   c(i, t, p, seg, next)"
    " JOIN eventlog.partition_head h ON h.topic_id = c.t AND h.part = c.p"
    " LEFT JOIN LATERAL (SELECT y.* FROM ("
    "     SELECT z.*, sum(z.raw_len) OVER (ORDER BY z.base_offset ROWS UNBOUNDED PRECEDING)"
    "       - z.raw_len AS before"
    "     FROM (SELECT x.base_offset, x.n, x.codec, x.raw_len, x.crc32c, x.payload"
    "       FROM eventlog.batch x"
    "       WHERE x.seg = c.seg AND x.topic_id = c.t AND x.part = c.p AND x.base_offset >= c.next"
    "       ORDER BY x.base_offset LIMIT $7::int4) z) y"
    "   WHERE y.before < $6::int8) b ON true",
};

static bool is_used_up(const struct partition *part)
{
    return !part->at_hand.block && part->queue_n == 0;
}

static bool is_askable(const struct partition *part)
{
    return part->is_located && is_used_up(part);
}

static enum th_code enqueue(struct partition *part, struct fetched batch)
{
    if (part->queue_n == part->queue_cap) {
        size_t cap = part->queue_cap ? part->queue_cap * 2 : 8;
        struct fetched *queue = reallocarray(part->queue, cap, sizeof *queue);
        if (!queue)
            return TH_NOMEM;
        part->queue = queue;
        part->queue_cap = cap;
    }
    part->queue[part->queue_n++] = batch;
    return TH_OK;
}

/* A row with a batch. */
static enum th_code fetch_batch(struct partition *part, int64_t base, struct pg_row *row,
                                struct th_err *err)
{
    int count = pg_next_int4(row);
    int codec = pg_next_int2(row);
    int raw_size = pg_next_int4(row);
    uint32_t crc = (uint32_t)pg_next_int4(row);
    struct th_str stored = pg_next_bytes(row);
    struct fetched batch = {.base = base};

    TH_TRY(pg_row_end(row, err));
    if (base != part->table_next)
        return th_fail(err, TH_CORRUPT,
                       "%s/%d: offset %" PRId64 " is missing, the next batch begins at %" PRId64,
                       topic_name(part->topic), part->part, part->table_next, base);
    if (count <= 0 || raw_size < 0)
        return corrupt(err, part, base);
    enum th_code code =
        pg_block_of_stored(stored, codec, (size_t)raw_size, crc, count, &batch.block, err);
    if (code == TH_CORRUPT)
        return corrupt(err, part, base);
    TH_TRY(code);
    if (enqueue(part, batch) != TH_OK) {
        pg_block_unref(batch.block);
        return th_fail(err, TH_NOMEM, "a batch");
    }
    part->table_next = base + count;
    part->is_at_end = false;
    return TH_OK;
}

static enum th_code apply_row(struct pg_reader *reader, struct pg_row *row, bool *out_moved,
                              struct th_err *err)
{
    int i = pg_next_int4(row);
    int head_seg = pg_next_int4(row);
    int64_t start = pg_next_int8(row);
    struct pg_column base_column = pg_next(row);
    int64_t base;

    if (i < 0 || (size_t)i >= reader->n)
        return th_fail(err, TH_MALFORMED, "a partition that was not asked about");
    struct partition *part = &reader->parts[i];
    TH_TRY(check_start(part, start, err));
    if (pg_column_int8(base_column, &base))
        return fetch_batch(part, base, row, err);
    TH_TRY(row->is_bad ? pg_row_end(row, err) : TH_OK);
    if (head_seg > part->seg) {
        if (part->left_seg == part->seg) /* located there again: what should follow is not there */
            return th_fail(err, TH_CORRUPT, "%s/%d: offset %" PRId64 " is missing in segment %d",
                           topic_name(part->topic), part->part, part->table_next, part->seg);
        part->left_seg = part->seg;
        part->is_located = false;
        *out_moved = true;
        return TH_OK;
    }
    part->is_at_end = true;
    return TH_OK;
}

static void add_askable(struct pg_reader *reader, size_t *out_n)
{
    struct pg_params *params = &reader->params;
    size_t n = 0;

    pg_params_clear(params);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < reader->n; i++)
        if (is_askable(&reader->parts[i])) {
            pg_item_int4(params, (int32_t)i);
            n++;
        }
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < reader->n; i++)
        if (is_askable(&reader->parts[i]))
            pg_item_int2(params, (int16_t)reader->parts[i].topic);
    pg_array_begin(params, PG_INT2);
    for (size_t i = 0; i < reader->n; i++)
        if (is_askable(&reader->parts[i]))
            pg_item_int2(params, (int16_t)reader->parts[i].part);
    pg_array_begin(params, PG_INT4);
    for (size_t i = 0; i < reader->n; i++)
        if (is_askable(&reader->parts[i]))
            pg_item_int4(params, reader->parts[i].seg);
    pg_array_begin(params, PG_INT8);
    for (size_t i = 0; i < reader->n; i++)
        if (is_askable(&reader->parts[i]))
            pg_item_int8(params, reader->parts[i].table_next);
    *out_n = n;
}

static enum th_code fetch(struct pg_reader *reader, bool *out_moved, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *result = NULL;
    size_t n;

    *out_moved = false;
    add_askable(reader, &n);
    if (n == 0)
        return TH_OK;
    pg_add_int8(&reader->params, FETCH_BYTES_MAX / (int64_t)n);
    pg_add_int4(&reader->params, FETCH_BATCHES_MAX);
    TH_TRY(pg_pool_execute(log_of(reader)->pool, &pg_sql_fetch, &reader->params, &result, err));
    atomic_fetch_add(&log_of(reader)->probes, 1);
    for (int k = 0; k < PQntuples(result); k++) {
        struct pg_row row = pg_row(result, k);
        TH_TRY(apply_row(reader, &row, out_moved, err));
    }
    return TH_OK;
}

/* Fill the queues of partitions that have nothing at hand. A partition whose head has moved on is
 * located again and asked again: at the end it was asked in its head's own segment. */
static enum th_code ask_table(struct pg_reader *reader, struct th_err *err)
{
    bool moved = true;

    reader->foreign_seen = pg_bell_foreign(log_of(reader)->bell);
    reader->probed_us = th_clock_monotonic_us(&th_clock_real);
    while (moved) {
        TH_TRY(locate(reader, err));
        TH_TRY(fetch(reader, &moved, err));
    }
    return TH_OK;
}

/* --- reading ---------------------------------------------------------------------------- */

/* Is a partition behind what this process itself has committed, without the ring having it? */
static bool has_lag(const struct pg_reader *reader)
{
    for (size_t i = 0; i < reader->n; i++) {
        const struct partition *part = &reader->parts[i];
        if (is_used_up(part) &&
            part->next < pg_ring_end(log_of(reader)->ring, part->topic, part->part))
            return true;
    }
    return false;
}

/* Had the table, when it was asked last, nothing that the reader does not have? */
static bool was_at_end(const struct pg_reader *reader)
{
    for (size_t i = 0; i < reader->n; i++)
        if (is_used_up(&reader->parts[i]) && !reader->parts[i].is_at_end)
            return false;
    return true;
}

/* Whether the table must be asked, given that some partitions are dry. Once it had nothing more,
 * what comes is this process' own, which the ring knows of, or others', which a hint announces; for
 * hints that are lost it is asked every probe_ms all the same. */
static bool is_probe_due(const struct pg_reader *reader)
{
    const struct pg_log *log = log_of(reader);
    int64_t age_us = th_clock_monotonic_us(&th_clock_real) - reader->probed_us;

    return reader->probed_us == 0 || age_us >= log->config.probe_ms * TH_US_PER_MS ||
           reader->foreign_seen != pg_bell_foreign(log->bell) || has_lag(reader) ||
           (reader->seen_n == 0 && !was_at_end(reader));
}

static enum th_code read_some(struct pg_reader *reader, struct th_arena *arena, struct th_err *err)
{
    size_t dry;

    TH_TRY(use_all(reader, arena, &dry, err));
    if (dry == 0 || !has_room(reader, reader->bytes_max) || !is_probe_due(reader))
        return TH_OK;
    TH_TRY(ask_table(reader, err));
    return use_all(reader, arena, &dry, err);
}

static enum th_code copy_seen(const struct pg_reader *reader, struct th_arena *arena,
                              struct log_records *out, struct th_err *err)
{
    if (reader->seen_n == 0)
        return TH_OK;
    out->at = th_arena_array(arena, reader->seen_n, sizeof *out->at);
    if (!out->at)
        return th_fail(err, TH_NOMEM, "%zu records", reader->seen_n);
    memcpy(out->at, reader->seen, reader->seen_n * sizeof *out->at);
    out->n = reader->seen_n;
    return TH_OK;
}

enum th_code pg_reader_read(struct th_log_reader *base, size_t bytes_max, struct th_arena *arena,
                            struct log_records *out, struct th_err *err)
{
    struct pg_reader *reader = (struct pg_reader *)base;
    struct th_err own;

    assert(reader->n > 0);
    reader->seen_n = 0;
    reader->bytes = 0;
    reader->bytes_max = bytes_max;
    for (size_t i = 0; i < reader->n; i++)
        reader->rewind[i] = reader->parts[i].next;
    err = err ? err : &own;
    err->code = TH_OK; /* corrupt() looks whether a cause was named */
    enum th_code code = read_some(reader, arena, err);
    if (code == TH_OK)
        code = copy_seen(reader, arena, out, err);
    if (code != TH_OK) {
        for (size_t i = 0; i < reader->n; i++)
            stand_at(&reader->parts[i], reader->rewind[i]);
        return code;
    }
    reader->turn = (reader->turn + 1) % reader->n;
    return TH_OK;
}

/* --- opening, seeking, closing ---------------------------------------------------------- */

void pg_reader_close(struct th_log_reader *base)
{
    struct pg_reader *reader = (struct pg_reader *)base;

    for (size_t i = 0; i < reader->n; i++) {
        stand_at(&reader->parts[i], 0);
        free(reader->parts[i].queue);
    }
    pg_params_fini(&reader->params);
    free(reader->seen);
    free(reader->rewind);
    free(reader);
}

enum th_code pg_reader_open(struct th_log *log, const struct log_place *from, size_t n,
                            struct th_log_reader **out_reader, struct th_err *err)
{
    struct pg_reader *reader = calloc(1, sizeof *reader + n * sizeof *reader->parts);

    if (!reader)
        return th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    reader->base.log = log;
    reader->n = n;
    reader->rewind = calloc(n, sizeof *reader->rewind);
    if (!reader->rewind) {
        free(reader);
        return th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    }
    for (size_t i = 0; i < n; i++)
        reader->parts[i] = (struct partition){
            .topic = from[i].topic, .part = from[i].part, .next = from[i].offset};
    *out_reader = &reader->base;
    return TH_OK;
}

void pg_reader_seek(struct th_log_reader *base, struct log_place place)
{
    struct pg_reader *reader = (struct pg_reader *)base;
    size_t i = 0;

    while (i < reader->n &&
           (reader->parts[i].topic != place.topic || reader->parts[i].part != place.part))
        i++;
    assert(i < reader->n);
    stand_at(&reader->parts[i], place.offset);
}
