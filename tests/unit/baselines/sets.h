/* sets.h - small sets of vectors, and what any correct answer over them looks like. */
#ifndef NLSH_TESTS_BASELINES_SETS_H
#define NLSH_TESTS_BASELINES_SETS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "baselines/methods.h"
#include "support/counts.h"
#include "testing.h"

enum { N = 300, N_QUERIES = 23, K = 12 };

struct set {
    struct nlsh_matrix matrix;
    void *data;
};

static inline double value_at(const struct nlsh_matrix *m, size_t row, size_t j)
{
    size_t at = row * m->dim + j;
    if (m->type == NLSH_U8) return ((const uint8_t *)m->data)[at];
    if (m->type == NLSH_I8) return ((const int8_t *)m->data)[at];
    return ((const float *)m->data)[at];
}

/* levels: distinct values, few of them make ties; fraction: floats that are not whole. */
static inline struct set make_set(struct nlsh__rng *rng, enum nlsh_type type, size_t n, size_t dim,
                                  unsigned levels, float fraction)
{
    struct set s = {.matrix = {.n_rows = n, .dim = dim, .type = type}};
    s.data = malloc(n * dim * sizeof(float));
    for (size_t i = 0; i < n * dim; i++) {
        unsigned v = (unsigned)nlsh__rng_below(rng, levels);
        if (type == NLSH_U8) ((uint8_t *)s.data)[i] = (uint8_t)v;
        if (type == NLSH_I8) ((int8_t *)s.data)[i] = (int8_t)((int)v - 128);
        if (type == NLSH_F32) ((float *)s.data)[i] = (float)v + fraction;
    }
    s.matrix.data = s.data;
    return s;
}

static inline double true_l2sq(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b,
                               size_t j)
{
    double sum = 0;
    for (size_t t = 0; t < a->dim; t++) {
        double d = value_at(a, i, t) - value_at(b, j, t);
        sum += d * d;
    }
    return sum;
}

struct answer {
    uint64_t keys[N_QUERIES * (N + 5)];
    float distances[N_QUERIES * (N + 5)];
};

static struct answer a, b;

/* Every distance is right, every row ascends by (distance, id), nothing nearer was left out. */
static inline void check_answer(const struct answer *x, const struct nlsh_matrix *base,
                                const struct nlsh_matrix *queries, size_t k, int exact)
{
    for (size_t q = 0; q < queries->n_rows; q++) {
        const uint64_t *keys = x->keys + q * k;
        const float *distances = x->distances + q * k;
        size_t n = k < base->n_rows ? k : base->n_rows, n_nearer = 0;
        double tolerance = exact ? 0 : 1e-5, worst = true_l2sq(queries, q, base, keys[n - 1]);
        for (size_t i = 0; i < k; i++) {
            if (i >= n) {
                assert_int_equal(keys[i], NLSH_NO_KEY);
                assert_true(isinf(distances[i]) && distances[i] > 0);
                continue;
            }
            assert_true(keys[i] < base->n_rows);
            double d = true_l2sq(queries, q, base, keys[i]);
            double squared = (double)distances[i] * (double)distances[i];
            assert_true(exact ? distances[i] == sqrtf((float)d)
                              : fabs(squared - d) <= tolerance * (d + 1));
            assert_true(i == 0 || distances[i - 1] < distances[i] ||
                        (distances[i - 1] == distances[i] &&
                         (keys[i - 1] < keys[i] || true_l2sq(queries, q, base, keys[i - 1]) < d)));
        }
        for (size_t i = 0; i < base->n_rows; i++) {
            double d = true_l2sq(queries, q, base, i);
            n_nearer +=
                d < worst - tolerance * (worst + 1) || (exact && d == worst && i < keys[n - 1]);
        }
        assert_true(exact ? n_nearer == n - 1 : n_nearer <= n - 1);
    }
}

static inline enum nlsh_status exact(const struct nlsh_matrix *base,
                                     const struct nlsh_matrix *queries, enum nlsh__brute_method how,
                                     size_t k, uint64_t *keys, float *distances,
                                     struct nlsh_error *error)
{
    struct nlsh__brute *scan;
    enum nlsh_status status = nlsh__brute_create(base, how, &scan, error);
    if (status == NLSH_OK) status = nlsh__brute_search(scan, queries, k, keys, distances, error);
    nlsh__brute_free(scan);
    return status;
}

static inline void brute(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                         enum nlsh__brute_method how, size_t k, struct answer *out)
{
    struct nlsh_error error;
    if (exact(base, queries, how, k, out->keys, out->distances, &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

#endif
