/* trouble.h - what people command and what goes wrong, when the seed says so. */
#ifndef TELEHUB_TESTS_SIMULATION_TROUBLE_H
#define TELEHUB_TESTS_SIMULATION_TROUBLE_H

#include "tests/simulation/world.h"

/* Tenants, accounts, opted-out numbers: what is there before the first command. */
void trouble_configure(struct world *world);

/* Put commands and faults on the agenda. */
void trouble_plan(struct world *world);

/* The log is up, everybody goes on. */
void trouble_end(struct world *world);

#endif
