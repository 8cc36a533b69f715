/* kafka_headers.h - headers of a record, as librdkafka has them and as the log does
 * (common/eventlog/headers.h).
 *
 * One name is the log's own: topics have the broker's time, which an owner's clock cannot falsify;
 * what was appended elsewhere before keeps its own in a header, which other tools may leave alone.
 * The last header of that name is ours and no header of the record's.
 */
#ifndef TELEHUB_CONNECTORS_KAFKA_KAFKA_HEADERS_H
#define TELEHUB_CONNECTORS_KAFKA_KAFKA_HEADERS_H

#include <librdkafka/rdkafka.h>

#include "common/err.h"
#include "common/str.h"

#define KAFKA_AT_HEADER "telehub.at_us" /* 8 bytes, big endian */

/* Those of a message that was read, as long as it lives; NULL: it has none.
 * Errors: TH_CORRUPT (librdkafka cannot read them) */
TH_MUST_USE
enum th_code kafka_headers_of(const rd_kafka_message_t *message, rd_kafka_headers_t **out_headers,
                              struct th_err *err);

/* When the record was appended elsewhere; 0: that is not said. */
int64_t kafka_headers_at_us(const rd_kafka_headers_t *headers);

/* Bytes that they take in the log's encoding, without ours. Accepts NULL. */
size_t kafka_headers_size(const rd_kafka_headers_t *headers);

/* Write them to at, where there are so many. */
void kafka_headers_put(const rd_kafka_headers_t *headers, char *at);

/* For a record to be written: its headers, which are whole, and ours (at_us 0: the broker's time).
 * NULL: no memory. */
rd_kafka_headers_t *kafka_headers_make(struct th_str headers, int64_t at_us);

#endif
