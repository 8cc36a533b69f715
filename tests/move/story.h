/* story.h - a log with something of everything in it, and whether another one is a true copy of it.
 *
 * Keyed, lane and reference topics, what slots note for themselves, values that nobody can read,
 * records of one byte and of 100 kB, times that go back, remembered idempotency keys, and slots
 * that have read all of it. Works on the log of any driver.
 */
#ifndef TELEHUB_TESTS_MOVE_STORY_H
#define TELEHUB_TESTS_MOVE_STORY_H

#include "common/eventlog/core.h"

/* Toy processors that own and read what the real ones do. */
extern const struct core_ops *const story_cores[];

#define STORY_SLOTS 2
#define STORY_KEYS  40 /* idempotency keys */

/* A chapter is about 150 records; the slots of the log have read all of them. */
void story_write(struct th_log *log, int chapters);

/* Every key's records, in order, with every byte and time; each record where a log with so many
 * partitions and slots has it; remembered keys; the slots at the ends of their inputs. */
void story_is_copied(struct th_log *source, struct th_log *copy, int slots);

/* How many records the log holds. */
size_t story_records(struct th_log *log);

#endif
