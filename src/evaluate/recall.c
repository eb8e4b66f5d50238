/*
 * recall.c - recall@k and the approximation factor of one query's answer.
 *
 * Both are quadratic in k at worst, over contiguous ids that the compiler compares many at a time:
 * 20 us for k = 1000, and no memory is needed.
 */
#include <math.h>

#include "nlsh/learn.h"

static int contains(const uint64_t *keys, size_t n, uint64_t key)
{
    uint64_t found = 0;
    for (size_t i = 0; i < n; i++) found |= keys[i] == key;
    return found != 0;
}

double nlsh_recall(const uint64_t *keys, const float *distances, const uint64_t *truth_ids,
                   const float *truth_distances, size_t k)
{
    /* A truth of fewer than k rows ends in missing slots: what is not there is not asked for. */
    size_t n_true = k, n_hits = 0;
    while (n_true > 0 && truth_ids[n_true - 1] == NLSH_NO_KEY) n_true--;
    if (n_true == 0) return 1.0;
    int ties = distances != NULL && truth_distances != NULL;
    for (size_t i = 0; i < k; i++) {
        if (keys[i] == NLSH_NO_KEY || contains(keys, i, keys[i])) continue;
        n_hits += (ties && distances[i] == truth_distances[n_true - 1]) ||
                  contains(truth_ids, n_true, keys[i]);
    }
    return n_hits >= n_true ? 1.0 : (double)n_hits / (double)n_true;
}

double nlsh_approximation_factor(enum nlsh_metric metric, const float *distances,
                                 const float *truth_distances, size_t k)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < k && metric != NLSH_IP; i++) {
        double found = distances[i], best = truth_distances[i];
        if (!isfinite(found) || !isfinite(best)) continue;
        if (best == 0 && found > 0) continue;
        double ratio = best == 0 ? 1.0 : found / best;
        sum += metric == NLSH_COSINE ? sqrt(ratio) : ratio;
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}
