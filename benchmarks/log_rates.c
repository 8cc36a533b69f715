#include "benchmarks/log_rates.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

double rates_now(void)
{
    return (double)th_clock_monotonic_us(&th_clock_real) / 1e6;
}

void rates_must(const struct rates *rates, enum th_code code, const struct th_err *err)
{
    if (code == TH_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", rates->program, th_code_name(code), err->text);
    exit(1);
}

/* --- events: text that compresses as ours do -------------------------------------------- */

static char texts[1024][RATES_EVENT_SIZE];

static void make_texts(void)
{
    uint64_t seed = 1;

    for (size_t i = 0; i < TH_LEN(texts); i++) {
        char text[RATES_EVENT_SIZE + 1];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof text, "%016" PRIx64 " %08" PRIx64 " campaign=7 state=planned lane=3",
                 seed, seed * seed);
        memset(texts[i], 0, RATES_EVENT_SIZE);
        memcpy(texts[i], text, strlen(text));
    }
}

struct th_str rates_text(size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_texts);
    return (struct th_str){texts[n % TH_LEN(texts)], RATES_EVENT_SIZE};
}

static struct log_output event_of(size_t i, int part)
{
    return (struct log_output){TOPIC_DISPATCH_ATTEMPTS, part, TH_STR("pratham/41"),
                               .value = rates_text(i)};
}

/* --- appends ---------------------------------------------------------------------------- */

double rates_append(const struct rates *rates, struct th_log *log, size_t batch, int part)
{
    struct log_output outputs[RATES_BATCH];
    struct th_err err = {0};
    uint64_t n = 0;
    double start = rates_now();

    while (rates_now() - start < rates->seconds) {
        for (size_t i = 0; i < batch; i++)
            outputs[i] = event_of(i, part < 0 ? (int)(n % (uint64_t)rates->partitions) : part);
        rates_must(rates, th_log_append(log, outputs, batch, NULL, &err), &err);
        n++;
    }
    return (double)n / (rates_now() - start);
}

struct append_writer {
    pthread_t thread;
    const struct rates *rates;
    struct th_log *log;
    int part;
    double appends;
};

static void *run_append_writer(void *argument)
{
    struct append_writer *writer = argument;
    writer->appends = rates_append(writer->rates, writer->log, RATES_BATCH, writer->part);
    return NULL;
}

