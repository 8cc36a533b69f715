/* Events copied on the Postgres log while copiers and the server are ended at random. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/postgres/pg_log.h"
#include "tests/copy/copy.h"
#include "tests/integration/cluster.h"

#define SCRIPT TELEHUB_SOURCE_DIR "/deploy/cluster.sh"

static enum th_code create(void *arg, struct th_err *err)
{
    const char *conninfo = cluster_conninfo(arg);
    int applied;

    TH_TRY(pg_log_upgrade(conninfo, &applied, err));
    return pg_log_create(conninfo, COPY_PARTITIONS, err);
}

static enum th_code open_it(void *arg, struct th_log **out_log, struct th_err *err)
{
    const struct pg_log_config config = {
        .conninfo = cluster_conninfo(arg),
        .commit_timeout_ms = 4000,
        .resolve_retry_ms = 20,
    };

    return pg_log_open(&config, out_log, err);
}

static void must(int status, const char *what)
{
    if (status == 0)
        return;
    fprintf(stderr, "Postgres: %s did not succeed\n", what);
    exit(1);
}

static const char *fell(void *arg, bool is_hard, uint64_t chance)
{
    const char *how = is_hard ? "kill" : "stop";

    (void)chance;
    must(cluster_shell("%s %s %s", SCRIPT, how, cluster_dir(arg)), how);
    return "Postgres";
}

static void raise_it(void *arg)
{
    must(cluster_shell("%s start %s", SCRIPT, cluster_dir(arg)), "start");
}

int main(int argc, char **argv)
{
    struct copy_plan plan = copy_plan_of(argc, argv, NULL, "");
    struct cluster *cluster = cluster_start();
    const struct copy_world world = {
        .name = "Postgres",
        .arg = cluster,
        .create = create,
        .open = open_it,
        .fell = fell,
        .raise = raise_it,
        .rest_ms = 3,
    };

    int status = plan.takeovers ? copy_takeovers(&world, &plan) : copy_run(&world, &plan);
    cluster_stop(cluster);
    return status;
}
