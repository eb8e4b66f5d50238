/*
 * build.c - the pipeline: the only place that composes stages.
 *
 *   vectors -> k-NN graph -> principal components -> partition -> router -> calibration -> file
 *
 * Graph and partition go through the cache, so that a build that was stopped goes on behind them.
 * A share of the rows is held out of training: on them `auto` compares partitions, and search's
 * recall targets are measured.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "build/calibrate.h"
#include "build/encode.h"
#include "build/groups.h"
#include "build/learner.h"
#include "build/refine.h"
#include "build/resolve.h"
#include "build/settings.h"
#include "build/space.h"
#include "build/stages.h"
#include "cache/cache.h"
#include "graph/graph.h"
#include "index/index.h"
#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "linalg/pca.h"
#include "partition/partition.h"
#include "router/train/export.h"
#include "router/train/train.h"

enum {
    TRUTH_K = 10,             /* neighbours that a held-out row must find */
    MAX_HELD = 5000,          /* recall is then known to +-.002 */
    MAX_DISAGREEMENT = 20000, /* rows on which bucket and router are compared */
    TRIAL_SHARE = 4           /* auto compares partitions after 1/4 of the epochs */
};

struct build {
    struct nlsh_build_options options; /* resolved */
    const struct nlsh__job *job;
    struct nlsh__dataset data;
    struct nlsh__space space;
    struct nlsh_neighbors graph;
    struct nlsh_neighbors truth;      /* NLSH_IP: the rows' neighbours as queries; else not used */
    struct nlsh_neighbors held_truth; /* of held_rows, as queries */
    struct nlsh__csr csr;             /* made when a graph partitioner first asks */
    struct nlsh__projection projection;
    float *inputs;       /* [n x components] */
    float *query_inputs; /* the same of the rows as queries; but for NLSH_IP the same array */
    float *cell_inputs;  /* what k-means divides; but for NLSH_IP the same array as inputs */
    size_t n_cell_inputs;
    uint32_t *train_rows, *held_rows;
    size_t n_train, n_held;
    uint32_t *bucket_of;
    void *router_bytes;
    size_t router_size;
    struct nlsh__router *router;
    struct nlsh__calibration calibration;
    struct nlsh_build_report report;
    nlsh__watch_fn *watch; /* of a learner: told after each epoch; else NULL */
    void *watch_user;
};

/* What a row should find when it comes as a query. */
static const struct nlsh_neighbors *truth_of(const struct build *b)
{
    return b->options.metric == NLSH_IP ? &b->truth : &b->graph;
}

/* ---- held-out rows --------------------------------------------------------------------------- */

/* One row in 20, 5,000 at most; too few rows to spare any: all play both parts. */
static enum nlsh_status hold_out(struct build *b, struct nlsh_error *error)
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

/* ---- partition ------------------------------------------------------------------------------- */

static const char *partitioner_name(enum nlsh_partitioner partitioner)
{
    static const char *const names[] = {"auto", "metis", "kahip", "kmeans"};
    return names[partitioner];
}

