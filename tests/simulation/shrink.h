/* shrink.h - from a story that went wrong to the shortest one that goes wrong in the same way. */
#ifndef TELEHUB_TESTS_SIMULATION_SHRINK_H
#define TELEHUB_TESTS_SIMULATION_SHRINK_H

#include "tests/simulation/options.h"

/* The seed's run has broken a promise: play it again with ever less of everything (people,
 * commands, kinds of fault), in processes of their own, keep what still breaks the same promise,
 * and print on out how to see both runs again, and the last lines of the shorter one. sets: what
 * was set by name for the first one, separated by commas, "" when nothing was. */
void shrink(uint64_t seed, const char *sets, FILE *out);

#endif
