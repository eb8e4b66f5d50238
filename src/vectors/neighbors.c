/* neighbors.c - neighbours at the library's border: struct nlsh_neighbors. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/sized.h"
#include "vectors/vectors.h"

void nlsh_neighbors_init(struct nlsh_neighbors *neighbors, size_t size)
{
    static const struct nlsh_neighbors empty = {.struct_size = sizeof empty};
    nlsh__options_init(neighbors, size, &empty, sizeof empty);
}

void nlsh_neighbors_free(struct nlsh_neighbors *neighbors)
{
    static const struct nlsh_neighbors empty = {.struct_size = sizeof empty};
    struct nlsh_neighbors ours = empty;
    if (neighbors == NULL) return;
    if (nlsh__options_take(&ours, sizeof ours, neighbors, "nlsh_neighbors", NULL) != NLSH_OK)
        return;
    nlsh__free(ours.ids);
    nlsh__free(ours.distances);
    nlsh__answer_give(neighbors, &empty, sizeof empty);
}

float nlsh__distance(enum nlsh_metric metric, float score)
{
    return metric == NLSH_L2 ? sqrtf(score) : score;
}

enum nlsh_status nlsh__neighbors_give(struct nlsh__neighbors *found, enum nlsh_metric metric,
                                      struct nlsh_neighbors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = found->n_rows * found->k;
    struct nlsh_neighbors ours = {
        .n_rows = found->n_rows, .k = found->k, .distances = found->l2sq, .metric = metric};
    NLSH_TRY(nlsh__alloc(&ours.ids, n, sizeof *ours.ids, error));
    for (size_t i = 0; i < n; i++)
        ours.ids[i] = found->ids[i] == NLSH__NO_ROW ? NLSH_NO_KEY : found->ids[i];
    for (size_t i = 0; i < n && ours.distances != NULL; i++)
        ours.distances[i] = nlsh__distance(metric, ours.distances[i]);
    found->l2sq = NULL; /* handed over */
    nlsh__answer_give(out, &ours, sizeof ours);
out:
    nlsh__neighbors_free(found);
    return status;
}

enum nlsh_status nlsh__neighbors_take(const struct nlsh_neighbors *given, size_t n_base,
                                      struct nlsh__neighbors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_neighbors ours = {0};
    size_t n;
    *out = (struct nlsh__neighbors){0};
    NLSH_TRY(nlsh__options_take(&ours, sizeof ours, given, "nlsh_neighbors", error));
    if (given == NULL || ours.ids == NULL || ours.n_rows == 0 || ours.k == 0 ||
        nlsh__mul(ours.n_rows, ours.k, &n) != 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "there are no neighbours");
    NLSH_TRY(nlsh__alloc(&out->ids, n, sizeof *out->ids, error));
    for (size_t i = 0; i < n; i++) {
        int missing = ours.ids[i] == NLSH_NO_KEY;
        if (!missing && ours.ids[i] >= n_base) {
            status = nlsh__fail(error, NLSH_E_MISMATCH, "take the neighbours of these vectors",
                                "row %zu has the neighbour %llu, and there are %zu vectors",
                                i / ours.k, (unsigned long long)ours.ids[i], n_base);
            goto out;
        }
        out->ids[i] = missing ? NLSH__NO_ROW : (uint32_t)ours.ids[i];
    }
    if (ours.distances != NULL) {
        NLSH_TRY(nlsh__alloc(&out->l2sq, n, sizeof *out->l2sq, error));
        memcpy(out->l2sq, ours.distances, n * sizeof *out->l2sq);
    }
    out->n_rows = ours.n_rows;
    out->k = ours.k;
out:
    if (status != NLSH_OK) nlsh__neighbors_free(out);
    return status;
}
