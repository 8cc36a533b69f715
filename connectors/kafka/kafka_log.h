/* kafka_log.h - the log of common/eventlog/log.h in a Kafka cluster, through librdkafka >= 2.0.2.
 *
 * What differs from a log that has its partitions to itself:
 *
 * - Offsets grow but numbers are left out: each transaction's end takes one of every partition that
 *   it touched, and what was rolled back keeps its numbers. th_log_end is one more than the last
 *   committed record's, as everywhere.
 * - "Seen at once" ends where somebody else's transaction is open on the same partition: until that
 *   ends, at most its timeout, nobody sees what was committed behind it. A reader waits
 *   visible_wait_ms for what was committed through this struct th_log, and then goes on without.
 * - A call's records in one partition lie together only as far as they fit in one batch (about
 *   900 kB).
 * - An append that touches one partition is a batch, written whole or not at all, and so is each
 *   request without an idempotency key that does. Every other one, and each with a key, is a
 *   transaction of the one writer for ingest of the whole installation. Several processes that
 *   ingest take turns at being that writer, of a tenth of a second or so.
 *
 * Several processes on several hosts may have it open. Nothing here depends on another store.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_LOG_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_LOG_H

#include "common/eventlog/log.h"

struct kafka_setting {
    const char *name; /* of librdkafka, such as "security.protocol" */
    const char *value;
};

/* Zero-initialise; zeros mean what stands beside them. Strings are borrowed for the call. Tests
 * scale times down. */
struct kafka_log_config {
    const char *brokers; /* "host:port,…" */
    const char *prefix;  /* "th.": begins the names of topics, groups and transactional ids */
    const char *log_id;  /* the log that must be there; NULL: whichever is */
    const struct kafka_setting *settings; /* for TLS and SASL, given to every client */
    size_t settings_n;

    int transaction_timeout_ms; /* 30 000: when the broker gives up on an owner that is gone */
    int socket_timeout_ms;      /* 10 000; less than the above */
    int commit_timeout_ms;      /* 20 000: a commit without an answer for so long is asked about */
    int open_timeout_ms;        /* 60 000: becoming a slot's owner */
    int resolve_retry_ms;       /* 200: between two tries to ask */
    int call_timeout_ms;        /* 8 000: appends, ends, snapshots */
    int visible_wait_ms;        /* 200 */
    int watch_ms;               /* 100: between two looks for what others wrote */
    int idle_ms;                /* 5 000: a reader that had nothing for so long follows */
    int rest_ms;                /* 86 400 000 = 1 day: a slot that rests commits its place again */
    int idem_kept_s;            /* 172 800 = 48 h */
    size_t idem_bytes;          /* 256 MiB of keys and answers in memory; more is TH_FULL */
};

/* Make an empty log: its topics with so many partitions each (reference topics have one), its
 * identity.
 *
 * Errors: TH_CONFLICT  there is one already, or a part of one
 *         TH_UNAVAILABLE, TH_DENIED, TH_INVALID (replication beyond the brokers) */
TH_MUST_USE
enum th_code kafka_log_create(const struct kafka_log_config *config, int partitions,
                              int replication, struct th_err *err);

/* Delete all its topics. For tests and for an installation that is given up. */
TH_MUST_USE
enum th_code kafka_log_drop(const struct kafka_log_config *config, struct th_err *err);

/* Errors: TH_NOT_FOUND  no log of that prefix, or topics are missing
 *         TH_CONFLICT   another log than log_id
 *         TH_UNAVAILABLE, TH_DENIED, TH_INVALID (a setting that librdkafka refuses) */
TH_MUST_USE
enum th_code kafka_log_open(const struct kafka_log_config *config, struct th_log **out_log,
                            struct th_err *err);

/* What was done so far, for metrics. Any thread. */
struct kafka_log_status {
    uint64_t commits;  /* of slots, answered */
    uint64_t resolved; /* commits whose answer was lost, found to have happened */
    uint64_t undone;   /* commits whose answer was lost, found not to have happened */
    uint64_t reinits;  /* producers replaced, for whatever reason */
    uint64_t unseen;   /* reads that gave up waiting for what was committed */
    uint64_t asked;    /* partitions of which it was asked whether others have written there */
};

struct kafka_log_status kafka_log_status(struct th_log *log);

#endif
