/* dead_letter.h - what a dead letter is called. Pure. */
#ifndef TELEHUB_COMMON_EVENTLOG_DEAD_LETTER_H
#define TELEHUB_COMMON_EVENTLOG_DEAD_LETTER_H

#include "common/eventlog/log.h"
#include "common/ids.h"

/* A record that is met again after a restart, or when the views are rebuilt, must give the same
 * dead letter: so its id (UUID version 8, RFC 9562) is made of who could not understand it, where
 * it lies, and what it says. */
struct th_id dead_letter_id(const char *consumer, const struct log_record *record);

#endif
