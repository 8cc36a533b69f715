#include "common/eventlog/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/eventlog/headers.h"
#include "common/eventlog/log_driver.h"

#define APP_FIRST LOG_APP_CAMPAIGN
#define APP_LAST  LOG_APP_COPY

/* --- what all drivers may rely on ---------------------------------------------------------- */

int log_output_part(const struct th_log *log, const struct log_output *output)
{
    if (output->part >= 0)
        return output->part;
    if (topic_kind(output->topic) == TOPIC_REFERENCE)
        return 0;
    return topic_partition_of_key(output->key, log->partitions[output->topic]);
}

static enum th_code check_place(const struct th_log *log, struct log_place place,
                                struct th_err *err)
{
    if ((unsigned)place.topic >= TOPIC_COUNT)
        return th_fail(err, TH_INVALID, "topic %d: there is none", (int)place.topic);
    if (place.part < 0 || place.part >= log->partitions[place.topic])
        return th_fail(err, TH_INVALID, "%s: partition %d of %d", topic_name(place.topic),
                       place.part, log->partitions[place.topic]);
    if (place.offset < 0)
        return th_fail(err, TH_INVALID, "%s/%d: offset %" PRId64, topic_name(place.topic),
                       place.part, place.offset);
    return TH_OK;
}

/* Which partitions were named so far. */
struct part_set {
    uint8_t bits[TOPIC_COUNT * LOG_PARTITIONS_MAX / 8];
};

static enum th_code part_set_add(struct part_set *set, struct log_place place, struct th_err *err)
{
    size_t bit = (size_t)place.topic * LOG_PARTITIONS_MAX + (size_t)place.part;
    uint8_t mask = (uint8_t)(1u << (bit % 8));

    if (set->bits[bit / 8] & mask)
        return th_fail(err, TH_INVALID, "%s/%d is named twice", topic_name(place.topic),
                       place.part);
    set->bits[bit / 8] |= mask;
    return TH_OK;
}

static enum th_code check_output(const struct th_log *log, const struct log_output *output,
                                 struct th_err *err)
{
    if ((unsigned)output->topic >= TOPIC_COUNT)
        return th_fail(err, TH_INVALID, "topic %d: there is none", (int)output->topic);

    bool is_by_lane = topic_kind(output->topic) == TOPIC_BY_LANE;
    int partitions = log->partitions[output->topic];
    if (output->part < (is_by_lane ? 0 : -1) || output->part >= partitions)
        return th_fail(err, TH_INVALID, "%s: partition %d of %d%s", topic_name(output->topic),
                       output->part, partitions,
                       is_by_lane ? ", the writer must give the lane's" : "");
    if (output->key.n > LOG_KEY_SIZE_MAX)
        return th_fail(err, TH_INVALID, "%s: a key of %zu bytes, at most %d",
                       topic_name(output->topic), output->key.n, LOG_KEY_SIZE_MAX);
    if (output->value.n > LOG_RECORD_SIZE_MAX - output->key.n ||
        output->headers.n > LOG_RECORD_SIZE_MAX - output->key.n - output->value.n)
        return th_fail(err, TH_INVALID, "%s: a record of %zu bytes, at most %zu",
                       topic_name(output->topic), log_output_size(output), LOG_RECORD_SIZE_MAX);
    if (!log_headers_are_whole(output->headers))
        return th_fail(err, TH_INVALID,
                       "%s: headers of %zu bytes that cannot be read, or are too many",
                       topic_name(output->topic), output->headers.n);
    return TH_OK;
}

static enum th_code check_outputs(const struct th_log *log, const struct log_output *outputs,
                                  size_t n, struct th_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (check_output(log, &outputs[i], err) != TH_OK)
            return th_wrap(err, "record %zu of %zu", i, n);
    return TH_OK;
}

/* --- the log as a whole ---------------------------------------------------------------- */

int th_log_partitions(const struct th_log *log, enum topic topic)
{
    assert((unsigned)topic < TOPIC_COUNT);
    return log->partitions[topic];
}

const char *th_log_id(const struct th_log *log)
{
    return log->id;
}

enum log_mark th_log_mark(const struct th_log *log)
{
    return log->mark;
}

const char *th_log_origin(const struct th_log *log)
{
    return log->origin;
}

enum th_code th_log_set_mark(struct th_log *log, enum log_mark mark, const char *origin,
                             struct th_err *err)
{
    assert(strlen(origin) == LOG_ID_LEN);
    if (!log->ops->set_mark)
        return th_fail(err, TH_UNSUPPORTED, "a %s cannot be marked", log->ops->name);
    TH_TRY(log->ops->set_mark(log, mark, origin, err));
    log->mark = mark;
    snprintf(log->origin, sizeof log->origin, "%s", origin);
    return TH_OK;
}

