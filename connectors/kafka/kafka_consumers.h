/* kafka_consumers.h - consumers that readers borrow: opening one takes tens of milliseconds, and
 * one that was given back may have a fetch on its way that holds up its next assignment. Any
 * thread.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_CONSUMERS_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_CONSUMERS_H

#include "connectors/kafka/kafka_client.h"

struct kafka_log;

/* One that is free for the next assignment. Errors: TH_NOMEM, TH_INVALID */
TH_MUST_USE
enum th_code kafka_consumers_borrow(struct kafka_log *log, struct kafka_client **out_client,
                                    struct th_err *err);

/* A new one whose fetches wait for long, to be assigned once. Waits a second at most. Errors as
 * above, TH_UNAVAILABLE */
TH_MUST_USE
enum th_code kafka_consumers_follower(struct kafka_log *log, struct kafka_client **out_client,
                                      struct th_err *err);

/* Of either kind; the caller has it no more. */
void kafka_consumers_take_back(struct kafka_log *log, struct kafka_client *client);

/* Close one that has waited long for its next reader, if there is one. */
void kafka_consumers_retire(struct kafka_log *log);

#endif
