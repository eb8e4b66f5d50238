/* sets.h - sets of vectors to find neighbours in, and their distances one by one. */
#ifndef NLSH_TESTS_SETS_H
#define NLSH_TESTS_SETS_H

#include <math.h>

#include "base/job.h"
#include "testing.h"

enum set_kind {
    SET_RANDOM,     /* bytes anywhere; normal floats */
    SET_FEW_LEVELS, /* small whole numbers: ties everywhere */
    SET_FAR_OFF,    /* floats around 10,000, bytes near 255 */
    SET_CLUSTERS,   /* clusters far apart; floats: 100,000 times wider apart than wide */
    SET_COPIES,     /* 20 rows, each many times */
    SET_ONE_ROW,    /* the same row throughout */
    SET_OUTLIER,    /* one row a million away */
    SET_TINY,       /* floats whose squares lose digits to underflow */
    SET_N_KINDS
};

static inline double set_value(const struct nlsh_matrix *m, size_t row, size_t d)
{
    size_t at = row * m->dim + d;
    return m->type == NLSH_U8 ? ((const uint8_t *)m->data)[at]
                              : (double)((const float *)m->data)[at];
}

static inline double set_float(enum set_kind kind, size_t row, double center, struct nlsh__rng *rng)
{
    switch (kind) {
    case SET_FEW_LEVELS: return (double)nlsh__rng_below(rng, 3);
    case SET_FAR_OFF: return 1e4 + nlsh__rng_normal(rng);
    case SET_CLUSTERS: return 1e3 * center + 0.01 * nlsh__rng_normal(rng);
    case SET_COPIES: return center;
    case SET_ONE_ROW: return 0.1;
    case SET_OUTLIER: return row == 1 ? 1e6 : nlsh__rng_normal(rng);
    case SET_TINY: return 1e-20 * nlsh__rng_normal(rng);
    default: return nlsh__rng_normal(rng);
    }
}

static inline double set_byte(enum set_kind kind, size_t row, double center, struct nlsh__rng *rng)
{
    switch (kind) {
    case SET_FEW_LEVELS: return (double)nlsh__rng_below(rng, 3);
    case SET_FAR_OFF: return (double)(250 + nlsh__rng_below(rng, 6));
    case SET_CLUSTERS:
        return fmin(255, floor(fabs(100 * center)) + (double)nlsh__rng_below(rng, 4));
    case SET_COPIES: return fmin(255, floor(fabs(100 * center)));
    case SET_ONE_ROW: return 200;
    case SET_OUTLIER: return row == 1 ? 255 : (double)nlsh__rng_below(rng, 20);
    default: return (double)nlsh__rng_below(rng, 256);
    }
}

/* Freed through .data. */
static inline struct nlsh_matrix make_set(struct nlsh__rng *rng, enum nlsh_type type,
                                          enum set_kind kind, size_t n, size_t dim)
{
    enum { CENTERS = 20 };
    double *centers = malloc(CENTERS * dim * sizeof *centers);
    float *data = malloc(n * dim * sizeof *data);
    assert_true(centers && data);
    for (size_t i = 0; i < CENTERS * dim; i++) centers[i] = nlsh__rng_normal(rng);
    for (size_t i = 0; i < n * dim; i++) {
        double center = centers[i / dim % CENTERS * dim + i % dim];
        if (type == NLSH_U8)
            ((uint8_t *)data)[i] = (uint8_t)set_byte(kind, i / dim, center, rng);
        else
            data[i] = (float)set_float(kind, i / dim, center, rng);
    }
    free(centers);
    return (struct nlsh_matrix){data, n, dim, type, 0};
}

static inline double set_l2sq(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b,
                              size_t j)
{
    double sum = 0;
    for (size_t d = 0; d < a->dim; d++) {
        double gap = set_value(a, i, d) - set_value(b, j, d);
        sum += gap * gap;
    }
    return sum;
}

static inline struct nlsh__job job_of(size_t n_threads, nlsh_progress_fn *progress, void *user)
{
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = n_threads, .progress = progress, .user = user};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

/* A progress function that stops when as many calls have been made as user points at. */
static inline int stop_after(void *user, const char *stage, uint64_t done, uint64_t total)
{
    int *left = user;
    assert_non_null(stage);
    assert_true(total == 0 || done <= total);
    return (*left)-- <= 0;
}

#endif
