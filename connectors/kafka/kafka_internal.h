/* kafka_internal.h - what the files of the Kafka log share. */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_INTERNAL_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_INTERNAL_H

#include <pthread.h>

#include "common/clock.h"
#include "common/eventlog/log_driver.h"
#include "connectors/kafka/kafka_bell.h"
#include "connectors/kafka/kafka_breaks.h"
#include "connectors/kafka/kafka_client.h"
#include "connectors/kafka/kafka_producer.h"
#include "connectors/kafka/kafka_scout.h"

#define KAFKA_NAME_MAX   250 /* Kafka's own limit is 249 */
#define KAFKA_PREFIX_MAX 64
#define KAFKA_IDLE_MAX   8 /* consumers kept for the next reader */

/* Topics of our own beside those of topic.h. */
enum kafka_inner {
    KAFKA_META,      /* one record: the identity of the log */
    KAFKA_JOURNAL,   /* what each slot's last transaction left; compacted */
    KAFKA_IDEM,      /* idempotency keys and answers; one partition */
    KAFKA_SNAPSHOTS, /* compacted */
};
#define KAFKA_INNERS (KAFKA_SNAPSHOTS + 1)

/* Which of two generations of a piece holds its newest snapshot. */
struct kafka_generation {
    enum log_app app;
    int part;
    int piece;
    int newest;
    int64_t upto;
};

struct kafka_ingest;

struct kafka_log {
    struct th_log base;             /* first member */
    struct kafka_log_config config; /* brokers, prefix and settings owned */
    char *owned;                    /* the bytes of those */
    size_t owned_size;
    char topics[TOPIC_COUNT][KAFKA_NAME_MAX];
    char inner[KAFKA_INNERS][KAFKA_NAME_MAX];
    int inner_partitions[KAFKA_INNERS];

    struct kafka_scout *scout;
    struct kafka_bell *bell;
    struct kafka_ingest *ingest;

    /* For each partition, one more than the last record committed through this struct. */
    atomic_int_fast64_t *committed;
    size_t first[TOPIC_COUNT]; /* index of a topic's partition 0 */

    pthread_mutex_t append_lock; /* guards appender's records; each call has its turn */
    struct kafka_client *appender;
    struct kafka_record *appended; /* of the call that runs */
    size_t appended_n;
    size_t delivered_n;
    uint32_t round;
    rd_kafka_resp_err_t append_failed;

    pthread_mutex_t idle_lock;                 /* guards idle */
    struct kafka_client *idle[KAFKA_IDLE_MAX]; /* who rests longest first */
    size_t idle_n;

    pthread_mutex_t generation_lock; /* guards generations */
    struct kafka_generation *generations;
    size_t generations_n;
    size_t generations_cap;

    pthread_mutex_t health_lock; /* guards health */
    struct th_err health;        /* why this process should end */

    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t resolved;
    atomic_uint_fast64_t undone;
    atomic_uint_fast64_t reinits;
    atomic_uint_fast64_t unseen;
    atomic_uint_fast64_t asked;
};

static inline struct kafka_log *kafka_of(struct th_log *log)
{
    return (struct kafka_log *)log;
}

static inline atomic_int_fast64_t *kafka_committed(const struct kafka_log *log, enum topic topic,
                                                   int part)
{
    return &log->committed[log->first[topic] + (size_t)part];
}

/* --- kafka_log.c -------------------------------------------------------------------------- */

/* Zeros become what the header says; the strings stay borrowed. */
struct kafka_log_config kafka_config_filled(const struct kafka_log_config *config);

/* A producer of so-called what broke. Once that happens too often the log is not well any more. */
void kafka_note_break(struct kafka_log *log, struct kafka_breaks *breaks, const char *what,
                      const struct th_err *why);

/* These records of our topics are committed: readers of this process wait for them, listeners
 * hear of them. outputs and records run side by side. */
void kafka_publish(struct kafka_log *log, const struct log_output *outputs,
                   const struct kafka_record *records, size_t n);

/* --- kafka_topics.c ----------------------------------------------------------------------- */

void kafka_topic_name(const char *prefix, enum topic topic, char out[KAFKA_NAME_MAX]);
void kafka_inner_name(const char *prefix, enum kafka_inner inner, char out[KAFKA_NAME_MAX]);

