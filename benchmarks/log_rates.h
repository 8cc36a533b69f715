/* log_rates.h - what a log does in a second, whichever driver it has. For benchmarks: whatever
 * fails ends the program with a sentence.
 */
#ifndef TELEHUB_BENCHMARKS_LOG_RATES_H
#define TELEHUB_BENCHMARKS_LOG_RATES_H

#include "common/eventlog/log.h"

#define RATES_EVENT_SIZE  80 /* value of a record, with its key about that of a decision event */
#define RATES_TXN_EVENTS  120
#define RATES_BATCH       100
#define RATES_CLAIMS      64
#define RATES_WRITERS_MAX 8

struct rates {
    const char *program; /* begins what is said of a failure */
    struct th_log *(*open)(void);
    int partitions;
    double seconds; /* for each figure */
};

double rates_now(void); /* in seconds */
void rates_must(const struct rates *rates, enum th_code code, const struct th_err *err);

/* Value of the n-th event: text that compresses as ours does. */
struct th_str rates_text(size_t n);

/* Appends a second of one writer, each a batch of one partition; part -1: each in turn. */
double rates_append(const struct rates *rates, struct th_log *log, size_t batch, int part);

/* The same of writers as in processes of their own, each with its partition, RATES_BATCH each. */
double rates_append_many(const struct rates *rates, int writers);

/* Transactions a second of so many slots, RATES_TXN_EVENTS each, spread over so many partitions. */
double rates_commit(const struct rates *rates, struct th_log *log, int slots, int spread);

/* Requests a second, each with an idempotency key and one record, RATES_CLAIMS in a call. */
double rates_ingest(const struct rates *rates, struct th_log *log);

/* From the first to the last record of all partitions that rates_append wrote to. */
struct rates_read {
    uint64_t records;
    double mb_s; /* keys and values */
    double records_s;
};
struct rates_read rates_read(const struct rates *rates, struct th_log *log);

/* From the append of one record to a reader of this process that waits for it: µs. */
double rates_wake_us(const struct rates *rates, struct th_log *log);

#endif
