/* kafka_scout.h - questions to the cluster: where partitions end, what lies at an offset, what a
 * group has committed. One client; any thread, each gets its turn.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_SCOUT_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_SCOUT_H

#include "connectors/kafka/kafka_client.h"

struct kafka_scout;

TH_MUST_USE
enum th_code kafka_scout_new(const struct kafka_log_config *config, struct kafka_scout **out_scout,
                             struct th_err *err);
void kafka_scout_free(struct kafka_scout *scout);

/* For requests that need no turn. */
rd_kafka_t *kafka_scout_rk(struct kafka_scout *scout);

/* All topics that there are; what is made after that is unknown to this client for a while. To be
 * asked first, for the error says why no broker can be reached. To be freed by
 * rd_kafka_metadata_destroy. Errors: TH_UNAVAILABLE, TH_DENIED (credentials) */
TH_MUST_USE
enum th_code kafka_scout_topics(struct kafka_scout *scout,
                                const struct rd_kafka_metadata **out_metadata, struct th_err *err);

/* Set the offset of each partition of the list to its last stable offset: everything below is
 * settled, and behind its last record there may be numbers that no record has. */
TH_MUST_USE
enum th_code kafka_scout_stable(struct kafka_scout *scout, rd_kafka_topic_partition_list_t *list,
                                struct th_err *err);

/* The first offset that is still there: 0, or what DeleteRecords left. */
TH_MUST_USE
enum th_code kafka_scout_start(struct kafka_scout *scout, const char *topic, int part,
                               int64_t *out_start, struct th_err *err);

/* One more than the last committed record's offset; 0 if there is none. */
TH_MUST_USE
enum th_code kafka_scout_end(struct kafka_scout *scout, const char *topic, int part,
                             int64_t *out_end, struct th_err *err);

/* Every record that is there now, of whatever becomes committed, lies before *out_high: waits, at
 * most timeout_ms, until all transactions that lie there have ended. By a client of its own.
 * Errors: TH_UNAVAILABLE (also: one stays open) */
TH_MUST_USE
enum th_code kafka_scout_settled(struct kafka_scout *scout, const struct kafka_log_config *config,
                                 const char *topic, int part, int timeout_ms, int64_t *out_high,
                                 struct th_err *err);

/* Each committed record from an offset up to before end, until visit answers something other than
 * TH_OK. The message is the caller's to look at only. */
typedef enum th_code kafka_visit(void *arg, const rd_kafka_message_t *message, struct th_err *err);

TH_MUST_USE
enum th_code kafka_scout_walk(struct kafka_scout *scout, const char *topic, int part, int64_t from,
                              int64_t end, kafka_visit *visit, void *arg, struct th_err *err);

/* What a group committed for one partition; *out_offset is -1 if nothing. is_stable: wait for a
 * transaction that may still change it; otherwise what was settled before that.
 * metadata_size > 0; what does not fit is TH_CORRUPT. */
TH_MUST_USE
enum th_code kafka_scout_group(struct kafka_scout *scout, const char *group, const char *topic,
                               int part, bool is_stable, int64_t *out_offset, char *out_metadata,
                               size_t metadata_size, struct th_err *err);

#endif
