/* learner.c - see learner.h: the pipeline's steps again and again, with what a trial does not change
 * kept. */
#include "make/learner.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "kernels/metric.h"
#include "make/pipeline.h"
#include "make/resolve.h"
#include "make/stages.h"
#include "measure/heldout.h"

struct nlsh__learner {
    struct nlsh__build b;
    const struct nlsh__learner_input *input;
    struct nlsh__dataset queries;
    struct nlsh__held_out held;
    float *scaled; /* the queries at the length that the router knows: NLSH_IP */
    uint64_t hash; /* of the rows */
    enum nlsh_graph_method csr_graph;
    size_t csr_knn;    /* what b.csr was made of */
    size_t components; /* that b.inputs was asked to have */
};

/* Queries as nlsh_search() brings them to the router. */
static enum nlsh_status learner_queries(struct nlsh__learner *l, enum nlsh_metric metric,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_matrix *q = &l->held.queries;
    NLSH_TRY(nlsh__metric_values(metric, "queries", &l->queries, error));
    *q = l->queries.matrix;
    l->held.truth = l->input->truth;
    l->held.k = l->input->truth_k;
    if (metric != NLSH_IP) goto out;
    NLSH_TRY(nlsh__alloc(&l->scaled, q->n_rows * q->dim, sizeof *l->scaled, error));
    for (size_t i = 0; i < q->n_rows; i++)
        (void)nlsh__scale_to((const float *)q->data + i * q->dim, q->dim,
                             (double)l->b.space.query_norm, l->scaled + i * q->dim);
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
    struct nlsh__build *b = &l->b;
    l->input = input;
    b->options = *options;
    b->job = job;
    NLSH_TRY(nlsh__dataset_init(&input->rows, &b->data, error));
    NLSH_TRY(nlsh__dataset_init(&input->queries, &l->queries, error));
    NLSH_TRY(nlsh__dataset_pair(&b->data, &l->queries, error));
    l->hash = b->data.hash;
    NLSH_TRY(nlsh__metric_values(options->metric, "base", &b->data, error));
    NLSH_TRY(nlsh__space_init(options->metric, &b->data, &b->space, error));
    NLSH_TRY(learner_queries(l, options->metric, error));
    NLSH_TRY(nlsh__hold_out(b, error));
    NLSH_TRY(nlsh__find_held_truth(b, error));
    *out = l;
    return NLSH_OK;
out:
    nlsh__learner_free(l);
    return status;
}

void nlsh__learner_free(struct nlsh__learner *l)
{
    if (l == NULL) return;
    /* By L2 and cosine the graph is the caller's; by inner product it is ours, and truth is not. */
    if (l->b.options.metric != NLSH_IP) l->b.graph = (struct nlsh__neighbors){0};
    l->b.truth = (struct nlsh__neighbors){0};
    nlsh__build_free(&l->b);
    nlsh__dataset_free(&l->queries);
    nlsh__free(l->scaled);
    nlsh__free(l);
}

/* The graph that the settings name, and no symmetric one of another. */
static enum nlsh_status learner_graph(struct nlsh__learner *l, struct nlsh_error *error)
{
    struct nlsh__build *b = &l->b;
    const struct nlsh_build_options *o = &b->options;
    const struct nlsh__neighbors *given = &l->input->graphs[o->graph];
    if (given->k < nlsh__graph_k(b))
        return nlsh__fail(error, NLSH_E_INTERNAL, NULL, "a graph with %zu neighbours, not %zu",
                          given->k, nlsh__graph_k(b));
    if (l->csr_graph != o->graph || l->csr_knn != o->knn) nlsh__csr_free(&b->csr);
    l->csr_graph = o->graph;
    l->csr_knn = o->knn;
    /* One found through cells is not what a build of these rows alone would find. */
    b->data.hash = o->graph == NLSH_GRAPH_EXACT ? l->hash : l->hash ^ 0x666f6c6469766600;
    if (o->metric != NLSH_IP) {
        b->graph = *given;
        return NLSH_OK;
    }
    b->truth = *given;
    if (b->graph.k >= nlsh__graph_k(b)) return NLSH_OK;
    nlsh__neighbors_free(&b->graph);
    return nlsh__stage_graph(&b->space.rows, b->data.hash, " ip, augmented", NLSH_L2, o->graph,
                             given->k, o->seed, b->job, &b->graph,
                             &b->report.from_cache[NLSH_STAGE_GRAPH], error);
}

enum nlsh_status nlsh__learner_run(struct nlsh__learner *l,
                                   const struct nlsh_build_options *options, nlsh__watch_fn *watch,
                                   void *user, struct nlsh__learned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__build *b = &l->b;
    nlsh__drop_router(b);
    nlsh__free(b->bucket_of);
    b->bucket_of = NULL;
    b->report = (struct nlsh_build_report){0};
    b->options = *options;
    b->watch = watch;
    b->watch_user = user;
    /* It has the graphs that it was given. */
    if (b->options.graph == NLSH_GRAPH_AUTO) b->options.graph = NLSH_GRAPH_EXACT;
    NLSH_TRY(nlsh__resolve(&b->data.matrix, &b->options, error));
    NLSH_TRY(learner_graph(l, error));
    if (b->inputs == NULL || l->components != b->options.components) {
        nlsh__drop_inputs(b);
        NLSH_TRY(nlsh__make_inputs(b, error));
        l->components = b->options.components;
    }
    NLSH_TRY(nlsh__partition_and_train(b, error));
    *out = (struct nlsh__learned){
        .router = b->router,
        .bucket_of = b->bucket_of,
        .n_rows = b->data.matrix.n_rows,
        .m = b->options.n_buckets,
        .partition_from_cache = b->report.from_cache[NLSH_STAGE_PARTITION],
    };
out:
    return status;
}

enum nlsh_status nlsh__learner_score(const struct nlsh__learner *l,
                                     const struct nlsh__learned *learned, size_t n_queries,
                                     double T, double wanted, struct nlsh__held_out_score *out,
                                     struct nlsh_error *error)
{
    return nlsh__held_out_score(learned->router, &l->held, n_queries, learned->bucket_of,
                                learned->n_rows, learned->m, T, wanted, l->b.job, out, error);
}

enum nlsh_status nlsh__learner_write(struct nlsh__learner *l, const char *path,
                                     struct nlsh_error *error)
{
    return nlsh__write_index(&l->b, path, error);
}
