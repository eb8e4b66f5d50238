/*
 * leaves.c - see leaves.h.
 *
 * A leaf's score is the mean of its rows' scores. The more its error, the lower its best row may lie. With
 * L the k-th score so far, a leaf of score S and error E is scanned where S - m E <= L. The margin m grows
 * with the logarithm of the bucket's probability: router and geometry are two witnesses to where neighbours
 * are, and a leaf is left out only where both say so. What m must be was measured (measure/leafmargins.c).
 * Source: ours. Leaving out by a bound from a tree is as old as Fukunaga and Narendra, "A branch and bound
 * algorithm for computing k-nearest neighbors", 1975. What differs: the bound holds with a probability only,
 * and the router's is weighed in.
 */
#include "search/leaves.h"

#include <float.h>
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "promise/budget.h"
#include "search/allowed.h"

enum {
    AHEAD = 3,          /* buckets whose leaves are fetched */
    FETCHED_GROUPS = 8, /* of 16 leaves of a bucket, before they are scored */
    GROWTH = 8,         /* a part of the leaves, for those that a log adds */
};

const float nlsh__leaf_shares[NLSH__LEAF_SHARES] = {0.8f, 1};

/* For k = 10, --recall .98: with 8
 * in place of 16 Fashion-MNIST has recall .983 from 456 vectors in place of .984 from 495, SIFT-1M the same
 * from as many. */
size_t nlsh__first_leaves(size_t k)
{
    size_t n = 8 + k / 12;
    return n < 16 ? n : 16;
}

/* There is room for all leaves: they are a 16th of the rows, and a page that no query has needed takes no memory. With
 * room for 16,384 of them, queries whose buckets held more had these scanned whole: docs/scale.md. */
enum nlsh_status nlsh__leaf_scan_fit(struct nlsh__leaf_scan *l, const struct nlsh_index *index,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__leaf_scan of = {.room = 0};
    size_t n_buckets = index->meta.n_buckets;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *segment = &index->segments[i];
        if (segment->leaves == NULL) continue;
        of.segment_room++;
        of.probe_room += n_buckets;
        of.room += segment->leaves->group_offsets[n_buckets] * (size_t)NLSH__GROUP;
        if (segment->codes->stride > of.stride) of.stride = segment->codes->stride;
    }
    if (of.room <= l->room && of.probe_room <= l->probe_room && of.stride <= l->stride)
        return NLSH_OK;
    if (index->n_segments > 1) of.room += of.room / GROWTH; /* a log grows on */
    NLSH_TRY(nlsh__alloc(&of.scores, of.room, sizeof *of.scores, error));
    NLSH_TRY(nlsh__alloc(&of.probes, of.probe_room, sizeof *of.probes, error));
    NLSH_TRY(nlsh__alloc(&of.weights, of.probe_room, of.stride, error));
    NLSH_TRY(nlsh__alloc(&of.chosen, of.room + NLSH__GROUP, sizeof *of.chosen, error));
    NLSH_TRY(nlsh__alloc(&of.least, of.room + NLSH__GROUP, sizeof *of.least, error));
    NLSH_TRY(nlsh__alloc(&of.parts, of.probe_room, sizeof *of.parts, error));
    NLSH_TRY(nlsh__alloc(&of.segments, of.segment_room, sizeof *of.segments, error));
    nlsh__leaf_scan_free(l);
    *l = of;
    of = (struct nlsh__leaf_scan){.room = 0};
out:
    nlsh__leaf_scan_free(&of);
    return status;
}

void nlsh__leaf_scan_free(struct nlsh__leaf_scan *leaves)
{
    nlsh__free(leaves->scores);
    nlsh__free(leaves->probes);
    nlsh__free(leaves->weights);
    nlsh__free(leaves->chosen);
    nlsh__free(leaves->least);
    nlsh__free(leaves->parts);
    nlsh__free(leaves->segments);
}

