/* leaves.h - whether a segment's leaves say what its rows are. */
#ifndef NLSH_TESTS_LEAVES_H
#define NLSH_TESTS_LEAVES_H

#include "testing.h"

#include <math.h>

#include "codes/score.h"
#include "index/index.h"

static inline void *leaves_aligned(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(memory);
    return memory;
}

/* The leaves of one bucket, by scores of its rows and of its leaves. */
static inline void check_leaves_of(const struct nlsh__segment *s, size_t b, float length,
                                   const float *scores, const float *of_leaves)
{
    size_t n = s->codes->group_offsets[b + 1] - s->codes->group_offsets[b];
    size_t first = s->leaves->group_offsets[b];
    assert_int_equal(s->leaves->group_offsets[b + 1] - first, (n + 15) / 16);
    for (size_t leaf = 0; leaf < (n + 15) / 16 * 16; leaf++) {
        double mean = 0;
        size_t rows = 0;
        for (size_t i = 0; leaf < n && i < 16 && scores[leaf * 16 + i] < INFINITY; i++, rows++)
            mean += (double)scores[leaf * 16 + i];
        assert_int_equal(rows == 0, of_leaves[leaf] == INFINITY);
        if (rows == 0) continue;
        uint8_t error = s->leaves->leaves.errors[first * 16 + leaf];
        double radius = (double)((float)error * s->leaves->error_unit);
        double off = fabs((double)of_leaves[leaf] - mean / (double)rows);
        assert_true(off <= 2 * (double)length * radius + 1e-4);
        assert_true(rows == 1 || radius > 0);
    }
}

/* A leaf's score is the mean score of its rows, but for what its code leaves out: 2 |q - c| times that, at most; and
 * its error is at least how far the rows lie from their mean. */
static inline void check_leaves(const struct nlsh_index *index, const struct nlsh__segment *s)
{
    const struct nlsh__codes *codes = s->codes;
    size_t stride = codes->stride, m = index->meta.n_buckets;
    assert_non_null(s->leaves);
    size_t most = (size_t)codes->group_offsets[m] * 16 + 256;
    float *inputs = leaves_aligned(stride * sizeof *inputs);
    float *origin = leaves_aligned(stride * sizeof *origin);
    int8_t *weights = leaves_aligned(stride);
    float *scores = leaves_aligned(most * sizeof *scores);
    float *of_leaves = leaves_aligned(most * sizeof *scores);
    memset(origin, 0, stride * sizeof *origin);
    for (size_t b = 0; b < m; b++) {
        struct nlsh__probe probe;
        size_t first = codes->group_offsets[b], n = codes->group_offsets[b + 1] - first;
        size_t first_leaf = s->leaves->group_offsets[b];
        for (size_t d = 0; d < stride; d++)
            inputs[d] = codes->centroids[b * stride + d] + 0.2f * (float)(d % 3);
        nlsh__probe_bucket(codes, 0, inputs, 0, b, origin, weights, &probe);
        nlsh__score_groups(&codes->rows, &probe, weights, first, n, scores);
        nlsh__score_groups(&s->leaves->leaves, &probe, weights, first_leaf, (n + 15) / 16,
                           of_leaves);
        check_leaves_of(s, b, probe.length, scores, of_leaves);
    }
    free(inputs);
    free(origin);
    free(weights);
    free(scores);
    free(of_leaves);
}

#endif
