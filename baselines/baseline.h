/* baseline.h - what a method of bucketing gives to the search that all of them share. */
#ifndef NLSH_BASELINES_BASELINE_H
#define NLSH_BASELINES_BASELINE_H

#include "base/job.h"
#include "baselines/buckets.h"

/* One query on its way. */
struct nlsh__asked {
    struct nlsh__query query;      /* in the units of the stored rows */
    const float *floats;           /* the same as floats: [dim] */
    const struct nlsh_matrix *row; /* as the caller gave it */
    double probes;
};

struct nlsh__bucketing {
    /* Fills baseline->buckets and state from the base; writes automatic options. */
    enum nlsh_status (*build)(struct nlsh__baseline *baseline, const struct nlsh__dataset *base,
                              struct nlsh__baseline_options *options, const struct nlsh__job *job,
                              struct nlsh_error *error);
    /* The buckets to scan into baseline->chosen [n_buckets], how many into *n. */
    enum nlsh_status (*choose)(struct nlsh__baseline *baseline, const struct nlsh__asked *asked,
                               size_t *n, struct nlsh_error *error);
    /* NULL, or: which of the chosen buckets' rows to scan exactly: *places, best rows first or not;
     * returns how many, and in *candidates how many were looked at. */
    size_t (*shortlist)(struct nlsh__baseline *baseline, const struct nlsh__asked *asked,
                        size_t n_chosen, size_t rerank, const uint32_t **places,
                        size_t *candidates);
    size_t (*bytes)(const struct nlsh__baseline *baseline); /* besides the buckets */
    void (*free)(struct nlsh__baseline *baseline);          /* the state; may be half-made */
    int fractions;                                          /* probes below 1 have a meaning */
};

struct nlsh__baseline {
    const struct nlsh__bucketing *how;
    struct nlsh__buckets buckets;
    struct nlsh__dataset base; /* held while rows are borrowed */
    void *state;
    /* scratch of the search: one thread at a time */
    uint32_t *chosen;        /* [n_buckets] */
    uint64_t *order;         /* [n_buckets] */
    float *query, *expanded; /* [dim, padded] */
    uint64_t *keys;          /* [n_keys] */
    size_t n_keys;
};

extern const struct nlsh__bucketing nlsh__ivfflat, nlsh__ivfpq, nlsh__lsh, nlsh__hypercube,
    nlsh__routed;

/* The rows of a dataset as floats; *owned, where not NULL, is freed by the caller. */
enum nlsh_status nlsh__float_rows(const struct nlsh_matrix *m, const float **out, float **owned,
                                  struct nlsh_error *error);

/* ---- cells of k-means, which both IVF methods have ------------------------------------------- */

struct nlsh__cells {
    size_t n_lists, dim;
    float *centroids; /* [n_lists x dim] in the units of the stored rows */
    uint8_t
        *bytes; /* the same as bytes, where rows are bytes: the floats are then whole; or NULL */
};

/* The cells of a base, whose rows as floats are `floats`, and the cell of each row, which the caller
 * frees. options->n_lists is checked, or filled where it is NLSH_AUTO. */
enum nlsh_status nlsh__cells_make(const struct nlsh__dataset *base, const float *floats,
                                  struct nlsh__baseline_options *options,
                                  const struct nlsh__job *job, struct nlsh__cells *out,
                                  uint32_t **cell_of, struct nlsh_error *error);
void nlsh__cells_free(struct nlsh__cells *cells);
size_t nlsh__cells_bytes(const struct nlsh__cells *cells);

/* The cells nearest to a query into baseline->chosen, nearest first, their keys (kernels/topk.h, f32)
 * into baseline->order; returns how many: min(probes, n_lists). */
size_t nlsh__cells_nearest(struct nlsh__baseline *baseline, const struct nlsh__cells *cells,
                           const struct nlsh__asked *asked);

#endif
