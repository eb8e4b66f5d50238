/* rng.h - random numbers that are the same everywhere: xoshiro256** seeded by splitmix64. One
 * stream a task, so that results do not depend on threads. */
#ifndef NLSH_BASE_RNG_H
#define NLSH_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct nlsh__rng {
    uint64_t state[4];
};

void nlsh__rng_init(struct nlsh__rng *rng, uint64_t seed, uint64_t stream);
uint64_t nlsh__rng_u64(struct nlsh__rng *rng);
/* 0 to bound - 1 without bias; bound >= 1. */
uint64_t nlsh__rng_below(struct nlsh__rng *rng, uint64_t bound);
/* [0, 1) with 53 bits. */
double nlsh__rng_uniform(struct nlsh__rng *rng);
/* Mean 0, variance 1. */
double nlsh__rng_normal(struct nlsh__rng *rng);
/* A random order of n values, in place (Fisher-Yates). */
void nlsh__rng_shuffle(struct nlsh__rng *rng, uint32_t *values, size_t n);
/* count distinct numbers below n, ascending; count <= n. */
void nlsh__rng_sample(struct nlsh__rng *rng, size_t n, size_t count, uint32_t *out);

#endif
