/* kafka_producer.h - a transactional producer: one owner of its id, one transaction after another.
 *
 * A transaction is begun, filled, flushed, bound to offsets, and committed; each step says how it
 * goes on. Librdkafka repeats requests silently, and the protocol lets a late EndTxn end a later
 * transaction of the same epoch; so a producer that saw any trouble is *tainted*: it ends what it
 * does and is then replaced, which moves the epoch on. Blocks; one thread at a time.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_PRODUCER_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_PRODUCER_H

#include "connectors/kafka/kafka_client.h"

struct kafka_log;

enum kafka_step {
    KAFKA_GOES_ON,     /* done; after the commit: committed */
    KAFKA_ROLLED_BACK, /* nothing of the transaction happened */
    KAFKA_UNKNOWN,     /* replace the producer, then ask the log; also after most fatal errors */
    KAFKA_LOST, /* another epoch: a rival, or a transaction that outlived its timeout. Ask too */
};

struct kafka_producer {
    struct kafka_client *client;
    int64_t deadline_us;          /* of the transaction that runs; monotonic */
    int64_t ended_us;             /* when the last one was committed; 0: none was */
    struct kafka_record *records; /* of the transaction that runs */
    size_t records_n;
    size_t delivered_n;
    uint32_t round; /* tells deliveries of this transaction from those of earlier ones */
    rd_kafka_resp_err_t failed;
    bool is_broken; /* by a fatal error that is no rival's doing */
};

/* Become the owner of a transactional id: whatever runs under it is rolled back, and nobody who
 * owned it before can commit. Errors: TH_UNAVAILABLE, TH_DENIED, TH_FENCED (somebody was faster) */
TH_MUST_USE
enum th_code kafka_producer_open(const struct kafka_log_config *config, const char *id,
                                 int timeout_ms, struct kafka_producer **out_producer,
                                 struct th_err *err);
void kafka_producer_close(struct kafka_producer *producer);

TH_AUTO_DEFINE(kafka_producer, struct kafka_producer *, kafka_producer_close)

/* Must it be replaced before the next transaction? */
bool kafka_producer_is_tainted(const struct kafka_producer *producer);

/* Begin one, and write records into it (borrowed until it ends). On KAFKA_GOES_ON all lie in the
 * log, uncommitted, and their offsets are known. timeout_ms is for the whole transaction. */
enum kafka_step kafka_producer_write(struct kafka_producer *producer, struct kafka_record *records,
                                     size_t n, int timeout_ms, struct th_err *err);

/* Bind the offsets of a group to it. */
enum kafka_step kafka_producer_offsets(struct kafka_producer *producer, const char *group,
                                       const rd_kafka_topic_partition_list_t *offsets,
                                       struct th_err *err);

enum kafka_step kafka_producer_commit(struct kafka_producer *producer, struct th_err *err);

#endif
