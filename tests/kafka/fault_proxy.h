/* fault_proxy.h - a TCP proxy between librdkafka and one broker that knows Kafka's frames.
 *
 * Of a frame it looks at the length, the API key and the client's name, and changes nothing. The
 * driver names the client of a transactional producer by its transactional id. One thread of its
 * own; the functions may be called from any.
 */
#ifndef TELEHUB_TESTS_KAFKA_FAULT_PROXY_H
#define TELEHUB_TESTS_KAFKA_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_proxy;

/* Ends the program when it cannot listen. */
struct fault_proxy *fault_proxy_start(int listen_port, int broker_port);
void fault_proxy_stop(struct fault_proxy *proxy);

/* API keys of requests. */
enum fault_api {
    FAULT_API_INIT_PRODUCER_ID = 22,
    FAULT_API_ADD_PARTITIONS = 24,
    FAULT_API_ADD_OFFSETS = 25,
    FAULT_API_END_TXN = 26,
    FAULT_API_TXN_OFFSETS = 28,
};

#define FAULT_BIT(api) (UINT64_C(1) << (api))

/* What a transactional id's coordinator is asked. */
#define FAULT_COORDINATOR                                                                          \
    (FAULT_BIT(FAULT_API_INIT_PRODUCER_ID) | FAULT_BIT(FAULT_API_ADD_PARTITIONS) |                 \
     FAULT_BIT(FAULT_API_ADD_OFFSETS) | FAULT_BIT(FAULT_API_END_TXN) |                             \
     FAULT_BIT(FAULT_API_TXN_OFFSETS))

enum fault_fate {
    FAULT_HOLD,         /* waits until fault_proxy_let_go, if its client waits so long */
    FAULT_LATE,         /* taken away: the broker gets it by fault_proxy_deliver, whatever has
                           become of its client; its connection stays open and silent */
    FAULT_LOSE_REQUEST, /* its connection is cut before the broker sees it */
    FAULT_LOSE_ANSWER,  /* the broker gets it, and when it answers the connection is cut */
    FAULT_REFUSE,       /* AddOffsetsToTxn: answered here with an error; the broker never sees it */
};

/* Which requests of a client, from now on, have a fate. Of several rules that strike the same
 * request the first given decides. */
struct fault_rule {
    const char *client_id; /* borrowed for the call */
    uint64_t apis;
    enum fault_fate fate;
    int error;       /* of FAULT_REFUSE: Kafka's code */
    unsigned skip;   /* so many pass before it strikes */
    unsigned times;  /* so often it strikes; 0: for ever */
    bool until_init; /* ends when the client asks for a new epoch, as whoever resolves a lost answer
                        does */
};

void fault_proxy_add(struct fault_proxy *proxy, const struct fault_rule *rule);

/* The rules for a client are gone; what they held goes on. */
void fault_proxy_let_go(struct fault_proxy *proxy, const char *client_id);

/* Give the broker the client's request that was taken away, and return the error code of its
 * answer; -1 when there is none, or no answer within 10 s. For EndTxn. */
int fault_proxy_deliver(struct fault_proxy *proxy, const char *client_id);

/* Cut all connections of the clients of that name; returns how many. */
size_t fault_proxy_cut(struct fault_proxy *proxy, const char *client_id);

/* So many requests have met a fate since the start. */
size_t fault_proxy_struck(struct fault_proxy *proxy);

#endif
