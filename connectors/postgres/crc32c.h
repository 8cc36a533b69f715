/* crc32c.h - the checksum of batches and snapshots (Castagnoli; RFC 3720 B.4). Pure.
 *
 * By the processor's own instruction where there is one, else by table.
 */
#ifndef TELEHUB_CONNECTORS_POSTGRES_CRC32C_H
#define TELEHUB_CONNECTORS_POSTGRES_CRC32C_H

#include "common/str.h"

uint32_t crc32c(struct th_str bytes);

/* The same, always by table; for tests. */
uint32_t crc32c_by_table(struct th_str bytes);

#endif
