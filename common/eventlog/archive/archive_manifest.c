#include "common/eventlog/archive/archive_manifest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/crc32c.h"
#include "common/encode.h"

#define WORDS_MAX 12
#define SUM_SIZE  9 /* of a line: a space and eight digits */

void archive_manifest_fini(struct archive_manifest *manifest)
{
    free(manifest->at);
    *manifest = (struct archive_manifest){0};
}

static int order(const struct archive_segment *a, enum topic topic, int part)
{
    if (a->topic != topic)
        return a->topic < topic ? -1 : 1;
    return (a->part > part) - (a->part < part);
}

size_t archive_manifest_part(const struct archive_manifest *manifest, enum topic topic, int part,
                             size_t *out_n)
{
    size_t low = 0;
    size_t high = manifest->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&manifest->at[middle], topic, part) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    size_t first = low;
    high = manifest->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&manifest->at[middle], topic, part) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_n = low - first;
    return first;
}

enum th_code archive_manifest_add(struct archive_manifest *manifest,
                                  const struct archive_segment *segment)
{
    size_t n;

    if (manifest->n == ARCHIVE_SEGMENTS_MAX)
        return TH_FULL;
    if (manifest->n == manifest->cap) {
        size_t cap = manifest->cap ? manifest->cap * 2 : 64;
        struct archive_segment *at = reallocarray(manifest->at, cap, sizeof *at);
        if (!at)
            return TH_NOMEM;
        manifest->at = at;
        manifest->cap = cap;
    }
    size_t to = archive_manifest_part(manifest, segment->topic, segment->part, &n) + n;
    memmove(&manifest->at[to + 1], &manifest->at[to], (manifest->n - to) * sizeof *manifest->at);
    manifest->at[to] = *segment;
    manifest->n++;
    return TH_OK;
}

void archive_manifest_replace(struct archive_manifest *manifest,
                              const struct archive_segment *segment)
{
    size_t n;
    size_t first = archive_manifest_part(manifest, segment->topic, segment->part, &n);

    assert(n > 0 && manifest->at[first + n - 1].from == segment->from);
    manifest->at[first + n - 1] = *segment;
}

const struct archive_segment *archive_manifest_last(const struct archive_manifest *manifest,
                                                    enum topic topic, int part)
{
    size_t n;
    size_t first = archive_manifest_part(manifest, topic, part, &n);

    return n ? &manifest->at[first + n - 1] : NULL;
}

int64_t archive_manifest_next(const struct archive_manifest *manifest, enum topic topic, int part)
{
    const struct archive_segment *last = archive_manifest_last(manifest, topic, part);

    return last ? last->next : 0;
}

void archive_segment_name(const struct archive_segment *segment, char out[ARCHIVE_SEGMENT_NAME_MAX])
{
    char turn[16] = "";

    if (segment->turn > 0)
        snprintf(turn, sizeof turn, "-%d", segment->turn);
    snprintf(out, ARCHIVE_SEGMENT_NAME_MAX, "%s/%d/%020" PRId64 "%s.seg",
             topic_name(segment->topic), segment->part, segment->from, turn);
}

/* --- printing -----------------------------------------------------------------------------------
 */

/* The line that began at that place of out is complete. */
static void end_line(struct th_buf *out, size_t line_at)
{
    if (th_buf_status(out) == TH_OK)
        th_buf_printf(out, " %08" PRIx32 "\n",
                      crc32c((struct th_str){out->p + line_at, out->n - line_at}));
}

static void print_segment(const struct archive_segment *s, struct th_buf *out)
{
    char sha256[2 * TH_SHA256_SIZE + 1];
    size_t line_at = out->n;

    th_hex((struct th_str){(const char *)s->sha256, TH_SHA256_SIZE}, sha256);
    th_buf_printf(out,
                  "segment %s %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
                  " %" PRId64 " %" PRId64 " %s %d",
                  topic_name(s->topic), s->part, s->from, s->next, s->records, s->bytes,
                  s->raw_bytes, s->from_us, s->to_us, sha256, s->turn);
    end_line(out, line_at);
}

