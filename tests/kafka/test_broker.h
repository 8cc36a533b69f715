/* test_broker.h - a broker of tests/kafka/broker for the time of a test program. */
#ifndef TELEHUB_TESTS_KAFKA_TEST_BROKER_H
#define TELEHUB_TESTS_KAFKA_TEST_BROKER_H

#include <stdbool.h>

struct test_broker {
    char folder[64];
    char version[16];
    char cluster[32];
    int port;         /* clients */
    int proxied_port; /* a fault proxy forwards to it … */
    int proxy_port;   /* … and listens here */
    char brokers[96]; /* what clients are told: "host:port" */

    /* Of one that was started secure; tests/kafka/broker says what each wants. */
    int tls_port;
    int mutual_port;
    int login_port;
    int open_login_port;
};

/* 0; 77 when no Kafka can be had here, after saying why; 1 when it did not start.
 * TELEHUB_TEST_KAFKA_VERSION: which one. It is stopped when the program exits, however it does. */
int test_broker_start(struct test_broker *broker);
int test_broker_start_secure(struct test_broker *broker);
void test_broker_stop(struct test_broker *broker);

/* End it, without a word (is_hard) or in order; it can be started again. They end the program when
 * that fails. */
void test_broker_end(struct test_broker *broker, bool is_hard);
void test_broker_restart(struct test_broker *broker);

#endif
