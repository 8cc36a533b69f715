#include "common/eventlog/replay.h"

#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/eventlog/copy.h"
#include "common/eventlog/fill.h"
#include "common/eventlog/placement.h"
#include "common/eventlog/replay_merge.h"
#include "common/eventlog/scan.h"

#define READ_BYTES  ((size_t)512 * 1024)
#define BATCH_BYTES ((size_t)2 * 1024 * 1024)
#define BATCH_MAX   ((size_t)100000) /* records; a read has fewer than half of it */
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)
#define LOOK_BYTES  ((size_t)8 * 1024 * 1024)
#define TRIES_MAX   20
#define TICK_MS     20 /* of a replay that waits for its time */

struct playing {
    const struct log_replay *replay;
    struct log_replayed *out;
    struct replay_sieve sieve;
    struct log_fill *fill;
    struct th_arena arena; /* of the batch */
    struct th_arena look;
    struct log_output *outputs; /* BATCH_MAX entries, and at_us beside them */
    int64_t *at_us;
    size_t n;
    size_t bytes;
};

static enum th_code playing_init(struct playing *p, struct th_err *err)
{
    th_arena_init(&p->arena, ARENA_BYTES);
    th_arena_init(&p->look, LOOK_BYTES);
    p->outputs = calloc(BATCH_MAX, sizeof *p->outputs);
    p->at_us = calloc(BATCH_MAX, sizeof *p->at_us);
    if (!p->outputs || !p->at_us)
        return th_fail(err, TH_NOMEM, "a batch");
    return replay_sieve_init(&p->sieve, &p->replay->filter, p->replay->source, err);
}

static void playing_fini(struct playing *p)
{
    log_fill_close(p->fill);
    replay_sieve_fini(&p->sieve);
    th_arena_fini(&p->arena);
    th_arena_fini(&p->look);
    free(p->outputs);
    free(p->at_us);
}

/* --- a batch ------------------------------------------------------------------------------------
 */

static enum th_code take(struct playing *p, const struct log_record *record, struct th_err *err)
{
    enum topic topic = record->place.topic;
    const struct placement placement = {th_log_partitions(p->replay->source, topic),
                                        th_log_partitions(p->replay->target, topic),
                                        p->replay->slots};
    bool keeps;
    int part;

    p->out->bytes += log_record_size(record);
    if (replay_sieve_keeps(&p->sieve, record, &p->look, &keeps) != TH_OK)
        return th_fail(err, TH_NOMEM, "filtering a record");
    if (!keeps) {
        p->out->left_out++;
        return TH_OK;
    }
    if (placement_of(&placement, record, &p->look, &part) != TH_OK)
        return th_fail(err, TH_NOMEM, "a record's place");
    p->outputs[p->n] =
        (struct log_output){topic, part, record->key, record->value, record->headers};
    p->at_us[p->n++] = record->at_us;
    p->bytes += log_record_size(record);
    return TH_OK;
}

/* What is in the batch becomes durable; one that was rolled back is sent again as it is. */
static enum th_code write(struct playing *p, struct log_place behind, struct th_err *err)
{
    enum th_code code = TH_ABORTED;

    for (int tries = 0; p->n > 0 && code == TH_ABORTED && tries < TRIES_MAX; tries++) {
        TH_TRY(log_fill_put(p->fill, p->outputs, p->at_us, p->n, behind, err));
        code = log_fill_flush(p->fill, err);
    }
    if (p->n > 0)
        TH_TRY(code);
    p->out->records += p->n;
    p->n = p->bytes = 0;
    th_arena_reset(&p->arena);
    return TH_OK;
}

static bool is_full(const struct playing *p)
{
    size_t wanted = p->replay->batch_bytes ? p->replay->batch_bytes : BATCH_BYTES;

    return p->bytes >= wanted || p->n == BATCH_MAX || p->arena.used >= 4 * wanted;
}

static void tell(const struct playing *p, int64_t done, int64_t size)
{
    const struct log_watch *watch = &p->replay->watch;

    if (watch->told)
        watch->told(watch->arg, &(struct log_progress){.doing = "replaying",
                                                       .done = done,
                                                       .size = size,
                                                       .records = p->out->records,
                                                       .bytes = p->out->bytes});
}

/* --- as fast as it goes -------------------------------------------------------------------------
 */

