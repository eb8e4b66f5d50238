/*
 * leaves.h - what a search looks at before it scans a bucket's codes.
 *
 * A leaf is one group of 16 rows of index/codes.h. Rows of a bucket stand so that the rows of a leaf lie
 * close together (build/leaves.h), and a leaf has a code of its own: of the mean of its rows, in the
 * codes' steps, with an error that is the rows' distance to that mean. So a leaf is scored as a row is,
 * 16 leaves at a time, and what it scores is the mean score of its rows.
 */
#ifndef NLSH_CODES_LEAVES_H
#define NLSH_CODES_LEAVES_H

#include "codes/codes.h"

#define NLSH__LEAVES_MAGIC "NLSHLV01"
#define NLSH__LEAF_LOSSES 8 /* shares of the neighbours that leaves left out may hold */

/* The section's first 256 bytes; little-endian. */
struct nlsh__leaves_header {
    char magic[8];
    uint64_t size_bytes;   /* of the section */
    uint32_t n_groups;     /* of 16 leaves; every bucket begins one */
    uint32_t n_components; /* the codes' */
    float error_unit;
    float slope;                          /* of the margin, by the logarithm of the probability */
    uint32_t margin_k[NLSH__MARGIN_KS];   /* ascending */
    float margin_loss[NLSH__LEAF_LOSSES]; /* ascending */
    float margin[NLSH__MARGIN_KS * NLSH__LEAF_LOSSES]; /* [k][loss] */
    uint8_t reserved[84];                              /* zero */
};

/* Where the arrays stand, in bytes from the section's start; each is padded to 64 bytes. */
struct nlsh__leaves_layout {
    size_t bias;   /* f32 [16 n_groups], +infinity where no leaf is */
    size_t errors; /* u8 [16 n_groups] */
    size_t values; /* u8 [n_groups][n_components / 8][16][4] */
    size_t size;
};

struct nlsh__leaves {
    struct nlsh__leaves_header header;
    const float *bias;
    const uint8_t *errors, *values;
    uint32_t *group_offsets; /* [m + 1] */
};

/* From sizes alone; -1 where they overflow. */
int nlsh__leaves_layout(size_t n_groups, size_t n_components, struct nlsh__leaves_layout *out);

/* Checks a section against the index's codes; the bytes are borrowed and must be aligned to 64.
 * NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__leaves_open(const void *bytes, size_t size, const struct nlsh__codes *codes,
                                   size_t n_buckets, struct nlsh__leaves **out,
                                   struct nlsh_error *error);
void nlsh__leaves_close(struct nlsh__leaves *leaves);

/* How many errors a leaf's score may lie above the k-th score, at a probability per vector of .01, where
 * this share of k neighbours may be lost; +infinity where less may be lost or k is larger than was measured. */
float nlsh__leaves_margin(const struct nlsh__leaves *leaves, size_t k, double loss);

#endif
