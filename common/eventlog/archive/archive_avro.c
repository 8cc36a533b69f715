#include "common/eventlog/archive/archive_avro.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/date.h"
#include "common/encode.h"
#include "schemas/events.h"

#define TAKEN_NAME  "TAKEN"
#define TAKEN_MAX   ((uint64_t)4 * 1024 * 1024)
#define ARENA_BYTES ((size_t)64 * 1024 * 1024)

/* A file that is open: of one schema and one day. */
struct slot {
    struct avro_file file;
    uint32_t schema_id;
    int64_t day;
    uint64_t used; /* when, in records */
};

struct archive_avro {
    char dir[ARCHIVE_PATH_MAX];
    char log_id[ARCHIVE_LOG_ID_LEN + 1];
    int lock_fd;
    struct avro_deflater *deflater; /* NULL: codec null */
    int64_t *next[TOPIC_COUNT];     /* LOG_PARTITIONS_MAX each; NULL: nothing of it yet */
    struct archive_avro_counts counts;
    struct th_arena arena; /* of the event at hand */

    /* The partition at hand. */
    enum topic topic;
    int part;
    int64_t from;
    int64_t upto;
    int files; /* begun in this run */
    uint64_t clock;
    struct slot *slots; /* AVRO_FILES_OPEN */
    size_t slots_n;
};

/* --- how far it is ------------------------------------------------------------------------------
 */

static enum th_code set_next(struct archive_avro *avro, enum topic topic, int part, int64_t next)
{
    if (!avro->next[topic]) {
        avro->next[topic] = calloc(LOG_PARTITIONS_MAX, sizeof *avro->next[topic]);
        if (!avro->next[topic])
            return TH_NOMEM;
    }
    avro->next[topic][part] = next;
    return TH_OK;
}

/* "next TOPIC PARTITION OFFSET" */
static enum th_code parse_next(struct archive_avro *avro, struct th_str line)
{
    struct th_str word;
    struct th_str name;
    struct th_str part_text;
    enum topic topic;
    int64_t part;
    int64_t next;

    th_str_cut(line, ' ', &word, &line);
    th_str_cut(line, ' ', &name, &line);
    th_str_cut(line, ' ', &part_text, &line);
    if (!th_str_eq(word, TH_STR("next")) || !topic_by_name(name, &topic) ||
        !th_str_int(part_text, 0, LOG_PARTITIONS_MAX - 1, &part) ||
        !th_str_int(line, 0, INT64_MAX, &next))
        return TH_CORRUPT;
    return set_next(avro, topic, (int)part, next);
}

/* The last line is the checksum of those before it. */
static bool is_whole(struct th_str text, struct th_str *out_body)
{
    char sum[sizeof "sum 01234567\n"];

    if (text.n < sizeof sum - 1)
        return false;
    *out_body = (struct th_str){text.p, text.n - (sizeof sum - 1)};
    snprintf(sum, sizeof sum, "sum %08" PRIx32 "\n", crc32c(*out_body));
    return memcmp(text.p + out_body->n, sum, sizeof sum - 1) == 0;
}

static enum th_code parse_taken(struct archive_avro *avro, struct th_str text, struct th_err *err)
{
    struct th_str line;
    struct th_str id;

    if (!is_whole(text, &text))
        return th_fail(err, TH_CORRUPT,
                       "%s/%s is damaged: archive into an empty folder, or restore the file",
                       avro->dir, TAKEN_NAME);
    th_str_cut(text, '\n', &line, &text);
    if (!th_str_starts(line, TH_STR("telehub-avro 1 ")))
        return th_fail(err, TH_UNSUPPORTED, "%s/%s is of another program", avro->dir, TAKEN_NAME);
    id = (struct th_str){line.p + 15, line.n - 15};
    if (!th_str_eq(id, th_str(avro->log_id)))
        return th_fail(err, TH_CONFLICT,
                       "%s holds events of the log %.*s, and this one is %s: name another folder",
                       avro->dir, TH_ARG(id), avro->log_id);
    while (text.n > 0) {
        th_str_cut(text, '\n', &line, &text);
        enum th_code code = parse_next(avro, line);
        if (code != TH_OK)
            return th_fail(err, code, "%s/%s: %.*s", avro->dir, TAKEN_NAME, TH_ARG(line));
    }
    return TH_OK;
}

static enum th_code load_taken(struct archive_avro *avro, struct th_err *err)
{
    TH_AUTO(th_buf) struct th_buf text = {0};
    struct archive_input input;

    enum th_code code = archive_input_open(&input, avro->dir, TAKEN_NAME, err);
    if (code == TH_NOT_FOUND)
        return TH_OK;
    TH_TRY(code);
    if (input.size > TAKEN_MAX)
        code = th_fail(err, TH_CORRUPT, "%s: %" PRIu64 " bytes", input.path, input.size);
    else
        code = archive_input_read(&input, 0, (size_t)input.size, &text, err);
    archive_input_close(&input);
    return code == TH_OK ? parse_taken(avro, th_buf_str(&text), err) : code;
}