void th_log_admit(struct th_log *log)
{
    log->is_admitted = true;
}

/* A copy that is not whole would repeat what it does not know; a replayed log is about people who
 * were called already; of one that was copied, the copy calls them. */
enum th_code th_log_check_mark(const struct th_log *log, struct th_err *err)
{
    if (log->is_admitted)
        return TH_OK;
    switch (log->mark) {
    case LOG_MARK_NONE:
        return TH_OK;
    case LOG_MARK_COPYING:
        return th_fail(err, TH_CONFLICT,
                       "log %s is half a copy of %s: run telehub log copy again, to its end",
                       log->id, log->origin);
    case LOG_MARK_MOVED:
        return th_fail(err, TH_CONFLICT,
                       "log %s was copied to %s, which goes on from it: set TELEHUB_LOG or "
                       "TELEHUB_DATABASE to where that lies",
                       log->id, log->origin);
    case LOG_MARK_REPLAYED:
        break;
    }
    return th_fail(err, TH_CONFLICT,
                   "log %s was replayed from %s: only materialize works on it, and nothing is "
                   "written to it",
                   log->id, log->origin);
}

enum th_code th_log_append(struct th_log *log, const struct log_output *outputs, size_t n,
                           struct log_place *out_places, struct th_err *err)
{
    TH_TRY(th_log_check_mark(log, err));
    TH_TRY(check_outputs(log, outputs, n, err));
    return n ? log->ops->append(log, outputs, n, out_places, err) : TH_OK;
}

enum th_code th_log_end(struct th_log *log, enum topic topic, int part, int64_t *out_end,
                        struct th_err *err)
{
    TH_TRY(check_place(log, (struct log_place){topic, part, 0}, err));
    return log->ops->end(log, topic, part, out_end, err);
}

enum th_code th_log_health(struct th_log *log, struct th_err *err)
{
    return log->ops->health ? log->ops->health(log, err) : TH_OK;
}

enum th_code th_log_start(struct th_log *log, enum topic topic, int part, int64_t *out_start,
                          struct th_err *err)
{
    TH_TRY(check_place(log, (struct log_place){topic, part, 0}, err));
    return log->ops->start(log, topic, part, out_start, err);
}

enum th_code th_log_trim(struct th_log *log, const struct log_place *places, size_t n,
                         struct th_err *err)
{
    TH_AUTO(free) void *memory = calloc(n + 1, sizeof *places);
    struct log_place *bounded = memory;
    struct part_set seen = {0};

    if (!bounded)
        return th_fail(err, TH_NOMEM, "%zu partitions", n);
    for (size_t i = 0; i < n; i++) {
        int64_t end;
        TH_TRY(check_place(log, places[i], err));
        TH_TRY(part_set_add(&seen, places[i], err));
        TH_TRY(log->ops->end(log, places[i].topic, places[i].part, &end, err));
        bounded[i] = places[i];
        if (bounded[i].offset >= end)
            bounded[i].offset = end > 0 ? end - 1 : 0;
    }
    return n ? log->ops->trim(log, bounded, n, err) : TH_OK;
}

void th_log_close(struct th_log *log)
{
    if (log)
        log->ops->close(log);
}

/* --- ingest ------------------------------------------------------------------------------- */

static enum th_code check_claim(const struct th_log *log, const struct log_claim *claim,
                                struct th_err *err)
{
    if (claim->key.n > LOG_IDEM_KEY_MAX)
        return th_fail(err, TH_INVALID, "an idempotency key of %zu bytes, at most %d", claim->key.n,
                       LOG_IDEM_KEY_MAX);
    if (claim->tenant.n > LOG_KEY_SIZE_MAX || claim->route.n > LOG_KEY_SIZE_MAX)
        return th_fail(err, TH_INVALID, "a tenant or route of more than %d bytes",
                       LOG_KEY_SIZE_MAX);
    if (claim->body.n > LOG_RECORD_SIZE_MAX)
        return th_fail(err, TH_INVALID, "an answer of %zu bytes, at most %zu", claim->body.n,
                       LOG_RECORD_SIZE_MAX);
    return check_outputs(log, claim->outputs, claim->outputs_n, err);
}

enum th_code th_log_ingest(struct th_log *log, struct log_claim *claims, size_t n,
                           struct th_arena *arena, struct th_err *err)
{
    TH_TRY(th_log_check_mark(log, err));
    for (size_t i = 0; i < n; i++)
        if (check_claim(log, &claims[i], err) != TH_OK)
            return th_wrap(err, "claim %zu of %zu", i, n);
    return n ? log->ops->ingest(log, claims, n, arena, err) : TH_OK;
}

