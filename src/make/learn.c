/*
 * learn.c - see learn.h: partition, groups, training, export and calibration; the comparison of partitions
 * and of networks that `auto` is; rounds of re-assigning.
 */
#include "make/learn.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/names.h"
#include "make/cut.h"
#include "make/groups.h"
#include "make/refine.h"
#include "make/resolve.h"
#include "measure/unseen.h"
#include "partition/partition.h"
#include "promise/cost.h"
#include "router/train/export.h"
#include "router/train/train.h"

enum {
    NODES_SHARE = 4,      /* networks are compared after 1/4 of the epochs */
    PARTITIONS_SHARE = 8, /* partitions after 1/8 of the rows that training sees */
    USUAL_NODES = 256,    /* before sizes are compared, */
    TRIAL_NODES = 128,    /* and while partitions are: half of the time */
    MOST_NODES_TRIED = 3
};

/* A short trial is kind to k-means, whose cells are learned sooner: the cycle's buckets are taken where they need up to so
 * many times as many candidates. Cycle's over k-means's in trials, and how many times as fast whole indexes then answer at
 * recall .90: Fashion-MNIST 1.01, 1.07 and 1.03, 1.04 to 1.07; MNIST 1.13 and 1.08, 1.03; USE-512 1.17 and 1.26, 1.00, and
 * .92 at .99; of 60,000 rows of SIFT-1M 1.23, whole .98, GloVe-100 1.30, .88. docs/algorithm.md */
#define KIND 1.14

void nlsh__learned_free(struct nlsh__learned *l)
{
    nlsh__router_close(l->router);
    nlsh__free(l->router_bytes);
    nlsh__free(l->bucket_of);
    *l = (struct nlsh__learned){.bucket_of = NULL};
}

/* ---- one network ----------------------------------------------------------------------------- */

/* How it is to be made. */
struct attempt {
    enum nlsh_partitioner partitioner;
    size_t nodes, epochs;
    size_t n_rows; /* to learn from, spread over all that there are; 0: all */
    size_t k;      /* neighbours of held-out rows that are looked for; 0: all that are known */
};

struct watched {
    const struct nlsh__ground *ground;
    const struct nlsh__watch *watch;
    const struct nlsh__mlp *mlp;
    const struct nlsh__groups *groups;
    const uint32_t *bucket_of;
};

/* Lets the watcher see the network as it would serve now. */
static enum nlsh_status watch_epoch(void *user, size_t epoch, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct watched *w = user;
    const struct nlsh__ground *g = w->ground;
    struct nlsh__router *router = NULL;
    void *bytes = NULL;
    size_t size;
    NLSH_TRY(nlsh__router_export(w->mlp, &g->inputs->projection, w->groups, &bytes, &size, error));
    NLSH_TRY(nlsh__router_open(bytes, size, g->space->queries.dim, g->options->n_buckets, &router,
                               error));
    const struct nlsh__glimpse now = {router, w->bucket_of};
    NLSH_TRY(w->watch->fn(w->watch->user, epoch, &now, error));
out:
    nlsh__router_close(router);
    nlsh__free(bytes);
    return status;
}

/* What thresholds reach, on the held-out rows. */
static enum nlsh_status calibrate(const struct nlsh__ground *g, size_t most_k,
                                  struct nlsh__learned *l, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__held *held = g->held;
    const struct nlsh__csr *csr = NULL;
    size_t k = most_k > 0 && most_k < held->truth.k ? most_k : held->truth.k;
    size_t m = g->options->n_buckets;
    uint32_t *truth_buckets = NULL;
    const struct nlsh__played played = {&g->space->queries, held->held_rows, held->n_held};
    const struct nlsh__bucketed bucketed = {l->bucket_of, g->data->matrix.n_rows, m};
    NLSH_TRY(nlsh__alloc(&truth_buckets, held->n_held * k, sizeof *truth_buckets, error));
    if (nlsh__cut_drew(g, l->partitioner)) NLSH_TRY(nlsh__ground_csr(g, &csr, error));
    NLSH_TRY(nlsh__unseen_buckets(csr, held->held_rows, held->n_held, &held->truth, k, l->bucket_of,
                                  m, truth_buckets, error));
    NLSH_TRY(nlsh__calibrate(l->router, &played, &bucketed, truth_buckets, k, g->job,
                             &l->calibration, error));
out:
    nlsh__free(truth_buckets);
    return status;
}

