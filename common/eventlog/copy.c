#include "common/eventlog/copy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/eventlog/fill.h"
#include "common/eventlog/placement.h"
#include "common/eventlog/scan.h"
#include "common/eventlog/slot.h"

#define BATCH_BYTES   ((size_t)2 * 1024 * 1024)
#define ARENA_BYTES   ((size_t)64 * 1024 * 1024)
#define LOOK_BYTES    ((size_t)8 * 1024 * 1024)
#define TRIES_MAX     20 /* in a row, of transactions that were rolled back */
#define ANSWERS_BATCH 200
#define ANSWERS_BYTES ((size_t)8 * 1024 * 1024)

/* --- what may be copied, and where to ----------------------------------------------------------
 */

static enum th_code check_empty(struct th_log *target, struct th_err *err)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < th_log_partitions(target, (enum topic)topic); part++) {
            int64_t end;

            TH_TRY(th_log_end(target, (enum topic)topic, part, &end, err));
            if (end > 0)
                return th_fail(err, TH_CONFLICT,
                               "the target holds records already (%s/%d): name one that is empty, "
                               "or that there is not yet",
                               topic_name((enum topic)topic), part);
        }
    return TH_OK;
}

enum th_code log_copy_check_target(struct th_log *target, const char *source_id, bool *out_is_same,
                                   struct th_err *err)
{
    enum log_mark mark = th_log_mark(target);

    *out_is_same = mark == LOG_MARK_COPYING && strcmp(th_log_origin(target), source_id) == 0;
    if (*out_is_same)
        return TH_OK;
    if (mark != LOG_MARK_NONE)
        return th_fail(err, TH_CONFLICT, "the target is %s log %s already: name another",
                       mark == LOG_MARK_COPYING ? "half a copy of" : "replayed from",
                       th_log_origin(target));
    return check_empty(target, err);
}

/* A copy begins with empty snapshots: what its slots know is made of everything they ever said. */
static enum th_code check_beginnings(struct th_log *source, struct th_err *err)
{
    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        for (int part = 0; part < th_log_partitions(source, (enum topic)topic); part++) {
            int64_t start;

            TH_TRY(th_log_start(source, (enum topic)topic, part, &start, err));
            if (start > 0)
                return th_fail(err, TH_CONFLICT,
                               "the source begins at %" PRId64
                               " of %s/%d: what was before it lies in its archive. Name that with "
                               "--archive, and both are copied",
                               start, topic_name((enum topic)topic), part);
        }
    return TH_OK;
}

/* Killed between its last two acts, a copy is finished by another run. */
static enum th_code check_source_mark(const struct log_copy *copy, struct th_err *err)
{
    const char *origin = th_log_origin(copy->source);

    switch (th_log_mark(copy->source)) {
    case LOG_MARK_NONE:
        return TH_OK;
    case LOG_MARK_MOVED:
        if (strcmp(origin, th_log_id(copy->target)) == 0)
            return TH_OK;
        return th_fail(err, TH_CONFLICT, "the source was copied to %s already: copy that one",
                       origin);
    case LOG_MARK_COPYING:
        return th_fail(err, TH_CONFLICT, "the source is half a copy itself, and not to be copied");
    case LOG_MARK_REPLAYED:
        break;
    }
    return th_fail(err, TH_CONFLICT, "the source is replayed itself, and not to be copied");
}

static enum th_code check_source(const struct log_copy *copy, struct th_err *err)
{
    TH_TRY(check_source_mark(copy, err));
    if (strcmp(th_log_id(copy->source), th_log_id(copy->target)) == 0)
        return th_fail(err, TH_CONFLICT, "source and target are the same log");
    TH_TRY(check_beginnings(copy->source, err));
    for (const struct core_ops *const *core = copy->cores; *core; core++)
        if (slot_check_settled(copy->source, *core, err) != TH_OK)
            return th_wrap(err, "the source is not quiet");
    return TH_OK;
}

/* --- records ------------------------------------------------------------------------------------
 */

struct copying {
    const struct log_copy *copy;
    struct log_fill *fill;
    struct log_scan *scan;
    struct th_arena arena; /* of the batch */
    struct th_arena look;
    struct log_output *outputs;
    int64_t *at_us;
    size_t n;
    size_t cap;
    size_t bytes;
    uint64_t bytes_sent;
    uint64_t resumed;
};

