#include "common/eventlog/archive/retention.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_verify.h"

#define SNAPSHOT_PIECES 16 /* at a time: their bodies are read as well */
#define ARENA_BYTES     ((size_t)256 * 1024 * 1024)

const char *retention_hold_text(enum retention_hold hold)
{
    static const char *const texts[] = {
#define RETENTION_TEXT(id, text) [id] = (text),
        RETENTION_HOLDS(RETENTION_TEXT)
#undef RETENTION_TEXT
    };

    return texts[hold];
}

/* --- the setting --------------------------------------------------------------------------------
 */

static bool may_be_trimmed(enum topic topic)
{
    return topic_kind(topic) != TOPIC_REFERENCE;
}

static enum th_code parse_one(struct th_str item, int days[TOPIC_COUNT], struct th_err *err)
{
    struct th_str name;
    struct th_str number;
    enum topic topic;
    int64_t n;

    bool has_number = th_str_cut(item, '=', &name, &number);
    name = th_str_trim(name);
    if (!has_number || !th_str_int(th_str_trim(number), 1, RETENTION_DAYS_MAX, &n))
        return th_fail(err, TH_INVALID, "%.*s: say TOPIC=DAYS, or all=DAYS", TH_ARG(item));
    if (th_str_eq(name, TH_STR("all"))) {
        for (int t = 0; t < TOPIC_COUNT; t++)
            if (may_be_trimmed((enum topic)t))
                days[t] = (int)n;
        return TH_OK;
    }
    if (!topic_by_name(name, &topic))
        return th_fail(err, TH_INVALID, "there is no topic %.*s: telehub log topics lists them",
                       TH_ARG(name));
    if (!may_be_trimmed(topic))
        return th_fail(err, TH_INVALID, "%s is kept whole: it is read from its beginning",
                       topic_name(topic));
    days[topic] = (int)n;
    return TH_OK;
}

enum th_code retention_parse(struct th_str text, int out_days[TOPIC_COUNT], struct th_err *err)
{
    int days[TOPIC_COUNT] = {0};
    struct th_str item;

    text = th_str_trim(text);
    while (text.n > 0) {
        th_str_cut(text, ',', &item, &text);
        TH_TRY(parse_one(item, days, err));
    }
    memcpy(out_days, days, sizeof days);
    return TH_OK;
}

/* --- what holds a partition ---------------------------------------------------------------------
 */

static void hold_at(struct retention_part *part, int64_t offset, enum retention_hold hold)
{
    if (offset >= part->upto)
        return;
    part->upto = offset > part->start ? offset : part->start;
    part->hold = hold;
}

/* As far as segments follow each other from the start on, and are old. */
static void hold_by_archive(const struct retention *r, struct retention_part *part)
{
    int64_t old_us = r->now_us - r->days[part->topic] * TH_US_PER_DAY;
    size_t n;
    size_t i = archive_manifest_part(r->manifest, part->topic, part->part, &n);
    size_t end = i + n;

    part->upto = part->start;
    part->hold = RETENTION_ARCHIVE;
    while (i < end && r->manifest->at[i].next <= part->start)
        i++;
    if (i == end || r->manifest->at[i].from > part->start)
        return;
    for (; i < end && r->manifest->at[i].to_us < old_us; i++)
        part->upto = r->manifest->at[i].next;
    if (i < end)
        part->hold = RETENTION_AGE;
}

/* A slot that reads the topic and says nothing of the partition needs all of it. */
static enum th_code hold_by_slots(const struct retention *r, const struct core_ops *core,
                                  struct retention_part *part, struct th_arena *arena,
                                  struct th_err *err)
{
    int slot = part->part % r->slots;
    struct log_cursor *cursors;
    int64_t next = 0;
    size_t n;

    TH_TRY(th_log_slot_cursors(r->log, core->app, slot, arena, &cursors, &n, err));
    for (size_t i = 0; i < n; i++)
        if (cursors[i].next.topic == part->topic && cursors[i].next.part == part->part)
            next = cursors[i].next.offset;
    hold_at(part, next, RETENTION_SLOT);
    return TH_OK;
}

/* What every piece's newest snapshot holds; a piece without one holds nothing. */
static enum th_code hold_by_snapshots(const struct retention *r, const struct core_ops *core,
                                      struct retention_part *part, struct th_err *err)
{
    int pieces = core_stored_pieces(core);
    struct th_arena arena;
    enum th_code code = TH_OK;

