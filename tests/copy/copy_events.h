/* copy_events.h - the events that are copied: which, and in what order, follows from a seed alone.
 * Pure.
 */
#ifndef TELEHUB_TESTS_COPY_COPY_EVENTS_H
#define TELEHUB_TESTS_COPY_COPY_EVENTS_H

#include <stdint.h>

#include "common/str.h"

#define COPY_KEY_MAX   16
#define COPY_VALUE_MAX 256

struct copy_event {
    char key[COPY_KEY_MAX];
    size_t key_n;
    char value[COPY_VALUE_MAX]; /* any bytes */
    size_t value_n;
};

/* The event of that number, from 0 on. */
void copy_event_make(uint64_t seed, int64_t number, struct copy_event *out);

/* What a copier writes for a value that it reads; no two values become the same. out has room for
 * COPY_VALUE_MAX bytes; 0 when the value is longer than one of ours. */
size_t copy_event_transform(struct th_str value, char *out);

/* A stream of random numbers. */
uint64_t copy_random(uint64_t *state);

#endif
