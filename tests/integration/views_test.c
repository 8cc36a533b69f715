/* The views in Postgres: folded through kills, rebuilt, verified, and read by analysts. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/digest.h"
#include "common/eventlog/log.h"
#include "connectors/postgres/view_store.h"
#include "processors/materialize/fold.h"
#include "processors/materialize/materialize.h"
#include "processors/materialize/memory_store.h"
#include "processors/materialize/rebuild.h"
#include "tests/integration/log_cluster.h"
#include "tests/integration/views_story.h"

static struct log_cluster logs;

static struct th_log *open_log(void)
{
    struct pg_log_config config = log_cluster_config(&logs);
    struct th_log *log;
    struct th_err err = {0};

    if (pg_log_open(&config, &log, &err) != TH_OK)
        fail_msg("%s", err.text);
    return log;
}

static int64_t ask(const char *sql)
{
    const struct pg_statement statement = {sql};

    return log_cluster_admin(&logs, &statement, NULL);
}

/* --- folding
 * -------------------------------------------------------------------------------------- */

static struct materialize *open_slot(struct th_log *log, int slot, int slots, size_t read_bytes)
{
    struct materialize_config config = {.log = log,
                                        .open_store = pg_view_store_open_current,
                                        .context = logs.conninfo,
                                        .slot = slot,
                                        .slots = slots,
                                        .read_bytes = read_bytes,
                                        .batch_bytes = 4 * read_bytes};
    struct materialize *m;
    struct th_err err = {0};

    assert_int_equal(materialize_new(&config, &m, &err), TH_OK);
    return m;
}

static void drain(struct materialize *m)
{
    struct th_err err = {0};

    if (materialize_drain(m, &err) != TH_OK)
        fail_msg("%s", err.text);
}

static void fold_all(struct th_log *log)
{
    for (int slot = 0; slot < 2; slot++) {
        struct materialize *m = open_slot(log, slot, 2, 0);
        drain(m);
        materialize_free(m);
    }
}

static void sleep_ms(long ms)
{
    const struct timespec wait = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&wait, NULL);
}

#define HOUR_US (3600 * TH_US_PER_SEC)

/* A slot in a thread of its own, in small batches, that begins again at once after a failure. */
struct running {
    struct materialize *m;
    pthread_t thread;
    int stop[2];
    const struct th_clock *clock; /* not the kernel's: batches are an hour of it apart */
};

static void *run_slot(void *arg)
{
    struct running *running = arg;

    materialize_run(running->m, running->stop[0]);
    return NULL;
}

static void start_slot(struct running *running, struct th_log *log, int slot, size_t read_bytes)
{
    struct materialize_config config = {.log = log,
                                        .open_store = pg_view_store_open_current,
                                        .context = logs.conninfo,
                                        .slot = slot,
                                        .slots = 2,
                                        .idle_us = running->clock ? HOUR_US : 1000,
                                        .load_us = running->clock ? HOUR_US : 2000,
                                        .retry_wait_us = 5000,
                                        .clock = running->clock,
                                        .read_bytes = read_bytes,
                                        .batch_bytes = 4 * read_bytes};
    struct th_err err = {0};

    assert_int_equal(materialize_new(&config, &running->m, &err), TH_OK);
    assert_int_equal(pipe(running->stop), 0);
    assert_int_equal(pthread_create(&running->thread, NULL, run_slot, running), 0);
}

static struct materialize_status stop_slot(struct running *running)
{
    close(running->stop[1]);
    pthread_join(running->thread, NULL);
    close(running->stop[0]);
    struct materialize_status status = materialize_status(running->m);
    materialize_free(running->m);
    return status;
}

static bool is_all_folded(void)
{
    return ask("SELECT count(*) FROM views.sends") == STORY_SENDS;
}

static uint64_t batches_of(const struct running slots[2])
{
    return materialize_status(slots[0].m).batches + materialize_status(slots[1].m).batches;
}

/* Both slots fold while their backends are killed every few batches, however fast they come, until
 * everything is there. */
