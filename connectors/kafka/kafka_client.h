/* kafka_client.h - one librdkafka client: made of a purpose, watched for trouble, closed in time.
 *
 * Any thread may use the client; who calls poll or flush serves its callbacks.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_CLIENT_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "common/err.h"
#include "common/str.h"
#include "connectors/kafka/kafka_log.h"
#include "connectors/kafka/kafka_trouble.h"

enum kafka_purpose {
    KAFKA_READS,   /* a consumer of committed records, assigned by hand */
    KAFKA_FOLLOWS, /* the same, for who has nothing to read for long: it asks seldom, and then waits
                    */
    KAFKA_SCOUTS,  /* the same, for questions: what is at the end, which record lies there */
    KAFKA_PEEKS,   /* the same, but sees what is not committed yet */
    KAFKA_APPENDS, /* an idempotent producer; batches leave only when flushed */
    KAFKA_COMMITS, /* the same with a transactional id */
};

struct kafka_client {
    rd_kafka_t *rk;
    enum kafka_purpose purpose;
    bool was_assigned;      /* a consumer, since it was opened */
    atomic_bool is_tainted; /* a request timed out or a connection was lost since it was cleared */
    atomic_bool is_down;    /* no broker can be reached; cleared by whoever hears from one */
    atomic_bool is_denied;  /* credentials were refused */
    struct kafka_trouble trouble;
    void (*on_delivery)(void *arg, const rd_kafka_message_t *message); /* producers */
    void *arg;
    int64_t rests_us; /* of a consumer between two readers: since then; monotonic */
    size_t taken_n;   /* of a consumer: records that kafka_client_poll handed out … */
    size_t taken;     /* … and their bytes, since its queue was last found empty */
    int64_t empty_us; /* when it was found so; 0: it was not, since */
};

/* How long a fetch waits for something to come; a record ends it at once. What is assigned
 * meanwhile waits for its end. */
#define KAFKA_READS_WAIT_MS   250
#define KAFKA_FOLLOWS_WAIT_MS 2000
#define KAFKA_SCOUTS_WAIT_MS  5

/* id: the transactional id of KAFKA_COMMITS, the group of consumers, otherwise NULL. name is what
 * the broker logs as the client. Errors: TH_NOMEM, TH_INVALID */
TH_MUST_USE
enum th_code kafka_client_open(const struct kafka_log_config *config, enum kafka_purpose purpose,
                               const char *id, const char *name, struct kafka_client **out_client,
                               struct th_err *err);

/* Without flush: what was not delivered is dropped. Accepts NULL. */
void kafka_client_close(struct kafka_client *client);

TH_AUTO_DEFINE(kafka_client, struct kafka_client *, kafka_client_close)

/* The four below are for one thread at a time. As rd_kafka_assign: a consumer reads these. */
rd_kafka_resp_err_t kafka_client_assign(struct kafka_client *client,
                                        const rd_kafka_topic_partition_list_t *list);

/* The next message of a consumer, waited for at most so long; NULL if none came. */
rd_kafka_message_t *kafka_client_poll(struct kafka_client *client, int timeout_ms);

/* Nothing came, and maybe the library has not asked: once its queue is full it fetches nothing for
 * a second, however soon it is empty again. */
bool kafka_client_may_rest(const struct kafka_client *client);

/* It asks the brokers that have these partitions, in which there is something to come: their
 * answers are waited for, and so is a fetch that is on its way there. Offsets of the list change.
 */
void kafka_client_wake(struct kafka_client *client, rd_kafka_topic_partition_list_t *list);

struct kafka_record {
    const char *topic; /* Kafka's name */
    int part;
    struct th_str key;
    struct th_str value;
    struct th_str headers; /* whole (common/eventlog/headers.h) */
    int64_t at_us;  /* when it was appended elsewhere, written beside it; 0: the broker's time */
    int64_t offset; /* where it lies, once it was delivered */
};

/* Queue it with a producer; its bytes are copied. on_delivery gets the tag back as _private. */
rd_kafka_resp_err_t kafka_client_produce(struct kafka_client *client,
                                         const struct kafka_record *record, uint64_t tag);

enum th_code kafka_code(rd_kafka_resp_err_t code);

/* Fill err with what librdkafka says. */
enum th_code kafka_fail(struct th_err *err, rd_kafka_resp_err_t code, const char *what);

/* The same of a call for which brokers must have been reached: with why they were not. */
enum th_code kafka_client_fail(struct kafka_client *client, struct th_err *err,
                               rd_kafka_resp_err_t code, const char *what);

static inline void kafka_list_auto(rd_kafka_topic_partition_list_t **list)
{
    if (*list)
        rd_kafka_topic_partition_list_destroy(*list);
}

static inline void kafka_queue_auto(rd_kafka_queue_t **queue)
{
    if (*queue)
        rd_kafka_queue_destroy(*queue);
}

static inline void kafka_event_auto(rd_kafka_event_t **event)
{
    if (*event)
        rd_kafka_event_destroy(*event);
}

#endif
