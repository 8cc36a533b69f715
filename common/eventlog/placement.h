/* placement.h - in which partition a record of one log belongs in another log.
 *
 * With as many partitions it stays where it is. Otherwise: keyed records by murmur2 of their key,
 * those of lanes by the lane's number, what a slot noted for itself alone to the first partition of
 * that slot, as whoever wrote them would have chosen there. Events name no partitions, so nothing
 * in them changes. Pure.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_PLACEMENT_H
#define TELEHUB_COMMON_EVENTLOG_PLACEMENT_H

#include "common/eventlog/log.h"

struct placement {
    int from;  /* partitions of the topic there … */
    int to;    /* … and here */
    int slots; /* of each processor, here */
};

/* arena: for looking into the value; reset before. A value that cannot be understood goes by its
 * key, so that what bears one key still lies together. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code placement_of(const struct placement *placement, const struct log_record *record,
                          struct th_arena *arena, int *out_part);

#endif
