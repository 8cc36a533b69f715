/* turn.h - one input being decided; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_RETRY_TURN_H
#define TELEHUB_PROCESSORS_RETRY_TURN_H

#include "processors/retry/state.h"

struct turn {
    struct retry *retry;
    const struct input *in;
    struct core_output *out;
};

static inline const struct send *send_of(const struct turn *turn, struct th_id id)
{
    return table_get(turn->retry->sends, id);
}

static inline const struct group *group_of(const struct turn *turn, const struct send *s)
{
    return retry_group(turn->retry, s);
}

/* Say an own event about a send, and remember for campaign what moved by it. */
enum th_code turn_say(struct turn *turn, struct th_id send, struct th_str tenant,
                      const struct event *event);

/* A release that no send holds is used up all the same. */
enum th_code turn_settle(struct turn *turn, struct th_id campaign, struct th_str tenant);

/* Tell campaign what the batch moved, and forget it. */
enum th_code turn_flush(struct turn *turn);

/* The short ways to end up somewhere. reason is a slug. */
enum th_code turn_end(struct turn *turn, struct th_id id, const char *reason);
enum th_code turn_end_str(struct turn *turn, struct th_id id, struct th_str reason);
enum th_code turn_end_reached(struct turn *turn, struct th_id id, int32_t n, struct th_str reason);
enum th_code turn_suppress(struct turn *turn, struct th_id id, const char *reason);

/* Each of the following ends a send whose campaign is over: the walk of the cancel may be done, and
 * nobody would come for it any more. */

/* Ask for another release; a send from the API needs none and is due at once. */
enum th_code turn_ask(struct turn *turn, struct th_id id, const char *reason);

enum th_code turn_park(struct turn *turn, struct th_id id, const char *reason);

/* Until a lane opens, or the send expires. */
enum th_code turn_park_laneless(struct turn *turn, struct th_id id);

/* Not now, but at due_us; the attempt before, if any, does not count. */
enum th_code turn_wait(struct turn *turn, struct th_id id, int64_t due_us, const char *reason);

/* --- plan.c: may it go, and where
 * -------------------------------------------------------------------- */

/* Plan the next attempt of a send that is due, or put it where it belongs. */
enum th_code plan_send(struct turn *turn, struct th_id id);

/* The recipient that plan_send asked for. */
enum th_code plan_recipient(struct turn *turn, const struct answer *answer);

/* Something left a lane: sends that found it full may try again. */
enum th_code plan_queued(struct turn *turn);

/* Most attempts of a send, over all lanes. */
enum th_code plan_attempts_max(struct turn *turn, const struct send *s, int32_t *out);

/* Would any lane take it now? */
enum th_code plan_has_lane(struct turn *turn, const struct send *s, bool *out);

/* An open lane that the send has not tried; 0: none. */
enum th_code plan_other_lane(struct turn *turn, const struct send *s, int32_t *out);

/* --- repeat.c: the last attempt again, under its key
 * ---------------------------------------------------------- */

/* Dispatch wants a release for it. */
enum th_code repeat_wanted(struct turn *turn, const struct repeat_wanted *ev);

/* Campaign grants one while the outcome is unknown. */
enum th_code repeat_released(struct turn *turn, const struct send_released *ev);

/* --- outcome.c
 * ------------------------------------------------------------------------------------------ */

/* An event of send.outcomes. */
enum th_code outcome_take(struct turn *turn, const struct event *event);

/* --- suppress.c
 * ----------------------------------------------------------------------------------------- */

/* The provider said that a number must not be contacted again: opt it out, once. phone is empty if
 * it said no such thing. */
enum th_code suppress_number(struct turn *turn, struct th_str tenant,
                             const struct string_or_sealed *phone);

/* --- control.c: pause, resume, cancel, stop
 * ---------------------------------------------------------------- */

enum th_code control_changed(struct turn *turn, const struct reference_change *change);

/* A slice of the sends that a control moves. */
enum th_code control_walk(struct turn *turn, struct th_id id);

/* Cancelled or ended: nothing of it is planned again. */
bool control_is_over(const struct group *group);

/* Would the group's sends be planned now? */
bool control_is_running(const struct turn *turn, const struct group *group);

#endif