/* Everything that the partition depends on besides the vectors. */
static void partition_key(const struct build *b, enum nlsh_partitioner partitioner, char *out,
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

static enum nlsh_status need_csr(struct build *b, struct nlsh_error *error)
{
    if (b->csr.offsets != NULL) return NLSH_OK;
    return nlsh__csr_from_neighbors(&b->graph, b->options.knn, &b->csr, error);
}

static enum nlsh_status compute_partition(struct build *b, enum nlsh_partitioner partitioner,
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

static enum nlsh_status partition(struct build *b, enum nlsh_partitioner partitioner,
                                  uint32_t *bucket_of, struct nlsh_error *error)
{
    char key[160];
    int found;
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    partition_key(b, partitioner, key, sizeof key);
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

static void drop_router(struct build *b)
{
    nlsh__router_close(b->router);
    b->router = NULL;
    free(b->router_bytes);
    b->router_bytes = NULL;
}

struct watched {
    struct build *b;
    const struct nlsh__mlp *mlp;
    const struct nlsh__groups *groups;
    const uint32_t *bucket_of;
};

/* Lets the learner's watcher see the network as it would serve now. */
static enum nlsh_status watch_epoch(void *user, size_t epoch, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct watched *w = user;
    struct build *b = w->b;
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
    free(bytes);
    return status;
}

/* Trains, exports and calibrates a router for a partition, whose buckets are numbered anew. */
static enum nlsh_status train(struct build *b, uint32_t *bucket_of, size_t epochs,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_build_options *o = &b->options;
    struct nlsh__mlp mlp = {0};
    uint32_t *group_of = NULL;
    double held_loss;
    struct nlsh__targets targets = {
        .bucket_of = bucket_of,
        .neighbors = o->labels == NLSH_LABELS_SOFT ? truth_of(b)->ids : NULL,
        .stride = truth_of(b)->k,
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
    drop_router(b);
    if (o->groups > 0)
        NLSH_TRY(nlsh__group_buckets(b->query_inputs, b->projection.n_components, truth_of(b),
                                     o->n_buckets, o->groups, o->seed, b->job, bucket_of,
                                     &targets.groups, &group_of, error));
    targets.group_of = group_of;
    NLSH_TRY(nlsh__mlp_create(b->projection.n_components, o->layers, o->nodes,
                              o->groups + o->n_buckets, o->seed, &mlp, error));
    NLSH_TRY(nlsh__train(&mlp, b->query_inputs, b->train_rows, b->n_train, b->held_rows, b->n_held,
                         &targets, &options, b->job, &b->report.loss, &held_loss, error));
    NLSH_TRY(nlsh__router_export(&mlp, &b->projection, &targets.groups, &b->router_bytes,
                                 &b->router_size, error));
    NLSH_TRY(nlsh__router_open(b->router_bytes, b->router_size, b->space.queries.dim, o->n_buckets,
                               &b->router, error));
    NLSH_TRY(nlsh__calibrate(b->router, &b->space.queries, b->held_rows, b->n_held, &b->held_truth,
                             bucket_of, o->n_buckets, b->job, &b->calibration, error));
    b->report.held_out_candidates = b->calibration.candidates_95;
out:
    nlsh__mlp_free(&mlp);
    nlsh__groups_free(&targets.groups);
    free(group_of);
    return status;
}

/* auto: both kinds of buckets with a router trained for a quarter of the time; the one that needs
 * fewer candidates for recall .95 on the held-out rows stays. */
static enum nlsh_status choose_partition(struct build *b, struct nlsh_error *error)
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
        NLSH_TRY(train(b, bucket_of, (b->options.epochs + TRIAL_SHARE - 1) / TRIAL_SHARE, error));
        b->report.seconds[NLSH_STAGE_TRAIN] += nlsh__now() - start;
        nlsh__job_note(b->job, "auto: %s needs %.0f candidates for recall .95 on held-out vectors",
                       partitioner_name(tried[i]), b->calibration.candidates_95);
        if (b->calibration.candidates_95 >= best) continue;
        best = b->calibration.candidates_95;
        b->report.partitioner = tried[i];
        memcpy(b->bucket_of, bucket_of, n * sizeof *bucket_of);
    }
out:
    free(bucket_of);
    return status;
}

/* Held-out rows say what recall a threshold reaches: their neighbours must be the true ones, and what an
 * approximate graph misses is what is hard to find. */
static enum nlsh_status true_neighbors_of_held(struct build *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh_neighbors found = {0};
    size_t k = b->graph.k;
    if (b->options.graph == NLSH_GRAPH_EXACT || b->options.metric == NLSH_IP) return NLSH_OK;
    NLSH_TRY(nlsh__stage_exact_rows(&b->space.rows, b->held_rows, b->n_held, b->options.metric, k,
                                    b->job, &found, error));
    for (size_t i = 0; i < b->n_held; i++) {
        size_t to = b->held_rows[i] * k;
        memcpy(b->graph.ids + to, found.ids + i * k, k * sizeof *found.ids);
        memcpy(b->graph.l2sq + to, found.l2sq + i * k, k * sizeof *found.l2sq);
    }
out:
    nlsh_neighbors_free(&found);
    return status;
}

/* Rounds of re-assigning and training again, each kept only where it saves candidates. */
static enum nlsh_status refine(struct build *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    size_t cap = nlsh__bucket_cap(n, m, nlsh__imbalance(&b->options, b->report.partitioner));
    uint32_t *bucket_of = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    for (size_t round = 0; round < b->options.refine; round++) {
        struct build before = *b; /* the router, what it was measured to need, and its report */
        memcpy(bucket_of, b->bucket_of, n * sizeof *bucket_of);
        NLSH_TRY(nlsh__reassign(b->router, b->query_inputs, n, cap, b->job, bucket_of, error));
        NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
        b->router = NULL;
        b->router_bytes = NULL;
        status = train(b, bucket_of, b->options.epochs, error);
        int better =
            status == NLSH_OK && b->calibration.candidates_95 < before.calibration.candidates_95;
        nlsh__job_note(b->job, "re-assigned to the router's answer: %.0f candidates, before %.0f%s",
                       b->calibration.candidates_95, before.calibration.candidates_95,
                       better ? "" : "; not kept");
        if (better) {
            drop_router(&before);
            memcpy(b->bucket_of, bucket_of, n * sizeof *bucket_of);
            continue;
        }
        drop_router(b);
        *b = before;
        break;
    }
out:
    free(bucket_of);
    return status;
}

static enum nlsh_status partition_and_train(struct build *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&b->bucket_of, b->data.matrix.n_rows, sizeof *b->bucket_of, error));
    b->report.partitioner = b->options.partitioner;
    if (b->options.partitioner == NLSH_PARTITIONER_AUTO) {
        NLSH_TRY(choose_partition(b, error));
    } else {
        double start = nlsh__now();
        NLSH_TRY(partition(b, b->options.partitioner, b->bucket_of, error));
        b->report.seconds[NLSH_STAGE_PARTITION] = nlsh__now() - start;
    }
    double start = nlsh__now();
    NLSH_TRY(train(b, b->bucket_of, b->options.epochs, error));
    NLSH_TRY(refine(b, error));
    b->report.seconds[NLSH_STAGE_TRAIN] += nlsh__now() - start;
    NLSH_TRY(need_csr(b, error));
    b->report.edge_cut = nlsh__edge_cut(&b->csr, b->bucket_of);
out:
    return status;
}

