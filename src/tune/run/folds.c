/* folds.c - see folds.h. Ours. */
#include "tune/run/folds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "vectors/vectors.h"

enum {
    TRUTH_K = 10,       /* neighbours that a query must find */
    MAX_QUERIES = 10000 /* of a fold: recall is then known to +-.001 */
};

/* How one fold sees the rows of the base. */
struct cut {
    uint32_t *place; /* [n] the row's number among the fold's, or UINT32_MAX where it is held out */
    uint32_t *rows;  /* [n_rows] of the base */
    size_t n_rows;
    uint32_t *queries; /* [n_queries] held-out rows of the base */
    size_t n_queries;
};

static enum nlsh_status gather(const struct nlsh_matrix *base, const uint32_t *ids, size_t n,
                               void **out, struct nlsh_matrix *matrix, struct nlsh_error *error)
{
    size_t row = nlsh__row_bytes(base);
    enum nlsh_status status = nlsh__alloc(out, n, row, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++)
        memcpy((char *)*out + i * row, (const char *)base->data + ids[i] * row, row);
    *matrix = (struct nlsh_matrix){*out, n, base->dim, base->type, 0};
    return NLSH_OK;
}

/* Whose neighbours are sought: the fold's rows (a graph: each without itself) or its queries. */
struct wanted {
    const uint32_t *ids; /* [n] of the base */
    size_t n, k;
    int self; /* 1: a row is not its own neighbour */
};

/* The exact neighbours of the rows that the graph left short. */
static enum nlsh_status
fill_short(const struct nlsh_matrix *base, const struct nlsh_matrix *rows, const struct cut *cut,
           const struct wanted *w, enum nlsh_metric metric, const uint32_t *lacking,
           size_t n_lacking, const struct nlsh_run *run, uint32_t *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    void *memory = NULL;
    struct nlsh_matrix asked;
    struct nlsh_neighbors found;
    struct nlsh_run quiet = {.struct_size = sizeof quiet, .n_threads = run->n_threads};
    uint32_t *ids = NULL;
    nlsh_neighbors_init(&found, sizeof found);
    NLSH_TRY(nlsh__alloc(&ids, n_lacking, sizeof *ids, error));
    for (size_t i = 0; i < n_lacking; i++) ids[i] = w->ids[lacking[i]];
    NLSH_TRY(gather(base, ids, n_lacking, &memory, &asked, error));
    size_t k = w->k + (size_t)w->self;
    NLSH_TRY(nlsh_ground_truth(rows, &asked, metric, k, &quiet, &found, error));
    for (size_t i = 0; i < n_lacking; i++) {
        uint32_t *to = out + lacking[i] * w->k;
        size_t n = 0;
        for (size_t j = 0; j < k && n < w->k; j++) {
            uint32_t id = (uint32_t)found.ids[i * k + j];
            if (!w->self || id != cut->place[ids[i]]) to[n++] = id;
        }
    }
out:
    nlsh_neighbors_free(&found);
    nlsh__free(memory);
    nlsh__free(ids);
    return status;
}

/* Of each neighbour list of the whole graph, what lies among the fold's rows. */
static enum nlsh_status filter(const struct nlsh_matrix *base, const struct nlsh_matrix *rows,
                               const struct nlsh__neighbors *graph, const struct cut *cut,
                               const struct wanted *w, enum nlsh_metric metric,
                               const struct nlsh_run *run, uint32_t **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *lacking = NULL;
    size_t n_lacking = 0;
    NLSH_TRY(nlsh__alloc(out, w->n, w->k * sizeof **out, error));
    NLSH_TRY(nlsh__alloc(&lacking, w->n, sizeof *lacking, error));
    for (size_t i = 0; i < w->n; i++) {
        const uint32_t *from = graph->ids + w->ids[i] * graph->k;
        size_t n = 0;
        for (size_t j = 0; j < graph->k && n < w->k; j++)
            if (from[j] < base->n_rows && cut->place[from[j]] != UINT32_MAX)
                (*out)[i * w->k + n++] = cut->place[from[j]];
        if (n < w->k) lacking[n_lacking++] = (uint32_t)i;
    }
    if (n_lacking > 0)
        NLSH_TRY(fill_short(base, rows, cut, w, metric, lacking, n_lacking, run, *out, error));
out:
    nlsh__free(lacking);
    return status;
}

/* ---- which rows ------------------------------------------------------------------------------ */

static void cut_free(struct cut *cut)
{
    nlsh__free(cut->place);
    nlsh__free(cut->rows);
    nlsh__free(cut->queries);
}

/* order: the rows in random order; the fold's own are those from first to end. */
static enum nlsh_status cut_make(const uint32_t *order, size_t n, size_t first, size_t end,
                                 struct cut *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(&out->place, n, sizeof *out->place, error));
    NLSH_TRY(nlsh__alloc(&out->rows, n, sizeof *out->rows, error));
    NLSH_TRY(nlsh__alloc(&out->queries, end - first, sizeof *out->queries, error));
    for (size_t i = first; i < end; i++) {
        out->place[order[i]] = UINT32_MAX;
        if (out->n_queries < MAX_QUERIES) out->queries[out->n_queries++] = order[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (out->place[i] == UINT32_MAX) continue;
        out->place[i] = (uint32_t)out->n_rows;
        out->rows[out->n_rows++] = (uint32_t)i;
    }
out:
    return status;
}

/* ---- a fold ---------------------------------------------------------------------------------- */

