/* name_index.h - finds things in an array by the hash of their name. Nothing is ever taken out.
 *
 * The index knows hashes and positions; the caller compares names. Pure; one thread at a time.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_NAME_INDEX_H
#define TELEHUB_COMMON_EVENTLOG_NAME_INDEX_H

#include "common/err.h"

#include <stdint.h>

struct name_slot;

/* Zero-initialise. */
struct name_index {
    struct name_slot *at;
    size_t cap;
    size_t n;
};

void name_index_fini(struct name_index *index);

/* Room for one more, so that the next name_index_add cannot fail. Errors: TH_NOMEM, TH_FULL */
TH_MUST_USE
enum th_code name_index_reserve(struct name_index *index);

void name_index_add(struct name_index *index, uint64_t hash, size_t position);

/* Positions that were added under this hash, one after another: begin with *at = 0. */
bool name_index_next(const struct name_index *index, uint64_t hash, size_t *at,
                     size_t *out_position);

#endif
