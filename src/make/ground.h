/*
 * ground.h - what buckets and a router are learned from: the answers of the earlier stages, each made once
 * and only read from then on.
 *
 *   vectors -> graphs -> inputs -> held-out rows -> [learn.h: buckets, router, targets] -> [write.h: file]
 */
#ifndef NLSH_MAKE_GROUND_H
#define NLSH_MAKE_GROUND_H

#include "base/csr.h"
#include "base/neighbors.h"
#include "linalg/pca.h"
#include "make/space.h"
#include "measure/calibrate.h"

#define NLSH__TRUTH_K 10  /* neighbours that a held-out row must find */
#define NLSH__MOST_K 1000 /* that searches are promised */

/* ---- graphs ---------------------------------------------------------------------------------- */

/* By inner product a row's nearest in the space of distances are not what it would find as a query: the cut
 * takes the one graph, labels the other. Else the two are one. */
struct nlsh__graphs {
    const struct nlsh__neighbors *cut;   /* the k-NN graph whose edges the partition cuts */
    const struct nlsh__neighbors *truth; /* what a row should find when it comes as a query */
    const char
        *whence; /* "", or what tells them from those that a build of these rows would find */
};

/* *cut and *truth are owned; truth is empty where it is the same as cut. Through the cache. */
enum nlsh_status nlsh__make_graphs(const struct nlsh_build_options *options,
                                   const struct nlsh__dataset *data,
                                   const struct nlsh__space *space, const struct nlsh__job *job,
                                   struct nlsh__neighbors *cut, struct nlsh__neighbors *truth,
                                   int *from_cache, struct nlsh_error *error);

/* Neighbours that the settings ask of a graph of n rows. */
size_t nlsh__graph_k(const struct nlsh_build_options *options, size_t n);

/* ---- inputs ---------------------------------------------------------------------------------- */

/* What networks and k-means see of the rows: principal components. */
struct nlsh__inputs {
    struct nlsh__projection projection;
    float *rows;    /* [n x components] */
    float *queries; /* the same of the rows as queries; but for NLSH_IP the same array */
    float *cells;   /* [n x n_cells] what k-means divides; but for NLSH_IP the same array as rows */
    size_t n_cells;
};

/* Of a space (make/space.h). NLSH_E_NOMEM, NLSH_E_INTERRUPTED. */
enum nlsh_status nlsh__make_inputs(const struct nlsh__space *space, const struct nlsh_matrix *rows,
                                   const struct nlsh_build_options *options,
                                   const struct nlsh__job *job, struct nlsh__inputs *out,
                                   struct nlsh_error *error);
void nlsh__inputs_free(struct nlsh__inputs *inputs);

/* ---- held-out rows --------------------------------------------------------------------------- */

/* Rows that the network does not learn from, on which promises are measured. Where rows are too few to spare
 * any, all play both parts. */
struct nlsh__held {
    uint32_t *train_rows;
    /* [n_asked] the n_held rows that are held out, and where those are few, others behind them: for what does not
     * ask whether the network has seen a row, as margins do not. */
    uint32_t *held_rows;
    size_t n_train, n_held, n_asked;
    size_t n_taught;              /* behind train_rows: rows that are none of the base, taught.h */
    struct nlsh__neighbors truth; /* of held_rows as queries, exact, with scores */
};

/* One row in 20, of few rows up to one in five, of 10,000 rows and more at least 1,000 and at most 5,000; their neighbours by the metric,
 * most_k at most. */
enum nlsh_status nlsh__hold_out(const struct nlsh_matrix *rows, const struct nlsh__space *space,
                                const struct nlsh_build_options *options, size_t most_k,
                                const struct nlsh__job *job, struct nlsh__held *out,
                                struct nlsh_error *error);
void nlsh__held_free(struct nlsh__held *held);

/* ---- all ------------------------------------------------------------------------------------- */

struct nlsh__ground {
    const struct nlsh_build_options
        *options; /* resolved; what is chosen by measurement still is auto */
    const struct nlsh__job *job;
    const struct nlsh__dataset *data;
    const struct nlsh__space *space;
    struct nlsh__graphs graphs;
    struct nlsh__csr *csr; /* graphs.cut as what cuts it takes it; empty until it is asked for */
    const struct nlsh__inputs *inputs;
    const struct nlsh__held *held;
    const struct nlsh_matrix
        *calibrating; /* queries that say what searches reach; NULL: held-out rows do */
};

/* How many held-out rows what is made must not know of, since they measure it: none where folds do (make/folds.h), or where all
 * rows are learned from. */
size_t nlsh__n_unseen(const struct nlsh__ground *ground);

/* The symmetric graph, made when it is first asked for. */
enum nlsh_status nlsh__ground_csr(const struct nlsh__ground *ground, const struct nlsh__csr **out,
                                  struct nlsh_error *error);

#endif
