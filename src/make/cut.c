/* cut.c - see cut.h. */
#include "make/cut.h"

#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/names.h"
#include "cache/cache.h"
#include "make/resolve.h"
#include "partition/partition.h"

/* Everything that a partition depends on besides the vectors. components: of the cells' rows. */
static void key_of(const struct nlsh_build_options *o, enum nlsh_partitioner partitioner, int drew,
                   size_t components, const char *whence, char out[200])
{
    double imbalance = nlsh__imbalance(o, partitioner);
    if (partitioner == NLSH_PARTITIONER_KMEANS)
        snprintf(out, 200, "kmeans v2 m=%zu imbalance=%.9g seed=%llu components=%zu%s",
                 o->n_buckets, imbalance, (unsigned long long)o->seed, components,
                 nlsh__space_name(o->metric));
    else if (partitioner == NLSH_PARTITIONER_VCYCLE)
        snprintf(
            out, 200,
            "vcycle v2 drew=%d m=%zu imbalance=%.9g seed=%llu components=%zu graph=%d knn=%zu%s%s",
            drew, o->n_buckets, imbalance, (unsigned long long)o->seed, components, (int)o->graph,
            o->knn, nlsh__space_name(o->metric), whence);
    else
        snprintf(out, 200, "%s v2 mode=%d m=%zu imbalance=%.9g seed=%llu graph=%d knn=%zu%s%s",
                 nlsh__name(NLSH__PARTITIONER, (int)partitioner),
                 partitioner == NLSH_PARTITIONER_KAHIP ? o->kahip_mode : 0, o->n_buckets, imbalance,
                 (unsigned long long)o->seed, (int)o->graph, o->knn, nlsh__space_name(o->metric),
                 whence);
}

int nlsh__cut_drew(const struct nlsh__ground *g, enum nlsh_partitioner partitioner)
{
    if (partitioner == NLSH_PARTITIONER_KMEANS) return 0;
    return partitioner != NLSH_PARTITIONER_VCYCLE || nlsh__n_unseen(g) == 0 ||
           !nlsh__in_leaves(g->options, g->data->matrix.n_rows);
}

static enum nlsh_status cycle(const struct nlsh__ground *g, const struct nlsh__csr *csr,
                              uint32_t *bucket_of, struct nlsh_error *error)
{
    const struct nlsh_build_options *o = g->options;
    const struct nlsh__unseen unseen = {.rows = g->held->held_rows,
                                        .n = nlsh__n_unseen(g),
                                        .all_move = nlsh__cut_drew(g, NLSH_PARTITIONER_VCYCLE)};
    return nlsh__partition_vcycle(csr, o->n_buckets, nlsh__imbalance(o, NLSH_PARTITIONER_VCYCLE),
                                  o->seed, &unseen, g->job, bucket_of, error);
}

static enum nlsh_status compute(const struct nlsh__ground *g, enum nlsh_partitioner partitioner,
                                int has_cells, uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = g->options;
    const struct nlsh__csr *csr;
    double imbalance = nlsh__imbalance(o, partitioner);
    int begins_with_cells =
        partitioner == NLSH_PARTITIONER_KMEANS || partitioner == NLSH_PARTITIONER_VCYCLE;
    if (begins_with_cells && !has_cells)
        NLSH_TRY(nlsh__partition_kmeans(g->inputs->cells, g->data->matrix.n_rows,
                                        g->inputs->n_cells, o->n_buckets, imbalance, o->seed,
                                        g->job, bucket_of, error));
    if (partitioner == NLSH_PARTITIONER_KMEANS) return NLSH_OK;
    NLSH_TRY(nlsh__job_progress(g->job, "graph partition", 0, 0, error));
    NLSH_TRY(nlsh__ground_csr(g, &csr, error));
    if (partitioner == NLSH_PARTITIONER_VCYCLE)
        NLSH_TRY(cycle(g, csr, bucket_of, error));
    else if (partitioner == NLSH_PARTITIONER_METIS)
        NLSH_TRY(
            nlsh__partition_metis(csr, o->n_buckets, imbalance, o->seed, g->job, bucket_of, error));
    else
        NLSH_TRY(nlsh__partition_kahip(csr, o->n_buckets, imbalance, o->kahip_mode, o->seed, g->job,
                                       bucket_of, error));
    NLSH_TRY(nlsh__job_progress(g->job, "graph partition", 1, 1, error));
out:
    return status;
}

enum nlsh_status nlsh__cut(const struct nlsh__ground *g, enum nlsh_partitioner partitioner,
                           int has_cells, uint32_t *bucket_of, int *from_cache,
                           struct nlsh_error *error)
{
    char key[200];
    size_t n = g->data->matrix.n_rows, m = g->options->n_buckets;
    uint64_t hash = g->data->hash;
    key_of(g->options, partitioner, nlsh__cut_drew(g, partitioner),
           g->inputs->projection.n_components, g->graphs.whence, key);
    enum nlsh_status status =
        nlsh__cache_get_partition(g->job, key, hash, n, m, bucket_of, from_cache, error);
    if (status != NLSH_OK) return status;
    if (*from_cache) {
        nlsh__job_note(g->job, "%s partition: taken from the cache",
                       nlsh__name(NLSH__PARTITIONER, (int)partitioner));
        return NLSH_OK;
    }
    status = compute(g, partitioner, has_cells, bucket_of, error);
    if (status == NLSH_OK) nlsh__cache_put_partition(g->job, key, hash, n, m, bucket_of);
    return status;
}

enum nlsh_status nlsh__cut_check(const struct nlsh_build_options *options, uint64_t hash,
                                 size_t n_rows, const struct nlsh__job *job,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    char key[200];
    int found = 0;
    uint32_t *bucket_of = NULL;
    if (options->partitioner != NLSH_PARTITIONER_KAHIP) return NLSH_OK;
    key_of(options, NLSH_PARTITIONER_KAHIP, 1, 0, "", key);
    NLSH_TRY(nlsh__alloc(&bucket_of, n_rows, sizeof *bucket_of, error));
    NLSH_TRY(nlsh__cache_get_partition(job, key, hash, n_rows, options->n_buckets, bucket_of,
                                       &found, error));
    if (!found) NLSH_TRY(nlsh__kahip_check(error));
out:
    nlsh__free(bucket_of);
    return status;
}
