/*
 * check.c - the checks around a partition: the graph and the settings before, the answer after.
 *
 * Source: ours. Symmetry costs O(edges) and no sort: rows are ascending, so going through all
 * edges (u, v) with u ascending, row v must be met in exactly its own order. One cursor a row.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/memory.h"
#include "partition/partition.h"
#include "partition/repair.h"

size_t nlsh__bucket_cap(size_t n, size_t m, double imbalance)
{
    if (m == 0) return 0;
    size_t cap = n / m + (n % m != 0);
    /* A hair more than the product, so that 1.15 x 100 is 115 and not 114.99999999999999. */
    double wide = floor((1.0 + imbalance) * (double)n / (double)m * (1.0 + 1e-12));
    if (wide >= (double)n) return n;
    if (wide > (double)cap) cap = (size_t)wide;
    return cap;
}

static enum nlsh_status check_settings(size_t n, size_t m, double imbalance,
                                       struct nlsh_error *error)
{
    if (m == 0 || m > n)
        return nlsh__fail(error, NLSH_E_ARG, "use from 1 bucket to as many as there are vectors",
                          "%zu buckets for %zu vectors", m, n);
    if (!(imbalance >= 0.0) || isinf(imbalance))
        return nlsh__fail(error, NLSH_E_ARG, "0.03 allows buckets 3 % over the mean",
                          "imbalance %g is not a number from 0 up", imbalance);
    return NLSH_OK;
}

static enum nlsh_status damaged(struct nlsh_error *error, size_t row, const char *what)
{
    return nlsh__fail(error, NLSH_E_DATA, "rebuild the graph; without the cache if it came from it",
                      "graph to partition: row %zu %s", row, what);
}

static enum nlsh_status check_row(const struct nlsh__csr *csr, size_t row, int64_t *weight,
                                  struct nlsh_error *error)
{
    for (int32_t e = csr->offsets[row]; e < csr->offsets[row + 1]; e++) {
        int32_t id = csr->neighbors[e];
        if (id < 0 || (size_t)id >= csr->n) return damaged(error, row, "has an id out of range");
        if ((size_t)id == row) return damaged(error, row, "has a loop");
        if (e > csr->offsets[row] && id <= csr->neighbors[e - 1])
            return damaged(error, row, "is not ascending");
        if (csr->weights[e] < 1) return damaged(error, row, "has a weight below 1");
        *weight += csr->weights[e];
    }
    return NLSH_OK;
}

static enum nlsh_status check_symmetry(const struct nlsh__csr *csr, struct nlsh_error *error)
{
    int32_t *cursor;
    size_t asymmetric = csr->n;
    enum nlsh_status status = nlsh__alloc(&cursor, csr->n, sizeof *cursor, error);
    if (status != NLSH_OK) return status;
    memcpy(cursor, csr->offsets, csr->n * sizeof *cursor);
    for (size_t u = 0; u < csr->n && asymmetric == csr->n; u++)
        for (int32_t e = csr->offsets[u]; e < csr->offsets[u + 1]; e++) {
            int32_t v = csr->neighbors[e], back = cursor[v]++;
            if (back >= csr->offsets[v + 1] || (size_t)csr->neighbors[back] != u ||
                csr->weights[back] != csr->weights[e]) {
                asymmetric = u;
                break;
            }
        }
    nlsh__free(cursor);
    /* As many steps as entries, and each met an own one: none is left over. */
    if (asymmetric == csr->n) return NLSH_OK;
    return damaged(error, asymmetric, "is not symmetric with its neighbours' rows");
}

enum nlsh_status nlsh__partition_input(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       struct nlsh_error *error)
{
    enum nlsh_status status = check_settings(csr->n, m, imbalance, error);
    int64_t weight = 0;
    if (status != NLSH_OK) return status;
    if (csr->offsets[0] != 0) return damaged(error, 0, "does not begin at 0");
    for (size_t row = 0; row < csr->n; row++)
        if (csr->offsets[row + 1] < csr->offsets[row])
            return damaged(error, row, "ends before it begins");
    for (size_t row = 0; row < csr->n; row++) {
        status = check_row(csr, row, &weight, error);
        if (status != NLSH_OK) return status;
    }
    if (weight > INT32_MAX)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                          "use a smaller k, or the k-means partitioner, which needs no graph",
                          "graph to partition: its weights' sum does not fit in 32 bits");
    return check_symmetry(csr, error);
}

int nlsh__partition_trivial(const struct nlsh__csr *csr, size_t m, uint32_t *bucket_of)
{
    size_t n = csr->n;
    if (m != 1 && m != n && csr->offsets[n] != 0) return 0;
    for (size_t i = 0; i < n; i++) bucket_of[i] = (uint32_t)((uint64_t)i * m / n);
    return 1;
}

enum nlsh_status nlsh__partition_check(const uint32_t *bucket_of, size_t n, size_t m, size_t cap,
                                       struct nlsh_error *error)
{
    size_t *sizes;
    enum nlsh_status status = nlsh__calloc(&sizes, m, sizeof *sizes, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n && status == NLSH_OK; i++) {
        if (bucket_of[i] < m)
            sizes[bucket_of[i]]++;
        else
            status = nlsh__fail(error, NLSH_E_INTERNAL, NULL,
                                "partition: vector %zu is in bucket %u, of %zu", i,
                                (unsigned)bucket_of[i], m);
    }
    for (size_t b = 0; b < m && status == NLSH_OK; b++)
        if (sizes[b] == 0 || sizes[b] > cap)
            status = nlsh__fail(error, NLSH_E_INTERNAL, NULL,
                                "partition: bucket %zu holds %zu vectors, not 1 to %zu", b,
                                sizes[b], cap);
    nlsh__free(sizes);
    return status;
}

double nlsh__edge_cut(const struct nlsh__neighbors *neighbors, size_t k, const uint32_t *bucket_of)
{
    size_t total = neighbors->n_rows * k, cut = 0;
    for (size_t i = 0; i < neighbors->n_rows; i++)
        for (size_t j = 0; j < k; j++)
            cut += bucket_of[i] != bucket_of[neighbors->ids[i * neighbors->k + j]];
    return total > 0 ? (double)cut / (double)total : 0.0;
}
