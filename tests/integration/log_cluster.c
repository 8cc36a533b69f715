#include "tests/integration/log_cluster.h"

#include <stdio.h>

static void die(const char *what, const struct th_err *err)
{
    fprintf(stderr, "log_cluster: %s: %s: %s\n", what, th_code_name(err->code), err->text);
    exit(1);
}

static void conninfo_of(const struct log_cluster *logs, const char *database, const char *user,
                        int port, char *out)
{
    snprintf(out, LOG_CLUSTER_CONNINFO_MAX, "host=%s/run port=%d dbname=%s user=%s",
             cluster_dir(logs->cluster), port, database, user);
}

static struct pg *connect_as(const char *conninfo)
{
    struct th_err err = {0};
    struct pg *pg = NULL;

    if (pg_open(&(struct pg_config){.conninfo = conninfo, .application_name = "test admin"}, &pg,
                &err) != TH_OK)
        die(conninfo, &err);
    return pg;
}

void log_cluster_start(struct log_cluster *logs)
{
    char conninfo[LOG_CLUSTER_CONNINFO_MAX];
    struct th_err err = {0};
    int applied;

    *logs = (struct log_cluster){.cluster = cluster_start()};
    conninfo_of(logs, "telehub", "telehub", 5432, logs->conninfo);
    if (pg_log_upgrade(logs->conninfo, &applied, &err) != TH_OK)
        die("upgrade", &err);
    conninfo_of(logs, "telehub", "postgres", 5432, conninfo);
    logs->admin = connect_as(conninfo);
}

void log_cluster_stop(struct log_cluster *logs)
{
    pg_close(logs->admin);
    cluster_stop(logs->cluster);
}

/* Emptying is thirty times as fast as another database, whose removal costs a checkpoint. */
void log_cluster_make(struct log_cluster *logs, int partitions)
{
    static const struct pg_statement sql_empty = {
        "TRUNCATE eventlog.meta, eventlog.topic, eventlog.partition_head, eventlog.segment,"
        " eventlog.batch, eventlog.slot, eventlog.journal, eventlog.snapshot, eventlog.idem,"
        " eventlog.heartbeat",
    };
    struct th_err err = {0};

    log_cluster_admin(logs, &sql_empty, NULL);
    if (pg_log_create(logs->conninfo, partitions, &err) != TH_OK)
        die("create", &err);
}

void log_cluster_through(const struct log_cluster *logs, int port,
                         char out_conninfo[LOG_CLUSTER_CONNINFO_MAX])
{
    conninfo_of(logs, "telehub", "telehub", port, out_conninfo);
}

struct pg_log_config log_cluster_config(const struct log_cluster *logs)
{
    return (struct pg_log_config){
        .conninfo = logs->conninfo,
        .lock_timeout_ms = 2000,
        .commit_timeout_ms = 4000,
        .resolve_retry_ms = 20,
        .takeover_ms = 5000,
        .grace_ms = 300,
        .heartbeat_ms = 200,
        .stale_ms = 800,
        .relisten_ms = 25,
        .house_ms = 200,
    };
}

int64_t log_cluster_admin(struct log_cluster *logs, const struct pg_statement *statement,
                          struct pg_params *params)
{
    PGresult *result = NULL;
    struct th_err err = {0};
    int64_t value = 0;

    if (pg_execute(logs->admin, statement, params, &result, &err) != TH_OK)
        die(statement->sql, &err);
    if (PQntuples(result) > 0) {
        struct pg_row row = pg_row(result, 0);
        if (!pg_column_int8(pg_next(&row), &value))
            value = 0;
    }
    PQclear(result);
    return value;
}

void log_cluster_crash(struct log_cluster *logs)
{
    char conninfo[LOG_CLUSTER_CONNINFO_MAX];

    pg_close(TH_TAKE(logs->admin));
    cluster_crash(logs->cluster);
    conninfo_of(logs, "telehub", "postgres", 5432, conninfo);
    logs->admin = connect_as(conninfo);
}

int log_cluster_kill(struct log_cluster *logs, const char *application_name, int wait_ms)
{
    static const struct pg_statement sql_kill = {
        "SELECT count(pg_terminate_backend(pid, $2::int8)) FROM pg_stat_activity"
        " WHERE application_name = $1::text AND datname = current_database()",
    };
    struct pg_params params = {0};

    pg_add_bytes(&params, th_str(application_name));
    pg_add_int8(&params, wait_ms);
    int n = (int)log_cluster_admin(logs, &sql_kill, &params);
    pg_params_fini(&params);
    return n;
}
