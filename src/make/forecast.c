/*
 * forecast.c - see forecast.h. Each stage is a count of operations times what one costs here (speed.h);
 * what no such loop does is a constant of an Intel Xeon of 2.6 GHz.
 */
#include "make/forecast.h"

#include <math.h>

#include "base/matrix.h"
#include "graph/sketch.h"
#include "make/folds.h"
#include "make/kept.h"
#include "make/resolve.h"
#include "make/speed.h"
#include "router/train/train.h"

enum {
    MOST_NODES = 512, /* of the networks that auto tries, */
    MOST_LAYERS = 2,  /* or takes */
    /* Rows that trials of partitions see where these are compared on some rows: twice an eighth of 360,000, and a trial's
     * network is half the work. */
    SEEN = 45000
};

/* METIS, seconds a neighbour in the graph: it has no wide loops. Fashion-MNIST into 1,024 parts 6.2e-6,
 * 20,000 x 64 floats into 256 parts 9.2e-6. */
static const double cut_edge = 7.5e-6;

/* The same for moves between cells. Fashion-MNIST 4e-7, GloVe-100 5e-7. */
static const double moved_edge = 5e-7;

static double graph_seconds(const struct nlsh_matrix *base, enum nlsh_graph_method method,
                            const struct nlsh__speed *speed)
{
    double n = (double)base->n_rows, probes = 0, pairs = n / 2; /* one product serves both rows */
    double dim = (double)base->dim, sketches = 0;
    size_t sketch_dim = nlsh__sketch_worth(base->n_rows, base->dim);
    if (method == NLSH_GRAPH_IVFFLAT) pairs = fmin(n, 12000);
    if (method == NLSH_GRAPH_PIECES && n >= 20000) {
        probes = 1.27 * sqrt(n / 512);
        pairs = probes * 512;
    }
    if (probes > 0 && sketch_dim > 0) { /* components of 4,096 rows, and of all */
        sketches = (4096 * dim + n * (double)sketch_dim) * dim * speed->cell_dim;
        dim = (double)sketch_dim;
    }
    return n * pairs * (speed->pair + dim * speed->pair_dim) + n * probes * 0.6e-6 + sketches;
}

/* Of the largest network that is tried, with so many outputs. */
static double n_weights(const struct nlsh_build_options *o, double outputs)
{
    double p = (double)o->components;
    double nodes = o->nodes == NLSH_AUTO ? MOST_NODES : (double)o->nodes;
    double layers = o->layers == NLSH_AUTO ? MOST_LAYERS : (double)o->layers;
    return layers == 0 ? p * outputs : nodes * (p + outputs + nodes * (layers - 1));
}

/* Of the last layer a row of Fashion-MNIST meets a quarter in the first epoch and a tenth later, of other sets more or
 * less: about this much. */
#define SHARE_MET 0.15

double nlsh__visit_seconds(const struct nlsh_build_options *o, const struct nlsh__speed *speed)
{
    double m = (double)o->n_buckets, groups = (double)o->groups;
    double outputs = groups + (nlsh__trains_by_group(o->groups) ? SHARE_MET * m : m);
    return n_weights(o, outputs) * speed->weight + outputs * speed->output;
}

/* Trained once, and where partitions are compared twice an eighth of that with half the network; with sizes of networks half
 * as long again. */
static double training_seconds(const struct nlsh_build_options *o, double n,
                               const struct nlsh__speed *speed)
{
    double passes = (double)o->epochs;
    if (o->partitioner == NLSH_PARTITIONER_AUTO) passes *= 1.125;
    if (o->nodes == NLSH_AUTO) passes *= 1.5;
    return n * passes * nlsh__visit_seconds(o, speed);
}

/* Principal components of a sample, the rows in them, and the neighbours of held-out rows. */
static double inputs_seconds(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                             const struct nlsh__speed *speed)
{
    double n = (double)base->n_rows, dim = (double)base->dim;
    double products = fmin(n, 32768) * dim * dim + n * dim * (double)o->components;
    if (dim > 4096) products = 0; /* none are taken */
    return products * speed->cell_dim +
           fmin(n / 20, 5000) * n * (speed->pair + dim * speed->pair_dim);
}

/* Divided by k-means, on all threads. */
static double kmeans_seconds(const struct nlsh_build_options *o, double n,
                             const struct nlsh__speed *speed)
{
    double m = (double)o->n_buckets;
    return (12 * fmin(n, 256 * m) + 4 * n) * m * (double)o->components * speed->cell_dim;
}

