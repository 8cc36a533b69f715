/* kafka_trouble.h - why a client cannot reach its brokers, as librdkafka's log tells it, with what
 * to do about it. Its functions only say "timed out". Any thread.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_TROUBLE_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_TROUBLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define KAFKA_TROUBLE_MAX 400

struct kafka_trouble {
    pthread_mutex_t lock; /* guards what follows */
    bool is_scram;        /* of a librdkafka whose SCRAM Kafka 4 refuses */
    bool is_kafka_4;      /* the broker is, or later */
    char reason[KAFKA_TROUBLE_MAX];
};

void kafka_trouble_init(struct kafka_trouble *trouble, bool is_old_scram);
void kafka_trouble_fini(struct kafka_trouble *trouble);

/* A line of librdkafka's log. */
void kafka_trouble_note(struct kafka_trouble *trouble, const char *facility, const char *text);

/* The last one as a sentence; "" if there was none. */
void kafka_trouble_say(struct kafka_trouble *trouble, char *out, size_t size);

#endif
