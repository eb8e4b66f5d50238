/*
 * groups.c - see groups.h. A bucket's centre is the mean of the rows that find a neighbour in it;
 * k-means with no tolerance in size divides the centres. Ours.
 */
#include "make/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "partition/partition.h"

enum {
    MAX_ROWS = 200000, /* that say where buckets are */
    MAX_NEIGHBORS = 5  /* of each */
};

static enum nlsh_status
centres_of(const float *queries, size_t dim, const struct nlsh__neighbors *neighbors, size_t m,
           const uint32_t *bucket_of, float *centres, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = neighbors->n_rows, step = (n + MAX_ROWS - 1) / MAX_ROWS;
    size_t k = neighbors->k < MAX_NEIGHBORS ? neighbors->k : MAX_NEIGHBORS;
    double *sums = NULL;
    size_t *counts = NULL;
    NLSH_TRY(nlsh__calloc(&sums, m, dim * sizeof *sums, error));
    NLSH_TRY(nlsh__calloc(&counts, m, sizeof *counts, error));
    for (size_t i = 0; i < n; i += step)
        for (size_t j = 0; j < k; j++) {
            size_t b = bucket_of[neighbors->ids[i * neighbors->k + j]];
            counts[b]++;
            for (size_t d = 0; d < dim; d++) sums[b * dim + d] += (double)queries[i * dim + d];
        }
    /* A bucket that no such row needs stays in the middle. */
    for (size_t b = 0; b < m; b++)
        for (size_t d = 0; d < dim; d++)
            centres[b * dim + d] =
                counts[b] > 0 ? (float)(sums[b * dim + d] / (double)counts[b]) : 0;
out:
    nlsh__free(sums);
    nlsh__free(counts);
    return status;
}

/* Numbers buckets by group, then as they were. */
static enum nlsh_status renumber(size_t n, size_t m, const struct nlsh__groups *groups,
                                 uint32_t *group_of, uint32_t *bucket_of, struct nlsh_error *error)
{
    uint32_t *next = NULL, *number = NULL;
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&next, groups->n, sizeof *next, error));
    NLSH_TRY(nlsh__alloc(&number, m, sizeof *number, error));
    memcpy(next, groups->first, groups->n * sizeof *next);
    for (size_t b = 0; b < m; b++) number[b] = next[group_of[b]]++;
    for (size_t i = 0; i < n; i++) bucket_of[i] = number[bucket_of[i]];
    for (size_t g = 0; g < groups->n; g++)
        for (uint32_t b = groups->first[g]; b < groups->first[g + 1]; b++)
            group_of[b] = (uint32_t)g;
out:
    nlsh__free(next);
    nlsh__free(number);
    return status;
}

enum nlsh_status nlsh__group_buckets(const float *queries, size_t dim,
                                     const struct nlsh__neighbors *neighbors, size_t m,
                                     size_t n_groups, uint64_t seed, const struct nlsh__job *job,
                                     uint32_t *bucket_of, struct nlsh__groups *groups,
                                     uint32_t **group_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    float *centres = NULL;
    *group_of = NULL;
    *groups = (struct nlsh__groups){.n = n_groups};
    NLSH_TRY(nlsh__alloc(&centres, m, dim * sizeof *centres, error));
    NLSH_TRY(nlsh__calloc(&groups->first, n_groups + 1, sizeof *groups->first, error));
    NLSH_TRY(nlsh__alloc(group_of, m, sizeof **group_of, error));
    NLSH_TRY(centres_of(queries, dim, neighbors, m, bucket_of, centres, error));
    NLSH_TRY(nlsh__partition_kmeans(centres, m, dim, n_groups, 0, seed, job, *group_of, error));
    for (size_t b = 0; b < m; b++) groups->first[(*group_of)[b] + 1]++;
    for (size_t g = 0; g < n_groups; g++) groups->first[g + 1] += groups->first[g];
    NLSH_TRY(renumber(neighbors->n_rows, m, groups, *group_of, bucket_of, error));
out:
    nlsh__free(centres);
    if (status != NLSH_OK) {
        nlsh__groups_free(groups);
        nlsh__free(*group_of);
        *group_of = NULL;
    }
    return status;
}

void nlsh__groups_free(struct nlsh__groups *groups)
{
    nlsh__free(groups->first);
    *groups = (struct nlsh__groups){0};
}