static enum th_code publish(void *self, struct th_err *err)
{
    struct archive_avro *avro = self;
    TH_AUTO(th_buf) struct th_buf text = {0};
    char path[ARCHIVE_PATH_MAX];

    th_buf_printf(&text, "telehub-avro 1 %s\n", avro->log_id);
    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; avro->next[t] && p < LOG_PARTITIONS_MAX; p++)
            if (avro->next[t][p] > 0)
                th_buf_printf(&text, "next %s %d %" PRId64 "\n", topic_name((enum topic)t), p,
                              avro->next[t][p]);
    if (th_buf_status(&text) == TH_OK)
        th_buf_printf(&text, "sum %08" PRIx32 "\n", crc32c(th_buf_str(&text)));
    if (th_buf_status(&text) != TH_OK)
        return th_fail(err, TH_NOMEM, "%s/%s", avro->dir, TAKEN_NAME);
    TH_TRY(archive_path(avro->dir, TAKEN_NAME, path, err));
    return archive_replace(path, th_buf_str(&text), err);
}

/* --- opening ------------------------------------------------------------------------------------
 */

void archive_avro_close(struct archive_avro *avro)
{
    if (!avro)
        return;
    for (size_t i = 0; i < avro->slots_n; i++)
        avro_file_abandon(&avro->slots[i].file);
    for (int t = 0; t < TOPIC_COUNT; t++)
        free(avro->next[t]);
    free(avro->slots);
    avro_deflater_free(avro->deflater);
    th_arena_fini(&avro->arena);
    if (avro->lock_fd >= 0)
        (void)close(avro->lock_fd);
    free(avro);
}

enum th_code archive_avro_open(const char *dir, const char *log_id, enum avro_codec codec,
                               struct archive_avro **out, struct th_err *err)
{
    TH_AUTO(archive_avro) struct archive_avro *avro = calloc(1, sizeof *avro);
    char path[ARCHIVE_PATH_MAX];

    if (!avro)
        return th_fail(err, TH_NOMEM, "Avro files");
    assert(strlen(log_id) == ARCHIVE_LOG_ID_LEN);
    avro->lock_fd = -1;
    th_arena_init(&avro->arena, ARENA_BYTES);
    avro->slots = calloc(AVRO_FILES_OPEN, sizeof *avro->slots);
    if (!avro->slots)
        return th_fail(err, TH_NOMEM, "Avro files");
    TH_TRY(archive_path(dir, TAKEN_NAME, path, err)); /* it fits */
    snprintf(avro->dir, sizeof avro->dir, "%s", dir);
    snprintf(avro->log_id, sizeof avro->log_id, "%s", log_id);
    if (codec == AVRO_CODEC_DEFLATE)
        TH_TRY(avro_deflater_new(&avro->deflater, err));
    TH_TRY(archive_make_dir(dir, err));
    TH_TRY(archive_lock(dir, &avro->lock_fd, err));
    TH_TRY(load_taken(avro, err));
    *out = TH_TAKE(avro);
    return TH_OK;
}

struct archive_avro_counts archive_avro_counts(const struct archive_avro *avro)
{
    return avro->counts;
}

/* --- files --------------------------------------------------------------------------------------
 */

static enum th_code name_file(const struct archive_avro *avro, uint32_t schema_id, int64_t day,
                              char out[ARCHIVE_PATH_MAX], struct th_err *err)
{
    struct th_date date = th_date_of_us(day * TH_US_PER_DAY);
    enum event_type type;
    char frame[AVRO_FRAME_LEN] = {0, (char)(schema_id >> 24), (char)(schema_id >> 16),
                                  (char)(schema_id >> 8), (char)schema_id};
    char name[512];

    TH_TRY(event_type_of((struct th_str){frame, sizeof frame}, &type));
    const char *full = event_type_name(type);
    const char *dot = strrchr(full, '.');
    snprintf(name, sizeof name, "%s/date=%04d-%02d-%02d", topic_name(avro->topic), date.year,
             date.month, date.day);
    TH_TRY(archive_path(avro->dir, name, out, err));
    TH_TRY(archive_make_dir(out, err));
    size_t n = strlen(name);
    snprintf(name + n, sizeof name - n, "/%s-v%" PRIu32 "-p%d-%020" PRId64 "-%04d.avro",
             dot ? dot + 1 : full, schema_id & 0xff, avro->part, avro->from, avro->files);
    return archive_path(avro->dir, name, out, err);
}

/* The same run gives the same bytes. */
static void derive_sync(const struct archive_avro *avro, const char *path,
                        uint8_t out[AVRO_SYNC_SIZE])
{
    const struct th_str parts[] = {th_str(avro->log_id), th_str(path + strlen(avro->dir))};
    uint8_t sha256[TH_SHA256_SIZE];

    th_sha256_parts(parts, TH_LEN(parts), sha256);
    memcpy(out, sha256, AVRO_SYNC_SIZE);
}

