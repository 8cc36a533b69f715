/* prose.h - a story in words: what the processors decided, and what happened around them. */
#ifndef TELEHUB_TESTS_SIMULATION_PROSE_H
#define TELEHUB_TESTS_SIMULATION_PROSE_H

#include "tests/simulation/world.h"

/* A sentence for an event that is its processor's own; of copies and inputs nothing is said. */
void prose_event(struct world *world, const struct event *event, enum topic topic);

/* Something happened outside: numbers become the names of those whom they belong to. */
void prose_said(struct world *world, const char *text);

#endif
