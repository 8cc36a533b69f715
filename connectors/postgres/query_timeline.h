/* query_timeline.h - the events of a send, read where its row says that they lie. */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERY_TIMELINE_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERY_TIMELINE_H

#include "common/views.h"

/* places: 8 bytes each, big endian, topic << 48 | offset, as the fold writes them; the partition is
 * that of the send's key. *out lives in arena, in order of time, at most VIEWS_TIMELINE_MAX.
 * Errors: TH_CORRUPT  no record of that send lies there
 *         TH_UNAVAILABLE, TH_NOMEM */
TH_MUST_USE
enum th_code timeline_read(struct th_log *log, struct th_str tenant, struct th_id send,
                           struct th_str places, struct th_arena *arena,
                           struct view_send_event **out, size_t *out_n, struct th_err *err);

#endif
