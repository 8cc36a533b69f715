/* turn.h - one input being decided; inside this folder only. */
#ifndef TELEHUB_PROCESSORS_CAMPAIGN_TURN_H
#define TELEHUB_PROCESSORS_CAMPAIGN_TURN_H

#include "processors/campaign/state.h"

struct turn {
    struct campaigns *cs;
    const struct input *in;
    struct core_output *out;
};

static inline const struct campaign *campaign_of(const struct turn *turn, struct th_id id)
{
    return table_get(turn->cs->campaigns, id);
}

/* Say an own event about a campaign; emit one to another topic, with a key of tenant and id. */
enum th_code campaign_say(struct turn *turn, const struct campaign *c, const struct event *event);
enum th_code campaign_emit(struct turn *turn, enum topic topic, struct th_str tenant,
                           struct th_id id, const struct event *event);

/* A command that cannot be carried out: code is a slug, detail a sentence. */
enum th_code campaign_refuse(struct turn *turn, struct th_str tenant, struct th_id campaign,
                             const char *command, const char *code, struct th_str detail);

/* Tell every process what holds for the campaign from this version on. */
enum th_code campaign_tell(struct turn *turn, const struct campaign *c, enum control_state state,
                           int64_t version);

/* What is being read of a campaign; made when there is none. */
enum th_code campaign_reading(struct turn *turn, struct th_id id, struct reading **out);

/* Look at the campaign again at due_us, or before. */
enum th_code campaign_wake(struct turn *turn, struct th_id id, int64_t due_us);

/* campaign.c: do what the campaign's phase asks for now. */
enum th_code campaign_advance(struct turn *turn, struct th_id id);

/* --- command.c ------------------------------------------------------------------------------- */

enum command { COMMAND_START, COMMAND_PAUSE, COMMAND_RESUME, COMMAND_CANCEL, COMMAND_PACE };

enum th_code campaign_create_command(struct turn *turn, const struct create_campaign *command);
enum th_code campaign_command(struct turn *turn, const struct meta *meta, struct th_id id,
                              enum command what);

/* --- start.c --------------------------------------------------------------------------------- */

enum th_code campaign_start_command(struct turn *turn, const struct campaign *c,
                                    const struct start_campaign *command);
enum th_code campaign_ask_audience(struct turn *turn, const struct campaign *c);
enum th_code campaign_audience_opened(struct turn *turn, const struct answer *answer);

/* --- release.c ------------------------------------------------------------------------------- */

/* Are there rows or asks left that want a release? */
bool campaign_has_work(const struct campaign *c);

/* Make the releases that pace and look-ahead permit now; asks come before new rows. */
enum th_code campaign_release(struct turn *turn, const struct campaign *c);

/* After releases were made: when to go on. Without room, what is reported will wake us. */
enum th_code campaign_plan_next(struct turn *turn, const struct campaign *c, bool has_progressed);

enum th_code campaign_part_read(struct turn *turn, const struct answer *answer);

/* --- progress.c ------------------------------------------------------------------------------ */

enum th_code campaign_sends_moved(struct turn *turn, const struct sends_moved *moved);
enum th_code campaign_release_wanted(struct turn *turn, const struct release_wanted *wanted);
enum th_code campaign_control_answered(struct turn *turn, const struct control_answered *answered);

/* --- end.c: completed, cancelled, paused ------------------------------------------------------ */

/* Nothing that was released is open. */
bool campaign_is_settled(const struct campaign *c);

/* Settled, with nothing left to release and no report to wait for. */
bool campaign_is_done(const struct campaign *c);

enum th_code campaign_complete(struct turn *turn, const struct campaign *c);
enum th_code campaign_conclude_cancel(struct turn *turn, const struct campaign *c);

/* Has every slot of retry and of dispatch answered the pause? */
bool campaign_all_answered(const struct turn *turn, const struct campaign *c);
enum th_code campaign_conclude_pause(struct turn *turn, const struct campaign *c);

#endif