double rates_append_many(const struct rates *rates, int writers)
{
    struct append_writer all[RATES_WRITERS_MAX] = {0};
    double rate = 0;

    for (int i = 0; i < writers; i++) {
        all[i].rates = rates;
        all[i].log = rates->open();
        all[i].part = i;
        if (pthread_create(&all[i].thread, NULL, run_append_writer, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < writers; i++) {
        pthread_join(all[i].thread, NULL);
        th_log_close(all[i].log);
        rate += all[i].appends;
    }
    return rate;
}

/* --- slots' transactions ---------------------------------------------------------------- */

struct slot_writer {
    pthread_t thread;
    const struct rates *rates;
    struct th_log *log;
    int slot;
    int spread;
    double transactions;
};

static void *run_slot_writer(void *argument)
{
    struct slot_writer *writer = argument;
    const struct rates *rates = writer->rates;
    struct th_log_session *session;
    struct log_output outputs[RATES_TXN_EVENTS];
    struct th_err err = {0};
    int64_t n = 0;

    rates_must(rates,
               th_log_session_open(writer->log, LOG_APP_DISPATCH, writer->slot, &session, &err),
               &err);
    for (size_t i = 0; i < RATES_TXN_EVENTS; i++)
        outputs[i] = event_of(i, (int)i % writer->spread);
    double start = rates_now();
    while (rates_now() - start < rates->seconds) {
        const struct log_cursor cursor = {
            .next = {TOPIC_DISPATCH_REQUESTS, writer->slot, (n + 1) * RATES_TXN_EVENTS}};
        const struct log_txn txn = {outputs, RATES_TXN_EVENTS, &cursor, 1, NULL};
        enum log_commit outcome;
        bool is_answered;
        rates_must(rates, th_log_commit_start(session, &txn, &err), &err);
        while ((outcome = th_log_commit_poll(session, NULL, &is_answered, &err)) ==
               LOG_COMMIT_PENDING)
            poll(&(struct pollfd){th_log_session_fd(session), POLLIN, 0}, 1, 1000);
        if (outcome != LOG_COMMITTED)
            rates_must(rates, TH_ABORTED, &err);
        n++;
    }
    writer->transactions = (double)n / (rates_now() - start);
    th_log_session_close(session, true);
    return NULL;
}

double rates_commit(const struct rates *rates, struct th_log *log, int slots, int spread)
{
    struct slot_writer all[RATES_WRITERS_MAX] = {0};
    double rate = 0;

    for (int i = 0; i < slots; i++) {
        all[i].rates = rates;
        all[i].log = log;
        all[i].slot = i;
        all[i].spread = spread;
        if (pthread_create(&all[i].thread, NULL, run_slot_writer, &all[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < slots; i++) {
        pthread_join(all[i].thread, NULL);
        rate += all[i].transactions;
    }
    return rate;
}

/* --- ingest ----------------------------------------------------------------------------- */

double rates_ingest(const struct rates *rates, struct th_log *log)
{
    static struct log_claim claims[RATES_CLAIMS];
    static struct log_output outputs[RATES_CLAIMS];
    static char keys[RATES_CLAIMS][32];
    struct th_arena arena;
    struct th_err err = {0};
    uint64_t n = 0;
    double start = rates_now();

    th_arena_init(&arena, (size_t)16 << 20);
    while (rates_now() - start < rates->seconds) {
        for (size_t i = 0; i < RATES_CLAIMS; i++, n++) {
            snprintf(keys[i], sizeof keys[i], "k-%" PRIu64, n);
            outputs[i] = (struct log_output){TOPIC_SEND_REQUESTS, -1, th_str(keys[i]),
                                             .value = rates_text(i)};
            claims[i] = (struct log_claim){.tenant = TH_STR("pratham"),
                                           .route = TH_STR("POST /api/v1/sends"),
                                           .key = th_str(keys[i]),
                                           .status = 202,
                                           .body = TH_STR("{\"id\":\"01234567\"}"),
                                           .outputs = &outputs[i],
                                           .outputs_n = 1};
        }
        th_arena_reset(&arena);
        rates_must(rates, th_log_ingest(log, claims, RATES_CLAIMS, &arena, &err), &err);
    }
    double rate = (double)n / (rates_now() - start);
    th_arena_fini(&arena);
    return rate;
}

/* --- reading ---------------------------------------------------------------------------- */

struct rates_read rates_read(const struct rates *rates, struct th_log *log)
{
    struct log_place from[LOG_PARTITIONS_MAX];
    struct th_log_reader *reader;
    struct log_records records;
    struct rates_read read = {0};
    struct th_arena arena;
    struct th_err err = {0};
    uint64_t bytes = 0;

    for (int i = 0; i < rates->partitions; i++)
        from[i] = (struct log_place){TOPIC_DISPATCH_ATTEMPTS, i, 0};
    rates_must(rates, th_log_reader_open(log, from, (size_t)rates->partitions, &reader, &err),
               &err);
    th_arena_init(&arena, (size_t)64 << 20);
    double start = rates_now();
    do {
        th_arena_reset(&arena);
        rates_must(rates, th_log_reader_read(reader, (size_t)1 << 20, &arena, &records, &err),
                   &err);
        for (size_t i = 0; i < records.n; i++)
            bytes += records.at[i].key.n + records.at[i].value.n;
        read.records += records.n;
    } while (records.n > 0);
    double took = rates_now() - start;
    read.mb_s = (double)bytes / 1e6 / took;
    read.records_s = (double)read.records / took;
    th_arena_fini(&arena);
    th_log_reader_close(reader);
    return read;
}

double rates_wake_us(const struct rates *rates, struct th_log *log)
{
    struct log_place from = {TOPIC_PROVIDER_CALLBACKS, 0, 0};
    const struct log_output output = {TOPIC_PROVIDER_CALLBACKS, 0, TH_STR("k"),
                                      .value = TH_STR("v")};
    struct th_log_listener *listener;
    struct th_log_reader *reader;
    struct log_records records;
    struct th_arena arena;
    struct th_err err = {0};
    int n = 0;

    rates_must(rates, th_log_reader_open(log, &from, 1, &reader, &err), &err);
    rates_must(rates, th_log_listener_open(log, 1u << TOPIC_PROVIDER_CALLBACKS, &listener, &err),
               &err);
    th_arena_init(&arena, (size_t)1 << 20);
    double start = rates_now();
    for (; n < 1000; n++) {
        rates_must(rates, th_log_append(log, &output, 1, NULL, &err), &err);
        poll(&(struct pollfd){th_log_listener_fd(listener), POLLIN, 0}, 1, 1000);
        th_log_listener_clear(listener);
        th_arena_reset(&arena);
        rates_must(rates, th_log_reader_read(reader, 1000, &arena, &records, &err), &err);
    }
    double us = (rates_now() - start) / n * 1e6;
    th_log_listener_close(listener);
    th_log_reader_close(reader);
    th_arena_fini(&arena);
    return us;
}