enum th_code th_log_answers(struct th_log *log, log_answer_visit *visit, void *arg,
                            struct th_err *err)
{
    return log->ops->answers ? log->ops->answers(log, visit, arg, err) : TH_OK;
}

/* --- readers ------------------------------------------------------------------------------ */

enum th_code th_log_reader_open(struct th_log *log, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err)
{
    struct part_set seen = {0};

    if (n == 0)
        return th_fail(err, TH_INVALID, "a reader of nothing");
    for (size_t i = 0; i < n; i++) {
        TH_TRY(check_place(log, from[i], err));
        TH_TRY(part_set_add(&seen, from[i], err));
    }
    return log->ops->reader_open(log, from, n, out_reader, err);
}

enum th_code th_log_reader_read(struct th_log_reader *reader, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out, struct th_err *err)
{
    struct log_records records = {0};

    TH_TRY(reader->log->ops->reader_read(reader, bytes_max ? bytes_max : 1, arena, &records, err));
    *out = records;
    return TH_OK;
}

void th_log_reader_seek(struct th_log_reader *reader, struct log_place place)
{
    assert(check_place(reader->log, place, NULL) == TH_OK);
    reader->log->ops->reader_seek(reader, place);
}

void th_log_reader_close(struct th_log_reader *reader)
{
    if (reader)
        reader->log->ops->reader_close(reader);
}

/* --- listeners ----------------------------------------------------------------------------- */

enum th_code th_log_listener_open(struct th_log *log, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err)
{
    if (topics == 0 || topics >> TOPIC_COUNT != 0)
        return th_fail(err, TH_INVALID, "a listener for the topics %#" PRIx32, topics);
    return log->ops->listener_open(log, topics, out_listener, err);
}

void th_log_listener_narrow(struct th_log_listener *listener, int slot, int slots)
{
    assert(slots >= 1 && slots <= LOG_SLOTS_MAX && slot >= 0 && slot < slots);
    if (listener->log->ops->listener_narrow)
        listener->log->ops->listener_narrow(listener, slot, slots);
}

int th_log_listener_fd(const struct th_log_listener *listener)
{
    return listener->fd;
}

void th_log_listener_clear(struct th_log_listener *listener)
{
    listener->log->ops->listener_clear(listener);
}

void th_log_listener_close(struct th_log_listener *listener)
{
    if (listener)
        listener->log->ops->listener_close(listener);
}

/* --- slots ---------------------------------------------------------------------------------- */

static enum th_code check_app(enum log_app app, struct th_err *err)
{
    if (app < APP_FIRST || app > APP_LAST)
        return th_fail(err, TH_INVALID, "app %d: there is none", (int)app);
    return TH_OK;
}

static enum th_code check_seat(enum log_app app, int slot, struct th_err *err)
{
    TH_TRY(check_app(app, err));
    if (slot < 0 || slot >= LOG_SLOTS_MAX)
        return th_fail(err, TH_INVALID, "slot %d of at most %d", slot, LOG_SLOTS_MAX);
    return TH_OK;
}

enum th_code th_log_session_open(struct th_log *log, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err)
{
    TH_TRY(check_seat(app, slot, err));
    if (app != LOG_APP_COPY)
        TH_TRY(th_log_check_mark(log, err));
    return log->ops->session_open(log, app, slot, out_session, err);
}

static enum th_code check_begins_empty(struct th_log *log, const struct log_place *parts, size_t n,
                                       struct th_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int64_t end;
        TH_TRY(th_log_end(log, parts[i].topic, parts[i].part, &end, err));
        if (end > 0)
            return th_fail(err, TH_CORRUPT,
                           "no cursor, but %s/%d holds %" PRId64
                           " records: to begin again would repeat them all",
                           topic_name(parts[i].topic), parts[i].part, end);
    }
    return TH_OK;
}

static enum th_code check_not_beyond(struct th_log *log, struct log_place next, struct th_err *err)
{
    int64_t end;

    TH_TRY(check_place(log, next, err));
    TH_TRY(th_log_end(log, next.topic, next.part, &end, err));
    if (next.offset > end)
        return th_fail(err, TH_CORRUPT,
                       "%s/%d: read up to %" PRId64 ", but it ends at %" PRId64
                       ": the log has lost records",
                       topic_name(next.topic), next.part, next.offset, end);
    return TH_OK;
}

