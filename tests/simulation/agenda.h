/* agenda.h - what happens next: a heap of things to do, by time, ties broken by the seed. */
#ifndef TELEHUB_TESTS_SIMULATION_AGENDA_H
#define TELEHUB_TESTS_SIMULATION_AGENDA_H

#include "tests/simulation/rng.h"

#include <stddef.h>

struct world;

typedef void agenda_fn(struct world *world, int64_t arg);

struct agenda_item {
    int64_t due_us; /* boottime of the simulation */
    uint64_t tie;
    agenda_fn *fn;
    int64_t arg;
};

struct agenda {
    struct agenda_item *at;
    size_t n;
    size_t cap;
};

void agenda_add(struct agenda *agenda, int64_t due_us, uint64_t tie, agenda_fn *fn, int64_t arg);

/* False when it is empty. */
bool agenda_pop(struct agenda *agenda, struct agenda_item *out);

void agenda_fini(struct agenda *agenda);

#endif