void archive_manifest_print(const struct archive_manifest *manifest, struct th_buf *out)
{
    uint8_t sha256[TH_SHA256_SIZE];
    char text[2 * TH_SHA256_SIZE + 1];
    size_t begin = out->n;
    size_t line_at = out->n;
    size_t lines = 1 + manifest->n;

    th_buf_printf(out, "telehub-archive %d %s", ARCHIVE_MANIFEST_FORMAT, manifest->log_id);
    end_line(out, line_at);
    for (int t = 0; t < TOPIC_COUNT; t++) {
        if (manifest->partitions[t] == 0)
            continue;
        line_at = out->n;
        th_buf_printf(out, "topic %s %d", topic_name((enum topic)t), manifest->partitions[t]);
        end_line(out, line_at);
        lines++;
    }
    for (size_t i = 0; i < manifest->n; i++)
        print_segment(&manifest->at[i], out);
    if (th_buf_status(out) != TH_OK)
        return;
    line_at = out->n;
    th_sha256((struct th_str){out->p + begin, out->n - begin}, sha256);
    th_hex((struct th_str){(const char *)sha256, sizeof sha256}, text);
    th_buf_printf(out, "end %zu %s", lines, text);
    end_line(out, line_at);
}

/* --- parsing ------------------------------------------------------------------------------------
 */

struct words {
    struct th_str at[WORDS_MAX];
    size_t n;
};

static bool split(struct th_str line, struct words *out)
{
    out->n = 0;
    do {
        if (out->n == WORDS_MAX)
            return false;
        th_str_cut(line, ' ', &out->at[out->n++], &line);
    } while (line.n > 0);
    return true;
}

/* The end of a line, its sum, against what it is to be: one wrong byte among these explains itself,
 * else one before them may. */
static void explain(struct th_str body, struct th_str sum, const char *right, uint32_t is,
                    struct archive_bad *bad)
{
    uint8_t bytes[4];
    uint8_t flip;
    size_t wrong = 0;

    for (size_t i = 0; i < sum.n; i++)
        if (sum.p[i] != right[i]) {
            bad->one = bad->from + body.n + i;
            wrong++;
        }
    bad->is_one = wrong == 1;
    if (bad->is_one || !th_hex_parse((struct th_str){sum.p + 1, 8}, 4, bytes))
        return;
    uint32_t was = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                   (uint32_t)bytes[3];
    bad->is_one = crc32c_locate(body.n, is, was, &bad->one, &flip);
    bad->one += bad->from;
}

/* The last eight digits against what stands before them. */
static enum th_code check_line(struct th_str line, struct archive_bad *bad, struct th_str *out_body,
                               struct th_err *err)
{
    char right[SUM_SIZE + 1];

    if (line.n < SUM_SIZE)
        return th_fail(err, TH_CORRUPT, "no line of a manifest");
    struct th_str sum = {line.p + line.n - SUM_SIZE, SUM_SIZE};
    *out_body = (struct th_str){line.p, line.n - SUM_SIZE};
    uint32_t is = crc32c(*out_body);
    snprintf(right, sizeof right, " %08" PRIx32, is);
    if (memcmp(sum.p, right, SUM_SIZE) == 0)
        return TH_OK;
    explain(*out_body, sum, right, is, bad);
    return th_fail(err, TH_CORRUPT, "checksum is%s, was%.*s", right, TH_ARG(sum));
}

static enum th_code nonsense(struct th_err *err)
{
    return th_fail(err, TH_CORRUPT, "the line makes no sense");
}

static enum th_code parse_head(const struct words *words, struct archive_manifest *out,
                               struct th_err *err)
{
    int64_t format;

    if (words->n != 3 || !th_str_eq(words->at[0], TH_STR("telehub-archive")) ||
        words->at[2].n != ARCHIVE_LOG_ID_LEN || !th_str_int(words->at[1], 1, INT32_MAX, &format))
        return th_fail(err, TH_CORRUPT, "not a manifest of an archive");
    if (format > ARCHIVE_MANIFEST_FORMAT)
        return th_fail(err, TH_UNSUPPORTED, "format %" PRId64 ", this program reads up to %d",
                       format, ARCHIVE_MANIFEST_FORMAT);
    memcpy(out->log_id, words->at[2].p, ARCHIVE_LOG_ID_LEN);
    return TH_OK;
}

static enum th_code parse_topic(const struct words *words, enum topic *out_topic,
                                struct th_err *err)
{
    if (words->n < 3)
        return nonsense(err);
    if (!topic_by_name(words->at[1], out_topic))
        return th_fail(err, TH_UNSUPPORTED, "the topic %.*s is unknown to this program",
                       TH_ARG(words->at[1]));
    return TH_OK;
}

static enum th_code parse_partitions(const struct words *words, struct archive_manifest *out,
                                     struct th_err *err)
{
    enum topic topic;
    int64_t n;

    TH_TRY(parse_topic(words, &topic, err));
    if (words->n != 3 || !th_str_int(words->at[2], 1, LOG_PARTITIONS_MAX, &n) ||
        out->partitions[topic] != 0)
        return nonsense(err);
    out->partitions[topic] = (int)n;
    return TH_OK;
}