enum th_code th_log_session_check(const struct th_log_session *session,
                                  const struct log_place *parts, size_t n, struct th_err *err)
{
    if (session->cursors_n == 0)
        return check_begins_empty(session->log, parts, n, err);
    for (size_t i = 0; i < session->cursors_n; i++)
        TH_TRY(check_not_beyond(session->log, session->cursors[i].next, err));
    return TH_OK;
}

uint64_t th_log_session_nonce(const struct th_log_session *session)
{
    return session->nonce;
}

uint64_t th_log_session_next_seq(const struct th_log_session *session)
{
    return session->next_seq;
}

void th_log_session_cursors(const struct th_log_session *session,
                            const struct log_cursor **out_cursors, size_t *out_n)
{
    *out_cursors = session->cursors;
    *out_n = session->cursors_n;
}

enum th_code th_log_slot_cursors(struct th_log *log, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err)
{
    TH_TRY(check_seat(app, slot, err));
    *out_n = 0;
    if (!log->ops->slot_cursors)
        return TH_OK;
    return log->ops->slot_cursors(log, app, slot, arena, out_cursors, out_n, err);
}

static enum th_code check_cursors(const struct th_log *log, const struct log_cursor *cursors,
                                  size_t n, struct th_err *err)
{
    struct part_set seen = {0};

    if (n == 0)
        return th_fail(err, TH_INVALID, "a transaction without a cursor");
    for (size_t i = 0; i < n; i++) {
        TH_TRY(check_place(log, cursors[i].next, err));
        TH_TRY(part_set_add(&seen, cursors[i].next, err));
        if (cursors[i].note.n > LOG_NOTE_SIZE_MAX)
            return th_fail(err, TH_INVALID, "a cursor's note of %zu bytes, at most %d",
                           cursors[i].note.n, LOG_NOTE_SIZE_MAX);
    }
    return TH_OK;
}

enum th_code th_log_commit_start(struct th_log_session *session, const struct log_txn *txn,
                                 struct th_err *err)
{
    assert(!session->is_committing);
    assert(!session->is_fenced);
    TH_TRY(check_outputs(session->log, txn->outputs, txn->outputs_n, err));
    TH_TRY(check_cursors(session->log, txn->cursors, txn->cursors_n, err));
    TH_TRY(session->log->ops->commit_start(session, txn, err));
    session->is_committing = true;
    return TH_OK;
}

int th_log_session_fd(const struct th_log_session *session)
{
    return session->fd;
}

enum log_commit th_log_commit_poll(struct th_log_session *session, struct log_place *out_places,
                                   bool *out_is_answered, struct th_err *err)
{
    bool is_answered = false;
    struct th_err ignored;

    assert(session->is_committing);
    enum log_commit outcome =
        session->log->ops->commit_poll(session, out_places, &is_answered, err ? err : &ignored);
    session->is_committing = outcome == LOG_COMMIT_PENDING;
    session->is_fenced = outcome == LOG_FENCED;
    *out_is_answered = outcome == LOG_COMMITTED && is_answered;
    return outcome;
}

void th_log_session_close(struct th_log_session *session, bool release)
{
    if (session)
        session->log->ops->session_close(session, release);
}

/* --- snapshots -------------------------------------------------------------------------------- */

enum th_code th_log_snapshot_put(struct th_log *log, enum log_app app,
                                 const struct log_snapshot *snapshot, struct th_err *err)
{
    TH_TRY(check_app(app, err));
    if (snapshot->part < 0 || snapshot->part >= LOG_PARTITIONS_MAX || snapshot->piece < 0 ||
        snapshot->upto_offset < 0)
        return th_fail(err, TH_INVALID, "snapshot of partition %d piece %d up to %" PRId64,
                       snapshot->part, snapshot->piece, snapshot->upto_offset);
    if (snapshot->body.n > LOG_SNAPSHOT_SIZE_MAX)
        return th_fail(err, TH_INVALID, "a snapshot of %zu bytes, at most %zu", snapshot->body.n,
                       LOG_SNAPSHOT_SIZE_MAX);
    return log->ops->snapshot_put(log, app, snapshot, err);
}

enum th_code th_log_snapshot_get(struct th_log *log, enum log_app app, int part,
                                 struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                 struct log_snapshot **out_snapshots, size_t *out_n,
                                 struct th_err *err)
{
    TH_TRY(check_app(app, err));
    if (part < 0 || part >= LOG_PARTITIONS_MAX)
        return th_fail(err, TH_INVALID, "snapshots of partition %d", part);
    if (pieces.first < 0 || pieces.end < pieces.first)
        return th_fail(err, TH_INVALID, "snapshots of pieces %d to %d", pieces.first, pieces.end);
    return log->ops->snapshot_get(log, app, part, pieces, fold_version, arena, out_snapshots, out_n,
                                  err);
}
