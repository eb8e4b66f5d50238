/* ground.c - see ground.h. */
#include "make/ground.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "make/folds.h"
#include "make/stages.h"

enum {
    MOST_HELD = 5000, /* recall is then known to +-.002 */
    HELD_IN = 20,     /* one row in so many is held out */
    SOME_HELD =
        150, /* of few rows up to a fifth: two cuts of the same rows are not equally lucky */
    ENOUGH_HELD = 1000,
    ENOUGH_ASKED = 200, /* rows that margins are measured with */
    FEWEST_HELD = 10,
};

/* ---- graphs ---------------------------------------------------------------------------------- */

size_t nlsh__graph_k(const struct nlsh_build_options *o, size_t n)
{
    size_t k = o->knn > NLSH__TRUTH_K ? o->knn : NLSH__TRUTH_K;
    if (o->labels == NLSH_LABELS_SOFT && o->label_knn > k) k = o->label_knn;
    return k < n ? k : n - 1;
}

enum nlsh_status nlsh__make_graphs(const struct nlsh_build_options *o,
                                   const struct nlsh__dataset *data,
                                   const struct nlsh__space *space, const struct nlsh__job *job,
                                   struct nlsh__neighbors *cut, struct nlsh__neighbors *truth,
                                   int *from_cache, struct nlsh_error *error)
{
    enum nlsh_status status;
    int inner = o->metric == NLSH_IP;
    size_t k = nlsh__graph_k(o, data->matrix.n_rows);
    NLSH_TRY(nlsh__stage_graph(
        &space->rows, data->hash, inner ? " ip, augmented" : nlsh__space_name(o->metric),
        inner ? NLSH_L2 : o->metric, o->graph, k, o->seed, job, cut, from_cache, error));
    if (inner)
        NLSH_TRY(nlsh__stage_graph(&data->matrix, data->hash, nlsh__space_name(NLSH_IP), NLSH_IP,
                                   o->graph, k, o->seed, job, truth, from_cache, error));
out:
    return status;
}

size_t nlsh__n_unseen(const struct nlsh__ground *g)
{
    size_t n = g->data->matrix.n_rows;
    return n < NLSH__FOLDS_BELOW ? 0 : n - g->held->n_train;
}

enum nlsh_status nlsh__ground_csr(const struct nlsh__ground *g, const struct nlsh__csr **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (g->csr->offsets == NULL)
        status = nlsh__csr_from_neighbors(g->graphs.cut, g->options->knn, g->csr, error);
    *out = g->csr;
    return status;
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static enum nlsh_status project(const struct nlsh__projection *projection,
                                const struct nlsh_matrix *rows, const struct nlsh__job *job,
                                float **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(out, rows->n_rows * projection->n_components, sizeof **out, error));
    NLSH_TRY(nlsh__project(projection, rows, job, *out, error));
out:
    return status;
}

/* By inner product k-means sees the coordinate that the rows were given besides, and more of it than
 * it is: who is long wins everywhere and should have buckets of its own. Fashion-MNIST, held-out
 * candidates at recall .95 with 0, 1, 2, 4 and 8 times: 533, 374, 338, 303, 394. */
