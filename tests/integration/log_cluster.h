/* log_cluster.h - a throw-away Postgres with a log in it, for tests. */
#ifndef TELEHUB_TESTS_INTEGRATION_LOG_CLUSTER_H
#define TELEHUB_TESTS_INTEGRATION_LOG_CLUSTER_H

#include "connectors/postgres/pg.h"
#include "connectors/postgres/pg_log.h"
#include "tests/integration/cluster.h"
#include "tests/integration/pg_proxy.h"

#define LOG_CLUSTER_CONNINFO_MAX 512

struct log_cluster {
    struct cluster *cluster;
    int made;                                /* logs so far; each in a database of its own */
    char conninfo[LOG_CLUSTER_CONNINFO_MAX]; /* of the newest */
    struct pg *admin;                        /* a superuser's connection to it */
};

/* Start the cluster and migrate its database. Ends the test on failure. */
void log_cluster_start(struct log_cluster *logs);
void log_cluster_stop(struct log_cluster *logs);

/* A new empty log with so many partitions; the one before is gone, and nobody has it open. */
void log_cluster_make(struct log_cluster *logs, int partitions);

/* Its conninfo through another port of the same socket folder (a proxy's). */
void log_cluster_through(const struct log_cluster *logs, int port,
                         char out_conninfo[LOG_CLUSTER_CONNINFO_MAX]);

/* Waits and time-outs for tests: tenths of the usual ones. */
struct pg_log_config log_cluster_config(const struct log_cluster *logs);

/* Run a statement as the superuser; ends the test on failure. The first column of the first row, if
 * it is an int8; else 0. */
int64_t log_cluster_admin(struct log_cluster *logs, const struct pg_statement *statement,
                          struct pg_params *params);

/* Kill the server as a power cut would end it, and start it again; returns when it is there. */
void log_cluster_crash(struct log_cluster *logs);

/* End the backends of that application_name and wait at most so long for each to be gone (the
 * server looks every 100 ms; 0: do not wait); how many there were. */
int log_cluster_kill(struct log_cluster *logs, const char *application_name, int wait_ms);

#endif
