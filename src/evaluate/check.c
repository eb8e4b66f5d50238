/*
 * check.c - see check.h.
 */
#include "evaluate/check.h"

#include <math.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"

/* The router would say so too, but it counts from the first row of a block. */
static enum nlsh_status check_finite(const struct nlsh_matrix *queries, struct nlsh_error *error)
{
    int bytes = queries->type == NLSH_U8 || queries->type == NLSH_I8;
    float *row;
    if (bytes || !nlsh__is_vector_type(queries->type)) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc(&row, queries->dim, sizeof *row, error);
    for (size_t i = 0; i < queries->n_rows && status == NLSH_OK; i++) {
        size_t d = 0;
        nlsh__row_to_f32(nlsh__row(queries, i), queries->type, queries->dim, row);
        while (d < queries->dim && isfinite(row[d])) d++;
        if (d < queries->dim)
            status = nlsh__fail(error, NLSH_E_ARG, "take the query out, or replace the value",
                                "query %zu: value %zu is not finite, or too large for f32", i, d);
    }
    nlsh__free(row);
    return status;
}

static enum nlsh_status check_ids(const struct nlsh__neighbors *truth, size_t k,
                                  struct nlsh_error *error)
{
    for (size_t q = 0; q < truth->n_rows; q++)
        for (size_t i = 0; i < k; i++) {
            if (truth->ids[q * truth->k + i] != NLSH__NO_ROW) continue;
            return nlsh__fail(error, NLSH_E_MISMATCH,
                              "use a ground truth with k neighbours a query",
                              "neighbour %zu of query %zu is missing in the ground truth", i, q);
        }
    return NLSH_OK;
}

enum nlsh_status nlsh__take_truth(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                                  const struct nlsh_neighbors *given, size_t k,
                                  struct nlsh__neighbors *truth, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    NLSH_TRY(nlsh_index_info(index, &info, error));
    NLSH_TRY(nlsh__matrix_check(queries, "queries", error));
    if (queries->n_rows == 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "there are no queries to evaluate with");
    NLSH_TRY(nlsh__neighbors_take(given, nlsh__index_rows(index), truth, error));
    if (k < 1 || k > truth->k)
        return nlsh__fail(error, NLSH_E_ARG, "use a smaller k, or a ground truth with more",
                          "k is %zu: the ground truth has %zu neighbours a query", k, truth->k);
    if (truth->n_rows != queries->n_rows)
        return nlsh__fail(error, NLSH_E_MISMATCH, "use the ground truth of these queries",
                          "there are %zu queries, and ground truth of %zu", queries->n_rows,
                          truth->n_rows);
    NLSH_TRY(check_finite(queries, error));
    status = check_ids(truth, k, error);
out:
    return status;
}

size_t nlsh__index_rows(const struct nlsh_index *index)
{
    struct nlsh_segment s = {.struct_size = sizeof s};
    size_t n = 0;
    for (size_t i = 0; nlsh_index_segment(index, i, &s); i++) n += s.n_rows;
    return n;
}

void nlsh__buckets_of_rows(const struct nlsh_index *index, size_t m, uint32_t *bucket_of,
                           uint32_t *sizes)
{
    struct nlsh_segment s = {.struct_size = sizeof s};
    size_t first_row = 0;
    for (size_t b = 0; b < m; b++) sizes[b] = 0;
    for (size_t i = 0; nlsh_index_segment(index, i, &s); i++) {
        for (size_t b = 0; b < m; b++) {
            sizes[b] += s.bucket_offsets[b + 1] - s.bucket_offsets[b];
            for (size_t r = s.bucket_offsets[b]; r < s.bucket_offsets[b + 1]; r++)
                bucket_of[first_row + s.rows[r]] = (uint32_t)b;
        }
        first_row += s.n_rows;
    }
}

struct nlsh_matrix nlsh__some_queries(const struct nlsh_matrix *queries, size_t first, size_t n)
{
    struct nlsh_matrix some = *queries;
    some.data = nlsh__row(queries, first);
    some.n_rows = n;
    return some;
}
