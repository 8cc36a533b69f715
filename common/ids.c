#include "common/ids.h"

#include "common/encode.h"
#include "common/hash.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Their random bytes are drawn together. A request of up to 256 bytes is answered whole, unless a
 * signal comes first. */
#define POOL_IDS 24

static const size_t dashes[] = {8, 13, 18, 23};

struct th_id th_id_v7(int64_t unix_ms, const uint8_t random[TH_ID_RANDOM_LEN])
{
    struct th_id id;

    assert(unix_ms >= 0 && unix_ms < INT64_C(1) << 48);
    for (int i = 0; i < 6; i++)
        id.b[i] = (uint8_t)(unix_ms >> (40 - 8 * i));
    memcpy(id.b + 6, random, TH_ID_RANDOM_LEN);
    id.b[6] = (uint8_t)(0x70 | (id.b[6] & 0x0f));
    id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
    return id;
}

/* The kernel is asked for many ids at once: the call costs more than the bytes. */
static enum th_code take_random(uint8_t out_bytes[TH_ID_RANDOM_LEN], struct th_err *err)
{
    static _Thread_local uint8_t pool[POOL_IDS][TH_ID_RANDOM_LEN];
    static _Thread_local size_t left;
    ssize_t n = 0;

    while (left == 0 && n <= 0) {
        n = getrandom(pool, sizeof pool, 0);
        if (n < 0 && errno != EINTR)
            return th_fail(err, TH_UNAVAILABLE, "getrandom: %s", strerror(errno));
        if (n == (ssize_t)sizeof pool)
            left = POOL_IDS;
    }
    if (left == 0)
        return th_fail(err, TH_UNAVAILABLE, "getrandom: %zd bytes", n);
    left--;
    memcpy(out_bytes, pool[left], TH_ID_RANDOM_LEN);
    return TH_OK;
}

enum th_code th_id_random(int64_t unix_ms, struct th_id *out_id, struct th_err *err)
{
    uint8_t random[TH_ID_RANDOM_LEN];

    TH_TRY(take_random(random, err));
    *out_id = th_id_v7(unix_ms, random);
    return TH_OK;
}

int64_t th_id_ms(struct th_id id)
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id.b[i];
    return ms;
}

void th_id_text(struct th_id id, char out_text[TH_ID_TEXT_LEN + 1])
{
    char hex[2 * sizeof id.b + 1];
    size_t from = 0;

    th_hex(th_id_bytes(&id), hex);
    for (size_t i = 0; i < TH_LEN(dashes); i++) {
        size_t n = dashes[i] - i - from;
        memcpy(out_text + from + i, hex + from, n);
        out_text[dashes[i]] = '-';
        from += n;
    }
    memcpy(out_text + from + TH_LEN(dashes), hex + from, sizeof hex - from);
}

bool th_id_parse(struct th_str text, struct th_id *out_id)
{
    char hex[2 * sizeof out_id->b];
    struct th_id id;
    size_t n = 0;
    size_t dash = 0;

    if (text.n != TH_ID_TEXT_LEN)
        return false;
    for (size_t i = 0; i < TH_ID_TEXT_LEN; i++) {
        if (dash == TH_LEN(dashes) || i != dashes[dash])
            hex[n++] = text.p[i];
        else if (text.p[dashes[dash++]] != '-')
            return false;
    }
    if (!th_hex_parse((struct th_str){hex, n}, sizeof id.b, id.b))
        return false;
    *out_id = id;
    return true;
}

int th_id_cmp(struct th_id a, struct th_id b)
{
    return memcmp(a.b, b.b, sizeof a.b);
}

bool th_id_eq(struct th_id a, struct th_id b)
{
    return th_id_cmp(a, b) == 0;
}

bool th_id_is_zero(struct th_id id)
{
    return th_id_eq(id, (struct th_id){0});
}

uint64_t th_id_hash(struct th_id id)
{
    return th_hash64(th_id_bytes(&id), 0);
}

struct th_str th_id_bytes(const struct th_id *id)
{
    return (struct th_str){(const char *)id->b, sizeof id->b};
}
