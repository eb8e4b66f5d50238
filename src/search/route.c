/*
 * route.c - see route.h. The router's first level says which groups of buckets can matter; only
 * their buckets are computed, and share what the first level gives to these groups together. Groups
 * are left out with a margin, since a group's probability and the sum of its buckets' are two
 * answers of one network and differ a little.
 */
#include "search/route.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/select.h"

/* ---- what was asked for ---------------------------------------------------------------------- */

enum nlsh_status nlsh__rule_from_options(const struct nlsh_index *index,
                                         const struct nlsh_search_options *options,
                                         struct nlsh__rule *out, struct nlsh_error *error)
{
    size_t m = index->meta.n_buckets;
    double probes = options->probes;
    *out = (struct nlsh__rule){0};
    if (probes == 0) {
        if (!(options->recall > 0 && options->recall < 1))
            return nlsh__fail(error, NLSH_E_ARG, "ask for a recall like 0.95",
                              "recall is %g: it must lie between 0 and 1", options->recall);
        out->threshold = nlsh__target_threshold(&index->targets, options->k, options->recall);
        out->weights = index->weights;
        out->group_weights = index->group_weights;
    } else if (probes > 0 && probes < 1) {
        out->threshold = (float)probes;
    } else if (probes >= 1 && probes == floor(probes) && probes <= 4294967296.0) {
        out->top = probes < (double)m ? (size_t)probes : m;
    } else {
        return nlsh__fail(error, NLSH_E_ARG,
                          "give a whole number of buckets, or a probability below 1",
                          "T is %g: neither a whole number >= 1 nor between 0 and 1", probes);
    }
    return NLSH_OK;
}

/* ---- the router's answer --------------------------------------------------------------------- */

static void group_of_router(const struct nlsh__answer *answer, size_t g, float *out)
{
    nlsh__router_group(answer->router, &answer->pass, g, out);
}

void nlsh__answer_from(const struct nlsh__router *router, const struct nlsh__router_pass *pass,
                       struct nlsh__answer *out)
{
    out->pass = *pass;
    out->router = router;
    out->groups = nlsh__router_groups(router);
    out->probabilities = pass->groups;
    out->group = group_of_router;
}

void nlsh__ask_router(const struct nlsh__router *router, const float *inputs, float *scratch,
                      struct nlsh__answer *out)
{
    struct nlsh__router_pass pass;
    nlsh__router_begin(router, inputs, scratch, &pass);
    nlsh__answer_from(router, &pass, out);
}

/* ---- the choice ------------------------------------------------------------------------------ */

/* Buckets and their probabilities, of all groups whose probability times weight is above least. */
static size_t compute_groups(const struct nlsh__answer *answer, const float *weights, float least,
                             uint32_t *buckets, float *probabilities)
{
    const struct nlsh__groups *groups = answer->groups;
    float mass = 0;
    size_t n = 0;
    for (size_t g = 0; g < groups->n; g++) {
        float p = answer->probabilities[g];
        if (!(p * (weights != NULL ? weights[g] : 1) > least)) continue;
        answer->group(answer, g, probabilities + n);
        mass += p;
        for (uint32_t b = groups->first[g]; b < groups->first[g + 1]; b++) buckets[n++] = b;
    }
    if (n == 0) return 0;
    nlsh__kernels()->softmax_f32(probabilities, n);
    if (groups->n > 1)
        for (size_t i = 0; i < n; i++) probabilities[i] *= mass;
    return n;
}

void nlsh__bucket_to_front(uint32_t *buckets, float *probabilities, size_t i)
{
    uint32_t bucket = buckets[i];
    float p = probabilities[i];
    buckets[i] = buckets[0];
    buckets[0] = bucket;
    probabilities[i] = probabilities[0];
    probabilities[0] = p;
}

void nlsh__choose_all(const struct nlsh__answer *answer, uint32_t *buckets, float *probabilities)
{
    size_t m = answer->groups->first[answer->groups->n];
    size_t n = compute_groups(answer, NULL, -1, buckets, probabilities);
    for (size_t b = 0; b < m; b++) {
        if (!(n == m && probabilities[b] >= 0)) probabilities[b] = 0;
        buckets[b] = (uint32_t)b;
    }
}

