/* The story of retained.h on a log in Postgres: rows are gone, and room with them. */
#include "tests/integration/log_cluster.h"
#include "tests/integration/retained.h"
#include "tests/unit/test.h"

static struct log_cluster logs;
static int64_t batches;

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

static int64_t ask(const char *sql)
{
    const struct pg_statement statement = {sql};

    return log_cluster_admin(&logs, &statement, NULL);
}

static enum th_code open_log(void *unused, struct th_log **out_log, struct th_err *err)
{
    struct pg_log_config config = log_cluster_config(&logs);

    (void)unused;
    return pg_log_open(&config, out_log, err);
}

/* What was written lies in a segment that nobody writes any more. */
static void was_written(void *unused, struct th_log *log)
{
    struct th_err err = {0};

    (void)unused;
    if (pg_log_rotate(log, &err) != TH_OK)
        fail_msg("%s", err.text);
    batches = ask("SELECT count(*) FROM eventlog.batch");
}

static void was_trimmed(void *unused, struct th_log *log)
{
    (void)unused, (void)log;
    assert_true(ask("SELECT count(*) FROM eventlog.batch") < batches / 2);
    assert_int_equal(ask("SELECT count(*) FROM eventlog.batch b JOIN eventlog.partition_head h"
                         " USING (topic_id, part) WHERE b.base_offset < h.log_start"),
                     0);
    assert_int_equal(ask("SELECT count(*) FROM information_schema.role_table_grants"
                         " WHERE table_schema = 'eventlog' AND table_name LIKE 'batch%'"
                         " AND privilege_type = 'DELETE' AND grantee <> 'postgres'"),
                     0);
}

static void test_views_made_of_the_archive_and_the_rest_equal_live(void **unused)
{
    (void)unused;
    const struct retained retained = {.open = open_log,
                                      .conninfo = logs.conninfo,
                                      .was_written = was_written,
                                      .was_trimmed = was_trimmed};

    retained_story(&retained);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_made_of_the_archive_and_the_rest_equal_live),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
