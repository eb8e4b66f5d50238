/* projections.h - hash functions of vectors that near ones share: what LSH and Hypercube hash by. */
#ifndef NLSH_BASELINES_PROJECTIONS_H
#define NLSH_BASELINES_PROJECTIONS_H

#include <string.h>

#include "base/job.h"
#include "baselines/methods.h"
#include "vectors/dataset.h"

/* h_i(x) = floor((a_i.x + b_i) / w), a_i of normal numbers, b_i uniform in [0, w). */
struct nlsh__projections {
    size_t n, dim, n_groups; /* groups of 16 functions */
    float *values;           /* [n_groups][dim][16]: a_i / w */
    float *bias;             /* [16 x n_groups]: b_i / w */
};

/* n functions; function i depends on (seed, i, dim, window) alone. window > 0. */
enum nlsh_status nlsh__projections_create(size_t n, size_t dim, double window, uint64_t seed,
                                          struct nlsh__projections *out, struct nlsh_error *error);
void nlsh__projections_free(struct nlsh__projections *projections);
size_t nlsh__projections_bytes(const struct nlsh__projections *projections);

/* All functions of one vector: x [dim], out [16 x n_groups], aligned to 64. */
void nlsh__project_hash(const struct nlsh__projections *projections, const float *x, float *out);

/* Called for every row of a set, its functions' values in hashes; task's answers by row alone. */
typedef void nlsh__hashed_fn(void *ctx, size_t row, const float *hashes);
enum nlsh_status nlsh__project_rows(const struct nlsh__projections *projections,
                                    const struct nlsh_matrix *rows, const struct nlsh__job *job,
                                    nlsh__hashed_fn *fn, void *ctx, struct nlsh_error *error);

/* The probability that h is the same for two vectors so far apart: 1 at 0, falling. */
double nlsh__collision_probability(double distance, double window);

/* What distances a set has, from a sample: to the 10th neighbour, and between any two rows. Both
 * are means, not squared; 0 where there is one row or all are equal. */
struct nlsh__distances {
    double near, far;
};
enum nlsh_status nlsh__sample_distances(const struct nlsh__dataset *base, uint64_t seed,
                                        const struct nlsh__job *job, struct nlsh__distances *out,
                                        struct nlsh_error *error);

/* options->window, where it is left open: `times` the near distance, or 1 where that is 0.
 * NLSH_E_ARG where it is not above 0. */
enum nlsh_status nlsh__resolve_window(const struct nlsh__dataset *base,
                                      struct nlsh__baseline_options *options, double times,
                                      const struct nlsh__job *job, struct nlsh_error *error);

/* Well-mixed bits of a number (splitmix64's finaliser: Steele, Lea and Flood, OOPSLA 2014). */
static inline uint64_t nlsh__mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* A function's value as bits, whatever its size; 0 and -0 are one value. */
static inline uint64_t nlsh__hash_bits(float h)
{
    uint32_t bits;
    h += 0.0f;
    memcpy(&bits, &h, sizeof bits);
    return bits;
}

#endif
