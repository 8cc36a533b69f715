#include "common/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, lowest bit first */
#define SLICES     8

static uint32_t table[SLICES][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (int slice = 1; slice < SLICES; slice++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t before = table[slice - 1][i];
            table[slice][i] = (before >> 8) ^ table[0][before & 0xff];
        }
}

/* Eight bytes at a time, each through a table of its own distance from the end. */
static uint32_t step8(uint32_t crc, const unsigned char *p)
{
    crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
           table[4][crc >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
}

uint32_t crc32c_by_table(struct th_str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t n = bytes.n;
    uint32_t crc = ~0u;

    pthread_once(&table_once, fill_table);
    for (; n >= 8; n -= 8, p += 8)
        crc = step8(crc, p);
    for (; n > 0; n--, p++)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xff];
    return ~crc;
}

/* What one changed byte does to the register is shifted by each byte that follows it. Undo the
 * shifts, from the end on, until a difference is left that one byte makes. A shift is undone by the
 * entry of the table whose highest byte the register has. */
bool crc32c_locate(size_t n, uint32_t is, uint32_t was, size_t *out_index, uint8_t *out_flip)
{
    uint8_t entry_of[256];
    uint32_t difference = is ^ was;

    pthread_once(&table_once, fill_table);
    if (difference == 0)
        return false;
    for (int i = 0; i < 256; i++)
        entry_of[table[0][i] >> 24] = (uint8_t)i;
    for (size_t at = n; at > 0; at--) {
        uint8_t entry = entry_of[difference >> 24];
        difference = (difference ^ table[0][entry]) << 8 | entry;
        if (difference <= 0xff) {
            *out_index = at - 1;
            *out_flip = (uint8_t)difference;
            return true;
        }
    }
    return false;
}

#ifdef __x86_64__

#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_by_instruction(struct th_str bytes)
{
    const char *p = bytes.p;
    size_t n = bytes.n;
    uint64_t crc = ~0u;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc = _mm_crc32_u64(crc, word);
    }
    uint32_t crc32 = (uint32_t)crc;
    for (; n > 0; n--, p++)
        crc32 = _mm_crc32_u8(crc32, (unsigned char)*p);
    return ~crc32;
}

uint32_t crc32c(struct th_str bytes)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_by_instruction(bytes) : crc32c_by_table(bytes);
}

#else

uint32_t crc32c(struct th_str bytes)
{
    return crc32c_by_table(bytes);
}

#endif
