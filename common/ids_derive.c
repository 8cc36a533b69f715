/* The part of ids.h that needs SHA-256: a file of its own, so that printing an id links no
 * libcrypto. */
#include "common/digest.h"
#include "common/ids.h"

#include <assert.h>
#include <string.h>

struct th_id th_id_derive(const struct th_str *parts, size_t count)
{
    uint8_t digest[TH_SHA256_SIZE];
    struct th_id id;

    assert(count > 0);
    th_sha256_parts(parts, count, digest);
    memcpy(id.b, digest, sizeof id.b);
    id.b[6] = (uint8_t)(0x80 | (id.b[6] & 0x0f));
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

struct th_id th_id_send(int64_t run_start_ms, const struct th_str *parts, size_t count)
{
    struct th_id id = th_id_derive(parts, count);

    assert(run_start_ms >= 0 && run_start_ms < INT64_C(1) << 48);
    for (int i = 0; i < 6; i++)
        id.b[i] = (uint8_t)(run_start_ms >> (40 - 8 * i));
    return id;
}
