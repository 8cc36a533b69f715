/* kafka_bell.h - wakes listeners when topics grow: by writers of this process at once; by others as
 * soon as a reader that follows the partition hears of it, else when a look at the ends, every
 * watch_ms (three times that while nothing comes), finds them moved. Any thread.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_BELL_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_BELL_H

#include "common/eventlog/log.h"

struct kafka_bell;
struct kafka_log;

/* What has grown: topics as a mask, and of each the partitions, p as bit p % 64. */
struct kafka_grown {
    uint32_t topics;
    uint64_t parts[TOPIC_COUNT];
};

/* Its thread begins with the first listener. The log is borrowed until kafka_bell_free. */
TH_MUST_USE
enum th_code kafka_bell_new(struct kafka_log *log, struct kafka_bell **out_bell,
                            struct th_err *err);
void kafka_bell_free(struct kafka_bell *bell);

void kafka_bell_ring(struct kafka_bell *bell, const struct kafka_grown *grown);

/* by 1: somebody waits for this partition's records and will ring; it needs no look until by -1. */
void kafka_bell_follow(struct kafka_bell *bell, const struct log_place *place, int by);

/* Entries of the driver's table. */
enum th_code kafka_listener_open(struct th_log *base, uint32_t topics,
                                 struct th_log_listener **out_listener, struct th_err *err);
void kafka_listener_narrow(struct th_log_listener *base, int slot, int slots);
void kafka_listener_clear(struct th_log_listener *base);
void kafka_listener_close(struct th_log_listener *base);

#endif
