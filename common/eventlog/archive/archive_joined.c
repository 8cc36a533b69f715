#include "common/eventlog/archive/archive_joined.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/log_driver.h"

/* The archive as its manifest was at one time; readers that began with it end with it. */
struct volume {
    struct th_log *log;
    struct stat manifest; /* the file: another one once the archive has changed */
    int users;            /* guarded by joined's mutex, as is whether it is the current one */
};

struct joined {
    struct th_log base; /* first member */
    struct th_log *live;
    char dir[ARCHIVE_PATH_MAX];
    pthread_mutex_t mutex;  /* guards current and every volume's users */
    struct volume *current; /* NULL: nobody has needed the archive yet; counts as a user */
};

struct part {
    struct log_place next; /* what is read next */
    int64_t start;         /* of the log, when it was asked last: what lies before is archived */
};

struct reader {
    struct th_log_reader base; /* first member */
    struct th_log_reader *live;
    struct volume *volume;         /* NULL: the archive is not being read */
    struct th_log_reader *archive; /* of the volume */
    bool is_behind;         /* some partition stands before its start: the archive is read first */
    struct log_place *from; /* room for n */
    size_t n;
    struct part parts[];
};

static struct joined *own(const struct th_log *log)
{
    return (struct joined *)log;
}

/* --- the archive as it is now -------------------------------------------------------------------
 */

static void volume_free(struct volume *volume)
{
    if (volume->log)
        th_log_close(volume->log);
    free(volume);
}

/* With the mutex held. */
static void give_up(struct volume *volume)
{
    if (volume && --volume->users == 0)
        volume_free(volume);
}

