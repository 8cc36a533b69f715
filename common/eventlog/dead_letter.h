/* dead_letter.h - what a dead letter is called, and what lies beside it. Pure. */
#ifndef TELEHUB_COMMON_EVENTLOG_DEAD_LETTER_H
#define TELEHUB_COMMON_EVENTLOG_DEAD_LETTER_H

#include "common/eventlog/headers.h"
#include "common/eventlog/log.h"
#include "common/ids.h"

/* A record that is met again after a restart, or when the views are rebuilt, must give the same
 * dead letter: so its id (UUID version 8, RFC 9562) is made of who could not understand it, where
 * it lies, and what it says. */
struct th_id dead_letter_id(const char *consumer, const struct log_record *record);

/* Where a record lay that is replayed, "topic/partition/offset" of the log on which it was buried.
 * A letter's own record carries it behind the headers of the record that it is about, and the
 * replayed record carries them all: so one that is buried again tells each place. */
#define DEAD_LETTER_ORIGIN "dlq_origin"

/* Look at out's status. */
void dead_letter_add_origin(struct th_buf *headers, struct log_place place);

bool dead_letter_has_origin(struct th_str headers);

#endif
