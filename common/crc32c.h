/* crc32c.h - the checksum of batches, snapshots and archives (Castagnoli; RFC 3720 B.4). Pure.
 *
 * By the processor's own instruction where there is one, else by table.
 */
#ifndef TELEHUB_COMMON_CRC32C_H
#define TELEHUB_COMMON_CRC32C_H

#include "common/str.h"

uint32_t crc32c(struct th_str bytes);

/* The same, always by table; for tests. */
uint32_t crc32c_by_table(struct th_str bytes);

/* Of n bytes the checksum is this, and was that: which single byte, if changed, explains it? Its
 * index, and what it is to be xored with. False if none does: more than one was changed. Several
 * changed bytes can look like one other, with a chance of n / 2^24. */
bool crc32c_locate(size_t n, uint32_t is, uint32_t was, size_t *out_index, uint8_t *out_flip);

#endif
