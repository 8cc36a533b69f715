/* applied.h - a slot has applied a campaign's control: what it says of that.
 *
 * Pure.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_APPLIED_H
#define TELEHUB_COMMON_EVENTLOG_APPLIED_H

#include "common/eventlog/core.h"

/* To itself: an own event, in the slot's first partition whatever the campaign's key would say,
 * since each slot has its own to remember. in_flight: attempts that are with a provider.
 * Errors: as core_say */
TH_MUST_USE
enum th_code applied_say(struct core_output *out, const struct core_env *env,
                         const struct ref_campaign *rc, int64_t in_flight);

/* For campaign, on campaign.progress, which waits for every slot of app: nothing more of the
 * campaign starts here. Its strings are those of rc. */
struct event applied_answer(struct core_output *out, const struct core_env *env, enum log_app app,
                            const struct ref_campaign *rc, int64_t in_flight);

#endif