static void fold_through_kills(struct th_log *log, int kills_min)
{
    struct running slots[2] = {0};
    uint64_t kill_at = 0;
    int killed = 0;

    for (int i = 0; i < 2; i++)
        start_slot(&slots[i], log, i, 1024);
    for (int tries = 0; !is_all_folded(); tries++) {
        assert_true(tries < 20000);
        sleep_ms(1);
        if (batches_of(slots) < kill_at)
            continue;
        kill_at = batches_of(slots) + 4;
        killed += log_cluster_kill(&logs, "telehub materialize", 0);
    }
    struct materialize_status first = stop_slot(&slots[0]);
    struct materialize_status second = stop_slot(&slots[1]);
    print_message("  %d backends killed, %d batches failed of %d\n", killed,
                  (int)(first.failures + second.failures), (int)(first.batches + second.batches));
    assert_true(killed >= kills_min);
    assert_true(first.failures + second.failures >= (uint64_t)kills_min);
}

static struct view_report *verify(struct th_log *log, struct th_arena *arena)
{
    static struct view_report report;
    struct view_generations *gens;
    struct th_err err = {0};

    assert_int_equal(pg_view_generations_open(logs.conninfo, &gens, &err), TH_OK);
    if (view_verify(log, gens, arena, &report, &err) != TH_OK)
        fail_msg("%s", err.text);
    pg_view_generations_close(gens);
    return &report;
}

static void print_report(const struct view_report *report)
{
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        print_message("  %-18s %6lld rows, rebuilt %6lld: %s\n", report->tables[i].table,
                      (long long)report->tables[i].rows_a, (long long)report->tables[i].rows_b,
                      report->tables[i].is_equal ? "equal" : "DIFFERENT");
    for (size_t i = 0; i < report->differences_n; i++)
        print_message("  %s %.*s %s: %.*s\n", report->differences[i].table,
                      TH_ARG(report->differences[i].key), report->differences[i].how,
                      TH_ARG(report->differences[i].columns));
}

static void assert_verified(struct th_log *log)
{
    struct th_arena arena;

    th_arena_init(&arena, 1 << 20);
    const struct view_report *report = verify(log, &arena);
    print_report(report);
    assert_true(report->is_equal);
    assert_int_equal(report->differences_n, 0);
    assert_true(report->tables[VIEW_TABLE_SENDS].rows_a == STORY_SENDS);
    for (size_t i = 0; i < VIEW_TABLE_COUNT; i++)
        assert_memory_equal(report->tables[i].sha256_a, report->tables[i].sha256_b, 32);
    th_arena_fini(&arena);
}

/* --- what is in Postgres is what the fold made in memory
 * ------------------------------------------ */

static enum th_code open_memory(void *context, struct view_store **out_store, struct th_err *err)
{
    (void)err;
    *out_store = context;
    return TH_OK;
}

static void no_close(struct view_store *store)
{
    (void)store;
}

static void compare_table(struct view_store *memory, struct view_store *postgres,
                          enum view_table_id id)
{
    const struct view_table *table = view_table(id);
    size_t n = memory_store_count(memory, id);
    struct th_arena arena;
    struct th_err err = {0};

    th_arena_init(&arena, (size_t)64 << 20);
    struct view_entry *entries = th_arena_array(&arena, n + 1, sizeof *entries);
    struct view_entry **at = th_arena_array(&arena, n + 1, sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        entries[i].row = th_arena_alloc(&arena, table->row_size);
        memcpy(entries[i].row, memory_store_row(memory, id, i), table->row_size);
        at[i] = &entries[i];
    }
    if (n)
        assert_int_equal(postgres->ops->load(postgres, id, at, n, &arena, &err), TH_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(entries[i].is_found);
        assert_true(view_row_equal(table, entries[i].row, memory_store_row(memory, id, i)));
    }
    th_arena_fini(&arena);
}

static void assert_same_in_memory(struct th_log *log)
{
    struct view_store *memory;
    struct view_store *postgres;
    struct view_store_ops ops;
    struct materialize *m;
    struct th_err err = {0};

    assert_int_equal(memory_store_new(&memory, &err), TH_OK);
    const struct view_store_ops *own = memory->ops;
    ops = *own;
    ops.close = no_close; /* the shell closes it, we go on reading */
    memory->ops = &ops;
    struct materialize_config config = {.log = log, .open_store = open_memory, .context = memory};
    assert_int_equal(materialize_new(&config, &m, &err), TH_OK);
    drain(m);
    materialize_free(m);

    assert_int_equal(pg_view_store_open(logs.conninfo, 0, &postgres, &err), TH_OK);
    for (enum view_table_id id = 0; id < VIEW_TABLE_COUNT; id++)
        compare_table(memory, postgres, id);
    postgres->ops->close(postgres);
    own->close(memory);
}

