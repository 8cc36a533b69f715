/* Snapshots: a compacted topic, in chunks, two generations of each piece.
 *
 * A key names piece, generation and chunk, so that compaction keeps what was written last under it.
 * What is written next replaces the generation that is not the newest. A reader puts a snapshot
 * together from chunks that carry the same random mark; without all of them, or with another
 * checksum, it is left out: it is a cache. */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#include "common/hash.h"
#include "connectors/kafka/kafka_internal.h"
#include "connectors/kafka/kafka_wire.h"

#define CHUNK_BYTES      ((size_t)512 * 1024)
#define CHUNKS_MAX       (LOG_SNAPSHOT_SIZE_MAX / CHUNK_BYTES + 1)
#define SNAPSHOT_VERSION 1

/* In front of each chunk. */
struct chunk {
    enum log_app app;
    int part;
    int piece;
    int generation;
    size_t index;
    size_t count;
    uint64_t mark; /* of the put */
    int64_t upto;
    int fold_version;
    uint64_t size; /* of the whole body */
    uint64_t sum;  /* th_hash64 of it */
    struct th_str bytes;
};

static int topic_part(const struct kafka_log *log, enum log_app app, int part)
{
    return ((int)app + part) % log->inner_partitions[KAFKA_SNAPSHOTS];
}

static void encode_key(const struct chunk *chunk, struct th_buf *buf)
{
    wire_put(buf, (uint64_t)chunk->app, 1);
    wire_put(buf, (uint64_t)chunk->part, 2);
    wire_put(buf, (uint64_t)chunk->piece, 4);
    wire_put(buf, (uint64_t)chunk->generation, 1);
    wire_put(buf, chunk->index, 2);
}

static void encode_value(const struct chunk *chunk, struct th_buf *buf)
{
    wire_put(buf, SNAPSHOT_VERSION, 1);
    wire_put(buf, chunk->count, 2);
    wire_put(buf, chunk->mark, 8);
    wire_put(buf, (uint64_t)chunk->upto, 8);
    wire_put(buf, (uint32_t)chunk->fold_version, 4);
    wire_put(buf, chunk->size, 8);
    wire_put(buf, chunk->sum, 8);
    th_buf_add(buf, chunk->bytes);
}

static bool decode(const rd_kafka_message_t *message, struct chunk *out)
{
    struct wire key = {.rest = {message->key, message->key_len}};
    struct wire value = {.rest = {message->payload, message->len}};

    out->app = (enum log_app)wire_take(&key, 1);
    out->part = (int)wire_take(&key, 2);
    out->piece = (int)wire_take(&key, 4);
    out->generation = (int)wire_take(&key, 1);
    out->index = (size_t)wire_take(&key, 2);
    uint64_t version = wire_take(&value, 1);
    out->count = (size_t)wire_take(&value, 2);
    out->mark = wire_take(&value, 8);
    out->upto = (int64_t)wire_take(&value, 8);
    out->fold_version = (int)(uint32_t)wire_take(&value, 4);
    out->size = wire_take(&value, 8);
    out->sum = wire_take(&value, 8);
    out->bytes = value.rest;
    return wire_is_done(&key) && !value.is_cut && version == SNAPSHOT_VERSION &&
           out->generation <= 1 && out->count >= 1 && out->count <= CHUNKS_MAX &&
           out->index < out->count && out->size <= LOG_SNAPSHOT_SIZE_MAX;
}

/* --- generations ------------------------------------------------------------------------------ */

/* NULL when it is new and there is no memory. */
static struct kafka_generation *generation_of(struct kafka_log *log, enum log_app app, int part,
                                              int piece)
{
    for (size_t i = 0; i < log->generations_n; i++) {
        struct kafka_generation *at = &log->generations[i];
        if (at->app == app && at->part == part && at->piece == piece)
            return at;
    }
    if (log->generations_n == log->generations_cap) {
        size_t cap = log->generations_cap ? log->generations_cap * 2 : 64;
        struct kafka_generation *grown = reallocarray(log->generations, cap, sizeof *grown);
        if (!grown)
            return NULL;
        log->generations = grown;
        log->generations_cap = cap;
    }
    struct kafka_generation *at = &log->generations[log->generations_n++];
    *at = (struct kafka_generation){app, part, piece, 1, -1};
    return at;
}

