/* samples.h - events of the test schemas, for the codec's tests and its oracles. */
#ifndef TELEHUB_TESTS_UNIT_SAMPLES_H
#define TELEHUB_TESTS_UNIT_SAMPLES_H

#include "tests/unit/schemas/all.h"

/* Written by hand: the first has something in every field, the others stand at edges. */
#define SAMPLES 6

/* What is special about it. */
const char *sample_says(size_t i);

/* Its memory is static. */
void sample_event(size_t i, struct all_event *out);

/* Any event that could be, the same for the same seed; it lies in arena, which must be large. */
void sample_random(uint64_t seed, struct th_arena *arena, struct all_event *out);

#endif