static void copying_fini(struct copying *c)
{
    log_scan_close(c->scan);
    log_fill_close(c->fill);
    free(c->outputs);
    free(c->at_us);
    th_arena_fini(&c->arena);
    th_arena_fini(&c->look);
}

static enum th_code make_room(struct copying *c, size_t more)
{
    if (c->n + more <= c->cap)
        return TH_OK;
    size_t cap = 2 * (c->n + more);
    struct log_output *outputs = reallocarray(c->outputs, cap, sizeof *outputs);
    if (outputs)
        c->outputs = outputs;
    int64_t *at_us = reallocarray(c->at_us, cap, sizeof *at_us);
    if (at_us)
        c->at_us = at_us;
    if (!outputs || !at_us)
        return TH_NOMEM;
    c->cap = cap;
    return TH_OK;
}

static enum th_code take(struct copying *c, const struct log_record *record)
{
    enum topic topic = record->place.topic;
    const struct placement placement = {th_log_partitions(c->copy->source, topic),
                                        th_log_partitions(c->copy->target, topic), c->copy->slots};
    int part;

    TH_TRY(placement_of(&placement, record, &c->look, &part));
    c->outputs[c->n] =
        (struct log_output){topic, part, record->key, record->value, record->headers};
    c->at_us[c->n++] = record->at_us;
    c->bytes += log_record_size(record);
    return TH_OK;
}

/* A transaction's worth, of as many partitions as it takes. *out_behind: where the source was read
 * to; no records: the end. */
static enum th_code gather(struct copying *c, struct log_place *out_behind, struct th_err *err)
{
    size_t wanted = c->copy->batch_bytes ? c->copy->batch_bytes : BATCH_BYTES;
    struct log_records records;

    th_arena_reset(&c->arena);
    c->n = c->bytes = 0;
    do {
        TH_TRY(log_scan_next(c->scan, wanted - c->bytes, &c->arena, &records, out_behind, err));
        if (make_room(c, records.n) != TH_OK)
            return th_fail(err, TH_NOMEM, "%zu records", records.n);
        for (size_t i = 0; i < records.n; i++)
            if (take(c, &records.at[i]) != TH_OK)
                return th_fail(err, TH_NOMEM, "a record's place");
    } while (records.n > 0 && c->bytes < wanted);
    return TH_OK;
}

static void tell(const struct copying *c)
{
    const struct log_watch *watch = &c->copy->watch;
    struct log_progress progress = {.doing = "copying",
                                    .records = log_fill_records(c->fill) - c->resumed,
                                    .bytes = c->bytes_sent};

    if (!watch->told)
        return;
    log_scan_progress(c->scan, &progress.done, &progress.size);
    watch->told(watch->arg, &progress);
}

static enum th_code begin_where_it_stands(struct copying *c, struct th_err *err)
{
    log_scan_close(TH_TAKE(c->scan));
    return log_scan_open(c->copy->source, log_fill_place(c->fill), &c->scan, err);
}

/* From where it stands to the end, or to a transaction that was rolled back. */
static enum th_code copy_on(struct copying *c, bool *out_has_moved, struct th_err *err)
{
    struct log_place behind;

    TH_TRY(begin_where_it_stands(c, err));
    for (;;) {
        TH_TRY(gather(c, &behind, err));
        if (c->n == 0)
            return log_fill_flush(c->fill, err);
        uint64_t before = log_fill_records(c->fill);
        TH_TRY(log_fill_put(c->fill, c->outputs, c->at_us, c->n, behind, NULL, err));
        *out_has_moved = *out_has_moved || log_fill_records(c->fill) > before;
        c->bytes_sent += c->bytes;
        tell(c);
    }
}

static enum th_code copy_records(struct copying *c, struct th_err *err)
{
    enum th_code code = TH_ABORTED;

    TH_TRY(log_fill_open(c->copy->target, &c->fill, err));
    c->resumed = log_fill_records(c->fill);
    for (int tries = 0; code == TH_ABORTED && tries < TRIES_MAX; tries++) {
        bool has_moved = false;
        code = copy_on(c, &has_moved, err);
        if (has_moved)
            tries = 0;
    }
    return code == TH_ABORTED ? th_wrap(err, "the target rolls back every transaction") : code;
}

/* --- idempotency keys ---------------------------------------------------------------------------
 */