static void volume_give_back(struct joined *joined, struct volume *volume)
{
    (void)pthread_mutex_lock(&joined->mutex);
    give_up(volume);
    (void)pthread_mutex_unlock(&joined->mutex);
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static enum th_code volume_new(struct joined *joined, const struct stat *manifest,
                               struct volume **out, struct th_err *err)
{
    struct volume *volume = calloc(1, sizeof *volume);

    if (!volume)
        return th_fail(err, TH_NOMEM, "an archive");
    volume->manifest = *manifest;
    volume->users = 1;
    enum th_code code = archive_log_open(joined->dir, &volume->log, err);
    if (code == TH_OK && strcmp(th_log_id(volume->log), th_log_id(joined->live)) != 0)
        code = th_fail(err, TH_CONFLICT, "%s holds the archive of the log %s, and this one is %s",
                       joined->dir, th_log_id(volume->log), th_log_id(joined->live));
    if (code == TH_OK)
        *out = volume;
    else
        volume_free(volume);
    return code;
}

/* Looked at before it is opened: one that is replaced in between is opened once too often, never
 * taken for the new one. */
static enum th_code make_current(struct joined *joined, struct th_err *err)
{
    char path[ARCHIVE_PATH_MAX];
    struct volume *volume = NULL;
    struct stat manifest;

    TH_TRY(archive_path(joined->dir, ARCHIVE_MANIFEST, path, err));
    if (stat(path, &manifest) != 0) {
        enum th_code code = archive_io_failed(path, err);
        return code != TH_NOT_FOUND ? code
                                    : th_fail(err, code, "there is no archive in %s: %s is missing",
                                              joined->dir, ARCHIVE_MANIFEST);
    }
    if (joined->current && is_same_file(&joined->current->manifest, &manifest))
        return TH_OK;
    TH_TRY(volume_new(joined, &manifest, &volume, err));
    give_up(joined->current);
    joined->current = volume;
    return TH_OK;
}

/* Give it back. Errors: TH_NOT_FOUND (no archive is there), TH_CONFLICT (another log's); as
 * archive_log_open */
static enum th_code volume_take(struct joined *joined, struct volume **out, struct th_err *err)
{
    (void)pthread_mutex_lock(&joined->mutex);
    enum th_code code = make_current(joined, err);
    if (code == TH_OK) {
        *out = joined->current;
        (*out)->users++;
    }
    (void)pthread_mutex_unlock(&joined->mutex);
    return code;
}

/* --- readers ------------------------------------------------------------------------------------
 */

static void leave_archive(struct reader *reader)
{
    th_log_reader_close(reader->archive);
    reader->archive = NULL;
    if (reader->volume)
        volume_give_back(own(reader->base.log), reader->volume);
    reader->volume = NULL;
}

static void reader_close(struct th_log_reader *base)
{
    struct reader *reader = (struct reader *)base;

    leave_archive(reader);
    th_log_reader_close(reader->live);
    free(reader->from);
    free(reader);
}

static enum th_code reader_open(struct th_log *base, const struct log_place *from, size_t n,
                                struct th_log_reader **out_reader, struct th_err *err)
{
    struct reader *reader = calloc(1, sizeof *reader + n * sizeof *reader->parts);

    if (!reader)
        return th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    reader->base.log = base;
    reader->n = n;
    reader->from = calloc(n, sizeof *reader->from);
    for (size_t i = 0; i < n; i++)
        reader->parts[i].next = from[i];
    enum th_code code = TH_OK;
    if (!reader->from)
        code = th_fail(err, TH_NOMEM, "a reader of %zu partitions", n);
    if (code == TH_OK)
        code = th_log_reader_open(own(base)->live, from, n, &reader->live, err);
    if (code != TH_OK) {
        reader_close(&reader->base);
        return code;
    }
    *out_reader = &reader->base;
    return TH_OK;
}

static struct part *part_of(struct reader *reader, struct log_place place)
{
    for (size_t i = 0; i < reader->n; i++)
        if (reader->parts[i].next.topic == place.topic && reader->parts[i].next.part == place.part)
            return &reader->parts[i];
    return NULL;
}

static void reader_seek(struct th_log_reader *base, struct log_place place)
{
    struct reader *reader = (struct reader *)base;
    struct part *part = part_of(reader, place);

    assert(part);
    part->next = place;
    th_log_reader_seek(reader->live, place);
    leave_archive(reader); /* whoever is still behind is found again */
}

/* Between the archive's end and the log's beginning nothing may lie. */
static enum th_code check_gap(const struct volume *volume, struct log_place place, int64_t start,
                              struct th_err *err)
{
    int64_t end = 0;

    if (place.part < th_log_partitions(volume->log, place.topic))
        TH_TRY(th_log_end(volume->log, place.topic, place.part, &end, err));
    if (end >= start)
        return TH_OK;
    return th_fail(err, TH_CORRUPT,
                   "%s partition %d: the log begins at %" PRId64 " and its archive ends at %" PRId64
                   ": what lay between is in neither",
                   topic_name(place.topic), place.part, start, end);
}

/* Which partitions stand before the log's beginning; the log's reader waits at it for them. */
static enum th_code look_at_starts(struct reader *reader, size_t *out_n, struct th_err *err)
{
    struct joined *joined = own(reader->base.log);

    *out_n = 0;
    for (size_t i = 0; i < reader->n; i++) {
        struct part *part = &reader->parts[i];
        struct log_place at = part->next;
        TH_TRY(th_log_start(joined->live, at.topic, at.part, &part->start, err));
        if (at.offset >= part->start)
            continue;
        reader->from[(*out_n)++] = at;
        at.offset = part->start;
        th_log_reader_seek(reader->live, at);
    }
    return TH_OK;
}

static enum th_code open_archive(struct reader *reader, struct th_err *err)
{
    size_t n;

    TH_TRY(look_at_starts(reader, &n, err));
    if (n == 0)
        return TH_OK;
    TH_TRY(volume_take(own(reader->base.log), &reader->volume, err));
    for (size_t i = 0; i < n; i++)
        TH_TRY(check_gap(reader->volume, reader->from[i], part_of(reader, reader->from[i])->start,
                         err));
    return th_log_reader_open(reader->volume->log, reader->from, n, &reader->archive, err);
}

/* Whoever stands before the log's beginning reads the archive. After an error whoever does finds
 * out at the next read. */
static enum th_code go_to_archive(struct reader *reader, struct th_err *err)
{
    leave_archive(reader);
    reader->is_behind = true;
    enum th_code code = open_archive(reader, err);
    if (code != TH_OK || !reader->archive)
        leave_archive(reader);
    reader->is_behind = code != TH_OK || reader->archive;
    return code;
}

/* Of what the archive gave, what the log does not have; a partition of which the log has the rest
 * is sent to its end. */
static void take_from_archive(struct reader *reader, struct log_records *records)
{
    size_t n = 0;

    for (size_t i = 0; i < records->n; i++) {
        struct log_record *record = &records->at[i];
        struct part *part = part_of(reader, record->place);
        if (record->place.offset >= part->start) {
            part->next.offset = part->start;
            th_log_reader_seek(reader->archive, (struct log_place){record->place.topic,
                                                                   record->place.part, INT64_MAX});
            continue;
        }
        part->next.offset = record->place.offset + 1;
        records->at[n++] = *record;
    }
    records->n = n;
}

static void end_archive(struct reader *reader)
{
    leave_archive(reader);
    reader->is_behind = false;
    for (size_t i = 0; i < reader->n; i++)
        if (reader->parts[i].next.offset < reader->parts[i].start)
            reader->parts[i].next.offset = reader->parts[i].start;
}

static enum th_code read_archive(struct reader *reader, size_t bytes_max, struct th_arena *arena,
                                 struct log_records *out, struct th_err *err)
{
    while (reader->is_behind) {
        struct log_records records;
        if (!reader->archive)
            TH_TRY(go_to_archive(reader, err));
        if (!reader->archive)
            return TH_OK;
        enum th_code code = th_log_reader_read(reader->archive, bytes_max, arena, &records, err);
        if (code != TH_OK) {
            leave_archive(reader); /* the next read takes the archive as it is then */
            return code;
        }
        if (records.n == 0) {
            end_archive(reader);
            return TH_OK;
        }
        take_from_archive(reader, &records);
        if (records.n > 0) {
            *out = records;
            return TH_OK;
        }
    }
    return TH_OK;
}

static void move_on(struct reader *reader, const struct log_records *records)
{
    struct part *part = NULL;

    for (size_t i = 0; i < records->n; i++) {
        struct log_place place = records->at[i].place;
        if (!part || part->next.topic != place.topic || part->next.part != place.part)
            part = part_of(reader, place);
        part->next.offset = place.offset + 1;
    }
}

/* Most readers never need the archive: the log says when one does. */
static enum th_code reader_read(struct th_log_reader *base, size_t bytes_max,
                                struct th_arena *arena, struct log_records *out, struct th_err *err)
{
    struct reader *reader = (struct reader *)base;

    TH_TRY(read_archive(reader, bytes_max, arena, out, err));
    if (out->n > 0)
        return TH_OK;
    enum th_code code = th_log_reader_read(reader->live, bytes_max, arena, out, err);
    if (code == TH_NOT_FOUND) { /* it was trimmed, perhaps meanwhile */
        TH_TRY(go_to_archive(reader, err));
        TH_TRY(read_archive(reader, bytes_max, arena, out, err));
        code = out->n > 0 ? TH_OK : th_log_reader_read(reader->live, bytes_max, arena, out, err);
    }
    if (code == TH_OK && !reader->is_behind)
        move_on(reader, out);
    return code;
}

/* --- everything else is the log's ---------------------------------------------------------------
 */

static enum th_code append(struct th_log *log, const struct log_output *outputs, size_t n,
                           struct log_place *out_places, struct th_err *err)
{
    return th_log_append(own(log)->live, outputs, n, out_places, err);
}

static enum th_code ingest(struct th_log *log, struct log_claim *claims, size_t n,
                           struct th_arena *arena, struct th_err *err)
{
    return th_log_ingest(own(log)->live, claims, n, arena, err);
}

static enum th_code end(struct th_log *log, enum topic topic, int part, int64_t *out_end,
                        struct th_err *err)
{
    return th_log_end(own(log)->live, topic, part, out_end, err);
}

/* Where the archive begins, if it has what the log has not. */
static enum th_code start(struct th_log *log, enum topic topic, int part, int64_t *out_start,
                          struct th_err *err)
{
    struct joined *joined = own(log);
    struct volume *volume;

    TH_TRY(th_log_start(joined->live, topic, part, out_start, err));
    if (*out_start == 0)
        return TH_OK;
    enum th_code code = volume_take(joined, &volume, err);
    if (code == TH_NOT_FOUND)
        return TH_OK;
    TH_TRY(code);
    if (part < th_log_partitions(volume->log, topic))
        code = th_log_start(volume->log, topic, part, out_start, err);
    volume_give_back(joined, volume);
    return code;
}

static enum th_code trim(struct th_log *log, const struct log_place *places, size_t n,
                         struct th_err *err)
{
    return th_log_trim(own(log)->live, places, n, err);
}

static enum th_code health(struct th_log *log, struct th_err *err)
{
    return th_log_health(own(log)->live, err);
}

static enum th_code set_mark(struct th_log *log, enum log_mark mark, const char *origin,
                             struct th_err *err)
{
    return th_log_set_mark(own(log)->live, mark, origin, err);
}

static enum th_code answers(struct th_log *log, log_answer_visit *visit, void *arg,
                            struct th_err *err)
{
    return th_log_answers(own(log)->live, visit, arg, err);
}

static enum th_code slot_cursors(struct th_log *log, enum log_app app, int slot,
                                 struct th_arena *arena, struct log_cursor **out_cursors,
                                 size_t *out_n, struct th_err *err)
{
    return th_log_slot_cursors(own(log)->live, app, slot, arena, out_cursors, out_n, err);
}

static enum th_code listener_open(struct th_log *log, uint32_t topics,
                                  struct th_log_listener **out_listener, struct th_err *err)
{
    return th_log_listener_open(own(log)->live, topics, out_listener, err);
}

static enum th_code session_open(struct th_log *log, enum log_app app, int slot,
                                 struct th_log_session **out_session, struct th_err *err)
{
    return th_log_session_open(own(log)->live, app, slot, out_session, err);
}

static enum th_code snapshot_put(struct th_log *log, enum log_app app,
                                 const struct log_snapshot *snapshot, struct th_err *err)
{
    return th_log_snapshot_put(own(log)->live, app, snapshot, err);
}

static enum th_code snapshot_get(struct th_log *log, enum log_app app, int part,
                                 struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                 struct log_snapshot **out_snapshots, size_t *out_n,
                                 struct th_err *err)
{
    return th_log_snapshot_get(own(log)->live, app, part, pieces, fold_version, arena,
                               out_snapshots, out_n, err);
}

static void close_log(struct th_log *log)
{
    struct joined *joined = own(log);

    give_up(joined->current);
    th_log_close(joined->live);
    (void)pthread_mutex_destroy(&joined->mutex);
    free(joined);
}

/* Sessions and listeners say themselves whose they are: what is asked of them goes to the log. */
static const struct th_log_ops ops = {
    .name = "joined",
    .append = append,
    .end = end,
    .start = start,
    .trim = trim,
    .health = health,
    .set_mark = set_mark,
    .answers = answers,
    .ingest = ingest,
    .close = close_log,
    .reader_open = reader_open,
    .reader_read = reader_read,
    .reader_seek = reader_seek,
    .reader_close = reader_close,
    .listener_open = listener_open,
    .session_open = session_open,
    .slot_cursors = slot_cursors,
    .snapshot_put = snapshot_put,
    .snapshot_get = snapshot_get,
};

/* --- opening ------------------------------------------------------------------------------------
 */

enum th_code archive_is_needed(struct th_log *log, bool *out_is_needed, struct th_err *err)
{
    *out_is_needed = false;
    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; p < th_log_partitions(log, (enum topic)t); p++) {
            int64_t start;
            TH_TRY(th_log_start(log, (enum topic)t, p, &start, err));
            if (start > 0) {
                *out_is_needed = true;
                return TH_OK;
            }
        }
    return TH_OK;
}

enum th_code archive_joined_open(struct th_log *log, const char *dir, struct th_log **out_log,
                                 struct th_err *err)
{
    struct joined *joined = calloc(1, sizeof *joined);

    if (!joined)
        return th_fail(err, TH_NOMEM, "a log and its archive");
    if (strlen(dir) >= sizeof joined->dir) {
        free(joined);
        return th_fail(err, TH_INVALID, "%s: a path too long", dir);
    }
    snprintf(joined->dir, sizeof joined->dir, "%s", dir);
    joined->base = *log; /* its partitions, identity, marks */
    joined->base.ops = &ops;
    joined->live = log;
    (void)pthread_mutex_init(&joined->mutex, NULL);
    *out_log = &joined->base;
    return TH_OK;
}