/* All but the folds of few rows, and but what is compared on some rows. */
static double once_seconds(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                           double threads, const struct nlsh__speed *speed)
{
    double n = (double)base->n_rows;
    double spread = graph_seconds(base, o->graph, speed) + training_seconds(o, n, speed);
    int cells =
        o->partitioner != NLSH_PARTITIONER_METIS && o->partitioner != NLSH_PARTITIONER_KAHIP;
    if (cells) spread += kmeans_seconds(o, n, speed);
    spread += inputs_seconds(base, o, speed);
    double alone = 0.2 + n * 1.5e-5; /* codes and file */
    if (o->partitioner != NLSH_PARTITIONER_KMEANS)
        alone += n * (double)o->knn * (cells ? moved_edge : cut_edge);
    return spread / threads + alone;
}

/* Where partitions are compared on some of the rows. Either may come out; the cycle is seldom the better
 * of so many rows. */
static double compared_seconds(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                               double threads, const struct nlsh__speed *speed)
{
    struct nlsh_matrix some = *base;
    struct nlsh_build_options chosen = *o, tried = *o;
    some.n_rows = nlsh__compared_rows(base->n_rows);
    chosen.partitioner = NLSH_PARTITIONER_KMEANS;
    tried.epochs = 0;
    double visits = SEEN * nlsh__visit_seconds(o, speed);
    return once_seconds(base, &chosen, threads, speed) +
           once_seconds(&some, &tried, threads, speed) + visits / threads;
}

/* A fold learns from four fifths of the rows, with what was chosen for all (make/folds.h). */
static double build_seconds(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                            double threads, const struct nlsh__speed *speed)
{
    struct nlsh_matrix others = *base;
    struct nlsh_build_options chosen = *o;
    if (o->partitioner == NLSH_PARTITIONER_AUTO && nlsh__compared_rows(base->n_rows) < base->n_rows)
        return compared_seconds(base, o, threads, speed);
    double folds = o->train_queries == NULL ? (double)nlsh__n_folds(base->n_rows) : 0;
    others.n_rows -= base->n_rows / 5;
    if (o->partitioner == NLSH_PARTITIONER_AUTO) chosen.partitioner = NLSH_PARTITIONER_VCYCLE;
    if (o->nodes == NLSH_AUTO) chosen.nodes = MOST_NODES;
    return once_seconds(base, o, threads, speed) +
           folds * once_seconds(&others, &chosen, threads, speed);
}

/* What a partitioner that cuts the graph takes for a neighbour, besides the graph: METIS, of 230,000 rows of SIFT with 20
 * neighbours, 228 MB. */
#define CUT_BYTES 50

double nlsh__stored_row_bytes(const struct nlsh_matrix *base, const struct nlsh_build_options *o)
{
    if (base->type == NLSH_U8) return (double)base->dim;
    return (double)base->dim * (double)nlsh__type_size(nlsh__type_of_store(o->store));
}

void nlsh__forecast_bytes(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                          struct nlsh_build_forecast *out)
{
    double n = (double)base->n_rows, dim = (double)base->dim;
    double m = (double)o->n_buckets, p = (double)o->components;
    double weights = n_weights(o, m + (double)o->groups);
    double row = dim * (base->type == NLSH_U8 ? 1 : 4);
    int rounds = base->type != NLSH_U8 && nlsh__type_of_store(o->store) != NLSH_F32;
    double stored = nlsh__stored_row_bytes(base, o),
           copies = rounds ? 3.5 : 3; /* rounded ones are a copy */
    double k = (double)(o->label_knn > o->knn ? o->label_knn : o->knn);
    size_t code_bytes = o->code_bytes == NLSH_AUTO ? nlsh__whole_code(o) : o->code_bytes;
    double code = code_bytes > 0 ? (double)code_bytes + 5 : 0;
    if (nlsh__in_leaves(o, base->n_rows)) code *= 17 / 16.0;
    out->index_bytes = (uint64_t)(n * (stored + 4 + code * 1.1) + weights + p * dim * 4);
    double cut = o->partitioner == NLSH_PARTITIONER_KMEANS ? 0 : (double)o->knn * CUT_BYTES;
    out->peak_bytes = (uint64_t)(n * (copies * row + k * 8 + p * 4 + 40 + k * 12 + cut) +
                                 weights * 4 * 8 + m * p * 12 + 25e6);
}

enum nlsh_status nlsh__forecast(const struct nlsh_matrix *base,
                                const struct nlsh_build_options *options, size_t n_threads,
                                struct nlsh_build_forecast *out, struct nlsh_error *error)
{
    struct nlsh__speed speed;
    struct nlsh_run machine;
    nlsh_run_init(&machine, sizeof machine);
    enum nlsh_status status = nlsh__speed(base->type, &speed, error);
    if (status != NLSH_OK) return status;
    /* More threads than processors gain nothing. */
    if (n_threads > machine.n_threads) n_threads = machine.n_threads;
    *out = (struct nlsh_build_forecast){.struct_size = sizeof *out};
    out->seconds = build_seconds(base, options, (double)n_threads, &speed);
    nlsh__forecast_bytes(base, options, out);
    out->disk_bytes = out->index_bytes;
    return NLSH_OK;
}
