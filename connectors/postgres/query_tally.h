/* query_tally.h - how many recipients of a campaign stand where, in one snapshot.
 *
 * The views count sends by outcome, partition by partition. What they cannot count is added here:
 * duplicates, which never became sends; rows that a cancel kept from being released; and sends
 * handed to a lane, of which only the attempts know whether they were started.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_QUERY_TALLY_H
#define TELEHUB_CONNECTORS_POSTGRES_QUERY_TALLY_H

#include "connectors/postgres/queries_internal.h"

struct tally_reasons {
    struct view_reason at[VIEWS_REASONS_MAX]; /* sorted */
    size_t n;
    int64_t sum;
};

struct tally {
    struct th_str phase;
    struct view_counts counts;
    struct tally_reasons unreached;
    struct tally_reasons suppressed;
    struct view_cost *cost; /* by currency, prices before estimates */
    size_t cost_n;
    struct log_place *next; /* up to where the views are folded: the next record */
    size_t next_n;
};

/* A large struct: *out lives in the arena, as all that it names.
 * Errors: TH_NOT_FOUND, and those of views.h */
TH_MUST_USE
enum th_code tally_campaign(struct pg_views *self, struct th_str tenant, struct th_id campaign,
                            struct th_arena *arena, struct tally **out, struct th_err *err);

#endif
