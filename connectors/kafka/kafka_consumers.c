#include "connectors/kafka/kafka_consumers.h"

#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_internal.h"

#define RETIRE_US       (10 * TH_US_PER_SEC) /* without a reader */
#define FOLLOWER_TRY_MS 1000

static int64_t now_us(void)
{
    return th_clock_monotonic_us(&th_clock_real);
}

/* Without this the first answer about each topic may take a second. */
static bool know_topics(struct kafka_client *client, int timeout_ms)
{
    const struct rd_kafka_metadata *metadata;

    if (rd_kafka_metadata(client->rk, 1, NULL, &metadata, timeout_ms) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

/* With the lock: take the one that rests longest, if it has rested so long. */
static struct kafka_client *first_rested(struct kafka_log *log, int64_t rested_us)
{
    if (log->idle_n == 0 || now_us() - log->idle[0]->rests_us < rested_us)
        return NULL;
    struct kafka_client *client = log->idle[0];
    log->idle_n--;
    memmove(log->idle, log->idle + 1, log->idle_n * sizeof(struct kafka_client *));
    return client;
}

/* The one that rests longest: a fetch of its last reader may still be on its way, and the first of
 * the next one waits for it. While there is room, another one is opened rather than waited for. */
static struct kafka_client *take_idle(struct kafka_log *log)
{
    pthread_mutex_lock(&log->idle_lock);
    bool is_full = log->idle_n == KAFKA_IDLE_MAX;
    struct kafka_client *client =
        first_rested(log, is_full ? 0 : KAFKA_READS_WAIT_MS * TH_US_PER_MS);
    pthread_mutex_unlock(&log->idle_lock);
    return client;
}

/* Even one that rests costs: its library looks after it every second. */
void kafka_consumers_retire(struct kafka_log *log)
{
    pthread_mutex_lock(&log->idle_lock);
    struct kafka_client *client = first_rested(log, RETIRE_US);
    pthread_mutex_unlock(&log->idle_lock);
    kafka_client_close(client);
}

static enum th_code open_consumer(struct kafka_log *log, enum kafka_purpose purpose,
                                  struct kafka_client **out_client, struct th_err *err)
{
    char group[KAFKA_NAME_MAX];

    snprintf(group, sizeof group, "%sreader", log->config.prefix);
    return kafka_client_open(&log->config, purpose, group, group, out_client, err);
}

enum th_code kafka_consumers_borrow(struct kafka_log *log, struct kafka_client **out_client,
                                    struct th_err *err)
{
    struct kafka_client *client = take_idle(log);

    if (!client) {
        TH_TRY(open_consumer(log, KAFKA_READS, &client, err));
        (void)know_topics(client, log->config.call_timeout_ms);
    }
    *out_client = client;
    return TH_OK;
}

void kafka_consumers_take_back(struct kafka_log *log, struct kafka_client *client)
{
    client->rests_us = now_us();
    if (client->purpose == KAFKA_READS &&
        kafka_client_assign(client, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        pthread_mutex_lock(&log->idle_lock);
        if (log->idle_n < KAFKA_IDLE_MAX)
            log->idle[log->idle_n++] = TH_TAKE(client);
        pthread_mutex_unlock(&log->idle_lock);
    }
    kafka_client_close(client);
}

enum th_code kafka_consumers_follower(struct kafka_log *log, struct kafka_client **out_client,
                                      struct th_err *err)
{
    TH_AUTO(kafka_client) struct kafka_client *client = NULL;

    TH_TRY(open_consumer(log, KAFKA_FOLLOWS, &client, err));
    if (!know_topics(client, FOLLOWER_TRY_MS))
        return th_fail(err, TH_UNAVAILABLE, "Kafka does not answer");
    *out_client = TH_TAKE(client);
    return TH_OK;
}
