#include "tests/integration/retained.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/eventlog/archive/archive_io.h"
#include "common/eventlog/archive/archive_joined.h"
#include "common/eventlog/archive/archive_take.h"
#include "common/eventlog/archive/retention.h"
#include "connectors/postgres/view_store.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/rebuild.h"
#include "tests/integration/views_story.h"
#include "tests/unit/test.h"

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != TH_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static struct th_err err;

/* What the story goes on with. */
struct scene {
    const struct retained *retained;
    struct view_generations *gens;
    char folder[64];
};

static struct th_log *open_log(const struct scene *scene)
{
    struct th_log *log;

    MUST(scene->retained->open(scene->retained->arg, &log, &err));
    return log;
}

/* The log and its archive as one. */
static struct th_log *open_joined(const struct scene *scene)
{
    struct th_log *log = open_log(scene);
    struct th_log *joined;

    MUST(archive_joined_open(log, scene->folder, &joined, &err));
    return joined;
}

static void fold_all(const struct scene *scene, struct th_log *log)
{
    for (int slot = 0; slot < 2; slot++) {
        struct materialize_config config = {.log = log,
                                            .open_store = pg_view_store_open_current,
                                            .context = (void *)scene->retained->conninfo,
                                            .slot = slot,
                                            .slots = 2};
        struct materialize *m;
        MUST(materialize_new(&config, &m, &err));
        MUST(materialize_drain(m, &err));
        materialize_free(m);
    }
}

/* Drop all that is archived and folded; how many partitions that was. */
static size_t trim_all(const struct scene *scene, struct th_log *log)
{
    static const struct core_ops *const no_slots[] = {NULL};
    struct archive_manifest manifest = {0};
    struct archive_plan plan = {0};
    struct archive_taken taken;
    struct retention_part *parts;
    struct view_step *views;
    struct th_arena arena;
    int days[TOPIC_COUNT];
    int64_t segments;
    size_t views_n;
    size_t trimmed;
    size_t n;
    int gen;

    th_arena_init(&arena, 1 << 20);
    MUST(archive_take(log, scene->folder, 0, &plan, &taken, &err));
    MUST(archive_load_manifest(scene->folder, &manifest, &err));
    MUST(retention_parse(TH_STR("all=1"), days, &err));
    MUST(scene->gens->ops->current(scene->gens, &gen, &err));
    MUST(scene->gens->ops->ends(scene->gens, gen, &arena, &views, &views_n, &err));
    struct retention retention = {
        .log = log,
        .manifest = &manifest,
        .days = days,
        .cores = no_slots,
        .slots = 1,
        .views = views,
        .views_n = views_n,
        .view_topics = fold_topics(),
        .now_us = th_clock_realtime_us(&th_clock_real) + 3 * TH_US_PER_DAY,
    };
    MUST(retention_plan(&retention, &arena, &parts, &n, &err));
    MUST(retention_verify(scene->folder, &manifest, parts, n, &segments, &err));
    assert_true(segments > 0);
    MUST(retention_apply(log, parts, n, &trimmed, &err));
    archive_manifest_fini(&manifest);
    th_arena_fini(&arena);
    return trimmed;
}

/* The views that were folded live, and those made a second time of what log gives. */
static void assert_equal_to_live(const struct scene *scene, struct th_log *log, int stories)
{
    static struct view_report report;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    MUST(view_verify(log, scene->gens, &arena, &report, &err));
    assert_true(report.is_equal);
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        assert_memory_equal(report.tables[i].sha256_a, report.tables[i].sha256_b, 32);
    assert_int_equal(report.tables[VIEW_TABLE_SENDS].rows_a, stories * STORY_SENDS);
    th_arena_fini(&arena);
}

static void rebuild(const struct scene *scene, struct th_log *log)
{
    uint64_t events;
    int gen;

    MUST(view_rebuild(log, scene->gens, &gen, &events, &err));
}

static void hook(const struct scene *scene, void (*call)(void *arg, struct th_log *log),
                 struct th_log *log)
{
    if (call)
        call(scene->retained->arg, log);
}

/* Written, folded, archived, dropped: the log alone is not enough any more, and says so. */
static void drop_the_first(const struct scene *scene)
{
    struct th_log *log = open_log(scene);
    struct view_report report;
    struct th_arena arena;

    story_append(log, "pratham", 0);
    hook(scene, scene->retained->was_written, log);
    fold_all(scene, log);
    assert_equal_to_live(scene, log, 1);
    assert_true(trim_all(scene, log) > 10);
    hook(scene, scene->retained->was_trimmed, log);
    th_arena_init(&arena, 1 << 20);
    assert_int_equal(view_verify(log, scene->gens, &arena, &report, &err), TH_NOT_FOUND);
    assert_non_null(strstr(err.text, "archive"));
    th_arena_fini(&arena);
    th_log_close(log);
}

static void tell_more(const struct scene *scene)
{
    struct th_log *joined = open_joined(scene);

    assert_equal_to_live(scene, joined, 1);
    rebuild(scene, joined);
    assert_equal_to_live(scene, joined, 1);
    story_append(joined, "other-tenant", 1);
    fold_all(scene, joined);
    assert_equal_to_live(scene, joined, 2);
    th_log_close(joined);
}

/* What was told since is folded, archived, dropped, and still there. */
static void drop_the_second(const struct scene *scene)
{
    struct th_log *log = open_log(scene);

    assert_true(trim_all(scene, log) > 10);
    th_log_close(log);
    struct th_log *joined = open_joined(scene);
    rebuild(scene, joined);
    assert_equal_to_live(scene, joined, 2);
    th_log_close(joined);
}

void retained_story(const struct retained *retained)
{
    struct scene scene = {.retained = retained, .folder = "/tmp/retained.XXXXXX"};
    char command[96];

    assert_non_null(mkdtemp(scene.folder));
    MUST(pg_view_generations_open(retained->conninfo, &scene.gens, &err));
    drop_the_first(&scene);
    tell_more(&scene);
    drop_the_second(&scene);
    pg_view_generations_close(scene.gens);
    snprintf(command, sizeof command, "rm -rf '%s'", scene.folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder that we made */
}
