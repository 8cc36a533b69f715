/* audience_twice.h - who would hear the same twice in a campaign: looked for once, kept as bits.
 *
 * Looking an audience through goes on in a thread of its own; the result also lies in a file, so
 * that a restart need not look again. Any thread. Inside this folder only.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_TWICE_H
#define TELEHUB_CONNECTORS_POSTGRES_AUDIENCE_TWICE_H

#include "common/eventlog/effect.h"
#include "common/eventlog/reference.h"
#include "connectors/postgres/audience_source.h"

#define TWICE_PART_BYTES    125    /* a bit for each of 1,000 rows */
#define TWICE_CAMPAIGNS_MAX 64     /* kept in memory */
#define TWICE_ENTRIES_MAX   131072 /* sorted in memory at a time: 2 MB, and qsort takes as much */

struct audience_twice;

/* Everything is borrowed. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code audience_twice_new(struct audience_source *source, struct reference *reference,
                                const char *scratch, struct audience_twice **out,
                                struct th_err *err);

/* Waits for a search that is under way, at most one part long. Accepts NULL. */
void audience_twice_free(struct audience_twice *twice);

/* The bits of one part: 1 where the row was already there. campaign names the texts, audience the
 * rows. Errors: TH_UNAVAILABLE (still looking, or the campaign's texts are not known yet: ask
 * again), TH_NOT_FOUND, TH_CORRUPT, TH_NOMEM */
TH_MUST_USE
enum th_code audience_twice_bits(struct audience_twice *twice, struct th_str tenant,
                                 struct th_id campaign, struct th_id audience, int32_t part,
                                 uint8_t out_bits[TWICE_PART_BYTES], struct th_err *err);

#endif
