/* encode.h - makes the codes of index/codes.h and measures how far their scores may be off. */
#ifndef NLSH_CODES_MAKE_ENCODE_H
#define NLSH_CODES_MAKE_ENCODE_H

#include <math.h>

#include "base/job.h"
#include "codes/codes.h"
#include "linalg/pca.h"
#include "router/router.h"

/* The code of a difference from the centroid, 0 to 15: it stands for (level - 7.5) steps. */
static inline uint32_t nlsh__code_level(float difference, float step)
{
    float level = step > 0 ? floorf(difference / step) + 8 : 8;
    return (uint32_t)(level < 0 ? 0 : level > 15 ? 15 : level);
}

/* Into values [n_groups][n_chunks][16][4], zero before: index/codes.h. */
static inline void nlsh__put_level(uint8_t *values, size_t n_chunks, size_t lane, size_t component,
                                   uint32_t level)
{
    uint8_t *group = values + lane / 16 * n_chunks * 64 + lane % 16 * 4;
    group[component / 8 * 64 + component % 4] |= (uint8_t)(level << (component % 8 < 4 ? 0 : 4));
}

/* What the codes are made of. */
struct nlsh__encode {
    const struct nlsh_matrix *base;
    const struct nlsh__projection *projection;
    const float *inputs;               /* [n_rows x n_components] projected rows */
    const float *query_inputs;         /* the same of rows as they come as queries */
    const struct nlsh_matrix *queries; /* rows as they come as queries */
    size_t n_components;               /* of them that a code holds */
    int inner;                         /* 1: scores are by inner product */
    const uint32_t *bucket_offsets;    /* [m + 1] */
    size_t n_buckets;
    const uint32_t *ids; /* [n_rows] base rows in bucket order */
};

/* The section's bytes, freed with nlsh__free(); the margins are not measured yet. */
enum nlsh_status nlsh__encode_rows(const struct nlsh__encode *encode, const struct nlsh__job *job,
                                   void **bytes, size_t *size, struct nlsh_error *error);

/* A base row's squared distance to the codes' mean as it comes as a query; by inner product its squared
 * length. What nlsh__score_units() takes. */
float nlsh__encode_whole(const struct nlsh__encode *encode, const struct nlsh__codes *codes,
                         size_t row);

/*
 * nlsh__measure_margins() - fills the margins in the section's header.
 *
 *  rows       held-out base rows, which play queries
 *  threshold  the routing that the measurement uses
 * For each number of neighbours and each share of them that may be lost: how many errors beyond the
 * k-th exact score of the scanned rows the scores of the k nearest of them lie. out: what a query
 * then scans and ranks for k = 10.
 */
struct nlsh__scan_cost {
    double candidates; /* mean rows scanned by their codes */
    double ranked;     /* mean rows ranked exactly, where .2 % of the neighbours may be lost */
};
enum nlsh_status nlsh__measure_margins(const struct nlsh__encode *encode,
                                       const struct nlsh__router *router, const uint32_t *rows,
                                       size_t n_rows, float threshold, const struct nlsh__job *job,
                                       void *bytes, size_t size, struct nlsh__scan_cost *out,
                                       struct nlsh_error *error);

#endif
