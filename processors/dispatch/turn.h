/* turn.h - one input being decided; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_DISPATCH_TURN_H
#define TELEHUB_PROCESSORS_DISPATCH_TURN_H

#include "processors/dispatch/lane.h"

struct turn {
    struct dispatch *d;
    const struct input *in;
    struct core_output *out;
};

/* An own event of a lane; where the send's retry must know it, also on send.outcomes. */
enum th_code dispatch_say(struct turn *turn, struct th_str tenant, int32_t lane,
                          const struct event *event);
enum th_code dispatch_say_outcome(struct turn *turn, struct th_str tenant, int32_t lane,
                                  struct th_id send, const struct event *event);

static inline const struct attempt *attempt_of(const struct turn *turn, struct attempt_ref ref)
{
    return table_get(turn->d->attempts, attempt_id(ref));
}

/* --- start.c: plans
 * ---------------------------------------------------------------------------------- */

enum th_code start_plan(struct turn *turn, const struct event *event);

/* How many attempts may be in flight in this slot. */
int64_t dispatch_window(const struct dispatch *d);

/* Start what the lane may start now, hand back what must not start. */
enum th_code start_lane(struct turn *turn, struct lane *lane);

/* A call of the lane has landed: it, and whoever waited for its place in the window, may go on. */
enum th_code start_freed(struct turn *turn, struct lane *lane);

/* Hand back whatever a control, a stop or a closed circuit forbids: a slice. */
enum th_code start_sweep(struct turn *turn);

/* Look after every lane of this slot that the reference knows, also those without a plan: who else
 * would probe an open circuit? */
enum th_code start_watch_lanes(struct turn *turn);

/* Queue every waiting plan anew, after a batch was undone. */
enum th_code start_requeue(struct dispatch *d);

/* --- settle.c: answers, callbacks, look-ups
 * ------------------------------------------------------------- */

enum th_code settle_call(struct turn *turn, const struct answer *answer);
enum th_code settle_callback(struct turn *turn, const struct callback_received *ev);
enum th_code settle_lookup(struct turn *turn, const struct answer *answer);
enum th_code settle_journal(struct turn *turn, const struct answer *answer);
enum th_code settle_due(struct turn *turn, const struct attempt *a);

/* An outcome of ours, on both topics. */
enum th_code settle_say_resolved(struct turn *turn, const struct attempt *a,
                                 enum attempt_outcome outcome, enum resolved_how how,
                                 struct th_str provider_id, const char *evidence);

/* What a look-up found out about it, if that is news: the provider has the attempt. */
enum th_code settle_found(struct turn *turn, const struct attempt *a,
                          const struct provider_report *report);

/* NULL: a wire that this process does not know. */
const struct provider_ops *settle_wire_of(const struct dispatch *d, struct th_str name);

/* --- resolve.c: outcomes that nobody knows
 * ------------------------------------------------------------------------------------------- */

/* Ask for it when its quarantine is over, by what its provider offers. */
enum th_code resolve_soon(struct turn *turn, struct attempt_ref ref);

/* The time has come. */
enum th_code resolve_due(struct turn *turn, const struct attempt *a);

/* What was found by reference. */
enum th_code resolve_lookup(struct turn *turn, const struct attempt *a,
                            const struct provider_lookup *lookup);
enum th_code resolve_repeat(struct turn *turn, const struct answer *answer);

/* A repeat has got the release that it wanted. */
enum th_code resolve_released(struct turn *turn, const struct repeat_released *ev);

/* --- circuit.c
 * --------------------------------------------------------------------------------------------- */

/* A call has ended: count it, open or close. */
enum th_code circuit_count(struct turn *turn, struct lane *lane, bool is_failure,
                           bool is_account_refused);

/* Time for a probe. */
enum th_code circuit_due(struct turn *turn, struct lane *lane);

/* --- control.c
 * ------------------------------------------------------------------------------------------------
 */

enum th_code dispatch_control_changed(struct turn *turn, const struct reference_change *change);

/* NULL: what this slot applied lets the campaign start; else the slug. */
const char *dispatch_control_forbids(const struct turn *turn, const struct attempt_plan *plan);

#endif