/* n of the rows to learn from, which are copied. */
static enum nlsh_status rows_among(const struct nlsh__held *held, size_t n, uint32_t **out,
                                   struct nlsh_error *error)
{
    size_t all = held->n_train + held->n_taught;
    enum nlsh_status status = nlsh__alloc(out, n, sizeof **out, error);
    for (size_t i = 0; status == NLSH_OK && i < n; i++)
        (*out)[i] = held->train_rows[(size_t)((double)i * (double)all / (double)n)];
    return status;
}

/* Unseen rows [n]: as neighbours of rows that are learned from they would tell of themselves. NULL: none are. */
static enum nlsh_status mark_unseen(const struct nlsh__ground *g, uint8_t **out,
                                    struct nlsh_error *error)
{
    size_t n_unseen = nlsh__n_unseen(g);
    if (n_unseen == 0) return NLSH_OK;
    enum nlsh_status status = nlsh__calloc(out, g->data->matrix.n_rows, sizeof **out, error);
    for (size_t i = 0; status == NLSH_OK && i < n_unseen; i++) (*out)[g->held->held_rows[i]] = 1;
    return status;
}

/* Trains on out->bucket_of, whose buckets it numbers anew, and exports the router. */
static enum nlsh_status train(const struct nlsh__ground *g, const struct attempt *how,
                              const struct nlsh__watch *watch, struct nlsh__learned *out,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = g->options;
    const struct nlsh__inputs *in = g->inputs;
    struct nlsh__mlp mlp = {0};
    uint32_t *group_of = NULL, *rows = NULL;
    uint8_t *unseen = NULL;
    size_t all = g->held->n_train + g->held->n_taught, n_rows = how->n_rows > 0 ? how->n_rows : all;
    double held_loss;
    struct nlsh__labels labels = {
        .bucket_of = out->bucket_of,
        .neighbors = o->labels == NLSH_LABELS_SOFT ? g->graphs.truth->ids : NULL,
        .stride = g->graphs.truth->k,
        .label_knn = o->label_knn,
    };
    struct watched watched = {g, watch, &mlp, &labels.groups, out->bucket_of};
    const struct nlsh__train_options options = {
        .epochs = how->epochs,
        .batch_size = o->batch_size,
        .lr = o->lr,
        .weight_decay = o->weight_decay,
        .dropout = o->dropout,
        .scheduler = o->scheduler,
        .seed = o->seed,
        .epoch_end = watch != NULL ? watch_epoch : NULL,
        .user = &watched,
    };
    NLSH_TRY(mark_unseen(g, &unseen, error));
    labels.unseen = unseen;
    if (o->groups > 0)
        NLSH_TRY(nlsh__group_buckets(in->queries, in->projection.n_components, g->graphs.truth,
                                     o->n_buckets, o->groups, o->seed, g->job, out->bucket_of,
                                     &labels.groups, &group_of, error));
    labels.group_of = group_of;
    NLSH_TRY(nlsh__mlp_create(in->projection.n_components, o->layers, how->nodes,
                              o->groups + o->n_buckets, o->seed, &mlp, error));
    if (n_rows < all) NLSH_TRY(rows_among(g->held, n_rows, &rows, error));
    NLSH_TRY(nlsh__train(&mlp, in->queries, rows != NULL ? rows : g->held->train_rows, n_rows,
                         g->held->held_rows, g->held->n_held, &labels, &options, g->job, &out->loss,
                         &held_loss, error));
    NLSH_TRY(nlsh__router_export(&mlp, &in->projection, &labels.groups, &out->router_bytes,
                                 &out->router_size, error));
    NLSH_TRY(nlsh__router_open(out->router_bytes, out->router_size, g->space->queries.dim,
                               o->n_buckets, &out->router, error));
out:
    nlsh__mlp_free(&mlp);
    nlsh__groups_free(&labels.groups);
    nlsh__free(group_of);
    nlsh__free(rows);
    nlsh__free(unseen);
    return status;
}

/* A router for a partition [n], which is copied. */
static enum nlsh_status learn_from(const struct nlsh__ground *g, const uint32_t *bucket_of,
                                   const struct attempt *how, const struct nlsh__watch *watch,
                                   struct nlsh__learned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = g->data->matrix.n_rows;
    *out = (struct nlsh__learned){.partitioner = how->partitioner, .nodes = how->nodes};
    NLSH_TRY(nlsh__alloc(&out->bucket_of, n, sizeof *bucket_of, error));
    memcpy(out->bucket_of, bucket_of, n * sizeof *bucket_of);
    NLSH_TRY(train(g, how, watch, out, error));
    NLSH_TRY(calibrate(g, how->k, out, error));
out:
    if (status != NLSH_OK) nlsh__learned_free(out);
    return status;
}

