/* kafka_examine.h - what a cluster must be like for the log's promises to hold, looked at. */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_EXAMINE_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_EXAMINE_H

#include "common/finding.h"
#include "connectors/kafka/kafka_log.h"

/* Replicas and settings of the log's topics, and of the brokers. Errors: TH_UNAVAILABLE,
 * TH_NOT_FOUND (topics are missing), TH_DENIED */
TH_MUST_USE
enum th_code kafka_log_examine(const struct kafka_log_config *config, finding_say *say, void *arg,
                               struct th_err *err);

#endif
