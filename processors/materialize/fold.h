/* fold.h - events become rows.
 *
 * Pure. What providers report may come late, twice and in any order, and different topics come in
 * any order between each other; so every column is merged by a rule that is idempotent, commutative
 * and associative, and needs no special case for any of that. Topics whose records are in order by
 * construction (campaign.events, campaign.audience, the reference topics) carry instead the offset
 * up to which they are in.
 *
 * Each table is fed by topics of one key, so no two slots ever write one row:
 *
 *   sends                                        send.requests, send.events, send.outcomes
 *   attempts                                     dispatch.attempts
 *   campaigns, commands, releases                campaign.commands, campaign.events
 *   audiences, audience_parts                    campaign.audience
 *   opt_outs; lanes; dead_letters, their ends    consent.events; config; dead.letters
 *   campaign_counters, campaign_costs            sends and attempts, a row per partition
 */
#ifndef TELEHUB_PROCESSORS_MATERIALIZE_FOLD_H
#define TELEHUB_PROCESSORS_MATERIALIZE_FOLD_H

#include "processors/materialize/batch.h"
#include "schemas/events.h"

/* The number of these rules. Raise it whenever the same events make other rows than before: tables
 * that were filled by other rules are then named as such until they are made anew, in the warning
 * of telehub run (views.other_rules) and by telehub doctor. tests/unit/fold_version_test.c notices
 * what a story comes to. */
#define FOLD_VERSION 1

#define FOLD_PLACES_MAX 200 /* events of a send that are found again; those that come first */

/* Bit t: topic t is folded. */
uint32_t fold_topics(void);

/* Fold one event (or name its rows, while the batch is touching). Unknown ones change nothing.
 * Errors: TH_NOMEM, and what the store says (batch->err) */
TH_MUST_USE
enum th_code fold_event(struct view_batch *batch, const struct event *event,
                        struct log_place place);

/* A record that could not be decoded is listed among the dead letters. */
TH_MUST_USE
enum th_code fold_undecodable(struct view_batch *batch, struct log_place place, enum th_code code,
                              struct th_str detail);

/* After some events: conclude outcomes, and pack the rows. */
TH_MUST_USE
enum th_code fold_conclude(struct view_batch *batch);

/* After the last event: the same, and move the counters along. */
TH_MUST_USE
enum th_code fold_settle(struct view_batch *batch);

/* Which set of the certificate a send belongs to, from its other columns: static storage or text
 * of the row. "planned": an attempt was handed to a lane, of which only its own row in attempts
 * knows whether it was started (then in doubt) or not (then unsent). */
void fold_send_outcome(const struct sends_row *row, struct th_str *out_outcome,
                       struct th_str *out_reason);

/* Where an event of a send lies: topic and offset as one number; the partition is the send's. */
static inline int64_t fold_place(struct log_place place)
{
    return (int64_t)place.topic << 48 | place.offset;
}

#endif
