/* meters.h - what the parts of a running telehub do, as figures for /metrics.
 *
 * Slots count commits as they happen (meters_slot_series); everything else is measured when
 * somebody asks: meters_slot and meters_materialize for each part, meters_outside once.
 */
#ifndef TELEHUB_PROCESSORS_MAIN_METERS_H
#define TELEHUB_PROCESSORS_MAIN_METERS_H

#include "common/eventlog/slot.h"
#include "common/views.h"
#include "processors/materialize/materialize.h"

struct meters;

/* metrics outlives it. Errors: TH_FULL, TH_NOMEM */
TH_MUST_USE
enum th_code meters_open(struct th_metrics *metrics, struct meters **out_meters,
                         struct th_err *err);
void meters_close(struct meters *meters);

/* What a slot of this processor counts by itself. */
struct slot_meters meters_slot_series(struct meters *meters, const char *processor);

void meters_slot(struct meters *meters, const char *processor, int slot_number,
                 const struct slot *slot);
void meters_materialize(struct meters *meters, int slot_number, const struct materialize *m);

/* What lies outside of the parts: lanes, and how the views are. */
void meters_outside(struct meters *meters, struct reference *reference, struct views *views);

#endif
