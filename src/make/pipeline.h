/* pipeline.h - a build on its way, and its steps: what build.c, a tuner's learner.c and the files
 * they call share. */
#ifndef NLSH_MAKE_PIPELINE_H
#define NLSH_MAKE_PIPELINE_H

#include "base/csr.h"
#include "base/neighbors.h"
#include "linalg/pca.h"
#include "make/learner.h"
#include "make/space.h"
#include "measure/calibrate.h"
#include "vectors/dataset.h"

#define NLSH__TRUTH_K 10 /* neighbours that a held-out row must find */

struct nlsh__build {
    struct nlsh_build_options options; /* resolved */
    const struct nlsh__job *job;
    struct nlsh__dataset data;
    struct nlsh__space space;
    struct nlsh__neighbors graph;
    struct nlsh__neighbors truth;      /* NLSH_IP: the rows' neighbours as queries; else not used */
    struct nlsh__neighbors held_truth; /* of held_rows, as queries */
    struct nlsh__csr csr;              /* made when a graph partitioner first asks */
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
const struct nlsh__neighbors *nlsh__build_truth(const struct nlsh__build *b);

/* ---- build.c --------------------------------------------------------------------------------- */

/* One row in 20, 5,000 at most; too few rows to spare any: all play both parts. */
enum nlsh_status nlsh__hold_out(struct nlsh__build *b, struct nlsh_error *error);
/* Their neighbours as queries. By inner product they have only their direction from the rows. */
enum nlsh_status nlsh__find_held_truth(struct nlsh__build *b, struct nlsh_error *error);
/* Neighbours that the graph must have. */
size_t nlsh__graph_k(const struct nlsh__build *b);
/* Principal components of rows, queries and cells. */
enum nlsh_status nlsh__make_inputs(struct nlsh__build *b, struct nlsh_error *error);
void nlsh__drop_inputs(struct nlsh__build *b);
void nlsh__build_free(struct nlsh__build *b);

/* ---- buckets.c ------------------------------------------------------------------------------- */

/* Everything that the partition depends on besides the vectors. */
void nlsh__partition_key(const struct nlsh__build *b, enum nlsh_partitioner partitioner, char *out,
                         size_t size);
/* The buckets that the options ask for or that measure best, and their router. */
enum nlsh_status nlsh__partition_and_train(struct nlsh__build *b, struct nlsh_error *error);
void nlsh__drop_router(struct nlsh__build *b);

/* ---- write.c --------------------------------------------------------------------------------- */

enum nlsh_status nlsh__write_index(struct nlsh__build *b, const char *path,
                                   struct nlsh_error *error);

#endif
