/*
 * buckets.c - a bucket for every row and a router that knows them: partition, through the cache;
 * groups, training, export and calibration; the comparison of partitions that `auto` is; rounds of
 * re-assigning.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "cache/cache.h"
#include "graph/graph.h"
#include "make/groups.h"
#include "make/pipeline.h"
#include "make/refine.h"
#include "make/resolve.h"
#include "measure/unseen.h"
#include "partition/partition.h"
#include "router/train/export.h"
#include "router/train/train.h"

enum { TRIAL_SHARE = 4 }; /* auto compares partitions after 1/4 of the epochs */

/* ---- partition ------------------------------------------------------------------------------- */

static const char *partitioner_name(enum nlsh_partitioner partitioner)
{
    static const char *const names[] = {"auto", "metis", "kahip", "kmeans"};
    return names[partitioner];
}

void nlsh__partition_key(const struct nlsh__build *b, enum nlsh_partitioner partitioner, char *out,
                         size_t size)
{
    const struct nlsh_build_options *o = &b->options;
    double imbalance = nlsh__imbalance(o, partitioner);
    if (partitioner == NLSH_PARTITIONER_KMEANS)
        snprintf(out, size, "kmeans v1 m=%zu imbalance=%.9g seed=%llu components=%zu%s",
                 o->n_buckets, imbalance, (unsigned long long)o->seed, b->projection.n_components,
                 nlsh__space_name(o->metric));
    else
        snprintf(out, size, "%s v1 mode=%d m=%zu imbalance=%.9g seed=%llu graph=%d knn=%zu%s",
                 partitioner_name(partitioner),
                 partitioner == NLSH_PARTITIONER_KAHIP ? o->kahip_mode : 0, o->n_buckets, imbalance,
                 (unsigned long long)o->seed, (int)o->graph, o->knn, nlsh__space_name(o->metric));
}

static enum nlsh_status need_csr(struct nlsh__build *b, struct nlsh_error *error)
{
    if (b->csr.offsets != NULL) return NLSH_OK;
    return nlsh__csr_from_neighbors(&b->graph, b->options.knn, &b->csr, error);
}

static enum nlsh_status compute_partition(struct nlsh__build *b, enum nlsh_partitioner partitioner,
                                          uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = &b->options;
    double imbalance = nlsh__imbalance(o, partitioner);
    if (partitioner == NLSH_PARTITIONER_KMEANS)
        return nlsh__partition_kmeans(b->cell_inputs, b->data.matrix.n_rows, b->n_cell_inputs,
                                      o->n_buckets, imbalance, o->seed, b->job, bucket_of, error);
    NLSH_TRY(nlsh__job_progress(b->job, "graph partition", 0, 0, error));
    NLSH_TRY(need_csr(b, error));
    if (partitioner == NLSH_PARTITIONER_METIS)
        NLSH_TRY(
            nlsh__partition_metis(&b->csr, o->n_buckets, imbalance, o->seed, bucket_of, error));
    else
        NLSH_TRY(nlsh__partition_kahip(&b->csr, o->n_buckets, imbalance, o->kahip_mode, o->seed,
                                       bucket_of, error));
    NLSH_TRY(nlsh__job_progress(b->job, "graph partition", 1, 1, error));
out:
    return status;
}

static enum nlsh_status partition(struct nlsh__build *b, enum nlsh_partitioner partitioner,
                                  uint32_t *bucket_of, struct nlsh_error *error)
{
    char key[160];
    int found;
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    nlsh__partition_key(b, partitioner, key, sizeof key);
    enum nlsh_status status =
        nlsh__cache_get_partition(b->job, key, b->data.hash, n, m, bucket_of, &found, error);
    if (status != NLSH_OK) return status;
    b->report.from_cache[NLSH_STAGE_PARTITION] = found;
    if (found) {
        nlsh__job_note(b->job, "%s partition: taken from the cache", partitioner_name(partitioner));
        return NLSH_OK;
    }
    status = compute_partition(b, partitioner, bucket_of, error);
    if (status == NLSH_OK) nlsh__cache_put_partition(b->job, key, b->data.hash, n, m, bucket_of);
    return status;
}

/* ---- router ---------------------------------------------------------------------------------- */

void nlsh__drop_router(struct nlsh__build *b)
{
    nlsh__router_close(b->router);
    b->router = NULL;
    nlsh__free(b->router_bytes);
    b->router_bytes = NULL;
}

struct watched {
    struct nlsh__build *b;
    const struct nlsh__mlp *mlp;
    const struct nlsh__groups *groups;
    const uint32_t *bucket_of;
};

/* Lets the learner's watcher see the network as it would serve now. */
static enum nlsh_status watch_epoch(void *user, size_t epoch, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct watched *w = user;
    struct nlsh__build *b = w->b;
    struct nlsh__router *router = NULL;
    void *bytes = NULL;
    size_t size, m = b->options.n_buckets;
    NLSH_TRY(nlsh__router_export(w->mlp, &b->projection, w->groups, &bytes, &size, error));
    NLSH_TRY(nlsh__router_open(bytes, size, b->space.queries.dim, m, &router, error));
    struct nlsh__learned now = {
        .router = router, .bucket_of = w->bucket_of, .n_rows = b->data.matrix.n_rows, .m = m};
    NLSH_TRY(b->watch(b->watch_user, epoch, &now, error));
out:
    nlsh__router_close(router);
    nlsh__free(bytes);
    return status;
}

