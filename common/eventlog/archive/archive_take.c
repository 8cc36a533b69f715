#include "common/eventlog/archive/archive_take.h"

#include <inttypes.h>
#include <string.h>

#include "common/eventlog/archive/archive_writer.h"

#define READ_BYTES  ((size_t)1024 * 1024)
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

struct take {
    struct th_log *log;
    const struct archive_plan *plan;
    const struct archive_sink *sink;
    struct archive_taken taken;
    struct th_arena arena;
    int64_t *ends[TOPIC_COUNT]; /* of each partition, when this began; NULL: not wanted */
};

static bool is_wanted(const struct archive_plan *plan, int topic)
{
    return plan->topics == 0 || (plan->topics >> topic & 1) != 0;
}

static int64_t next_of(const struct take *take, enum topic topic, int part)
{
    return take->sink->next(take->sink->self, topic, part);
}

/* What is to be done. */
static enum th_code look_at_ends(struct take *take, struct th_err *err)
{
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int parts = th_log_partitions(take->log, (enum topic)t);
        if (!is_wanted(take->plan, t))
            continue;
        take->ends[t] = calloc((size_t)parts, sizeof *take->ends[t]);
        if (!take->ends[t])
            return th_fail(err, TH_NOMEM, "archiving");
        for (int p = 0; p < parts; p++) {
            int64_t *end = &take->ends[t][p];
            TH_TRY(th_log_end(take->log, (enum topic)t, p, end, err));
            int64_t next = next_of(take, (enum topic)t, p);
            take->taken.offsets_all += *end > next ? *end - next : 0;
            if (*end < next)
                return th_fail(err, TH_CORRUPT,
                               "%s partition %d ends at %" PRId64 ", and its archive has it up to "
                               "%" PRId64 ": the log went backwards",
                               topic_name((enum topic)t), p, *end, next);
        }
    }
    return TH_OK;
}

static void count(struct take *take, const struct log_records *records, size_t n, int64_t from)
{
    for (size_t i = 0; i < n; i++)
        take->taken.bytes += (int64_t)log_record_size(&records->at[i]);
    take->taken.records += (int64_t)n;
    take->taken.offsets += records->at[n - 1].place.offset + 1 - from;
}

static enum th_code take_records(struct take *take, struct th_log_reader *reader,
                                 struct log_place place, int64_t end, struct th_err *err)
{
    struct log_records records;

    while (place.offset < end) {
        size_t n = 0;
        th_arena_reset(&take->arena);
        TH_TRY(th_log_reader_read(reader, READ_BYTES, &take->arena, &records, err));
        while (n < records.n && records.at[n].place.offset < end)
            n++;
        if (n == 0)
            return TH_OK;
        TH_TRY(take->sink->add(take->sink->self, records.at, n, err));
        count(take, &records, n, place.offset);
        place.offset = records.at[n - 1].place.offset + 1;
        if (take->plan->progress)
            take->plan->progress(take->plan->arg, &take->taken);
    }
    return TH_OK;
}

static enum th_code take_part(struct take *take, enum topic topic, int part, struct th_err *err)
{
    struct log_place place = {topic, part, next_of(take, topic, part)};
    int64_t end = take->ends[topic][part];
    struct th_log_reader *reader;

    if (place.offset >= end)
        return TH_OK;
    take->taken.topic = topic;
    take->taken.part = part;
    TH_TRY(take->sink->begin(take->sink->self, topic, part, place.offset, err));
    TH_TRY(th_log_reader_open(take->log, &place, 1, &reader, err));
    enum th_code code = take_records(take, reader, place, end, err);
    th_log_reader_close(reader);
    TH_TRY(code);
    return take->sink->end(take->sink->self, err);
}

static enum th_code take_all(struct take *take, struct th_err *err)
{
    TH_TRY(look_at_ends(take, err));
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int parts = take->ends[t] ? th_log_partitions(take->log, (enum topic)t) : 0;
        for (int p = 0; p < parts; p++)
            TH_TRY(take_part(take, (enum topic)t, p, err));
    }
    return TH_OK;
}

/* Whatever came of it: what is whole is published, since a disk that is full may still have room
 * for that. */
enum th_code archive_take_into(struct th_log *log, const struct archive_sink *sink,
                               const struct archive_plan *plan, struct archive_taken *out,
                               struct th_err *err)
{
    struct take take = {.log = log, .plan = plan, .sink = sink};
    struct th_err ignored = {0};

    th_arena_init(&take.arena, ARENA_BYTES);
    enum th_code code = take_all(&take, err);
    enum th_code published = sink->publish(sink->self, code == TH_OK ? err : &ignored);
    th_arena_fini(&take.arena);
    for (int t = 0; t < TOPIC_COUNT; t++)
        free(take.ends[t]);
    *out = take.taken;
    return code == TH_OK ? published : code;
}

/* --- segments -----------------------------------------------------------------------------------
 */

static int64_t writer_next(void *self, enum topic topic, int part)
{
    return archive_manifest_next(archive_writer_manifest(self), topic, part);
}

static enum th_code writer_begin(void *self, enum topic topic, int part, int64_t from,
                                 struct th_err *err)
{
    return archive_writer_begin(self, topic, part, from, err);
}

static enum th_code writer_add(void *self, const struct log_record *records, size_t n,
                               struct th_err *err)
{
    return archive_writer_add(self, records, n, err);
}

static enum th_code writer_end(void *self, struct th_err *err)
{
    return archive_writer_end(self, err);
}

static enum th_code writer_publish(void *self, struct th_err *err)
{
    return archive_writer_publish(self, err);
}

enum th_code archive_take(struct th_log *log, const char *dir, int64_t segment_raw,
                          const struct archive_plan *plan, struct archive_taken *out,
                          struct th_err *err)
{
    TH_AUTO(archive_writer) struct archive_writer *writer = NULL;
    int partitions[TOPIC_COUNT];

    for (int t = 0; t < TOPIC_COUNT; t++)
        partitions[t] = th_log_partitions(log, (enum topic)t);
    struct archive_origin origin = {th_log_id(log), partitions, segment_raw};
    TH_TRY(archive_writer_open(dir, &origin, &writer, err));
    struct archive_sink sink = {writer,     writer_next, writer_begin,
                                writer_add, writer_end,  writer_publish};
    enum th_code code = archive_take_into(log, &sink, plan, out, err);
    out->segments = archive_writer_segments(writer);
    return code;
}