static void note_generation(struct kafka_log *log, const struct chunk *chunk)
{
    pthread_mutex_lock(&log->generation_lock);
    struct kafka_generation *at = generation_of(log, chunk->app, chunk->part, chunk->piece);
    if (at && chunk->upto >= at->upto) {
        at->newest = chunk->generation;
        at->upto = chunk->upto;
    }
    pthread_mutex_unlock(&log->generation_lock);
}

/* The one that may be overwritten: not the newest, or the one of the very same offset. */
static int older_generation(struct kafka_log *log, enum log_app app,
                            const struct log_snapshot *snapshot)
{
    int older = 0;

    pthread_mutex_lock(&log->generation_lock);
    const struct kafka_generation *at = generation_of(log, app, snapshot->part, snapshot->piece);
    if (at)
        older = at->upto == snapshot->upto_offset ? at->newest : 1 - at->newest;
    pthread_mutex_unlock(&log->generation_lock);
    return older;
}

/* --- putting ---------------------------------------------------------------------------------- */

static enum th_code put_chunk(struct kafka_log *log, const struct chunk *chunk, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf key = {0};
    TH_AUTO(th_buf) struct th_buf value = {0};

    encode_key(chunk, &key);
    encode_value(chunk, &value);
    if (th_buf_status(&key) != TH_OK || th_buf_status(&value) != TH_OK)
        return th_fail(err, TH_NOMEM, "a chunk of a snapshot");
    struct kafka_record record = {
        .topic = log->inner[KAFKA_SNAPSHOTS],
        .part = topic_part(log, chunk->app, chunk->part),
        .key = th_buf_str(&key),
        .value = th_buf_str(&value),
    };
    return kafka_append_batch(log, &record, 1, err);
}

enum th_code kafka_snapshot_put(struct th_log *base, enum log_app app,
                                const struct log_snapshot *snapshot, struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    struct th_str body = snapshot->body;
    struct chunk chunk = {
        .app = app,
        .part = snapshot->part,
        .piece = snapshot->piece,
        .generation = older_generation(log, app, snapshot),
        .count = body.n ? (body.n + CHUNK_BYTES - 1) / CHUNK_BYTES : 1,
        .upto = snapshot->upto_offset,
        .fold_version = snapshot->fold_version,
        .size = body.n,
        .sum = th_hash64(body, (uint64_t)snapshot->upto_offset),
    };

    if (getrandom(&chunk.mark, sizeof chunk.mark, 0) != (ssize_t)sizeof chunk.mark)
        return th_fail(err, TH_UNAVAILABLE, "no randomness");
    for (; chunk.index < chunk.count; chunk.index++) {
        size_t left = body.n - chunk.index * CHUNK_BYTES;
        chunk.bytes.n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
        chunk.bytes.p = body.n ? body.p + chunk.index * CHUNK_BYTES : NULL;
        TH_TRY(put_chunk(log, &chunk, err));
    }
    note_generation(log, &chunk);
    return TH_OK;
}

/* --- getting ---------------------------------------------------------------------------------- */

/* A snapshot whose chunks come in; those of one put lie in order. */
struct found {
    int piece;
    int generation;
    uint64_t mark;
    uint64_t sum;
    size_t next; /* chunk */
    size_t count;
    struct log_snapshot is;
    struct th_buf body;
};

struct collection {
    struct kafka_log *log;
    enum log_app app;
    int part;
    struct log_pieces pieces;
    int fold_version;
    struct found *at;
    size_t n;
    size_t cap;
};

static void collection_fini(struct collection *all)
{
    for (size_t i = 0; i < all->n; i++)
        th_buf_fini(&all->at[i].body);
    free(all->at);
}

