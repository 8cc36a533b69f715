/* campaign.h - who is next: the life of a campaign, from draft to its end.
 *
 * Pure. Reads campaign.commands and campaign.progress; owns campaign.events; asks for sends on
 * send.requests; tells every process on campaign.control. A recipient is (audience, part, row) and
 * is read when due, so that memory does not grow with the audience.
 *
 *   draft -> starting -> running <-> pausing -> paused        (resume leads back to running)
 *                        running -> completed
 *              any but the ends -> cancelling -> cancelled
 *
 * The pace can be changed until it has ended. A change holds for releases made from then on: those
 * made before are at most look_ahead_us ahead, and the next is due a distance of the new pace after
 * the last of them. So in no 60 s do more reach the provider than the greatest pace that a release
 * among them was made under. Releases without a limit (pace 0) have no time at which they are late:
 * when a pace is set, none is made before they are all used up. A pause takes them back at once.
 *
 * Completed: every row was released or suppressed, every send stands in an end, nothing is being
 * resolved, no report is awaited, every release is used up. Cancelled: the same, of what had been
 * released.
 */
#ifndef TELEHUB_PROCESSORS_CAMPAIGN_CAMPAIGN_H
#define TELEHUB_PROCESSORS_CAMPAIGN_CAMPAIGN_H

#include "common/eventlog/core.h"

#define CAMPAIGNS_MAX      100000
#define CAMPAIGN_ASKS_MAX  1000000 /* sends that wait for a release, of one slot */
#define CAMPAIGN_TURN_ROWS 200     /* releases in one go; other campaigns then have their turn */

struct campaign_config {
    int64_t look_ahead;    /* releases that are out and not used up; at least 1 */
    int64_t look_ahead_us; /* how far ahead of its send_at a release may be made */
    int64_t ask_again_us;  /* when a part could not be read */
};

#define CAMPAIGN_CONFIG_DEFAULT                                                                    \
    ((struct campaign_config){.look_ahead = 1000, .look_ahead_us = 5000000, .ask_again_us = 50000})

extern const struct core_ops campaign_core;

enum campaign_phase {
    CAMPAIGN_DRAFT,
    CAMPAIGN_STARTING,
    CAMPAIGN_RUNNING,
    CAMPAIGN_PAUSING,
    CAMPAIGN_PAUSED,
    CAMPAIGN_COMPLETED,
    CAMPAIGN_CANCELLING,
    CAMPAIGN_CANCELLED,
};

#define CAMPAIGN_PHASES (CAMPAIGN_CANCELLED + 1)

/* "running"; static storage. */
const char *campaign_phase_name(enum campaign_phase phase);

/* Where a campaign stands, for tests and simulation. */
struct campaign_counts {
    enum campaign_phase phase;
    int64_t recipients; /* accepted rows of the audience */
    int64_t requested;  /* sends asked for */
    int64_t duplicates; /* rows suppressed before they became a send */
    int64_t open;       /* releases not used up */
    int64_t accepted;
    int64_t awaiting_report;
    int64_t unknown;
    int64_t suppressed;
    int64_t ended;
    int64_t asking;
};

/* False if this slot does not know it. */
bool campaign_look(const void *core, struct th_id campaign, struct campaign_counts *out);

#endif