/* By which rules the views that are shown were filled. */
static int rules_of(struct view_generations *gens)
{
    struct th_err err = {0};
    int version;
    int gen;

    assert_int_equal(gens->ops->current(gens, &gen, &err), TH_OK);
    assert_int_equal(gens->ops->fold_version(gens, gen, &version, &err), TH_OK);
    return version;
}

/* The first test: nothing is folded yet. The next ones go on with views of other rules. */
static void test_empty_views_take_the_rules_of_who_comes(void **unused)
{
    (void)unused;
    struct view_generations *gens;
    struct th_err err = {0};
    int none;

    assert_int_equal(pg_view_generations_open(logs.conninfo, &gens, &err), TH_OK);
    assert_int_equal(rules_of(gens), 0); /* a migration made them */
    assert_int_equal(gens->ops->adopt(gens, FOLD_VERSION, &err), TH_OK);
    assert_int_equal(rules_of(gens), FOLD_VERSION);
    assert_int_equal(gens->ops->adopt(gens, FOLD_VERSION + 1, &err), TH_OK);
    assert_int_equal(rules_of(gens), FOLD_VERSION + 1);
    assert_int_equal(gens->ops->fold_version(gens, 4711, &none, &err), TH_NOT_FOUND);
    pg_view_generations_close(gens);
}

static void test_live_equals_rebuilt(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();

    story_append(log, "pratham", 0);
    fold_through_kills(log, 5);
    fold_all(log);
    assert_same_in_memory(log);
    assert_verified(log);
    th_log_close(log);
}

/* --- damage
 * ---------------------------------------------------------------------------------------- */

/* A row is folded from several topics: whoever is behind in one of them must not write it, even if
 * what its batch moves is another. */
static void test_one_writer_at_a_time(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct view_step steps[2];
        enum th_code code;
    } writers[] = {
        {"the first record of a topic",
         {{TOPIC_SEND_EVENTS, 1, 0, 7}, {TOPIC_SEND_OUTCOMES, 1, 0, 0}},
         TH_OK},
        {"a rival that has not seen it and moves another topic",
         {{TOPIC_SEND_EVENTS, 1, 0, 0}, {TOPIC_SEND_OUTCOMES, 1, 0, 3}},
         TH_FENCED},
        {"the same batch again",
         {{TOPIC_SEND_EVENTS, 1, 0, 7}, {TOPIC_SEND_OUTCOMES, 1, 0, 0}},
         TH_FENCED},
        {"the one who has seen all",
         {{TOPIC_SEND_EVENTS, 1, 7, 7}, {TOPIC_SEND_OUTCOMES, 1, 0, 3}},
         TH_OK},
        {"nothing moves", {{TOPIC_SEND_EVENTS, 1, 7, 7}, {TOPIC_SEND_OUTCOMES, 1, 3, 3}}, TH_OK},
        {"another partition is another writer's",
         {{TOPIC_SEND_EVENTS, 2, 0, 5}, {TOPIC_SEND_OUTCOMES, 2, 0, 5}},
         TH_OK},
    };
    struct view_generations *gens;
    struct view_store *store;
    struct th_err err = {0};
    int gen;

    assert_int_equal(pg_view_generations_open(logs.conninfo, &gens, &err), TH_OK);
    assert_int_equal(gens->ops->make(gens, 1, &gen, &err), TH_OK); /* nothing is folded in it */
    assert_int_equal(gens->ops->open(gens, gen, &store, &err), TH_OK);
    for (size_t i = 0; i < TH_LEN(writers); i++) {
        const struct view_change change = {.steps = writers[i].steps, .steps_n = 2};
        print_message("  %s\n", writers[i].says);
        assert_int_equal(store->ops->commit(store, &change, &err), writers[i].code);
    }
    struct view_step ends[] = {{TOPIC_SEND_EVENTS, 1, 0, 0},
                               {TOPIC_SEND_OUTCOMES, 1, 0, 0},
                               {TOPIC_SEND_EVENTS, 2, 0, 0},
                               {TOPIC_SEND_OUTCOMES, 2, 0, 0}};
    static const int64_t expected[] = {7, 3, 5, 5};
    assert_int_equal(store->ops->progress(store, ends, TH_LEN(ends), &err), TH_OK);
    for (size_t i = 0; i < TH_LEN(ends); i++)
        assert_int_equal(ends[i].to, expected[i]);
    store->ops->close(store);
    assert_int_equal(gens->ops->drop(gens, gen, &err), TH_OK);
    pg_view_generations_close(gens);
}

