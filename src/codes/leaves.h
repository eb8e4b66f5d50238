/*
 * leaves.h - what a search looks at before it scans a bucket's codes.
 *
 * A leaf is one group of 16 rows of codes.h. Rows of a bucket stand so that the rows of a leaf lie close
 * together (codes/make/leaves.h). A leaf has a code of its own: of the mean of its rows, in the codes'
 * steps, with an error that is the rows' distance to that mean. So a leaf is scored as a row is, 16 leaves
 * at a time, and what it scores is the mean score of its rows.
 */
#ifndef NLSH_CODES_LEAVES_H
#define NLSH_CODES_LEAVES_H

#include "codes/codes.h"

#define NLSH__LEAVES_MAGIC "NLSHLV01"
#define NLSH__LEAVES_VERSION 1u /* of the section's layout; 0: that of format 2 */

/* The section's first 64 bytes; little-endian. */
struct nlsh__leaves_header {
    char magic[8];
    uint64_t size_bytes;   /* of the section */
    uint32_t n_groups;     /* of 16 leaves; every bucket begins one */
    uint32_t n_components; /* the codes' */
    float error_unit;
    uint8_t reserved[36]; /* written as 0, ignored when read */
};

/* Where the arrays stand, in bytes from the section's start; each is padded to 64 bytes. */
struct nlsh__leaves_layout {
    size_t bias;   /* f32 [16 n_groups], +infinity where no leaf is */
    size_t errors; /* u8 [16 n_groups] */
    size_t values; /* u8 [n_groups][n_components / 8][16][4] */
    size_t size;
};

struct nlsh__leaves {
    float error_unit;
    struct nlsh__grouped leaves;
    uint32_t *group_offsets; /* [m + 1] */
    /* What a section of version 0 says besides, in the file's bytes; else empty and 0. */
    struct nlsh__margins margins;
    float slope;
};

/* From sizes alone, of the version that is written; -1 where they overflow. */
int nlsh__leaves_layout(size_t n_groups, size_t n_components, struct nlsh__leaves_layout *out);

/* Checks a section of a version against the index's codes; the bytes are borrowed and must be aligned to 64.
 * NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__leaves_open(const void *bytes, size_t size, unsigned version,
                                   const struct nlsh__codes *codes, size_t n_buckets,
                                   struct nlsh__leaves **out, struct nlsh_error *error);
void nlsh__leaves_close(struct nlsh__leaves *leaves);

#endif
