/* workers.h - threads for what blocks: questions to the views, files, waiting for the reference.
 */
#ifndef TELEHUB_GATEWAY_WORKERS_H
#define TELEHUB_GATEWAY_WORKERS_H

#include "connectors/gateway/request.h"

#define WORKERS_MAX        64
#define WORKERS_QUEUED_MAX 512

struct workers;

/* run is called in a worker's thread with each request, and finishes it.
 * Errors: TH_NOMEM, TH_IO */
TH_MUST_USE
enum th_code workers_open(unsigned count, void (*run)(struct request *request),
                          struct workers **out_workers, struct th_err *err);

/* Runs what is queued, then ends. Accepts NULL. */
void workers_close(struct workers *workers);

/* False when too many wait. The caller must own the request; it may be finished before this
 * returns. */
bool workers_submit(struct workers *workers, struct request *request);

#endif