/* ---- file ------------------------------------------------------------------------------------ */

static enum nlsh_status disagreement(const struct build *b, double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = b->data.matrix.n_rows, count = n < MAX_DISAGREEMENT ? n : MAX_DISAGREEMENT;
    uint32_t *rows = NULL, *best = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&rows, count, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&best, count, sizeof *best, error));
    nlsh__rng_init(&rng, b->options.seed, 0x64697361);
    nlsh__rng_sample(&rng, n, count, rows);
    NLSH_TRY(nlsh__best_buckets(b->router, &b->space.queries, rows, count, b->job, best, error));
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) differ += best[i] != b->bucket_of[rows[i]];
    *out = (double)differ / (double)count;
out:
    free(rows);
    free(best);
    return status;
}

/* Rows by bucket, ids ascending inside. */
static void order_rows(const struct build *b, uint32_t *offsets, uint32_t *ids)
{
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    memset(offsets, 0, (m + 1) * sizeof *offsets);
    for (size_t i = 0; i < n; i++) offsets[b->bucket_of[i] + 1]++;
    for (size_t j = 0; j < m; j++) offsets[j + 1] += offsets[j];
    for (size_t i = 0; i < n; i++) ids[offsets[b->bucket_of[i]]++] = (uint32_t)i;
    for (size_t j = m; j > 0; j--) offsets[j] = offsets[j - 1];
    offsets[0] = 0;
}

/* Nanoseconds that a query's scan takes with codes of some bytes: a row's code, bias and error come
 * at 22 GB/s, a row that is ranked costs 20 and 25 GB/s. Measured with Fashion-MNIST (784 bytes a row:
 * 50 ns) and SIFT-1M (128: 25 to 33) on a Xeon with AVX-512; docs/algorithm.md has what comes of it. */
static double scan_nanoseconds(const struct nlsh__scan_cost *cost, size_t code_bytes,
                               size_t row_bytes)
{
    return cost->candidates * 0.045 * (double)(code_bytes + 5) +
           cost->ranked * (20 + 0.04 * (double)row_bytes);
}

/* Codes of 4 bits for the first n_components components, and the measure of them. */
static enum nlsh_status make_codes_of(const struct build *b, struct nlsh__encode *encode,
                                      size_t n_components, void **bytes, size_t *size,
                                      struct nlsh__scan_cost *cost, struct nlsh_error *error)
{
    const struct nlsh__calibration *c = &b->calibration;
    encode->n_components = n_components;
    if (n_components > b->projection.n_components)
        encode->n_components = b->projection.n_components;
    /* Routed as for recall .99: looser routing scans fewer rows and needs no more of them. */
    float threshold = 0;
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; c->k[t] == 10 && i < c->n_points[t] && c->table[t][i][0] < 0.99f; i++)
            threshold = c->table[t][i][1];
    enum nlsh_status status = nlsh__encode_rows(encode, b->job, bytes, size, error);
    if (status == NLSH_OK)
        status = nlsh__measure_margins(encode, b->router, b->held_rows, b->n_held, threshold,
                                       b->job, *bytes, *size, cost, error);
    if (status == NLSH_OK) return status;
    free(*bytes);
    *bytes = NULL;
    return status;
}