static enum th_code begin_file(struct archive_avro *avro, struct slot *slot, uint32_t schema_id,
                               int64_t day, struct th_err *err)
{
    uint8_t sync[AVRO_SYNC_SIZE];
    char path[ARCHIVE_PATH_MAX];

    slot->schema_id = schema_id;
    slot->day = day;
    TH_TRY(name_file(avro, schema_id, day, path, err));
    derive_sync(avro, path, sync);
    avro->files++;
    avro->counts.files++;
    return avro_file_begin(&slot->file, path, schema_json(schema_id), sync,
                           avro->deflater ? AVRO_CODEC_DEFLATE : AVRO_CODEC_NULL, err);
}

static struct slot *find_slot(struct archive_avro *avro, uint32_t schema_id, int64_t day)
{
    for (size_t i = 0; i < avro->slots_n; i++)
        if (avro->slots[i].schema_id == schema_id && avro->slots[i].day == day)
            return &avro->slots[i];
    return NULL;
}

/* A place for one file more: where too many are open, that of the one used longest ago. */
static enum th_code make_slot(struct archive_avro *avro, struct slot **out, struct th_err *err)
{
    if (avro->slots_n < AVRO_FILES_OPEN) {
        *out = &avro->slots[avro->slots_n++];
        (*out)->file.fd = -1;
        return TH_OK;
    }
    struct slot *oldest = &avro->slots[0];
    for (size_t i = 1; i < avro->slots_n; i++)
        if (avro->slots[i].used < oldest->used)
            oldest = &avro->slots[i];
    *out = oldest;
    return avro_file_finish(&oldest->file, avro->deflater, err);
}

static int64_t day_of(int64_t us)
{
    return us / TH_US_PER_DAY - (us % TH_US_PER_DAY < 0);
}

static enum th_code add_event(struct archive_avro *avro, const struct avro_frame *frame,
                              int64_t at_us, struct th_err *err)
{
    int64_t day = day_of(at_us);
    struct slot *slot = find_slot(avro, frame->schema_id, day);

    if (!slot) {
        TH_TRY(make_slot(avro, &slot, err));
        TH_TRY(begin_file(avro, slot, frame->schema_id, day, err));
    } else if (slot->file.bytes >= AVRO_FILE_BYTES) {
        TH_TRY(avro_file_finish(&slot->file, avro->deflater, err));
        TH_TRY(begin_file(avro, slot, frame->schema_id, day, err));
    }
    slot->used = ++avro->clock;
    avro->counts.events++;
    return avro_file_add(&slot->file, avro->deflater, frame->body, err);
}

/* --- the sink -----------------------------------------------------------------------------------
 */

static int64_t next_of(void *self, enum topic topic, int part)
{
    const struct archive_avro *avro = self;

    return avro->next[topic] ? avro->next[topic][part] : 0;
}

static enum th_code begin(void *self, enum topic topic, int part, int64_t from, struct th_err *err)
{
    struct archive_avro *avro = self;

    (void)err;
    avro->topic = topic;
    avro->part = part;
    avro->from = avro->upto = from;
    avro->files = 0;
    return TH_OK;
}

/* Only what our own decoder took goes into a file: readers of these files trust their schema. */
static enum th_code add_record(struct archive_avro *avro, const struct log_record *record,
                               struct th_err *err)
{
    struct avro_frame frame;
    struct event event;

    th_arena_reset(&avro->arena);
    enum th_code code = avro_read_frame(record->value, &frame, NULL);
    if (code == TH_OK)
        code = event_decode(record->value, &avro->arena, &event, NULL);
    if (code == TH_NOMEM)
        return th_fail(err, code, "%s partition %d offset %" PRId64, topic_name(avro->topic),
                       avro->part, record->place.offset);
    if (code != TH_OK || schema_json(frame.schema_id).n == 0) {
        avro->counts.left_out++;
        return TH_OK;
    }
    return add_event(avro, &frame, record->at_us, err);
}

static enum th_code add(void *self, const struct log_record *records, size_t n, struct th_err *err)
{
    struct archive_avro *avro = self;

    for (size_t i = 0; i < n; i++) {
        TH_TRY(add_record(avro, &records[i], err));
        avro->upto = records[i].place.offset + 1;
    }
    return TH_OK;
}

static enum th_code end(void *self, struct th_err *err)
{
    struct archive_avro *avro = self;

    for (size_t i = 0; i < avro->slots_n; i++) {
        TH_TRY(avro_file_finish(&avro->slots[i].file, avro->deflater, err));
        avro_file_abandon(&avro->slots[i].file); /* its memory */
    }
    avro->slots_n = 0;
    if (set_next(avro, avro->topic, avro->part, avro->upto) != TH_OK)
        return th_fail(err, TH_NOMEM, "Avro files");
    return publish(avro, err);
}

struct archive_sink archive_avro_sink(struct archive_avro *avro)
{
    return (struct archive_sink){avro, next_of, begin, add, end, publish};
}