static void test_a_damaged_row_is_named(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *damage;
        const char *repair;
        const char *table;
        const char *how;
        const char *columns;
    } cases[] = {
        {"a column of one send",
         "UPDATE views.sends SET status_reason = 'damaged' WHERE send ="
         " (SELECT send FROM views.sends ORDER BY send OFFSET 17 LIMIT 1)",
         "UPDATE views.sends SET status_reason = NULL WHERE status_reason = 'damaged'", "sends",
         "differs", "status_reason"},
        {"a counter",
         "UPDATE views.campaign_counters SET n = n + 1 WHERE outcome = 'reached' AND log_part = 0",
         "UPDATE views.campaign_counters SET n = n - 1 WHERE outcome = 'reached' AND log_part = 0",
         "campaign_counters", "differs", "n"},
        {"a row too many",
         "INSERT INTO views.lanes (lane, tenant, events_next) VALUES (99, 'pratham', 1)",
         "DELETE FROM views.lanes WHERE lane = 99", "lanes", "is too many", ""},
    };
    struct th_log *log = open_log();

    for (size_t i = 0; i < TH_LEN(cases); i++) {
        struct th_arena arena;
        print_message("  %s\n", cases[i].says);
        th_arena_init(&arena, 1 << 20);
        ask(cases[i].damage);
        const struct view_report *report = verify(log, &arena);
        ask(cases[i].repair);
        assert_false(report->is_equal);
        assert_int_equal(report->differences_n, 1);
        assert_string_equal(report->differences[0].table, cases[i].table);
        assert_string_equal(report->differences[0].how, cases[i].how);
        assert_str_equal(report->differences[0].columns, th_str(cases[i].columns));
        assert_true(report->differences[0].key.n > 0);
        th_arena_fini(&arena);
    }
    assert_verified(log);
    th_log_close(log);
}

/* --- rebuilding
 * ------------------------------------------------------------------------------------ */

static void test_a_rebuild_takes_the_place_of_the_old(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();
    struct view_generations *gens;
    struct th_err err = {0};
    uint64_t events;
    int before;
    int after;

    struct materialize *live = open_slot(log, 0, 1, 0);
    drain(live);
    int64_t sends = ask("SELECT count(*) FROM analytics.sends");
    ask("UPDATE views.sends SET reason = 'damaged' WHERE outcome = 'reached'");

    assert_int_equal(pg_view_generations_open(logs.conninfo, &gens, &err), TH_OK);
    assert_int_equal(gens->ops->current(gens, &before, &err), TH_OK);
    assert_int_equal(gens->ops->adopt(gens, FOLD_VERSION, &err), TH_OK);
    assert_int_equal(rules_of(gens), FOLD_VERSION + 1); /* rows do not change their rules */
    if (view_rebuild(log, gens, &after, &events, &err) != TH_OK)
        fail_msg("%s", err.text);
    assert_true(after > before);
    assert_int_equal(rules_of(gens), FOLD_VERSION);
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends WHERE reason = 'damaged'"), 0);
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends"), sends);

    /* The slot that was folding into the old one is turned away once, and goes on in the new one.
     */
    story_append(log, "other-tenant", 1);
    assert_int_equal(materialize_drain(live, &err), TH_FENCED);
    drain(live);
    materialize_free(live);
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends"), sends + STORY_SENDS);
    ask("UPDATE views.generation SET retired_at = now() - interval '25 hours' WHERE state = "
        "'retired'");
    int unused_gen;
    assert_int_equal(gens->ops->make(gens, 1, &unused_gen, &err), TH_OK);
    assert_int_equal(ask("SELECT count(*) FROM views.generation WHERE state = 'retired'"), 0);
    assert_int_equal(gens->ops->drop(gens, unused_gen, &err), TH_OK);
    assert_int_equal(gens->ops->drop(gens, after, &err), TH_CONFLICT); /* the current one */
    assert_int_equal(ask("SELECT count(*) FROM analytics.sends"), sends + STORY_SENDS);
    pg_view_generations_close(gens);
    th_log_close(log);
}

