/*
 * hypercube.c - random projections to the corners of a hypercube (Avarikioti, Emiris, Psarros and
 * Samaras, "Practical linear-space approximate near neighbors in high dimension", 2016).
 *
 * Bit i of a vector's corner is f_i(h_i(x)): h_i is a function of LSH (projections.h), f_i throws a
 * coin for each value of h_i, always the same. A query looks into its own corner, then those at
 * Hamming distance 1, 2 and so on; at one distance in the order of the bits that differ. Each vector
 * is stored once.
 *
 * Left to the index: d' = log2 n - 4 bits, so that a corner holds 16 vectors in the mean, and w of
 * twice the mean distance to the 10th neighbour: see docs/baselines.md for what that is taken from.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/baseline.h"
#include "baselines/projections.h"

enum { MOST_BITS = 22, ROWS_A_CORNER_LOG2 = 4 };
static const double window_times_near = 2;

struct hypercube {
    size_t n_bits;
    uint64_t seed;
    struct nlsh__projections projections; /* n_bits */
    uint32_t *masks;                      /* [2^n_bits] by number of bits, then by value */
    float *hashes;                        /* of the query */
};

static uint32_t corner_of(const struct hypercube *cube, const float *hashes)
{
    uint32_t corner = 0;
    for (size_t i = 0; i < cube->n_bits; i++) {
        uint64_t stream = nlsh__mix(cube->seed * 64 + i + 1);
        uint64_t coin = nlsh__mix(stream ^ nlsh__hash_bits(hashes[i]));
        corner |= (uint32_t)(coin >> 63) << i;
    }
    return corner;
}

/* ---- build ----------------------------------------------------------------------------------- */

struct filling {
    const struct hypercube *cube;
    uint32_t *corners; /* [n_rows] */
};

static void place_row(void *ctx, size_t row, const float *hashes)
{
    struct filling *f = ctx;
    f->corners[row] = corner_of(f->cube, hashes);
}

/* All masks by rising number of bits, a counting sort. */
static enum nlsh_status order_masks(struct hypercube *cube, struct nlsh_error *error)
{
    size_t n = (size_t)1 << cube->n_bits, at[MOST_BITS + 2] = {0};
    enum nlsh_status status = nlsh__alloc(&cube->masks, n, sizeof *cube->masks, error);
    if (status != NLSH_OK) return status;
    for (size_t m = 0; m < n; m++) at[__builtin_popcountl(m) + 1]++;
    for (size_t i = 1; i <= cube->n_bits; i++) at[i] += at[i - 1];
    for (size_t m = 0; m < n; m++) cube->masks[at[__builtin_popcountl(m)]++] = (uint32_t)m;
    return NLSH_OK;
}

static size_t usual_bits(size_t n_rows)
{
    size_t bits = 0;
    while ((n_rows >> (bits + 1)) > 0) bits++;
    if (bits > MOST_BITS + ROWS_A_CORNER_LOG2) return MOST_BITS;
    return bits > ROWS_A_CORNER_LOG2 ? bits - ROWS_A_CORNER_LOG2 : 1;
}

static enum nlsh_status hypercube_build(struct nlsh__baseline *b, const struct nlsh__dataset *base,
                                        struct nlsh__baseline_options *options,
                                        const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = base->matrix.dim;
    struct hypercube *cube;
    struct filling f = {0};
    if (options->n_bits == NLSH_AUTO) options->n_bits = usual_bits(base->matrix.n_rows);
    if (options->n_bits < 1 || options->n_bits > MOST_BITS) {
        return nlsh__fail(error, NLSH_E_ARG, "the logarithm of the number of rows less 4 is usual",
                          "%zu bits: take 1 to %d", options->n_bits, MOST_BITS);
    }
    NLSH_TRY(nlsh__resolve_window(base, options, window_times_near, job, error));
    NLSH_TRY(nlsh__calloc(&b->state, 1, sizeof *cube, error));
    f.cube = cube = b->state;
    cube->n_bits = options->n_bits;
    cube->seed = options->seed;
    NLSH_TRY(nlsh__projections_create(cube->n_bits, dim, options->window, options->seed,
                                      &cube->projections, error));
    NLSH_TRY(nlsh__alloc(&cube->hashes, cube->n_bits + 16, sizeof *cube->hashes, error));
    NLSH_TRY(order_masks(cube, error));
    NLSH_TRY(nlsh__alloc(&f.corners, base->matrix.n_rows, sizeof *f.corners, error));
    NLSH_TRY(nlsh__project_rows(&cube->projections, &base->matrix, job, place_row, &f, error));
    NLSH_TRY(
        nlsh__buckets_partition(base, f.corners, (size_t)1 << cube->n_bits, &b->buckets, error));
out:
    nlsh__free(f.corners);
    return status;
}

/* ---- search ---------------------------------------------------------------------------------- */

static enum nlsh_status hypercube_choose(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                         size_t *n, struct nlsh_error *error)
{
    struct hypercube *cube = b->state;
    size_t n_corners = b->buckets.n_buckets;
    (void)error;
    nlsh__project_hash(&cube->projections, asked->floats, cube->hashes);
    uint32_t own = corner_of(cube, cube->hashes);
    *n = asked->probes < (double)n_corners ? (size_t)asked->probes : n_corners;
    for (size_t i = 0; i < *n; i++) b->chosen[i] = own ^ cube->masks[i];
    return NLSH_OK;
}

static size_t hypercube_bytes(const struct nlsh__baseline *b)
{
    const struct hypercube *cube = b->state;
    return nlsh__projections_bytes(&cube->projections) + b->buckets.n_buckets * sizeof(uint32_t);
}

static void hypercube_free(struct nlsh__baseline *b)
{
    struct hypercube *cube = b->state;
    nlsh__projections_free(&cube->projections);
    nlsh__free(cube->masks);
    nlsh__free(cube->hashes);
}

const struct nlsh__bucketing nlsh__hypercube = {.build = hypercube_build,
                                                .choose = hypercube_choose,
                                                .bytes = hypercube_bytes,
                                                .free = hypercube_free};
