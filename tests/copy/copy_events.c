#include "tests/copy/copy_events.h"

#include <stdio.h>
#include <string.h>

#define KEYS      5000
#define BODY_MAX  180
#define MARK_SIZE 8

/* splitmix64 */
uint64_t copy_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void copy_event_make(uint64_t seed, int64_t number, struct copy_event *out)
{
    uint64_t state = seed ^ (uint64_t)number * UINT64_C(0xd1342543de82ef95);
    size_t body = (size_t)(copy_random(&state) % BODY_MAX);

    out->key_n =
        (size_t)snprintf(out->key, sizeof out->key, "t/%u", (unsigned)(copy_random(&state) % KEYS));
    out->value_n = (size_t)snprintf(out->value, sizeof out->value, "%lld:", (long long)number);
    for (size_t i = 0; i < body; i++)
        out->value[out->value_n++] = (char)(uint8_t)copy_random(&state);
}

static uint64_t digest(struct th_str bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (size_t i = 0; i < bytes.n; i++)
        hash = (hash ^ (uint8_t)bytes.p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Its digest, and then the value from its end to its beginning. */
size_t copy_event_transform(struct th_str value, char *out)
{
    uint64_t mark = digest(value);

    if (value.n > COPY_VALUE_MAX - MARK_SIZE)
        return 0;
    memcpy(out, &mark, MARK_SIZE);
    for (size_t i = 0; i < value.n; i++)
        out[MARK_SIZE + i] = value.p[value.n - 1 - i];
    return MARK_SIZE + value.n;
}
