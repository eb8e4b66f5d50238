/*
 * codes.h - short codes of the rows, in bucket order: what a search scans before it computes exact
 * distances.
 *
 * A code holds what a row's principal components (the router's inputs) differ by from its bucket's
 * centroid, 4 bits a component. With a query's components q, the centroid c and the row's decoded
 * difference h, the row's score is
 *   L2  |q - c|^2 + bias - 2 (q - c).h      IP  - q.c - q.h
 * in units of the inputs. Rows stand in groups of 16 as in kernels/panel.h; every bucket begins a group of
 * its own. docs/index-format.md has the section, docs/algorithm.md the reasons.
 */
#ifndef NLSH_CODES_CODES_H
#define NLSH_CODES_CODES_H

#include "codes/arrays.h"
#include "nlsh/nlsh.h"
#include "promise/margins.h"

#define NLSH__CODES_MAGIC "NLSHCD02"
/* Of the section's layout. 0: that of format 2; 1: without outside_weight. */
#define NLSH__CODES_VERSION 2u

/* The section's first 64 bytes; little-endian. */
struct nlsh__codes_header {
    char magic[8];
    uint64_t size_bytes; /* of the section */
    uint32_t n_groups;
    uint32_t n_components; /* coded: a multiple of 8; those that fill up have step 0 */
    float scale;           /* of the inputs: input = scale x component */
    float error_unit;      /* of the rows' errors */
    uint32_t rounded; /* 1: queries of floats are projected in bytes, less mean; else as floats */
    float outside_weight; /* see struct nlsh__codes; before version 2 reserved, and 1 */
    uint8_t reserved[24]; /* written as 0, ignored when read */
};

/* Where the arrays stand, in bytes from the section's start; each is padded to 64 bytes. */
struct nlsh__codes_layout {
    size_t mean;      /* f32 [dim] */
    size_t steps;     /* f32 [stride] between two codes of a component */
    size_t centroids; /* f32 [m][stride] */
    size_t bias;      /* f32 [16 n_groups], +infinity where no row is */
    size_t errors;    /* u8 [16 n_groups] */
    size_t values;    /* u8 [n_groups][n_components / 8][16][4] */
    size_t size;
    size_t stride; /* n_components, to a multiple of 16 */
};

struct nlsh__codes {
    size_t n_components, stride;
    float scale, error_unit;
    /* So many times a query's squared length outside the coded components counts, in its rows' errors, what one inside
     * does: a code says nothing of what is outside, and most of what is inside. */
    float outside_weight;
    const float *mean, *steps, *centroids;
    const float
        *query_mean; /* mean where queries of floats are projected in bytes, less it; or NULL */
    struct nlsh__grouped rows;
    uint32_t *group_offsets; /* [m + 1] */
    /* What a section of version 0 says besides, in the file's bytes; else empty. */
    struct nlsh__margins margins;
};

/* From sizes alone, of the version that is written; -1 where they overflow. */
int nlsh__codes_layout(size_t dim, size_t n_buckets, size_t n_groups, size_t n_components,
                       struct nlsh__codes_layout *out);

/* What a section must agree with. */
struct nlsh__codes_of {
    const uint32_t *bucket_offsets; /* [n_buckets + 1] */
    size_t n_buckets, n_inputs, dim;
};

/* Checks a section of a version against the index's buckets and the router's inputs; the bytes are borrowed
 * and must be aligned to 64. NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__codes_open(const void *bytes, size_t size, unsigned version,
                                  const struct nlsh__codes_of *of, struct nlsh__codes **out,
                                  struct nlsh_error *error);
void nlsh__codes_close(struct nlsh__codes *codes);

#endif