/* Where nobody said how long codes are to be, the quickest of a half, three quarters and all of the
 * router's components. */
static enum nlsh_status make_codes(struct build *b, const uint32_t *offsets, const uint32_t *ids,
                                   void **bytes, size_t *size, struct nlsh_error *error)
{
    size_t row_bytes = b->data.matrix.dim * (b->data.matrix.type == NLSH_U8 ? 1 : sizeof(float));
    int choose = b->options.code_bytes == NLSH_AUTO;
    size_t whole = choose ? nlsh__whole_code(&b->options) : b->options.code_bytes, best = 0;
    double least = INFINITY;
    struct nlsh__encode encode = {
        .base = &b->data.matrix,
        .inner = b->options.metric == NLSH_IP,
        .projection = &b->projection,
        .inputs = b->inputs,
        .query_inputs = b->query_inputs,
        .queries = &b->space.queries,
        .bucket_offsets = offsets,
        .n_buckets = b->options.n_buckets,
        .ids = ids,
    };
    *bytes = NULL;
    if (whole == 0) return NLSH_OK;
    for (size_t quarters = choose ? 2 : 4; quarters <= 4; quarters++) {
        struct nlsh__scan_cost cost;
        size_t code_bytes = (whole * quarters + 3) / 4, one_size;
        void *one = NULL;
        if (code_bytes == best) continue;
        enum nlsh_status status =
            make_codes_of(b, &encode, 2 * code_bytes, &one, &one_size, &cost, error);
        if (status != NLSH_OK) {
            free(*bytes);
            *bytes = NULL;
            return status;
        }
        double ns = scan_nanoseconds(&cost, code_bytes, row_bytes);
        if (choose)
            nlsh__job_note(b->job,
                           "codes of %zu bytes: of %.0f vectors scanned %.0f are ranked exactly, "
                           "some %.1f us",
                           code_bytes, cost.candidates, cost.ranked, ns / 1000);
        if (ns >= least && *bytes != NULL) {
            free(one);
            continue;
        }
        least = ns;
        best = code_bytes;
        free(*bytes);
        *bytes = one;
        *size = one_size;
    }
    b->options.code_bytes = best;
    return NLSH_OK;
}

/* *bytes [*size] is freed by the caller. */
static enum nlsh_status pack_targets(const struct nlsh__calibration *c, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    struct nlsh__targets_header header = {.n = (uint32_t)c->n};
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        header.k[i] = c->k[i];
        header.n_points[i] = c->n_points[i];
        n += c->n_points[i];
    }
    *size = sizeof header + n * sizeof c->table[0][0];
    enum nlsh_status status = nlsh__alloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    char *at = (char *)*bytes + sizeof header;
    for (size_t i = 0; i < c->n; i++) {
        memcpy(at, c->table[i], c->n_points[i] * sizeof c->table[0][0]);
        at += c->n_points[i] * sizeof c->table[0][0];
    }
    return NLSH_OK;
}

