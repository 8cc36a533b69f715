/* queries.h - common/views.h on the views that materialize keeps in Postgres.
 *
 * Asks the views of schema views alone, which show the current generation, so that a rebuild goes
 * on unseen. What is counted is read in one statement, so in one snapshot: the sets of a
 * certificate partition the audience at every moment. What the views do not hold is read where it
 * lies: numbers and languages in the parts of the audience, events in the log.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERIES_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERIES_H

#include "common/audience.h"
#include "common/views.h"

/* conninfo: the database of the views, borrowed for the call; nothing is connected yet. log and
 * audience must outlive it.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code pg_views_open(const char *conninfo, struct th_log *log, struct audience *audience,
                           struct views **out_views, struct th_err *err);

/* Nobody asks any more. Accepts NULL. */
void pg_views_close(struct views *views);

#endif
