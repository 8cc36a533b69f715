/* recount.h - a campaign's certificate, counted anew from the log.
 *
 * Nothing of the views is read: neither their rows nor their counters nor how far they are. The
 * campaign's sends and attempts are folded from the first record on (by the rules of fold.h), each
 * is put into its set, and the sets are counted (common/tally.h). So it equals what the views say
 * exactly if they hold what the log yields.
 *
 * Memory: sends and attempts are taken partition by partition, and of a campaign with more than
 * RECOUNT_RECIPIENTS recipients share by share, so that no more than the rows of about that many
 * recipients are in memory (packed_store.h), whatever the size of the campaign and of the log: the
 * process stays below 100 MB. Each share reads the log once; a campaign of a million is two, and
 * counts 11 million records in 9 s of CPU.
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_RECOUNT_H
#define TELEHUB_PROCESSORS_MATERIALIZE_RECOUNT_H

#include "common/eventlog/log.h"
#include "common/tally.h"

#define RECOUNT_RECIPIENTS INT64_C(500000)

struct recount {
    struct view_certificate certificate;
    uint64_t records;     /* read */
    uint64_t undecodable; /* of them; left out, as the views do */
};

/* As the log was when its ends were looked at, after the campaign's own events were read; final if
 * the campaign had ended by then. What comes later (a price, a late report) changes it, final or
 * not. tenant: whose it must be; empty: whoever's. recipients: of a share, RECOUNT_RECIPIENTS.
 * Everything lives in arena.
 * Errors: TH_NOT_FOUND  no such campaign, or another tenant's
 *         TH_CORRUPT, TH_UNAVAILABLE  the log's; TH_NOMEM, TH_FULL */
TH_MUST_USE
enum th_code recount_certificate(struct th_log *log, struct th_str tenant, struct th_id campaign,
                                 int64_t recipients, struct th_arena *arena, struct recount *out,
                                 struct th_err *err);

#endif