static enum nlsh_status write_index(struct build *b, const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *rows = &b->data.matrix;
    size_t n = rows->n_rows, m = b->options.n_buckets;
    size_t row_bytes = rows->dim * (rows->type == NLSH_U8 ? 1 : sizeof(float));
    uint32_t *offsets = NULL, *ids = NULL;
    uint8_t *vectors = NULL;
    char *settings = NULL;
    void *codes = NULL, *targets = NULL;
    size_t codes_size = 0, targets_size = 0;
    struct nlsh__meta meta = {
        .n_rows = n,
        .data_hash = b->data.hash,
        .dim = (uint32_t)rows->dim,
        .n_buckets = (uint32_t)m,
        .source_type = b->data.source_type,
        .storage_type = rows->type,
    };
    struct nlsh__metric_meta metric = {
        .metric = (uint32_t)b->options.metric,
        .query_norm = b->space.query_norm,
    };
    int has_metric = metric.metric != NLSH_L2;
    if (has_metric) metric.stored_hash = nlsh_data_hash(rows);
    NLSH_TRY(nlsh__job_progress(b->job, "writing", 0, 0, error));
    NLSH_TRY(disagreement(b, &meta.disagreement, error));
    NLSH_TRY(nlsh__alloc(&offsets, m + 1, sizeof *offsets, error));
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    NLSH_TRY(nlsh__alloc(&vectors, n, row_bytes, error));
    order_rows(b, offsets, ids);
    for (size_t i = 0; i < n; i++)
        memcpy(vectors + i * row_bytes, (const uint8_t *)rows->data + (size_t)ids[i] * row_bytes,
               row_bytes);
    NLSH_TRY(make_codes(b, offsets, ids, &codes, &codes_size, error));
    struct nlsh_build_options record = b->options;
    record.partitioner = b->report.partitioner;
    record.imbalance = nlsh__imbalance(&b->options, b->report.partitioner);
    settings = nlsh__settings_json(&record);
    NLSH_TRY(pack_targets(&b->calibration, &targets, &targets_size, error));
    if (settings == NULL) {
        status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        goto out;
    }
    struct nlsh__section_data sections[] = {
        {NLSH__SECTION_META, &meta, sizeof meta},
        {NLSH__SECTION_SETTINGS, settings, strlen(settings) + 1},
        {NLSH__SECTION_BUCKETS, offsets, (m + 1) * sizeof *offsets},
        {NLSH__SECTION_IDS, ids, n * sizeof *ids},
        {NLSH__SECTION_ROUTER, b->router_bytes, b->router_size},
        {NLSH__SECTION_TARGETS, targets, targets_size},
        {NLSH__SECTION_VECTORS, vectors, n * row_bytes},
        {NLSH__SECTION_CODES, codes, codes_size},
        {NLSH__SECTION_METRIC, &metric, sizeof metric},
    };
    size_t n_sections = sizeof sections / sizeof *sections - !has_metric;
    if (codes == NULL) {
        sections[n_sections - 1 - (size_t)has_metric] = sections[n_sections - 1];
        n_sections--;
    }
    NLSH_TRY(nlsh__job_progress(b->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(path, sections, n_sections, error));
    /* The file stands: a stop asked for now comes too late. */
    (void)nlsh__job_progress(b->job, "writing", 1, 1, NULL);
out:
    free(offsets);
    free(ids);
    free(vectors);
    free(settings);
    free(codes);
    free(targets);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void drop_inputs(struct build *b)
{
    if (b->query_inputs != b->inputs) free(b->query_inputs);
    if (b->cell_inputs != b->inputs) free(b->cell_inputs);
    free(b->inputs);
    b->inputs = b->query_inputs = b->cell_inputs = NULL;
    nlsh__projection_free(&b->projection);
    b->projection = (struct nlsh__projection){0};
}

static void build_free(struct build *b)
{
    drop_router(b);
    free(b->bucket_of);
    free(b->train_rows);
    free(b->held_rows);
    drop_inputs(b);
    nlsh__space_free(&b->space);
    nlsh_neighbors_free(&b->truth);
    nlsh_neighbors_free(&b->held_truth);
    nlsh__csr_free(&b->csr);
    nlsh_neighbors_free(&b->graph);
    nlsh__dataset_free(&b->data);
}

/* By inner product a row's nearest in the space of distances are not what it would find as a query:
 * the cut takes the one graph, labels and calibration the other. */
static enum nlsh_status make_graphs(struct build *b, size_t k, struct nlsh_error *error)
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

static enum nlsh_status project_rows(const struct build *b, const struct nlsh_matrix *rows,
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
static enum nlsh_status add_lengths(struct build *b, struct nlsh_error *error)
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
static size_t graph_k(const struct build *b)
{
    const struct nlsh_build_options *o = &b->options;
    size_t k = o->knn > TRUTH_K ? o->knn : TRUTH_K;
    if (o->labels == NLSH_LABELS_SOFT && o->label_knn > k) k = o->label_knn;
    return k < b->data.matrix.n_rows ? k : b->data.matrix.n_rows - 1;
}

/* Principal components and what is made of them: the network's inputs, and k-means's. */
static enum nlsh_status make_inputs(struct build *b, struct nlsh_error *error)
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
static enum nlsh_status check_partitioner(struct build *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    char key[160];
    int found = 0;
    uint32_t *bucket_of = NULL;
    size_t n = b->data.matrix.n_rows;
    if (b->options.partitioner != NLSH_PARTITIONER_KAHIP) return NLSH_OK;
    partition_key(b, NLSH_PARTITIONER_KAHIP, key, sizeof key);
    NLSH_TRY(nlsh__alloc(&bucket_of, n, sizeof *bucket_of, error));
    NLSH_TRY(nlsh__cache_get_partition(b->job, key, b->data.hash, n, b->options.n_buckets,
                                       bucket_of, &found, error));
    if (!found) NLSH_TRY(nlsh__kahip_check(error));
out:
    free(bucket_of);
    return status;
}

/* By inner product the rows as queries have only their direction from the rows. */
static enum nlsh_status find_held_truth(struct build *b, struct nlsh_error *error)
{
    int inner = b->options.metric == NLSH_IP;
    return nlsh__held_truth(&b->data.matrix, inner ? &b->space.queries : &b->data.matrix, inner,
                            b->held_rows, b->n_held, b->job, &b->held_truth, error);
}

static enum nlsh_status run_stages(struct build *b, const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    double *seconds = b->report.seconds, start = nlsh__now();
    NLSH_TRY(check_partitioner(b, error));
    NLSH_TRY(make_graphs(b, graph_k(b), error));
    seconds[NLSH_STAGE_GRAPH] = nlsh__now() - start;
    NLSH_TRY(make_inputs(b, error));
    NLSH_TRY(hold_out(b, error));
    NLSH_TRY(true_neighbors_of_held(b, error));
    NLSH_TRY(find_held_truth(b, error));
    NLSH_TRY(partition_and_train(b, error));
    start = nlsh__now();
    NLSH_TRY(write_index(b, path, error));
    seconds[NLSH_STAGE_WRITE] = nlsh__now() - start;
out:
    return status;
}

enum nlsh_status nlsh_build(const struct nlsh_matrix *base,
                            const struct nlsh_build_options *options, const char *path,
                            const struct nlsh_run *run, struct nlsh_build_report *report,
                            struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct build b = {.options = *options, .job = &job};
    struct nlsh__output *probe = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &b.data, error));
    NLSH_TRY(nlsh__resolve(&b.data.matrix, &b.options, error));
    NLSH_TRY(nlsh__metric_values(b.options.metric, "base", &b.data, error));
    NLSH_TRY(nlsh__space_init(b.options.metric, &b.data, &b.space, error));
    /* An output that cannot be written is found out now and not after the work. */
    NLSH_TRY(nlsh__output_open(path, &probe, error));
    nlsh__output_abort(probe);
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(run_stages(&b, path, error));
    struct nlsh__map written;
    NLSH_TRY(nlsh__map_open(path, &written, error));
    b.report.index_bytes = written.size;
    nlsh__map_close(&written);
    if (report != NULL) *report = b.report;
out:
    nlsh__job_end(&job);
    build_free(&b);
    return status;
}

/* ---- the same for a tuner's trials ----------------------------------------------------------- */

struct nlsh__learner {
    struct build b;
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
    struct build *b = &l->b;
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
    NLSH_TRY(hold_out(b, error));
    NLSH_TRY(find_held_truth(b, error));
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
    if (l->b.options.metric != NLSH_IP) l->b.graph = (struct nlsh_neighbors){0};
    l->b.truth = (struct nlsh_neighbors){0};
    build_free(&l->b);
    nlsh__dataset_free(&l->queries);
    free(l->scaled);
    free(l);
}

/* The graph that the settings name, and no symmetric one of another. */
static enum nlsh_status learner_graph(struct nlsh__learner *l, struct nlsh_error *error)
{
    struct build *b = &l->b;
    const struct nlsh_build_options *o = &b->options;
    const struct nlsh_neighbors *given = &l->input->graphs[o->graph];
    if (given->k < graph_k(b))
        return nlsh__fail(error, NLSH_E_INTERNAL, NULL, "a graph with %zu neighbours, not %zu",
                          given->k, graph_k(b));
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
    if (b->graph.k >= graph_k(b)) return NLSH_OK;
    nlsh_neighbors_free(&b->graph);
    return nlsh__stage_graph(&b->space.rows, b->data.hash, " ip, augmented", NLSH_L2, o->graph,
                             given->k, o->seed, b->job, &b->graph,
                             &b->report.from_cache[NLSH_STAGE_GRAPH], error);
}

enum nlsh_status nlsh__learner_run(struct nlsh__learner *l,
                                   const struct nlsh_build_options *options, nlsh__watch_fn *watch,
                                   void *user, struct nlsh__learned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct build *b = &l->b;
    drop_router(b);
    free(b->bucket_of);
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
        drop_inputs(b);
        NLSH_TRY(make_inputs(b, error));
        l->components = b->options.components;
    }
    NLSH_TRY(partition_and_train(b, error));
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
    return write_index(&l->b, path, error);
}