struct answers {
    struct th_log *target;
    struct th_arena arena;
    struct log_claim claims[ANSWERS_BATCH];
    size_t n;
    uint64_t all;
};

/* A key that is there already, from a run before this one, stays as it is. */
static enum th_code put_answers(struct answers *answers, struct th_err *err)
{
    if (answers->n > 0)
        TH_TRY(th_log_ingest(answers->target, answers->claims, answers->n, &answers->arena, err));
    answers->all += answers->n;
    answers->n = 0;
    th_arena_reset(&answers->arena);
    return TH_OK;
}

static enum th_code take_answer(void *arg, const struct log_claim *answer, struct th_err *err)
{
    struct answers *answers = arg;

    if (answers->n == ANSWERS_BATCH || answers->arena.used > ANSWERS_BYTES)
        TH_TRY(put_answers(answers, err));
    struct log_claim *claim = &answers->claims[answers->n];
    *claim = *answer;
    if (th_arena_copy(&answers->arena, answer->tenant, &claim->tenant) != TH_OK ||
        th_arena_copy(&answers->arena, answer->route, &claim->route) != TH_OK ||
        th_arena_copy(&answers->arena, answer->key, &claim->key) != TH_OK ||
        th_arena_copy(&answers->arena, answer->body, &claim->body) != TH_OK)
        return th_fail(err, TH_NOMEM, "an idempotency key");
    answers->n++;
    return TH_OK;
}

static enum th_code copy_answers(const struct log_copy *copy, uint64_t *out_n, struct th_err *err)
{
    struct answers answers = {.target = copy->target};

    th_arena_init(&answers.arena, ARENA_BYTES);
    enum th_code code = th_log_answers(copy->source, take_answer, &answers, err);
    if (code == TH_OK)
        code = put_answers(&answers, err);
    th_arena_fini(&answers.arena);
    *out_n = answers.all;
    return code;
}

/* --- the end ------------------------------------------------------------------------------------
 */

static enum th_code compare(const struct log_copy *copy, struct log_copied *out, struct th_err *err)
{
    int to[TOPIC_COUNT];

    for (int topic = 0; topic < TOPIC_COUNT; topic++)
        to[topic] = th_log_partitions(copy->target, (enum topic)topic);
    TH_TRY(log_sums_of(copy->source, to, copy->slots, "reading the source again", &copy->watch,
                       &out->source, err));
    TH_TRY(log_sums_of(copy->target, to, copy->slots, "reading the copy", &copy->watch,
                       &out->target, err));
    out->records = out->target.records;
    out->bytes = out->target.bytes;
    if (!log_sums_agree(&out->source, &out->target))
        return th_fail(err, TH_CORRUPT,
                       "the copy is not equal to the source (%" PRIu64 " records, %" PRIu64
                       " there): did somebody write to the source? Copy to a new target",
                       out->target.records, out->source.records);
    return TH_OK;
}

static enum th_code finish(const struct log_copy *copy, struct th_err *err)
{
    for (const struct core_ops *const *core = copy->cores; *core; core++)
        TH_TRY(slot_end_cursors(copy->target, *core, copy->slots, err));
    TH_TRY(th_log_set_mark(copy->source, LOG_MARK_MOVED, th_log_id(copy->target), err));
    return th_log_set_mark(copy->target, LOG_MARK_NONE, th_log_id(copy->source), err);
}

enum th_code log_copy_run(const struct log_copy *copy, struct log_copied *out, struct th_err *err)
{
    struct copying copying = {.copy = copy};
    bool is_same;

    *out = (struct log_copied){0};
    TH_TRY(check_source(copy, err));
    TH_TRY(log_copy_check_target(copy->target, th_log_id(copy->source), &is_same, err));
    if (!is_same)
        TH_TRY(th_log_set_mark(copy->target, LOG_MARK_COPYING, th_log_id(copy->source), err));
    th_log_admit(copy->target);

    th_arena_init(&copying.arena, ARENA_BYTES);
    th_arena_init(&copying.look, LOOK_BYTES);
    enum th_code code = copy_records(&copying, err);
    out->resumed = copying.resumed;
    copying_fini(&copying);
    TH_TRY(code);
    TH_TRY(copy_answers(copy, &out->answers, err));
    TH_TRY(check_source(copy, err)); /* nobody has worked on it meanwhile */
    TH_TRY(compare(copy, out, err));
    return copy->is_rehearsal ? TH_OK : finish(copy, err);
}
