/* rng.h - the one source of chance: everything that is random in a run follows from its seed. */
#ifndef TELEHUB_TESTS_SIMULATION_RNG_H
#define TELEHUB_TESTS_SIMULATION_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number below n; 0 for n < 1. */
static inline int64_t rng_below(struct rng *rng, int64_t n)
{
    return n < 1 ? 0 : (int64_t)(rng_next(rng) % (uint64_t)n);
}

/* From a to b, both included. */
static inline int64_t rng_between(struct rng *rng, int64_t a, int64_t b)
{
    return a + rng_below(rng, b - a + 1);
}

/* True so many times in a thousand. */
static inline bool rng_permille(struct rng *rng, int permille)
{
    return rng_below(rng, 1000) < permille;
}

#endif