/* Of n buckets those above the threshold, and the most probable one with them: a large one may be below, and
 * measurements count on it (measure/calibrate.c). 0 where none is above. */
static size_t keep_above(const struct nlsh__rule *rule, size_t n, uint32_t *buckets,
                         float *probabilities)
{
    float most = -1;
    uint32_t best = 0;
    size_t kept = 0, at = 0;
    int is_kept = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bucket = buckets[i];
        float p = probabilities[i], weight = rule->weights != NULL ? rule->weights[bucket] : 1;
        int above = p * weight > rule->threshold;
        if (p > most) {
            most = p;
            best = bucket;
            at = kept;
            is_kept = above;
        }
        if (!above) continue;
        buckets[kept] = bucket;
        probabilities[kept++] = p;
    }
    if (kept == 0) return 0;
    if (!is_kept) {
        at = kept++;
        buckets[at] = best;
        probabilities[at] = most;
    }
    nlsh__bucket_to_front(buckets, probabilities, at);
    return kept;
}

/* The probability of the top-th most probable group; 0 where there are no more groups, and for what
 * a damaged router answers with (NaN). */
static float group_probability(const struct nlsh__answer *answer, size_t top, uint64_t *keys)
{
    size_t n = answer->groups->n;
    if (top > n) return 0;
    for (size_t g = 0; g < n; g++)
        keys[g] =
            nlsh__probability_key(answer->probabilities[g] >= 0 ? answer->probabilities[g] : 0, g);
    nlsh__select_smallest(keys, n, top);
    uint64_t last = 0;
    for (size_t i = 0; i < top; i++) last = keys[i] > last ? keys[i] : last;
    return answer->probabilities[(uint32_t)last] >= 0 ? answer->probabilities[(uint32_t)last] : 0;
}

/* What a key was made of. */
static float probability_of(uint64_t key)
{
    uint32_t bits = ~(uint32_t)(key >> 32);
    float p;
    memcpy(&p, &bits, sizeof p);
    return p;
}

/* Where too few groups have a probability at all, buckets are taken as they come. */
static size_t choose_top(const struct nlsh__answer *answer, size_t top, uint32_t *buckets,
                         float *probabilities, uint64_t *keys)
{
    float least = group_probability(answer, top, keys) * NLSH__TOP_GROUP_MARGIN;
    size_t n = compute_groups(answer, NULL, least > 0 ? least : -1, buckets, probabilities);
    if (n < top) {
        for (size_t b = 0; b < top; b++) buckets[b] = (uint32_t)b;
        for (size_t b = 0; b < top; b++) probabilities[b] = 0;
        return top;
    }
    for (size_t i = 0; i < n; i++) keys[i] = nlsh__probability_key(probabilities[i], buckets[i]);
    if (top < n) nlsh__select_smallest(keys, n, top);
    size_t best = 0;
    for (size_t i = 0; i < top; i++) {
        buckets[i] = (uint32_t)keys[i];
        probabilities[i] = probability_of(keys[i]);
        if (keys[i] < keys[best]) best = i;
    }
    nlsh__bucket_to_front(buckets, probabilities, best);
    return top;
}

size_t nlsh__choose_buckets(const struct nlsh__answer *answer, const struct nlsh__rule *rule,
                            uint32_t *buckets, float *probabilities, uint64_t *keys)
{
    size_t m = answer->groups->first[answer->groups->n];
    if (rule->top >= m) {
        for (size_t b = 0; b < m; b++) buckets[b] = (uint32_t)b;
        for (size_t b = 0; b < m; b++) probabilities[b] = 0;
        return m;
    }
    if (rule->top == 0) {
        size_t n = compute_groups(answer, rule->group_weights, rule->threshold * NLSH__GROUP_MARGIN,
                                  buckets, probabilities);
        n = keep_above(rule, n, buckets, probabilities);
        if (n > 0) return n;
    }
    return choose_top(answer, rule->top > 0 ? rule->top : 1, buckets, probabilities, keys);
}
