#include "common/eventlog/slot_private.h"

#include <inttypes.h>

#define BATCH_HELD_MAX_US (5 * TH_US_PER_MS)
#define RETRY_WAIT_US     (60 * TH_US_PER_SEC)
#define LOAD_ARENA_MAX    ((size_t)1024 * 1024 * 1024)
#define LOAD_PIECES       16
#define GROWTH            4 /* own log bytes per byte of snapshot, before the next one */

/* A core that can say to which piece an event belongs is written down piece by piece, each as of
 * another offset. Without that a partition's pieces must be of one moment, so they become one
 * snapshot: the pieces one after the other, each behind its length (32 bits, big endian). */
static bool is_by_piece(const struct core_ops *core)
{
    return core->piece != NULL;
}

/* --- loading ------------------------------------------------------------------------------------
 */

static enum th_code load_joined(struct slot *slot, int part, struct th_str bytes)
{
    for (int piece = 0; piece < slot->ops->pieces; piece++) {
        uint32_t size = 0;
        if (bytes.n < 4)
            return TH_CORRUPT;
        for (int i = 0; i < 4; i++)
            size = size << 8 | (uint8_t)bytes.p[i];
        if (size > bytes.n - 4)
            return TH_CORRUPT;
        TH_TRY(slot->ops->load(slot->core, part, piece, (struct th_str){bytes.p + 4, size}));
        bytes.p += 4 + size;
        bytes.n -= 4 + size;
    }
    return bytes.n == 0 ? TH_OK : TH_CORRUPT;
}

static enum th_code load_one(struct slot *slot, struct slot_own *own,
                             const struct log_snapshot *snapshot, struct th_err *err)
{
    bool by_piece = is_by_piece(slot->ops);

    if (snapshot->upto_offset > own->end || snapshot->piece >= slot->ops->pieces ||
        (!by_piece && snapshot->piece != 0))
        return th_fail(err, TH_CORRUPT, "partition %d piece %d upto %" PRId64 ", log end %" PRId64,
                       own->part, snapshot->piece, snapshot->upto_offset, own->end);
    enum th_code code =
        by_piece ? slot->ops->load(slot->core, own->part, snapshot->piece, snapshot->body)
                 : load_joined(slot, own->part, snapshot->body);
    slot_settle_core(slot);
    if (code != TH_OK)
        return th_fail(err, code, "partition %d piece %d: %s", own->part, snapshot->piece,
                       th_code_text(code));
    if (by_piece)
        own->upto[snapshot->piece] = snapshot->upto_offset;
    for (int piece = 0; piece < slot->ops->pieces && !by_piece; piece++)
        own->upto[piece] = snapshot->upto_offset;
    own->snapshot_size += snapshot->body.n;
    return TH_OK;
}

static enum th_code load_some(struct slot *slot, struct slot_own *own, struct log_pieces pieces,
                              struct th_arena *arena, struct th_err *err)
{
    struct log_snapshot *snapshots;
    size_t n;

    TH_TRY(th_log_snapshot_get(slot->config.log, slot->ops->app, own->part, pieces,
                               core_stored_version(slot->ops), arena, &snapshots, &n, err));
    for (size_t i = 0; i < n; i++)
        TH_TRY(load_one(slot, own, &snapshots[i], err));
    return TH_OK;
}

/* A few pieces at a time: what is loaded need not be in memory twice. */
static enum th_code load_part(struct slot *slot, struct slot_own *own, struct th_arena *arena,
                              struct th_err *err)
{
    int pieces = core_stored_pieces(slot->ops);

    own->snapshot_size = 0;
    for (int piece = 0; piece < slot->ops->pieces; piece++)
        own->upto[piece] = 0;
    for (int first = 0; first < pieces; first += LOAD_PIECES) {
        int end = first + LOAD_PIECES < pieces ? first + LOAD_PIECES : pieces;
        TH_TRY(load_some(slot, own, (struct log_pieces){first, end}, arena, err));
        th_arena_reset(arena);
    }

    own->from = own->upto[0];
    for (int piece = 1; piece < slot->ops->pieces; piece++)
        if (own->upto[piece] < own->from)
            own->from = own->upto[piece];
    return TH_OK;
}

enum th_code slot_load(struct slot *slot, struct th_err *err)
{
    struct th_arena arena;
    enum th_code code = TH_OK;

