/* learner.c - see learner.h: the pipeline's steps again and again, with what a trial does not change
 * kept. */
#include "make/learner.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "kernels/metric.h"
#include "make/resolve.h"
#include "make/stages.h"
#include "make/write.h"
#include "measure/margins.h"

struct nlsh__learner {
    const struct nlsh__learner_input *input;
    const struct nlsh__job *job;
    struct nlsh__dataset data, queries;
    struct nlsh__space space;
    struct nlsh__held held; /* of the rows: where training and promises are measured */
    struct nlsh__held_out asked;
    float *scaled; /* the queries at the length that the router knows: NLSH_IP */
    /* What the last run was made with, and what of it the next may use again: */
    struct nlsh_build_options options;
    struct nlsh__neighbors augmented; /* NLSH_IP: the graph that is cut; else empty */
    struct nlsh__csr csr;
    enum nlsh_graph_method csr_graph; /* what csr was made of */
    size_t csr_knn;
    struct nlsh__inputs inputs;
    size_t components; /* that inputs were asked to have */
    struct nlsh__learned learned;
};

/* Queries as nlsh_search() brings them to the router. */
static enum nlsh_status take_queries(struct nlsh__learner *l, enum nlsh_metric metric,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_matrix *q = &l->asked.queries;
    NLSH_TRY(nlsh__metric_values(metric, "queries", &l->queries, error));
    *q = l->queries.matrix;
    l->asked.truth = l->input->truth;
    l->asked.k = l->input->truth_k;
    if (metric != NLSH_IP) goto out;
    NLSH_TRY(nlsh__alloc(&l->scaled, q->n_rows * q->dim, sizeof *l->scaled, error));
    for (size_t i = 0; i < q->n_rows; i++)
        (void)nlsh__scale_to((const float *)q->data + i * q->dim, q->dim,
                             (double)l->space.query_norm, l->scaled + i * q->dim);
    q->data = l->scaled;
out:
    return status;
}

enum nlsh_status nlsh__learner_create(const struct nlsh__learner_input *input,
                                      const struct nlsh_build_options *options,
                                      const struct nlsh__job *job, struct nlsh__learner **out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__learner *l;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&l, 1, sizeof *l, error));
    l->input = input;
    l->job = job;
    l->options = *options;
    NLSH_TRY(nlsh__dataset_init(&input->rows, &l->data, error));
    NLSH_TRY(nlsh__dataset_init(&input->queries, &l->queries, error));
    NLSH_TRY(nlsh__dataset_pair(&l->data, &l->queries, error));
    NLSH_TRY(nlsh__metric_values(options->metric, "base", &l->data, error));
    NLSH_TRY(nlsh__space_init(options->metric, &l->data, &l->space, error));
    NLSH_TRY(take_queries(l, options->metric, error));
    NLSH_TRY(
        nlsh__hold_out(&l->data.matrix, &l->space, options, NLSH__MARGINS_K, job, &l->held, error));
    *out = l;
    return NLSH_OK;
out:
    nlsh__learner_free(l);
    return status;
}

void nlsh__learner_free(struct nlsh__learner *l)
{
    if (l == NULL) return;
    nlsh__learned_free(&l->learned);
    nlsh__inputs_free(&l->inputs);
    nlsh__csr_free(&l->csr);
    nlsh__neighbors_free(&l->augmented);
    nlsh__free(l->scaled);
    nlsh__held_free(&l->held);
    nlsh__space_free(&l->space);
    nlsh__dataset_free(&l->queries);
    nlsh__dataset_free(&l->data);
    nlsh__free(l);
}

