/* folds.c - see folds.h. */
#include "make/folds.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "kernels/metric.h"
#include "make/write.h"
#include "measure/margins.h"

enum { FOLDS = 5, ENOUGH = 1000, FEWEST = 50 };

/* A fold: the others, from which is learned, and its own rows, which ask. */
struct fold {
    struct nlsh__dataset others;
    struct nlsh__space space;
    struct nlsh_matrix asking; /* as the base has them */
    float *scaled;             /* NLSH_IP: as the router takes them */
    uint8_t *memory[2];
};

/* All of a fold's work is one stage to who watches. */
struct watched_fold {
    const struct nlsh__job *job;
    uint64_t done, total;
};

static int progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    const struct watched_fold *w = user;
    (void)stage;
    (void)done;
    (void)total;
    return w->job->run.progress(w->job->run.user, "cross-fitting", w->done, w->total);
}

static void fold_free(struct fold *f)
{
    nlsh__space_free(&f->space);
    nlsh__free(f->scaled);
    nlsh__free(f->memory[0]);
    nlsh__free(f->memory[1]);
}

/* Row number order[i] is in fold i * FOLDS / n; rows keep their order. */
static enum nlsh_status take_rows(const struct nlsh_matrix *rows, const uint8_t *fold_of, size_t f,
                                  struct fold *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size = nlsh__row_bytes(rows), n[2] = {0, 0};
    for (size_t i = 0; i < rows->n_rows; i++) n[fold_of[i] == f]++;
    for (size_t i = 0; i < 2; i++) NLSH_TRY(nlsh__alloc(&out->memory[i], n[i], size, error));
    n[0] = n[1] = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        size_t which = fold_of[i] == f;
        memcpy(out->memory[which] + n[which]++ * size, nlsh__row(rows, i), size);
    }
    out->others.matrix = (struct nlsh_matrix){out->memory[0], n[0], rows->dim, rows->type, 0};
    out->asking = (struct nlsh_matrix){out->memory[1], n[1], rows->dim, rows->type, 0};
    out->others.hash = out->others.content = nlsh_data_hash(&out->others.matrix);
out:
    return status;
}

/* Queries as the router takes them. */
static enum nlsh_status queries_of(const struct nlsh__ground *g, struct fold *f,
                                   struct nlsh_matrix *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = f->asking;
    if (g->options->metric != NLSH_IP) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&f->scaled, out->n_rows * out->dim, sizeof(float), error));
    for (size_t i = 0; i < out->n_rows; i++)
        (void)nlsh__scale_to((const float *)f->asking.data + i * out->dim, out->dim,
                             (double)f->space.query_norm, f->scaled + i * out->dim);
    out->data = f->scaled;
out:
    return status;
}

/* Where all folds' answers are added up. */
struct asked {
    size_t k;
    size_t n_asked; /* queries of a fold that ask its index */
    const char *path;
    struct nlsh__tally *tally;
    struct nlsh__shares *shares;
};

/* The fold asks an index of the others. */
struct asking {
    const struct asked *sum;
    struct nlsh__known known;
    const struct nlsh__calibration *calibration;
    const struct nlsh__job *job;
};

static enum nlsh_status ask_index(void *user, const struct nlsh_index *index,
                                  struct nlsh_error *error)
{
    struct asking *a = user;
    a->known.index = index;
    return nlsh__shares_add(&a->known, a->calibration, a->job, a->sum->shares, error);
}

/* The fold asks a router of the others, and the index that it becomes. */
static enum nlsh_status ask(const struct nlsh__ground *g, const struct nlsh__ground *others,
                            struct fold *f, const struct nlsh__learned *l, const struct asked *sum,
                            struct nlsh_error *error)
{
    const struct nlsh__job *job = others->job;
    size_t k = sum->k;
    enum nlsh_status status;
    struct nlsh_matrix queries;
    struct nlsh__neighbors truth = {0};
    uint32_t *buckets = NULL, *rows = NULL;
    size_t n = f->asking.n_rows;
    NLSH_TRY(queries_of(g, f, &queries, error));
    status = (g->options->metric == NLSH_IP ? nlsh__exact_inner : nlsh__exact_neighbors)(
        &f->others.matrix, &f->asking, k, 0, "exact neighbours", job, &truth, error);
    if (status != NLSH_OK) goto out;
    NLSH_TRY(nlsh__alloc(&buckets, n * k, sizeof *buckets, error));
    NLSH_TRY(nlsh__alloc(&rows, n, sizeof *rows, error));
    for (size_t i = 0; i < n * k; i++) buckets[i] = l->bucket_of[truth.ids[i]];
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)i;
    const struct nlsh__played played = {&queries, rows, n};
    const struct nlsh__bucketed bucketed = {l->bucket_of, f->others.matrix.n_rows,
                                            nlsh__router_n_buckets(l->router)};
    NLSH_TRY(nlsh__tally_add(sum->tally, l->router, &played, &bucketed, buckets, job, error));
    struct asking asking = {
        .sum = sum,
        .known = {.queries = f->asking, .truth = &truth, .n_asking = sum->n_asked},
        .calibration = &l->calibration,
        .job = job,
    };
    nlsh__as_queries(g->data, &asking.known.queries);
    NLSH_TRY(nlsh__try_index(others, l, sum->path, ask_index, &asking, error));
out:
    nlsh__neighbors_free(&truth);
    nlsh__free(buckets);
    nlsh__free(rows);
    return status;
}