static enum nlsh_status
fold_create(const struct nlsh_matrix *base, const struct nlsh_build_options *build,
            const struct cut *cut, size_t neighbors,
            const struct nlsh__neighbors graphs[NLSH__N_GRAPHS], const struct nlsh_run *run,
            const struct nlsh__job *job, struct nlsh__fold *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__learner_input *in = &out->input;
    size_t most = cut->n_rows - 1;
    NLSH_TRY(gather(base, cut->rows, cut->n_rows, &out->rows, &in->rows, error));
    NLSH_TRY(gather(base, cut->queries, cut->n_queries, &out->queries, &in->queries, error));
    struct wanted truth = {cut->queries, cut->n_queries, TRUTH_K < most ? TRUTH_K : most, 0};
    NLSH_TRY(filter(base, &in->rows, &graphs[NLSH_GRAPH_EXACT], cut, &truth, build->metric, run,
                    &out->truth, error));
    in->truth = out->truth;
    in->truth_k = truth.k;
    for (int g = 0; g < NLSH__N_GRAPHS; g++) {
        if (graphs[g].ids == NULL) continue;
        struct wanted own = {cut->rows, cut->n_rows, neighbors < most ? neighbors : most, 1};
        NLSH_TRY(filter(base, &in->rows, &graphs[g], cut, &own, build->metric, run, &out->graphs[g],
                        error));
        in->graphs[g] =
            (struct nlsh__neighbors){.n_rows = own.n, .k = own.k, .ids = out->graphs[g]};
    }
    NLSH_TRY(nlsh__learner_create(in, build, job, &out->learner, error));
out:
    return status;
}

/* So many neighbours of the whole graph that all but about one row in 4,000 has `wanted` of them in
 * a share of the rows: 3.5 standard deviations of the binomial's. */
static size_t neighbors_of_all(size_t wanted, double share, size_t n)
{
    double k = (double)wanted;
    while (k * share - 3.5 * sqrt(k * share * (1 - share)) < (double)wanted) k++;
    return k < (double)(n - 1) ? (size_t)k : n - 1;
}

static enum nlsh_status
all_graphs(const struct nlsh_matrix *base, const struct nlsh_build_options *build, size_t k,
           unsigned methods, const struct nlsh_run *run,
           struct nlsh__neighbors graphs[NLSH__N_GRAPHS], struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_neighbors found;
    nlsh_neighbors_init(&found, sizeof found);
    for (int g = 0; g < NLSH__N_GRAPHS; g++) {
        if (g != NLSH_GRAPH_EXACT && !(methods >> g & 1)) continue;
        NLSH_TRY(nlsh_graph_build(base, build->metric, (enum nlsh_graph_method)g, k, build->seed,
                                  run, &found, error));
        nlsh__free(found.distances); /* ids are enough */
        found.distances = NULL;
        NLSH_TRY(nlsh__neighbors_take(&found, base->n_rows, &graphs[g], error));
        nlsh_neighbors_free(&found);
    }
out:
    nlsh_neighbors_free(&found);
    return status;
}

/* 1: a fifth is held out, once. */
static size_t n_parts(size_t n_folds)
{
    return n_folds == 1 ? 5 : n_folds;
}

enum nlsh_status nlsh__folds_check(size_t n_rows, size_t n_folds, struct nlsh_error *error)
{
    if (n_rows >= 20 && n_rows / n_parts(n_folds) >= 5) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "tune on more vectors, or with fewer folds",
                      "%zu vectors are too few for %zu folds", n_rows, n_folds);
}

enum nlsh_status
nlsh__folds_create(const struct nlsh_matrix *base, const struct nlsh_build_options *build,
                   size_t n_folds, size_t neighbors, unsigned methods, const struct nlsh_run *run,
                   const struct nlsh__job *job, struct nlsh__folds *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = base->n_rows, parts = n_parts(n_folds);
    struct nlsh__neighbors graphs[NLSH__N_GRAPHS] = {{0}};
    struct nlsh__rng rng;
    uint32_t *order = NULL;
    *out = (struct nlsh__folds){0};
    NLSH_TRY(nlsh__folds_check(n, n_folds, error));
    if (neighbors < TRUTH_K) neighbors = TRUTH_K;
    size_t k = neighbors_of_all(neighbors, (double)(parts - 1) / (double)parts, n);
    NLSH_TRY(all_graphs(base, build, k, methods, run, graphs, error));
    NLSH_TRY(nlsh__alloc(&order, n, sizeof *order, error));
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    nlsh__rng_init(&rng, build->seed, 0x666f6c64);
    nlsh__rng_shuffle(&rng, order, n);
    NLSH_TRY(nlsh__calloc(&out->folds, n_folds, sizeof *out->folds, error));
    for (size_t f = 0; f < n_folds; f++) {
        struct cut cut = {0};
        status = cut_make(order, n, n * f / parts, n * (f + 1) / parts, &cut, error);
        out->n = f + 1;
        if (status == NLSH_OK)
            status =
                fold_create(base, build, &cut, neighbors, graphs, run, job, &out->folds[f], error);
        cut_free(&cut);
        if (status != NLSH_OK) break;
    }
out:
    nlsh__free(order);
    for (int g = 0; g < NLSH__N_GRAPHS; g++) nlsh__neighbors_free(&graphs[g]);
    if (status != NLSH_OK) nlsh__folds_free(out);
    return status;
}

void nlsh__folds_free(struct nlsh__folds *folds)
{
    for (size_t f = 0; f < folds->n; f++) {
        struct nlsh__fold *fold = &folds->folds[f];
        nlsh__learner_free(fold->learner);
        nlsh__free(fold->rows);
        nlsh__free(fold->queries);
        nlsh__free(fold->truth);
        for (int g = 0; g < NLSH__N_GRAPHS; g++) nlsh__free(fold->graphs[g]);
    }
    nlsh__free(folds->folds);
    *folds = (struct nlsh__folds){0};
}