/* What thresholds reach, on the held-out rows. */
static enum nlsh_status calibrate(struct nlsh__build *b, enum nlsh_partitioner partitioner,
                                  const uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__neighbors *truth = &b->held_truth;
    size_t m = b->options.n_buckets;
    int from_graph = partitioner != NLSH_PARTITIONER_KMEANS;
    uint32_t *truth_buckets = NULL;
    NLSH_TRY(nlsh__alloc(&truth_buckets, b->n_held * truth->k, sizeof *truth_buckets, error));
    if (from_graph) NLSH_TRY(need_csr(b, error));
    NLSH_TRY(nlsh__unseen_buckets(from_graph ? &b->csr : NULL, b->held_rows, b->n_held, truth,
                                  bucket_of, m, truth_buckets, error));
    NLSH_TRY(nlsh__calibrate(b->router, &b->space.queries, b->held_rows, b->n_held, truth_buckets,
                             truth->k, bucket_of, m, b->job, &b->calibration, error));
    b->report.held_out_candidates = b->calibration.candidates_95;
out:
    nlsh__free(truth_buckets);
    return status;
}

/* Trains, exports and calibrates a router for a partition, whose buckets are numbered anew. */
static enum nlsh_status train(struct nlsh__build *b, enum nlsh_partitioner partitioner,
                              uint32_t *bucket_of, size_t epochs, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = &b->options;
    struct nlsh__mlp mlp = {0};
    uint32_t *group_of = NULL;
    double held_loss;
    struct nlsh__targets targets = {
        .bucket_of = bucket_of,
        .neighbors = o->labels == NLSH_LABELS_SOFT ? nlsh__build_truth(b)->ids : NULL,
        .stride = nlsh__build_truth(b)->k,
        .label_knn = o->label_knn,
    };
    struct nlsh__train_options options = {
        .epochs = epochs,
        .batch_size = o->batch_size,
        .lr = o->lr,
        .weight_decay = o->weight_decay,
        .dropout = o->dropout,
        .scheduler = o->scheduler,
        .seed = o->seed,
    };
    struct watched watched = {b, &mlp, &targets.groups, bucket_of};
    if (b->watch != NULL) {
        options.epoch_end = watch_epoch;
        options.user = &watched;
    }
    nlsh__drop_router(b);
    if (o->groups > 0)
        NLSH_TRY(nlsh__group_buckets(b->query_inputs, b->projection.n_components,
                                     nlsh__build_truth(b), o->n_buckets, o->groups, o->seed, b->job,
                                     bucket_of, &targets.groups, &group_of, error));
    targets.group_of = group_of;
    NLSH_TRY(nlsh__mlp_create(b->projection.n_components, o->layers, o->nodes,
                              o->groups + o->n_buckets, o->seed, &mlp, error));
    NLSH_TRY(nlsh__train(&mlp, b->query_inputs, b->train_rows, b->n_train, b->held_rows, b->n_held,
                         &targets, &options, b->job, &b->report.loss, &held_loss, error));
    NLSH_TRY(nlsh__router_export(&mlp, &b->projection, &targets.groups, &b->router_bytes,
                                 &b->router_size, error));
    NLSH_TRY(nlsh__router_open(b->router_bytes, b->router_size, b->space.queries.dim, o->n_buckets,
                               &b->router, error));
    NLSH_TRY(calibrate(b, partitioner, bucket_of, error));
out:
    nlsh__mlp_free(&mlp);
    nlsh__groups_free(&targets.groups);
    nlsh__free(group_of);
    return status;
}

static size_t trial_epochs(const struct nlsh__build *b)
{
    return (b->options.epochs + TRIAL_SHARE - 1) / TRIAL_SHARE;
}

/* auto: both kinds of buckets with a router trained for a quarter of the time; the one that needs
 * fewer candidates for recall .95 on the held-out rows stays. */
static enum nlsh_status choose_partition(struct nlsh__build *b, struct nlsh_error *error)
{
    static const enum nlsh_partitioner tried[] = {NLSH_PARTITIONER_KMEANS, NLSH_PARTITIONER_METIS};
    enum nlsh_status status = NLSH_OK;
    size_t n = b->data.matrix.n_rows;
    double best = INFINITY;
    uint32_t *bucket_of = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        double start = nlsh__now();
        NLSH_TRY(partition(b, tried[i], bucket_of, error));
        b->report.seconds[NLSH_STAGE_PARTITION] += nlsh__now() - start;
        start = nlsh__now();
        NLSH_TRY(train(b, tried[i], bucket_of, (b->options.epochs + TRIAL_SHARE - 1) / TRIAL_SHARE,
                       error));
        b->report.seconds[NLSH_STAGE_TRAIN] += nlsh__now() - start;
        nlsh__job_note(b->job, "auto: %s needs %.0f candidates for recall .95 on held-out vectors",
                       partitioner_name(tried[i]), b->calibration.candidates_95);
        if (b->calibration.candidates_95 >= best) continue;
        best = b->calibration.candidates_95;
        b->report.partitioner = tried[i];
        memcpy(b->bucket_of, bucket_of, n * sizeof *bucket_of);
    }
