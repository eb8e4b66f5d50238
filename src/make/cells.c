/* cells.c - see cells.h. */
#include "make/cells.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "partition/kmeans.h"
#include "router/ask.h"

void nlsh__bucket_cells_free(struct nlsh__bucket_cells *cells)
{
    nlsh__free(cells->centroids);
    nlsh__free(cells->penalty);
    *cells = (struct nlsh__bucket_cells){.n = 0};
}

/* What the router sees of the rows, and their buckets, in the order of the file. */
static enum nlsh_status look(const struct nlsh_index *index, size_t p, float *inputs,
                             uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__segment *segment = &index->segments[0];
    const uint32_t *offsets = segment->bucket_offsets;
    size_t dim = index->meta.dim, row_bytes = nlsh__index_row_bytes(index);
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    const uint8_t *row = segment->vectors;
    struct nlsh__asker asker = {.router = NULL};
    NLSH_TRY(nlsh__asker_create(index->router, &asker, error));
    for (size_t b = 0; b < index->meta.n_buckets; b++)
        for (size_t i = offsets[b]; i < offsets[b + 1]; i++, row += row_bytes) {
            bucket_of[i] = (uint32_t)b;
            for (size_t d = 0; d < dim; d++) asker.floats[d] = nlsh__stored_value(&as, row, d);
            memcpy(inputs + i * p, nlsh__ask_inputs(&asker, asker.floats, NULL),
                   p * sizeof *inputs);
        }
out:
    nlsh__asker_free(&asker);
    return status;
}

enum nlsh_status nlsh__bucket_cells_of(const struct nlsh_index *index, double imbalance,
                                       const struct nlsh__job *job, struct nlsh__bucket_cells *out,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_stay, n = index->segments[0].n_rows, m = index->meta.n_buckets;
    size_t p = nlsh__router_n_inputs(index->router);
    float *inputs = NULL;
    uint32_t *bucket_of = NULL;
    *out = (struct nlsh__bucket_cells){.n = m, .dim = p};
    NLSH_TRY(nlsh__alloc(&inputs, n * p, sizeof *inputs, error));
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    NLSH_TRY(nlsh__alloc(&out->centroids, m * p, sizeof *out->centroids, error));
    NLSH_TRY(nlsh__alloc(&out->penalty, m, sizeof *out->penalty, error));
    NLSH_TRY(look(index, p, inputs, bucket_of, error));
    NLSH_TRY(nlsh__capped_cells(inputs, n, p, m, imbalance, bucket_of, job, out->centroids,
                                out->penalty, &n_stay, error));
    out->elsewhere = (double)(n - n_stay) / (double)n;
out:
    nlsh__free(inputs);
    nlsh__free(bucket_of);
    if (status != NLSH_OK) nlsh__bucket_cells_free(out);
    return status;
}
