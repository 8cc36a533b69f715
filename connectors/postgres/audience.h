/* audience.h - common/audience.h on the log, with the views' index to find where parts lie. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_H
#define TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_H

#include "common/audience.h"
#include "common/eventlog/log.h"
#include "common/eventlog/reference.h"

#define AUDIENCE_CACHED_PARTS_MAX 8

/* conninfo: the database of the views. log and reference must outlive it; the reference tells a
 * campaign's texts, without which nobody knows what is said twice. scratch: a folder for sorting
 * and for the results of it, borrowed.
 * Errors: TH_NOMEM */
TH_MUST_USE
enum th_code pg_audience_open(const char *conninfo, struct th_log *log, struct reference *reference,
                              const char *scratch, struct audience **out_audience,
                              struct th_err *err);

/* Waits for what it is looking through. Accepts NULL. */
void pg_audience_close(struct audience *audience);

#endif
