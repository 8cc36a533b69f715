/* cluster.h - a throw-away Postgres for one test binary.
 *
 * A temporary folder, a cluster in it, the database telehub; stopped and removed at exit, also
 * when the test is killed (the process that holds it notices that its standard input ended). Any
 * number of them at once. Where initdb is not installed the test is skipped, with that reason.
 */
#ifndef TELEHUB_TESTS_INTEGRATION_CLUSTER_H
#define TELEHUB_TESTS_INTEGRATION_CLUSTER_H

/* The ctest property SKIP_RETURN_CODE of integration tests. */
#define CLUSTER_SKIPPED 77

struct cluster;

/* Started and migrated to nothing: an empty database. Ends the test when that cannot be done. */
struct cluster *cluster_start(void);

/* The same with the settings of an installation instead of those that save memory: for
 * measurements. */
struct cluster *cluster_start_full(void);
void cluster_stop(struct cluster *cluster);

/* Conninfo of the database's owner, valid as long as the cluster. */
const char *cluster_conninfo(const struct cluster *cluster);

/* The folder; below it run/ holds the socket, postgres.log what the server says. */
const char *cluster_dir(const struct cluster *cluster);

/* Make one more database, empty, owned by telehub; out_conninfo has room for 512 characters. */
void cluster_database(struct cluster *cluster, const char *name, char *out_conninfo);

/* Stop it as a power cut would, and start it again; returns when it takes connections. */
void cluster_crash(struct cluster *cluster);

/* Run a shell command, printf-like; its exit status. */
int cluster_shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
