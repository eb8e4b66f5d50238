/*
 * build.c - the pipeline: the only place that composes stages.
 *
 *   vectors -> k-NN graph -> principal components -> partition -> router -> calibration -> file
 *
 * Graph and partition go through the cache, so that a build that was stopped goes on behind them.
 * A share of the rows is held out of training: on them `auto` compares partitions, and search's
 * recall targets are measured. Partition and router are buckets.c's, the file is write.c's.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/output.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/sized.h"
#include "cache/cache.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "make/pipeline.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "make/stages.h"
#include "partition/partition.h"

enum { MAX_HELD = 5000 }; /* recall is then known to +-.002 */

const struct nlsh__neighbors *nlsh__build_truth(const struct nlsh__build *b)
{
    return b->options.metric == NLSH_IP ? &b->truth : &b->graph;
}

/* ---- held-out rows --------------------------------------------------------------------------- */

enum nlsh_status nlsh__hold_out(struct nlsh__build *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__rng rng;
    size_t n = b->data.matrix.n_rows, n_held = n / 20 < MAX_HELD ? n / 20 : MAX_HELD;
    if (n_held < 10) n_held = 0;
    NLSH_TRY(nlsh__alloc(&b->held_rows, n, sizeof *b->held_rows, error));
    NLSH_TRY(nlsh__alloc(&b->train_rows, n, sizeof *b->train_rows, error));
    nlsh__rng_init(&rng, b->options.seed, 0x68656c64);
    nlsh__rng_sample(&rng, n, n_held, b->held_rows);
    for (size_t i = 0, h = 0; i < n; i++) {
        if (h < n_held && b->held_rows[h] == i)
            h++;
        else
            b->train_rows[b->n_train++] = (uint32_t)i;
    }
    b->n_held = n_held;
    if (n_held == 0) {
        b->n_held = n < MAX_HELD ? n : MAX_HELD;
        for (size_t i = 0; i < b->n_held; i++) b->held_rows[i] = (uint32_t)i;
    }
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void nlsh__drop_inputs(struct nlsh__build *b)
{
    if (b->query_inputs != b->inputs) nlsh__free(b->query_inputs);
    if (b->cell_inputs != b->inputs) nlsh__free(b->cell_inputs);
    nlsh__free(b->inputs);
    b->inputs = b->query_inputs = b->cell_inputs = NULL;
    nlsh__projection_free(&b->projection);
    b->projection = (struct nlsh__projection){0};
}

void nlsh__build_free(struct nlsh__build *b)
{
    nlsh__drop_router(b);
    nlsh__free(b->bucket_of);
    nlsh__free(b->train_rows);
    nlsh__free(b->held_rows);
    nlsh__drop_inputs(b);
    nlsh__space_free(&b->space);
    nlsh__neighbors_free(&b->truth);
    nlsh__neighbors_free(&b->held_truth);
    nlsh__csr_free(&b->csr);
    nlsh__neighbors_free(&b->graph);
    nlsh__dataset_free(&b->data);
}

/* By inner product a row's nearest in the space of distances are not what it would find as a query:
 * the cut takes the one graph, labels and calibration the other. */
static enum nlsh_status make_graphs(struct nlsh__build *b, size_t k, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = &b->options;
    int *from_cache = &b->report.from_cache[NLSH_STAGE_GRAPH];
    int inner = o->metric == NLSH_IP;
    NLSH_TRY(nlsh__stage_graph(
        &b->space.rows, b->data.hash, inner ? " ip, augmented" : nlsh__space_name(o->metric),
        inner ? NLSH_L2 : o->metric, o->graph, k, o->seed, b->job, &b->graph, from_cache, error));
    if (inner)
        NLSH_TRY(nlsh__stage_graph(&b->data.matrix, b->data.hash, nlsh__space_name(NLSH_IP),
                                   NLSH_IP, o->graph, k, o->seed, b->job, &b->truth, from_cache,
                                   error));
out:
    return status;
}

static enum nlsh_status project_rows(const struct nlsh__build *b, const struct nlsh_matrix *rows,
                                     float **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(out, rows->n_rows * b->projection.n_components, sizeof **out, error));
    NLSH_TRY(nlsh__project(&b->projection, rows, b->job, *out, error));
out:
    return status;
}

/* By inner product k-means sees the coordinate that the rows were given besides, and more of it than
 * it is: who is long wins everywhere and should have buckets of its own. Fashion-MNIST, held-out
 * candidates at recall .95 with 0, 1, 2, 4 and 8 times: 533, 374, 338, 303, 394. */
static enum nlsh_status add_lengths(struct nlsh__build *b, struct nlsh_error *error)
{
    const float share = 4;
    size_t n = b->data.matrix.n_rows, p = b->projection.n_components, dim = b->space.rows.dim;
    enum nlsh_status status = nlsh__alloc(&b->cell_inputs, n * (p + 1), sizeof(float), error);
    if (status != NLSH_OK) return status;
    b->n_cell_inputs = p + 1;
    for (size_t i = 0; i < n; i++) {
        float added = ((const float *)b->space.rows.data)[i * dim + dim - 1];
        memcpy(b->cell_inputs + i * (p + 1), b->inputs + i * p, p * sizeof(float));
        b->cell_inputs[i * (p + 1) + p] = share * b->projection.scale * added;
    }
    return NLSH_OK;
}

