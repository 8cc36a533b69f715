/* kafka_examine.h - what a cluster must be like for the log's promises to hold, looked at. */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_EXAMINE_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_EXAMINE_H

#include "connectors/kafka/kafka_log.h"

enum kafka_finding {
    KAFKA_IS_FINE,
    KAFKA_IS_RISKY, /* works, but not as promised after a crash */
    KAFKA_IS_BAD,   /* an answered write may be lost, or the log stops */
};

/* One check, with a sentence that says what to do unless it is fine. Text is borrowed. */
typedef void kafka_say(void *arg, enum kafka_finding finding, const char *check,
                       const char *sentence);

/* Replicas and settings of the log's topics, and of the brokers. Errors: TH_UNAVAILABLE,
 * TH_NOT_FOUND (topics are missing), TH_DENIED */
TH_MUST_USE
enum th_code kafka_log_examine(const struct kafka_log_config *config, kafka_say *say, void *arg,
                               struct th_err *err);

#endif
