/* analyst.h - the views, folded while things go wrong, and what they must say at the end.
 *
 * materialize as telehub links it, over tables in memory that keep what was committed, fail now and
 * then with the answer lost, and whose reader dies and begins again. At the end the tables equal
 * those that a fresh fold of the whole log makes, all rows and columns; every send is in the set
 * that log and ledger say; and the counters are a recount of the rows.
 */
#ifndef TELEHUB_TESTS_SIMULATION_ANALYST_H
#define TELEHUB_TESTS_SIMULATION_ANALYST_H

#include "tests/simulation/world.h"

struct analyst *analyst_new(struct world *world);
void analyst_free(struct analyst *analyst);

/* Everything is at rest. */
void analyst_end(struct world *world);

#endif