static enum th_code take_all(struct playing *p, const struct log_records *records,
                             struct log_place behind, struct th_err *err)
{
    for (size_t i = 0; i < records->n; i++) {
        if (p->n == BATCH_MAX)
            return th_fail(err, TH_FULL, "a batch of more than %zu records", BATCH_MAX);
        TH_TRY(take(p, &records->at[i], err));
    }
    return is_full(p) ? write(p, behind, err) : TH_OK;
}

static enum th_code play_at_once(struct playing *p, struct th_err *err)
{
    TH_AUTO(log_scan) struct log_scan *scan = NULL;
    struct log_records records;
    struct log_place behind = {0};
    int64_t done, size;

    TH_TRY(log_scan_open(p->replay->source, (struct log_place){0}, &scan, err));
    do {
        /* A read of so many bytes may hold more records than there is room for. */
        if (p->n > BATCH_MAX / 2)
            TH_TRY(write(p, behind, err));
        TH_TRY(log_scan_next(scan, READ_BYTES, &p->arena, &records, &behind, err));
        TH_TRY(take_all(p, &records, behind, err));
        log_scan_progress(scan, &done, &size);
        tell(p, done, size);
    } while (records.n > 0);
    return write(p, behind, err);
}

/* --- in time ------------------------------------------------------------------------------------
 */

/* The pages of a merge are read over; a batch keeps its own. */
static enum th_code take_copy(struct playing *p, const struct log_record *record,
                              struct th_err *err)
{
    struct log_record copy = *record;

    if (th_arena_copy(&p->arena, record->key, &copy.key) != TH_OK ||
        th_arena_copy(&p->arena, record->value, &copy.value) != TH_OK ||
        th_arena_copy(&p->arena, record->headers, &copy.headers) != TH_OK)
        return th_fail(err, TH_NOMEM, "a record");
    return take(p, &copy, err);
}

/* When a record was appended, on a clock that stands at first_us when the replay begins. */
struct pace {
    int64_t first_us;
    int64_t begun_us; /* monotonic */
    int speed;
};

static int64_t due_up_to(const struct pace *pace)
{
    return pace->first_us + (th_clock_monotonic_us(&th_clock_real) - pace->begun_us) * pace->speed;
}

static enum th_code play_what_is_due(struct playing *p, struct replay_merge *merge,
                                     const struct pace *pace, bool *out_has_more,
                                     struct th_err *err)
{
    const struct log_record *record;
    struct log_place behind = {0};

    for (;;) {
        TH_TRY(replay_merge_look(merge, &record, err));
        *out_has_more = record != NULL;
        if (!record || record->at_us > due_up_to(pace))
            break;
        behind = record->place;
        TH_TRY(take_copy(p, record, err));
        replay_merge_pass(merge);
        if (is_full(p))
            TH_TRY(write(p, behind, err));
    }
    return write(p, behind, err);
}

static enum th_code play_in_time(struct playing *p, struct th_err *err)
{
    TH_AUTO(replay_merge) struct replay_merge *merge = NULL;
    const struct log_record *first;
    bool has_more = true;
    int64_t done, size;

    TH_TRY(replay_merge_open(p->replay->source, &merge, err));
    TH_TRY(replay_merge_look(merge, &first, err));
    const struct pace pace = {.first_us = first ? first->at_us : 0,
                              .begun_us = th_clock_monotonic_us(&th_clock_real),
                              .speed = p->replay->speed};
    while (has_more) {
        TH_TRY(play_what_is_due(p, merge, &pace, &has_more, err));
        replay_merge_progress(merge, &done, &size);
        tell(p, done, size);
        if (has_more)
            poll(NULL, 0, TICK_MS);
    }
    return TH_OK;
}

/* ------------------------------------------------------------------------------------------------
 */

static enum th_code play(struct playing *p, struct th_err *err)
{
    struct th_log *target = p->replay->target;

    TH_TRY(playing_init(p, err));
    TH_TRY(th_log_set_mark(target, LOG_MARK_REPLAYED, th_log_id(p->replay->source), err));
    TH_TRY(log_fill_open(target, &p->fill, err));
    return p->replay->speed > 0 ? play_in_time(p, err) : play_at_once(p, err);
}

enum th_code log_replay_run(const struct log_replay *replay, struct log_replayed *out,
                            struct th_err *err)
{
    struct playing playing = {.replay = replay, .out = out};
    bool is_same;

    *out = (struct log_replayed){0};
    TH_TRY(log_copy_check_target(replay->target, "", &is_same, err));
    enum th_code code = play(&playing, err);
    playing_fini(&playing);
    return code;
}
