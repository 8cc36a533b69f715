/* tally.h - how many recipients of a campaign stand where: added up in any order, then concluded.
 *
 * Sends are counted by the set that materialize's fold puts them in. What no send says is added
 * here: duplicates, which never became sends; rows that a cancel kept from being released; and of
 * the sends handed to a lane, which only the attempts know to be started.
 *
 * Pure. Texts are borrowed as long as the tally is read.
 */
#ifndef TELEHUB_COMMON_TALLY_H
#define TELEHUB_COMMON_TALLY_H

#include "common/views.h"

#define TALLY_COSTS_MAX 256 /* currencies, prices and estimates apart */

struct tally_reasons {
    struct view_reason at[VIEWS_REASONS_MAX]; /* sorted by tally_conclude */
    size_t n;
    int64_t sum;
};

/* Large: it belongs on the heap. Zero-initialise. */
struct tally {
    struct view_counts counts; /* complete after tally_conclude */
    struct tally_reasons unreached;
    struct tally_reasons suppressed;
    struct view_cost cost[TALLY_COSTS_MAX]; /* by currency, prices before estimates */
    size_t cost_n;
    int64_t planned; /* sends handed to a lane */
    int64_t open;    /* attempts that were started and have no outcome */
};

/* What the campaign says of itself. */
struct tally_campaign {
    int64_t recipients; /* accepted rows of the audience; 0 before the start */
    int64_t released;   /* rows, duplicates included */
    int64_t duplicates;
    bool is_cancelled;
};

/* n sends that stand in this set of the fold; negative or zero: none. */
void tally_sends(struct tally *tally, struct th_str outcome, struct th_str reason, int64_t n);

/* n attempts that were started and have no outcome. */
void tally_open(struct tally *tally, int64_t n);

/* Errors: TH_CORRUPT  that is no currency, or there are more than TALLY_COSTS_MAX */
TH_MUST_USE
enum th_code tally_cost(struct tally *tally, struct th_str currency, int64_t micros,
                        bool is_estimated, struct th_err *err);

/* Once, when everything was added: the sets partition the audience from here on. */
void tally_conclude(struct tally *tally, const struct tally_campaign *campaign);

/* The tally as a certificate, whose lists are the tally's own. */
void tally_certificate(struct tally *tally, struct th_id campaign, bool is_final,
                       struct view_certificate *out);

#endif