/* Add a record to the topic of the log's identity; it can be read when this returns TH_OK. */
TH_MUST_USE
enum th_code kafka_write_meta(const struct kafka_log_config *config, struct kafka_scout *scout,
                              struct th_str key, struct th_str value, struct th_err *err);

/* --- kafka_append.c ----------------------------------------------------------------------- */

enum th_code kafka_append(struct th_log *base, const struct log_output *outputs, size_t n,
                          struct log_place *out_places, struct th_err *err);

/* A batch for each of their partitions, outside of any transaction. Fills the records' offsets.
 * Errors: TH_UNAVAILABLE (some may have been stored), TH_DENIED, TH_FULL */
TH_MUST_USE
enum th_code kafka_append_batch(struct kafka_log *log, struct kafka_record *records, size_t n,
                                struct th_err *err);

/* May these be written as one batch? */
bool kafka_is_batch(const struct th_log *log, const struct log_output *outputs, size_t n);

/* Does each of these claims need one batch, and no key remembered? Then they need no transaction:
 * all that one partition gets fits into one batch. */
bool kafka_are_batches(const struct th_log *log, const struct log_claim *claims, size_t n);

/* Kafka's side of outputs: n entries. */
void kafka_records_of(const struct kafka_log *log, const struct log_output *outputs, size_t n,
                      struct kafka_record *out);

/* --- kafka_ingest.c ----------------------------------------------------------------------- */

enum th_code kafka_ingest_new(struct kafka_log *log, struct kafka_ingest **out_ingest,
                              struct th_err *err);
void kafka_ingest_free(struct kafka_ingest *ingest);
enum th_code kafka_ingest_claims(struct th_log *base, struct log_claim *claims, size_t n,
                                 struct th_arena *arena, struct th_err *err);

enum th_code kafka_answers(struct th_log *base, log_answer_visit *visit, void *arg,
                           struct th_err *err);

/* --- kafka_move.c ------------------------------------------------------------------------- */

#define KAFKA_MARK_KEY "mark"

enum th_code kafka_set_mark(struct th_log *base, enum log_mark mark, const char *origin,
                            struct th_err *err);

/* What set_mark wrote. Errors: TH_CORRUPT */
TH_MUST_USE
enum th_code kafka_take_mark(struct kafka_log *log, struct th_str value, struct th_err *err);

enum th_code kafka_slot_cursors(struct th_log *base, enum log_app app, int slot,
                                struct th_arena *arena, struct log_cursor **out_cursors,
                                size_t *out_n, struct th_err *err);

/* --- kafka_reader.c ----------------------------------------------------------------------- */

enum th_code kafka_reader_open(struct th_log *base, const struct log_place *from, size_t n,
                               struct th_log_reader **out_reader, struct th_err *err);
enum th_code kafka_reader_read(struct th_log_reader *base, size_t bytes_max, struct th_arena *arena,
                               struct log_records *out, struct th_err *err);
void kafka_reader_seek(struct th_log_reader *base, struct log_place place);
void kafka_reader_close(struct th_log_reader *base);

/* --- kafka_trim.c ------------------------------------------------------------------------- */

enum th_code kafka_start(struct th_log *base, enum topic topic, int part, int64_t *out_start,
                         struct th_err *err);
enum th_code kafka_trim(struct th_log *base, const struct log_place *places, size_t n,
                        struct th_err *err);

/* --- kafka_session.c ---------------------------------------------------------------------- */

enum th_code kafka_session_open(struct th_log *base, enum log_app app, int slot,
                                struct th_log_session **out_session, struct th_err *err);
enum th_code kafka_commit_start(struct th_log_session *base, const struct log_txn *txn,
                                struct th_err *err);
enum log_commit kafka_commit_poll(struct th_log_session *base, struct log_place *out_places,
                                  bool *out_is_answered, struct th_err *err);
void kafka_session_close(struct th_log_session *base, bool release);

/* --- kafka_snapshot.c --------------------------------------------------------------------- */

enum th_code kafka_snapshot_put(struct th_log *base, enum log_app app,
                                const struct log_snapshot *snapshot, struct th_err *err);
enum th_code kafka_snapshot_get(struct th_log *base, enum log_app app, int part,
                                struct log_pieces pieces, int fold_version, struct th_arena *arena,
                                struct log_snapshot **out_snapshots, size_t *out_n,
                                struct th_err *err);

#endif
