/* headers.h - what a record carries beside key and value: names with values, as Kafka has them.
 * Pure.
 *
 * As the log keeps them, in order, integers as unsigned LEB128 of the least length:
 *
 *   for each header: name size, name, 0 for null or value size + 1, value
 *
 * No headers are no bytes. Names may repeat and may be empty, but hold no NUL: Kafka's library
 * hands them out as C strings. So one list of headers has one encoding, and equal bytes are equal
 * headers. The log looks at nothing but that the encoding is whole; what headers say is between
 * those who write and those who read them.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_HEADERS_H
#define TELEHUB_COMMON_EVENTLOG_HEADERS_H

#include "common/buf.h"

#define LOG_HEADERS_MAX ((size_t)100000) /* of a record: librdkafka reads no more */

struct log_header {
    struct th_str name;
    struct th_str value;
    bool is_null; /* which is not the empty value; value is empty then */
};

/* Bytes that it takes. */
size_t log_header_size(const struct log_header *header);

/* Write it to at, where log_header_size bytes are; returns that. */
size_t log_header_put(char *at, const struct log_header *header);

/* Behind those that are there; look at the buffer's status. */
void log_headers_add(struct th_buf *headers, const struct log_header *header);

/* The first of *rest, which becomes what follows it; views point into it. False: there is none left
 * (rest->n == 0), or what is left is damaged (it is more, and *rest stays). */
bool log_headers_next(struct th_str *rest, struct log_header *out);

bool log_headers_can_be_read(struct th_str headers);

/* Can all of it be read, and are they not too many? Any bytes whatever. */
static inline bool log_headers_are_whole(struct th_str headers)
{
    return headers.n == 0 || log_headers_can_be_read(headers); /* nearly all records have none */
}

#endif
