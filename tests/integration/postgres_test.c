/* The wrapped connection and the migrations, against a real server. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "connectors/postgres/migrate.h"
#include "connectors/postgres/pg.h"
#include "tests/integration/cluster.h"
#include "tests/integration/pg_proxy.h"

static struct cluster *cluster;

static struct pg *must_open(const char *conninfo)
{
    struct th_err err = {0};
    struct pg *pg = NULL;

    if (pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, &err) != TH_OK)
        fail_msg("%s", err.text);
    return pg;
}

/* --- values go there and come back ------------------------------------------------------ */

static const struct pg_statement sql_echo = {
    "SELECT $1::bool, $2::int2, $3::int4, $4::int8, $5::timestamptz, $6::bytea, $7::text, $8::uuid,"
    " $9::int8, extract(epoch FROM $5::timestamptz)::int8",
};

static void test_single_values(void **unused)
{
    (void)unused;
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct pg *pg = must_open(cluster_conninfo(cluster));
    struct pg_params params = {0};
    struct th_err err = {0};
    PGresult *result = NULL;

    pg_add_bool(&params, true);
    pg_add_int2(&params, INT16_MIN);
    pg_add_int4(&params, INT32_MIN);
    pg_add_int8(&params, INT64_MIN);
    pg_add_time_us(&params, 1700000000123456);
    pg_add_bytes(&params, (struct th_str){"\0\xff", 2});
    pg_add_bytes(&params, TH_STR(""));
    pg_add_uuid(&params, uuid);
    pg_add_null(&params);
    assert_int_equal(pg_execute(pg, &sql_echo, &params, &result, &err), TH_OK);

    struct pg_row row = pg_row(result, 0);
    assert_true(pg_next_bool(&row));
    assert_int_equal(pg_next_int2(&row), INT16_MIN);
    assert_int_equal(pg_next_int4(&row), INT32_MIN);
    assert_int_equal(pg_next_int8(&row), INT64_MIN);
    assert_int_equal(pg_next_time_us(&row), 1700000000123456);
    assert_str_equal(pg_next_bytes(&row), ((struct th_str){"\0\xff", 2}));
    assert_str_equal(pg_next_bytes(&row), TH_STR(""));
    assert_str_equal(pg_next_bytes(&row), ((struct th_str){(const char *)uuid, 16}));
    assert_true(pg_next(&row).is_null);
    assert_int_equal(pg_next_int8(&row), 1700000000);
    assert_int_equal(pg_row_end(&row, &err), TH_OK);
    PQclear(result);
    pg_params_fini(&params);
    pg_close(pg);
}

static const struct pg_statement sql_unnest = {
    "SELECT a, b, c, d, e FROM unnest($1::int8[], $2::bytea[], $3::text[], $4::timestamptz[],"
    " $5::bool[]) WITH ORDINALITY u(a, b, c, d, e, n) ORDER BY n",
};

static void test_arrays(void **unused)
{
    (void)unused;
    struct pg *pg = must_open(cluster_conninfo(cluster));
    struct pg_params params = {0};
    struct th_err err = {0};
    PGresult *result = NULL;

    for (size_t n = 0; n <= 3; n++) {
        pg_params_clear(&params);
        pg_array_begin(&params, PG_INT8);
        for (size_t i = 0; i < n; i++)
            pg_item_int8(&params, (int64_t)i - 1);
        pg_array_begin(&params, PG_BYTEA);
        for (size_t i = 0; i < n; i++)
            pg_item_bytes(&params, (struct th_str){"abc", i});
        pg_array_begin(&params, PG_TEXT);
        for (size_t i = 0; i < n; i++)
            pg_item_null(&params);
        pg_array_begin(&params, PG_TIMESTAMPTZ);
        for (size_t i = 0; i < n; i++)
            pg_item_time_us(&params, (int64_t)i);
        pg_array_begin(&params, PG_BOOL);
        for (size_t i = 0; i < n; i++)
            pg_item_bool(&params, i % 2);
        if (pg_execute(pg, &sql_unnest, &params, &result, &err) != TH_OK)
            fail_msg("%s", err.text);
        assert_int_equal(PQntuples(result), n);
        for (size_t i = 0; i < n; i++) {
            struct pg_row row = pg_row(result, (int)i);
            assert_int_equal(pg_next_int8(&row), (int64_t)i - 1);
            assert_str_equal(pg_next_bytes(&row), ((struct th_str){"abc", i}));
            assert_true(pg_next(&row).is_null);
            assert_int_equal(pg_next_time_us(&row), i);
            assert_int_equal(pg_next_bool(&row), i % 2);
            assert_int_equal(pg_row_end(&row, &err), TH_OK);
        }
        PQclear(result);
    }
    pg_params_fini(&params);
    pg_close(pg);
}