/* Leaves of a bucket without a row that is allowed are not chosen. */
static void hide_leaves(const struct nlsh__leafy *in, uint32_t b, float *scores)
{
    const uint32_t *offsets = in->segment->bucket_offsets;
    for (size_t i = 0, first = offsets[b]; first < offsets[b + 1]; i++, first += NLSH__GROUP) {
        size_t left = offsets[b + 1] - first;
        if (!nlsh__any_allowed(in->allowed, first,
                               first + (left < NLSH__GROUP ? left : NLSH__GROUP)))
            scores[i] = INFINITY;
    }
}

/* What a bucket's leaves in all segments are scored by, or of large ones their beginning. */
static void prefetch_leaves(const struct nlsh__leaf_scan *l, uint32_t bucket)
{
    for (size_t i = 0; i < l->n_segments; i++) {
        const struct nlsh__grouped *g = &l->segments[i].segment->leaves->leaves;
        const struct nlsh__codes *codes = l->segments[i].segment->codes;
        const uint32_t *groups = l->segments[i].segment->leaves->group_offsets;
        size_t first = groups[bucket], n = groups[bucket + 1] - first,
               group_bytes = g->n_chunks * 64;
        if (n > FETCHED_GROUPS) n = FETCHED_GROUPS;
        if (i == 0)
            nlsh__prefetch_bytes(codes->centroids + bucket * codes->stride,
                                 codes->stride * sizeof(float));
        nlsh__prefetch_bytes(g->bias + first * NLSH__GROUP, n * NLSH__GROUP * sizeof(float));
        nlsh__prefetch_bytes(g->errors + first * NLSH__GROUP, n * NLSH__GROUP);
        nlsh__prefetch_bytes(g->values + first * group_bytes, n * group_bytes);
    }
}

void nlsh__leaves_begin(struct nlsh__leaf_scan *l)
{
    l->n_segments = l->n_scores = 0;
}

void nlsh__leaves_add(struct nlsh__leaf_scan *l, const struct nlsh__segment *segment,
                      const uint64_t *allowed)
{
    l->segments[l->n_segments++] = (struct nlsh__leafy){.segment = segment, .allowed = allowed};
}

/* A bucket's leaves in a segment. But for what depends on the segment, *p is set. */
static void score_bucket(struct nlsh__leaf_scan *l, struct nlsh__leafy *in, float margin,
                         struct nlsh__leaf_probe *p)
{
    const struct nlsh__codes *codes = in->segment->codes;
    const struct nlsh__leaves *leaves = in->segment->leaves;
    size_t first = leaves->group_offsets[p->bucket];
    size_t n = leaves->group_offsets[p->bucket + 1] - first;
    if (n == 0) return;
    p->segment = in->segment;
    p->first_score = (uint32_t)l->n_scores;
    p->first_group = codes->group_offsets[p->bucket];
    p->n_leaves = codes->group_offsets[p->bucket + 1] - p->first_group;
    p->errors = leaves->leaves.errors + first * NLSH__GROUP;
    p->unit = margin * leaves->error_unit * p->probe.length;
    nlsh__score_groups(&leaves->leaves, &p->probe, p->weights, first, n, l->scores + l->n_scores);
    if (in->allowed != NULL) hide_leaves(in, p->bucket, l->scores + l->n_scores);
    l->n_scores += n * NLSH__GROUP;
    l->probes[in->first_probe + in->n_probes++] = *p;
}

