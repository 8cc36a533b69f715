/* settle.h - until a Postgres has done what was asked of it over connections that broke. */
#ifndef TELEHUB_TESTS_FAILURE_SETTLE_H
#define TELEHUB_TESTS_FAILURE_SETTLE_H

#include "tests/integration/log_cluster.h"

/* What was sent before a connection was given up may still run: wait until nothing does, and each
 * backend is somebody's. */
void settle(struct log_cluster *logs);

#endif
