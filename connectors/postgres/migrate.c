#include "connectors/postgres/migrate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct pg_statement sql_exists = {
    "SELECT to_regclass('telehub.migration') IS NOT NULL",
};

static const struct pg_statement sql_applied = {
    "SELECT number, sha256, applied_at FROM telehub.migration ORDER BY number",
};

static const struct pg_statement sql_record = {
    "INSERT INTO telehub.migration (number, name, sha256) VALUES ($1::int, $2::text, $3::text)",
};

/* Held by whoever migrates, until the end of its transaction. */
static const char sql_begin[] = "BEGIN; SELECT pg_advisory_xact_lock(7002, 1);"
                                " SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s'";

static const char sql_bootstrap[] =
    "CREATE SCHEMA IF NOT EXISTS telehub;"
    "CREATE TABLE IF NOT EXISTS telehub.migration (number int PRIMARY KEY, name text NOT NULL,"
    " sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())";

static size_t list_length(const struct sql_migration *list)
{
    size_t n = 0;
    while (list[n].name)
        n++;
    return n;
}

/* Compare one applied row with the i-th of the list. */
static enum th_code check_row(struct pg_row *row, const struct sql_migration *list, size_t i,
                              int64_t *out_at_us, struct th_err *err)
{
    int number = pg_next_int4(row);
    struct th_str sha256 = pg_next_bytes(row);

    *out_at_us = pg_next_time_us(row);
    TH_TRY(pg_row_end(row, err));
    if (i >= list_length(list))
        return th_fail(err, TH_UNSUPPORTED,
                       "the database has migration %04d, this binary knows %zu: use the newer "
                       "binary",
                       number, list_length(list));
    if (number != list[i].number)
        return th_fail(err, TH_CONFLICT,
                       "migration %04d was applied where %s belongs: the database was made by "
                       "another build",
                       number, list[i].name);
    if (!th_str_eq(sha256, th_str(list[i].sha256)))
        return th_fail(err, TH_CONFLICT,
                       "migration %s was changed after it was applied: the database was made by "
                       "another build",
                       list[i].name);
    return TH_OK;
}

enum th_code pg_migrate_list(struct pg *pg, const struct sql_migration *list, int64_t *out_at_us,
                             size_t *out_applied, struct th_err *err)
{
    TH_AUTO(pg_result) PGresult *exists = NULL;
    TH_AUTO(pg_result) PGresult *applied = NULL;

    TH_TRY(pg_execute(pg, &sql_exists, NULL, &exists, err));
    struct pg_row row = pg_row(exists, 0);
    bool has_table = pg_next_bool(&row);
    TH_TRY(pg_row_end(&row, err));
    *out_applied = 0;
    if (!has_table)
        return TH_OK;

    TH_TRY(pg_execute(pg, &sql_applied, NULL, &applied, err));
    for (int i = 0; i < PQntuples(applied); i++) {
        int64_t at_us = 0;
        row = pg_row(applied, i);
        TH_TRY(check_row(&row, list, (size_t)i, &at_us, err));
        out_at_us[i] = at_us;
    }
    *out_applied = (size_t)PQntuples(applied);
    return TH_OK;
}

static enum th_code apply(struct pg *pg, const struct sql_migration *migration, struct th_err *err)
{
    struct pg_params params = {0};

    struct th_err why = {0};
    enum th_code code = pg_run(pg, migration->sql, &why);
    if (code != TH_OK)
        return th_fail(err, code, "migration %s: %s", migration->name, why.text);
    pg_add_int4(&params, migration->number);
    pg_add_bytes(&params, th_str(migration->name));
    pg_add_bytes(&params, th_str(migration->sha256));
    code = pg_execute(pg, &sql_record, &params, NULL, err);
    pg_params_fini(&params);
    return code;
}

/* Inside a transaction that holds the lock: apply the next one, if there is one. */
static enum th_code apply_next(struct pg *pg, const struct sql_migration *list, bool *out_is_done,
                               struct th_err *err)
{
    int64_t at_us[PG_MIGRATIONS_MAX];
    size_t applied;

    TH_TRY(pg_run(pg, sql_bootstrap, err));
    TH_TRY(pg_migrate_list(pg, list, at_us, &applied, err));
    *out_is_done = applied == list_length(list);
    return *out_is_done ? TH_OK : apply(pg, &list[applied], err);
}

enum th_code pg_migrate(struct pg *pg, const struct sql_migration *list, int *out_applied,
                        struct th_err *err)
{
    *out_applied = 0;
    if (list_length(list) > PG_MIGRATIONS_MAX)
        return th_fail(err, TH_INVALID, "more than %d migrations", PG_MIGRATIONS_MAX);
    for (;;) {
        bool is_done = false;

        TH_TRY(pg_run(pg, sql_begin, err));
        enum th_code code = apply_next(pg, list, &is_done, err);
        if (code == TH_OK)
            code = pg_run(pg, "COMMIT", err);
        if (code != TH_OK) {
            enum th_code undone = pg_run(pg, "ROLLBACK", NULL);
            (void)undone; /* failing here means a lost connection, which rolls back as well */
            return code;
        }
        if (is_done)
            return TH_OK;
        ++*out_applied;
    }
}

enum th_code pg_migrate_check(struct pg *pg, const struct sql_migration *list, struct th_err *err)
{
    int64_t at_us[PG_MIGRATIONS_MAX];
    size_t applied;

    TH_TRY(pg_migrate_list(pg, list, at_us, &applied, err));
    if (applied == list_length(list))
        return TH_OK;
    if (applied == 0)
        return th_fail(err, TH_UNSUPPORTED, "the database is empty: run telehub upgrade");
    return th_fail(err, TH_UNSUPPORTED, "the database lacks migration %s: run telehub upgrade",
                   list[applied].name);
}
