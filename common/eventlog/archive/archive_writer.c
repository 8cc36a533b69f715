#include "common/eventlog/archive/archive_writer.h"

#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_verify.h"

#define PUBLISH_AFTER 16 /* segments: so much is done again after a crash */
#define SHORT_PART    8  /* of a whole segment: less than that is short */
#define COPY_BYTES    ((uint64_t)256 * 1024)

struct archive_writer {
    char dir[ARCHIVE_PATH_MAX];
    int lock_fd;
    int64_t segment_raw;
    struct archive_manifest manifest;
    size_t unpublished; /* segments */
    int64_t segments;   /* written */
    bool has_news;      /* beside them: topics, or the archive itself */

    bool is_begun; /* a partition */
    struct archive_head head;
    int64_t next; /* the least offset that may come */

    int fd; /* of the segment at hand; -1: none */
    char path[ARCHIVE_PATH_MAX];
    uint64_t position;
    struct archive_segment segment;
    struct archive_index index;
    size_t index_cap;
    struct th_sha256_sum sum;
    struct archive_packer packer;
    struct th_buf bytes;
};

const struct archive_manifest *archive_writer_manifest(const struct archive_writer *writer)
{
    return &writer->manifest;
}

int64_t archive_writer_segments(const struct archive_writer *writer)
{
    return writer->segments;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static enum th_code check_topics(struct archive_writer *writer, const int *partitions,
                                 struct th_err *err)
{
    for (int t = 0; t < TOPIC_COUNT; t++) {
        int *has = &writer->manifest.partitions[t];
        if (*has == partitions[t])
            continue;
        if (*has != 0)
            return th_fail(err, TH_CONFLICT,
                           "the archive %s has %d partitions of %s, the log has %d", writer->dir,
                           *has, topic_name((enum topic)t), partitions[t]);
        *has = partitions[t];
        writer->has_news = true;
    }
    return TH_OK;
}

static enum th_code open_all(struct archive_writer *writer, const char *dir,
                             const struct archive_origin *origin, struct th_err *err)
{

    TH_TRY(archive_path(dir, ARCHIVE_MANIFEST, writer->path, err));
    snprintf(writer->dir, sizeof writer->dir, "%s", dir);
    TH_TRY(archive_make_dir(dir, err));
    TH_TRY(archive_lock(dir, &writer->lock_fd, err));
    enum th_code code = archive_load_manifest(dir, &writer->manifest, err);
    bool is_new = code == TH_NOT_FOUND;
    if (code != TH_OK && !is_new)
        return code;
    if (is_new)
        snprintf(writer->manifest.log_id, sizeof writer->manifest.log_id, "%s", origin->log_id);
    else if (strcmp(writer->manifest.log_id, origin->log_id) != 0)
        return th_fail(
            err, TH_CONFLICT,
            "%s holds the archive of the log %s, and this one is %s: name another folder", dir,
            writer->manifest.log_id, origin->log_id);
    writer->has_news = is_new;
    return check_topics(writer, origin->partitions, err);
}

enum th_code archive_writer_open(const char *dir, const struct archive_origin *origin,
                                 struct archive_writer **out, struct th_err *err)
{
    TH_AUTO(archive_writer) struct archive_writer *writer = calloc(1, sizeof *writer);

    if (!writer)
        return th_fail(err, TH_NOMEM, "an archive");
    assert(strlen(origin->log_id) == ARCHIVE_LOG_ID_LEN);
    writer->fd = writer->lock_fd = -1;
    writer->segment_raw = origin->segment_raw ? origin->segment_raw : ARCHIVE_SEGMENT_RAW;
    TH_TRY(open_all(writer, dir, origin, err));
    *out = TH_TAKE(writer);
    return TH_OK;
}

void archive_writer_close(struct archive_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        archive_abandon(writer->fd, writer->path);
    if (writer->lock_fd >= 0)
        (void)close(writer->lock_fd);
    archive_manifest_fini(&writer->manifest);
    archive_packer_fini(&writer->packer);
    th_buf_fini(&writer->bytes);
    free(writer->index.at);
    free(writer);
}

/* --- publishing ---------------------------------------------------------------------------------
 */

enum th_code archive_writer_publish(struct archive_writer *writer, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    char path[ARCHIVE_PATH_MAX];

    if (writer->unpublished == 0 && !writer->has_news)
        return TH_OK;
    archive_manifest_print(&writer->manifest, &text);
    if (th_buf_status(&text) != TH_OK)
        return th_fail(err, TH_NOMEM, "a manifest of %zu segments", writer->manifest.n);
    TH_TRY(archive_path(writer->dir, ARCHIVE_MANIFEST, path, err));
    TH_TRY(archive_replace(path, th_buf_str(&text), err));
    for (size_t i = 0; i < writer->manifest.n; i++)
        writer->manifest.at[i].is_new = false;
    writer->unpublished = 0;
    writer->has_news = false;
    return TH_OK;
}

/* --- a partition --------------------------------------------------------------------------------
 */

/* The file of a segment that the manifest names? */
static bool is_named(const struct archive_writer *writer, const char *name)
{
    const struct archive_manifest *manifest = &writer->manifest;
    char named[ARCHIVE_SEGMENT_NAME_MAX];
    int64_t from;
    size_t n;
    size_t low = archive_manifest_part(manifest, writer->head.topic, writer->head.part, &n);
    size_t high = low + n;

    if (!th_str_int((struct th_str){name, strcspn(name, "-.")}, 0, INT64_MAX, &from))
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (manifest->at[middle].from == from) {
            archive_segment_name(&manifest->at[middle], named);
            return strcmp(strrchr(named, '/') + 1, name) == 0;
        }
        if (manifest->at[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);

    return n >= strlen(end) && strcmp(text + n - strlen(end), end) == 0;
}

/* What a writer left behind that came to no end. */
static enum th_code throw_away_strays(const struct archive_writer *writer, const char *dir,
                                      struct th_err *err)
{
    char path[ARCHIVE_PATH_MAX];
    DIR *stream = opendir(dir);
    struct dirent *entry;

    if (!stream)
        return archive_io_failed(dir, err);
    while ((entry = readdir(stream))) {
        const char *name = entry->d_name;
        bool is_ours = ends_with(name, ".seg") || ends_with(name, ".seg" ARCHIVE_NEW_SUFFIX);
        if (!is_ours || is_named(writer, name))
            continue;
        if (archive_path(dir, name, path, NULL) == TH_OK)
            (void)unlink(path); /* one that stays is written over, or only takes room */
    }
    (void)closedir(stream);
    return TH_OK;
}

enum th_code archive_writer_begin(struct archive_writer *writer, enum topic topic, int part,
                                  int64_t from, struct th_err *err)
{
    char dir[ARCHIVE_PATH_MAX];
    char name[64];
    const struct archive_segment *last = archive_manifest_last(&writer->manifest, topic, part);

    assert(!writer->is_begun);
    assert(part >= 0 && part < writer->manifest.partitions[topic]);
    writer->head =
        (struct archive_head){.topic = topic, .part = part, .from = last ? last->next : from};
    memcpy(writer->head.log_id, writer->manifest.log_id, sizeof writer->head.log_id);
    writer->next = writer->head.from;
    snprintf(name, sizeof name, "%s/%d", topic_name(topic), part);
    TH_TRY(archive_path(writer->dir, name, dir, err));
    TH_TRY(archive_make_dir(dir, err));
    if (!last || !last->is_new) /* else the manifest on the disk names what it continues */
        TH_TRY(throw_away_strays(writer, dir, err));
    writer->is_begun = true;
    return TH_OK;
}

/* --- a segment ----------------------------------------------------------------------------------
 */

static enum th_code put(struct archive_writer *writer, struct th_str bytes, struct th_err *err)
{
    TH_TRY(archive_write(writer->fd, writer->path, bytes, err));
    th_sha256_add(&writer->sum, bytes);
    writer->position += bytes.n;
    return TH_OK;
}

/* Its file, with a head and nothing else in it. */
static enum th_code begin_file(struct archive_writer *writer, struct th_err *err)
{
    char name[ARCHIVE_SEGMENT_NAME_MAX];
    char head[ARCHIVE_HEAD_SIZE];

    writer->head.from = writer->segment.from;
    archive_segment_name(&writer->segment, name);
    TH_TRY(archive_path(writer->dir, name, writer->path, err));
    TH_TRY(archive_begin(writer->path, &writer->fd, err));
    writer->position = 0;
    writer->index.n = 0;
    th_sha256_begin(&writer->sum);
    archive_packer_clear(&writer->packer);
    archive_head_put(&writer->head, head);
    return put(writer, (struct th_str){head, sizeof head}, err);
}

static enum th_code note_block(struct archive_writer *writer, const struct archive_entry *entry)
{
    struct archive_index *index = &writer->index;

    if (index->n == writer->index_cap) {
        size_t cap = index->n ? index->n * 2 : 256;
        struct archive_entry *at = reallocarray(index->at, cap, sizeof *at);
        if (!at)
            return TH_NOMEM;
        index->at = at;
        writer->index_cap = cap;
    }
    index->at[index->n++] = *entry;
    return TH_OK;
}

/* The index of a segment that was found whole a moment ago, and where it begins. Free out->at. */
static enum th_code read_index(struct archive_writer *writer, const struct archive_input *input,
                               struct archive_index *out, uint64_t *out_position,
                               struct th_err *err)
{
    struct archive_bad bad;
    uint64_t tail_at = input->size - ARCHIVE_TAIL_SIZE;

    TH_TRY(archive_input_read(input, tail_at, ARCHIVE_TAIL_SIZE, &writer->bytes, err));
    TH_TRY(archive_tail_get(th_buf_str(&writer->bytes), input->size, out_position, err));
    TH_TRY(archive_input_read(input, *out_position, (size_t)(input->size - *out_position),
                              &writer->bytes, err));
    return archive_index_get(th_buf_str(&writer->bytes), *out_position, out, &bad, err);
}

/* All blocks, as they are: heads are of one size, so each lies where it lay. */
static enum th_code copy_blocks(struct archive_writer *writer, const struct archive_input *input,
                                struct th_err *err)
{
    struct archive_index index = {0};
    uint64_t end;

    TH_TRY(read_index(writer, input, &index, &end, err));
    enum th_code code = TH_OK;
    for (size_t i = 0; code == TH_OK && i < index.n; i++)
        code = note_block(writer, &index.at[i]);
    free(index.at);
    if (code != TH_OK)
        return th_fail(err, code, "an index of %zu blocks", index.n);
    while (writer->position < end) {
        uint64_t size = end - writer->position < COPY_BYTES ? end - writer->position : COPY_BYTES;
        TH_TRY(archive_input_read(input, writer->position, (size_t)size, &writer->bytes, err));
        TH_TRY(put(writer, th_buf_str(&writer->bytes), err));
    }
    return TH_OK;
}

static enum th_code continue_segment(struct archive_writer *writer,
                                     const struct archive_segment *last, struct th_err *err)
{
    char name[ARCHIVE_SEGMENT_NAME_MAX];
    struct archive_input input;

    archive_segment_name(last, name);
    writer->segment = *last;
    writer->segment.turn++;
    TH_TRY(begin_file(writer, err));
    TH_TRY(archive_input_open(&input, writer->dir, name, err));
    enum th_code code = copy_blocks(writer, &input, err);
    archive_input_close(&input);
    return code;
}

/* Much of it is not written again for a little more. */
static bool is_short(const struct archive_writer *writer, const struct archive_segment *last,
                     int64_t at_us)
{
    return last->raw_bytes < writer->segment_raw / SHORT_PART &&
           at_us - last->from_us < ARCHIVE_SEGMENT_US && last->turn < ARCHIVE_TURNS_MAX;
}

/* The next record's time is at_us. */
static enum th_code begin_segment(struct archive_writer *writer, int64_t at_us, struct th_err *err)
{
    const struct archive_segment *last =
        archive_manifest_last(&writer->manifest, writer->head.topic, writer->head.part);
    struct th_err damage = {0};

    if (last && is_short(writer, last, at_us)) {
        enum th_code code =
            archive_verify_segment(writer->dir, writer->manifest.log_id, last, &damage);
        if (code == TH_OK)
            return continue_segment(writer, last, err);
        if (code != TH_CORRUPT)
            return th_fail(err, code, "%s", damage.text);
    }
    writer->segment = (struct archive_segment){.topic = writer->head.topic,
                                               .part = writer->head.part,
                                               .from = writer->head.from,
                                               .from_us = at_us,
                                               .to_us = at_us};
    return begin_file(writer, err);
}

static enum th_code end_block(struct archive_writer *writer, struct th_err *err)
{
    if (writer->packer.block.records == 0)
        return TH_OK;
    if (archive_block_make(&writer->packer, &writer->bytes) != TH_OK ||
        note_block(writer, &(struct archive_entry){writer->packer.block, writer->position}) !=
            TH_OK)
        return th_fail(err, TH_NOMEM, "a block of %" PRIu32 " records",
                       writer->packer.block.records);
    writer->segment.raw_bytes += writer->packer.block.raw_size;
    archive_packer_clear(&writer->packer);
    return put(writer, th_buf_str(&writer->bytes), err);
}

static enum th_code put_index(struct archive_writer *writer, struct th_err *err)
{
    struct archive_index *index = &writer->index;

    index->records = writer->segment.records;
    index->next = writer->segment.next;
    index->from_us = writer->segment.from_us;
    index->to_us = writer->segment.to_us;
    th_buf_clear(&writer->bytes);
    archive_index_put(index, writer->position, &writer->bytes);
    if (th_buf_status(&writer->bytes) != TH_OK)
        return th_fail(err, TH_NOMEM, "an index of %zu blocks", index->n);
    return put(writer, th_buf_str(&writer->bytes), err);
}

static enum th_code end_segment(struct archive_writer *writer, struct th_err *err)
{
    if (writer->fd < 0)
        return TH_OK;
    TH_TRY(end_block(writer, err));
    TH_TRY(put_index(writer, err));
    writer->segment.bytes = (int64_t)writer->position;
    th_sha256_end(&writer->sum, writer->segment.sha256);
    int fd = writer->fd;
    writer->fd = -1;
    TH_TRY(archive_finish(fd, writer->path, err));
    writer->segment.is_new = true;
    if (writer->segment.turn > 0)
        archive_manifest_replace(&writer->manifest, &writer->segment);
    else if (archive_manifest_add(&writer->manifest, &writer->segment) != TH_OK)
        return th_fail(err, TH_NOMEM, "a manifest of %zu segments", writer->manifest.n);
    writer->head.from = writer->segment.next;
    writer->segments++;
    writer->unpublished++;
    return writer->unpublished >= PUBLISH_AFTER ? archive_writer_publish(writer, err) : TH_OK;
}

static void count(struct archive_segment *segment, const struct log_record *record)
{
    segment->records++;
    segment->next = record->place.offset + 1;
    if (record->at_us < segment->from_us)
        segment->from_us = record->at_us;
    if (record->at_us > segment->to_us)
        segment->to_us = record->at_us;
}

static enum th_code add_one(struct archive_writer *writer, const struct log_record *record,
                            struct th_err *err)
{
    assert(writer->is_begun);
    assert(record->place.topic == writer->head.topic && record->place.part == writer->head.part);
    if (record->place.offset < writer->next || record->place.offset == INT64_MAX)
        return th_fail(err, TH_CORRUPT, "%s partition %d: offset %" PRId64 " comes after %" PRId64,
                       topic_name(writer->head.topic), writer->head.part, record->place.offset,
                       writer->next - 1);
    if (log_record_size(record) > LOG_RECORD_SIZE_MAX)
        return th_fail(err, TH_INVALID, "%s partition %d offset %" PRId64 ": a record of %zu bytes",
                       topic_name(writer->head.topic), writer->head.part, record->place.offset,
                       log_record_size(record));
    if (writer->fd < 0)
        TH_TRY(begin_segment(writer, record->at_us, err));
    if (archive_pack(&writer->packer, record) != TH_OK)
        return th_fail(err, TH_NOMEM, "a block of an archive");
    count(&writer->segment, record);
    writer->next = record->place.offset + 1;
    if (writer->packer.block.raw_size < ARCHIVE_BLOCK_RAW)
        return TH_OK;
    TH_TRY(end_block(writer, err));
    bool is_full = writer->segment.raw_bytes >= writer->segment_raw ||
                   writer->index.n >= ARCHIVE_BLOCKS_MAX - 1;
    return is_full ? end_segment(writer, err) : TH_OK;
}

enum th_code archive_writer_add(struct archive_writer *writer, const struct log_record *records,
                                size_t n, struct th_err *err)
{
    for (size_t i = 0; i < n; i++)
        TH_TRY(add_one(writer, &records[i], err));
    return TH_OK;
}

enum th_code archive_writer_end(struct archive_writer *writer, struct th_err *err)
{
    assert(writer->is_begun);
    writer->is_begun = false;
    return end_segment(writer, err);
}
