/* unseen.c - see unseen.h. */
#include "measure/unseen.h"

#include <stdlib.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/memory.h"

/* The bucket of neighbour x without its edge to row, which lies in the same bucket. weight_in [m] is
 * zero before and after. */
static uint32_t bucket_without(const struct nlsh__csr *csr, uint32_t x, uint32_t row,
                               const uint32_t *bucket_of, uint32_t *weight_in)
{
    uint32_t own = bucket_of[x], other = own, edge = 0, most = 0;
    int32_t first = csr->offsets[x], end = csr->offsets[x + 1];
    for (int32_t e = first; e < end; e++) {
        uint32_t end_of_edge = (uint32_t)csr->neighbors[e], weight = (uint32_t)csr->weights[e];
        if (end_of_edge == row) edge = weight;
        weight_in[bucket_of[end_of_edge]] += weight;
    }
    for (int32_t e = first; e < end; e++) {
        uint32_t bucket = bucket_of[csr->neighbors[e]];
        if (bucket == own || weight_in[bucket] <= most) continue;
        most = weight_in[bucket];
        other = bucket;
    }
    uint32_t with = weight_in[own];
    for (int32_t e = first; e < end; e++) weight_in[bucket_of[csr->neighbors[e]]] = 0;
    return most <= with && most > with - edge ? other : own;
}

enum nlsh_status nlsh__unseen_buckets(const struct nlsh__csr *csr, const uint32_t *rows,
                                      size_t n_held, const struct nlsh__neighbors *truth, size_t k,
                                      const uint32_t *bucket_of, size_t m, uint32_t *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    uint32_t *weight_in = NULL;
    NLSH_TRY(nlsh__calloc(&weight_in, m, sizeof *weight_in, error));
    for (size_t i = 0; i < n_held; i++)
        for (size_t j = 0; j < k; j++) {
            uint32_t x = truth->ids[i * truth->k + j];
            out[i * k + j] = csr != NULL && bucket_of[x] == bucket_of[rows[i]]
                                 ? bucket_without(csr, x, rows[i], bucket_of, weight_in)
                                 : bucket_of[x];
        }
out:
    nlsh__free(weight_in);
    return status;
}
