/* Appending: a batch of one partition by the idempotent producer; anything else is a transaction,
 * which the writer for ingest makes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/kafka_internal.h"

/* What fits into one batch, with what Kafka adds to each record. */
#define BATCH_BYTES_MAX   ((size_t)900 * 1000)
#define BATCH_RECORDS_MAX 5000
#define RECORD_COST       32

static size_t bytes_of(const struct log_output *outputs, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += log_output_size(&outputs[i]) + RECORD_COST;
    return bytes;
}

static bool is_of_one_partition(const struct th_log *log, const struct log_output *outputs,
                                size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (outputs[i].topic != outputs[0].topic ||
            log_output_part(log, &outputs[i]) != log_output_part(log, &outputs[0]))
            return false;
    return true;
}

static bool fits(size_t records, size_t bytes)
{
    return records == 1 || (records <= BATCH_RECORDS_MAX && bytes <= BATCH_BYTES_MAX);
}

bool kafka_is_batch(const struct th_log *log, const struct log_output *outputs, size_t n)
{
    return is_of_one_partition(log, outputs, n) && fits(n, bytes_of(outputs, n));
}

bool kafka_are_batches(const struct th_log *log, const struct log_claim *claims, size_t n)
{
    size_t records = 0;
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (claims[i].key.n > 0 ||
            !is_of_one_partition(log, claims[i].outputs, claims[i].outputs_n))
            return false;
        records += claims[i].outputs_n;
        bytes += bytes_of(claims[i].outputs, claims[i].outputs_n);
    }
    return records > 0 && fits(records, bytes);
}

void kafka_records_of(const struct kafka_log *log, const struct log_output *outputs, size_t n,
                      struct kafka_record *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (struct kafka_record){
            .topic = log->topics[outputs[i].topic],
            .part = log_output_part(&log->base, &outputs[i]),
            .key = outputs[i].key,
            .value = outputs[i].value,
            .headers = outputs[i].headers,
            .offset = -1,
        };
}

/* --- the idempotent producer ------------------------------------------------------------------ */

static void on_delivery(void *arg, const rd_kafka_message_t *message)
{
    struct kafka_log *log = arg;
    uint64_t tag = (uint64_t)(uintptr_t)message->_private;
    size_t index = (size_t)(tag & UINT32_MAX);

    if (tag >> 32 != log->round || index >= log->appended_n)
        return;
    log->delivered_n++;
    if (message->err)
        log->append_failed = message->err;
    else
        log->appended[index].offset = message->offset;
}

static enum th_code open_appender(struct kafka_log *log, struct th_err *err)
{
    char name[KAFKA_NAME_MAX];
    const struct rd_kafka_metadata *metadata;

    if (log->appender)
        return TH_OK;
    snprintf(name, sizeof name, "%sappend", log->config.prefix);
    struct kafka_client *client = NULL;
    TH_TRY(kafka_client_open(&log->config, KAFKA_APPENDS, NULL, name, &client, err));
    assert(client);
    client->on_delivery = on_delivery;
    client->arg = log;
    log->appender = client;
    /* Known topics take their first record at once. */
    if (rd_kafka_metadata(log->appender->rk, 1, NULL, &metadata, log->config.call_timeout_ms) ==
        RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    return TH_OK;
}

static enum th_code produce(struct kafka_log *log, const struct kafka_record *record, size_t index,
                            struct th_err *err)
{
    uint64_t tag = (uint64_t)log->round << 32 | index;
    rd_kafka_resp_err_t code = kafka_client_produce(log->appender, record, tag);

    return code ? kafka_fail(err, code, record->topic) : TH_OK;
}

/* Every record has its answer: delivered, refused, or timed out. */
static enum th_code settle(struct kafka_log *log, size_t n, struct th_err *err)
{
    struct kafka_client *client = log->appender;
    int64_t deadline_us = th_clock_monotonic_us(&th_clock_real) +
                          INT64_C(2) * log->config.call_timeout_ms * TH_US_PER_MS;

    while (log->delivered_n < n && th_clock_monotonic_us(&th_clock_real) < deadline_us)
        rd_kafka_flush(client->rk, 100);
    if (log->delivered_n < n)
        return th_fail(err, TH_UNAVAILABLE, "%zu of %zu records without an answer",
                       n - log->delivered_n, n);
    return log->append_failed ? kafka_fail(err, log->append_failed, "append") : TH_OK;
}

static enum th_code append_locked(struct kafka_log *log, struct kafka_record *records, size_t n,
                                  struct th_err *err)
{
    char text[8];

    TH_TRY(open_appender(log, err));
    log->round++;
    log->appended = records;
    log->appended_n = n;
    log->delivered_n = 0;
    log->append_failed = RD_KAFKA_RESP_ERR_NO_ERROR;
    enum th_code code = TH_OK;
    size_t produced = 0;
    for (; produced < n && code == TH_OK; produced++)
        code = produce(log, &records[produced], produced, err);
    if (code == TH_OK)
        code = settle(log, n, err);
    log->appended_n = 0;
    /* 2.0.2 takes one timeout of a batch that may be stored for fatal; and what a failed call left
     * in the queue must not leave with the next one. */
    if (code != TH_OK || rd_kafka_fatal_error(log->appender->rk, text, sizeof text)) {
        kafka_client_close(TH_TAKE(log->appender));
        atomic_fetch_add(&log->reinits, 1);
    }
    return code;
}

enum th_code kafka_append_batch(struct kafka_log *log, struct kafka_record *records, size_t n,
                                struct th_err *err)
{
    pthread_mutex_lock(&log->append_lock);
    enum th_code code = append_locked(log, records, n, err);
    pthread_mutex_unlock(&log->append_lock);
    return code;
}

/* --- th_log_append ---------------------------------------------------------------------------- */

static enum th_code append_transaction(struct th_log *base, const struct log_output *outputs,
                                       size_t n, struct log_place *out_places, struct th_err *err)
{
    struct log_claim claim = {.outputs = outputs, .outputs_n = n};
    struct th_arena arena;

    th_arena_init(&arena, n * sizeof *out_places + (64 << 10));
    enum th_code code = kafka_ingest_claims(base, &claim, 1, &arena, err);
    if (code == TH_OK && out_places)
        memcpy(out_places, claim.places, n * sizeof *out_places);
    th_arena_fini(&arena);
    return code;
}

enum th_code kafka_append(struct th_log *base, const struct log_output *outputs, size_t n,
                          struct log_place *out_places, struct th_err *err)
{
    struct kafka_log *log = kafka_of(base);

    if (!kafka_is_batch(base, outputs, n))
        return append_transaction(base, outputs, n, out_places, err);
    TH_AUTO(free) void *memory = calloc(n, sizeof(struct kafka_record));
    struct kafka_record *records = memory;
    if (!records)
        return th_fail(err, TH_NOMEM, "%zu records", n);
    kafka_records_of(log, outputs, n, records);
    TH_TRY(kafka_append_batch(log, records, n, err));
    kafka_publish(log, outputs, records, n);
    for (size_t i = 0; out_places && i < n; i++)
        out_places[i] = (struct log_place){outputs[i].topic, records[i].part, records[i].offset};
    return TH_OK;
}
