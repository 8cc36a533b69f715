#include "common/eventlog/archive/archive_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/log_driver.h"

struct archive_log {
    struct th_log base; /* first member */
    char dir[ARCHIVE_PATH_MAX];
    struct archive_manifest manifest;
};

struct part {
    enum topic topic;
    int part;
    int64_t next;      /* the least offset that was not handed out */
    size_t segment;    /* in the manifest; the one that next lies in, or one before it */
    size_t end;        /* behind the partition's last segment */
    uint64_t position; /* of the next block's head in that segment; 0: to be found */
};

struct reader {
    struct th_log_reader base; /* first member */
    size_t turn;               /* the partition that is read next */
    struct archive_unpacker *unpacker;

    /* The block at hand, of the partition whose turn it is; records == 0: none. */
    struct archive_block block;
    struct archive_walk walk;
    char *raw; /* ARCHIVE_BLOCK_RAW_MAX at most */
    size_t raw_cap;

    struct archive_input input; /* the segment that was read last … */
    size_t input_segment;       /* … and which that is */
    struct th_buf bytes;

    struct log_record *seen; /* by this read */
    size_t seen_n;
    size_t seen_cap;
    size_t seen_bytes;
    struct part *rewind; /* as parts were when the read began */
    size_t n;
    struct part parts[];
};

static struct archive_log *own(const struct th_log *log)
{
    return (struct archive_log *)log;
}

static const struct archive_log *log_of(const struct reader *reader)
{
    return own(reader->base.log);
}

const struct archive_manifest *archive_log_manifest(const struct th_log *log)
{
    return &own(log)->manifest;
}

int64_t archive_log_start(const struct th_log *log, enum topic topic, int part)
{
    const struct archive_manifest *manifest = &own(log)->manifest;
    size_t n;
    size_t first = archive_manifest_part(manifest, topic, part, &n);

    return n ? manifest->at[first].from : 0;
}

/* --- where a partition goes on ------------------------------------------------------------------
 */

static enum th_code damaged(const struct reader *reader, uint64_t position,
                            const struct archive_bad *bad, struct th_err *err)
{
    return archive_damage(reader->input.path, position, bad, err);
}

/* The partition's segment is the input; what it says of itself is what the manifest says. */
static enum th_code open_segment(struct reader *reader, const struct part *part, struct th_err *err)
{
    const struct archive_log *log = log_of(reader);
    const struct archive_segment *segment = &log->manifest.at[part->segment];
    char name[ARCHIVE_SEGMENT_NAME_MAX];
    struct archive_head head;
    struct archive_bad bad;

    if (reader->input.fd >= 0 && reader->input_segment == part->segment)
        return TH_OK;
    archive_input_close(&reader->input);
    archive_segment_name(segment, name);
    enum th_code code = archive_input_open(&reader->input, log->dir, name, err);
    if (code == TH_NOT_FOUND)
        return th_fail(err, TH_CORRUPT, "%s/%s is missing", log->dir, name);
    TH_TRY(code);
    reader->input_segment = part->segment;
    if (part->position != 0)
        return TH_OK;
    TH_TRY(archive_input_read(&reader->input, 0, ARCHIVE_HEAD_SIZE, &reader->bytes, err));
    code = archive_head_get(th_buf_str(&reader->bytes), &head, &bad, err);
    if (code == TH_OK && (head.topic != segment->topic || head.part != segment->part ||
                          head.from != segment->from || strcmp(head.log_id, log->base.id) != 0))
        code = th_fail(err, TH_CORRUPT, "it is another segment than the manifest says");
    if (code == TH_OK)
        return TH_OK;
    archive_input_close(&reader->input); /* so that the head is looked at again */
    return damaged(reader, 0, &bad, err);
}

/* By the index: the block that the partition's next offset lies in, or before. */
static enum th_code find_block(struct reader *reader, struct part *part, struct th_err *err)
{
    struct archive_input *input = &reader->input;
    struct archive_index index;
    struct archive_bad bad = {.to = ARCHIVE_TAIL_SIZE};
    uint64_t position;

