/*
 * check.c - see check.h.
 */
#include "evaluate/check.h"

#include <math.h>

#include "base/error.h"

static enum nlsh_status check_ids(const struct nlsh_neighbors *truth, size_t k, size_t n_rows,
                                  struct nlsh_error *error)
{
    for (size_t q = 0; q < truth->n_rows; q++)
        for (size_t i = 0; i < k; i++) {
            uint32_t id = truth->ids[q * truth->k + i];
            if (id < n_rows) continue;
            return nlsh__fail(error, NLSH_E_MISMATCH,
                              "use the ground truth made from the base file of this index",
                              "neighbour %zu of query %zu in the ground truth is vector %u; the "
                              "index has %zu vectors",
                              i, q, id, n_rows);
        }
    return NLSH_OK;
}

enum nlsh_status
nlsh__check_truth(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_neighbors *truth, size_t k, struct nlsh_error *error)
{
    struct nlsh_index_info info;
    nlsh_index_info(index, &info);
    if (queries->n_rows == 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "there are no queries to evaluate with");
    if (k < 1 || k > truth->k)
        return nlsh__fail(error, NLSH_E_ARG, "use a smaller k, or a ground truth with more",
                          "k is %zu: the ground truth has %zu neighbours a query", k, truth->k);
    if (truth->n_rows != queries->n_rows)
        return nlsh__fail(error, NLSH_E_MISMATCH, "use the ground truth of these queries",
                          "there are %zu queries, and ground truth of %zu", queries->n_rows,
                          truth->n_rows);
    /* The router would say so too, but it counts from the first row of a block. */
    const float *values = queries->data;
    size_t n_values = queries->type == NLSH_F32 ? queries->n_rows * queries->dim : 0;
    for (size_t i = 0; i < n_values; i++)
        if (!isfinite(values[i]))
            return nlsh__fail(error, NLSH_E_ARG, "take the query out, or replace the value",
                              "query %zu: value %zu is not finite", i / queries->dim,
                              i % queries->dim);
    return check_ids(truth, k, info.n_rows, error);
}

enum nlsh_status nlsh__buckets_of_rows(const struct nlsh_index *index, uint32_t *bucket_of,
                                       uint32_t *sizes, struct nlsh_error *error)
{
    const uint32_t *offsets = nlsh_index_bucket_offsets(index);
    const uint32_t *ids = nlsh_index_ids(index);
    struct nlsh_index_info info;
    nlsh_index_info(index, &info);
    for (size_t i = 0; i < info.n_rows; i++) bucket_of[i] = UINT32_MAX;
    for (size_t b = 0; b < info.n_buckets; b++) {
        if (sizes != NULL) sizes[b] = offsets[b + 1] - offsets[b];
        for (size_t i = offsets[b]; i < offsets[b + 1]; i++) {
            if (ids[i] >= info.n_rows)
                return nlsh__fail(error, NLSH_E_DATA, "build the index again",
                                  "the index is damaged: bucket %zu holds id %u of %zu vectors", b,
                                  ids[i], info.n_rows);
            bucket_of[ids[i]] = (uint32_t)b;
        }
    }
    for (size_t i = 0; i < info.n_rows; i++)
        if (bucket_of[i] == UINT32_MAX)
            return nlsh__fail(error, NLSH_E_DATA, "build the index again",
                              "the index is damaged: vector %zu lies in no bucket", i);
    return NLSH_OK;
}

struct nlsh_matrix nlsh__some_queries(const struct nlsh_matrix *queries, size_t first, size_t n)
{
    struct nlsh_matrix some = *queries;
    size_t value_bytes = queries->type == NLSH_F32 || queries->type == NLSH_I32 ? 4 : 1;
    some.data = (const char *)queries->data + first * queries->dim * value_bytes;
    some.n_rows = n;
    return some;
}
