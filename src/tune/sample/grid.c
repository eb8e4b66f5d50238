/*
 * grid.c - every combination of a few values of each parameter, once, in a random order. Ours.
 *
 * A range gives grid_points values from end to end, evenly (by logarithm where it is searched so) and
 * rounded to its steps, or all that it has where they are no more. Combinations are numbered by mixed
 * radix along the conditions: a parameter counts its own values, a choice the sum over its choices of
 * the product of what hangs on each. So a combination without some parameter is there once, not
 * once for each value the parameter would have.
 *
 * The order is a permutation of the numbers that needs no list of them, for a grid may have billions:
 * a Feistel network over the smallest even number of bits, walked until its answer is in range
 * (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002, section 4). A study cut short
 * by time has then seen all corners. The search begins at the trial's own number: processes that ask
 * at the same time get different points.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tune/sample/sampler.h"

/* A grid of more points is refused: it will never be searched. */
#define MOST_POINTS (UINT64_C(1) << 48)

struct grid {
    const struct nlsh__search_space *space;
    size_t n_points;                  /* of a range, at most */
    uint64_t sizes[NLSH__MAX_PARAMS]; /* of a parameter with all that hangs on it; 0: too many */
    uint64_t size;                    /* of the whole; 0: too many */
};

/* ---- a parameter's values ---------------------------------------------------------------------- */

static uint64_t n_values(const struct grid *g, size_t i)
{
    const struct nlsh__param *p = &g->space->params[i];
    if (p->kind == NLSH__PARAM_CHOICE) return p->n_choices;
    if (p->low == p->high) return 1;
    double n = p->step > 0 ? round((p->high - p->low) / p->step) + 1 : INFINITY;
    return n < (double)g->n_points ? (uint64_t)n : g->n_points;
}

static double round_to(const struct nlsh__param *p, double value)
{
    if (p->step > 0) value = p->low + round((value - p->low) / p->step) * p->step;
    return fmin(fmax(value, p->low), p->high);
}

/* The k-th. Rounding to steps may make two neighbours the same on a short logarithmic range; then
 * the later is moved up, and there is room, since the values are no more than the range's. */
static double value_of(const struct grid *g, size_t i, uint64_t k)
{
    const struct nlsh__param *p = &g->space->params[i];
    uint64_t n = n_values(g, i);
    if (p->kind == NLSH__PARAM_CHOICE) return (double)k;
    if (n == 1) return round_to(p, p->log ? sqrt(p->low * p->high) : (p->low + p->high) / 2);
    if (k == 0 || k == n - 1) return k == 0 ? p->low : p->high; /* free of rounding */
    double at = (double)k / (double)(n - 1);
    double value = p->log ? exp(log(p->low) + at * (log(p->high) - log(p->low)))
                          : p->low + at * (p->high - p->low);
    if (p->log && p->step > 0) value = fmax(value, p->low + (double)k);
    return round_to(p, value);
}

/* ---- numbers and points ------------------------------------------------------------------------ */

static uint64_t product(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 || a > MOST_POINTS / b ? 0 : a * b;
}

static int hangs_on(const struct grid *g, size_t child, int parent, uint64_t choice)
{
    const struct nlsh__param *p = &g->space->params[child];
    return p->parent == parent && (parent < 0 || ((p->parent_mask >> choice) & 1));
}

/* What hangs on a choice of a parameter, or, for parent -1, all. */
static uint64_t branch_size(const struct grid *g, int parent, uint64_t choice)
{
    uint64_t size = 1;
    for (size_t j = 0; j < g->space->n; j++) {
        if (hangs_on(g, j, parent, choice)) size = product(size, g->sizes[j]);
    }
    return size;
}

static void grid_init(struct grid *g, const struct nlsh__search_space *space, size_t n_points)
{
    *g = (struct grid){.space = space, .n_points = n_points > 0 ? n_points : 1};
    for (size_t i = space->n; i-- > 0;) { /* what hangs on it comes after it */
        g->sizes[i] = n_values(g, i);
        if (space->params[i].kind != NLSH__PARAM_CHOICE) continue;
        uint64_t sum = 0;
        for (uint64_t c = 0; c < space->params[i].n_choices; c++) {
            uint64_t part = branch_size(g, (int)i, c);
            sum = part == 0 || sum > MOST_POINTS ? UINT64_MAX : sum + part;
        }
        g->sizes[i] = sum > MOST_POINTS ? 0 : sum;
    }
    g->size = branch_size(g, -1, 0);
}

/* The values of all parameters that hang on (parent, choice), from their share of the number. */
static void decode(const struct grid *g, int parent, uint64_t choice, uint64_t number,
                   double *values)
{
    for (size_t j = 0; j < g->space->n; j++) {
        if (!hangs_on(g, j, parent, choice)) continue;
        uint64_t own = number % g->sizes[j];
        number /= g->sizes[j];
        if (g->space->params[j].kind != NLSH__PARAM_CHOICE) {
            values[j] = value_of(g, j, own);
            continue;
        }
        uint64_t c = 0;
        for (uint64_t part; own >= (part = branch_size(g, (int)j, c)); c++) own -= part;
        values[j] = (double)c;
        decode(g, (int)j, c, own, values);
    }
}