/* --- what the tables do not take
 * --------------------------------------------------------------------- */

static void test_a_refused_record_holds_nothing_up(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();
    char id[TH_ID_TEXT_LEN + 1];
    char sql[256];
    struct th_err err = {0};

    th_id_text(story_send(7, 3), id);
    (void)snprintf(sql, sizeof sql,
                   "DO $$ BEGIN EXECUTE format('ALTER TABLE view_g%%s.sends ADD CONSTRAINT refused"
                   " CHECK (send <> ''%s'')', (SELECT gen FROM views.generation WHERE state ="
                   " 'current')); END $$",
                   id);
    assert_int_equal(pg_run(logs.admin, sql, &err), TH_OK);
    int64_t letters = ask("SELECT count(*) FROM views.dead_letters");
    int64_t sends = ask("SELECT count(*) FROM views.sends");
    story_append(log, "third", 7);
    fold_all(log);
    assert_int_equal(ask("SELECT count(*) FROM views.sends"), sends + STORY_SENDS - 1);
    int64_t more = ask("SELECT count(*) FROM views.dead_letters") - letters;
    print_message("  %lld events became dead letters\n", (long long)more - 1);

    assert_true(more > 3); /* one that the story tells itself, and each event of that send */
    th_log_close(log);
}

/* --- while it goes on
 * ------------------------------------------------------------------------------- */

static void *append_more(void *log)
{
    story_append(log, "fourth", 9);
    return NULL;
}

static void test_verified_while_it_grows(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();
    struct running slots[2] = {0};
    pthread_t writer;
    int64_t grew = 0;

    for (int i = 0; i < 2; i++)
        start_slot(&slots[i], log, i, (size_t)64 * 1024);
    assert_int_equal(pthread_create(&writer, NULL, append_more, log), 0);
    for (int round = 0; round < 3; round++) {
        struct th_arena arena;
        int64_t before = ask("SELECT sum(next_offset)::int8 FROM views.progress");
        th_arena_init(&arena, 1 << 20);
        const struct view_report *report = verify(log, &arena);
        if (!report->is_equal)
            print_report(report);
        assert_true(report->is_equal);
        th_arena_fini(&arena);
        grew += ask("SELECT sum(next_offset)::int8 FROM views.progress") - before;
    }
    pthread_join(writer, NULL);
    stop_slot(&slots[0]);
    stop_slot(&slots[1]);
    print_message("  %lld events were folded meanwhile\n", (long long)grew);
    assert_true(grew > 0);
    fold_all(log);
    th_log_close(log);
}

/* A clock that stands still ends no wait: it ends because nothing more comes. */
static void test_who_is_last_does_not_wait(void **unused)
{
    (void)unused;
    struct th_log *log = open_log();
    struct running slots[2] = {0};
    struct th_virtual_clock clock;
    int64_t sends = ask("SELECT count(*) FROM views.sends");

    th_virtual_clock_init(&clock, INT64_C(1780000000000000));
    for (int i = 0; i < 2; i++) {
        slots[i].clock = &clock.clock;
        start_slot(&slots[i], log, i, (size_t)64 * 1024);
    }
    for (uint64_t seed = 11; seed < 13; seed++) {
        story_append(log, "fifth", seed);
        sends += STORY_SENDS;
        for (int tries = 0; ask("SELECT count(*) FROM views.sends") != sends; tries++) {
            assert_true(tries < 20000);
            sleep_ms(1);
        }
    }
    stop_slot(&slots[0]);
    stop_slot(&slots[1]);
    fold_all(log);
    th_log_close(log);
}

/* --- analysts
 * --------------------------------------------------------------------------------------- */

static enum th_code try_as(const char *role, const char *sql)
{
    const struct pg_statement statement = {sql};
    char set_role[128];
    struct th_err err = {0};

