/* query_tally.h - how many recipients of a campaign stand where, in one snapshot of the views.
 *
 * The views count sends by outcome, partition by partition; common/tally.h makes sets of it.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERY_TALLY_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERY_TALLY_H

#include "common/tally.h"
#include "connectors/postgres/queries_internal.h"

struct query_tally {
    struct tally tally; /* concluded */
    struct th_str phase;
    struct log_place *next; /* up to where the views are folded: the next record */
    size_t next_n;
};

/* A large struct: *out lives in the arena, as all that it names.
 * Errors: TH_NOT_FOUND, and those of views.h */
TH_MUST_USE
enum th_code tally_campaign(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                            struct th_arena *arena, struct query_tally **out, struct th_err *err);

#endif