static void point_of(const struct grid *g, uint64_t number, double *values)
{
    for (size_t j = 0; j < g->space->n; j++) values[j] = NAN;
    decode(g, -1, 0, number, values);
}

/* The number of a point, the inverse of decode; UINT64_MAX where it is not of the grid. */
static uint64_t encode(const struct grid *g, int parent, uint64_t choice, const double *values)
{
    uint64_t number = 0, radix = 1;
    for (size_t j = 0; j < g->space->n; j++) {
        if (!hangs_on(g, j, parent, choice)) continue;
        uint64_t n = n_values(g, j), k = 0;
        while (k < n && value_of(g, j, k) != values[j]) k++;
        if (k == n) return UINT64_MAX;
        uint64_t own = k;
        if (g->space->params[j].kind == NLSH__PARAM_CHOICE) {
            own = encode(g, (int)j, k, values);
            if (own == UINT64_MAX) return UINT64_MAX;
            for (uint64_t c = 0; c < k; c++) own += branch_size(g, (int)j, c);
        }
        number += own * radix;
        radix *= g->sizes[j];
    }
    return number;
}

/* ---- the order -------------------------------------------------------------------------------- */

/* A keyed permutation of the numbers below 4^half_bits: four rounds (Luby and Rackoff 1988). */
static uint64_t feistel(uint64_t number, unsigned half_bits, uint64_t seed)
{
    uint64_t mask = (UINT64_C(1) << half_bits) - 1, left = number >> half_bits;
    uint64_t right = number & mask;
    for (uint64_t round_number = 0; round_number < 4; round_number++) {
        struct nlsh__rng rng;
        nlsh__rng_init(&rng, seed, right << 2 | round_number);
        uint64_t mixed = left ^ (nlsh__rng_u64(&rng) & mask);
        left = right;
        right = mixed;
    }
    return left << half_bits | right;
}

static uint64_t permuted(const struct grid *g, uint64_t number, uint64_t seed)
{
    unsigned half_bits = 1;
    while ((UINT64_C(1) << 2 * half_bits) < g->size) half_bits++;
    do number = feistel(number, half_bits, seed);
    while (number >= g->size);
    return number;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The grid's numbers that are taken, ascending, each once. */
static size_t take_known(const struct grid *g, const struct nlsh__observation *observations,
                         size_t n, uint64_t *known)
{
    size_t count = 0, n_distinct = 0;
    for (size_t i = 0; i < n; i++) {
        known[count] = encode(g, -1, 0, observations[i].values);
        if (known[count] != UINT64_MAX) count++;
    }
    qsort(known, count, sizeof *known, compare);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || known[i] != known[i - 1]) known[n_distinct++] = known[i];
    }
    return n_distinct;
}

enum nlsh_status nlsh__suggest_grid(const struct nlsh__search_space *space,
                                    const struct nlsh__sampler_options *options,
                                    const struct nlsh__observation *observations, size_t n,
                                    double *values, struct nlsh_error *error)
{
    struct grid g;
    uint64_t *known;
    grid_init(&g, space, options->grid_points);
    if (g.size == 0) {
        return nlsh__fail(error, NLSH_E_ARG, "fewer parameters, or fewer points a range",
                          "a grid of %zu parameters, %zu points a range, has more than 2^48 points",
                          space->n, g.n_points);
    }
    enum nlsh_status status = nlsh__alloc(&known, n, sizeof *known, error);
    if (status != NLSH_OK) return status;
    size_t n_known = take_known(&g, observations, n, known);
    if (n_known >= g.size) {
        status = nlsh__fail(error, NLSH_E_ARG, NULL, "all %zu points of the grid have been tried",
                            n_known);
    } else {
        uint64_t at = options->trial % g.size, number = permuted(&g, at, options->seed);
        while (bsearch(&number, known, n_known, sizeof *known, compare)) {
            at = (at + 1) % g.size;
            number = permuted(&g, at, options->seed);
        }
        point_of(&g, number, values);
    }
    nlsh__free(known);
    return status;
}

uint64_t nlsh__suggestions_left(const struct nlsh__search_space *space,
                                const struct nlsh__sampler_options *options,
                                const struct nlsh__observation *observations, size_t n)
{
    struct grid g;
    uint64_t *known;
    if (options->kind != NLSH_SAMPLER_GRID) return UINT64_MAX;
    grid_init(&g, space, options->grid_points);
    /* Too many to number: nlsh__suggest() says so. */
    if (g.size == 0 || nlsh__alloc(&known, n, sizeof *known, NULL) != NLSH_OK) return UINT64_MAX;
    uint64_t left = g.size - take_known(&g, observations, n, known);
    nlsh__free(known);
    return left;
}
