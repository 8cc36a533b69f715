/* recent.h - did one attempt alone go to a number, for minutes around it?
 *
 * Whoever asks a provider what went to a number at a time finds what any attempt left behind, so
 * an answer proves something of an attempt only if no other went there around then. What was
 * started lately is remembered by hash, in a table of fixed size: where two numbers share a place,
 * neither counts as alone, which proves less and nothing that is wrong.
 *
 * One of each partition of dispatch.attempts, derived from its AttemptStarted events. A start that
 * was taken back stays in it, which is as safe. Pure; one thread.
 */
#ifndef TELEHUB_PROCESSORS_DISPATCH_RECENT_H
#define TELEHUB_PROCESSORS_DISPATCH_RECENT_H

#include "common/buf.h"

/* So long before and after an attempt nobody else may have gone to the number: more than a search
 * covers (DISPATCH_SEARCH_BEFORE_US and DISPATCH_SEARCH_AFTER_US). */
#define RECENT_SPAN_S 600

struct recent;

/* NULL when there is no memory. */
struct recent *recent_new(void);
void recent_free(struct recent *recent); /* accepts NULL */

/* The attempt, a hash of it, was started, to the number and from the sender that party names; in a
 * snapshot it lies in the piece (0 to 255) that is told. The same again changes nothing. at_us:
 * UTC.
 */
void recent_note(struct recent *recent, uint64_t party, uint64_t attempt, int piece, int64_t at_us);

/* For all that is remembered, has no other attempt gone to that party around this one? Ask only
 * about what was noted. */
bool recent_is_alone(const struct recent *recent, uint64_t party, uint64_t attempt, int piece);

/* What is still of use of one piece, and back. Pieces may be of different moments, as long as what
 * was started in a piece after its moment is noted again. Errors: TH_NOMEM; TH_CORRUPT */
TH_MUST_USE
enum th_code recent_save(const struct recent *recent, int piece, struct th_buf *out);
TH_MUST_USE
enum th_code recent_load(struct recent *recent, struct th_str bytes);

#endif