void nlsh__leaves_score(struct nlsh__leaf_scan *l, const struct nlsh__leaves_of *of)
{
    for (size_t j = 0; j < l->n_segments; j++) l->segments[j].first_probe = j * of->n_buckets;
    for (size_t i = 0; i < AHEAD && i < of->n_buckets; i++) prefetch_leaves(l, of->buckets[i]);
    for (size_t i = 0; i < of->n_buckets; i++) {
        uint32_t b = of->buckets[i];
        int8_t *weights = l->weights + i * l->stride;
        struct nlsh__leaf_probe p = {.weights = weights, .bucket = b};
        if (i + AHEAD < of->n_buckets) prefetch_leaves(l, of->buckets[i + AHEAD]);
        nlsh__probe_bucket(l->segments[0].segment->codes, of->index->metric == NLSH_IP, of->inputs,
                           of->outside, b, of->origin, weights, &p.probe);
        float p_vector = of->probabilities[i] * of->index->weights[b];
        float log_p = logf(fmaxf(NLSH__LEAF_UNIT * p_vector, 1e-30f));
        float margin = of->margin + of->index->leaf_slope * log_p;
        for (size_t j = 0; j < l->n_segments; j++) score_bucket(l, &l->segments[j], margin, &p);
    }
}

/* Leaves that are chosen from place first of their segment's on: their rows' errors, and the codes of as many as
 * scan_u4_at() leaves to its caller. Where leaves are few and far between, as in the largest files, a query
 * waits for memory more than it computes. */
static void prefetch_chosen(const struct nlsh__codes *codes, const uint32_t *groups, size_t first,
                            size_t n)
{
    size_t group_bytes = codes->rows.n_chunks * 64;
    for (size_t i = 0; i < n; i++) {
        size_t group = groups[i];
        nlsh__prefetch(codes->rows.errors + group * NLSH__GROUP);
        if (first + i >= NLSH__GROUPS_AHEAD) continue;
        nlsh__prefetch_bytes(codes->rows.values + group * group_bytes, group_bytes);
        nlsh__prefetch(codes->rows.bias + group * NLSH__GROUP);
    }
}

/* Of a segment: see choose(). */
static void choose_of(struct nlsh__leaf_scan *l, const struct nlsh__leafy *in, float share,
                      float limit)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t first_chosen = l->n_chosen, first_part = l->n_parts;
    for (size_t i = in->first_probe; i < in->first_probe + in->n_probes; i++) {
        const struct nlsh__leaf_probe *p = &l->probes[i];
        float unit = share > 0 && p->unit < 0 ? p->unit : share * p->unit;
        float *scores = l->scores + p->first_score;
        uint32_t *chosen = l->chosen + l->n_chosen;
        size_t n = kernels->near_f32(scores, p->errors, p->n_leaves, unit, -INFINITY, limit,
                                     p->first_group, chosen, l->least);
        if (n == 0) continue;
        prefetch_chosen(in->segment->codes, chosen, l->n_chosen - first_chosen, n);
        for (size_t j = 0; j < n; j++) scores[chosen[j] - p->first_group] = INFINITY;
        l->parts[l->n_parts++] = (struct nlsh__leaf_part){
            .probe = (uint32_t)i, .first = (uint32_t)l->n_chosen, .n = (uint32_t)n};
        l->n_chosen += n;
    }
    for (size_t i = first_part; i < l->n_parts; i++) l->parts[i].end = (uint32_t)l->n_chosen;
}

/* Leaves whose score less a share of the margin (all of it where it is negative) is at the limit or below;
 * they are not chosen again. A bucket has a leaf for each of its groups of codes: scores behind those are
 * nobody's, whatever the file says of them. */
static void choose(struct nlsh__leaf_scan *l, float share, float limit)
{
    l->n_chosen = l->n_parts = 0;
    for (size_t i = 0; i < l->n_segments; i++)
        choose_of(l, &l->segments[i], share, fminf(limit, FLT_MAX));
}

void nlsh__leaves_first(struct nlsh__leaf_scan *l, size_t k)
{
    choose(l, 0, nlsh__kernels()->bound_f32(l->scores, l->n_scores, nlsh__first_leaves(k)));
}

void nlsh__leaves_within(struct nlsh__leaf_scan *l, float share, float limit)
{
    choose(l, share, limit);
}
