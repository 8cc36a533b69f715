#include "common/eventlog/memory_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/memory_internal.h"

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
uint64_t memory_random(struct memory_log *log)
{
    uint64_t z = log->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t memory_now_us(const struct memory_log *log)
{
    return th_clock_realtime_us(log->options.clock);
}

/* --- append ------------------------------------------------------------------------------- */

static enum th_code store_outputs(struct memory_log *log, const struct log_output *outputs,
                                  size_t n, struct log_place *out_places)
{
    memory_store_begin(&log->store);
    enum th_code code =
        memory_store_stage(&log->store, outputs, n, NULL, memory_now_us(log), out_places);
    if (code == TH_OK)
        memory_wake(log, memory_store_publish(&log->store));
    else
        memory_store_drop(&log->store);
    return code;
}

/* The places of a failed append must not be seen, so they are written only when all is staged:
 * but a caller that gave none needs none. */
static enum th_code append_locked(struct memory_log *log, const struct log_output *outputs,
                                  size_t n, struct log_place *out_places, struct th_err *err)
{
    if (log->down & MEMORY_DOWN_APPEND)
        return th_fail(err, TH_UNAVAILABLE, "memory log: appends are down");
    TH_AUTO(free) void *staged = out_places ? calloc(n, sizeof *out_places) : NULL;
    if (out_places && !staged)
        return th_fail(err, TH_NOMEM, "memory log: %zu places", n);

    enum th_code code = store_outputs(log, outputs, n, staged);
    if (code != TH_OK)
        return th_fail(err, code, "memory log: %zu records", n);
    if (log->down & MEMORY_DOWN_APPEND_LOST)
        return th_fail(err, TH_UNAVAILABLE, "memory log: the answer was lost");
    if (out_places)
        memcpy(out_places, staged, n * sizeof *out_places);
    return TH_OK;
}

static enum th_code memory_append(struct th_log *base, const struct log_output *outputs, size_t n,
                                  struct log_place *out_places, struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    enum th_code code = append_locked(log, outputs, n, out_places, err);
    memory_unlock(log);
    return code;
}

static enum th_code memory_end(struct th_log *base, enum topic topic, int part, int64_t *out_end,
                               struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    bool is_down = log->down & MEMORY_DOWN_READ;
    int64_t end = (int64_t)memory_store_part(&log->store, topic, part)->n;
    memory_unlock(log);
    if (is_down)
        return th_fail(err, TH_UNAVAILABLE, "memory log: reads are down");
    *out_end = end;
    return TH_OK;
}

/* --- ingest ------------------------------------------------------------------------------- */

/* What will be written into a claim once all of them went well. */
struct ingest_result {
    enum log_claim_outcome outcome;
    int status;
    struct th_str body;
    struct log_place *places;
};

static enum th_code ingest_seen(const struct log_claim *claim, const struct memory_answer *seen,
                                struct th_arena *arena, struct ingest_result *out)
{
    out->outcome = LOG_CLAIM_MISMATCH;
    if (memcmp(seen->fingerprint, claim->fingerprint, sizeof seen->fingerprint) != 0)
        return TH_OK;
    out->outcome = LOG_CLAIM_REPLAYED;
    out->status = seen->status;
    return th_arena_copy(arena, seen->body, &out->body);
}

static enum th_code ingest_new(struct memory_log *log, const struct log_claim *claim,
                               int64_t now_us, struct th_arena *arena, struct ingest_result *out,
                               size_t *added_n)
{
    out->outcome = LOG_CLAIM_STORED;
    out->places = th_arena_array(arena, claim->outputs_n, sizeof *out->places);
    if (!out->places)
        return TH_NOMEM;
    TH_TRY(memory_store_stage(&log->store, claim->outputs, claim->outputs_n, NULL, now_us,
                              out->places));
    if (claim->key.n == 0)
        return TH_OK;
    TH_TRY(memory_idem_add(&log->idem, claim, now_us));
    ++*added_n;
    return TH_OK;
}

static enum th_code ingest_all(struct memory_log *log, const struct log_claim *claims, size_t n,
                               struct th_arena *arena, struct ingest_result *results,
                               size_t *added_n)
{
    int64_t now_us = memory_now_us(log);

    for (size_t i = 0; i < n; i++) {
        const struct memory_answer *seen =
            claims[i].key.n ? memory_idem_find(&log->idem, &claims[i]) : NULL;
        if (seen)
            TH_TRY(ingest_seen(&claims[i], seen, arena, &results[i]));
        else
            TH_TRY(ingest_new(log, &claims[i], now_us, arena, &results[i], added_n));
    }
    return TH_OK;
}

static enum th_code ingest_locked(struct memory_log *log, const struct log_claim *claims, size_t n,
                                  struct th_arena *arena, struct ingest_result *results,
                                  struct th_err *err)
{
    size_t added_n = 0;

    if (log->down & MEMORY_DOWN_APPEND)
        return th_fail(err, TH_UNAVAILABLE, "memory log: appends are down");
    memory_idem_expire(&log->idem, memory_now_us(log));
    memory_store_begin(&log->store);
    enum th_code code = ingest_all(log, claims, n, arena, results, &added_n);
    if (code != TH_OK) {
        memory_idem_remove_newest(&log->idem, added_n);
        memory_store_drop(&log->store);
        return th_fail(err, code, "memory log: %zu claims", n);
    }
    memory_wake(log, memory_store_publish(&log->store));
    if (log->down & MEMORY_DOWN_APPEND_LOST)
        return th_fail(err, TH_UNAVAILABLE, "memory log: the answer was lost");
    return TH_OK;
}

static enum th_code memory_ingest(struct th_log *base, struct log_claim *claims, size_t n,
                                  struct th_arena *arena, struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    struct ingest_result *results = th_arena_array(arena, n, sizeof *results);

    if (!results)
        return th_fail(err, TH_NOMEM, "memory log: %zu claims", n);
    memory_lock(log);
    enum th_code code = ingest_locked(log, claims, n, arena, results, err);
    memory_unlock(log);
    if (code != TH_OK)
        return code;
    for (size_t i = 0; i < n; i++) {
        claims[i].outcome = results[i].outcome;
        claims[i].replayed_status = results[i].status;
        claims[i].replayed_body = results[i].body;
        claims[i].places = results[i].places;
    }
    return TH_OK;
}

/* Only what the face keeps. */
static enum th_code memory_set_mark(struct th_log *base, enum log_mark mark, const char *origin,
                                    struct th_err *err)
{
    const struct memory_log *log = memory_of(base);

    (void)mark;
    (void)origin;
    if (log->down & MEMORY_DOWN_APPEND)
        return th_fail(err, TH_UNAVAILABLE, "memory log: appends are down");
    return TH_OK;
}

static enum th_code memory_answers(struct th_log *base, log_answer_visit *visit, void *arg,
                                   struct th_err *err)
{
    struct memory_log *log = memory_of(base);
    enum th_code code = TH_OK;

    memory_lock(log);
    memory_idem_expire(&log->idem, memory_now_us(log));
    for (const struct memory_answer *at = log->idem.oldest; at && code == TH_OK; at = at->newer) {
        struct log_claim claim = memory_idem_claim(at);
        code = visit(arg, &claim, err);
    }
    memory_unlock(log);
    return code;
}

/* --- snapshots ---------------------------------------------------------------------------- */

static enum th_code memory_snapshot_put(struct th_log *base, enum log_app app,
                                        const struct log_snapshot *snapshot, struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    enum th_code code = log->down & MEMORY_DOWN_APPEND
                            ? TH_UNAVAILABLE
                            : memory_snapshots_put(&log->snapshots, app, snapshot);
    memory_unlock(log);
    return code == TH_OK ? TH_OK : th_fail(err, code, "memory log: snapshot");
}

static enum th_code memory_snapshot_get(struct th_log *base, enum log_app app, int part,
                                        struct log_pieces pieces, int fold_version,
                                        struct th_arena *arena, struct log_snapshot **out_snapshots,
                                        size_t *out_n, struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    enum th_code code = log->down & MEMORY_DOWN_READ
                            ? TH_UNAVAILABLE
                            : memory_snapshots_get(&log->snapshots, app, part, pieces, fold_version,
                                                   arena, out_snapshots, out_n);
    memory_unlock(log);
    return code == TH_OK ? TH_OK : th_fail(err, code, "memory log: snapshots");
}

/* --- the log as a whole ------------------------------------------------------------------- */

static void memory_close(struct th_log *base)
{
    struct memory_log *log = memory_of(base);

    assert(log->readers_n == 0);
    assert(!log->listeners);
    memory_slots_fini(log);
    memory_snapshots_fini(&log->snapshots);
    memory_idem_fini(&log->idem);
    memory_store_fini(&log->store);
    pthread_mutex_destroy(&log->mutex);
    free(log);
}

/* --- giving up ----------------------------------------------------------------------------- */

static enum th_code memory_start(struct th_log *base, enum topic topic, int part,
                                 int64_t *out_start, struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    memory_lock(log);
    bool is_down = log->down & MEMORY_DOWN_READ;
    int64_t start = (int64_t)memory_store_part(&log->store, topic, part)->start;
    memory_unlock(log);
    if (is_down)
        return th_fail(err, TH_UNAVAILABLE, "memory log: reads are down");
    *out_start = start;
    return TH_OK;
}

static enum th_code memory_trim(struct th_log *base, const struct log_place *places, size_t n,
                                struct th_err *err)
{
    struct memory_log *log = memory_of(base);

    (void)err;
    memory_lock(log);
    for (size_t i = 0; i < n; i++) {
        struct memory_part *part = memory_store_part(&log->store, places[i].topic, places[i].part);
        if (part->start < (size_t)places[i].offset)
            part->start = (size_t)places[i].offset;
    }
    memory_unlock(log);
    return TH_OK;
}

static const struct th_log_ops memory_ops = {
    .name = "memory",
    .append = memory_append,
    .end = memory_end,
    .set_mark = memory_set_mark,
    .start = memory_start,
    .trim = memory_trim,
    .ingest = memory_ingest,
    .answers = memory_answers,
    .close = memory_close,
    .reader_open = memory_reader_open,
    .reader_read = memory_reader_read,
    .reader_seek = memory_reader_seek,
    .reader_close = memory_reader_close,
    .listener_open = memory_listener_open,
    .listener_clear = memory_listener_clear,
    .listener_close = memory_listener_close,
    .session_open = memory_session_open,
    .slot_cursors = memory_slot_cursors,
    .commit_start = memory_commit_start,
    .commit_poll = memory_commit_poll,
    .session_close = memory_session_close,
    .snapshot_put = memory_snapshot_put,
    .snapshot_get = memory_snapshot_get,
};

static void fill_base(struct memory_log *log)
{
    uint64_t high = memory_random(log);
    uint64_t low = memory_random(log);

    log->base.ops = &memory_ops;
    for (unsigned topic = 0; topic < TOPIC_COUNT; topic++)
        log->base.partitions[topic] =
            topic_kind((enum topic)topic) == TOPIC_REFERENCE ? 1 : log->options.partitions;
    /* RFC 9562: version 8, variant 10 */
    snprintf(log->base.id, sizeof log->base.id,
             "%08" PRIx64 "-%04" PRIx64 "-8%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64, high >> 32,
             high >> 16 & 0xffff, high & 0xfff, (low >> 48 & 0x3fff) | 0x8000,
             low & UINT64_C(0xffffffffffff));
}

enum th_code memory_log_new(const struct memory_log_options *options, struct th_log **out_log,
                            struct th_err *err)
{
    if (options->partitions < 1 || options->partitions > LOG_PARTITIONS_MAX)
        return th_fail(err, TH_INVALID, "memory log: %d partitions", options->partitions);
    assert(options->clock);

    struct memory_log *log = calloc(1, sizeof *log);
    if (!log)
        return th_fail(err, TH_NOMEM, "memory log");
    log->options = *options;
    log->random = options->seed;
    pthread_mutex_init(&log->mutex, NULL);
    fill_base(log);
    memory_idem_init(&log->idem, &log->store);
    memory_snapshots_init(&log->snapshots, &log->store);
    if (memory_store_init(&log->store, &log->base, options->bytes_max) != TH_OK) {
        memory_close(&log->base);
        return th_fail(err, TH_NOMEM, "memory log: %d partitions", options->partitions);
    }
    *out_log = &log->base;
    return TH_OK;
}

void memory_log_set_down(struct th_log *log, unsigned down)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    memory->down = down;
    memory_unlock(memory);
}

bool memory_log_damage_snapshot(struct th_log *log, enum log_app app, int part, int piece)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    bool is_damaged = memory_snapshots_damage(&memory->snapshots, app, part, piece);
    memory_unlock(memory);
    return is_damaged;
}

size_t memory_log_bytes(struct th_log *log)
{
    struct memory_log *memory = memory_of(log);

    memory_lock(memory);
    size_t bytes = memory->store.bytes;
    memory_unlock(memory);
    return bytes;
}
