/* tell.h - an event as a line of the story. */
#ifndef TELEHUB_TESTS_SIMULATION_TELL_H
#define TELEHUB_TESTS_SIMULATION_TELL_H

#include "tests/simulation/world.h"

void tell_event(struct world *world, const struct log_record *record, const struct event *event);

#endif