/* The graphs that the settings name, and no symmetric one of others. */
static enum nlsh_status choose_graphs(struct nlsh__learner *l, struct nlsh__graphs *out,
                                      struct nlsh_error *error)
{
    const struct nlsh_build_options *o = &l->options;
    const struct nlsh__neighbors *given = &l->input->graphs[o->graph];
    size_t k = nlsh__graph_k(o, l->data.matrix.n_rows);
    int from_cache, inner = o->metric == NLSH_IP;
    enum nlsh_status status = NLSH_OK;
    if (given->k < k)
        return nlsh__fail(error, NLSH_E_INTERNAL, NULL, "a graph with %zu neighbours, not %zu",
                          given->k, k);
    if (l->csr_graph != o->graph || l->csr_knn != o->knn) nlsh__csr_free(&l->csr);
    l->csr_graph = o->graph;
    l->csr_knn = o->knn;
    /* One found through cells is not what a build of these rows alone would find. */
    *out = (struct nlsh__graphs){given, given,
                                 o->graph == NLSH_GRAPH_EXACT ? "" : " graph of all rows"};
    if (!inner) return NLSH_OK;
    if (l->augmented.k < k) {
        nlsh__neighbors_free(&l->augmented);
        status =
            nlsh__stage_graph(&l->space.rows, l->data.hash, " ip, augmented", NLSH_L2, o->graph,
                              given->k, o->seed, l->job, &l->augmented, &from_cache, error);
    }
    out->cut = &l->augmented;
    return status;
}

/* What the last run learned from. */
static struct nlsh__ground ground_of(const struct nlsh__learner *l, struct nlsh__graphs graphs,
                                     struct nlsh__csr *csr)
{
    return (struct nlsh__ground){.options = &l->options,
                                 .job = l->job,
                                 .data = &l->data,
                                 .space = &l->space,
                                 .graphs = graphs,
                                 .csr = csr,
                                 .inputs = &l->inputs,
                                 .held = &l->held};
}

enum nlsh_status nlsh__learner_run(struct nlsh__learner *l,
                                   const struct nlsh_build_options *options,
                                   const struct nlsh__watch *watch, int *partition_from_cache,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__graphs graphs;
    struct nlsh__learn_times times;
    nlsh__learned_free(&l->learned);
    l->options = *options;
    /* It has the graphs that it was given. */
    if (l->options.graph == NLSH_GRAPH_AUTO) l->options.graph = NLSH_GRAPH_EXACT;
    NLSH_TRY(nlsh__resolve(&l->data.matrix, &l->options, error));
    NLSH_TRY(choose_graphs(l, &graphs, error));
    if (l->inputs.rows == NULL || l->components != l->options.components) {
        nlsh__inputs_free(&l->inputs);
        NLSH_TRY(
            nlsh__make_inputs(&l->space, &l->data.matrix, &l->options, l->job, &l->inputs, error));
        l->components = l->options.components;
    }
    const struct nlsh__ground ground = ground_of(l, graphs, &l->csr);
    NLSH_TRY(nlsh__learn(&ground, watch, &l->learned, &times, error));
    *partition_from_cache = times.from_cache;
out:
    return status;
}

enum nlsh_status nlsh__learner_glimpse(const struct nlsh__learner *l,
                                       const struct nlsh__glimpse *now, size_t n_queries, double T,
                                       double wanted, struct nlsh__held_out_score *out,
                                       struct nlsh_error *error)
{
    return nlsh__held_out_score(now->router, &l->asked, n_queries, now->bucket_of,
                                l->data.matrix.n_rows, l->options.n_buckets, T, wanted, l->job, out,
                                error);
}

enum nlsh_status nlsh__learner_score(const struct nlsh__learner *l, size_t n_queries, double T,
                                     double wanted, struct nlsh__held_out_score *out,
                                     struct nlsh_error *error)
{
    const struct nlsh__glimpse last = {l->learned.router, l->learned.bucket_of};
    return nlsh__learner_glimpse(l, &last, n_queries, T, wanted, out, error);
}

enum nlsh_status nlsh__learner_write(const struct nlsh__learner *l, const char *path,
                                     struct nlsh_error *error)
{
    struct nlsh__csr none = {0}; /* nothing is cut any more */
    struct nlsh__written written;
    const struct nlsh__ground ground = ground_of(l, (struct nlsh__graphs){NULL, NULL, ""}, &none);
    return nlsh__write_index(&ground, &l->learned, NULL, NULL, path, &written, error);
}