    (void)snprintf(set_role, sizeof set_role, "SET ROLE \"%s\"", role);
    assert_int_equal(pg_run(logs.admin, set_role, &err), TH_OK);
    enum th_code code = pg_execute(logs.admin, &statement, NULL, NULL, &err);
    assert_int_equal(pg_run(logs.admin, "RESET ROLE", &err), TH_OK);
    return code;
}

static int64_t ask_as(const char *role, const char *sql)
{
    char set_role[128];
    struct th_err err = {0};

    (void)snprintf(set_role, sizeof set_role, "SET ROLE \"%s\"", role);
    assert_int_equal(pg_run(logs.admin, set_role, &err), TH_OK);
    int64_t value = ask(sql);
    assert_int_equal(pg_run(logs.admin, "RESET ROLE", &err), TH_OK);
    return value;
}

static void test_analysts(void **unused)
{
    (void)unused;
    static const char *const refused[] = {
        "DELETE FROM analytics.sends",
        "UPDATE analytics.campaigns SET name = 'mine'",
        "INSERT INTO views.analyst VALUES ('telehub_analyst_pratham', NULL)",
        "SELECT phone FROM views.sends",
        "SELECT * FROM eventlog.batch",
        "SELECT views.publish(1)",
        "CREATE TABLE analytics.mine (n int)",
    };
    static const char count[] = "SELECT count(*) FROM analytics.sends";

    ask("SELECT views.add_analyst('pratham')");
    ask("SELECT views.add_analyst('other-tenant')");
    assert_int_equal(ask_as("telehub_analyst_pratham", count), STORY_SENDS);
    assert_int_equal(ask_as("telehub_analyst_other-tenant", count), STORY_SENDS);
    assert_int_equal(ask_as("telehub_auditor", count), 2 * STORY_SENDS);
    assert_int_equal(ask_as("telehub_analyst", count), 0);
    assert_int_equal(ask_as("telehub_analyst_pratham",
                            "SELECT count(*) FROM analytics.attempts WHERE tenant <> 'pratham'"),
                     0);
    assert_int_equal(ask_as("telehub_analyst_pratham", "SELECT count(*) FROM analytics.campaigns"),
                     1);
    assert_true(
        ask_as("telehub_analyst_pratham", "SELECT count(*) FROM analytics.provider_hourly") > 0);
    assert_true(ask_as("telehub_analyst_pratham",
                       "SELECT count(*) FROM analytics.cost_by_day WHERE is_estimated") > 0);
    assert_true(ask_as("telehub_analyst_pratham",
                       "SELECT count(*) FROM analytics.cost_by_day WHERE NOT is_estimated") > 0);
    for (size_t i = 0; i < TH_LEN(refused); i++) {
        print_message("  refused: %s\n", refused[i]);
        assert_int_not_equal(try_as("telehub_analyst_pratham", refused[i]), TH_OK);
    }
    assert_int_equal(ask("SELECT count(*) FROM information_schema.columns c"
                         " WHERE table_schema IN ('analytics', 'view_g2')"
                         " AND table_name NOT LIKE '%\\_20%' AND table_name NOT LIKE '%\\_other'"
                         " AND col_description(format('%I.%I', table_schema, table_name)::regclass,"
                         " ordinal_position) IS NULL"),
                     0);
    /* The six sets are the recipients. */
    assert_int_equal(ask("SELECT count(*) FROM analytics.campaigns WHERE recipients <> reached"
                         " + accepted_no_report + unreached + suppressed + in_doubt + unsent"
                         " OR unsent < 0"),
                     0);
}

static int start(void **unused)
{
    (void)unused;
    log_cluster_start(&logs);
    log_cluster_make(&logs, 4);
    return 0;
}

static int stop(void **unused)
{
    (void)unused;
    log_cluster_stop(&logs);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_views_take_the_rules_of_who_comes),
        cmocka_unit_test(test_live_equals_rebuilt),
        cmocka_unit_test(test_one_writer_at_a_time),
        cmocka_unit_test(test_a_damaged_row_is_named),
        cmocka_unit_test(test_a_rebuild_takes_the_place_of_the_old),
        cmocka_unit_test(test_analysts),
        cmocka_unit_test(test_verified_while_it_grows),
        cmocka_unit_test(test_who_is_last_does_not_wait),
        cmocka_unit_test(test_a_refused_record_holds_nothing_up),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
