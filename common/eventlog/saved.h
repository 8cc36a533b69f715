/* saved.h - the bytes of a snapshot: kinds and sized chunks.
 *
 * A snapshot is a cache of this program's own making, guarded by a checksum and a fold version:
 * chunks may hold structs as they lie in memory. What does not fit is TH_CORRUPT, never a crash.
 */
#ifndef TELEHUB_COMMON_EVENTLOG_SAVED_H
#define TELEHUB_COMMON_EVENTLOG_SAVED_H

#include "common/buf.h"

void saved_add_kind(struct th_buf *out, char kind);
void saved_add(struct th_buf *out, struct th_str bytes);
void saved_add_struct(struct th_buf *out, const void *entry, size_t size);

/* Each takes from the front of *bytes; false when they do not hold it. */
bool saved_take_kind(struct th_str *bytes, char *out_kind);
bool saved_take(struct th_str *bytes, struct th_str *out);
bool saved_take_struct(struct th_str *bytes, void *out_entry, size_t size);

/* Is a bool of such a struct one? Asked before it is read as one, which is undefined for the rest.
 */
static inline bool saved_is_bool(const bool *flag)
{
    return *(const unsigned char *)flag <= 1;
}

#endif
