/*
 * rng.c - xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * 2021), seeded by splitmix64; bounded integers by Lemire's multiplication with rejection
 * ("Fast random integer generation in an interval", 2019).
 */
#include "base/rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void nlsh__rng_init(struct nlsh__rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed;
    x = splitmix(&x) ^ (stream * 0xd1342543de82ef95u);
    for (int i = 0; i < 4; i++) rng->state[i] = splitmix(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t nlsh__rng_u64(struct nlsh__rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t nlsh__rng_below(struct nlsh__rng *rng, uint64_t bound)
{
    unsigned __int128 product = (unsigned __int128)nlsh__rng_u64(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t floor = -bound % bound;
        while ((uint64_t)product < floor) product = (unsigned __int128)nlsh__rng_u64(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

double nlsh__rng_uniform(struct nlsh__rng *rng)
{
    return (double)(nlsh__rng_u64(rng) >> 11) * 0x1.0p-53;
}

double nlsh__rng_normal(struct nlsh__rng *rng)
{
    /* Box and Muller; the second value is dropped so that a stream has no hidden state. */
    double u = 1.0 - nlsh__rng_uniform(rng);
    double v = nlsh__rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void nlsh__rng_shuffle(struct nlsh__rng *rng, uint32_t *values, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)nlsh__rng_below(rng, i);
        uint32_t t = values[i - 1];
        values[i - 1] = values[j];
        values[j] = t;
    }
}

void nlsh__rng_sample(struct nlsh__rng *rng, size_t n, size_t count, uint32_t *out)
{
    /* Knuth's selection sampling (TAOCP 2, 3.4.2 S): one pass, ascending. */
    size_t chosen = 0;
    for (size_t i = 0; i < n && chosen < count; i++)
        if (nlsh__rng_below(rng, n - i) < count - chosen) out[chosen++] = (uint32_t)i;
}
