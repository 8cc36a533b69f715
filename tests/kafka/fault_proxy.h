/* fault_proxy.h - a TCP proxy between librdkafka and one broker that knows Kafka's frames.
 *
 * It looks at the length, the API key, the client's name and, of EndTxn, the transactional id.
 * Nothing else of a frame is understood, and nothing is changed. One thread of its own; the
 * functions may be called from any.
 */
#ifndef TELEHUB_TESTS_KAFKA_FAULT_PROXY_H
#define TELEHUB_TESTS_KAFKA_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>

struct fault_proxy;

/* Ends the program when it cannot listen. */
struct fault_proxy *fault_proxy_start(int listen_port, int broker_port);
void fault_proxy_stop(struct fault_proxy *proxy);

/* What becomes of the EndTxn requests of a transactional id, from now on. */
enum fault_fate {
    FAULT_NONE,
    FAULT_HOLD,         /* they wait until fault_proxy_let_go */
    FAULT_LOSE_REQUEST, /* the connection is cut before the broker sees one */
    FAULT_LOSE_ANSWER,  /* the broker answers the first, but its client's connection is cut;
                           those that follow are cut too */
};

/* The fate ends when the same id asks for a new epoch (InitProducerId), as whoever resolves a lost
 * answer does. */
void fault_proxy_plan(struct fault_proxy *proxy, const char *transactional_id,
                      enum fault_fate fate);

void fault_proxy_let_go(struct fault_proxy *proxy, const char *transactional_id);

/* Cut all connections of the clients of that name; returns how many. */
size_t fault_proxy_cut(struct fault_proxy *proxy, const char *client_id);

#endif