static struct found *find(struct collection *all, const struct chunk *chunk)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].piece == chunk->piece && all->at[i].generation == chunk->generation)
            return &all->at[i];
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 64;
        struct found *at = reallocarray(all->at, cap, sizeof *at);
        if (!at)
            return NULL;
        all->at = at;
        all->cap = cap;
    }
    struct found *found = &all->at[all->n++];
    *found = (struct found){.piece = chunk->piece, .generation = chunk->generation};
    return found;
}

static void begin(struct found *found, const struct chunk *chunk)
{
    th_buf_clear(&found->body);
    found->mark = chunk->mark;
    found->sum = chunk->sum;
    found->count = chunk->count;
    found->next = 0;
    found->is = (struct log_snapshot){
        .part = chunk->part,
        .piece = chunk->piece,
        .upto_offset = chunk->upto,
        .fold_version = chunk->fold_version,
    };
}

static enum th_code take_chunk(void *arg, const rd_kafka_message_t *message, struct th_err *err)
{
    struct collection *all = arg;
    struct chunk chunk;

    if (!decode(message, &chunk) || chunk.app != all->app || chunk.part != all->part)
        return TH_OK;
    if (chunk.index == 0)
        note_generation(all->log, &chunk);
    if (chunk.piece < all->pieces.first || chunk.piece >= all->pieces.end)
        return TH_OK;
    struct found *found = find(all, &chunk);
    if (!found)
        return th_fail(err, TH_NOMEM, "snapshots");
    if (found->mark != chunk.mark || chunk.index == 0)
        begin(found, &chunk);
    if (chunk.index != found->next)
        return TH_OK;
    found->next++;
    if (chunk.fold_version == all->fold_version)
        th_buf_add(&found->body, chunk.bytes);
    return TH_OK;
}

static bool is_intact(const struct found *found)
{
    return found->count > 0 && found->next == found->count &&
           th_buf_status(&found->body) == TH_OK &&
           th_hash64(th_buf_str(&found->body), (uint64_t)found->is.upto_offset) == found->sum;
}

static int by_piece_newest_first(const void *a, const void *b)
{
    const struct found *left = a;
    const struct found *right = b;

    if (left->piece != right->piece)
        return left->piece < right->piece ? -1 : 1;
    return (left->is.upto_offset < right->is.upto_offset) -
           (left->is.upto_offset > right->is.upto_offset);
}

static enum th_code pick(struct collection *all, struct th_arena *arena,
                         struct log_snapshot **out_snapshots, size_t *out_n)
{
    struct log_snapshot *picked = th_arena_array(arena, all->n + 1, sizeof *picked);
    size_t n = 0;

    if (!picked)
        return TH_NOMEM;
    if (all->n)
        qsort(all->at, all->n, sizeof *all->at, by_piece_newest_first);
    for (size_t i = 0; i < all->n; i++) {
        const struct found *found = &all->at[i];
        bool is_older = n > 0 && picked[n - 1].piece == found->piece;
        if (is_older || found->is.fold_version != all->fold_version || !is_intact(found))
            continue;
        picked[n] = found->is;
        TH_TRY(th_arena_copy(arena, th_buf_str(&found->body), &picked[n].body));
        n++;
    }
    *out_snapshots = picked;
    *out_n = n;
    return TH_OK;
}

enum th_code kafka_snapshot_get(struct th_log *base, enum log_app app, int part,
                                struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                struct log_snapshot **out_snapshots, size_t *out_n,
                                struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);
    struct collection all = {log, app, part, pieces, fold_version, NULL, 0, 0};
    const char *topic = log->inner[KAFKA_SNAPSHOTS];
    int at = topic_part(log, app, part);
    int64_t end;

    TH_TRY(kafka_scout_end(log->scout, topic, at, &end, err));
    enum th_code code = kafka_scout_walk(log->scout, topic, at, 0, end, take_chunk, &all, err);
    if (code == TH_OK && pick(&all, arena, out_snapshots, out_n) != TH_OK)
        code = th_fail(err, TH_NOMEM, "snapshots of partition %d", part);
    collection_fini(&all);
    return code;
}
