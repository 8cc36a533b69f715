#include "common/eventlog/replay.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/copy.h"
#include "common/eventlog/fill.h"
#include "common/eventlog/placement.h"
#include "common/eventlog/replay_mark.h"
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
    struct replay_merge *merge; /* NULL: partitions are read one after the other */
    struct replay_mark mark;
    struct log_place behind; /* of what was read */
    struct th_arena arena;   /* of the batch */
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
    replay_merge_close(p->merge);
    replay_mark_fini(&p->mark);
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

/* What is in the batch becomes durable, and with it how far the source was read; one that was
 * rolled back is sent again as it is. */
static enum th_code commit(struct playing *p, struct th_err *err)
{
    struct th_str tails[TOPIC_COUNT];
    enum th_code code = TH_ABORTED;

    TH_TRY(replay_mark_write(&p->mark, p->merge, tails, err));
    for (int tries = 0; code == TH_ABORTED && tries < TRIES_MAX; tries++) {
        TH_TRY(log_fill_put(p->fill, p->outputs, p->at_us, p->n, p->behind, tails, err));
        code = log_fill_flush(p->fill, err);
    }
    TH_TRY(code);
    p->out->records += p->n;
    p->n = p->bytes = 0;
    th_arena_reset(&p->arena);
    return TH_OK;
}

static enum th_code write(struct playing *p, struct th_err *err)
{
    return p->n > 0 ? commit(p, err) : TH_OK;
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
                             struct th_err *err)
{
    for (size_t i = 0; i < records->n; i++) {
        if (p->n == BATCH_MAX)
            return th_fail(err, TH_FULL, "a batch of more than %zu records", BATCH_MAX);
        TH_TRY(take(p, &records->at[i], err));
    }
    return is_full(p) ? write(p, err) : TH_OK;
}

static enum th_code play_at_once(struct playing *p, struct th_err *err)
{
    TH_AUTO(log_scan) struct log_scan *scan = NULL;
    struct log_records records;
    int64_t done, size;

    TH_TRY(log_scan_open(p->replay->source, p->behind, &scan, err));
    do {
        /* A read of so many bytes may hold more records than there is room for. */
        if (p->n > BATCH_MAX / 2)
            TH_TRY(write(p, err));
        TH_TRY(log_scan_next(scan, READ_BYTES, &p->arena, &records, &p->behind, err));
        TH_TRY(take_all(p, &records, err));
        log_scan_progress(scan, &done, &size);
        tell(p, done, size);
    } while (records.n > 0);
    return write(p, err);
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
    if (pace->speed == 0)
        return INT64_MAX;
    return pace->first_us + (th_clock_monotonic_us(&th_clock_real) - pace->begun_us) * pace->speed;
}

static void tell_merged(const struct playing *p)
{
    int64_t done, size;

    replay_merge_progress(p->merge, &done, &size);
    tell(p, done, size);
}

static enum th_code play_what_is_due(struct playing *p, const struct pace *pace, bool *out_has_more,
                                     struct th_err *err)
{
    const struct log_record *record;

    for (;;) {
        TH_TRY(replay_merge_look(p->merge, &record, err));
        *out_has_more = record != NULL;
        if (!record || record->at_us > due_up_to(pace))
            return write(p, err);
        TH_TRY(take_copy(p, record, err));
        replay_merge_pass(p->merge);
        if (!is_full(p))
            continue;
        TH_TRY(write(p, err));
        tell_merged(p);
    }
}

static enum th_code play_in_time(struct playing *p, struct th_err *err)
{
    const struct log_record *first;
    bool has_more = true;

    TH_TRY(replay_merge_look(p->merge, &first, err));
    const struct pace pace = {.first_us = first ? first->at_us : 0,
                              .begun_us = th_clock_monotonic_us(&th_clock_real),
                              .speed = p->replay->speed};
    while (has_more) {
        TH_TRY(play_what_is_due(p, &pace, &has_more, err));
        tell_merged(p);
        if (has_more)
            poll(NULL, 0, TICK_MS);
    }
    return TH_OK;
}

/* --- from where it stands -----------------------------------------------------------------------
 */

/* Is it ours to go on with? Nothing is there when whoever began it came no further than the mark.
 */
static enum th_code look_at_mark(struct playing *p, bool *out_goes_on, struct th_err *err)
{
    struct th_log *target = p->replay->target;
    uint64_t asked = p->mark.asked;
    bool is_same;

    TH_TRY(replay_mark_read(p->fill, &p->mark, out_goes_on, err));
    if (*out_goes_on && p->mark.asked != asked && !p->mark.is_done)
        return th_fail(err, TH_CONFLICT,
                       "the target is half a replay with another --filter or --slots: name the "
                       "same, or another target");
    if ((*out_goes_on && p->mark.is_done) || (!*out_goes_on && log_fill_records(p->fill) > 0))
        return log_copy_check_target(target, "", &is_same, err); /* whole: refused */
    return TH_OK;
}

/* Who scanned goes on scanning, unless it is to be in time; who merged merges. */
static enum th_code begin(struct playing *p, bool goes_on, struct th_err *err)
{
    bool has_merged = goes_on && p->mark.is_merged;

    p->out->resumed = log_fill_records(p->fill);
    p->behind = log_fill_place(p->fill);
    if (p->replay->speed == 0 && !has_merged)
        return TH_OK;
    TH_TRY(replay_merge_open(p->replay->source, &p->merge, err));
    return goes_on ? replay_mark_seek(&p->mark, p->fill, p->merge, err) : TH_OK;
}

static enum th_code end(struct playing *p, struct th_err *err)
{
    p->mark.is_done = true;
    return commit(p, err);
}

static enum th_code play(struct playing *p, bool is_begun, struct th_err *err)
{
    struct th_log *target = p->replay->target;
    bool goes_on = false;

    p->mark.asked = replay_mark_asked(&p->replay->filter, p->replay->slots);
    TH_TRY(playing_init(p, err));
    if (!is_begun)
        TH_TRY(th_log_set_mark(target, LOG_MARK_REPLAYED, th_log_id(p->replay->source), err));
    th_log_admit(target);
    TH_TRY(log_fill_open(target, &p->fill, err));
    TH_TRY(look_at_mark(p, &goes_on, err));
    TH_TRY(begin(p, goes_on, err));
    TH_TRY(p->merge ? play_in_time(p, err) : play_at_once(p, err));
    return end(p, err);
}

enum th_code log_replay_run(const struct log_replay *replay, struct log_replayed *out,
                            struct th_err *err)
{
    struct playing playing = {.replay = replay, .out = out};
    bool is_begun = th_log_mark(replay->target) == LOG_MARK_REPLAYED &&
                    strcmp(th_log_origin(replay->target), th_log_id(replay->source)) == 0;
    bool is_same;

    *out = (struct log_replayed){0};
    if (!is_begun)
        TH_TRY(log_copy_check_target(replay->target, "", &is_same, err));
    enum th_code code = play(&playing, is_begun, err);
    playing_fini(&playing);
    return code;
}
