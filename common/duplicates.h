/* duplicates.h - who is on a list twice: one pass, and memory that does not grow with the list.
 *
 * Entries are a 64-bit hash of what must not be repeated and the ordinal of its place. Of several
 * with one hash the smallest ordinal is the original, the others are duplicates. What does not fit
 * into memory is sorted in pieces that lie in a folder and are merged.
 */
#ifndef TELEHUB_COMMON_DUPLICATES_H
#define TELEHUB_COMMON_DUPLICATES_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct duplicates;

/* dir: where pieces may lie, as files that vanish with the process; borrowed. entries_max: held in
 * memory at a time, 16 bytes each. Errors: TH_NOMEM */
TH_MUST_USE
enum th_code duplicates_new(const char *dir, size_t entries_max, struct duplicates **out,
                            struct th_err *err);

/* Accepts NULL. */
void duplicates_free(struct duplicates *duplicates);
TH_AUTO_DEFINE(duplicates, struct duplicates *, duplicates_free)

/* Errors: TH_IO, TH_FULL (the folder's disk), TH_NOMEM */
TH_MUST_USE
enum th_code duplicates_add(struct duplicates *duplicates, uint64_t hash, int64_t ordinal,
                            struct th_err *err);

/* Call found for each duplicate, in no particular order; nothing may be added after it.
 * Errors: as add */
TH_MUST_USE
enum th_code duplicates_find(struct duplicates *duplicates,
                             void (*found)(void *arg, int64_t ordinal), void *arg,
                             struct th_err *err);

#endif