static void test_wrong_reads_are_found(void **unused)
{
    (void)unused;
    static const struct pg_statement two = {"SELECT 1::int4, NULL::int8"};
    struct pg *pg = must_open(cluster_conninfo(cluster));
    struct th_err err = {0};
    PGresult *result = NULL;

    assert_int_equal(pg_execute(pg, &two, NULL, &result, &err), TH_OK);
    struct pg_row row = pg_row(result, 0);
    (void)pg_next_int8(&row); /* another size */
    (void)pg_next(&row);
    assert_int_equal(pg_row_end(&row, &err), TH_MALFORMED);
    row = pg_row(result, 0);
    (void)pg_next_int4(&row);
    assert_int_equal(pg_row_end(&row, &err), TH_MALFORMED); /* a column left */
    (void)pg_next_int8(&row);                               /* a null */
    assert_int_equal(pg_row_end(&row, &err), TH_MALFORMED);
    row = pg_row(result, 0);
    (void)pg_next_int4(&row);
    (void)pg_next(&row);
    (void)pg_next(&row); /* beyond the last */
    assert_int_equal(pg_row_end(&row, &err), TH_MALFORMED);
    row = pg_row(result, 1);
    (void)pg_next_int4(&row);
    (void)pg_next(&row);
    assert_int_equal(pg_row_end(&row, &err), TH_MALFORMED); /* no such row */
    PQclear(result);
    pg_close(pg);
}

/* --- errors ----------------------------------------------------------------------------- */

static void test_errors(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        struct pg_statement statement;
        enum th_code code;
    } cases[] = {
        {"an unknown function", {"SELECT no_such(1)"}, TH_NOT_FOUND},
        {"an unknown table", {"SELECT 1 FROM no.such"}, TH_NOT_FOUND},
        {"a number too large", {"SELECT 70000::int2"}, TH_INVALID},
        {"a division by zero", {"SELECT 1/0"}, TH_INVALID},
        {"a slow statement", {"SELECT pg_sleep(5)"}, TH_TIMEOUT},
        {"a forbidden file", {"SELECT pg_read_file('/etc/passwd')"}, TH_DENIED},
        {"a missing word", {"SELEKT 1"}, TH_IO},
    };
    struct pg *pg = NULL;
    struct th_err err = {0};

    assert_int_equal(pg_open(&(struct pg_config){.conninfo = cluster_conninfo(cluster),
                                                 .statement_timeout_ms = 50},
                             &pg, &err),
                     TH_OK);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        PGresult *result = NULL;
        print_message("  %s\n", cases[i].says);
        enum th_code code = pg_execute(pg, &cases[i].statement, NULL, &result, &err);
        if (code != cases[i].code)
            fail_msg("%s: %s", th_code_name(code), err.text);
        assert_null(result);
        assert_true(pg_is_alive(pg));
    }
    pg_close(pg);

    static const struct {
        const char *sqlstate;
        enum th_code code;
    } states[] = {
        {"THF01", TH_FENCED},      {"TH404", TH_NOT_FOUND}, {"40001", TH_ABORTED},
        {"40P01", TH_ABORTED},     {"55P03", TH_ABORTED},   {"57P01", TH_UNAVAILABLE},
        {"57014", TH_TIMEOUT},     {"53100", TH_FULL},      {"53300", TH_UNAVAILABLE},
        {"08006", TH_UNAVAILABLE}, {"23505", TH_CONFLICT},  {"XX001", TH_CORRUPT},
        {"XX000", TH_IO},          {NULL, TH_UNAVAILABLE},
    };
    for (size_t i = 0; i < TH_LEN(states); i++)
        assert_int_equal(pg_code_of_sqlstate(states[i].sqlstate), states[i].code);
}

