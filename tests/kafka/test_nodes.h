/* test_nodes.h - three nodes of tests/kafka/nodes for the time of a test program. */
#ifndef TELEHUB_TESTS_KAFKA_TEST_NODES_H
#define TELEHUB_TESTS_KAFKA_TEST_NODES_H

#include <stdbool.h>

#define TEST_NODES 3 /* numbered from 1 on */

struct test_nodes {
    char folder[64];
    char version[16];
    char cluster[32];
    char brokers[96]; /* what clients are told */
};

/* As test_broker_start. */
int test_nodes_start(struct test_nodes *nodes);
void test_nodes_stop(struct test_nodes *nodes);

/* End one of them, without a word (is_hard) or in order; it can be started again. They end the
 * program when that fails. */
void test_nodes_end(struct test_nodes *nodes, int node, bool is_hard);
void test_nodes_restart(struct test_nodes *nodes, int node);

/* Which node leads a partition now; 0 when that cannot be told. */
int test_nodes_leader(const struct test_nodes *nodes, const char *topic, int part);

#endif
