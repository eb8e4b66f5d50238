/*
 * leaves.c - see leaves.h.
 *
 * A leaf scores the mean of its rows' scores, and the more it errs, the lower its best row may lie. With
 * L the k-th score so far, a leaf of score S and error E is scanned where S - m E <= L. The margin m grows
 * with the logarithm of the bucket's probability: the router and geometry are two witnesses to where
 * neighbours are, and it takes both of them to leave a leaf out. What m must be was measured
 * (build/leafmargins.c). Source: ours. Leaves out of order by a bound from a tree are as old as
 * Fukunaga and Narendra, "A branch and bound algorithm for computing k-nearest neighbors", 1975; a bound
 * that holds with a probability only, and weighs in a router's, is what differs.
 */
#include "search/leaves.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"

/* Leaves scanned for a first limit, at most the 16 that bound_f32() takes. For k = 10, --recall .98: with 8
 * in place of 16 Fashion-MNIST has recall .983 from 456 vectors in place of .984 from 495, SIFT-1M the same
 * from as many. */
static size_t n_first(size_t k)
{
    size_t n = 8 + k / 12;
    return n < 16 ? n : 16;
}

enum nlsh_status nlsh__leaves_create(const struct nlsh_index *index, struct nlsh__leaf_scan *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (index->leaves_view == NULL) return NLSH_OK;
    size_t n = NLSH__ROUND + NLSH__GROUP, n_probes = NLSH__ROUND / NLSH__GROUP;
    NLSH_TRY(nlsh__alloc(&out->scores, n, sizeof *out->scores, error));
    NLSH_TRY(nlsh__alloc(&out->probes, n_probes, sizeof *out->probes, error));
    NLSH_TRY(nlsh__alloc(&out->weights, n_probes, index->codes_view->layout.stride, error));
    NLSH_TRY(nlsh__alloc(&out->chosen, n, sizeof *out->chosen, error));
    NLSH_TRY(nlsh__alloc(&out->least, n, sizeof *out->least, error));
    NLSH_TRY(nlsh__alloc(&out->parts, n_probes, sizeof *out->parts, error));
out:
    return status;
}

void nlsh__leaves_free(struct nlsh__leaf_scan *leaves)
{
    nlsh__free(leaves->scores);
    nlsh__free(leaves->probes);
    nlsh__free(leaves->weights);
    nlsh__free(leaves->chosen);
    nlsh__free(leaves->least);
    nlsh__free(leaves->parts);
}

static size_t n_leaf_scores(const struct nlsh_index *index, uint32_t bucket)
{
    const uint32_t *groups = index->leaves_view->group_offsets;
    return (groups[bucket + 1] - groups[bucket]) * NLSH__GROUP;
}

int nlsh__leaves_score(struct nlsh_searcher *s, const struct nlsh__plan *plan, size_t n_buckets)
{
    const struct nlsh_index *index = s->index;
    const struct nlsh__codes *codes = index->codes_view;
    const struct nlsh__leaves *leaves = index->leaves_view;
    struct nlsh__leaf_scan *l = &s->leaves;
    size_t stride = codes->layout.stride, n_scores = 0;
    for (size_t i = 0; i < n_buckets; i++) n_scores += n_leaf_scores(index, s->buckets[i]);
    if (n_scores > NLSH__ROUND) return 0;
    l->n_probes = l->n_scores = 0;
    for (size_t i = 0; i < n_buckets; i++) {
        uint32_t b = s->buckets[i];
        struct nlsh__leaf_probe *p = &l->probes[l->n_probes];
        if (n_leaf_scores(index, b) == 0) continue;
        int8_t *weights = l->weights + l->n_probes++ * stride;
        nlsh__probe_bucket(codes, index->metric == NLSH_IP, s->inputs, s->scan.units.outside, b,
                           s->scan.origin, weights, &p->probe);
        size_t n_groups =
            nlsh__score_leaves(leaves, &p->probe, weights, b, l->scores + l->n_scores);
        float log_p = logf(fmaxf(100 * s->probabilities[i] * index->weights[b], 1e-30f));
        p->bucket = b;
        p->first_score = (uint32_t)l->n_scores;
        p->unit = (plan->leaf_margin + leaves->header.slope * log_p) * leaves->header.error_unit *
                  p->probe.length;
        l->n_scores += n_groups * NLSH__GROUP;
    }
    return 1;
}

/* Leaves whose score less a share of the margin (all of it where it is negative) is at the limit or below;
 * they are not chosen again. */
static void choose(struct nlsh_searcher *s, float share, float limit)
{
    const struct nlsh__codes *codes = s->index->codes_view;
    const struct nlsh__leaves *leaves = s->index->leaves_view;
    struct nlsh__leaf_scan *l = &s->leaves;
    l->n_chosen = l->n_parts = 0;
    for (size_t i = 0; i < l->n_probes; i++) {
        const struct nlsh__leaf_probe *p = &l->probes[i];
        float unit = share > 0 && p->unit < 0 ? p->unit : share * p->unit;
        uint32_t first = codes->group_offsets[p->bucket], *chosen = l->chosen + l->n_chosen;
        size_t n = nlsh__kernels()->near_f32(
            l->scores + p->first_score,
            leaves->errors + leaves->group_offsets[p->bucket] * NLSH__GROUP,
            codes->group_offsets[p->bucket + 1] - first, unit, -INFINITY, fminf(limit, FLT_MAX),
            first, chosen, l->least);
        if (n == 0) continue;
        for (size_t j = 0; j < n; j++) l->scores[p->first_score + chosen[j] - first] = INFINITY;
        l->parts[l->n_parts++] =
            (struct nlsh__leaf_part){(uint32_t)i, (uint32_t)l->n_chosen, (uint32_t)n};
        l->n_chosen += n;
    }
}

void nlsh__leaves_first(struct nlsh_searcher *s, size_t k)
{
    struct nlsh__leaf_scan *l = &s->leaves;
    choose(s, 0, nlsh__kernels()->bound_f32(l->scores, l->n_scores, n_first(k)));
}

void nlsh__leaves_within(struct nlsh_searcher *s, float share, float limit)
{
    choose(s, share, limit);
}
