/* small_story.h - a log of a few events for the views: a campaign, its audience, and sends that
 * are requested, tried, delivered, paid and ended. */
#ifndef TELEHUB_TESTS_SMALL_STORY_H
#define TELEHUB_TESTS_SMALL_STORY_H

#include "common/eventlog/log.h"
#include "schemas/events.h"

#define SMALL_STORY_TENANT   TH_STR("pratham")
#define SMALL_STORY_ROWS     3 /* of each of two parts; the first of both are the same */
#define SMALL_STORY_ATTEMPTS 4 /* events of each send in dispatch.attempts */

struct th_id small_story_campaign(void);
struct th_id small_story_audience(void);
struct th_id small_story_send(int ordinal);

/* The hash of a part, as its seal says it. */
struct sha256 small_story_sha256(int32_t part);

/* The audience and the campaign. Each ends the test when the log does not take it. */
void small_story_begin(struct th_log *log);

/* The sends of these ordinals, at once; or first as far as they are planned, and then the rest. */
void small_story_sends(struct th_log *log, int first, int n);
void small_story_asked(struct th_log *log, int first, int n);
void small_story_answered(struct th_log *log, int first, int n);
void small_story_end(struct th_log *log);

#endif
