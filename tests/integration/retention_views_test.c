/* What is archived is dropped from a Postgres log, and the views made anew from the archive and the
 * rest are those that were folded live, byte for byte. */
#include "tests/unit/test.h"

#include <stdio.h>
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
#include "tests/integration/log_cluster.h"
#include "tests/integration/views_story.h"

static struct log_cluster logs;
static char folder[64];
static struct th_err err;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) != TH_OK)                                                                       \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static int start(void **unused)
{
    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, 4);
    snprintf(folder, sizeof folder, "/tmp/retention-views.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int stop(void **unused)
{
    char command[96];

    (void)unused;
    log_cluster_stop(&logs);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command); /* NOLINT(cert-env33-c): a folder that we made */
}

static int64_t ask(const char *sql)
{
    const struct pg_statement statement = {sql};

    return log_cluster_admin(&logs, &statement, NULL);
}

static struct th_log *open_log(void)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log;

    MUST(pg_log_open(&config, &log, &err));
    return log;
}

static void fold_all(struct th_log *log)
{
    for (int slot = 0; slot < 2; slot++) {
        struct materialize_config config = {.log = log,
                                            .open_store = pg_view_store_open_current,
                                            .context = logs.conninfo,
                                            .slot = slot,
                                            .slots = 2};
        struct materialize *m;
        MUST(materialize_new(&config, &m, &err));
        MUST(materialize_drain(m, &err));
        materialize_free(m);
    }
}

/* Drop all that is archived and folded; how many partitions that was. */
static size_t trim_all(struct th_log *log, struct view_generations *gens)
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
    MUST(archive_take(log, folder, 0, &plan, &taken, &err));
    MUST(archive_load_manifest(folder, &manifest, &err));
    MUST(retention_parse(TH_STR("all=1"), days, &err));
    MUST(gens->ops->current(gens, &gen, &err));
    MUST(gens->ops->ends(gens, gen, &arena, &views, &views_n, &err));
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
    MUST(retention_verify(folder, &manifest, parts, n, &segments, &err));
    assert_true(segments > 0);
    MUST(retention_apply(log, parts, n, &trimmed, &err));
    archive_manifest_fini(&manifest);
    th_arena_fini(&arena);
    return trimmed;
}

static void assert_equal_to_live(struct th_log *log, struct view_generations *gens)
{
    static struct view_report report;
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    MUST(view_verify(log, gens, &arena, &report, &err));
    assert_true(report.is_equal);
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        assert_memory_equal(report.tables[i].sha256_a, report.tables[i].sha256_b, 32);
    assert_true(report.tables[VIEW_TABLE_SENDS].rows_a >= STORY_SENDS);
    th_arena_fini(&arena);
}

static struct th_log *join(struct th_log *log)
{
    struct th_log *archive;
    struct th_log *joined;

    MUST(archive_log_open(folder, &archive, &err));
    MUST(archive_joined_open(log, archive, &joined, &err));
    return joined;
}

static void test_views_made_of_the_archive_and_the_rest_equal_live(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();
    struct view_generations *gens;
    struct view_report report;
    struct th_arena arena;
    uint64_t events;
    int gen;

    story_append(log, "pratham", 0);
    MUST(pg_log_rotate(log, &err));
    fold_all(log);
    MUST(pg_view_generations_open(logs.conninfo, &gens, &err));
    assert_equal_to_live(log, gens);
    int64_t batches = ask("SELECT count(*) FROM eventlog.batch");
    assert_true(trim_all(log, gens) > 10);

    /* Rows are gone, and the room of the segment that nobody writes any more. */
    assert_true(ask("SELECT count(*) FROM eventlog.batch") < batches / 2);
    assert_int_equal(ask("SELECT count(*) FROM eventlog.batch b JOIN eventlog.partition_head h"
                         " USING (topic_id, part) WHERE b.base_offset < h.log_start"),
                     0);
    assert_int_equal(ask("SELECT count(*) FROM information_schema.role_table_grants"
                         " WHERE table_schema = 'eventlog' AND table_name LIKE 'batch%'"
                         " AND privilege_type = 'DELETE' AND grantee <> 'postgres'"),
                     0);

    /* The log alone is not enough, and says so. */
    th_arena_init(&arena, 1 << 20);
    assert_int_equal(view_verify(log, gens, &arena, &report, &err), TH_NOT_FOUND);
    assert_non_null(strstr(err.text, "archive"));
    th_arena_fini(&arena);

    struct th_log *joined = join(log);
    assert_equal_to_live(joined, gens);
    MUST(view_rebuild(joined, gens, &gen, &events, &err));
    assert_equal_to_live(joined, gens);

    /* Life goes on: what is told now is folded, archived, dropped, and still there. */
    story_append(joined, "other-tenant", 1);
    fold_all(joined);
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends"), 2 * STORY_SENDS);
    assert_equal_to_live(joined, gens);
    th_log_close(joined);

    log = open_log();
    assert_true(trim_all(log, gens) > 10);
    joined = join(log);
    MUST(view_rebuild(joined, gens, &gen, &events, &err));
    assert_equal_to_live(joined, gens);
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends"), 2 * STORY_SENDS);
    pg_view_generations_close(gens);
    th_log_close(joined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_made_of_the_archive_and_the_rest_equal_live),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