static enum nlsh_status add_lengths(const struct nlsh__space *space, struct nlsh__inputs *in,
                                    struct nlsh_error *error)
{
    const float times = 4;
    size_t n = space->rows.n_rows, p = in->projection.n_components, dim = space->rows.dim;
    const float *rows = space->rows.data;
    enum nlsh_status status = nlsh__alloc(&in->cells, n * (p + 1), sizeof(float), error);
    if (status != NLSH_OK) return status;
    in->n_cells = p + 1;
    for (size_t i = 0; i < n; i++) {
        memcpy(in->cells + i * (p + 1), in->rows + i * p, p * sizeof(float));
        in->cells[i * (p + 1) + p] = times * in->projection.scale * rows[i * dim + dim - 1];
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__make_inputs(const struct nlsh__space *space, const struct nlsh_matrix *rows,
                                   const struct nlsh_build_options *o, const struct nlsh__job *job,
                                   struct nlsh__inputs *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    int inner = o->metric == NLSH_IP;
    *out = (struct nlsh__inputs){.rows = NULL};
    if (inner)
        NLSH_TRY(nlsh__pca_uncentred(rows, o->components, o->seed, job, &out->projection, error));
    else
        NLSH_TRY(nlsh__pca(rows, o->components, o->seed, job, &out->projection, error));
    NLSH_TRY(project(&out->projection, rows, job, &out->rows, error));
    if (inner) {
        NLSH_TRY(project(&out->projection, &space->queries, job, &out->queries, error));
        NLSH_TRY(add_lengths(space, out, error));
    } else {
        out->queries = out->cells = out->rows;
        out->n_cells = out->projection.n_components;
    }
out:
    if (status != NLSH_OK) nlsh__inputs_free(out);
    return status;
}

void nlsh__inputs_free(struct nlsh__inputs *in)
{
    if (in->queries != in->rows) nlsh__free(in->queries);
    if (in->cells != in->rows) nlsh__free(in->cells);
    nlsh__free(in->rows);
    nlsh__projection_free(&in->projection);
    *in = (struct nlsh__inputs){.rows = NULL};
}

/* ---- held-out rows --------------------------------------------------------------------------- */

/* Rows that are not held out, behind those that are, as far as these are few. */
static void add_others(struct nlsh__rng *rng, struct nlsh__held *h)
{
    if (h->n_held >= ENOUGH_ASKED) return;
    size_t n = ENOUGH_ASKED - h->n_held < h->n_train ? ENOUGH_ASKED - h->n_held : h->n_train;
    uint32_t *others = h->held_rows + h->n_held;
    nlsh__rng_sample(rng, h->n_train, n, others);
    for (size_t i = 0; i < n; i++) others[i] = h->train_rows[others[i]];
    h->n_asked += n;
}

static enum nlsh_status choose_rows(size_t n, uint64_t seed, struct nlsh__held *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__rng rng;
    size_t n_held = n / HELD_IN < MOST_HELD ? n / HELD_IN : MOST_HELD;
    if (n >= NLSH__FOLDS_BELOW && n_held < ENOUGH_HELD) n_held = ENOUGH_HELD;
    if (n_held < SOME_HELD) n_held = n / 5 < SOME_HELD ? n / 5 : SOME_HELD;
    if (n_held < FEWEST_HELD) n_held = 0;
    NLSH_TRY(nlsh__alloc(&out->held_rows, n, sizeof *out->held_rows, error));
    NLSH_TRY(nlsh__alloc(&out->train_rows, n, sizeof *out->train_rows, error));
    nlsh__rng_init(&rng, seed, 0x68656c64);
    nlsh__rng_sample(&rng, n, n_held, out->held_rows);
    for (size_t i = 0, h = 0; i < n; i++) {
        if (h < n_held && out->held_rows[h] == i)
            h++;
        else
            out->train_rows[out->n_train++] = (uint32_t)i;
    }
    out->n_held = out->n_asked = n_held;
    if (n_held > 0) {
        add_others(&rng, out);
    } else {
        out->n_held = out->n_asked = n < MOST_HELD ? n : MOST_HELD;
        for (size_t i = 0; i < out->n_held; i++) out->held_rows[i] = (uint32_t)i;
    }
out:
    return status;
}

enum nlsh_status nlsh__hold_out(const struct nlsh_matrix *rows, const struct nlsh__space *space,
                                const struct nlsh_build_options *o, size_t most_k,
                                const struct nlsh__job *job, struct nlsh__held *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    int inner = o->metric == NLSH_IP;
    size_t others = rows->n_rows - 1;
    *out = (struct nlsh__held){.n_held = 0};
    NLSH_TRY(choose_rows(rows->n_rows, o->seed, out, error));
    /* By inner product held-out rows have only their direction from the rows. */
    NLSH_TRY(nlsh__stage_exact_rows(rows, inner ? &space->queries : rows, out->held_rows,
                                    out->n_asked, inner ? NLSH_IP : NLSH_L2,
                                    others < most_k ? others : most_k, job, &out->truth, error));
out:
    if (status != NLSH_OK) nlsh__held_free(out);
    return status;
}

void nlsh__held_free(struct nlsh__held *held)
{
    nlsh__free(held->train_rows);
    nlsh__free(held->held_rows);
    nlsh__neighbors_free(&held->truth);
    *held = (struct nlsh__held){.n_held = 0};
}