/* The pipeline over the others of a fold, as build.c has it over all. */
static enum nlsh_status learn_and_ask(const struct nlsh__ground *g,
                                      const struct nlsh_build_options *options, struct fold *f,
                                      const struct nlsh__job *job, const struct asked *sum,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__neighbors cut = {0}, truth = {0};
    struct nlsh__inputs inputs = {.rows = NULL};
    struct nlsh__held held = {.n_held = 0};
    struct nlsh__csr csr = {0};
    struct nlsh__learned learned = {.bucket_of = NULL};
    struct nlsh__learn_times times;
    int from_cache;
    NLSH_TRY(nlsh__space_init(options->metric, &f->others, &f->space, error));
    NLSH_TRY(
        nlsh__make_graphs(options, &f->others, &f->space, job, &cut, &truth, &from_cache, error));
    NLSH_TRY(nlsh__make_inputs(&f->space, &f->others.matrix, options, job, &inputs, error));
    NLSH_TRY(
        nlsh__hold_out(&f->others.matrix, &f->space, options, NLSH__MARGINS_K, job, &held, error));
    const struct nlsh__ground ground = {
        .options = options,
        .job = job,
        .data = &f->others,
        .space = &f->space,
        .graphs = {&cut, truth.ids != NULL ? &truth : &cut, ""},
        .csr = &csr,
        .inputs = &inputs,
        .held = &held,
    };
    NLSH_TRY(nlsh__learn(&ground, NULL, &learned, &times, error));
    NLSH_TRY(ask(g, &ground, f, &learned, sum, error));
out:
    nlsh__learned_free(&learned);
    nlsh__csr_free(&csr);
    nlsh__held_free(&held);
    nlsh__inputs_free(&inputs);
    nlsh__neighbors_free(&truth);
    nlsh__neighbors_free(&cut);
    return status;
}

static enum nlsh_status choose_folds(size_t n, uint64_t seed, uint8_t **fold_of,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__rng rng;
    uint32_t *order = NULL;
    NLSH_TRY(nlsh__alloc(fold_of, n, 1, error));
    NLSH_TRY(nlsh__alloc(&order, n, sizeof *order, error));
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    nlsh__rng_init(&rng, seed, 0x666f6c64);
    nlsh__rng_shuffle(&rng, order, n);
    for (size_t i = 0; i < n; i++) (*fold_of)[order[i]] = (uint8_t)(i * FOLDS / n);
out:
    nlsh__free(order);
    return status;
}

/* What was found out, for the router of all rows. */
static enum nlsh_status carry(const struct nlsh__ground *g, const struct nlsh__learned *l,
                              const struct nlsh__tally *tally, struct nlsh__calibration *out,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__played played = {&g->space->queries, g->held->held_rows, g->held->n_asked};
    const struct nlsh__bucketed bucketed = {l->bucket_of, g->data->matrix.n_rows,
                                            g->options->n_buckets};
    const uint32_t no_truth = 0;
    struct nlsh__tally *to = NULL;
    NLSH_TRY(nlsh__tally_create(0, &to, error));
    NLSH_TRY(nlsh__tally_add(to, l->router, &played, &bucketed, &no_truth, g->job, error));
    nlsh__tally_carry(tally, to, &l->calibration, g->data->matrix.n_rows, out);
out:
    nlsh__tally_free(to);
    return status;
}

/* Settings of all rows, for fewer. */
static void fit_in(size_t n, struct nlsh_build_options *o)
{
    if (o->knn > n - 1) o->knn = n - 1;
    if (o->label_knn > n - 1) o->label_knn = n - 1;
    if (o->n_buckets > n) o->n_buckets = n;
    if (o->groups > o->n_buckets) o->groups = o->n_buckets;
}

/* Of n rows that are enough for folds. */
static size_t folds_of(size_t n)
{
    size_t fifth = n / FOLDS;
    return ENOUGH / fifth < FOLDS ? (ENOUGH + fifth - 1) / fifth : FOLDS;
}

size_t nlsh__n_folds(size_t n)
{
    return n >= FEWEST && n < NLSH__FOLDS_BELOW ? folds_of(n) : 0;
}

enum nlsh_status nlsh__cross_calibrate(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                       const char *path, struct nlsh__evidence *out,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = g->data->matrix.n_rows, others = n - (n + FOLDS - 1) / FOLDS, asked = 0;
    struct nlsh_build_options options = *g->options;
    struct fold fold = {.scaled = NULL};
    uint8_t *fold_of = NULL;
    struct watched_fold watched = {g->job, 0, folds_of(n)};
    struct nlsh__job job = *g->job;
    job.run.cache_dir = NULL;
    job.run.note = NULL;
    job.run.user = &watched;
    if (job.run.progress != NULL) job.run.progress = progress;
    options.keys = NULL;
    options.partitioner = l->partitioner;
    options.nodes = l->nodes;
    fit_in(others, &options);
    struct asked sum = {
        .k = others < NLSH__MOST_K ? others : NLSH__MOST_K, .path = path, .shares = &out->shares};
    out->shares = (struct nlsh__shares){.found = {{0}}};
    sum.n_asked = (NLSH__EFFORT_QUERIES + watched.total - 1) / watched.total;
    NLSH_TRY(nlsh__tally_create(sum.k, &sum.tally, error));
    NLSH_TRY(choose_folds(n, options.seed, &fold_of, error));
    for (size_t f = 0; f < FOLDS && asked < ENOUGH; f++, watched.done++) {
        NLSH_TRY(take_rows(&g->data->matrix, fold_of, f, &fold, error));
        fold.others.source_type = g->data->source_type;
        NLSH_TRY(learn_and_ask(g, &options, &fold, &job, &sum, error));
        asked += fold.asking.n_rows;
        fold_free(&fold);
        fold = (struct fold){.scaled = NULL};
    }
    NLSH_TRY(carry(g, l, sum.tally, &out->calibration, error));
out:
    fold_free(&fold);
    nlsh__free(fold_of);
    nlsh__tally_free(sum.tally);
    return status;
}