out:
    nlsh__free(bucket_of);
    return status;
}

/* Nanoseconds of a query that the network and its candidates take: weights come at 110 a nanosecond (an
 * Intel Xeon with AVX-512 VNNI, 128 and 256 nodes on Fashion-MNIST by nlsh bench), and of a layer of
 * groups and buckets a query computes the groups and some ten of them; candidates as in write.c. */
static double query_nanoseconds(const struct nlsh__build *b, size_t nodes)
{
    const struct nlsh_build_options *o = &b->options;
    double h = (double)nodes, m = (double)o->n_buckets, p = (double)b->projection.n_components;
    double outputs = o->groups > 0 ? (double)o->groups + 10 * m / (double)o->groups : m;
    double weights = o->layers == 0 ? p * outputs : h * (p + outputs + h * (double)(o->layers - 1));
    double scanned = b->calibration.candidates_95;
    size_t code = o->code_bytes == NLSH_AUTO ? nlsh__whole_code(o) : o->code_bytes;
    if (nlsh__in_leaves(o, b->data.matrix.n_rows)) scanned /= 2;
    return weights / 110 + scanned * 0.045 * (double)(code > 0 ? code + 5 : b->data.matrix.dim);
}

/* auto: networks of three sizes, each trained for a quarter of the time; the one with the quickest query
 * stays. */
static enum nlsh_status choose_nodes(struct nlsh__build *b, struct nlsh_error *error)
{
    static const size_t tried[] = {128, 256, 512};
    enum nlsh_status status = NLSH_OK;
    double least = INFINITY;
    size_t best = tried[1];
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        b->options.nodes = tried[i];
        NLSH_TRY(train(b, b->report.partitioner, b->bucket_of, trial_epochs(b), error));
        double ns = query_nanoseconds(b, tried[i]);
        nlsh__job_note(b->job,
                       "auto: with %zu nodes a held-out vector needs %.0f candidates for recall "
                       ".95, in about %.1f us",
                       tried[i], b->calibration.candidates_95, ns / 1000);
        if (ns >= least) continue;
        least = ns;
        best = tried[i];
    }
    b->options.nodes = best;
out:
    return status;
}

/* Rounds of re-assigning and training again, each kept only where it saves candidates. */
static enum nlsh_status refine(struct nlsh__build *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    size_t cap = nlsh__bucket_cap(n, m, nlsh__imbalance(&b->options, b->report.partitioner));
    uint32_t *bucket_of = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    for (size_t round = 0; round < b->options.refine; round++) {
        struct nlsh__build before =
            *b; /* the router, what it was measured to need, and its report */
        memcpy(bucket_of, b->bucket_of, n * sizeof *bucket_of);
        NLSH_TRY(nlsh__reassign(b->router, b->query_inputs, n, cap, b->job, bucket_of, error));
        NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
        b->router = NULL;
        b->router_bytes = NULL;
        status = train(b, b->report.partitioner, bucket_of, b->options.epochs, error);
        int better =
            status == NLSH_OK && b->calibration.candidates_95 < before.calibration.candidates_95;
        nlsh__job_note(b->job, "re-assigned to the router's answer: %.0f candidates, before %.0f%s",
                       b->calibration.candidates_95, before.calibration.candidates_95,
                       better ? "" : "; not kept");
        if (better) {
            nlsh__drop_router(&before);
            memcpy(b->bucket_of, bucket_of, n * sizeof *bucket_of);
            continue;
        }
        nlsh__drop_router(b);
        *b = before;
        break;
    }
out:
    nlsh__free(bucket_of);
    return status;
}

enum nlsh_status nlsh__partition_and_train(struct nlsh__build *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&b->bucket_of, b->data.matrix.n_rows, sizeof *b->bucket_of, error));
    b->report.partitioner = b->options.partitioner;
    int any_nodes = b->options.nodes == NLSH_AUTO;
    if (any_nodes) b->options.nodes = 256; /* while partitions are compared */
    if (b->options.partitioner == NLSH_PARTITIONER_AUTO) {
        NLSH_TRY(choose_partition(b, error));
    } else {
        double start = nlsh__now();
        NLSH_TRY(partition(b, b->options.partitioner, b->bucket_of, error));
        b->report.seconds[NLSH_STAGE_PARTITION] = nlsh__now() - start;
    }
    double start = nlsh__now();
    if (any_nodes) NLSH_TRY(choose_nodes(b, error));
    NLSH_TRY(train(b, b->report.partitioner, b->bucket_of, b->options.epochs, error));
    NLSH_TRY(refine(b, error));
    b->report.seconds[NLSH_STAGE_TRAIN] += nlsh__now() - start;
    NLSH_TRY(need_csr(b, error));
    b->report.edge_cut = nlsh__edge_cut(&b->csr, b->bucket_of);
out:
    return status;
}