/* Neighbours that the settings ask of the graph. */
size_t nlsh__graph_k(const struct nlsh__build *b)
{
    const struct nlsh_build_options *o = &b->options;
    size_t k = o->knn > NLSH__TRUTH_K ? o->knn : NLSH__TRUTH_K;
    if (o->labels == NLSH_LABELS_SOFT && o->label_knn > k) k = o->label_knn;
    return k < b->data.matrix.n_rows ? k : b->data.matrix.n_rows - 1;
}

/* Principal components and what is made of them: the network's inputs, and k-means's. */
enum nlsh_status nlsh__make_inputs(struct nlsh__build *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = &b->options;
    if (o->metric == NLSH_IP)
        NLSH_TRY(nlsh__pca_uncentred(&b->data.matrix, o->components, o->seed, b->job,
                                     &b->projection, error));
    else
        NLSH_TRY(nlsh__pca(&b->data.matrix, o->components, o->seed, b->job, &b->projection, error));
    NLSH_TRY(project_rows(b, &b->data.matrix, &b->inputs, error));
    b->query_inputs = b->cell_inputs = b->inputs;
    b->n_cell_inputs = b->projection.n_components;
    if (o->metric == NLSH_IP) {
        b->query_inputs = b->cell_inputs = NULL;
        NLSH_TRY(project_rows(b, &b->space.queries, &b->query_inputs, error));
        NLSH_TRY(add_lengths(b, error));
    }
out:
    return status;
}

/* A library that is not here is found out before the graph is made, which may take minutes; a
 * partition that lies in the cache needs none. */
static enum nlsh_status check_partitioner(struct nlsh__build *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    char key[160];
    int found = 0;
    uint32_t *bucket_of = NULL;
    size_t n = b->data.matrix.n_rows;
    if (b->options.partitioner != NLSH_PARTITIONER_KAHIP) return NLSH_OK;
    nlsh__partition_key(b, NLSH_PARTITIONER_KAHIP, key, sizeof key);
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    NLSH_TRY(nlsh__cache_get_partition(b->job, key, b->data.hash, n, b->options.n_buckets,
                                       bucket_of, &found, error));
    if (!found) NLSH_TRY(nlsh__kahip_check(error));
out:
    nlsh__free(bucket_of);
    return status;
}

/* Neighbours beyond 100 are asked for too rarely to be measured. */
enum nlsh_status nlsh__find_held_truth(struct nlsh__build *b, struct nlsh_error *error)
{
    enum { MOST_K = 100 };
    int inner = b->options.metric == NLSH_IP;
    size_t others = b->data.matrix.n_rows - 1;
    return nlsh__stage_exact_rows(&b->data.matrix, inner ? &b->space.queries : &b->data.matrix,
                                  b->held_rows, b->n_held, inner ? NLSH_IP : NLSH_L2,
                                  others < MOST_K ? others : MOST_K, b->job, &b->held_truth, error);
}

static enum nlsh_status run_stages(struct nlsh__build *b, const char *path,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    double *seconds = b->report.seconds, start = nlsh__now();
    NLSH_TRY(check_partitioner(b, error));
    NLSH_TRY(make_graphs(b, nlsh__graph_k(b), error));
    seconds[NLSH_STAGE_GRAPH] = nlsh__now() - start;
    NLSH_TRY(nlsh__make_inputs(b, error));
    NLSH_TRY(nlsh__hold_out(b, error));
    NLSH_TRY(nlsh__find_held_truth(b, error));
    NLSH_TRY(nlsh__partition_and_train(b, error));
    start = nlsh__now();
    NLSH_TRY(nlsh__write_index(b, path, error));
    seconds[NLSH_STAGE_WRITE] = nlsh__now() - start;
out:
    return status;
}

static enum nlsh_status take_inputs(struct nlsh__build *b, const struct nlsh_matrix *base,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &b->data, error));
    NLSH_TRY(nlsh__resolve(&b->data.matrix, &b->options, error));
    NLSH_TRY(nlsh__metric_values(b->options.metric, "base", &b->data, error));
    NLSH_TRY(nlsh__space_init(b->options.metric, &b->data, &b->space, error));
out:
    return status;
}

enum nlsh_status nlsh__build_check(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh_error *error)
{
    struct nlsh__build b = {.options = *options};
    enum nlsh_status status = take_inputs(&b, base, error);
    if (status == NLSH_OK && options->partitioner == NLSH_PARTITIONER_KAHIP)
        status = nlsh__kahip_check(error);
    nlsh__build_free(&b);
    return status;
}

enum nlsh_status nlsh_build(const struct nlsh_matrix *base,
                            const struct nlsh_build_options *options, const char *path,
                            const struct nlsh_run *run, struct nlsh_build_report *report,
                            struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh__build b = {.job = &job};
    struct nlsh__output *probe = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_settings(options, &b.options, error));
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_build_report", error));
    NLSH_TRY(take_inputs(&b, base, error));
    /* An output that cannot be written is found out now and not after the work. */
    NLSH_TRY(nlsh__output_open_file(path, &probe, error));
    nlsh__output_abort(probe);
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(run_stages(&b, path, error));
    struct nlsh__map written;
    NLSH_TRY(nlsh__map_open(path, &written, error));
    b.report.index_bytes = written.size;
    nlsh__map_close(&written);
    if (report != NULL) nlsh__answer_give(report, &b.report, sizeof b.report);
out:
    nlsh__job_end(&job);
    nlsh__build_free(&b);
    return status;
}