    if (input->size < ARCHIVE_HEAD_SIZE + ARCHIVE_INDEX_SIZE_MIN)
        return th_fail(err, TH_CORRUPT, "%s: %" PRIu64 " bytes are no segment", input->path,
                       input->size);
    uint64_t tail_at = input->size - ARCHIVE_TAIL_SIZE;
    TH_TRY(archive_input_read(input, tail_at, ARCHIVE_TAIL_SIZE, &reader->bytes, err));
    enum th_code code = archive_tail_get(th_buf_str(&reader->bytes), input->size, &position, err);
    if (code != TH_OK)
        return damaged(reader, tail_at, &bad, err);
    TH_TRY(
        archive_input_read(input, position, (size_t)(input->size - position), &reader->bytes, err));
    code = archive_index_get(th_buf_str(&reader->bytes), position, &index, &bad, err);
    if (code != TH_OK)
        return code == TH_CORRUPT ? damaged(reader, position, &bad, err) : code;
    part->position = ARCHIVE_HEAD_SIZE;
    for (size_t low = 0, high = index.n; low < high;) { /* the last that begins at or before */
        size_t middle = low + (high - low) / 2;
        if (index.at[middle].block.first <= part->next) {
            part->position = index.at[middle].position;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    free(index.at);
    return TH_OK;
}

/* On to the segment that next lies in. False: there is none (any more). */
static bool has_more(const struct archive_log *log, struct part *part)
{
    while (part->segment < part->end && part->next >= log->manifest.at[part->segment].next) {
        part->segment++;
        part->position = 0;
    }
    return part->segment < part->end;
}

/* --- a block ------------------------------------------------------------------------------------
 */

static enum th_code read_block_head(struct reader *reader, const struct part *part,
                                    struct th_err *err)
{
    struct archive_bad bad;

    TH_TRY(archive_input_read(&reader->input, part->position, ARCHIVE_BLOCK_HEAD_SIZE,
                              &reader->bytes, err));
    enum th_code code = archive_block_get(th_buf_str(&reader->bytes), &reader->block, &bad, err);
    return code == TH_OK ? TH_OK : damaged(reader, part->position, &bad, err);
}

static enum th_code make_room(struct reader *reader, size_t size)
{
    if (size <= reader->raw_cap)
        return TH_OK;
    char *raw = malloc(size);
    if (!raw)
        return TH_NOMEM;
    free(reader->raw);
    reader->raw = raw;
    reader->raw_cap = size;
    return TH_OK;
}

static enum th_code read_block_body(struct reader *reader, const struct part *part,
                                    struct th_err *err)
{
    uint64_t position = part->position + ARCHIVE_BLOCK_HEAD_SIZE;
    struct archive_bad bad;

    if (make_room(reader, reader->block.raw_size) != TH_OK)
        return th_fail(err, TH_NOMEM, "a block of %" PRIu32 " bytes", reader->block.raw_size);
    TH_TRY(archive_input_read(&reader->input, position, reader->block.stored_size, &reader->bytes,
                              err));
    enum th_code code = archive_unpack(reader->unpacker, &reader->block, th_buf_str(&reader->bytes),
                                       reader->raw, &bad, err);
    return code == TH_CORRUPT ? damaged(reader, position, &bad, err) : code;
}

/* The partition's next block into the hand. Its head is taken back when the body fails: nothing is
 * at hand then. */
static enum th_code load_block(struct reader *reader, struct part *part, struct th_err *err)
{
    TH_TRY(open_segment(reader, part, err));
    if (part->position == 0) {
        if (part->next <= log_of(reader)->manifest.at[part->segment].from)
            part->position = ARCHIVE_HEAD_SIZE;
        else
            TH_TRY(find_block(reader, part, err));
    }
    enum th_code code = read_block_head(reader, part, err);
    if (code == TH_OK)
        code = read_block_body(reader, part, err);
    if (code != TH_OK) {
        reader->block.records = 0;
        return code;
    }
    reader->walk = (struct archive_walk){.block = &reader->block, .raw = reader->raw};
    part->position += ARCHIVE_BLOCK_HEAD_SIZE + reader->block.stored_size;
    return TH_OK;
}

/* --- handing out --------------------------------------------------------------------------------
 */

static enum th_code see(struct reader *reader, const struct log_record *record)
{
    if (reader->seen_n == reader->seen_cap) {
        size_t cap = reader->seen_cap ? reader->seen_cap * 2 : 256;
        struct log_record *seen = reallocarray(reader->seen, cap, sizeof *seen);
        if (!seen)
            return TH_NOMEM;
        reader->seen = seen;
        reader->seen_cap = cap;
    }
    reader->seen[reader->seen_n++] = *record;
    return TH_OK;
}

/* Records since first point into the block; let them point to one copy in the arena. */
static enum th_code copy_span(struct reader *reader, size_t first, struct th_str span,
                              struct th_arena *arena, struct th_err *err)
{
    struct th_str copy;

    if (first == reader->seen_n)
        return TH_OK;
    if (th_arena_copy(arena, span, &copy) != TH_OK)
        return th_fail(err, TH_NOMEM, "%zu bytes of records", span.n);
    for (size_t i = first; i < reader->seen_n; i++) {
        struct log_record *record = &reader->seen[i];
        record->key.p = copy.p + (record->key.p - span.p);
        record->value.p = copy.p + (record->value.p - span.p);
        record->headers.p = copy.p + (record->headers.p - span.p);
    }
    return TH_OK;
}

static enum th_code next_record(struct reader *reader, const struct part *part,
                                struct archive_walk *walk, struct log_record *out,
                                struct th_err *err)
{
    struct archive_bad bad = {.to = ARCHIVE_BLOCK_HEAD_SIZE + reader->block.stored_size};
    uint64_t position = part->position - bad.to;

    enum th_code code = archive_walk_next(walk, out, err);
    if (code != TH_OK)
        return damaged(reader, position, &bad, err);
    if (out->place.offset < log_of(reader)->manifest.at[part->segment].next)
        return TH_OK;
    (void)th_fail(err, TH_CORRUPT, "offset %" PRId64 " lies behind its segment's end",
                  out->place.offset);
    return damaged(reader, position, &bad, err);
}

/* Of the block at hand, until bytes_max. */
static enum th_code use_block(struct reader *reader, struct part *part, size_t bytes_max,
                              struct th_arena *arena, struct th_err *err)
{
    size_t first = reader->seen_n;
    size_t from = reader->walk.at;

    while (reader->walk.seen < reader->block.records) {
        struct archive_walk walk = reader->walk;
        struct log_record record = {.place = {part->topic, part->part, 0}};
        TH_TRY(next_record(reader, part, &walk, &record, err));
        size_t size = log_record_size(&record);
        bool is_wanted = record.place.offset >= part->next;
        if (is_wanted && reader->seen_n > 0 && reader->seen_bytes + size > bytes_max)
            break;
        reader->walk = walk;
        if (!is_wanted) {
            from = walk.at;
            continue;
        }
        if (see(reader, &record) != TH_OK)
            return th_fail(err, TH_NOMEM, "%zu records", reader->seen_n);
        reader->seen_bytes += size;
        part->next = record.place.offset + 1;
    }
    struct th_str span = {reader->raw + from, reader->walk.at - from};
    return copy_span(reader, first, span, arena, err);
}

/* One that has more, from the turn on; NULL: none has. */
static struct part *part_in_turn(struct reader *reader)
{
    for (size_t k = 0; k < reader->n; k++) {
        struct part *part = &reader->parts[reader->turn];
        if (has_more(log_of(reader), part))
            return part;
        reader->turn = (reader->turn + 1) % reader->n;
    }
    return NULL;
}

/* What lies before the first segment is not in the archive. */
static enum th_code check_start(const struct reader *reader, const struct part *part,
                                struct th_err *err)
{
    const struct archive_segment *segment = &log_of(reader)->manifest.at[part->segment];

    if (part->next >= segment->from)
        return TH_OK;
    return th_fail(err, TH_NOT_FOUND,
                   "%s partition %d: offset %" PRId64 " is not in the archive %s, which begins at "
                   "%" PRId64,
                   topic_name(part->topic), part->part, part->next, log_of(reader)->dir,
                   segment->from);
}

/* A whole block of one partition after the other: so one block is in memory, and none waits. */
static enum th_code read_some(struct reader *reader, size_t bytes_max, struct th_arena *arena,
                              struct th_err *err)
{
    while (reader->seen_bytes < bytes_max) {
        struct part *part = &reader->parts[reader->turn];
        if (reader->block.records == 0) {
            part = part_in_turn(reader);
            if (!part)
                return TH_OK;
            TH_TRY(check_start(reader, part, err));
            TH_TRY(load_block(reader, part, err));
        }
        size_t seen_n = reader->seen_n;
        TH_TRY(use_block(reader, part, bytes_max, arena, err));
        if (reader->walk.seen == reader->block.records) {
            reader->block.records = 0;
            reader->turn = (reader->turn + 1) % reader->n;
        } else if (reader->seen_n == seen_n) {
            return TH_OK; /* the next one does not fit */
        }
    }
    return TH_OK;
}

static enum th_code copy_seen(const struct reader *reader, struct th_arena *arena,
                              struct log_records *out, struct th_err *err)
{
    if (reader->seen_n == 0)
        return TH_OK;
    struct log_record *records = th_arena_array(arena, reader->seen_n, sizeof *records);
    if (!records)
        return th_fail(err, TH_NOMEM, "%zu records", reader->seen_n);
    memcpy(records, reader->seen, reader->seen_n * sizeof *records);
    *out = (struct log_records){records, reader->seen_n};
    return TH_OK;
}

static enum th_code reader_read(struct th_log_reader *base, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out, struct th_err *err)
{
    struct reader *reader = (struct reader *)base;
    struct th_err ignored = {0};

    err = err ? err : &ignored;
    reader->seen_n = 0;
    reader->seen_bytes = 0;
    memcpy(reader->rewind, reader->parts, reader->n * sizeof *reader->parts);
    enum th_code code = read_some(reader, bytes_max, arena, err);
    if (code == TH_OK)
        code = copy_seen(reader, arena, out, err);
    if (code == TH_OK)
        return TH_OK;
    memcpy(reader->parts, reader->rewind, reader->n * sizeof *reader->parts);
    for (size_t i = 0; i < reader->n; i++)
        reader->parts[i].position = 0; /* the block at hand is gone: found again by the index */
    reader->block.records = 0;
    archive_input_close(&reader->input);
    return code;
}

/* --- opening, seeking, closing ------------------------------------------------------------------
 */

static void stand_at(const struct archive_log *log, struct part *part, int64_t offset)
{
    size_t n;

    part->segment = archive_manifest_part(&log->manifest, part->topic, part->part, &n);
    part->end = part->segment + n;
    part->next = offset;
    part->position = 0;
    size_t high = part->end;
    while (part->segment < high) { /* the first that ends behind it */
        size_t middle = part->segment + (high - part->segment) / 2;
        if (log->manifest.at[middle].next <= offset)
            part->segment = middle + 1;
        else
            high = middle;
    }
}

static void reader_close(struct th_log_reader *base)
{
    struct reader *reader = (struct reader *)base;

    archive_input_close(&reader->input);
    archive_unpacker_free(reader->unpacker);
    th_buf_fini(&reader->bytes);
    free(reader->raw);
    free(reader->seen);
    free(reader->rewind);
    free(reader);
}

static enum th_code reader_open(struct th_log *base, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err)
{
    struct reader *reader = calloc(1, sizeof *reader + n * sizeof *reader->parts);

    if (!reader)
        return th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    reader->base.log = base;
    reader->input.fd = -1;
    reader->n = n;
    reader->rewind = calloc(n, sizeof *reader->rewind);
    enum th_code code = archive_unpacker_new(&reader->unpacker, err);
    if (code == TH_OK && !reader->rewind)
        code = th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    if (code != TH_OK) {
        reader_close(&reader->base);
        return code;
    }
    for (size_t i = 0; i < n; i++) {
        reader->parts[i] = (struct part){.topic = from[i].topic, .part = from[i].part};
        stand_at(own(base), &reader->parts[i], from[i].offset);
    }
    *out_reader = &reader->base;
    return TH_OK;
}

static void reader_seek(struct th_log_reader *base, struct log_place place)
{
    struct reader *reader = (struct reader *)base;
    size_t i = 0;

    while (i < reader->n &&
           (reader->parts[i].topic != place.topic || reader->parts[i].part != place.part))
        i++;
    assert(i < reader->n);
    stand_at(log_of(reader), &reader->parts[i], place.offset);
    if (i == reader->turn)
        reader->block.records = 0;
}

/* --- the log ------------------------------------------------------------------------------------
 */

static enum th_code only_read(struct th_err *err)
{
    return th_fail(err, TH_UNSUPPORTED, "an archive can only be read");
}

static enum th_code append(struct th_log *log, const struct log_output *outputs, size_t n,
                           struct log_place *out_places, struct th_err *err)
{
    (void)log, (void)outputs, (void)n, (void)out_places;
    return only_read(err);
}

static enum th_code ingest(struct th_log *log, struct log_claim *claims, size_t n,
                           struct th_arena *arena, struct th_err *err)
{
    (void)log, (void)claims, (void)n, (void)arena;
    return only_read(err);
}

static enum th_code session_open(struct th_log *log, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err)
{
    (void)log, (void)app, (void)slot, (void)out_session;
    return only_read(err);
}

static enum th_code snapshot_put(struct th_log *log, enum log_app app,
                                 const struct log_snapshot *snapshot, struct th_err *err)
{
    (void)log, (void)app, (void)snapshot;
    return only_read(err);
}

static enum th_code snapshot_get(struct th_log *log, enum log_app app, int part,
                                 struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                 struct log_snapshot **out_snapshots, size_t *out_n,
                                 struct th_err *err)
{
    (void)log, (void)app, (void)part, (void)pieces, (void)fold_version, (void)arena, (void)err;
    *out_snapshots = NULL;
    *out_n = 0;
    return TH_OK;
}

static enum th_code end(struct th_log *log, enum topic topic, int part, int64_t *out_end,
                        struct th_err *err)
{
    (void)err;
    *out_end = archive_manifest_next(&own(log)->manifest, topic, part);
    return TH_OK;
}

static enum th_code start(struct th_log *log, enum topic topic, int part, int64_t *out_start,
                          struct th_err *err)
{
    (void)err;
    *out_start = archive_log_start(log, topic, part);
    return TH_OK;
}

static enum th_code trim(struct th_log *log, const struct log_place *places, size_t n,
                         struct th_err *err)
{
    (void)log, (void)places, (void)n;
    return only_read(err);
}

static enum th_code listener_open(struct th_log *log, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err)
{
    struct th_log_listener *listener = calloc(1, sizeof *listener);

    (void)topics;
    if (!listener)
        return th_fail(err, TH_NOMEM, "a listener");
    *listener = (struct th_log_listener){.log = log, .fd = -1};
    *out_listener = listener;
    return TH_OK;
}

static void listener_clear(struct th_log_listener *listener)
{
    (void)listener;
}

static void listener_close(struct th_log_listener *listener)
{
    free(listener);
}

static void close_log(struct th_log *log)
{
    archive_manifest_fini(&own(log)->manifest);
    free(log);
}

/* There are no sessions, so nothing is asked of one. */
static const struct th_log_ops ops = {
    .name = "archive",
    .append = append,
    .end = end,
    .start = start,
    .trim = trim,
    .ingest = ingest,
    .close = close_log,
    .reader_open = reader_open,
    .reader_read = reader_read,
    .reader_seek = reader_seek,
    .reader_close = reader_close,
    .listener_open = listener_open,
    .listener_clear = listener_clear,
    .listener_close = listener_close,
    .session_open = session_open,
    .snapshot_put = snapshot_put,
    .snapshot_get = snapshot_get,
};

enum th_code archive_log_open(const char *dir, struct th_log **out_log, struct th_err *err)
{
    char path[ARCHIVE_PATH_MAX];
    TH_AUTO(free) void *memory = calloc(1, sizeof(struct archive_log));
    struct archive_log *log = memory;

    if (!log)
        return th_fail(err, TH_NOMEM, "an archive");
    TH_TRY(archive_path(dir, ARCHIVE_MANIFEST, path, err)); /* it fits */
    snprintf(log->dir, sizeof log->dir, "%s", dir);
    TH_TRY(archive_load_manifest(dir, &log->manifest, err));
    log->base.ops = &ops;
    memcpy(log->base.partitions, log->manifest.partitions, sizeof log->base.partitions);
    memcpy(log->base.id, log->manifest.log_id, sizeof log->base.id);
    memory = NULL;
    *out_log = &log->base;
    return TH_OK;
}