static enum th_code parse_segment(const struct words *words, struct archive_manifest *out,
                                  struct th_err *err)
{
    struct archive_segment s = {0};
    int64_t turn = 0;
    int64_t part;

    TH_TRY(parse_topic(words, &s.topic, err));
    if (words->n < 11 || !th_str_int(words->at[2], 0, out->partitions[s.topic] - 1, &part) ||
        !th_str_int(words->at[3], 0, INT64_MAX - 1, &s.from) ||
        !th_str_int(words->at[4], s.from + 1, INT64_MAX, &s.next) ||
        !th_str_int(words->at[5], 1, s.next - s.from, &s.records) ||
        !th_str_int(words->at[6], ARCHIVE_HEAD_SIZE + ARCHIVE_INDEX_SIZE_MIN, INT64_MAX,
                    &s.bytes) ||
        !th_str_int(words->at[7], 1, INT64_MAX, &s.raw_bytes) ||
        !th_str_int(words->at[8], INT64_MIN, INT64_MAX, &s.from_us) ||
        !th_str_int(words->at[9], s.from_us, INT64_MAX, &s.to_us) ||
        !th_hex_parse(words->at[10], TH_SHA256_SIZE, s.sha256) ||
        (words->n > 11 && !th_str_int(words->at[11], 0, ARCHIVE_TURNS_MAX, &turn)))
        return nonsense(err);
    s.part = (int)part;
    s.turn = (int)turn;
    if (out->n > 0) {
        const struct archive_segment *before = &out->at[out->n - 1];
        int cmp = order(before, s.topic, s.part);
        if (cmp > 0)
            return th_fail(err, TH_CORRUPT, "segments are out of order");
        if (cmp == 0 && before->next != s.from)
            return th_fail(err, TH_CORRUPT,
                           "%s partition %d: a segment begins at %" PRId64
                           ", the one before ends at %" PRId64,
                           topic_name(s.topic), s.part, s.from, before->next);
    }
    enum th_code code = archive_manifest_add(out, &s);
    return code == TH_OK ? TH_OK : th_fail(err, code, "a manifest of %zu segments", out->n);
}

static enum th_code parse_end(const struct words *words, size_t lines, struct th_str before,
                              struct th_err *err)
{
    uint8_t was[TH_SHA256_SIZE];
    uint8_t is[TH_SHA256_SIZE];
    int64_t said;

    if (words->n != 3 || !th_str_int(words->at[1], 0, INT64_MAX, &said) ||
        !th_hex_parse(words->at[2], TH_SHA256_SIZE, was))
        return nonsense(err);
    th_sha256(before, is);
    if ((size_t)said != lines || memcmp(is, was, sizeof is) != 0)
        return th_fail(err, TH_CORRUPT, "lines are missing, or stand elsewhere");
    return TH_OK;
}

static enum th_code parse_line(const struct words *words, size_t lines,
                               struct archive_manifest *out, struct th_err *err)
{
    if (lines == 0)
        return parse_head(words, out, err);
    if (th_str_eq(words->at[0], TH_STR("topic")))
        return parse_partitions(words, out, err);
    if (th_str_eq(words->at[0], TH_STR("segment")))
        return parse_segment(words, out, err);
    return nonsense(err);
}

static enum th_code parse_all(struct th_str text, struct archive_manifest *out,
                              struct archive_bad *bad, struct th_err *err)
{
    struct th_str rest = text;
    struct th_str line;
    struct th_str body;
    struct words words;

    for (size_t lines = 0;; lines++) {
        bad->from = text.n - rest.n;
        bad->to = text.n;
        if (!th_str_cut(rest, '\n', &line, &rest))
            return th_fail(err, TH_CORRUPT, "the manifest is cut off");
        bad->to = bad->from + line.n + 1;
        TH_TRY(check_line(line, bad, &body, err));
        if (!split(body, &words))
            return nonsense(err);
        if (lines > 0 && th_str_eq(words.at[0], TH_STR("end"))) {
            TH_TRY(parse_end(&words, lines, (struct th_str){text.p, bad->from}, err));
            break;
        }
        TH_TRY(parse_line(&words, lines, out, err));
    }
    bad->from = bad->to;
    bad->to = text.n;
    return rest.n ? th_fail(err, TH_CORRUPT, "more stands behind the end") : TH_OK;
}

enum th_code archive_manifest_parse(struct th_str text, struct archive_manifest *out,
                                    struct archive_bad *out_bad, struct th_err *err)
{
    struct archive_manifest manifest = {0};

    *out_bad = (struct archive_bad){0};
    enum th_code code = parse_all(text, &manifest, out_bad, err);
    if (code != TH_OK) {
        archive_manifest_fini(&manifest);
        return code;
    }
    *out = manifest;
    return TH_OK;
}