static void test_refused_connections(void **unused)
{
    (void)unused;
    static const struct {
        const char *says;
        const char *conninfo; /* %s: the socket's folder */
        enum th_code code;
    } cases[] = {
        {"nobody listens", "host=%s/none dbname=telehub user=telehub", TH_UNAVAILABLE},
        {"no such database", "host=%s/run dbname=other user=postgres", TH_NOT_FOUND},
        {"no such role", "host=%s/run dbname=telehub user=other", TH_NOT_FOUND},
        {"not allowed in", "host=%s/run dbname=telehub user=stranger", TH_DENIED},
    };

    assert_int_equal(cluster_shell("psql -Xqh %s/run -U postgres -c 'CREATE ROLE stranger LOGIN'",
                                   cluster_dir(cluster)),
                     0);
    for (size_t i = 0; i < TH_LEN(cases); i++) {
        char conninfo[512];
        struct pg *pg = NULL;
        struct th_err err = {0};
        print_message("  %s\n", cases[i].says);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(conninfo, sizeof conninfo, cases[i].conninfo, cluster_dir(cluster));
#pragma GCC diagnostic pop
        enum th_code code = pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, &err);
        if (code != cases[i].code)
            fail_msg("%s: %s", th_code_name(code), err.text);
        assert_null(pg);
    }
}

static void test_settings_of_the_role_do_not_count(void **unused)
{
    (void)unused;
    static const struct pg_statement show = {
        "SELECT current_setting('default_transaction_isolation'),"
        " current_setting('synchronous_commit')",
    };
    char conninfo[512];
    struct th_err err = {0};
    PGresult *result = NULL;

    cluster_database(cluster, "strict", conninfo);
    assert_int_equal(
        cluster_shell("psql -Xqh %s/run -U postgres"
                      " -c \"ALTER DATABASE strict SET default_transaction_isolation=serializable\""
                      " -c \"ALTER DATABASE strict SET synchronous_commit=off\"",
                      cluster_dir(cluster)),
        0);
    struct pg *pg = must_open(conninfo);
    assert_int_equal(pg_execute(pg, &show, NULL, &result, &err), TH_OK);
    struct pg_row row = pg_row(result, 0);
    assert_str_equal(pg_next_bytes(&row), TH_STR("read committed"));
    assert_str_equal(pg_next_bytes(&row), TH_STR("on"));
    PQclear(result);
    pg_close(pg);
}

/* --- a pooler in between ---------------------------------------------------------------- */

static void test_a_pooler_is_refused(void **unused)
{
    (void)unused;
    char folder[300];
    char conninfo[512];
    struct pg *pg = NULL;
    struct th_err err = {0};

    snprintf(folder, sizeof folder, "%s/run", cluster_dir(cluster));
    snprintf(conninfo, sizeof conninfo, "host=%s port=6432 dbname=telehub user=telehub", folder);
    struct pg_proxy *proxy = pg_proxy_start(folder, 6432);
    assert_int_equal(pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, &err), TH_OK);
    pg_close(TH_TAKE(pg));
    pg_proxy_pretend_pooler(proxy);
    assert_int_equal(pg_open(&(struct pg_config){.conninfo = conninfo}, &pg, &err), TH_UNSUPPORTED);
    assert_non_null(strstr(err.text, "pooler"));
    pg_proxy_stop(proxy);
}

/* --- migrations ------------------------------------------------------------------------- */

#define DIGEST(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c