    th_arena_init(&arena, LOAD_ARENA_MAX);
    for (size_t i = 0; i < slot->own_n && code == TH_OK; i++)
        code = load_part(slot, &slot->own[i], &arena, err);
    th_arena_fini(&arena);
    return code;
}

bool slot_is_folded(const struct slot *slot, const struct slot_own *own, const struct event *event,
                    int64_t offset)
{
    int piece = slot->ops->piece ? slot->ops->piece(event) : 0;

    return piece >= 0 && piece < slot->ops->pieces && offset < own->upto[piece];
}

/* --- writing ------------------------------------------------------------------------------------
 */

static enum th_code save_joined(const struct slot *slot, int part, struct th_buf *out)
{
    struct th_buf piece_bytes = {0};
    enum th_code code = TH_OK;

    for (int piece = 0; piece < slot->ops->pieces && code == TH_OK; piece++) {
        th_buf_clear(&piece_bytes);
        code = slot->ops->save(slot->core, part, piece, &piece_bytes);
        if (code == TH_OK && piece_bytes.n > LOG_SNAPSHOT_SIZE_MAX)
            code = TH_FULL;
        for (int i = 0; i < 4; i++)
            th_buf_add_char(out, (char)(uint8_t)(piece_bytes.n >> (24 - 8 * i)));
        th_buf_add(out, th_buf_str(&piece_bytes));
    }
    if (code == TH_OK)
        code = th_buf_status(&piece_bytes);
    th_buf_fini(&piece_bytes);
    return code;
}

static enum th_code write_piece(struct slot *slot, const struct slot_own *own, struct th_buf *body,
                                struct th_err *err)
{
    struct slot_snapshot_job *job = &slot->snapshot;
    enum th_code code = is_by_piece(slot->ops)
                            ? slot->ops->save(slot->core, own->part, job->piece, body)
                            : save_joined(slot, own->part, body);

    if (code == TH_OK)
        code = th_buf_status(body);
    if (code != TH_OK)
        return th_fail(err, code, "%s", th_code_text(code));
    job->size += body->n;
    return th_log_snapshot_put(
        slot->config.log, slot->ops->app,
        &(struct log_snapshot){.part = own->part,
                               .piece = job->piece,
                               .upto_offset = own->end,
                               .fold_version = core_stored_version(slot->ops),
                               .body = th_buf_str(body)},
        err);
}

static void find_job(struct slot *slot)
{
    struct slot_snapshot_job *job = &slot->snapshot;

    if (job->is_active || slot->boot_us < job->retry_at_us)
        return;
    for (size_t i = 0; i < slot->own_n && !job->is_active; i++) {
        struct slot_own *own = &slot->own[i];
        size_t due = GROWTH * own->snapshot_size;
        if (due < slot->config.snapshot_bytes_min)
            due = slot->config.snapshot_bytes_min;
        if (own->bytes_since <= due)
            continue;
        *job = (struct slot_snapshot_job){.is_active = true, .own = i};
        own->bytes_since = 0;
    }
}

static void next_piece(struct slot *slot)
{
    struct slot_snapshot_job *job = &slot->snapshot;

    job->piece++;
    if (is_by_piece(slot->ops) && job->piece < slot->ops->pieces)
        return;
    slot->own[job->own].snapshot_size = job->size;
    job->is_active = false;
}

/* The snapshot before still serves; the next one is tried when as much has happened again. */
static void give_up(struct slot *slot, const struct th_err *why)
{
    slot->snapshot.is_active = false;
    slot->snapshot.retry_at_us = slot->boot_us + RETRY_WAIT_US;
    slot_note(slot, why->code, "a snapshot was not written: %s", why->text);
}

void slot_write_snapshots(struct slot *slot)
{
    const struct th_clock *clock = slot->config.clock;
    int64_t until_us = th_clock_monotonic_us(clock) + BATCH_HELD_MAX_US;
    struct th_buf body = {0};
    struct th_err why = {0};

    find_job(slot);
    while (slot->snapshot.is_active && th_clock_monotonic_us(clock) < until_us) {
        th_buf_clear(&body);
        if (write_piece(slot, &slot->own[slot->snapshot.own], &body, &why) == TH_OK)
            next_piece(slot);
        else
            give_up(slot, &why);
    }
    th_buf_fini(&body);
}