static size_t first_nodes(const struct nlsh_build_options *o)
{
    return o->nodes == NLSH_AUTO ? USUAL_NODES : o->nodes;
}

/* A trial of a partition: passes over all rows, or one over some of them. */
static struct attempt partition_trial(const struct nlsh__ground *g,
                                      enum nlsh_partitioner partitioner)
{
    double n = (double)(g->held->n_train + g->held->n_taught);
    double seen = n * (double)g->options->epochs / PARTITIONS_SHARE;
    double epochs = fmax(1, round(seen / n));
    size_t nodes = first_nodes(g->options);
    return (struct attempt){.partitioner = partitioner,
                            .nodes = nodes < TRIAL_NODES ? nodes : TRIAL_NODES,
                            .epochs = (size_t)epochs,
                            .n_rows = (size_t)fmax(1, fmin(n, ceil(seen / epochs))),
                            .k = NLSH__TRUTH_K};
}

/* ---- which partition ------------------------------------------------------------------------- */

static enum nlsh_status timed_cut(const struct nlsh__ground *g, enum nlsh_partitioner partitioner,
                                  int has_cells, uint32_t *bucket_of,
                                  struct nlsh__learn_times *times, struct nlsh_error *error)
{
    double start = nlsh__now();
    enum nlsh_status status =
        nlsh__cut(g, partitioner, has_cells, bucket_of, &times->from_cache, error);
    times->partition += nlsh__now() - start;
    return status;
}

/* auto: both kinds of buckets, with a small router trained for a part of the time. The one that promises to need fewer
 * candidates for recall .95, by the held-out rows, stays. */
static enum nlsh_status choose_partition(const struct nlsh__ground *g, struct attempt *how,
                                         const struct nlsh__watch *watch, uint32_t *best_of,
                                         struct nlsh__learn_times *times, struct nlsh_error *error)
{
    static const enum nlsh_partitioner tried[] = {NLSH_PARTITIONER_KMEANS, NLSH_PARTITIONER_VCYCLE};
    enum nlsh_status status = NLSH_OK;
    struct nlsh__learned one = {.bucket_of = NULL};
    size_t n = g->data->matrix.n_rows;
    double least = INFINITY;
    uint32_t *bucket_of = NULL; /* the second begins with the first */
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        const struct attempt trial = partition_trial(g, tried[i]);
        NLSH_TRY(timed_cut(g, tried[i], i > 0, bucket_of, times, error));
        double start = nlsh__now();
        nlsh__learned_free(&one);
        NLSH_TRY(learn_from(g, bucket_of, &trial, watch, &one, error));
        times->train += nlsh__now() - start;
        double candidates = one.calibration.candidates_95;
        nlsh__job_note(g->job, "auto: %s needs %.0f candidates for recall .95 on held-out vectors",
                       nlsh__name(NLSH__PARTITIONER, (int)tried[i]), candidates);
        if (tried[i] == NLSH_PARTITIONER_VCYCLE) candidates /= KIND;
        if (candidates >= least) continue;
        least = candidates;
        how->partitioner = tried[i];
        memcpy(best_of, one.bucket_of, n * sizeof *best_of);
    }
out:
    nlsh__learned_free(&one);
    nlsh__free(bucket_of);
    return status;
}

/* ---- which network --------------------------------------------------------------------------- */

static double query_nanoseconds(const struct nlsh__ground *g, size_t nodes, double candidates)
{
    const struct nlsh_build_options *o = g->options;
    const struct nlsh__network_size size = {g->inputs->projection.n_components, o->layers, nodes,
                                            o->n_buckets, o->groups};
    size_t code = o->code_bytes == NLSH_AUTO ? nlsh__whole_code(o) : o->code_bytes;
    if (nlsh__in_leaves(o, g->data->matrix.n_rows)) candidates *= NLSH__LEAVES_SCAN;
    return nlsh__cost_of_network(&size) +
           nlsh__cost_of_scan(candidates, code > 0 ? code : g->data->matrix.dim);
}

/* auto: networks of three sizes, each trained for a quarter of the time. The one with the quickest query
 * stays. */
