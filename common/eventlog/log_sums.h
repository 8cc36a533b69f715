/* log_sums.h - what a log holds as a few numbers: two logs hold the same exactly if these agree.
 *
 * A sum for each topic and range of keys, over key, headers, value, time and order of its records.
 * Order is that of each partition as a log with the placement's partitions has it: so a log and its
 * copy with another number of partitions have equal sums, and a copy that swapped two records of a
 * key has not. The sums find accidents; they are no signature.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_LOG_SUMS_H
#define TELEHUB_COMMON_EVENTLOG_LOG_SUMS_H

#include "common/eventlog/log.h"

#define LOG_SUMS_RANGES 16 /* of keys, by their hash */

struct log_sums {
    struct log_sum {
        uint64_t records;
        uint64_t sum;
    } at[TOPIC_COUNT][LOG_SUMS_RANGES];
    uint64_t records;
    uint64_t bytes; /* keys, headers and values */
};

/* Told now and then by whoever works long. Offsets, not records: what was passed, of how many. */
struct log_progress {
    const char *doing;
    int64_t done;
    int64_t size;
    uint64_t records; /* by this run */
    uint64_t bytes;
};

struct log_watch {
    void (*told)(void *arg, const struct log_progress *progress); /* NULL: nobody is */
    void *arg;
};

/* Of a whole log, as one with to[topic] partitions and so many slots would hold it.
 * Errors: as log_scan_next */
TH_MUST_USE
enum th_code log_sums_of(struct th_log *log, const int to[TOPIC_COUNT], int slots,
                         const char *doing, const struct log_watch *watch, struct log_sums *out,
                         struct th_err *err);

bool log_sums_agree(const struct log_sums *a, const struct log_sums *b);

/* Of a range of keys, over all topics. */
struct log_sum log_sums_range(const struct log_sums *sums, int range);

#endif