static void test_migrations(void **unused)
{
    (void)unused;
    static const struct sql_migration one[] = {
        {1, "0001_a", "CREATE TABLE telehub.a (x int)", DIGEST("aa")},
        {0},
    };
    static const struct sql_migration two[] = {
        {1, "0001_a", "CREATE TABLE telehub.a (x int)", DIGEST("aa")},
        {2, "0002_b", "CREATE TABLE telehub.b (x int); INSERT INTO telehub.b VALUES (1)",
         DIGEST("bb")},
        {0},
    };
    static const struct sql_migration changed[] = {
        {1, "0001_a", "CREATE TABLE telehub.a (y int)", DIGEST("ac")},
        {0},
    };
    static const struct sql_migration broken[] = {
        {1, "0001_a", "CREATE TABLE telehub.a (x int)", DIGEST("aa")},
        {2, "0002_b", "CREATE TABLE telehub.c (x int); SELECT 1/0", DIGEST("bb")},
        {0},
    };
    char conninfo[512];
    struct th_err err = {0};
    int applied = -1;

    cluster_database(cluster, "migrated", conninfo);
    struct pg *pg = must_open(conninfo);
    assert_int_equal(pg_migrate_check(pg, one, &err), TH_UNSUPPORTED);
    assert_non_null(strstr(err.text, "telehub upgrade"));
    assert_int_equal(pg_migrate(pg, one, &applied, &err), TH_OK);
    assert_int_equal(applied, 1);
    assert_int_equal(pg_migrate(pg, one, &applied, &err), TH_OK);
    assert_int_equal(applied, 0);
    assert_int_equal(pg_migrate_check(pg, one, &err), TH_OK);

    print_message("  a migration that fails leaves nothing behind\n");
    assert_int_equal(pg_migrate(pg, broken, &applied, &err), TH_INVALID);
    assert_int_equal(applied, 0);
    static const struct pg_statement count = {"SELECT to_regclass('telehub.c') IS NULL"};
    PGresult *result = NULL;
    assert_int_equal(pg_execute(pg, &count, NULL, &result, &err), TH_OK);
    struct pg_row row = pg_row(result, 0);
    assert_true(pg_next_bool(&row));
    PQclear(result);

    print_message("  an older database is told to upgrade, and does\n");
    assert_int_equal(pg_migrate_check(pg, two, &err), TH_UNSUPPORTED);
    assert_non_null(strstr(err.text, "0002_b"));
    assert_int_equal(pg_migrate(pg, two, &applied, &err), TH_OK);
    assert_int_equal(applied, 1);

    print_message("  a newer database is refused\n");
    assert_int_equal(pg_migrate_check(pg, one, &err), TH_UNSUPPORTED);
    assert_int_equal(pg_migrate(pg, one, &applied, &err), TH_UNSUPPORTED);
    assert_non_null(strstr(err.text, "newer"));

    print_message("  a changed migration is refused\n");
    assert_int_equal(pg_migrate_check(pg, changed, &err), TH_CONFLICT);
    assert_non_null(strstr(err.text, "changed"));
    pg_close(pg);
}

static void *migrate_thread(void *conninfo)
{
    struct pg *pg = must_open(conninfo);
    struct th_err err = {0};
    int applied;

    enum th_code code = pg_migrate(pg, sql_migrations, &applied, &err);
    if (code != TH_OK)
        print_message("  %s\n", err.text);
    pg_close(pg);
    return code == TH_OK ? (void *)(intptr_t)(applied + 1) : NULL;
}

static void test_many_migrate_at_once(void **unused)
{
    (void)unused;
    pthread_t threads[4];
    char conninfo[512];
    intptr_t applied = 0;
    intptr_t all = 0;

    while (sql_migrations[all].name)
        all++;
    cluster_database(cluster, "crowded", conninfo);
    for (size_t i = 0; i < TH_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_thread, conninfo), 0);
    for (size_t i = 0; i < TH_LEN(threads); i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_non_null(result);
        applied += (intptr_t)result - 1;
    }
    assert_int_equal(applied, all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_values),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_wrong_reads_are_found),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_refused_connections),
        cmocka_unit_test(test_settings_of_the_role_do_not_count),
        cmocka_unit_test(test_a_pooler_is_refused),
        cmocka_unit_test(test_migrations),
        cmocka_unit_test(test_many_migrate_at_once),
    };

    cluster = cluster_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cluster_stop(cluster);
    return failed;
}
