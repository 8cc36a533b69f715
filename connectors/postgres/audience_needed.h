/* audience_needed.h - which audiences are still in use. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_NEEDED_H
#define TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_NEEDED_H

#include "common/eventlog/log.h"

/* Of each partition of campaign.audience the first record of an audience whose campaign has not
 * ended, where there is one; in the arena. By what the views know.
 * Errors: TH_UNAVAILABLE, TH_DENIED, TH_NOMEM */
TH_MUST_USE
enum th_code pg_audience_needed(const char *conninfo, struct th_arena *arena,
                                struct log_place **out_places, size_t *out_n, struct th_err *err);

#endif