static enum nlsh_status choose_nodes(const struct nlsh__ground *g, const uint32_t *bucket_of,
                                     struct attempt *how, const struct nlsh__watch *watch,
                                     struct nlsh_error *error)
{
    static const size_t tried[MOST_NODES_TRIED] = {128, 256, 512};
    enum nlsh_status status = NLSH_OK;
    struct nlsh__learned one = {.bucket_of = NULL};
    double least = INFINITY;
    for (size_t i = 0; i < MOST_NODES_TRIED; i++) {
        const struct attempt trial = {.partitioner = how->partitioner,
                                      .nodes = tried[i],
                                      .epochs =
                                          (g->options->epochs + NODES_SHARE - 1) / NODES_SHARE,
                                      .k = NLSH__TRUTH_K};
        nlsh__learned_free(&one);
        NLSH_TRY(learn_from(g, bucket_of, &trial, watch, &one, error));
        double candidates = one.calibration.candidates_95;
        double ns = query_nanoseconds(g, tried[i], candidates);
        nlsh__job_note(g->job,
                       "auto: %zu nodes need %.0f candidates for recall .95 on held-out vectors; "
                       "a query takes about %.1f us",
                       tried[i], candidates, ns / 1000);
        if (ns >= least) continue;
        least = ns;
        how->nodes = tried[i];
    }
out:
    nlsh__learned_free(&one);
    return status;
}

/* ---- re-assigning ---------------------------------------------------------------------------- */

/* Rounds of re-assigning and training again, each kept only where it saves candidates. */
static enum nlsh_status refine(const struct nlsh__ground *g, const struct attempt *how,
                               const struct nlsh__watch *watch, struct nlsh__learned *l,
                               struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = g->data->matrix.n_rows, m = g->options->n_buckets;
    size_t cap = nlsh__bucket_cap(n, m, nlsh__imbalance(g->options, how->partitioner));
    uint32_t *bucket_of = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    for (size_t round = 0; round < g->options->refine; round++) {
        struct nlsh__learned next;
        memcpy(bucket_of, l->bucket_of, n * sizeof *bucket_of);
        NLSH_TRY(nlsh__reassign(l->router, g->inputs->queries, n, cap, g->job, bucket_of, error));
        NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
        NLSH_TRY(learn_from(g, bucket_of, how, watch, &next, error));
        int better = next.calibration.candidates_95 < l->calibration.candidates_95;
        nlsh__job_note(g->job, "re-assigned to the router's answer: %.0f candidates, before %.0f%s",
                       next.calibration.candidates_95, l->calibration.candidates_95,
                       better ? "" : "; not kept");
        nlsh__learned_free(better ? l : &next);
        if (!better) break;
        *l = next;
    }
out:
    nlsh__free(bucket_of);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__compare_partitions(const struct nlsh__ground *g, enum nlsh_partitioner *out,
                                          struct nlsh_error *error)
{
    enum nlsh_status status;
    struct attempt how = {.partitioner = NLSH_PARTITIONER_AUTO,
                          .nodes = first_nodes(g->options),
                          .epochs = g->options->epochs};
    struct nlsh__learn_times times = {.from_cache = 0};
    uint32_t *bucket_of = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, g->data->matrix.n_rows, sizeof *bucket_of, error));
    NLSH_TRY(choose_partition(g, &how, NULL, bucket_of, &times, error));
    *out = how.partitioner;
out:
    nlsh__free(bucket_of);
    return status;
}

enum nlsh_status nlsh__learn(const struct nlsh__ground *g, const struct nlsh__watch *watch,
                             struct nlsh__learned *out, struct nlsh__learn_times *times,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = g->options;
    int any_nodes = o->nodes == NLSH_AUTO;
    struct attempt how = {
        .partitioner = o->partitioner, .nodes = first_nodes(o), .epochs = o->epochs};
    uint32_t *bucket_of = NULL;
    *out = (struct nlsh__learned){.bucket_of = NULL};
    *times = (struct nlsh__learn_times){.from_cache = 0};
    NLSH_TRY(nlsh__alloc(&bucket_of, g->data->matrix.n_rows, sizeof *bucket_of, error));
    if (o->partitioner == NLSH_PARTITIONER_AUTO)
        NLSH_TRY(choose_partition(g, &how, watch, bucket_of, times, error));
    else
        NLSH_TRY(timed_cut(g, o->partitioner, 0, bucket_of, times, error));
    double start = nlsh__now();
    if (any_nodes) NLSH_TRY(choose_nodes(g, bucket_of, &how, watch, error));
    NLSH_TRY(learn_from(g, bucket_of, &how, watch, out, error));
    NLSH_TRY(refine(g, &how, watch, out, error));
    times->train += nlsh__now() - start;
out:
    nlsh__free(bucket_of);
    if (status != NLSH_OK) nlsh__learned_free(out);
    return status;
}
