/* encode.h - makes the codes of codes/codes.h. */
#ifndef NLSH_CODES_MAKE_ENCODE_H
#define NLSH_CODES_MAKE_ENCODE_H

#include "base/job.h"
#include "base/rounding.h"
#include "codes/row.h"
#include "linalg/pca.h"

/* Others code the rows of other buckets, and some numbers are of all. */
struct nlsh__encode_others {
    size_t n_rows; /* of all */
    void *user;
    /* Fills in the rows of a table by bucket, each of row_bytes, that others have made. */
    enum nlsh_status (*fill)(void *user, void *table, size_t row_bytes, struct nlsh_error *error);
};

/* What the codes are made of. */
struct nlsh__encode {
    const struct nlsh_matrix *base; /* rows as they are stored */
    float scale;                    /* where they are I8: base/rounding.h */
    const struct nlsh__projection *projection;
    const float *inputs;               /* [n_rows x n_components] projected rows */
    const struct nlsh_matrix *queries; /* rows as they come as queries; some of them will do */
    const float *query_inputs; /* [queries->n_rows x n_components] what the router sees of them */
    size_t n_components;       /* of them that a code holds */
    int inner;                 /* 1: scores are by inner product */
    float outside_weight;      /* of the codes (codes/codes.h); 0: as the rows have it */
    const uint32_t *bucket_offsets; /* [m + 1] */
    size_t n_buckets;
    const uint32_t *ids;                      /* [n_rows] base rows in bucket order */
    const struct nlsh__encode_others *others; /* or NULL: these rows are all */
};

/* A row's values, as they are stored. */
void nlsh__encode_values(const struct nlsh__encode *in, size_t row, float *out);

/* The largest number of buckets' [n_buckets], of all of them. */
enum nlsh_status nlsh__encode_most(const struct nlsh__encode *encode, float *of_buckets, float *out,
                                   struct nlsh_error *error);

/* The section's bytes (codes/codes.h), freed with nlsh__free(). NLSH_E_NOMEM. */
enum nlsh_status nlsh__encode_rows(const struct nlsh__encode *encode, const struct nlsh__job *job,
                                   void **bytes, size_t *size, struct nlsh_error *error);

#endif
