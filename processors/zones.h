/* zones.h - the time zones that tenants live in, each read from the system once. */
#ifndef TELEHUB_PROCESSORS_ZONES_H
#define TELEHUB_PROCESSORS_ZONES_H

#include "common/err.h"
#include "common/str.h"

struct zones;

/* folder is borrowed. NULL when there is no memory. */
struct zones *zones_new(const char *folder);
void zones_free(struct zones *zones);

/* Seconds that local time is ahead of UTC. Of a zone that is not there: 0, and it is logged once.
 * Any thread. For struct retry_config. */
int32_t zones_offset_s(const void *zones, struct th_str name, int64_t utc_us);

#endif