    th_arena_init(&arena, ARENA_BYTES);
    for (int first = 0; code == TH_OK && first < pieces; first += SNAPSHOT_PIECES) {
        int end = first + SNAPSHOT_PIECES < pieces ? first + SNAPSHOT_PIECES : pieces;
        struct log_snapshot *snapshots;
        size_t n;
        th_arena_reset(&arena);
        code = th_log_snapshot_get(r->log, core->app, part->part, (struct log_pieces){first, end},
                                   core_stored_version(core), &arena, &snapshots, &n, err);
        if (code == TH_OK && n < (size_t)(end - first))
            hold_at(part, 0, RETENTION_SNAPSHOT);
        for (size_t i = 0; code == TH_OK && i < n; i++)
            hold_at(part, snapshots[i].upto_offset, RETENTION_SNAPSHOT);
    }
    th_arena_fini(&arena);
    return code;
}

static void hold_by_views(const struct retention *r, struct retention_part *part)
{
    int64_t to = 0;

    if (!(r->view_topics >> part->topic & 1))
        return;
    for (size_t i = 0; i < r->views_n; i++)
        if (r->views[i].topic == part->topic && r->views[i].part == part->part)
            to = r->views[i].to;
    hold_at(part, to, RETENTION_VIEWS);
}

static void hold_by_needs(const struct retention *r, struct retention_part *part)
{
    for (size_t i = 0; i < r->needed_n; i++)
        if (r->needed[i].topic == part->topic && r->needed[i].part == part->part)
            hold_at(part, r->needed[i].offset, RETENTION_CAMPAIGN);
}

static enum th_code plan_part(const struct retention *r, struct retention_part *part,
                              struct th_arena *arena, struct th_err *err)
{
    TH_TRY(th_log_start(r->log, part->topic, part->part, &part->start, err));
    TH_TRY(th_log_end(r->log, part->topic, part->part, &part->end, err));
    hold_by_archive(r, part);
    for (const struct core_ops *const *core = r->cores; *core; core++) {
        if ((*core)->inputs >> part->topic & 1)
            TH_TRY(hold_by_slots(r, *core, part, arena, err));
        if ((*core)->own == part->topic && part->upto > part->start)
            TH_TRY(hold_by_snapshots(r, *core, part, err));
    }
    hold_by_views(r, part);
    hold_by_needs(r, part);
    hold_at(part, part->end > 0 ? part->end - 1 : 0, RETENTION_LAST);
    return TH_OK;
}

enum th_code retention_plan(const struct retention *r, struct th_arena *arena,
                            struct retention_part **out_parts, size_t *out_n, struct th_err *err)
{
    size_t all = 0;
    size_t n = 0;

    for (int t = 0; t < TOPIC_COUNT; t++)
        all += r->days[t] > 0 ? (size_t)th_log_partitions(r->log, (enum topic)t) : 0;
    struct retention_part *parts = th_arena_array(arena, all + 1, sizeof *parts);
    if (!parts)
        return th_fail(err, TH_NOMEM, "%zu partitions", all);
    for (int t = 0; t < TOPIC_COUNT; t++)
        for (int p = 0; r->days[t] > 0 && p < th_log_partitions(r->log, (enum topic)t); p++) {
            parts[n] = (struct retention_part){.topic = (enum topic)t, .part = p};
            TH_TRY(plan_part(r, &parts[n++], arena, err));
        }
    *out_parts = parts;
    *out_n = n;
    return TH_OK;
}

/* --- doing it -----------------------------------------------------------------------------------
 */

static enum th_code verify_part(const char *dir, const struct archive_manifest *manifest,
                                const struct retention_part *part, int64_t *segments,
                                struct th_err *err)
{
    size_t n;
    size_t first = archive_manifest_part(manifest, part->topic, part->part, &n);

    for (size_t i = first; i < first + n; i++) {
        const struct archive_segment *segment = &manifest->at[i];
        if (segment->next <= part->start || segment->from >= part->upto)
            continue;
        TH_TRY(archive_verify_segment(dir, manifest->log_id, segment, err));
        ++*segments;
    }
    return TH_OK;
}

enum th_code retention_verify(const char *dir, const struct archive_manifest *manifest,
                              const struct retention_part *parts, size_t n, int64_t *out_segments,
                              struct th_err *err)
{
    *out_segments = 0;
    for (size_t i = 0; i < n; i++)
        TH_TRY(verify_part(dir, manifest, &parts[i], out_segments, err));
    return TH_OK;
}

enum th_code retention_apply(struct th_log *log, const struct retention_part *parts, size_t n,
                             size_t *out_trimmed, struct th_err *err)
{
    TH_AUTO(free) void *memory = calloc(n + 1, sizeof(struct log_place));
    struct log_place *places = memory;
    size_t places_n = 0;

    if (!places)
        return th_fail(err, TH_NOMEM, "%zu partitions", n);
    for (size_t i = 0; i < n; i++)
        if (parts[i].upto > parts[i].start)
            places[places_n++] = (struct log_place){parts[i].topic, parts[i].part, parts[i].upto};
    *out_trimmed = places_n;
    return th_log_trim(log, places, places_n, err);
}
