/* views_story.h - a generated log for tests of the views: one campaign with a few thousand sends
 * that end in every way there is, their callbacks repeated and reordered. */
#ifndef TELEHUB_TESTS_INTEGRATION_VIEWS_STORY_H
#define TELEHUB_TESTS_INTEGRATION_VIEWS_STORY_H

#include "common/eventlog/log.h"
#include "common/ids.h"

#define STORY_PARTS      3
#define STORY_RECIPIENTS 2500 /* in parts of 1000, 1000, 500 */
#define STORY_DUPLICATES 20   /* rows of the first part left out */
#define STORY_SENDS      2000 /* released; the rest of the audience is not */

/* Append it; ends the test on failure. seed makes ids, and which fate each send has. */
void story_append(struct th_log *log, const char *tenant, uint64_t seed);

/* Ids of what a seed made. */
struct th_id story_campaign(uint64_t seed);
struct th_id story_audience(uint64_t seed);
struct th_id story_send(uint64_t seed, int32_t ordinal);
struct th_id story_command(uint64_t seed, int which); /* 0 create, 1 start, 2 pause: refused */

/* The set that the send of an ordinal ends in: "reached", …; NULL: it has no send. */
const char *story_outcome(uint64_t seed, int32_t ordinal);

#endif
